//! `processing`: honoured, or refused by its field.

use antiphon_documents::{Cells, Options};
use pretty_assertions::assert_eq;

use crate::world::{file, read_as};

fn labels(name: &str, options: &Options) -> (Vec<String>, Vec<String>, u32) {
    let document = read_as(&file(name), None, options).unwrap();
    (document.parts.into_iter().map(|part| part.label).collect(), document.left_out, document.total)
}

fn refused(name: &str, options: &Options) -> String {
    read_as(&file(name), None, options).unwrap_err().to_string()
}

fn pages(start: Option<u32>, end: Option<u32>) -> Options {
    Options { start_page: start, end_page: end, ..Options::default() }
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

#[test]
fn pages_are_chosen() {
    let check = |options: &Options, expected: &[&str], left_out: &[&str]| {
        assert_eq!(labels("twelve-pages.pdf", options), (words(expected), words(left_out), 12));
    };
    check(&pages(Some(11), None), &["page 11", "page 12"], &["all but pages 11 to 12 of 12"]);
    check(&pages(Some(3), Some(4)), &["page 3", "page 4"], &["all but pages 3 to 4 of 12"]);
    check(&pages(Some(12), Some(99)), &["page 12"], &["all but pages 12 to 12 of 12"]);
    let document = read_as(&file("twelve-pages.pdf"), None, &pages(Some(7), Some(7))).unwrap();
    assert_eq!(document.parts[0].text, "This is page 7 of the twelve that there are.");
}

#[test]
fn slides_are_chosen_as_pages_are() {
    let expected = (words(&["slide 2"]), words(&["all but slides 2 to 2 of 3"]), 3);
    assert_eq!(labels("tides.pptx", &pages(Some(2), Some(2))), expected);
    assert_eq!(labels("tides.odp", &pages(Some(2), Some(2))), expected);
}

#[test]
fn pages_that_there_are_not_are_refused() {
    let start = "`processing.page_options.start_page`: expected a page from 1 to 12";
    assert_eq!(refused("twelve-pages.pdf", &pages(Some(0), None)), format!("{start}, got 0"));
    assert_eq!(refused("twelve-pages.pdf", &pages(Some(13), None)), format!("{start}, got 13"));
    let end = "`processing.page_options.end_page`: expected a page from 5 to 12, got 4";
    assert_eq!(refused("twelve-pages.pdf", &pages(Some(5), Some(4))), end);
    let none = "`processing.page_options`: expected a document that has pages or slides, got text/plain";
    assert_eq!(refused("notes.md", &pages(Some(1), None)), none);
}

#[test]
fn sheets_and_cells_are_chosen() {
    let options = Options {
        sheet_index: Some(1),
        visible_cells: Some("A2:D3".to_owned()),
        cells: Some(Cells::Data),
        ..Options::default()
    };
    let table =
        "|  | A | B | C | D |\n|---|---|---|---|---|\n| 2 | Rope | 4.5 | 3 | 13.5 |\n| 3 | Lamp oil | 12 | 10 | 120 |";
    for name in ["prices.xlsx", "prices.xls", "prices.ods"] {
        let document = read_as(&file(name), None, &options).unwrap();
        let parts: Vec<_> = document.parts.iter().map(|part| (part.label.as_str(), part.text.as_str())).collect();
        assert_eq!(parts, [("sheet `Prices`", table)], "{name}");
        assert_eq!(document.left_out, ["all but sheet 1 of 3"], "{name}");
    }
}

#[test]
fn formulas_are_shown_where_they_are_wanted() {
    let options = Options { sheet_index: Some(1), cells: Some(Cells::Formulas), ..Options::default() };
    for name in ["prices.xlsx", "prices.ods"] {
        let document = read_as(&file(name), None, &options).unwrap();
        let text = document.parts[0].text.replace("[.", "").replace(']', "");
        assert!(text.contains("| 2 | Rope | 4.5 | 3 | =B2*C2 |"), "{name}: {text}");
        assert!(text.contains("=SUM(D2:D3)") || text.contains("=SUM(D2:.D3)"), "{name}: {text}");
    }
    let field = "`processing.spreadsheet_options.content_layers`";
    let expected = format!("{field}: expected `data` for application/vnd.ms-excel, got formulas");
    assert_eq!(refused("prices.xls", &options), expected);
}

#[test]
fn sheets_and_cells_that_there_are_not_are_refused() {
    let index = |index| Options { sheet_index: Some(index), ..Options::default() };
    let field = "`processing.spreadsheet_options.sheet_index`: expected";
    assert_eq!(refused("prices.xlsx", &index(4)), format!("{field} a sheet from 1 to 3, got 4"));
    assert_eq!(refused("prices.ods", &index(0)), format!("{field} a sheet from 1 to 3, got 0"));
    let cells = |cells: &str| Options { visible_cells: Some(cells.to_owned()), ..Options::default() };
    let field = "`processing.spreadsheet_options.visible_cells`: expected cells as `A1:D10`";
    assert_eq!(refused("prices.xls", &cells("D10:A1")), format!("{field}, got D10:A1"));
    assert_eq!(
        refused("pdftex.pdf", &index(1)),
        "`processing.spreadsheet_options`: expected a spreadsheet, got application/pdf"
    );
}

#[test]
fn less_text_is_given_where_less_is_wanted() {
    let options = Options { most_characters: Some(100), ..Options::default() };
    let document = read_as(&file("twelve-pages.pdf"), None, &options).unwrap();
    let texts: Vec<_> = document.parts.iter().map(|part| part.text.as_str()).collect();
    assert_eq!(
        texts,
        [
            "This is page 1 of the twelve that there are.",
            "This is page 2 of the twelve that there are.",
            "This is page",
        ]
    );
    assert_eq!(document.left_out, ["all that follows the first 100 characters, in page 3"]);
}
