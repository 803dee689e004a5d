//! What is written in documents: their bytes become bounded text, part by part.
//!
//! [`read`] and [`render`] are pure. They lean on readers of other people's formats, which a file
//! can make slow, large or break; so a server has them done by a [`Reader`], in a process that
//! bounds itself ([`child`]) and is started for each document.

pub mod child;
pub mod confined;
mod document;
mod fault;
mod flow;
mod kind;
pub mod limits;
mod markup;
mod open;
mod output;
mod package;
mod pdf;
mod reader;
mod relations;
mod sheet;
mod sheets;
mod slides;
mod text;
mod word;

use std::panic::{AssertUnwindSafe, catch_unwind};

pub use crate::document::{Cells, Document, Options, Part, Picture};
pub use crate::fault::Fault;
pub use crate::kind::{Kind, SUPPORTED, Sniffed, sniff};
pub use crate::reader::Reader;

/// The text of a document of a kind that was [sniffed](sniff). `charset` is the label of its
/// encoding, if it was declared; only text has one.
///
/// # Errors
/// What of the document, or of the options, cannot be honoured; of them those that are the
/// document's. See spec 02, media.
pub fn read(bytes: Vec<u8>, kind: Kind, charset: Option<&str>, options: &Options) -> Result<Document, Fault> {
    limits::check_size(bytes.len(), kind)?;
    options.check(kind)?;
    guarded(kind, || match kind {
        Kind::Pdf => pdf::read(bytes, options),
        Kind::Docx => word::read(&bytes, options),
        Kind::Pptx => slides::read(&bytes, options),
        Kind::Odt | Kind::Odp => open::read(&bytes, kind, options),
        Kind::Xlsx | Kind::Xls | Kind::Ods => sheets::read(&bytes, kind, options),
        Kind::Csv => sheet::read_csv(&text::decode(&bytes, charset), options),
        Kind::Html => text::read_html(&bytes, charset, options),
        Kind::Text => Ok(text::read_plain(&text::decode(&bytes, charset), options)),
    })
}

/// A page of a PDF as a picture, the first of which is 1.
///
/// # Errors
/// As [`read`], and when there is no such page.
pub fn render(bytes: Vec<u8>, page: u32) -> Result<Picture, Fault> {
    limits::check_size(bytes.len(), Kind::Pdf)?;
    guarded(Kind::Pdf, || pdf::render(bytes, page))
}

/// What breaks in a reader is a broken file.
fn guarded<T>(kind: Kind, work: impl FnOnce() -> Result<T, Fault>) -> Result<T, Fault> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| Err(Fault::unreadable(kind, "its structure is broken")))
}
