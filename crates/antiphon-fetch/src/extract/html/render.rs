//! A part of a page as light Markdown.

use super::super::text::Bounded;
use super::choose::MainPart;
use super::tree::{Content, Id, Tree, Visit};

/// Deeper lists and quotations are not indented further.
const MOST_LEADS: usize = 12;

const QUOTED: &str = "> ";

const BLOCKS: [&str; 30] = [
    "address",
    "article",
    "aside",
    "body",
    "caption",
    "center",
    "details",
    "div",
    "dl",
    "fieldset",
    "figcaption",
    "figure",
    "footer",
    "form",
    "header",
    "hgroup",
    "hr",
    "html",
    "legend",
    "main",
    "nav",
    "p",
    "section",
    "summary",
    "table",
    "tbody",
    "tfoot",
    "thead",
    "td",
    "tr",
];

pub(crate) fn render(tree: &Tree, main: &MainPart, out: &mut Bounded) {
    let mut page = Page {
        tree,
        out,
        breaks: 0,
        has_space: false,
        is_started: false,
        leads: Vec::new(),
        lists: Vec::new(),
        tables: Vec::new(),
        cells: 0,
        code: 0,
    };
    tree.walk(
        main.root,
        |id| id == main.root || !main.left_out[id],
        |visit| match visit {
            Visit::Enter(id) => page.enter(id),
            Visit::Leave(id) => page.leave(id),
        },
    );
}

struct Page<'page> {
    tree: &'page Tree,
    out: &'page mut Bounded,
    /// Ends of lines that come before the next text.
    breaks: usize,
    has_space: bool,
    is_started: bool,
    leads: Vec<Lead>,
    /// The number of the next item; none in lists without numbers.
    lists: Vec<Option<u64>>,
    tables: Vec<Table>,
    /// Cells of tables of data around here, where everything is one line.
    cells: usize,
    /// Preformatted elements around here.
    code: usize,
}

/// What lines begin with.
struct Lead {
    first: Option<String>,
    later: &'static str,
    is_used: bool,
}

struct Table {
    is_data: bool,
    rows: usize,
    columns: usize,
}

impl Page<'_> {
    fn enter(&mut self, id: Id) {
        let name = match &self.tree.nodes[id].content {
            Content::Element { name, .. } => &**name,
            Content::Text(text) => return self.text(text),
            Content::Root | Content::Nothing => return,
        };
        match name {
            "br" => self.line(1),
            "h1" | "h2" | "h3" | "h4" | "h5" | "h6" => {
                self.line(2);
                if self.cells == 0 {
                    let level = usize::from(name.as_bytes()[1] - b'0');
                    self.lead(Some(format!("{} ", "#".repeat(level))), "");
                }
            }
            "ul" | "ol" | "menu" => {
                self.line(if self.lists.is_empty() { 2 } else { 1 });
                let start =
                    self.tree.attribute(id, "start").and_then(|start| start.parse::<u32>().ok()).map_or(1, u64::from);
                self.lists.push((name == "ol").then_some(start));
            }
            "li" => {
                self.line(1);
                let mark = match self.lists.last_mut() {
                    Some(Some(number)) => {
                        *number = number.saturating_add(1);
                        format!("{}. ", *number - 1)
                    }
                    Some(None) | None => "- ".to_owned(),
                };
                self.lead(Some(mark), "  ");
            }
            "blockquote" => {
                self.line(2);
                self.lead(None, QUOTED);
            }
            "dt" => self.line(1),
            "dd" => {
                self.line(1);
                self.lead(None, "  ");
            }
            "pre" => {
                self.line(2);
                if self.cells == 0 {
                    if self.code == 0 {
                        self.put("```");
                        self.break_now();
                    }
                    self.code += 1;
                }
            }
            "code" | "kbd" | "samp" if self.code == 0 => self.put("`"),
            "q" => self.put("\""),
            "table" => {
                self.line(2);
                let is_data = self.cells == 0 && is_data(self.tree, id);
                self.tables.push(Table { is_data, rows: 0, columns: 0 });
            }
            "tr" if self.is_in_data() => {
                self.line(1);
                self.put("|");
                if let Some(table) = self.tables.last_mut() {
                    table.columns = 0;
                }
            }
            "td" | "th" if self.is_in_data() => {
                self.cells += 1;
                self.has_space = true;
                if let Some(table) = self.tables.last_mut() {
                    table.columns += 1;
                }
            }
            "td" | "th" if self.cells == 0 => self.line(1),
            _ if self.cells == 0 && BLOCKS.contains(&name) => self.line(block_breaks(name)),
            _ if BLOCKS.contains(&name) => self.has_space = true,
            _ => {}
        }
    }

    fn leave(&mut self, id: Id) {
        let tree = self.tree;
        match tree.name(id) {
            "h1" | "h2" | "h3" | "h4" | "h5" | "h6" => {
                if self.cells == 0 {
                    self.leads.pop();
                }
                self.line(2);
            }
            "ul" | "ol" | "menu" => {
                self.lists.pop();
                self.line(if self.lists.is_empty() { 2 } else { 1 });
            }
            "li" | "dd" => {
                self.leads.pop();
                self.line(1);
            }
            "blockquote" => {
                self.leads.pop();
                self.line(2);
            }
            "pre" => {
                if self.cells == 0 {
                    self.code -= 1;
                    if self.code == 0 {
                        if !self.out.text.ends_with('\n') {
                            self.break_now();
                        }
                        self.put("```");
                    }
                }
                self.line(2);
            }
            "code" | "kbd" | "samp" if self.code == 0 => self.out.push('`'),
            "q" => self.out.push('"'),
            "table" => {
                self.tables.pop();
                self.line(2);
            }
            "tr" if self.is_in_data() => self.end_row(),
            "td" | "th" if self.is_in_data() => {
                self.cells -= 1;
                self.has_space = true;
                self.put("|");
            }
            name if self.cells == 0 && BLOCKS.contains(&name) => self.line(block_breaks(name)),
            name if BLOCKS.contains(&name) => self.has_space = true,
            _ => {}
        }
    }

    /// The line below the first row tells readers that it is a table.
    fn end_row(&mut self) {
        let Some(table) = self.tables.last_mut() else { return };
        table.rows += 1;
        let (rows, columns) = (table.rows, table.columns.min(100));
        self.line(1);
        if rows == 1 && columns > 0 {
            self.put(&format!("|{}", " --- |".repeat(columns)));
            self.line(1);
        }
    }

    fn text(&mut self, text: &str) {
        if self.code > 0 {
            return self.code(text);
        }
        let mut words = text.split(char::is_whitespace).peekable();
        while let Some(word) = words.next() {
            if !word.is_empty() {
                if self.cells > 0 && word.contains('|') {
                    self.put(&word.replace('|', "\\|"));
                } else {
                    self.put(word);
                }
            }
            if words.peek().is_some() {
                self.has_space = true;
            }
        }
    }

    fn code(&mut self, text: &str) {
        for (at, line) in text.split('\n').enumerate() {
            if at > 0 {
                self.break_now();
            }
            line.chars().filter(|character| !character.is_control() || *character == '\t').for_each(|character| {
                self.out.push(character);
            });
        }
    }

    /// Text on the line at hand, or on a new one if one is due.
    fn put(&mut self, text: &str) {
        if self.breaks > 0 && self.is_started {
            self.out.push('\n');
        }
        if self.breaks > 1 && self.is_started {
            // A quotation goes on over an empty line only if that is quoted, too.
            let quoted = self.leads.iter().filter(|lead| lead.is_used && lead.later == QUOTED).count();
            self.out.push_str(QUOTED.repeat(quoted).trim_end());
            self.out.push('\n');
        }
        if self.breaks > 0 || !self.is_started {
            self.lead_line();
        } else if self.has_space {
            self.out.push(' ');
        }
        (self.breaks, self.has_space, self.is_started) = (0, false, true);
        for character in text.chars().filter(|character| !character.is_control()) {
            self.out.push(character);
        }
    }

    fn break_now(&mut self) {
        self.out.push('\n');
        self.lead_line();
        (self.breaks, self.has_space) = (0, false);
    }

    fn line(&mut self, breaks: usize) {
        if self.code > 0 {
            if !self.out.text.ends_with('\n') {
                self.break_now();
            }
        } else if self.cells > 0 {
            self.has_space = true;
        } else {
            self.breaks = self.breaks.max(breaks);
        }
    }

    fn lead(&mut self, first: Option<String>, later: &'static str) {
        let is_too_deep = self.leads.len() >= MOST_LEADS || self.cells > 0;
        let (first, later) = if is_too_deep { (None, "") } else { (first, later) };
        self.leads.push(Lead { first, later, is_used: false });
    }

    fn lead_line(&mut self) {
        for lead in &mut self.leads {
            lead.is_used = true;
            match lead.first.take() {
                Some(first) => self.out.push_str(&first),
                None => self.out.push_str(lead.later),
            }
        }
    }

    fn is_in_data(&self) -> bool {
        self.tables.last().is_some_and(|table| table.is_data)
    }
}

fn block_breaks(name: &str) -> usize {
    if matches!(name, "p" | "figure" | "section" | "article" | "hr" | "table") { 2 } else { 1 }
}

/// Whether a table holds data: rows of several cells, and nothing that makes it a layout.
fn is_data(tree: &Tree, table: Id) -> bool {
    if matches!(tree.attribute(table, "role"), Some("presentation" | "none")) {
        return false;
    }
    let (mut has_columns, mut is_layout) = (false, false);
    let (mut cells, mut visited) = (0, 0);
    tree.walk(
        table,
        |_| {
            visited += 1;
            visited < 50_000
        },
        |visit| {
            let Visit::Enter(id) = visit else { return };
            match tree.name(id) {
                "tr" => cells = 0,
                "td" | "th" => {
                    cells += 1;
                    has_columns |= cells > 1;
                }
                "table" => is_layout |= id != table,
                "article" | "section" | "main" | "h1" | "h2" | "h3" | "form" | "pre" => is_layout = true,
                _ => {}
            }
        },
    );
    has_columns && !is_layout
}
