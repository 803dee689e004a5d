//! The text of documents, which a process of its own reads.

use std::fmt::Write as _;

use antiphon_documents::{Cells, Document, Fault, Options, Part, Reader};
use antiphon_engine::{Derived, Medium, Readers};
use antiphon_wire::{Code, Error, PageLayer, SheetLayer};
use tracing::error;

use crate::picture::Eyes;
use crate::source::source;

/// Pages of one document that are looked at.
const MOST_LOOKED_AT: usize = 50;

/// What was read of a document, and what of it is only in its pictures.
pub(crate) struct Read {
    pub(crate) mime_type: String,
    pub(crate) derived: Derived,
    /// The numbers of the pages that have to be looked at.
    pub(crate) scanned: Vec<u32>,
    document: Document,
}

/// Names what reads documents.
const READER: &str = "antiphon-documents";

/// What reads documents; `eyes` read pages that are pictures.
pub(crate) fn readers(eyes: Option<&Eyes>) -> Readers {
    let reader = READER.to_owned();
    match eyes {
        Some(_) => Readers { tools: vec![reader, Eyes::READING.to_owned()], note: None },
        None => {
            let note = format!(
                "pages that are pictures are not read; `antiphon models pull {}` would be needed",
                Eyes::READING
            );
            Readers { tools: vec![reader], note: Some(note) }
        }
    }
}

/// # Errors
/// The document's, or those of how it is to be read.
pub(crate) async fn read(reader: &Reader, medium: &Medium) -> Result<Read, Error> {
    let options = options(medium)?;
    let declared = Some(medium.mime_type.as_str()).filter(|declared| !declared.is_empty());
    let document = reader.read(source(&medium.data), declared, &options).await.map_err(refused)?;
    let mime_type = match (&document.note, declared) {
        (None, Some(declared)) => declared.to_owned(),
        (Some(_), _) | (_, None) => document.kind.mime_type().to_owned(),
    };
    let scanned = document.parts.iter().filter(|part| part.scanned).map(|part| part.number).collect();
    let derived = Derived {
        has_words: false,
        text: text(&document, &[]),
        tools: vec![READER.to_owned()],
        truncated: !document.left_out.is_empty(),
        note: document.note.clone(),
        seconds: 0.0,
    };
    Ok(Read { mime_type, derived, scanned, document })
}

/// Looks at the pages that are pictures.
///
/// # Errors
/// As [`read`].
pub(crate) async fn look(reader: &Reader, eyes: &Eyes, medium: &Medium, mut read: Read) -> Result<Derived, Error> {
    let mut seen = Vec::new();
    for page in read.scanned.iter().take(MOST_LOOKED_AT) {
        let picture = reader.render(source(&medium.data), *page).await.map_err(refused)?;
        let writing = eyes.writing(picture.width, picture.height, &picture.pixels, medium.options.resolution).await?;
        seen.push((*page, writing));
    }
    if read.scanned.len() > seen.len() {
        read.document.left_out.push(format!("{} pages that are pictures", read.scanned.len() - seen.len()));
        read.derived.truncated = true;
    }
    read.derived.text = text(&read.document, &seen);
    read.derived.tools.push(Eyes::READING.to_owned());
    Ok(read.derived)
}

/// The whole text; `seen` is the writing of pages that are pictures.
fn text(document: &Document, seen: &[(u32, String)]) -> String {
    let mut text = String::new();
    if let Some(title) = document.title.as_ref().filter(|title| !title.trim().is_empty()) {
        let _ = writeln!(text, "Title: {title}");
    }
    let is_parted = document.total > 1 || document.parts.len() > 1;
    for part in &document.parts {
        if !text.is_empty() {
            text.push('\n');
        }
        if is_parted {
            let _ = writeln!(text, "[{}]", part.label);
        }
        text.push_str(&part_text(part, seen));
        text.push('\n');
    }
    for what in &document.left_out {
        let _ = writeln!(text, "(Left out: {what}.)");
    }
    if document.parts.iter().all(|part| part_text(part, seen).trim().is_empty()) {
        text.push_str("(There is no text in it.)\n");
    }
    text
}

fn part_text(part: &Part, seen: &[(u32, String)]) -> String {
    let Some((_, writing)) = seen.iter().find(|(page, _)| *page == part.number) else {
        if part.scanned && part.text.trim().is_empty() {
            return "(This page is a picture, and what is written in it was not read.)".to_owned();
        }
        return part.text.trim_end().to_owned();
    };
    format!("{}\n(Read from a picture of the page:)\n{writing}", part.text.trim()).trim_start().to_owned()
}

/// # Errors
/// For what a model that sees nothing cannot be given.
fn options(medium: &Medium) -> Result<Options, Error> {
    let mut options = Options::default();
    let Some(processing) = &medium.options.processing else { return Ok(options) };
    if let Some(pages) = &processing.page_options {
        if pages.content_layers.contains(&PageLayer::PageImage) {
            let message = "the model sees no pages; expected `page_text`";
            return Err(Error::invalid("processing.page_options.content_layers", message));
        }
        options.start_page = pages.start_page;
        options.end_page = pages.end_page;
    }
    if let Some(sheet) = &processing.spreadsheet_options {
        options.sheet_index = sheet.sheet_index;
        options.visible_cells.clone_from(&sheet.visible_cells);
        options.cells = match sheet.content_layers[..] {
            [] => None,
            [SheetLayer::Data] => Some(Cells::Data),
            [SheetLayer::Formulas] => Some(Cells::Formulas),
            [SheetLayer::Visual] | [_, ..] => {
                let message = "expected one of `data` and `formulas`: cells are told as text, once";
                return Err(Error::invalid("processing.spreadsheet_options.content_layers", message));
            }
        };
    }
    Ok(options)
}

/// A fault as the API says it.
fn refused(fault: Fault) -> Error {
    match fault {
        Fault::Option { field, expected, came } => Error::invalid(&field, format!("expected {expected}, got {came}")),
        Fault::Mismatch { .. } | Fault::Unsupported { .. } => Error::invalid("mime_type", fault.to_string()),
        Fault::Encrypted { .. } | Fault::Unreadable { .. } | Fault::Limit { .. } | Fault::Processing => {
            Error::invalid("data", fault.to_string())
        }
        Fault::Broken(why) => {
            error!(why, "Documents cannot be read");
            Error::new(Code::ServiceUnavailable, "The server cannot read documents now; its log has the cause")
        }
    }
}
