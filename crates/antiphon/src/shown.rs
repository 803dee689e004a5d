//! What a server said, made fit for a terminal: names of files and words of models come from
//! anywhere, and none may steer the terminal that shows them.

use serde_json::Value;

use crate::print;

/// A table with its columns in line. Rows have as many cells as there are names.
pub(crate) fn table(names: &[&str], rows: &[Vec<String>]) {
    let mut lines: Vec<Vec<String>> = vec![names.iter().map(|name| (*name).to_owned()).collect()];
    lines.extend(rows.iter().map(|row| row.iter().map(|cell| line(cell)).collect()));
    let width =
        |column: usize| lines.iter().filter_map(|cells| cells.get(column)).map(|cell| cell.chars().count()).max();
    let widths: Vec<_> = (0..names.len()).map(|column| width(column).unwrap_or(0)).collect();
    for cells in &lines {
        let padded: Vec<_> = cells.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        print(padded.join("  ").trim_end());
    }
}

/// JSON for programs, in one place for all commands.
pub(crate) fn json(value: &Value) {
    print(&format!("{value:#}"));
}

/// A cell of a table: text as it is, `-` for what is not there.
pub(crate) fn cell(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::String(text) if text.is_empty() => "-".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// Text on one line, with what would steer a terminal written out.
pub(crate) fn line(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if steers(c) { shown.extend(c.escape_default()) } else { shown.push(c) }
    }
    shown
}

/// Text as it is, but for what would steer a terminal.
pub(crate) fn text(text: &str) -> String {
    text.chars().filter(|&c| matches!(c, '\n' | '\t') || !steers(c)).collect()
}

/// Control characters, and those that turn the direction of what follows.
fn steers(c: char) -> bool {
    c.is_control() || matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_steers_the_terminal() {
        let hostile = "a\u{1b}[2Jb\u{9b}1mc\u{202e}d\r\n\te";
        assert_eq!(line(hostile), "a\\u{1b}[2Jb\\u{9b}1mc\\u{202e}d\\r\\n\\te");
        assert_eq!(text(hostile), "a[2Jb1mcd\n\te");
    }
}
