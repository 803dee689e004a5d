//! What bytes are, whatever they are said to be. Within a family a wrong name is set right; across
//! families it is refused.

use antiphon_engine::MediaKind;
use antiphon_video::Container;
use antiphon_wire::Error;

/// What bytes can be told to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Family {
    Image,
    Audio,
    /// Boxes that hold sound as well as films.
    Container,
    Video,
    /// PDF, office files, and the archives that these are.
    Document,
    Text,
    /// What none of the kinds is.
    Other,
}

/// The type of a medium: as its bytes say, or as declared where these say nothing.
///
/// # Errors
/// Of `mime_type`, when the bytes are of another family, or it is missing and cannot be told.
pub(crate) fn agreed(kind: MediaKind, declared: &str, bytes: &[u8]) -> Result<String, Error> {
    let essence = essence(declared);
    match found(bytes) {
        Some((name, family)) if fits(kind, family) && (kind != MediaKind::Document || may_be_document(&essence)) => {
            // Sound and film may be in the same box, and what a text is its bytes do not say.
            let is_finer = match family {
                Family::Image => same_image(&essence, name),
                Family::Audio | Family::Container | Family::Video => essence.contains('/'),
                Family::Document | Family::Text => !essence.is_empty(),
                Family::Other => false,
            };
            Ok(if is_finer { declared.to_owned() } else { name.to_owned() })
        }
        Some((name, _)) if essence.is_empty() || essence == name => {
            Err(Error::invalid("data", format!("expected {}, got `{name}`", a(kind))))
        }
        Some((name, _)) => Err(Error::invalid("mime_type", format!("it says `{essence}`, and the data are `{name}`"))),
        None if essence.is_empty() && kind == MediaKind::Document && is_readable(bytes) => Ok("text/plain".to_owned()),
        None if essence.is_empty() => {
            Err(Error::invalid("mime_type", "expected the type of the data, which cannot be told from them"))
        }
        None => Ok(declared.to_owned()),
    }
}

/// Whether bytes begin like an image of a kind that is decoded here.
pub(crate) fn is_decoded(bytes: &[u8]) -> bool {
    const DECODED: [&str; 6] = ["image/png", "image/jpeg", "image/gif", "image/tiff", "image/webp", "image/bmp"];
    found(bytes).is_some_and(|(name, _)| DECODED.contains(&name))
}

/// A type without its parameters.
fn essence(declared: &str) -> String {
    declared.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

fn a(kind: MediaKind) -> &'static str {
    match kind {
        MediaKind::Image => "an image",
        MediaKind::Audio => "sound",
        MediaKind::Video => "a video",
        MediaKind::Document => "a document",
    }
}

fn fits(kind: MediaKind, family: Family) -> bool {
    match kind {
        MediaKind::Image => family == Family::Image,
        MediaKind::Audio => matches!(family, Family::Audio | Family::Container),
        MediaKind::Video => matches!(family, Family::Video | Family::Container),
        MediaKind::Document => matches!(family, Family::Document | Family::Text),
    }
}

fn may_be_document(essence: &str) -> bool {
    essence.is_empty() || essence.starts_with("text/") || essence.starts_with("application/")
}

fn same_image(declared: &str, found: &str) -> bool {
    matches!((declared, found), ("image/jpg", "image/jpeg") | ("image/heif", "image/heic")) || declared == found
}

/// What the first bytes tell; none when they could be anything.
fn found(bytes: &[u8]) -> Option<(&'static str, Family)> {
    const MARKS: [(&[u8], &str, Family); 20] = [
        (b"\x89PNG\r\n\x1a\n", "image/png", Family::Image),
        (b"\xff\xd8\xff", "image/jpeg", Family::Image),
        (b"GIF87a", "image/gif", Family::Image),
        (b"GIF89a", "image/gif", Family::Image),
        (b"II*\0", "image/tiff", Family::Image),
        (b"MM\0*", "image/tiff", Family::Image),
        (b"ID3", "audio/mpeg", Family::Audio),
        (b"fLaC", "audio/flac", Family::Audio),
        (b"FORM", "audio/aiff", Family::Audio),
        (b"OggS", "audio/ogg", Family::Container),
        (b"\x1a\x45\xdf\xa3", "video/webm", Family::Container),
        (b"FLV\x01", "video/x-flv", Family::Video),
        (b"\x00\x00\x01\xba", "video/mpeg", Family::Video),
        (b"%PDF-", "application/pdf", Family::Document),
        (b"PK\x03\x04", "application/zip", Family::Document),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "application/x-ole-storage", Family::Document),
        (b"\x1f\x8b", "application/gzip", Family::Other),
        (b"7z\xbc\xaf\x27\x1c", "application/x-7z-compressed", Family::Other),
        (b"Rar!", "application/x-rar", Family::Other),
        (b"\x7fELF", "application/x-executable", Family::Other),
    ];
    if let Some((_, name, family)) = MARKS.into_iter().find(|(mark, ..)| bytes.starts_with(mark)) {
        return Some((name, family));
    }
    match (bytes.get(..4), bytes.get(4..8), bytes.get(8..12)) {
        (Some(b"RIFF"), _, Some(b"WEBP")) => return Some(("image/webp", Family::Image)),
        (Some(b"RIFF"), _, Some(b"WAVE")) => return Some(("audio/wav", Family::Audio)),
        (Some(b"RIFF"), _, Some(b"AVI ")) => return Some(("video/x-msvideo", Family::Video)),
        (_, Some(b"ftyp"), Some(b"avif" | b"avis")) => return Some(("image/avif", Family::Image)),
        (_, Some(b"ftyp"), Some(b"heic" | b"heix" | b"heim" | b"heis" | b"hevc" | b"mif1" | b"msf1")) => {
            return Some(("image/heic", Family::Image));
        }
        (_, Some(b"ftyp"), _) => return Some(("video/mp4", Family::Container)),
        _ => {}
    }
    // A frame's mark, which is no mark of UTF-16.
    if let [0xff, second, ..] = bytes
        && second & 0xe0 == 0xe0
        && !matches!(second, 0xfe | 0xff)
    {
        let name = if second & 0xf6 == 0xf0 { "audio/aac" } else { "audio/mpeg" };
        return Some((name, Family::Audio));
    }
    if bytes.starts_with(b"BM") && bytes.get(..64).is_some_and(|start| start.contains(&0)) {
        return Some(("image/bmp", Family::Image));
    }
    if let Some(container) = Container::of(bytes) {
        return Some((container.mime_type(), Family::Container));
    }
    let text = bytes.get(..512).unwrap_or(bytes).trim_ascii_start();
    let begins = |tag: &[u8]| text.get(..tag.len()).is_some_and(|start| start.eq_ignore_ascii_case(tag));
    if begins(b"<!doctype html") || begins(b"<html") {
        return Some(("text/html", Family::Text));
    }
    begins(b"<?xml").then_some(("application/xml", Family::Text))
}

/// Whether bytes can be text: there is none of the control characters that no text has.
fn is_readable(bytes: &[u8]) -> bool {
    let start = bytes.get(..1024).unwrap_or(bytes);
    let is_wide = start.starts_with(b"\xff\xfe") || start.starts_with(b"\xfe\xff");
    is_wide || !start.iter().any(|byte| matches!(byte, 0..=8 | 0x0e..=0x1a | 0x1c..=0x1f | 0x7f))
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;

    #[test]
    fn bytes_count_more_than_names_and_names_more_than_nothing() {
        let check = |kind, declared: &str, bytes: &[u8], expected: Result<&str, &str>| {
            let found = agreed(kind, declared, bytes).map_err(|error| error.message);
            assert_eq!(found.as_deref().map_err(String::as_str), expected, "{kind:?} {declared:?}");
        };
        use MediaKind::{Audio, Document, Image, Video};
        let (jpeg, pdf, mp4): (&[u8], &[u8], &[u8]) = (b"\xff\xd8\xff\xe0", b"%PDF-1.7", b"\0\0\0\x18ftypisom");
        check(Image, "image/jpeg", jpeg, Ok("image/jpeg"));
        check(Image, "image/jpg", jpeg, Ok("image/jpg"));
        check(Image, "image/png", jpeg, Ok("image/jpeg"));
        check(Image, "", jpeg, Ok("image/jpeg"));
        check(Image, "image/png", pdf, Err("`mime_type`: it says `image/png`, and the data are `application/pdf`"));
        check(Image, "", pdf, Err("`data`: expected an image, got `application/pdf`"));
        check(Document, "image/jpeg", jpeg, Err("`data`: expected a document, got `image/jpeg`"));
        check(Document, "", jpeg, Err("`data`: expected a document, got `image/jpeg`"));
        check(Document, "application/pdf", pdf, Ok("application/pdf"));
        check(Document, "text/csv; charset=utf-8", b"a;b", Ok("text/csv; charset=utf-8"));
        check(Document, "", b"a;b", Ok("text/plain"));
        check(Document, "", b"a\0b", Err("`mime_type`: expected the type of the data, which cannot be told from them"));
        check(Audio, "audio/l16", b"\xff\xfb\0\0", Ok("audio/l16"));
        check(Audio, "", b"\xff\xfb\x90\0", Ok("audio/mpeg"));
        check(Document, "", b" <!DOCTYPE html>", Ok("text/html"));
        check(Audio, "audio/m4a", mp4, Ok("audio/m4a"));
        check(Video, "", mp4, Ok("video/mp4"));
        check(Audio, "audio/mpeg", b"ID3\x04", Ok("audio/mpeg"));
        check(Audio, "audio/wav", jpeg, Err("`mime_type`: it says `audio/wav`, and the data are `image/jpeg`"));
        check(
            Video,
            "video/mp4",
            b"\x7fELF",
            Err("`mime_type`: it says `video/mp4`, and the data are `application/x-executable`"),
        );
        check(Image, "image/heic", b"\0\0\0\x18ftypheic", Ok("image/heic"));
        check(Video, "", b"\0\0\0\x08wide", Ok("video/mp4"));
        check(Document, "", b"The free market", Ok("text/plain"));
    }
}
