//! Lines of files that match a regular expression, in time that is linear in what is searched.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, BufRead as _, BufReader};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use regex::bytes::Regex;
use rustix::fs::FileType;

use super::below::{self, Below};
use super::listing::{Glob, Listing, shown};
use super::reading::{End, is_binary, next_line};
use super::walk::{Unseen, walk};

const HITS: usize = 200;
/// Of a longer line, so much is searched.
const LINE_BYTES: usize = 64 << 10;
/// Of a longer line, so much is shown.
const SHOWN_BYTES: usize = 300;
const BUFFER: usize = 64 << 10;

pub(super) fn grep(top: &OwnedFd, start: &Below, pattern: &str, glob: Option<&str>) -> Result<String, String> {
    let regex = Regex::new(pattern).map_err(|error| format!("`pattern` is no regular expression: {error}"))?;
    let glob = glob.map(|glob| Glob::read("glob", glob)).transpose()?;
    let mut search = Search { regex, found: Listing::new(HITS), unread: 0, has_cut: false };
    let is_file =
        below::look(top, start)?.is_some_and(|about| FileType::from_raw_mode(about.st_mode) == FileType::RegularFile);
    let unseen = if is_file {
        search.file(below::file(top, start)?.0, start.path());
        Unseen::default()
    } else {
        walk(top, start, u32::MAX, |entry| {
            let is_meant = glob.as_ref().is_none_or(|glob| glob.matches(start, entry.path));
            if entry.kind != FileType::RegularFile || !is_meant {
                return true;
            }
            let name = OsStr::from_bytes(entry.name.to_bytes());
            match below::open(entry.folder, name, below::READ) {
                Ok(file) => search.file(File::from(file), entry.path),
                Err(_) => {
                    search.unread += 1;
                    true
                }
            }
        })?
    };
    Ok(search.finish(unseen))
}

struct Search {
    regex: Regex,
    found: Listing,
    unread: usize,
    has_cut: bool,
}

impl Search {
    /// Whether there is room for more.
    fn file(&mut self, file: File, path: &Path) -> bool {
        self.lines(file, path).unwrap_or_else(|_| {
            self.unread += 1;
            true
        })
    }

    fn lines(&mut self, file: File, path: &Path) -> io::Result<bool> {
        // Another may have come into its place.
        if !file.metadata()?.is_file() {
            return Ok(true);
        }
        let mut reader = BufReader::with_capacity(BUFFER, file);
        if is_binary(reader.fill_buf()?) {
            return Ok(true);
        }
        let mut line = Vec::new();
        let mut number = 0_u64;
        while let Some(end) = next_line(&mut reader, LINE_BYTES, &mut line)? {
            number += 1;
            if end == End::Cut {
                self.has_cut = true;
                reader.skip_until(b'\n')?;
            }
            let text = line.strip_suffix(b"\n").unwrap_or(&line);
            let text = text.strip_suffix(b"\r").unwrap_or(text);
            let Some(hit) = self.regex.find(text) else { continue };
            if !self.found.add(&format!("{}:{number}: {}", shown(path), excerpt(text, hit.start()))) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn finish(self, unseen: Unseen) -> String {
        let mut text = self.found.finish(unseen, "[no line matches]\n");
        if self.unread > 0 {
            text.push_str(&format!("[{} files could not be read]\n", self.unread));
        }
        if self.has_cut {
            text.push_str(&format!("[of lines longer than {LINE_BYTES} bytes, the rest was not searched]\n"));
        }
        text
    }
}

/// A line, or what is around the hit in a longer one.
fn excerpt(line: &[u8], hit: usize) -> String {
    if line.len() <= SHOWN_BYTES {
        return String::from_utf8_lossy(line).into_owned();
    }
    let first = beginning(line, hit.saturating_sub(SHOWN_BYTES / 3));
    let last = beginning(line, first.saturating_add(SHOWN_BYTES).min(line.len()));
    let (before, behind) = (if first > 0 { "…" } else { "" }, if last < line.len() { "…" } else { "" });
    format!("{before}{}{behind}", String::from_utf8_lossy(&line[first..last]))
}

/// Where the character begins that a byte is of.
fn beginning(line: &[u8], at: usize) -> usize {
    let is_inside = |at: &usize| line.get(*at).is_some_and(|byte| byte & 0xc0 == 0x80);
    (at.saturating_sub(3)..=at).rev().find(|at| !is_inside(at)).unwrap_or(at)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use pretty_assertions::assert_eq;

    use super::*;

    fn ground(files: &[(&str, &[u8])]) -> (tempfile::TempDir, OwnedFd) {
        let folder = tempfile::tempdir().unwrap();
        for (name, bytes) in files {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, bytes).unwrap();
        }
        let top = File::open(folder.path()).unwrap().into();
        (folder, top)
    }

    fn search(top: &OwnedFd, start: &str, pattern: &str, glob: Option<&str>) -> Result<String, String> {
        grep(top, &Below::read(start, Path::new("/workspace")).unwrap(), pattern, glob)
    }

    #[test]
    fn lines_are_found_where_they_are() {
        let (folder, top) = ground(&[
            ("a.py", b"import os\r\nx = 1\nimport re"),
            ("b/c.txt", "Éa\nimport\n".as_bytes()),
            ("b/latin", b"\xe9t\xe9 import\n"),
            ("b/binary", b"import\0"),
            (".git/config", b"import"),
        ]);
        std::os::unix::fs::symlink(folder.path(), folder.path().join("b/link")).unwrap();
        std::os::unix::fs::symlink(folder.path().join("a.py"), folder.path().join("b/file-link")).unwrap();
        rustix::fs::mknodat(&top, "queue", FileType::Fifo, rustix::fs::Mode::RUSR, 0).unwrap();
        let check = |start: &str, pattern: &str, glob: Option<&str>, expected: Result<&str, &str>| {
            let found = search(&top, start, pattern, glob);
            assert_eq!(found.as_deref(), expected.map_err(str::to_owned).as_deref(), "{pattern} in {start}");
        };
        let python = "a.py:1: import os\na.py:3: import re\n";
        check(".", "^import [or]", None, Ok(python));
        check(".", "import", Some("*.py"), Ok(python));
        check("a.py", "import$", None, Ok("[no line matches]\n"));
        check("a.py", "os$", None, Ok("a.py:1: import os\n"));
        check("b", "import", None, Ok("b/c.txt:2: import\nb/latin:1: \u{fffd}t\u{fffd} import\n"));
        check(".", "(?i)é", None, Ok("b/c.txt:1: Éa\n"));
        check("queue", "x", None, Err("`queue` is a queue, not a folder"));
        check("b/file-link", "x", None, Err("`b/file-link` is a link, and links are not followed"));
        check("none", "x", None, Err("there is no `none`"));
        assert!(search(&top, ".", "(", None).unwrap_err().starts_with("`pattern` is no regular expression: "));
        assert!(search(&top, ".", "((\\w{99}){99}){99}", None).unwrap_err().contains("size limit"));
    }

    #[test]
    fn what_is_found_has_bounds() {
        let many = b"x\n".repeat(500);
        let mut long = vec![b'a'; 200 << 10];
        long[1000] = b'x';
        long[100 << 10] = b'y';
        let (_folder, top) = ground(&[("many", &many), ("long", &long)]);
        let found = search(&top, "many", "x", None).unwrap();
        assert_eq!(found.lines().count(), 201);
        assert!(found.ends_with("many:200: x\n[there are more than these 200: narrow it down]\n"));
        let rest = "[of lines longer than 65536 bytes, the rest was not searched]\n";
        let around = format!("long:1: …{}x{}…\n{rest}", "a".repeat(100), "a".repeat(199));
        assert_eq!(search(&top, "long", "x", None).unwrap(), around);
        assert_eq!(search(&top, "long", "y", None).unwrap(), format!("[no line matches]\n{rest}"));
        // Backtracking would take for ever.
        assert_eq!(search(&top, "long", "(a+)+$y", None).unwrap(), format!("[no line matches]\n{rest}"));
    }

    #[test]
    fn an_excerpt_cuts_no_character() {
        let line = "é".repeat(400);
        let shown = excerpt(line.as_bytes(), 401);
        assert_eq!(shown, format!("…{}…", "é".repeat(150)));
        assert_eq!(excerpt(&[0x80; 400], 399).chars().count(), 102);
    }
}
