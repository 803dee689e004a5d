use antiphon_drawing::{Drawing, Encoding, Lack, NotConverted, NotPainted, Picture, Standard, View, convert, ended};
use pretty_assertions::assert_eq;
use resvg::tiny_skia::Pixmap;

const VIEW: View = View { width: 100, height: 100 };

const HOUSE: &str = "<svg><linearGradient id=\"sky\" x2=\"0\" y2=\"1\"><stop offset=\"0\" stop-color=\"navy\"/>\
    <stop offset=\"1\" stop-color=\"orange\"/></linearGradient><rect width=\"100\" height=\"100\" fill=\"url(#sky)\"/>\
    <rect x=\"30\" y=\"50\" width=\"40\" height=\"40\" fill=\"tan\"/><polygon points=\"25,50 50,30 75,50\" fill=\"darkred\"/>\
    <rect x=\"45\" y=\"70\" width=\"10\" height=\"20\" fill=\"brown\"/><circle cx=\"80\" cy=\"20\" r=\"8\" fill=\"gold\"/>\
    <rect y=\"90\" width=\"100\" height=\"10\" fill=\"darkgreen\"/></svg>";

fn paint(svg: &str, width: u32, height: u32, encoding: Encoding) -> Result<Vec<u8>, NotPainted> {
    Drawing::read(svg, VIEW).unwrap().paint(Picture { width, height, encoding }, Standard::Rich)
}

fn pixels(svg: &str, width: u32, height: u32) -> Pixmap {
    Pixmap::decode_png(&paint(svg, width, height, Encoding::Png).unwrap()).unwrap()
}

fn colour(pixels: &Pixmap, x: u32, y: u32) -> (u8, u8, u8, u8) {
    let pixel = pixels.pixel(x, y).unwrap();
    (pixel.red(), pixel.green(), pixel.blue(), pixel.alpha())
}

#[test]
fn a_drawing_covers_its_picture() {
    for (width, height) in [(64, 64), (688, 384), (192, 1536), (1536, 192)] {
        let pixels = pixels(HOUSE, width, height);
        assert_eq!((pixels.width(), pixels.height()), (width, height));
        assert!(pixels.pixels().iter().all(|pixel| pixel.alpha() == 255));
        // The wall is in the middle, and the sky reaches every edge.
        assert_eq!(colour(&pixels, width / 2, height / 2 + width.max(height) / 20), (210, 180, 140, 255), "{width}");
        assert!(colour(&pixels, 0, 0) != (255, 255, 255, 255));
    }
}

#[test]
fn a_jpeg_is_one() {
    let bytes = paint(HOUSE, 64, 48, Encoding::Jpeg).unwrap();
    let (head, tail) = (&bytes[..3], &bytes[bytes.len() - 2..]);
    assert_eq!((head, tail), (&[0xff, 0xd8, 0xff][..], &[0xff, 0xd9][..]));
    let image = image::load_from_memory(&bytes).unwrap().to_rgb8();
    assert_eq!((image.width(), image.height()), (64, 48));
}

#[test]
fn the_same_drawing_gives_the_same_bytes() {
    assert_eq!(paint(HOUSE, 64, 64, Encoding::Png), paint(HOUSE, 64, 64, Encoding::Png));
}

#[test]
fn text_is_drawn_in_every_family() {
    let with = |text: &str| HOUSE.replace("</svg>", &format!("{text}</svg>"));
    let plain = pixels(HOUSE, 200, 200);
    for family in ["", " font-family=\"serif\"", " font-family=\"monospace\""] {
        let text = with(&format!("<text x=\"5\" y=\"20\" font-size=\"12\" fill=\"white\"{family}>São Жω</text>"));
        assert!(pixels(&text, 200, 200) != plain, "{family}");
    }
    let text = with("<text x=\"5\" y=\"20\" font-size=\"12\">猫</text>");
    assert_eq!(paint(&text, 64, 64, Encoding::Png), Err(NotPainted::Lacks(Lack::Letters)));
}

#[test]
fn what_is_blank_is_no_picture() {
    let lack = |svg: &str| match paint(svg, 64, 64, Encoding::Png) {
        Err(NotPainted::Lacks(lack)) => Some(lack),
        Err(other) => panic!("{other}"),
        Ok(_) => None,
    };
    assert_eq!(lack(HOUSE), None);
    assert_eq!(lack("<svg></svg>"), Some(Lack::Shapes(0, 5)));
    let away = HOUSE.replace("<circle cx=\"80\"", "<circle cx=\"180\"").replace("rect y=\"90\"", "rect y=\"190\"");
    assert_eq!(lack(&away), Some(Lack::Shapes(4, 5)));
    let one = "<rect width=\"90\" height=\"90\" fill=\"red\"/>".repeat(6);
    assert_eq!(lack(&format!("<svg>{one}</svg>")), Some(Lack::Colours(2, 4)));
    // However many shades a sky has.
    let grey = HOUSE.replace("tan", "gray").replace("darkred", "gray").replace("brown", "gray").replace("gold", "gray");
    assert_eq!(lack(&grey), Some(Lack::Colours(2, 4)));
    // Colours that nobody can see.
    let dots = ["blue", "lime", "gold", "black"]
        .map(|colour| format!("<circle cx=\"9\" cy=\"9\" r=\"1\" fill=\"{colour}\"/>"));
    assert_eq!(lack(&format!("<svg>{one}{}</svg>", dots.join(""))), Some(Lack::Colours(2, 4)));
}

#[test]
fn what_shows_little_is_a_picture_where_little_is_enough() {
    let plain = |svg: &str| {
        let picture = Picture { width: 64, height: 64, encoding: Encoding::Png };
        Drawing::read(svg, VIEW).unwrap().paint(picture, Standard::Plain).err()
    };
    assert_eq!(plain("<svg><rect width=\"50\" height=\"50\" fill=\"red\"/></svg>"), None);
    assert_eq!(plain("<svg></svg>"), Some(NotPainted::Lacks(Lack::Shapes(0, 1))));
    let blank = [
        "<rect width=\"200\" height=\"200\" fill=\"red\"/>",
        "<rect width=\"50\" height=\"50\" fill=\"white\"/>",
        "<circle cx=\"9\" cy=\"9\" r=\"1\" fill=\"blue\"/>",
    ];
    for shape in blank {
        assert_eq!(plain(&format!("<svg>{shape}</svg>")), Some(NotPainted::Lacks(Lack::Colours(1, 2))), "{shape}");
    }
}

#[test]
fn a_picture_has_a_size_that_can_be() {
    assert_eq!(paint(HOUSE, 100_000, 100_000, Encoding::Png), Err(NotPainted::Size(100_000, 100_000)));
    assert_eq!(paint(HOUSE, 0, 9, Encoding::Png), Err(NotPainted::Size(0, 9)));
}

#[test]
fn a_picture_of_others_comes_in_the_encoding_that_is_wanted() {
    let png = paint(HOUSE, 64, 48, Encoding::Png).unwrap();
    let jpeg = paint(HOUSE, 64, 48, Encoding::Jpeg).unwrap();
    for own in [(&png, Encoding::Png), (&jpeg, Encoding::Jpeg)] {
        let as_it_came = Ok((own.0.clone(), own.1));
        assert_eq!(convert(own.0, None), as_it_came);
        assert_eq!(convert(own.0, Some(own.1)), as_it_came);
    }
    let size = |bytes: &[u8]| image::load_from_memory(bytes).map(|image| (image.width(), image.height())).unwrap();
    let (made, kind) = convert(&png, Some(Encoding::Jpeg)).unwrap();
    assert_eq!((&made[..3], kind, size(&made)), (&[0xff, 0xd8, 0xff][..], Encoding::Jpeg, (64, 48)));
    let (made, kind) = convert(&jpeg, Some(Encoding::Png)).unwrap();
    assert_eq!((&made[..4], kind, size(&made)), (&b"\x89PNG"[..], Encoding::Png, (64, 48)));
}

#[test]
fn what_can_be_seen_through_is_white_in_a_jpeg() {
    let clear = image::RgbaImage::from_pixel(16, 16, image::Rgba([200, 0, 0, 0]));
    let mut png = Vec::new();
    clear.write_to(&mut std::io::Cursor::new(&mut png), image::ImageFormat::Png).unwrap();
    let (jpeg, _) = convert(&png, Some(Encoding::Jpeg)).unwrap();
    let pixels = image::load_from_memory(&jpeg).unwrap().to_rgb8();
    assert!(pixels.pixels().all(|pixel| pixel.0.iter().all(|part| *part > 250)));
}

#[test]
fn what_is_no_whole_picture_is_refused() {
    let png = paint(HOUSE, 64, 48, Encoding::Png).unwrap();
    let jpeg = paint(HOUSE, 64, 48, Encoding::Jpeg).unwrap();
    for other in [&b""[..], b"<svg></svg>", b"GIF89a\x01\0\x01\0", b"RIFF\x0c\0\0\0WEBPVP8 ", b"\x89PNG"] {
        assert_eq!(convert(other, None), Err(NotConverted::Kind), "{}", other.escape_ascii());
    }
    assert!(matches!(convert(&png[..png.len() / 2], None), Err(NotConverted::Broken(_))));
    assert!(matches!(convert(&jpeg[..20], None), Err(NotConverted::Broken(_))));
    let sized = |width: u32, height: u32| {
        let mut png = png.clone();
        png[16..24].copy_from_slice(&[width.to_be_bytes(), height.to_be_bytes()].concat());
        // The sum of the head has to be right for it to be believed.
        let sum = crc(&png[12..29]).to_be_bytes();
        png[29..33].copy_from_slice(&sum);
        convert(&png, None)
    };
    assert_eq!(sized(16_000, 16_000), Err(NotConverted::Size(16_000, 16_000)));
    assert!(matches!(sized(100_000, 1), Err(NotConverted::Broken(_))));
}

/// The sum behind each part of a PNG (PNG, annex D).
fn crc(bytes: &[u8]) -> u32 {
    let step = |sum: u32| if sum & 1 == 1 { 0xedb8_8320 ^ (sum >> 1) } else { sum >> 1 };
    !bytes.iter().fold(u32::MAX, |sum, byte| (0..8).fold(sum ^ u32::from(*byte), |sum, _| step(sum)))
}

#[test]
fn a_drawing_that_ended_in_its_middle_ends_after_its_last_whole_shape() {
    let whole = HOUSE.strip_suffix("</svg>").unwrap();
    for (cut, ended_so) in [
        (format!("{whole}\n<!-- a tree -->\n<circle cx=\"1"), format!("{whole}</svg>")),
        (format!("{whole}<g fill=\"red\"><rect x=\"1\" width=\"2\" height=\"2\"/><rect x=\"5"), {
            format!("{whole}<g fill=\"red\"><rect x=\"1\" width=\"2\" height=\"2\"/></g></svg>")
        }),
        (format!("{whole}<text x=\"5\" y=\"20\">Café"), format!("{whole}</svg>")),
        (HOUSE.to_owned(), HOUSE.to_owned()),
    ] {
        assert_eq!(ended(&cut), ended_so);
        assert!(Drawing::read(&ended_so, VIEW).is_ok(), "{ended_so}");
    }
    for nothing in ["", "Sorry.", "<svg", "<svg>\n<rect x=\"1", "<rect/>"] {
        assert_eq!(ended(nothing), nothing);
    }
    // A gradient that is not whole makes no drawing.
    let gradient = "<svg><linearGradient id=\"sky\"><stop offset=\"0\" stop-color=\"navy\"/><stop";
    assert!(Drawing::read(&ended(gradient), VIEW).is_err());
}
