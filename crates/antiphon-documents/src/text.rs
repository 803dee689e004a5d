//! Characters: plain text of any encoding, and HTML.

use std::borrow::Cow;

use antiphon_fetch::extract::{Bounds, extract};
use chardetng::{EncodingDetector, Iso2022JpDetection, Utf8Detection};
use encoding_rs::{Encoding, UTF_8, UTF_16BE, UTF_16LE};

use crate::document::{Document, Options, Part, Parts};
use crate::fault::Fault;
use crate::kind::Kind;
use crate::limits::MOST_BYTES;
use crate::output::Output;

/// Bytes by which text is told from what is none, and its encoding guessed.
const LOOKED_AT: usize = 64 << 10;

/// Where a page has to say its encoding (HTML, 4.2.5.4).
const SAID_WITHIN: usize = 1024;

/// Decodes text: by its byte order mark, else as declared, else as what it looks like.
pub(crate) fn decode<'a>(bytes: &'a [u8], declared: Option<&str>) -> Cow<'a, str> {
    let declared = declared.and_then(|label| Encoding::for_label(label.as_bytes()));
    // The byte order mark goes before the rest, and is taken away.
    declared.unwrap_or_else(|| guessed(bytes)).decode(bytes).0
}

/// Whether bytes can be text of some encoding: no control characters that no text has, unless every
/// other byte is the empty half of a character.
pub(crate) fn is_readable(bytes: &[u8]) -> bool {
    let start = &bytes[..bytes.len().min(LOOKED_AT)];
    let is_control = |byte: &u8| matches!(byte, 0..=8 | 0x0e..=0x1a | 0x1c..=0x1f | 0x7f);
    is_wide(start).is_some() || !start.iter().any(is_control)
}

pub(crate) fn looks_like_html(bytes: &[u8]) -> bool {
    let start = decode(&bytes[..bytes.len().min(LOOKED_AT)], None);
    let start = start.trim_start();
    let begins = |tag: &str| start.get(..tag.len()).is_some_and(|start| start.eq_ignore_ascii_case(tag));
    ["<!doctype html", "<html", "<head", "<body"].into_iter().any(begins)
}

pub(crate) fn read_plain(text: &str, options: &Options) -> Document {
    let mut parts = Parts::new(options);
    let mut output = Output::new(parts.left);
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '\r' if characters.peek() == Some(&'\n') => {}
            '\r' => output.push('\n'),
            '\n' | '\t' => output.push(character),
            _ if character.is_control() => {}
            _ => output.push(character),
        }
        if output.is_cut {
            break;
        }
    }
    parts.add(whole(output.text), output.is_cut);
    parts.document(Kind::Text, 1)
}

pub(crate) fn read_html(bytes: &[u8], charset: Option<&str>, options: &Options) -> Result<Document, Fault> {
    let mut parts = Parts::new(options);
    let start = bytes[..bytes.len().min(SAID_WITHIN)].to_ascii_lowercase();
    let says = start.windows(7).any(|window| window == b"charset");
    let charset = charset.or_else(|| (!says).then(|| guessed(bytes).name()));
    // A character takes four bytes at most; counted in characters it is below.
    let bounds = Bounds { input_bytes: MOST_BYTES, output_bytes: parts.left.saturating_mul(4), pages: 1 };
    let page = extract(bytes, "text/html", charset, &bounds).map_err(|error| Fault::unreadable(Kind::Html, error))?;
    let mut output = Output::new(parts.left);
    output.push_str(page.text.trim());
    parts.add(whole(output.text), output.is_cut || page.is_cut);
    Ok(Document { title: page.title, ..parts.document(Kind::Html, 1) })
}

/// The one part of a document that has no pages.
pub(crate) fn whole(text: String) -> Part {
    Part { label: "text".to_owned(), number: 1, text, scanned: false }
}

fn guessed(bytes: &[u8]) -> &'static Encoding {
    let start = &bytes[..bytes.len().min(LOOKED_AT)];
    if let Some(wide) = is_wide(start) {
        return wide;
    }
    if std::str::from_utf8(bytes).is_ok() {
        return UTF_8;
    }
    let mut detector = EncodingDetector::new(Iso2022JpDetection::Allow);
    detector.feed(bytes, true);
    detector.guess(None, Utf8Detection::Allow)
}

/// The wide encoding of bytes that have its mark, or in which every other byte is mostly empty.
fn is_wide(start: &[u8]) -> Option<&'static Encoding> {
    match start {
        [0xff, 0xfe, ..] => return Some(UTF_16LE),
        [0xfe, 0xff, ..] => return Some(UTF_16BE),
        _ => {}
    }
    let pairs = start.chunks_exact(2);
    let count = pairs.len();
    let (mut first, mut second) = (0, 0);
    for pair in pairs {
        first += usize::from(pair[0] == 0);
        second += usize::from(pair[1] == 0);
    }
    match (first, second) {
        (0, empty) if empty * 10 > count * 4 => Some(UTF_16LE),
        (empty, 0) if empty * 10 > count * 4 => Some(UTF_16BE),
        _ => None,
    }
}
