//! The bytes of a picture become pixels, within limits that are checked before anything large is allocated.

use std::io::Cursor;
use std::panic::catch_unwind;

use image::imageops::{self, FilterType};
use image::{DynamicImage, ImageDecoder as _, ImageReader, RgbImage};

use crate::Fault;
use crate::kind::Kind;

/// Pixels are kept with at most this many on the longest side: nothing here looks closer.
const LONGEST_KEPT: u32 = 4096;

/// What a picture may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// In pixels, of each side.
    pub side: u32,
    /// In pixels.
    pub area: u64,
    /// In bytes, of what is decoded.
    pub memory: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { side: 16_384, area: 50_000_000, memory: 256 << 20 }
    }
}

/// A picture that can be looked at, upright as its maker meant it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Picture {
    /// In pixels, as it came.
    pub width: u32,
    pub height: u32,
    /// What its bytes are.
    pub mime_type: &'static str,
    /// The picture, or a smaller one of the same shape.
    pub(crate) pixels: RgbImage,
}

impl Picture {
    /// One that is no file: a rendered page, a frame. `pixels` are three bytes each, row by row.
    ///
    /// # Errors
    /// [`Fault::Undecodable`] when there are not exactly `width * height` pixels, or none.
    pub fn of_pixels(width: u32, height: u32, pixels: Vec<u8>) -> Result<Self, Fault> {
        let found = pixels.len();
        let wanted = u64::from(width).saturating_mul(u64::from(height)).saturating_mul(3);
        match RgbImage::from_raw(width, height, pixels) {
            Some(whole) if found > 0 && found as u64 == wanted => {
                Ok(Self { width, height, mime_type: "image/raw", pixels: kept(whole) })
            }
            Some(_) | None => {
                let reason = format!("expected {width} x {height} pixels of 3 bytes, got {found} bytes");
                Err(Fault::undecodable("image/raw", &reason))
            }
        }
    }
}

/// The pixels of a picture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pixels {
    pub width: u32,
    pub height: u32,
    /// Red, green and blue, a byte each, row by row.
    pub bytes: Vec<u8>,
}

impl Pixels {
    /// What [`Pixels::read`] reads: the sides, and the bytes.
    #[must_use]
    pub fn write(mut self) -> Vec<u8> {
        let sides = [self.width.to_le_bytes(), self.height.to_le_bytes()].concat();
        self.bytes.splice(0..0, sides);
        self.bytes
    }

    /// None unless there are as many bytes as pixels ask for.
    #[must_use]
    pub fn read(written: &[u8]) -> Option<Self> {
        let (width, rest) = written.split_first_chunk()?;
        let (height, bytes) = rest.split_first_chunk()?;
        let (width, height) = (u32::from_le_bytes(*width), u32::from_le_bytes(*height));
        let wanted = u64::from(width).checked_mul(u64::from(height))?.checked_mul(3)?;
        (bytes.len() as u64 == wanted && wanted > 0).then(|| Self { width, height, bytes: bytes.to_vec() })
    }
}

impl Picture {
    /// Its pixels, with at most `side` of them on the longest side.
    #[must_use]
    pub fn within(self, side: u32) -> Pixels {
        let (width, height) = self.pixels.dimensions();
        let longest = width.max(height);
        let pixels = if longest <= side {
            self.pixels
        } else {
            let shrunk = |length: u32| ((u64::from(length) * u64::from(side) / u64::from(longest)) as u32).max(1);
            scaled(&self.pixels, shrunk(width), shrunk(height))
        };
        Pixels { width: pixels.width(), height: pixels.height(), bytes: pixels.into_raw() }
    }
}

/// Whether `bytes` are a picture that can be looked at: what [`decode`] would say of it.
///
/// # Errors
/// Those of [`decode`].
pub fn check(bytes: &[u8], claimed: Option<&str>, limits: &Limits) -> Result<(), Fault> {
    let kind = Kind::of(bytes, claimed)?;
    open(bytes, kind, limits).map(drop)
}

/// Decodes a picture; of an animation the first frame, of several pages the first. `claimed` is its `mime_type`.
///
/// # Errors
/// [`Fault`] when it is no picture, is damaged, or exceeds a limit.
pub fn decode(bytes: &[u8], claimed: Option<&str>, limits: &Limits) -> Result<Picture, Fault> {
    let kind = Kind::of(bytes, claimed)?;
    let whole = open(bytes, kind, limits)?;
    let (width, height) = (whole.width(), whole.height());
    Ok(Picture { width, height, mime_type: kind.mime_type(), pixels: kept(on_paper(whole)) })
}

fn open(bytes: &[u8], kind: Kind, limits: &Limits) -> Result<DynamicImage, Fault> {
    // The decoders are no code of ours: one that panics has met a file that it cannot decode.
    catch_unwind(|| read(bytes, kind, limits))
        .unwrap_or_else(|_| Err(Fault::undecodable(kind.mime_type(), &"the decoder gave up")))
}

fn read(bytes: &[u8], kind: Kind, limits: &Limits) -> Result<DynamicImage, Fault> {
    let failed = |error: image::ImageError| match error {
        image::ImageError::Limits(_) => Fault::Memory { most: limits.memory },
        error => Fault::undecodable(kind.mime_type(), &error),
    };
    if kind == Kind::Jpeg && !ends(bytes) {
        return Err(Fault::undecodable(kind.mime_type(), &"it ends too early"));
    }
    let mut reader = ImageReader::with_format(Cursor::new(bytes), kind.format());
    let mut allowed = image::Limits::no_limits();
    allowed.max_alloc = Some(limits.memory);
    reader.limits(allowed);
    let mut decoder = reader.into_decoder().map_err(failed)?;
    let (width, height) = decoder.dimensions();
    if width > limits.side || height > limits.side {
        return Err(Fault::Sides { width, height, most: limits.side });
    }
    let pixels = u64::from(width) * u64::from(height);
    if pixels > limits.area {
        return Err(Fault::Pixels { pixels, most: limits.area });
    }
    if pixels == 0 {
        return Err(Fault::undecodable(kind.mime_type(), &format!("it is {width} x {height} pixels")));
    }
    if decoder.total_bytes() > limits.memory {
        return Err(Fault::Memory { most: limits.memory });
    }
    // One that cannot be read turns nothing.
    let orientation = decoder.orientation();
    let mut whole = DynamicImage::from_decoder(decoder).map_err(failed)?;
    if let Ok(orientation) = orientation {
        whole.apply_orientation(orientation);
    }
    Ok(whole)
}

/// Whether the coded pixels of a JPEG end with its end marker. The decoder would paint what is missing in grey.
fn ends(bytes: &[u8]) -> bool {
    let mut at = 2;
    // Segments of a marker and a length, up to the first scan; what is before may hold a small JPEG of its own.
    while let Some(&[0xff, marker, high, low]) = bytes.get(at..at + 4) {
        match marker {
            0xff => at += 1,
            0xda => return bytes[at..].windows(2).any(|pair| pair == [0xff, 0xd9]),
            _ => at += 2 + usize::from(u16::from_be_bytes([high, low])),
        }
    }
    // No scan at all is for the decoder to tell.
    true
}

/// The picture as it looks on paper: where it is transparent the paper shows, and its writing stands out from it.
fn on_paper(whole: DynamicImage) -> RgbImage {
    if !whole.color().has_alpha() {
        return whole.into_rgb8();
    }
    let seen = whole.into_rgba8();
    let (width, height) = seen.dimensions();
    let (mut light, mut weight) = (0_u64, 0_u64);
    for pixel in seen.pixels() {
        let [red, green, blue, alpha] = pixel.0.map(u64::from);
        light += (red + green + blue) * alpha;
        weight += 3 * alpha;
    }
    let is_light = weight < 765 * u64::from(width) * u64::from(height) && light > 160 * weight;
    let paper = if is_light { 0 } else { 255 };
    // In place: a second picture of this size would double the memory.
    let mut bytes = seen.into_raw();
    let pixels = bytes.len() / 4;
    for number in 0..pixels {
        let alpha = u32::from(bytes[4 * number + 3]);
        for channel in 0..3 {
            let ink = u32::from(bytes[4 * number + channel]);
            bytes[3 * number + channel] = ((ink * alpha + paper * (255 - alpha) + 127) / 255) as u8;
        }
    }
    bytes.truncate(3 * pixels);
    RgbImage::from_raw(width, height, bytes).unwrap_or_default()
}

/// At most [`LONGEST_KEPT`] on the longest side.
fn kept(whole: RgbImage) -> RgbImage {
    let (width, height) = whole.dimensions();
    let longest = width.max(height);
    if longest <= LONGEST_KEPT {
        return whole;
    }
    let shrunk = |side: u32| ((u64::from(side) * u64::from(LONGEST_KEPT) / u64::from(longest)) as u32).max(1);
    scaled(&whole, shrunk(width), shrunk(height))
}

/// The same picture in another size.
pub(crate) fn scaled(whole: &RgbImage, width: u32, height: u32) -> RgbImage {
    // The smooth filter works in four floats for each pixel, so that it gets nothing large.
    let (wide, high) = (width.saturating_mul(2), height.saturating_mul(2));
    if whole.width() > wide || whole.height() > high {
        let nearer = imageops::thumbnail(whole, wide.min(whole.width()), high.min(whole.height()));
        return imageops::resize(&nearer, width, height, FilterType::Triangle);
    }
    imageops::resize(whole, width, height, FilterType::Triangle)
}
