//! What the bytes of a picture are: told by how they begin, never by their claimed type where they can be told.

use image::ImageFormat;

use crate::Fault;

/// What can be looked at.
pub(crate) const SUPPORTED: &str = "image/jpeg, image/png, image/webp, image/gif, image/bmp, image/tiff";

/// How a picture is kept in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Jpeg,
    Png,
    Webp,
    Gif,
    Bmp,
    Tiff,
}

/// What bytes turn out to be.
enum Found {
    Picture(Kind),
    /// A picture, but of a type that is not decoded here.
    Other(&'static str),
    /// No picture at all.
    Foreign(&'static str),
}

impl Kind {
    /// # Errors
    /// [`Fault::Empty`], [`Fault::Unknown`], [`Fault::Unsupported`] and [`Fault::Mismatch`].
    pub(crate) fn of(bytes: &[u8], claimed: Option<&str>) -> Result<Self, Fault> {
        if bytes.is_empty() {
            return Err(Fault::Empty);
        }
        let claimed = claimed.map(|claimed| {
            let shown: String = claimed.chars().filter(|c| !c.is_control()).take(100).collect();
            shown.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
        });
        match (begins(bytes), claimed) {
            (Some(Found::Picture(kind)), Some(claimed)) if !claimed.starts_with("image/") => {
                Err(Fault::Mismatch { claimed, found: kind.mime_type() })
            }
            (Some(Found::Picture(kind)), _) => Ok(kind),
            (Some(Found::Other(found)), _) => Err(Fault::Unsupported { found: found.to_owned() }),
            (Some(Found::Foreign(found)), Some(claimed)) => Err(Fault::Mismatch { claimed, found }),
            (Some(Found::Foreign(found)), None) => Err(Fault::Unsupported { found: found.to_owned() }),
            (None, Some(claimed)) => match Self::named(&claimed) {
                Some(kind) => Err(Fault::undecodable(kind.mime_type(), &"it does not begin as one")),
                None => Err(Fault::Unsupported { found: claimed }),
            },
            (None, None) => Err(Fault::Unknown),
        }
    }

    pub(crate) const fn mime_type(self) -> &'static str {
        match self {
            Self::Jpeg => "image/jpeg",
            Self::Png => "image/png",
            Self::Webp => "image/webp",
            Self::Gif => "image/gif",
            Self::Bmp => "image/bmp",
            Self::Tiff => "image/tiff",
        }
    }

    pub(crate) const fn format(self) -> ImageFormat {
        match self {
            Self::Jpeg => ImageFormat::Jpeg,
            Self::Png => ImageFormat::Png,
            Self::Webp => ImageFormat::WebP,
            Self::Gif => ImageFormat::Gif,
            Self::Bmp => ImageFormat::Bmp,
            Self::Tiff => ImageFormat::Tiff,
        }
    }

    fn named(mime_type: &str) -> Option<Self> {
        match mime_type {
            "image/jpeg" | "image/jpg" | "image/pjpeg" => Some(Self::Jpeg),
            "image/png" | "image/x-png" | "image/apng" => Some(Self::Png),
            "image/webp" => Some(Self::Webp),
            "image/gif" => Some(Self::Gif),
            "image/bmp" | "image/x-ms-bmp" => Some(Self::Bmp),
            "image/tiff" => Some(Self::Tiff),
            _ => None,
        }
    }
}

fn begins(bytes: &[u8]) -> Option<Found> {
    let at = |offset: usize, magic: &[u8]| bytes.get(offset..).is_some_and(|rest| rest.starts_with(magic));
    Some(if at(0, b"\xff\xd8\xff") {
        Found::Picture(Kind::Jpeg)
    } else if at(0, b"\x89PNG\r\n\x1a\n") {
        Found::Picture(Kind::Png)
    } else if at(0, b"RIFF") && at(8, b"WEBP") {
        Found::Picture(Kind::Webp)
    } else if at(0, b"GIF87a") || at(0, b"GIF89a") {
        Found::Picture(Kind::Gif)
    } else if at(0, b"BM") && bytes.get(6..10) == Some(&[0; 4]) {
        Found::Picture(Kind::Bmp)
    } else if at(0, b"II*\0") || at(0, b"MM\0*") {
        Found::Picture(Kind::Tiff)
    } else if at(4, b"ftyp") {
        match bytes.get(8..12)? {
            b"avif" | b"avis" => Found::Other("image/avif"),
            b"heic" | b"heix" | b"hevc" | b"hevx" | b"heim" | b"heis" => Found::Other("image/heic"),
            b"mif1" | b"msf1" => Found::Other("image/heif"),
            _ => Found::Foreign("video/mp4"),
        }
    } else if at(0, b"\0\0\0\x0cJXL ") || at(0, b"\xff\x0a") {
        Found::Other("image/jxl")
    } else if at(0, b"\0\0\0\x0cjP  ") {
        Found::Other("image/jp2")
    } else if at(0, b"8BPS") {
        Found::Other("image/vnd.adobe.photoshop")
    } else if at(0, b"\0\0\x01\0") {
        Found::Other("image/x-icon")
    } else if is_svg(bytes) {
        Found::Other("image/svg+xml")
    } else if at(0, b"%PDF-") {
        Found::Foreign("application/pdf")
    } else if at(0, b"PK\x03\x04") {
        Found::Foreign("application/zip")
    } else if at(0, b"\x1f\x8b") {
        Found::Foreign("application/gzip")
    } else if at(0, b"ID3") || at(0, b"\xff\xfb") {
        Found::Foreign("audio/mpeg")
    } else if at(0, b"OggS") {
        Found::Foreign("audio/ogg")
    } else if at(0, b"fLaC") {
        Found::Foreign("audio/flac")
    } else if at(0, b"RIFF") && at(8, b"WAVE") {
        Found::Foreign("audio/wav")
    } else if at(0, b"\x1aE\xdf\xa3") {
        Found::Foreign("video/webm")
    } else if at(0, b"\x7fELF") {
        Found::Foreign("application/x-executable")
    } else {
        return None;
    })
}

fn is_svg(bytes: &[u8]) -> bool {
    let start = String::from_utf8_lossy(&bytes[..bytes.len().min(512)]).to_ascii_lowercase();
    let start = start.trim_start_matches('\u{feff}').trim_start();
    start.starts_with("<svg") || (start.starts_with("<?xml") && start.contains("<svg"))
}
