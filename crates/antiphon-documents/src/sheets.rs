//! Spreadsheets, sheet by sheet.
//!
//! A new Excel file is read cell by cell. The older format, and OpenDocument's, are read whole by
//! their readers, which what bounds the process bounds.

use std::fmt::Display;
use std::io::Cursor;

use calamine::{Data, DataRef, ExcelDateTime, Ods, Reader, SheetType, SheetVisible, Xls, XlsError, Xlsx};

use crate::document::{Cells, Document, Options, Part, Parts, SHEET_INDEX};
use crate::fault::Fault;
use crate::kind::Kind;
use crate::limits::{MOST_CELLS, MOST_PAGES};
use crate::output::Output;
use crate::package::Package;
use crate::sheet::Sheet;

/// Of the largest sheet that there is.
const ROWS: u32 = 1 << 20;
const COLUMNS: u32 = 1 << 14;

type Bytes<'a> = Cursor<&'a [u8]>;

enum Book<'a> {
    Xlsx(Xlsx<Bytes<'a>>),
    Xls(Xls<Bytes<'a>>),
    Ods(Ods<Bytes<'a>>),
}

pub(crate) fn read(bytes: &[u8], kind: Kind, options: &Options) -> Result<Document, Fault> {
    let mut book = Book::open(bytes, kind)?;
    let sheets = book.sheets();
    if sheets.len() > MOST_PAGES {
        return Err(Fault::limit("sheets", MOST_PAGES));
    }
    let total = sheets.len() as u32;
    if let Some(index) = options.sheet_index
        && !(1..=total).contains(&index)
    {
        return Err(Fault::option(SHEET_INDEX, format!("a sheet from 1 to {total}"), index));
    }
    let area = options.area()?;
    let mut parts = Parts::new(options);
    if let Some(index) = options.sheet_index
        && total > 1
    {
        parts.left_out.push(format!("all but sheet {index} of {total}"));
    }
    let mut left = MOST_CELLS;
    for (name, is_hidden, number) in sheets {
        if options.sheet_index.is_some_and(|index| index != number) {
            continue;
        }
        let mut sheet = Sheet::new(area.clone(), left);
        book.fill(kind, &name, options.cells.unwrap_or_default(), &mut sheet)?;
        left = sheet.left();
        let mut output = Output::new(parts.left);
        let left_out = sheet.write(&mut output);
        let shown: String = name.chars().filter(|character| !character.is_control() && *character != '`').collect();
        let label = format!("sheet `{shown}`{}", if is_hidden { " (hidden)" } else { "" });
        parts.left_out.extend(left_out.into_iter().map(|what| format!("{what}, in {label}")));
        let text = output.text.trim_end().to_owned();
        if !parts.add(Part { label, number, text, scanned: false }, output.is_cut) {
            break;
        }
    }
    Ok(parts.document(kind, total))
}

impl<'a> Book<'a> {
    fn open(bytes: &'a [u8], kind: Kind) -> Result<Self, Fault> {
        let broken = |error: &dyn Display| Fault::unreadable(kind, error);
        if kind == Kind::Xls {
            return match Xls::new(Cursor::new(bytes)) {
                Err(XlsError::Password) => Err(Fault::encrypted(kind.mime_type())),
                book => book.map(Self::Xls).map_err(|error| broken(&error)),
            };
        }
        Package::open(bytes)?.check(kind)?;
        if kind == Kind::Ods {
            return Ods::new(Cursor::new(bytes)).map(Self::Ods).map_err(|error| broken(&error));
        }
        Xlsx::new(Cursor::new(bytes)).map(Self::Xlsx).map_err(|error| broken(&error))
    }

    /// The sheets of cells: their names, whether they are hidden, and their numbers from 1.
    fn sheets(&self) -> Vec<(String, bool, u32)> {
        let sheets = match self {
            Self::Xlsx(book) => book.sheets_metadata(),
            Self::Xls(book) => book.sheets_metadata(),
            Self::Ods(book) => book.sheets_metadata(),
        };
        let of_cells = sheets.iter().filter(|sheet| sheet.typ == SheetType::WorkSheet);
        of_cells.zip(1..).map(|(sheet, at)| (sheet.name.clone(), sheet.visible != SheetVisible::Visible, at)).collect()
    }

    fn fill(&mut self, kind: Kind, name: &str, cells: Cells, sheet: &mut Sheet) -> Result<(), Fault> {
        match self {
            Self::Xlsx(book) => fill_one_by_one(book, name, cells, sheet),
            Self::Xls(book) => fill_at_once(book, kind, name, cells, sheet),
            Self::Ods(book) => fill_at_once(book, kind, name, cells, sheet),
        }
    }
}

fn fill_one_by_one(book: &mut Xlsx<Bytes<'_>>, name: &str, cells: Cells, sheet: &mut Sheet) -> Result<(), Fault> {
    let broken = |error: calamine::XlsxError| Fault::unreadable(Kind::Xlsx, error);
    let mut reader = book.worksheet_cells_reader(name).map_err(broken)?;
    match cells {
        Cells::Data => {
            while let Some(cell) = reader.next_cell().map_err(broken)? {
                put(sheet, Kind::Xlsx, cell.get_position(), shown(&own(cell.get_value())))?;
            }
        }
        Cells::Formulas => {
            while let Some(cell) = reader.next_cell_with_formula().map_err(broken)? {
                let text = cell.formula.map_or_else(|| shown(&own(&cell.value)), |formula| format!("={formula}"));
                put(sheet, Kind::Xlsx, cell.pos, text)?;
            }
        }
    }
    Ok(())
}

fn fill_at_once<'a, B: Reader<Bytes<'a>>>(
    book: &mut B,
    kind: Kind,
    name: &str,
    cells: Cells,
    sheet: &mut Sheet,
) -> Result<(), Fault>
where
    B::Error: Display,
{
    let broken = |error: B::Error| Fault::unreadable(kind, error);
    let values = book.worksheet_range(name).map_err(broken)?;
    let (top, left) = values.start().unwrap_or_default();
    for (row, column, value) in values.used_cells() {
        put(sheet, kind, (top.saturating_add(row as u32), left.saturating_add(column as u32)), shown(value))?;
    }
    if cells == Cells::Formulas {
        let formulas = book.worksheet_formula(name).map_err(broken)?;
        let (top, left) = formulas.start().unwrap_or_default();
        for (row, column, formula) in formulas.used_cells() {
            let formula = formula.trim_start_matches("of:").trim_start_matches('=');
            let place = (top.saturating_add(row as u32), left.saturating_add(column as u32));
            put(sheet, kind, place, format!("={formula}"))?;
        }
    }
    Ok(())
}

/// The readers of the formats do not know where sheets end.
fn put(sheet: &mut Sheet, kind: Kind, (row, column): (u32, u32), text: String) -> Result<(), Fault> {
    if row >= ROWS || column >= COLUMNS {
        return Err(Fault::unreadable(kind, "one of its cells stands outside of any sheet"));
    }
    sheet.put(row, column, text);
    Ok(())
}

fn own(value: &DataRef<'_>) -> Data {
    value.clone().into()
}

/// A value as people write it.
fn shown(value: &Data) -> String {
    match value {
        Data::Empty => String::new(),
        Data::Int(number) => number.to_string(),
        Data::Float(number) => shown_number(*number),
        Data::String(text) | Data::DateTimeIso(text) | Data::DurationIso(text) => text.clone(),
        Data::Bool(truth) => if *truth { "TRUE" } else { "FALSE" }.to_owned(),
        Data::DateTime(time) => shown_time(time),
        Data::Error(error) => error.to_string(),
    }
}

/// With the fifteen digits that such programs keep.
fn shown_number(number: f64) -> String {
    let kept: f64 = format!("{number:.14e}").parse().unwrap_or(number);
    let size = kept.abs();
    if size != 0.0 && !(1e-7..1e15).contains(&size) { format!("{kept:e}") } else { kept.to_string() }
}

fn shown_time(time: &ExcelDateTime) -> String {
    let days = time.as_f64();
    if !(0.0..2_958_466.0).contains(&days) {
        return shown_number(days);
    }
    let (year, month, day, hour, minute, second, _) = time.to_ymd_hms_milli();
    let clock = format!("{hour:02}:{minute:02}:{second:02}");
    if time.is_duration() {
        let seconds = (days * 86_400.0).round() as u64;
        return format!("{}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60);
    }
    match (days < 1.0, clock.as_str()) {
        (true, _) => clock,
        (false, "00:00:00") => format!("{year:04}-{month:02}-{day:02}"),
        (false, _) => format!("{year:04}-{month:02}-{day:02} {clock}"),
    }
}

#[cfg(test)]
mod tests {
    use calamine::ExcelDateTimeType;

    use super::*;

    #[test]
    fn values_are_shown_as_people_write_them() {
        let check = |value: Data, expected: &str| assert_eq!(shown(&value), expected);
        check(Data::Float(3.0), "3");
        check(Data::Float(0.1 + 0.2), "0.3");
        check(Data::Float(-1234.5), "-1234.5");
        check(Data::Float(1e300), "1e300");
        check(Data::Bool(true), "TRUE");
        let time = |days, kind| Data::DateTime(ExcelDateTime::new(days, kind, false));
        check(time(45943.0, ExcelDateTimeType::DateTime), "2025-10-13");
        check(time(45943.5, ExcelDateTimeType::DateTime), "2025-10-13 12:00:00");
        check(time(0.25, ExcelDateTimeType::DateTime), "06:00:00");
        check(time(1.5, ExcelDateTimeType::TimeDelta), "36:00:00");
        check(time(f64::NAN, ExcelDateTimeType::DateTime), "NaN");
    }
}
