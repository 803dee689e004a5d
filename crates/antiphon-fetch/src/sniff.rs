//! What a body is: what its host says and what its first bytes say have to agree.

/// Bytes that are looked at.
pub(crate) const LOOKED_AT: usize = 1024;

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MimeError {
    #[error("the content is declared as `{declared}` and is `{found}`")]
    Disagree { declared: String, found: &'static str },
    #[error("content of type `{0}` is not read")]
    Unwanted(String),
}

/// A declared media type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Declared {
    /// In lower case, without parameters.
    pub(crate) essence: String,
    pub(crate) charset: Option<String>,
}

impl Declared {
    /// None of what is no media type, or so general that it says nothing.
    pub(crate) fn read(header: &str) -> Option<Self> {
        let mut parts = header.split(';');
        let essence = parts.next()?.trim().to_ascii_lowercase();
        let is_type = |part: &str| {
            !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$&^_.+-".contains(&byte))
        };
        let (kind, subtype) = essence.split_once('/')?;
        if essence.len() > 100 || !is_type(kind) || !is_type(subtype) {
            return None;
        }
        if matches!(essence.as_str(), "application/octet-stream" | "binary/octet-stream" | "application/unknown") {
            return None;
        }
        let charset = parts.find_map(|parameter| {
            let (name, value) = parameter.split_once('=')?;
            let value = value.trim().trim_matches('"');
            let is_label = !value.is_empty() && value.len() <= 40 && value.is_ascii();
            (is_label && name.trim().eq_ignore_ascii_case("charset")).then(|| value.to_ascii_lowercase())
        });
        Some(Self { essence, charset })
    }
}

/// Families within which a declaration is believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Family {
    Text,
    /// XML that is a picture; text and picture at once.
    Svg,
    Pdf,
    Image,
    Audio,
    Video,
    /// ISO and RIFF boxes and Ogg hold sound as well as films and pictures.
    Container,
    Archive,
    Binary,
}

/// The media type of a body.
///
/// # Errors
/// When the declaration and the bytes belong to different families.
pub(crate) fn agreed(declared: Option<&Declared>, body: &[u8]) -> Result<String, MimeError> {
    let (found, found_family) = sniffed(body, declared);
    let Some(declared) = declared else { return Ok(found.to_owned()) };
    let family = declared_family(&declared.essence);
    let agree = match family {
        Family::Text => {
            found_family == Family::Text || (found_family == Family::Svg && declared.essence.contains("xml"))
        }
        Family::Svg => found_family == Family::Svg,
        Family::Pdf => found_family == Family::Pdf,
        // The name of the format itself has to be right, too, where both are known.
        Family::Image => match found_family {
            Family::Image => same_image(&declared.essence, found),
            Family::Container => true,
            Family::Text
            | Family::Svg
            | Family::Pdf
            | Family::Audio
            | Family::Video
            | Family::Archive
            | Family::Binary => false,
        },
        // Raw and rare kinds of sound have no mark to be known by.
        Family::Audio | Family::Video | Family::Container => {
            matches!(found_family, Family::Audio | Family::Video | Family::Container | Family::Binary)
        }
        Family::Archive | Family::Binary => !matches!(found_family, Family::Text | Family::Svg),
    };
    if agree {
        return Ok(declared.essence.clone());
    }
    Err(MimeError::Disagree { declared: declared.essence.clone(), found })
}

fn declared_family(essence: &str) -> Family {
    match essence.split_once('/') {
        _ if is_text(essence) => Family::Text,
        _ if essence == "image/svg+xml" => Family::Svg,
        _ if essence == "application/pdf" => Family::Pdf,
        _ if essence == "application/ogg" => Family::Container,
        Some(("image", _)) => Family::Image,
        Some(("audio", _)) => Family::Audio,
        Some(("video", _)) => Family::Video,
        _ if ["zip", "gzip", "x-gzip", "x-tar"].iter().any(|kind| essence.ends_with(kind)) => Family::Archive,
        _ => Family::Binary,
    }
}

/// Whether a type's bytes are characters.
pub(crate) fn is_text(essence: &str) -> bool {
    let (kind, subtype) = essence.split_once('/').unwrap_or_default();
    match kind {
        "text" => true,
        "application" => {
            matches!(
                subtype,
                "json"
                    | "xml"
                    | "javascript"
                    | "ecmascript"
                    | "x-javascript"
                    | "yaml"
                    | "x-yaml"
                    | "toml"
                    | "x-ndjson"
                    | "sql"
            ) || subtype.ends_with("+json")
                || subtype.ends_with("+xml")
        }
        _ => false,
    }
}

fn same_image(declared: &str, found: &str) -> bool {
    let plain = |name: &str| match name {
        "image/jpg" | "image/pjpeg" => "image/jpeg".to_owned(),
        "image/x-ms-bmp" | "image/x-bmp" => "image/bmp".to_owned(),
        "image/apng" => "image/png".to_owned(),
        other => other.to_owned(),
    };
    plain(declared) == plain(found)
}

fn sniffed(body: &[u8], declared: Option<&Declared>) -> (&'static str, Family) {
    const MARKS: [(&[u8], &str, Family); 16] = [
        (b"\x89PNG\r\n\x1a\n", "image/png", Family::Image),
        (b"\xff\xd8\xff", "image/jpeg", Family::Image),
        (b"GIF87a", "image/gif", Family::Image),
        (b"GIF89a", "image/gif", Family::Image),
        (b"II*\0", "image/tiff", Family::Image),
        (b"MM\0*", "image/tiff", Family::Image),
        (b"ID3", "audio/mpeg", Family::Audio),
        (b"fLaC", "audio/flac", Family::Audio),
        (b"FORM", "audio/aiff", Family::Audio),
        (b"OggS", "application/ogg", Family::Container),
        (b"\x1a\x45\xdf\xa3", "video/webm", Family::Container),
        (b"PK\x03\x04", "application/zip", Family::Archive),
        (b"\x1f\x8b", "application/gzip", Family::Archive),
        (b"Rar!", "application/x-rar", Family::Archive),
        (b"7z\xbc\xaf\x27\x1c", "application/x-7z-compressed", Family::Archive),
        (b"\x7fELF", "application/x-executable", Family::Binary),
    ];
    if let Some((_, name, family)) = MARKS.into_iter().find(|(mark, ..)| body.starts_with(mark)) {
        return (name, family);
    }
    let start = &body[..body.len().min(LOOKED_AT)];
    match (start.get(..4), start.get(4..8), start.get(8..12)) {
        (Some(b"RIFF"), _, Some(b"WEBP")) => return ("image/webp", Family::Image),
        (Some(b"RIFF"), _, Some(b"WAVE")) => return ("audio/wav", Family::Audio),
        (Some(b"RIFF"), _, Some(b"AVI ")) => return ("video/x-msvideo", Family::Video),
        (_, Some(b"ftyp"), _) => return ("video/mp4", Family::Container),
        _ => {}
    }
    // Readers of PDF accept a little before the mark, and so do those who hide one.
    if start.windows(5).any(|window| window == b"%PDF-") && !looks_like_markup(start) {
        return ("application/pdf", Family::Pdf);
    }
    // Two letters alone: only when the rest is no text.
    if start.starts_with(b"BM") && start.contains(&0) {
        return ("image/bmp", Family::Image);
    }
    if let [0xff, second, ..] = start
        && second & 0xe0 == 0xe0
        && *second != 0xfe
        && *second != 0xff
    {
        return ("audio/mpeg", Family::Audio);
    }
    if !is_readable(start, declared) {
        return ("application/octet-stream", Family::Binary);
    }
    let text = String::from_utf8_lossy(start);
    let text = text.trim_start_matches(|character: char| character.is_whitespace() || character == '\u{feff}');
    if has_tag(text, &["<svg"])
        || (has_tag(text, &["<?xml", "<!doctype svg", "<!--"])
            && text.contains("<svg")
            && !text.to_ascii_lowercase().contains("<html"))
    {
        return ("image/svg+xml", Family::Svg);
    }
    if looks_like_markup(start) {
        return ("text/html", Family::Text);
    }
    if has_tag(text, &["<?xml"]) {
        return ("application/xml", Family::Text);
    }
    ("text/plain", Family::Text)
}

fn looks_like_markup(start: &[u8]) -> bool {
    let text = String::from_utf8_lossy(start);
    let text = text.trim_start_matches(|character: char| character.is_whitespace() || character == '\u{feff}');
    const TAGS: [&str; 13] = [
        "<!doctype html",
        "<html",
        "<head",
        "<body",
        "<script",
        "<title",
        "<meta",
        "<div",
        "<p",
        "<table",
        "<h1",
        "<iframe",
        "<!--",
    ];
    has_tag(text, &TAGS)
}

fn has_tag(text: &str, tags: &[&str]) -> bool {
    tags.iter().any(|tag| text.get(..tag.len()).is_some_and(|start| start.eq_ignore_ascii_case(tag)))
}

/// Whether bytes can be text: wide encodings are known by their mark or declaration; else
/// there are no control characters that no text has.
fn is_readable(start: &[u8], declared: Option<&Declared>) -> bool {
    let is_wide = start.starts_with(b"\xff\xfe")
        || start.starts_with(b"\xfe\xff")
        || declared.and_then(|declared| declared.charset.as_deref()).is_some_and(|name| name.starts_with("utf-16"));
    is_wide || !start.iter().any(|byte| matches!(byte, 0..=8 | 0x0e..=0x1a | 0x1c..=0x1f | 0x7f))
}
