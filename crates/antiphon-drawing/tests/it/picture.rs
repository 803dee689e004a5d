use antiphon_drawing::{Drawing, Encoding, Lack, NotPainted, Picture, View};
use pretty_assertions::assert_eq;
use resvg::tiny_skia::Pixmap;

const VIEW: View = View { width: 100, height: 100 };

const HOUSE: &str = "<svg><linearGradient id=\"sky\" x2=\"0\" y2=\"1\"><stop offset=\"0\" stop-color=\"navy\"/>\
    <stop offset=\"1\" stop-color=\"orange\"/></linearGradient><rect width=\"100\" height=\"100\" fill=\"url(#sky)\"/>\
    <rect x=\"30\" y=\"50\" width=\"40\" height=\"40\" fill=\"tan\"/><polygon points=\"25,50 50,30 75,50\" fill=\"darkred\"/>\
    <rect x=\"45\" y=\"70\" width=\"10\" height=\"20\" fill=\"brown\"/><circle cx=\"80\" cy=\"20\" r=\"8\" fill=\"gold\"/>\
    <rect y=\"90\" width=\"100\" height=\"10\" fill=\"darkgreen\"/></svg>";

fn paint(svg: &str, width: u32, height: u32, encoding: Encoding) -> Result<Vec<u8>, NotPainted> {
    Drawing::read(svg, VIEW).unwrap().paint(Picture { width, height, encoding })
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
    assert_eq!(lack("<svg></svg>"), Some(Lack::Shapes(0)));
    let away = HOUSE.replace("<circle cx=\"80\"", "<circle cx=\"180\"").replace("rect y=\"90\"", "rect y=\"190\"");
    assert_eq!(lack(&away), Some(Lack::Shapes(4)));
    let one = "<rect width=\"90\" height=\"90\" fill=\"red\"/>".repeat(6);
    assert_eq!(lack(&format!("<svg>{one}</svg>")), Some(Lack::Colours(2)));
    // Colours that nobody can see.
    let dots = ["blue", "lime", "gold", "black"]
        .map(|colour| format!("<circle cx=\"9\" cy=\"9\" r=\"1\" fill=\"{colour}\"/>"));
    assert_eq!(lack(&format!("<svg>{one}{}</svg>", dots.join(""))), Some(Lack::Colours(2)));
}

#[test]
fn a_picture_has_a_size_that_can_be() {
    assert_eq!(paint(HOUSE, 100_000, 100_000, Encoding::Png), Err(NotPainted::Size(100_000, 100_000)));
    assert_eq!(paint(HOUSE, 0, 9, Encoding::Png), Err(NotPainted::Size(0, 9)));
}
