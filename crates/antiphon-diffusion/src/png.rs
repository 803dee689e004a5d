//! Pictures as they travel: PNG in base64.

use std::io::Cursor;

use antiphon_worker::picture::MOST_PIXELS;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use image::codecs::png::{CompressionType, FilterType, PngEncoder};
use image::{DynamicImage, ImageDecoder as _, ImageEncoder as _, RgbImage, imageops};

use crate::engine::Pixels;

/// The pixels of a picture; what is transparent in it is white.
///
/// # Errors
/// When it is no base64, no PNG, or has more than [`MOST_PIXELS`].
pub(crate) fn decode(picture: &str) -> Result<Pixels, String> {
    let wrong = |error: &dyn std::fmt::Display| format!("the picture to begin with cannot be read: {error}");
    let bytes = STANDARD.decode(picture).map_err(|error| wrong(&error))?;
    let mut decoder = image::codecs::png::PngDecoder::new(Cursor::new(bytes)).map_err(|error| wrong(&error))?;
    let (width, height) = decoder.dimensions();
    if u64::from(width) * u64::from(height) > MOST_PIXELS {
        return Err(wrong(&format!("expected at most {MOST_PIXELS} pixels, got {width} by {height}")));
    }
    decoder.set_limits(image::Limits::default()).map_err(|error| wrong(&error))?;
    let decoded = DynamicImage::from_decoder(decoder).map_err(|error| wrong(&error))?;
    let mut shown = RgbImage::from_pixel(width, height, image::Rgb([255; 3]));
    for (under, over) in shown.pixels_mut().zip(decoded.into_rgba8().pixels()) {
        let [.., alpha] = over.0;
        for (under, over) in under.0.iter_mut().zip(over.0) {
            let mixed = u16::from(over) * u16::from(alpha) + u16::from(*under) * u16::from(255 - alpha);
            *under = u8::try_from(mixed / 255).unwrap_or(u8::MAX);
        }
    }
    Ok(Pixels { width, height, bytes: shown.into_raw() })
}

/// The middle of a picture, of the size that was asked for.
///
/// # Errors
/// When it is smaller than that.
pub(crate) fn encode(pixels: Pixels, width: u32, height: u32) -> Result<String, String> {
    let Pixels { width: across, height: down, bytes } = pixels;
    let made = RgbImage::from_raw(across, down, bytes).filter(|made| made.width() >= width && made.height() >= height);
    let made = made.ok_or_else(|| format!("expected a picture of {width} by {height}, got {across} by {down}"))?;
    let middle = imageops::crop_imm(&made, (across - width) / 2, (down - height) / 2, width, height).to_image();
    let mut bytes = Vec::new();
    // It is encoded once more where it is shown.
    PngEncoder::new_with_quality(&mut bytes, CompressionType::Fast, FilterType::Adaptive)
        .write_image(&middle, width, height, image::ExtendedColorType::Rgb8)
        .map_err(|error| format!("the picture cannot be encoded: {error}"))?;
    Ok(STANDARD.encode(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_middle_of_a_larger_picture_is_given() {
        let bytes = (0..4 * 6).flat_map(|at| [at, 0, 0]).collect();
        let encoded = encode(Pixels { width: 4, height: 6, bytes }, 2, 4).unwrap();
        let Pixels { width, height, bytes } = decode(&encoded).unwrap();
        assert_eq!((width, height), (2, 4));
        let reds: Vec<_> = bytes.chunks(3).map(|pixel| pixel[0]).collect();
        assert_eq!(reds, [5, 6, 9, 10, 13, 14, 17, 18]);
        assert!(encode(Pixels { width: 2, height: 2, bytes: vec![0; 12] }, 4, 4).is_err());
    }

    #[test]
    fn what_is_transparent_is_white() {
        let mut bytes = Vec::new();
        let pixels = [255, 0, 0, 255, 0, 0, 0, 0];
        PngEncoder::new(&mut bytes).write_image(&pixels, 2, 1, image::ExtendedColorType::Rgba8).unwrap();
        assert_eq!(decode(&STANDARD.encode(bytes)).unwrap().bytes, [255, 0, 0, 255, 255, 255]);
        for wrong in ["?", "iVBORw0KGgo="] {
            assert!(decode(wrong).is_err(), "{wrong}");
        }
    }
}
