//! Hostile pictures, each with what its sender is told.

use antiphon_sight::{Limits, check, decode};
use image::ImageFormat;
use pretty_assertions::assert_eq;
use proptest::prelude::*;

use crate::picture::{FORMATS, encoded, exif, picture, with_exif};

const SUPPORTED: &str = "image/jpeg, image/png, image/webp, image/gif, image/bmp, image/tiff";

/// What is said of `bytes`, the same at acceptance and when they are decoded.
fn refusal(bytes: &[u8], claimed: Option<&str>) -> String {
    let fault = decode(bytes, claimed, &Limits::default()).unwrap_err();
    assert_eq!(check(bytes, claimed, &Limits::default()), Err(fault.clone()));
    fault.to_string()
}

/// A PNG chunk.
fn chunk(kind: &[u8; 4], data: &[u8]) -> Vec<u8> {
    let mut crc = u32::MAX;
    for &byte in kind.iter().chain(data) {
        crc ^= u32::from(byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 };
        }
    }
    let mut chunk = u32::try_from(data.len()).unwrap().to_be_bytes().to_vec();
    chunk.extend(kind);
    chunk.extend(data);
    chunk.extend((!crc).to_be_bytes());
    chunk
}

/// A PNG whose header says so, and that has nothing to show.
fn png_of(width: u32, height: u32, depth: u8, colour: u8) -> Vec<u8> {
    let mut header = width.to_be_bytes().to_vec();
    header.extend(height.to_be_bytes());
    header.extend([depth, colour, 0, 0, 0]);
    [b"\x89PNG\r\n\x1a\n".to_vec(), chunk(b"IHDR", &header), chunk(b"IDAT", &[]), chunk(b"IEND", &[])].concat()
}

/// The start of a GIF of that size, with one frame.
fn gif_of(width: u16, height: u16) -> Vec<u8> {
    let mut bytes = b"GIF89a".to_vec();
    bytes.extend(width.to_le_bytes());
    bytes.extend(height.to_le_bytes());
    bytes.extend([0x80, 0, 0, 0, 0, 0, 255, 255, 255]);
    bytes.extend(b"\x2c\0\0\0\0");
    bytes.extend(width.to_le_bytes());
    bytes.extend(height.to_le_bytes());
    bytes.extend([0, 2, 2, 0x4c, 0x01, 0, 0x3b]);
    bytes
}

fn bmp_of(width: i32, height: i32) -> Vec<u8> {
    let mut bytes = encoded(&picture(8, 8), ImageFormat::Bmp);
    bytes[18..22].copy_from_slice(&width.to_le_bytes());
    bytes[22..26].copy_from_slice(&height.to_le_bytes());
    bytes
}

/// A JPEG whose frame header says another size.
fn jpeg_of(width: u16, height: u16) -> Vec<u8> {
    let mut bytes = encoded(&picture(8, 8), ImageFormat::Jpeg);
    let frame = bytes.windows(2).position(|pair| pair == [0xff, 0xc0]).unwrap();
    bytes[frame + 5..frame + 7].copy_from_slice(&height.to_be_bytes());
    bytes[frame + 7..frame + 9].copy_from_slice(&width.to_be_bytes());
    bytes
}

/// A lossy WebP whose canvas says a size.
fn webp_of(width: u32, height: u32) -> Vec<u8> {
    let inner = encoded(&picture(8, 8), ImageFormat::WebP)[12..].to_vec();
    let mut canvas = vec![0; 4];
    canvas.extend(&(width - 1).to_le_bytes()[..3]);
    canvas.extend(&(height - 1).to_le_bytes()[..3]);
    let mut body = b"WEBPVP8X\x0a\0\0\0".to_vec();
    body.extend(canvas);
    body.extend(inner);
    let mut bytes = b"RIFF".to_vec();
    bytes.extend(u32::try_from(body.len()).unwrap().to_le_bytes());
    bytes.extend(body);
    bytes
}

#[test]
fn what_is_no_picture_is_named() {
    let is = |found: &str, claimed: &str| format!("image data is {found}, but its mime_type is {claimed}");
    for (bytes, claimed, expected) in [
        (&b""[..], Some("image/png"), "image data is empty".to_owned()),
        (b"%PDF-1.7\n", Some("image/jpeg"), is("application/pdf", "image/jpeg")),
        (b"PK\x03\x04rest", Some("image/png"), is("application/zip", "image/png")),
        (b"\x7fELF\x02\x01", Some("image/png"), is("application/x-executable", "image/png")),
        (b"RIFF\0\0\0\0WAVEfmt ", Some("image/webp"), is("audio/wav", "image/webp")),
        (b"\0\0\0\x18ftypisom", Some("image/heic"), is("video/mp4", "image/heic")),
        (b"\x89PNG\r\n\x1a\n", Some("application/pdf"), is("image/png", "application/pdf")),
        (
            b"\0\0\0\x18ftypheic",
            Some("image/heic"),
            format!("image/heic is not supported; expected one of {SUPPORTED}"),
        ),
        (
            b"\0\0\0\x18ftypavif",
            Some("image/jpeg"),
            format!("image/avif is not supported; expected one of {SUPPORTED}"),
        ),
        (
            b"<svg onload='x'>",
            Some("image/png"),
            format!("image/svg+xml is not supported; expected one of {SUPPORTED}"),
        ),
        (b"words", Some("image/x-thing"), format!("image/x-thing is not supported; expected one of {SUPPORTED}")),
        (b"words", None, format!("image data is of no known type; expected one of {SUPPORTED}")),
        (
            b"words",
            Some("image/jpeg"),
            "image data could not be decoded as image/jpeg: it does not begin as one".to_owned(),
        ),
    ] {
        assert_eq!(refusal(bytes, claimed), expected);
    }
}

#[test]
fn a_claimed_type_is_repeated_only_as_plain_words_of_bounded_length() {
    let message = refusal(b"words", Some(&format!("image/\n\x1b[2J{}", "x".repeat(10_000))));
    assert!(message.len() < 300 && !message.contains(['\n', '\x1b']), "{message}");
}

#[test]
fn bombs_of_pixels_are_refused_before_they_are_decoded() {
    let sides =
        |width: u32, height: u32| format!("image is {width} x {height} pixels; expected at most 16384 on each side");
    let pixels = |pixels: u64| format!("image has {pixels} pixels; expected at most 50000000");
    let memory = "image takes more than 268435456 bytes when it is decoded".to_owned();
    for (bytes, expected) in [
        (png_of(2_000_000_000, 2_000_000_000, 8, 2), memory.clone()),
        (png_of(16_385, 1, 8, 2), sides(16_385, 1)),
        (png_of(10_000, 5_001, 1, 0), pixels(50_010_000)),
        (gif_of(65_535, 65_535), sides(65_535, 65_535)),
        (jpeg_of(65_500, 65_500), sides(65_500, 65_500)),
        (jpeg_of(16_000, 16_000), pixels(256_000_000)),
        (bmp_of(60_000, 60_000), sides(60_000, 60_000)),
        (png_of(7_000, 7_000, 16, 6), memory),
    ] {
        assert_eq!(refusal(&bytes, None), expected);
    }
}

#[test]
fn sizes_that_the_bytes_do_not_bear_out_are_refused() {
    for (bytes, mime_type) in [
        (png_of(4_000, 4_000, 8, 2), "image/png"),
        (png_of(0, 10, 8, 2), "image/png"),
        (gif_of(5_000, 5_000), "image/gif"),
        (bmp_of(7_000, 7_000), "image/bmp"),
        (bmp_of(8, i32::MIN), "image/bmp"),
        (webp_of(7_000, 7_000), "image/webp"),
    ] {
        let message = refusal(&bytes, None);
        assert!(message.starts_with(&format!("image data could not be decoded as {mime_type}: ")), "{message}");
    }
}

#[test]
fn truncated_pictures_are_refused_in_every_type() {
    for (format, mime_type) in FORMATS {
        let whole = encoded(&picture(120, 90), format);
        // Short of its end, which holds no pixels in some types.
        for length in [9, whole.len() / 8, whole.len() / 2, whole.len() * 7 / 8] {
            let message = refusal(&whole[..length], Some(mime_type));
            assert!(
                message.starts_with(&format!("image data could not be decoded as {mime_type}: ")),
                "{length} of {}: {message}",
                whole.len()
            );
        }
    }
}

#[test]
fn a_truncated_photograph_is_not_saved_by_the_small_one_inside_of_it() {
    let small = encoded(&picture(16, 16), ImageFormat::Jpeg);
    let whole = with_exif(&encoded(&picture(120, 90), ImageFormat::Jpeg), &[exif(1), small].concat());
    assert_eq!(check(&whole, None, &Limits::default()), Ok(()));
    assert_eq!(
        refusal(&whole[..whole.len() - 100], None),
        "image data could not be decoded as image/jpeg: it ends too early"
    );
}

#[test]
fn damage_inside_is_found_where_the_type_has_checksums() {
    let mut bytes = encoded(&picture(120, 90), ImageFormat::Png);
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0xff;
    assert!(refusal(&bytes, None).starts_with("image data could not be decoded as image/png: "));
}

#[test]
fn what_is_beside_the_pixels_does_no_harm() {
    let jpeg = encoded(&picture(60, 40), ImageFormat::Jpeg);
    // As much as a segment holds, twenty times, and a list of tags that leads to itself.
    let huge = (0..20).fold(jpeg.clone(), |jpeg, _| with_exif(&jpeg, &vec![0x41; 65_000]));
    let mut circle = exif(6);
    circle[22..26].copy_from_slice(&8_u32.to_le_bytes());
    let polyglot = [jpeg.as_slice(), b"PK\x03\x04", b"%PDF-1.7", b"<script>alert(1)</script>"].concat();
    for bytes in [huge, with_exif(&jpeg, &circle), with_exif(&jpeg, b"II*\0\xff\xff\xff\xff"), polyglot] {
        let decoded = decode(&bytes, Some("image/jpeg"), &Limits::default()).unwrap();
        assert_eq!(decoded.width + decoded.height, 100);
    }
}

#[test]
fn of_an_animation_only_the_first_frame_is_decoded() {
    let still = encoded(&picture(4, 4), ImageFormat::Gif);
    assert_eq!(check(&still, None, &Limits::default()), Ok(()));
    // A hundred thousand frames more, each as large as the picture says, none of them whole.
    let mut gif = still[..still.len() - 1].to_vec();
    for _ in 0..100_000 {
        gif.extend(b"\x2c\0\0\0\0\x04\0\x04\0\0\x02\x01\x44\0");
    }
    let decoded = decode(&gif, None, &Limits::default()).unwrap();
    assert_eq!((decoded.width, decoded.height), (4, 4));
}

proptest! {
    #[test]
    fn no_bytes_stop_the_decoder(
        format in 0..FORMATS.len(), changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..12),
    ) {
        let mut bytes = encoded(&picture(24, 18), FORMATS[format].0);
        for (at, value) in changes {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        // Small, so that a header that says more than the bytes bear is no work.
        let limits = Limits { side: 2000, area: 1_000_000, memory: 16 << 20 };
        let decoded = decode(&bytes, None, &limits);
        prop_assert_eq!(decoded.as_ref().err().cloned(), check(&bytes, None, &limits).err());
        if let Ok(picture) = decoded {
            prop_assert!(picture.width <= 2000 && picture.height <= 2000);
        }
    }
}
