//! Pictures, told by their first bytes and not by their names.

use std::path::PathBuf;

/// A picture that a program left in its workspace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Picture {
    /// In the workspace.
    pub path: PathBuf,
    pub kind: PictureKind,
    pub bytes: Vec<u8>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PictureKind {
    Png,
    Jpeg,
    Gif,
    Webp,
    Svg,
}

impl PictureKind {
    /// How many bytes of a file tell what it is.
    pub(crate) const HEAD: usize = 1024;

    pub fn mime_type(self) -> &'static str {
        match self {
            Self::Png => "image/png",
            Self::Jpeg => "image/jpeg",
            Self::Gif => "image/gif",
            Self::Webp => "image/webp",
            Self::Svg => "image/svg+xml",
        }
    }

    /// By the beginning of a file. Nothing is decoded: whoever shows it still has to.
    pub(crate) fn of(head: &[u8]) -> Option<Self> {
        if head.starts_with(b"\x89PNG\r\n\x1a\n") {
            Some(Self::Png)
        } else if head.starts_with(b"\xff\xd8\xff") {
            Some(Self::Jpeg)
        } else if head.starts_with(b"GIF87a") || head.starts_with(b"GIF89a") {
            Some(Self::Gif)
        } else if head.starts_with(b"RIFF") && head.get(8..12) == Some(b"WEBP") {
            Some(Self::Webp)
        } else if is_svg(&head[..head.len().min(Self::HEAD)]) {
            Some(Self::Svg)
        } else {
            None
        }
    }
}

/// Whether the first element is `svg`, behind the declaration, the document type and comments.
fn is_svg(head: &[u8]) -> bool {
    let head = String::from_utf8_lossy(head);
    let mut rest = head.trim_start_matches('\u{feff}').trim_start();
    loop {
        let end = if rest.starts_with("<!--") {
            "-->"
        } else if rest.starts_with("<?") {
            "?>"
        } else if rest.starts_with("<!DOCTYPE svg") {
            ">"
        } else {
            break;
        };
        let Some((_, behind)) = rest.split_once(end) else { return false };
        rest = behind.trim_start();
    }
    rest.strip_prefix("<svg").is_some_and(|rest| rest.starts_with([' ', '\n', '\r', '\t', '>', '/']))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_are_told_by_their_bytes() {
        let check = |head: &[u8], expected| assert_eq!(PictureKind::of(head), expected, "{:?}", head.escape_ascii());
        check(b"\x89PNG\r\n\x1a\nrest", Some(PictureKind::Png));
        check(b"\xff\xd8\xff\xe0", Some(PictureKind::Jpeg));
        check(b"GIF89a...", Some(PictureKind::Gif));
        check(b"RIFF\x10\0\0\0WEBPVP8 ", Some(PictureKind::Webp));
        check(b"RIFF\x10\0\0\0WAVEfmt ", None);
        check(b"<svg xmlns='x'/>", Some(PictureKind::Svg));
        check(
            b"\xef\xbb\xbf <?xml version='1.0'?>\n<!-- a -->\n<!DOCTYPE svg PUBLIC 'a' 'b'>\n<svg>",
            Some(PictureKind::Svg),
        );
        check(b"<html><svg></svg></html>", None);
        check(b"<svgx>", None);
        check(b"<!-- no end <svg>", None);
        check(b"", None);
        check(b"\x89PN", None);
    }
}
