//! Pictures that others made, whole and in the encoding that is wanted.

use std::io::Cursor;

use image::codecs::jpeg::JpegEncoder;
use image::codecs::png::PngEncoder;
use image::{DynamicImage, ImageDecoder as _, ImageFormat, ImageReader, Limits, Rgb, RgbImage};

use crate::paint::{Encoding, JPEG_QUALITY, MOST_PIXELS};

/// The longest side, in pixels.
const LONGEST_SIDE: u32 = 16_384;

/// What decoding may take, in bytes.
const MOST_MEMORY: u64 = 256 << 20;

/// Why a picture is none that can be shown.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotConverted {
    #[error("it is neither PNG nor JPEG, by its first bytes")]
    Kind,
    #[error("it has {0} × {1} pixels, more than a picture may have")]
    Size(u32, u32),
    #[error("it cannot be decoded: {0}")]
    Broken(String),
}

/// The bytes of a picture in an encoding: as they came if they are in it already, or anew. What it is
/// tell its first bytes; transparent parts of a JPEG are white.
///
/// `wanted` is none for either of the two encodings. The second part is the one that it has.
///
/// # Errors
/// [`NotConverted`], also for a picture that is not whole.
pub fn convert(bytes: &[u8], wanted: Option<Encoding>) -> Result<(Vec<u8>, Encoding), NotConverted> {
    let kind = image::guess_format(bytes).map_err(|_| NotConverted::Kind)?;
    let own = match kind {
        ImageFormat::Png => Encoding::Png,
        ImageFormat::Jpeg => Encoding::Jpeg,
        _ => return Err(NotConverted::Kind),
    };
    let mut reader = ImageReader::with_format(Cursor::new(bytes), kind);
    let mut limits = Limits::default();
    limits.max_image_width = Some(LONGEST_SIDE);
    limits.max_image_height = Some(LONGEST_SIDE);
    limits.max_alloc = Some(MOST_MEMORY);
    reader.limits(limits);
    let decoder = reader.into_decoder().map_err(broken)?;
    let (width, height) = decoder.dimensions();
    if u64::from(width) * u64::from(height) > MOST_PIXELS {
        return Err(NotConverted::Size(width, height));
    }
    let pixels = DynamicImage::from_decoder(decoder).map_err(broken)?;
    let wanted = wanted.unwrap_or(own);
    if own == wanted {
        return Ok((bytes.to_vec(), own));
    }
    let mut out = Vec::new();
    match wanted {
        Encoding::Png => pixels.write_with_encoder(PngEncoder::new(&mut out)),
        Encoding::Jpeg => on_white(&pixels).write_with_encoder(JpegEncoder::new_with_quality(&mut out, JPEG_QUALITY)),
    }
    .map_err(broken)?;
    Ok((out, wanted))
}

fn on_white(pixels: &DynamicImage) -> RgbImage {
    if !pixels.color().has_alpha() {
        return pixels.to_rgb8();
    }
    let rgba = pixels.to_rgba8();
    RgbImage::from_fn(rgba.width(), rgba.height(), |x, y| {
        let [red, green, blue, alpha] = rgba.get_pixel(x, y).0;
        let over = |part: u8| {
            let (part, alpha) = (u32::from(part), u32::from(alpha));
            u8::try_from((part * alpha + 255 * (255 - alpha)) / 255).unwrap_or(u8::MAX)
        };
        Rgb([over(red), over(green), over(blue)])
    })
}

#[expect(clippy::needless_pass_by_value, reason = "it maps errors")]
fn broken(error: image::ImageError) -> NotConverted {
    NotConverted::Broken(error.to_string().chars().take(200).collect())
}
