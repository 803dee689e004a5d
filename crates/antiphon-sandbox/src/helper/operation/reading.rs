//! Lines of a file, as far as a model can take them.

use std::io::{self, BufRead, BufReader, Read as _};
use std::os::fd::OwnedFd;

use super::TEXT_BYTES;
use super::below::{self, Below};
use crate::output;
use crate::picture::PictureKind;

const LINES: u64 = 2000;
const BUFFER: usize = 64 << 10;
/// A NUL in so many bytes, and the file is no text: as `git` tells it.
const HEAD: usize = 8 << 10;

pub(super) fn read(top: &OwnedFd, below: &Below, offset: Option<u64>, limit: Option<u64>) -> Result<String, String> {
    let (file, about) = below::file(top, below)?;
    let bytes = about.st_size;
    let failed = |error: io::Error| format!("{below} cannot be read: {error}");
    let mut reader = BufReader::with_capacity(BUFFER, file);
    let head = reader.fill_buf().map_err(failed)?;
    if head.is_empty() {
        return Ok(format!("[{below} is empty]"));
    }
    if is_binary(head) {
        let kind = PictureKind::of(head).map_or("binary", PictureKind::mime_type);
        return Ok(format!("[{below} is no text: {kind}, {bytes} bytes]"));
    }
    let first = offset.unwrap_or(1);
    for passed in 0..first.saturating_sub(1) {
        if reader.skip_until(b'\n').map_err(failed)? == 0 {
            return Err(format!("{below} has {passed} lines, and none at offset {first}"));
        }
    }
    let mut taken = Vec::new();
    let mut line = Vec::new();
    let mut next = first;
    let mut is_cut = false;
    while next - first < limit.unwrap_or(LINES).min(LINES) && !is_cut {
        let Some(end) = next_line(&mut reader, TEXT_BYTES, &mut line).map_err(failed)? else { break };
        if taken.len() + line.len() > TEXT_BYTES && !taken.is_empty() {
            return Ok(told(taken, &left_out(next, bytes)));
        }
        is_cut = end == End::Cut;
        if is_cut {
            line.truncate(line.len() - output::cut_character(&line));
        }
        taken.extend_from_slice(&line);
        next += 1;
    }
    if taken.is_empty() {
        return Err(format!("{below} has {} lines, and none at offset {first}", first - 1));
    }
    let notes = if is_cut {
        format!("[line {} of the file of {bytes} bytes is longer, and cut here]\n", next - 1)
    } else if reader.fill_buf().map_err(failed)?.is_empty() {
        String::new()
    } else {
        left_out(next, bytes)
    };
    Ok(told(taken, &notes))
}

fn left_out(next: u64, bytes: i64) -> String {
    format!("[the file of {bytes} bytes goes on: read it with offset {next}]\n")
}

/// The lines, and behind them what is to be said of them.
fn told(taken: Vec<u8>, notes: &str) -> String {
    let (mut text, note) = match String::from_utf8(taken) {
        Ok(text) => (text, ""),
        Err(error) => {
            let text = String::from_utf8_lossy(error.as_bytes()).into_owned();
            (text, "[what is not UTF-8 is shown as \u{fffd}]\n")
        }
    };
    if !(note.is_empty() && notes.is_empty()) {
        if !text.ends_with('\n') {
            text.push('\n');
        }
        text.push_str(note);
        text.push_str(notes);
    }
    text
}

pub(super) fn is_binary(head: &[u8]) -> bool {
    head[..head.len().min(HEAD)].contains(&0)
}

/// How a line ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    Whole,
    /// It goes on.
    Cut,
}

/// Reads a line with its end, or as much of it as is wanted. None at the end of the file.
pub(super) fn next_line(reader: &mut impl BufRead, most: usize, line: &mut Vec<u8>) -> io::Result<Option<End>> {
    line.clear();
    if reader.by_ref().take(most as u64).read_until(b'\n', line)? == 0 {
        return Ok(None);
    }
    if line.len() < most || line.ends_with(b"\n") || reader.fill_buf()?.is_empty() {
        return Ok(Some(End::Whole));
    }
    Ok(Some(End::Cut))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use proptest::prelude::*;

    use super::*;

    fn read_bytes(bytes: &[u8], offset: Option<u64>, limit: Option<u64>) -> Result<String, String> {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("f"), bytes).unwrap();
        let top = fs::File::open(folder.path()).unwrap().into();
        read(&top, &Below::read("f", Path::new("/workspace")).unwrap(), offset, limit)
    }

    #[test]
    fn lines_are_shown_as_they_are_and_the_rest_is_told() {
        let check = |bytes: &[u8], offset, limit, expected: Result<&str, &str>| {
            let found = read_bytes(bytes, offset, limit);
            assert_eq!(found.as_deref(), expected.map_err(str::to_owned).as_deref(), "{:?}", bytes.escape_ascii());
        };
        check(b"a\nb\n", None, None, Ok("a\nb\n"));
        check(b"a\r\nb", None, None, Ok("a\r\nb"));
        check(b"a\nb\nc\n", Some(2), Some(1), Ok("b\n[the file of 6 bytes goes on: read it with offset 3]\n"));
        check(b"a\nb\nc", Some(3), Some(1), Ok("c"));
        check(b"a\nb\n", Some(3), None, Err("`f` has 2 lines, and none at offset 3"));
        check(b"a\nb\n", Some(9), None, Err("`f` has 2 lines, and none at offset 9"));
        check(b"", None, None, Ok("[`f` is empty]"));
        check(b"caf\xe9\nb", None, None, Ok("caf\u{fffd}\nb\n[what is not UTF-8 is shown as \u{fffd}]\n"));
        check(b"\x7fELF\0\0", None, None, Ok("[`f` is no text: binary, 6 bytes]"));
        check(b"\x89PNG\r\n\x1a\n\0", None, None, Ok("[`f` is no text: image/png, 9 bytes]"));
    }

    #[test]
    fn what_is_read_has_bounds() {
        let lines = "x\n".repeat(5000);
        let found = read_bytes(lines.as_bytes(), None, Some(9999)).unwrap();
        let note = "[the file of 10000 bytes goes on: read it with offset 2001]\n";
        assert_eq!(found, "x\n".repeat(2000) + note);

        let wide = format!("{}\n", "y".repeat(1023)).repeat(300);
        let found = read_bytes(wide.as_bytes(), None, None).unwrap();
        assert!(found.ends_with("\n[the file of 307200 bytes goes on: read it with offset 257]\n"));
        assert!(found.len() < TEXT_BYTES + 100);

        // A line as long as the file, cut in the middle of no character.
        let long = format!("{}z", "é".repeat(TEXT_BYTES));
        let found = read_bytes(long.as_bytes(), None, None).unwrap();
        let note = "\n[line 1 of the file of 524289 bytes is longer, and cut here]\n";
        assert_eq!(found, "é".repeat(TEXT_BYTES / 2) + note);
        let odd = format!("a{}\nb\n", "é".repeat(TEXT_BYTES));
        let found = read_bytes(odd.as_bytes(), None, None).unwrap();
        assert!(found.ends_with("é\n[line 1 of the file of 524292 bytes is longer, and cut here]\n"));
        assert_eq!(read_bytes(odd.as_bytes(), Some(2), None).unwrap(), "b\n");
    }

    proptest! {
        /// Read in any portions, each where the last one said that it goes on, a text comes out as it is.
        #[test]
        fn portions_make_up_the_whole(text in "[a\n\r é]{1,60}", limit in 1..5_u64) {
            let (mut whole, mut offset) = (String::new(), 1);
            loop {
                let part = read_bytes(text.as_bytes(), Some(offset), Some(limit)).unwrap();
                let note = format!("[the file of {} bytes goes on: read it with offset {}]\n", text.len(), offset + limit);
                match part.strip_suffix(&note) {
                    Some(part) => whole.push_str(part),
                    None => {
                        whole.push_str(&part);
                        break;
                    }
                }
                offset += limit;
            }
            prop_assert_eq!(whole, text);
        }
    }
}
