//! Good pictures: what they are taken for, and how they stand.

use std::io::Cursor;

use antiphon_sight::{Fault, Limits, Picture, check, decode};
use image::{DynamicImage, ImageFormat, Rgb, RgbImage};
use pretty_assertions::assert_eq;

pub(crate) fn picture(width: u32, height: u32) -> DynamicImage {
    DynamicImage::from(RgbImage::from_fn(width, height, |x, y| Rgb([(x * 7) as u8, (y * 11) as u8, (x ^ y) as u8])))
}

pub(crate) fn encoded(picture: &DynamicImage, format: ImageFormat) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    picture.write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

pub(crate) const FORMATS: [(ImageFormat, &str); 6] = [
    (ImageFormat::Jpeg, "image/jpeg"),
    (ImageFormat::Png, "image/png"),
    (ImageFormat::WebP, "image/webp"),
    (ImageFormat::Gif, "image/gif"),
    (ImageFormat::Bmp, "image/bmp"),
    (ImageFormat::Tiff, "image/tiff"),
];

/// An EXIF block that says nothing but how the picture is turned.
pub(crate) fn exif(orientation: u8) -> Vec<u8> {
    let mut block = b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0".to_vec();
    block.extend([orientation, 0, 0, 0, 0, 0, 0, 0]);
    block
}

/// A JPEG with an APP1 segment after its first marker.
pub(crate) fn with_exif(jpeg: &[u8], block: &[u8]) -> Vec<u8> {
    let mut bytes = jpeg[..2].to_vec();
    bytes.extend([0xff, 0xe1]);
    bytes.extend(u16::try_from(block.len() + 8).unwrap().to_be_bytes());
    bytes.extend(b"Exif\0\0");
    bytes.extend(block);
    bytes.extend(&jpeg[2..]);
    bytes
}

#[test]
fn every_type_is_known_by_its_bytes_whatever_picture_it_claims_to_be() {
    for (format, mime_type) in FORMATS {
        let bytes = encoded(&picture(50, 30), format);
        for claimed in [None, Some("image/png"), Some("image/jpeg; x=y"), Some("IMAGE/TIFF"), Some("image/unheard-of")]
        {
            let decoded = decode(&bytes, claimed, &Limits::default()).unwrap();
            assert_eq!((decoded.width, decoded.height, decoded.mime_type), (50, 30, mime_type), "{claimed:?}");
            assert_eq!(check(&bytes, claimed, &Limits::default()), Ok(()));
        }
    }
}

#[test]
fn a_photograph_stands_as_its_camera_was_held() {
    let jpeg = encoded(&picture(60, 40), ImageFormat::Jpeg);
    let size = |bytes: &[u8]| decode(bytes, None, &Limits::default()).map(|picture| (picture.width, picture.height));
    assert_eq!(size(&with_exif(&jpeg, &exif(1))), Ok((60, 40)));
    assert_eq!(size(&with_exif(&jpeg, &exif(6))), Ok((40, 60)));
    assert_eq!(size(&with_exif(&jpeg, &exif(3))), Ok((60, 40)));
    assert_eq!(size(&with_exif(&jpeg, &exif(77))), Ok((60, 40)), "an orientation that does not exist turns nothing");
}

#[test]
fn pixels_that_are_no_file_are_taken_only_whole() {
    assert_eq!(Picture::of_pixels(2, 1, vec![0; 6]).map(|picture| (picture.width, picture.height)), Ok((2, 1)));
    for (width, height, bytes) in [(2, 1, 5), (2, 1, 7), (0, 0, 0), (u32::MAX, u32::MAX, 3)] {
        let fault = Picture::of_pixels(width, height, vec![0; bytes]).unwrap_err();
        assert!(matches!(fault, Fault::Undecodable { .. }), "{fault:?}");
    }
}

#[test]
fn limits_are_exact() {
    let bytes = encoded(&picture(50, 30), ImageFormat::Png);
    let limits = Limits { side: 50, area: 1500, memory: 4500 };
    assert_eq!(check(&bytes, None, &limits), Ok(()));
    assert_eq!(
        check(&bytes, None, &Limits { side: 49, ..limits }),
        Err(Fault::Sides { width: 50, height: 30, most: 49 })
    );
    assert_eq!(check(&bytes, None, &Limits { area: 1499, ..limits }), Err(Fault::Pixels { pixels: 1500, most: 1499 }));
    assert_eq!(check(&bytes, None, &Limits { memory: 4499, ..limits }), Err(Fault::Memory { most: 4499 }));
}
