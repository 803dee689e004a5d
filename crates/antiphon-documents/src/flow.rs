//! Running text of an office file: paragraphs, headings, list items and tables as light Markdown.

use crate::output::Output;

pub(crate) struct Flow {
    out: Output,
    line: String,
    /// What the next paragraph begins with.
    mark: String,
    /// Whether what was written last was an item.
    is_list: bool,
    /// Within one another; only the outer one is written as such.
    tables: Vec<Table>,
}

#[derive(Default)]
struct Table {
    rows: usize,
    cells: Vec<String>,
    cell: Option<String>,
}

impl Flow {
    pub(crate) fn new(most_characters: usize) -> Self {
        Self {
            out: Output::new(most_characters),
            line: String::new(),
            mark: String::new(),
            is_list: false,
            tables: Vec::new(),
        }
    }

    pub(crate) fn is_full(&self) -> bool {
        self.out.is_cut
    }

    /// Characters of the paragraph.
    pub(crate) fn text(&mut self, text: &str) {
        self.line.extend(text.chars().filter(|character| !character.is_control() || matches!(character, '\t' | '\n')));
    }

    pub(crate) fn heading(&mut self, level: usize) {
        self.mark = "#".repeat(level.clamp(1, 6)) + " ";
    }

    /// A heading that is an item as well remains one.
    pub(crate) fn item(&mut self) {
        if self.mark.is_empty() {
            "- ".clone_into(&mut self.mark);
        }
    }

    pub(crate) fn end_paragraph(&mut self) {
        let line = std::mem::take(&mut self.line);
        let mark = std::mem::take(&mut self.mark);
        let line = line.trim();
        if line.is_empty() {
            return;
        }
        if let Some(cell) = self.tables.last_mut().and_then(|table| table.cell.as_mut()) {
            cell.push_str(line);
            cell.push(' ');
            return;
        }
        let is_item = mark == "- ";
        if !is_item {
            self.end_list();
        }
        self.out.push_str(&mark);
        self.out.push_str(line);
        self.out.push_str(if is_item { "\n" } else { "\n\n" });
        self.is_list = is_item;
    }

    /// What follows a list without a blank line would belong to its last item.
    fn end_list(&mut self) {
        if std::mem::take(&mut self.is_list) {
            self.out.push('\n');
        }
    }

    pub(crate) fn open_table(&mut self) {
        self.end_paragraph();
        self.end_list();
        self.tables.push(Table::default());
    }

    pub(crate) fn open_cell(&mut self) {
        if let Some(table) = self.tables.last_mut() {
            table.cell = Some(String::new());
        }
    }

    pub(crate) fn close_cell(&mut self) {
        self.end_paragraph();
        if let Some(table) = self.tables.last_mut() {
            table.cells.extend(table.cell.take());
        }
    }

    pub(crate) fn close_row(&mut self) {
        let is_outer = self.tables.len() == 1;
        let Some(table) = self.tables.last_mut() else { return };
        let cells = std::mem::take(&mut table.cells);
        if cells.is_empty() {
            return;
        }
        table.rows += 1;
        if is_outer {
            self.out.push_row(cells.iter().map(String::as_str), table.rows == 1);
            return;
        }
        let outer = self.tables.iter_mut().rev().nth(1).and_then(|table| table.cell.as_mut());
        if let Some(outer) = outer {
            for cell in cells {
                outer.push_str(cell.trim());
                outer.push(' ');
            }
        }
    }

    pub(crate) fn close_table(&mut self) {
        self.tables.pop();
        if self.tables.is_empty() {
            self.out.push('\n');
        }
    }

    /// The text, and whether it was cut.
    pub(crate) fn finish(mut self) -> (String, bool) {
        self.tables.clear();
        self.end_paragraph();
        (self.out.text.trim().to_owned(), self.out.is_cut)
    }
}
