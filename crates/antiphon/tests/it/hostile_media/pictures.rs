//! Pictures that are damaged, that lie about their size, or that are something else.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::ZlibEncoder;

use super::case::{Case, noise, part, sample};

const LISTED: &str = "expected one of image/jpeg, image/png, image/webp, image/gif, image/bmp, image/tiff";

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = damaged();
    cases.extend(bombs());
    cases.extend(other_things());
    cases
}

fn image(mime_type: &str, bytes: &[u8]) -> serde_json::Value {
    part("image", mime_type, bytes)
}

fn damaged() -> Vec<Case> {
    let (jpeg, png) = (jpeg(), sample("conformance/media/pictures/flat-en-1.png"));
    let cut = |bytes: &[u8]| bytes[..bytes.len() / 2].to_vec();
    let mut changed = png.clone();
    changed[png.len() / 2] ^= 0xff;
    let mut codes = jpeg.clone();
    // A table of codes that says of no length that it has fewer than 255 of them.
    let table = codes.windows(2).position(|pair| pair == [0xff, 0xc4]).unwrap() + 5;
    codes[table..table + 16].fill(0xff);
    let refused =
        |name, mime_type: &str, bytes: &[u8], says| Case::refused(name, image(mime_type, bytes), "data", says);
    let as_jpeg = "image data could not be decoded as image/jpeg: ";
    let as_png = "image data could not be decoded as image/png: ";
    vec![
        refused("a JPEG cut in half", "image/jpeg", &cut(&jpeg), as_jpeg),
        refused("a JPEG of a mark alone", "image/jpeg", b"\xff\xd8\xff\xe0", as_jpeg),
        refused("a JPEG with impossible codes", "image/jpeg", &codes, as_jpeg),
        refused("a JPEG of noise", "image/jpeg", &[b"\xff\xd8\xff\xdb".as_slice(), &noise(1, 9000)].concat(), as_jpeg),
        refused("a PNG cut in half", "image/png", &cut(&png), as_png),
        refused("a PNG with a byte changed", "image/png", &changed, as_png),
        refused("a PNG of no height", "image/png", &png_of(10, 0, 8, 2, &[0; 31]), as_png),
        refused("a PNG without its pixels", "image/png", &png_of(4000, 4000, 8, 2, &[]), as_png),
        refused(
            "a GIF cut behind its head",
            "image/gif",
            &gif_of(64, 64)[..20],
            "image data could not be decoded as image/gif: ",
        ),
        refused(
            "a GIF whose codes are noise",
            "image/gif",
            &[&gif_of(900, 900)[..29], &noise(2, 2000)].concat(),
            "image data could not be decoded as image/gif: ",
        ),
        refused(
            "a WebP cut in its head",
            "image/webp",
            b"RIFF\x40\0\0\0WEBPVP8 \x30\0\0\0\0",
            "image data could not be decoded as image/webp: ",
        ),
        refused(
            "a WebP of noise",
            "image/webp",
            &webp(b"VP8L", &noise(3, 4000)),
            "image data could not be decoded as image/webp: ",
        ),
        refused(
            "a BMP cut short",
            "image/bmp",
            &bmp_of(600, 600)[..300],
            "image data could not be decoded as image/bmp: ",
        ),
        refused(
            "a BMP of a negative width",
            "image/bmp",
            &bmp_of(i32::MIN, 8),
            "image data could not be decoded as image/bmp: ",
        ),
        refused(
            "a TIFF whose directory is nowhere",
            "image/tiff",
            b"II*\0\xff\xff\xff\x7f",
            "image data could not be decoded as image/tiff: ",
        ),
        refused(
            "a TIFF whose pixels are elsewhere",
            "image/tiff",
            &tiff_of(400, 400, u32::MAX - 9),
            "image data could not be decoded as image/tiff: ",
        ),
    ]
}

fn bombs() -> Vec<Case> {
    let refused =
        |name, mime_type: &str, bytes: &[u8], says| Case::refused(name, image(mime_type, bytes), "data", says);
    vec![
        refused(
            "a PNG of 65535 x 65535",
            "image/png",
            &png_of(65_535, 65_535, 1, 0, &[]),
            "expected at most 16384 on each side",
        ),
        refused(
            "a PNG of 2000000000 x 2000000000",
            "image/png",
            &png_of(2_000_000_000, 2_000_000_000, 8, 2, &[]),
            "image takes more than",
        ),
        refused(
            "a PNG of 7000 x 7000 at 16 bits",
            "image/png",
            &png_of(7000, 7000, 16, 6, &[]),
            "image takes more than 268435456 bytes",
        ),
        refused(
            "a PNG of 16000 x 3500",
            "image/png",
            &png_of(16_000, 3_500, 1, 0, &[]),
            "image has 56000000 pixels; expected at most 50000000",
        ),
        refused(
            "a GIF of 65535 x 65535",
            "image/gif",
            &gif_of(65_535, 65_535),
            "image is 65535 x 65535 pixels; expected at most 16384",
        ),
        refused(
            "a TIFF of 65535 x 65535",
            "image/tiff",
            &tiff_of(65_535, 65_535, 8),
            "expected at most 16384 on each side",
        ),
        refused(
            "a JPEG of 65500 x 65500",
            "image/jpeg",
            &jpeg_of(65_500, 65_500),
            "image is 65500 x 65500 pixels; expected at most 16384",
        ),
        refused(
            "a JPEG of 16000 x 16000",
            "image/jpeg",
            &jpeg_of(16_000, 16_000),
            "image has 256000000 pixels; expected at most 50000000",
        ),
        refused("a JPEG of 7000 x 7000 in ten thousand scans", "image/jpeg", &scans(7000, 10_000), "image"),
        refused("a BMP of 60000 x 60000", "image/bmp", &bmp_of(60_000, 60_000), "expected at most 16384 on each side"),
        refused("a WebP of 16000 x 16000", "image/webp", &webp(b"VP8X", &canvas(16_000, 16_000)), "image"),
    ]
}

fn other_things() -> Vec<Case> {
    let refused =
        |name, mime_type: &str, bytes: &[u8], says| Case::refused(name, image(mime_type, bytes), "mime_type", says);
    let unread = |name, mime_type: &str, bytes: &[u8]| refused(name, mime_type, bytes, LISTED);
    vec![
        unread("HEIC", "image/heic", b"\0\0\0\x18ftypheic\0\0\0\0mif1heic"),
        unread("AVIF", "image/avif", b"\0\0\0\x1cftypavif\0\0\0\0avifmif1miaf"),
        unread("SVG", "image/svg+xml", b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>"),
        unread(
            "SVG that is called a PNG",
            "image/png",
            b"<svg xmlns='http://www.w3.org/2000/svg'><image href='file:///etc/passwd'/></svg>",
        ),
        unread("a picture of a type that nobody knows", "image/x-unheard-of", &noise(4, 500)),
        refused(
            "a PDF that is called a PNG",
            "image/png",
            b"%PDF-1.7\n%%EOF\n",
            "it says `image/png`, and the data are `application/pdf`",
        ),
        refused(
            "a program that is called a JPEG",
            "image/jpeg",
            &[b"\x7fELF\x02\x01\x01".as_slice(), &noise(5, 500)].concat(),
            "the data are `application/x-executable`",
        ),
        refused(
            "an archive that is called a WebP",
            "image/webp",
            b"PK\x03\x04\x14\0",
            "the data are `application/zip`",
        ),
        refused(
            "a page that is called a GIF",
            "image/gif",
            b"<!DOCTYPE html><script>alert(1)</script>",
            "the data are `text/html`",
        ),
        Case::refused(
            "words that are called a JPEG",
            image("image/jpeg", b"only words"),
            "data",
            "could not be decoded as image/jpeg: it does not begin as one",
        ),
        Case::refused(
            "noise without a type",
            image("", &noise(6, 500)),
            "mime_type",
            "expected the type of the data, which cannot be told from them",
        ),
    ]
}

fn jpeg() -> Vec<u8> {
    sample("conformance/media/pictures/flat-en-2.jpg")
}

/// A JPEG whose head says another size.
fn jpeg_of(width: u16, height: u16) -> Vec<u8> {
    let mut bytes = jpeg();
    let frame = bytes.windows(2).position(|pair| pair == [0xff, 0xc0] || pair == [0xff, 0xc2]).unwrap();
    bytes[frame + 5..frame + 7].copy_from_slice(&height.to_be_bytes());
    bytes[frame + 7..frame + 9].copy_from_slice(&width.to_be_bytes());
    bytes
}

/// A grey JPEG that is told in so many scans, each of which says of all of its blocks that nothing changes.
fn scans(side: u16, count: usize) -> Vec<u8> {
    let segment = |marker: u8, body: &[u8]| {
        let length = u16::try_from(body.len() + 2).unwrap().to_be_bytes();
        [&[0xff, marker], length.as_slice(), body].concat()
    };
    let mut bytes = b"\xff\xd8".to_vec();
    bytes.extend(segment(0xdb, &[&[0], [1; 64].as_slice()].concat()));
    let [high, low] = side.to_be_bytes();
    bytes.extend(segment(0xc2, &[8, high, low, high, low, 1, 1, 0x11, 0]));
    // Of both tables the one code is of one bit: no difference, and the end of 16,384 blocks or more.
    let table = |class: u8, symbol: u8| [&[class, 1], [0; 15].as_slice(), &[symbol]].concat();
    bytes.extend(segment(0xc4, &table(0x00, 0)));
    bytes.extend(segment(0xc4, &table(0x10, 0xe0)));
    let blocks = usize::from(side).div_ceil(8).pow(2);
    bytes.extend(segment(0xda, &[1, 1, 0, 0, 0, 0]));
    bytes.extend(vec![0; blocks.div_ceil(8)]);
    for _ in 0..count {
        bytes.extend(segment(0xda, &[1, 1, 0, 1, 63, 0]));
        // Fifteen bits for each run: the code, and fourteen of how many blocks there are beyond 16,384.
        bytes.extend(vec![0; (blocks.div_ceil(16_384) * 15).div_ceil(8)]);
    }
    bytes.extend(b"\xff\xd9");
    bytes
}

/// A PNG whose head says so, around `pixels` that are packed.
fn png_of(width: u32, height: u32, depth: u8, colour: u8, pixels: &[u8]) -> Vec<u8> {
    let mut packer = ZlibEncoder::new(Vec::new(), Compression::fast());
    packer.write_all(pixels).unwrap();
    let head = [&width.to_be_bytes(), &height.to_be_bytes(), [depth, colour, 0, 0].as_slice(), &[0]].concat();
    let chunks = [chunk(b"IHDR", &head), chunk(b"IDAT", &packer.finish().unwrap()), chunk(b"IEND", &[])];
    [b"\x89PNG\r\n\x1a\n".to_vec(), chunks.concat()].concat()
}

fn chunk(kind: &[u8; 4], data: &[u8]) -> Vec<u8> {
    let named = [kind.as_slice(), data].concat();
    let mut sum = flate2::Crc::new();
    sum.update(&named);
    [u32::try_from(data.len()).unwrap().to_be_bytes().as_slice(), &named, &sum.sum().to_be_bytes()].concat()
}

/// A GIF with one frame, of which there is next to nothing.
fn gif_of(width: u16, height: u16) -> Vec<u8> {
    let size = [width.to_le_bytes(), height.to_le_bytes()].concat();
    let head = [b"GIF89a".as_slice(), &size, &[0x80, 0, 0, 0, 0, 0, 255, 255, 255]].concat();
    [head.as_slice(), b"\x2c\0\0\0\0", &size, &[0, 2, 2, 0x4c, 0x01, 0, 0x3b]].concat()
}

fn webp(kind: &[u8; 4], body: &[u8]) -> Vec<u8> {
    let size = u32::try_from(body.len()).unwrap();
    let chunk = [kind.as_slice(), &size.to_le_bytes(), body].concat();
    [b"RIFF".as_slice(), &(size + 12).to_le_bytes(), b"WEBP", &chunk].concat()
}

/// What an extended WebP says of its canvas.
fn canvas(width: u32, height: u32) -> Vec<u8> {
    [&[0; 4], &(width - 1).to_le_bytes()[..3], &(height - 1).to_le_bytes()[..3]].concat()
}

fn bmp_of(width: i32, height: i32) -> Vec<u8> {
    let mut bytes = b"BM\x36\x03\0\0\0\0\0\0\x36\0\0\0\x28\0\0\0".to_vec();
    bytes.extend(width.to_le_bytes());
    bytes.extend(height.to_le_bytes());
    bytes.extend(b"\x01\0\x18\0");
    bytes.extend([0; 24]);
    bytes.extend(noise(7, 768));
    bytes
}

/// A grey TIFF of one strip that begins at `place`.
fn tiff_of(width: u32, height: u32, place: u32) -> Vec<u8> {
    let tags: [(u16, u32); 8] =
        [(256, width), (257, height), (258, 8), (259, 1), (262, 1), (273, place), (278, height), (279, width)];
    let mut bytes = b"II*\0\x08\0\0\0\x08\0".to_vec();
    for (tag, value) in tags {
        bytes.extend(tag.to_le_bytes());
        bytes.extend(b"\x04\0\x01\0\0\0");
        bytes.extend(value.to_le_bytes());
    }
    bytes.extend([0; 4]);
    bytes
}
