//! What was read, and what can be asked for.

use serde::{Deserialize, Serialize};

use crate::fault::Fault;
use crate::kind::Kind;
use crate::limits::MOST_CHARACTERS;
use crate::sheet::Area;

/// A document's text, in the order of its pages, slides or sheets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Document {
    pub kind: Kind,
    pub title: Option<String>,
    pub parts: Vec<Part>,
    /// Pages, slides or sheets of the whole document; 1 where there are none of these.
    pub total: u32,
    /// What of it was left out, in plain words such as `pages 1 to 40 of 120`.
    pub left_out: Vec<String>,
    /// What differs from its declaration and does not matter.
    pub note: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// Such as `page 3`, `slide 2`, ``sheet `Prices` `` or `text`.
    pub label: String,
    /// Its place in the whole document, from 1.
    pub number: u32,
    /// Plain text; tables are rows of Markdown.
    pub text: String,
    /// Whether something is drawn and next to nothing is written there: what can be read of it is
    /// in its picture.
    pub scanned: bool,
}

/// A page as a picture: rows of red, green and blue, a byte each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Picture {
    pub width: u32,
    pub height: u32,
    pub pixels: Vec<u8>,
}

/// Which of a sheet's cells are wanted (`spreadsheet_options.content_layers`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cells {
    /// Their values.
    #[default]
    Data,
    /// Their formulas, and the values of those that have none; refused of xls.
    Formulas,
}

/// The `processing` of a document, as far as it is about text (spec 03, content).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Options {
    /// `page_options.start_page`, from 1.
    pub start_page: Option<u32>,
    /// `page_options.end_page`, which is among the pages.
    pub end_page: Option<u32>,
    /// `spreadsheet_options.sheet_index`, from 1.
    pub sheet_index: Option<u32>,
    /// `spreadsheet_options.visible_cells`, such as `A1:D10`.
    pub visible_cells: Option<String>,
    /// `spreadsheet_options.content_layers`, if given.
    pub cells: Option<Cells>,
    /// Characters of text in all, if fewer than [`MOST_CHARACTERS`] are wanted.
    pub most_characters: Option<usize>,
}

pub(crate) const START_PAGE: &str = "processing.page_options.start_page";
pub(crate) const END_PAGE: &str = "processing.page_options.end_page";
pub(crate) const SHEET_INDEX: &str = "processing.spreadsheet_options.sheet_index";
pub(crate) const VISIBLE_CELLS: &str = "processing.spreadsheet_options.visible_cells";
const CONTENT_LAYERS: &str = "processing.spreadsheet_options.content_layers";

impl Options {
    /// What can be told without the document.
    pub(crate) fn check(&self, kind: Kind) -> Result<(), Fault> {
        let wants_pages = self.start_page.is_some() || self.end_page.is_some();
        if wants_pages && !kind.has_pages() {
            let came = kind.mime_type();
            return Err(Fault::option("processing.page_options", "a document that has pages or slides", came));
        }
        let wants_cells = self.sheet_index.is_some() || self.visible_cells.is_some() || self.cells.is_some();
        if wants_cells && !kind.has_sheets() {
            return Err(Fault::option("processing.spreadsheet_options", "a spreadsheet", kind.mime_type()));
        }
        // The older format has them compiled, and nothing that is known to us tells them rightly.
        if kind == Kind::Xls && self.cells == Some(Cells::Formulas) {
            return Err(Fault::option(CONTENT_LAYERS, format!("`data` for {}", kind.mime_type()), "formulas"));
        }
        self.area()?;
        Ok(())
    }

    pub(crate) fn most_characters(&self) -> usize {
        self.most_characters.unwrap_or(MOST_CHARACTERS).min(MOST_CHARACTERS)
    }

    pub(crate) fn area(&self) -> Result<Option<Area>, Fault> {
        let Some(cells) = &self.visible_cells else { return Ok(None) };
        let area = Area::read(cells).ok_or_else(|| Fault::option(VISIBLE_CELLS, "cells as `A1:D10`", cells))?;
        Ok(Some(area))
    }

    /// The first and the last page of so many that are wanted, from 1.
    pub(crate) fn pages(&self, total: u32) -> Result<(u32, u32), Fault> {
        let start = self.start_page.unwrap_or(1);
        if !(1..=total).contains(&start) {
            return Err(Fault::option(START_PAGE, format!("a page from 1 to {total}"), start));
        }
        let end = self.end_page.unwrap_or(total);
        if end < start {
            return Err(Fault::option(END_PAGE, format!("a page from {start} to {total}"), end));
        }
        Ok((start, end.min(total)))
    }
}

/// The text that is still wanted of a document, part by part.
pub(crate) struct Parts {
    pub(crate) parts: Vec<Part>,
    pub(crate) left: usize,
    pub(crate) left_out: Vec<String>,
    most: usize,
}

impl Parts {
    pub(crate) fn new(options: &Options) -> Self {
        let most = options.most_characters();
        Self { parts: Vec::new(), left: most, left_out: Vec::new(), most }
    }

    /// Whether another part can be added. That it was cut is said once.
    pub(crate) fn add(&mut self, part: Part, is_cut: bool) -> bool {
        self.left = self.left.saturating_sub(part.text.chars().count());
        if is_cut {
            self.left_out.push(format!("all that follows the first {} characters, in {}", self.most, part.label));
        }
        self.parts.push(part);
        !is_cut
    }

    pub(crate) fn document(self, kind: Kind, total: u32) -> Document {
        Document { kind, title: None, parts: self.parts, total, left_out: self.left_out, note: None }
    }
}
