//! One sheet: the cells that have something in them, bounded, and the table that shows them.
//!
//! Where they stand is kept apart from how many there are: two cells at the ends of a sheet are two
//! cells.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use crate::document::{Document, Options, Parts, SHEET_INDEX};
use crate::fault::Fault;
use crate::kind::Kind;
use crate::limits::{MOST_CELLS, MOST_COLUMNS};
use crate::output::Output;
use crate::text::whole;

/// Lines by which the separator of CSV is told.
const LINES_LOOKED_AT: usize = 20;

/// A rectangle of cells, counted from 0.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Area {
    rows: RangeInclusive<u32>,
    columns: RangeInclusive<u32>,
}

impl Area {
    /// Reads `A1:D10`, or `A1` for one cell.
    pub(crate) fn read(text: &str) -> Option<Self> {
        let (first, last) = text.split_once(':').unwrap_or((text, text));
        let ((left, top), (right, bottom)) = (place(first)?, place(last)?);
        (left <= right && top <= bottom).then_some(Self { rows: top..=bottom, columns: left..=right })
    }

    fn contains(&self, row: u32, column: u32) -> bool {
        self.rows.contains(&row) && self.columns.contains(&column)
    }
}

/// The column and the row of `B7`.
fn place(text: &str) -> Option<(u32, u32)> {
    let text = text.trim();
    let digits = text.find(|character: char| character.is_ascii_digit())?;
    let (letters, row) = text.split_at(digits);
    if letters.is_empty() || letters.len() > 3 || !letters.bytes().all(|byte| byte.is_ascii_alphabetic()) {
        return None;
    }
    let column = letters.bytes().fold(0, |column, byte| column * 26 + u32::from(byte.to_ascii_uppercase() - b'A') + 1);
    let row: u32 = row.parse().ok()?;
    Some((column - 1, row.checked_sub(1)?))
}

/// `A`, `B`, … `Z`, `AA`, …
fn letters(column: u32) -> String {
    let mut letters = Vec::new();
    let mut rest = column + 1;
    while rest > 0 {
        letters.push(char::from(b'A' + ((rest - 1) % 26) as u8));
        rest = (rest - 1) / 26;
    }
    letters.iter().rev().collect()
}

pub(crate) struct Sheet {
    area: Option<Area>,
    rows: BTreeMap<u32, BTreeMap<u32, String>>,
    /// How many more cells may be kept.
    left: usize,
    first_column: u32,
    last_column: u32,
    /// The last row there is, kept or not.
    last_row: u32,
    dropped: bool,
}

impl Sheet {
    pub(crate) fn new(area: Option<Area>, most_cells: usize) -> Self {
        let rows = BTreeMap::new();
        Self { area, rows, left: most_cells, first_column: u32::MAX, last_column: 0, last_row: 0, dropped: false }
    }

    pub(crate) fn put(&mut self, row: u32, column: u32, text: String) {
        if text.trim().is_empty() || self.area.as_ref().is_some_and(|area| !area.contains(row, column)) {
            return;
        }
        self.last_row = self.last_row.max(row);
        let place = self.rows.get(&row).is_some_and(|row| row.contains_key(&column));
        if !place && self.left == 0 {
            self.dropped = true;
            return;
        }
        self.left -= usize::from(!place);
        self.first_column = self.first_column.min(column);
        self.last_column = self.last_column.max(column);
        self.rows.entry(row).or_default().insert(column, text);
    }

    pub(crate) fn left(&self) -> usize {
        self.left
    }

    /// Writes a table whose first row and column say where its cells are. Empty rows are left out.
    /// Gives what else is, in words.
    pub(crate) fn write(&self, output: &mut Output) -> Vec<String> {
        let mut left_out = Vec::new();
        if self.rows.is_empty() {
            return left_out;
        }
        let last = self.last_column.min(self.first_column.saturating_add(MOST_COLUMNS - 1));
        let columns = self.first_column..=last;
        let names: Vec<_> = columns.clone().map(letters).collect();
        output.push_row(std::iter::once("").chain(names.iter().map(String::as_str)), true);
        for (row, cells) in &self.rows {
            let number = (u64::from(*row) + 1).to_string();
            let shown = columns.clone().map(|column| cells.get(&column).map_or("", String::as_str));
            output.push_row(std::iter::once(number.as_str()).chain(shown), false);
            if output.is_cut {
                break;
            }
        }
        if last < self.last_column {
            left_out.push(format!("columns {} to {}", letters(last + 1), letters(self.last_column)));
        }
        if self.dropped {
            let kept = self.rows.keys().next_back().map_or(0, |row| u64::from(*row) + 1);
            let all = u64::from(self.last_row) + 1;
            left_out.push(format!("all but {MOST_CELLS} cells, up to row {kept} of {all}"));
        }
        left_out
    }
}

/// CSV with any of the usual separators; its first row is the table's.
pub(crate) fn read_csv(text: &str, options: &Options) -> Result<Document, Fault> {
    if let Some(index) = options.sheet_index
        && index != 1
    {
        return Err(Fault::option(SHEET_INDEX, "1, for CSV is one sheet", index));
    }
    let area = options.area()?;
    let mut reader = csv::ReaderBuilder::new();
    reader.has_headers(false).flexible(true).delimiter(separator(text));
    let mut parts = Parts::new(options);
    let mut output = Output::new(parts.left);
    let (mut cells, mut shown, mut rows) = (0, 0, 0);
    let mut is_wide = false;
    for record in reader.from_reader(text.as_bytes()).byte_records() {
        let record = record.map_err(|error| Fault::unreadable(Kind::Csv, error))?;
        let row = rows;
        rows += 1;
        if area.as_ref().is_some_and(|area| !area.rows.contains(&row)) {
            continue;
        }
        if cells >= MOST_CELLS || output.is_cut {
            continue;
        }
        let fields = record.iter().enumerate().filter_map(|(column, field)| {
            let column = column as u32;
            let is_wanted = area.as_ref().is_none_or(|area| area.columns.contains(&column));
            is_wanted.then(|| std::str::from_utf8(field).unwrap_or_default())
        });
        let kept: Vec<_> = fields.take(MOST_COLUMNS as usize + 1).collect();
        is_wide |= kept.len() > MOST_COLUMNS as usize;
        let kept = &kept[..kept.len().min(MOST_COLUMNS as usize)];
        cells += kept.len();
        output.push_row(kept.iter().copied(), shown == 0);
        shown += 1;
    }
    if is_wide {
        parts.left_out.push(format!("columns after the first {MOST_COLUMNS}"));
    }
    if area.is_none() && shown < rows {
        parts.left_out.push(format!("rows {} to {rows}", shown + 1));
    }
    let Output { text, is_cut, .. } = output;
    parts.add(whole(text.trim_end().to_owned()), is_cut);
    Ok(parts.document(Kind::Csv, 1))
}

/// The one that parts most of the first lines as it parts the first.
fn separator(text: &str) -> u8 {
    let lines = || text.lines().filter(|line| !line.trim().is_empty()).take(LINES_LOOKED_AT);
    let count = |line: &str, separator: char| {
        let mut is_quoted = false;
        let mut count = 0;
        for character in line.chars() {
            is_quoted ^= character == '"';
            count += usize::from(character == separator && !is_quoted);
        }
        count
    };
    let worth = |separator: char| {
        let first = lines().next().map_or(0, |line| count(line, separator));
        let agreeing = lines().filter(|line| count(line, separator) == first).count();
        if first == 0 { (0, 0) } else { (agreeing, first) }
    };
    // Of equals the last one is taken: what is rarer within fields.
    let found = [b'|', b',', b';', b'\t'].into_iter().filter(|separator| worth(char::from(*separator)) > (0, 0));
    found.max_by_key(|separator| worth(char::from(*separator))).unwrap_or(b',')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_found_by_their_names() {
        assert_eq!(Area::read("b2:D10"), Some(Area { rows: 1..=9, columns: 1..=3 }));
        assert_eq!(Area::read("XFD1048576"), Some(Area { rows: 1_048_575..=1_048_575, columns: 16383..=16383 }));
        for wrong in ["", "A", "1", "A0", "D10:A1", "ABCD1", "A1:B2:C3", "A99999999999", "Á1", "A-1"] {
            assert_eq!(Area::read(wrong), None, "{wrong}");
        }
        assert_eq!([0, 25, 26, 701, 702, 16383].map(letters), ["A", "Z", "AA", "ZZ", "AAA", "XFD"]);
    }

    #[test]
    fn two_cells_far_apart_are_two_cells() {
        let mut sheet = Sheet::new(None, 10);
        sheet.put(0, 0, "near".to_owned());
        sheet.put(1_048_575, 16383, "far | away".to_owned());
        let mut output = Output::new(10_000);
        assert_eq!(sheet.write(&mut output), ["columns IW to XFD"]);
        assert!(output.text.starts_with("|  | A | B |"), "{}", output.text);
        assert!(output.text.contains("\n| 1048576 |"), "{}", output.text);
        assert_eq!((output.text.lines().count(), sheet.left()), (4, 8));
    }

    #[test]
    fn the_separator_is_the_one_that_parts_all_lines_alike() {
        let check = |text: &str, expected: u8| assert_eq!(char::from(separator(text)), char::from(expected), "{text}");
        check("a,b\n1,2\n", b',');
        check("nome;preço\n\"a;b\";1,50\nc;2,00\n", b';');
        check("a\tb, c\n1\t2, 3\n", b'\t');
        check("one\ntwo\n", b',');
    }
}
