//! How large a document may be, in every respect in which one can be too large.

use crate::fault::Fault;
use crate::kind::Kind;

/// Of a document.
pub const MOST_BYTES: usize = 100 << 20;
/// Of a PDF (spec 02, media).
pub const MOST_PDF_BYTES: usize = 50 << 20;
/// Of a PDF, and slides of a presentation.
pub const MOST_PAGES: usize = 1000;
/// Of the archive that an office file is.
pub const MOST_ENTRIES: usize = 10_000;
/// To what an office file unpacks, in all.
pub const MOST_UNPACKED: u64 = 100 << 20;
/// How many times its packed size an entry unpacks to.
pub const MOST_RATIO: u64 = 100;
/// Below it the ratio says nothing: a sheet of one repeated row is no attack.
pub const SMALL: u64 = 1 << 20;
/// Elements of XML within one another.
pub const MOST_DEPTH: usize = 256;
/// Cells of a document that are shown.
pub const MOST_CELLS: usize = 200_000;
/// Columns of a sheet that are shown.
pub const MOST_COLUMNS: u32 = 256;
/// Characters of a document's text, unless fewer are asked for.
pub const MOST_CHARACTERS: usize = 1_000_000;
/// A page with fewer characters, white space aside, has no text of its own.
pub const FEWEST_CHARACTERS: usize = 20;
/// Of a page that is made a picture.
pub const DOTS_PER_INCH: f32 = 150.0;
/// Pixels of a page's longer side.
pub const MOST_PIXELS: f32 = 4000.0;

pub(crate) fn check_size(bytes: usize, kind: Kind) -> Result<(), Fault> {
    let most = if kind == Kind::Pdf { MOST_PDF_BYTES } else { MOST_BYTES };
    if bytes > most { Err(Fault::limit("size in bytes", most)) } else { Ok(()) }
}
