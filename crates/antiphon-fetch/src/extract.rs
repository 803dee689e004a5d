//! The text of a page or document: pure, bounded, bytes in and text out.
//!
//! Markup becomes light Markdown of the page's main part; PDF becomes its text, page by page;
//! everything else that is text is decoded. Whoever calls this for strangers' files does so in a
//! process of its own: a file can make a reader slow or large where no count of ours sees it.

mod charset;
mod html;
mod pdf;
mod text;

use std::panic::{AssertUnwindSafe, catch_unwind};

pub use self::pdf::{Page, Pages, Reading};
use crate::sniff::is_text;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    pub input_bytes: usize,
    pub output_bytes: usize,
    /// Of a PDF; later ones are left out.
    pub pages: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { input_bytes: 10 << 20, output_bytes: 1 << 20, pages: 200 }
    }
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Document {
    pub title: Option<String>,
    pub text: String,
    /// Where in `text` each page begins, if there are pages.
    pub page_starts: Vec<usize>,
    /// Whether something was left out for its size.
    pub is_cut: bool,
}

impl Document {
    /// The text, with a form feed at the end of each page.
    pub fn paged(&self) -> String {
        let mut text = self.text.clone();
        for start in self.page_starts.iter().rev().filter(|start| **start > 0) {
            text.insert(*start, '\u{c}');
        }
        text
    }
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ExtractError {
    #[error("the document is larger than {0} bytes")]
    TooLarge(usize),
    #[error("there is no text to be read from `{0}`")]
    Unsupported(String),
    #[error("the PDF is encrypted")]
    Encrypted,
    #[error("the PDF cannot be read")]
    Unreadable,
}

/// Whether there is text to be read from such files at all.
pub fn is_read(mime: &str) -> bool {
    matches!(mime, "application/pdf" | "application/xhtml+xml") || is_text(mime)
}

/// Reads a document's text. `mime` is as in [`Fetched`](crate::Fetched), and so is `charset`.
///
/// # Errors
/// When it is too large, of no kind that has text, or no PDF though it says so.
pub fn extract(bytes: &[u8], mime: &str, charset: Option<&str>, bounds: &Bounds) -> Result<Document, ExtractError> {
    if bytes.len() > bounds.input_bytes {
        return Err(ExtractError::TooLarge(bounds.input_bytes));
    }
    // Readers of other people's formats are not ours; what breaks in them is a broken file.
    let read = catch_unwind(AssertUnwindSafe(|| match mime {
        "application/pdf" => pdf::read(bytes, bounds),
        "text/html" | "application/xhtml+xml" => Ok(html::read(&charset::decode(bytes, charset, true), bounds)),
        _ if is_text(mime) => Ok(text::read(&charset::decode(bytes, charset, false), bounds)),
        _ => Err(ExtractError::Unsupported(mime.to_owned())),
    }));
    read.unwrap_or(Err(ExtractError::Unreadable))
}
