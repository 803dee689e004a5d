//! What there is in a workspace, a line for each: listed, or found by a glob.

use std::os::fd::OwnedFd;
use std::path::Path;

use globset::{GlobBuilder, GlobMatcher};
use rustix::fs::{AtFlags, FileType};

use super::TEXT_BYTES;
use super::below::{self, Below};
use super::walk::{Entry, Unseen, walk};

const ENTRIES: usize = 1000;

pub(super) fn list(top: &OwnedFd, below: &Below, depth: u32) -> Result<String, String> {
    let mut listing = Listing::new(ENTRIES);
    let unseen = walk(top, below, depth, |entry| listing.add(&line(entry)))?;
    Ok(listing.finish(unseen, &format!("[{below} is empty]\n")))
}

pub(super) fn find(top: &OwnedFd, start: &Below, pattern: &str) -> Result<String, String> {
    let glob = Glob::read("pattern", pattern)?;
    let mut listing = Listing::new(ENTRIES);
    let unseen = walk(top, start, u32::MAX, |entry| {
        let end = if entry.kind == FileType::Directory { "/" } else { "" };
        !glob.matches(start, entry.path) || listing.add(&format!("{}{end}", shown(entry.path)))
    })?;
    Ok(listing.finish(unseen, "[nothing matches]\n"))
}

/// Paths below the folder that is searched, or names anywhere in it when there is no `/`.
pub(super) struct Glob(GlobMatcher);

impl Glob {
    pub(super) fn read(argument: &str, pattern: &str) -> Result<Self, String> {
        let pattern = pattern.strip_prefix("./").unwrap_or(pattern);
        if pattern.starts_with('/') {
            return Err(format!("`{argument}` is relative to `path`, and does not begin with `/`"));
        }
        let anywhere = if pattern.contains('/') { pattern.to_owned() } else { format!("**/{pattern}") };
        let built = GlobBuilder::new(&anywhere).literal_separator(true).build();
        built
            .map(|glob| Self(glob.compile_matcher()))
            .map_err(|error| format!("`{argument}` is no glob: {}", error.kind()))
    }

    /// Whether a path from the workspace on matches.
    pub(super) fn matches(&self, start: &Below, path: &Path) -> bool {
        self.0.is_match(path.strip_prefix(start.path()).unwrap_or(path))
    }
}

fn line(entry: &Entry<'_>) -> String {
    let path = shown(entry.path);
    match entry.kind {
        FileType::Directory => format!("{path}/"),
        FileType::RegularFile => match rustix::fs::statat(entry.folder, entry.name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(about) => format!("{path} ({} bytes)", about.st_size),
            // It went away meanwhile.
            Err(_) => path,
        },
        FileType::Symlink => {
            let target = rustix::fs::readlinkat(entry.folder, entry.name, Vec::new()).unwrap_or_default();
            format!("{path} -> {}", clean(&target.to_string_lossy()))
        }
        FileType::Fifo | FileType::Socket | FileType::CharacterDevice | FileType::BlockDevice | FileType::Unknown => {
            format!("{path} ({})", below::kind(entry.kind))
        }
    }
}

/// A path on one line, whatever it holds.
pub(super) fn shown(path: &Path) -> String {
    clean(&path.to_string_lossy())
}

fn clean(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

/// Lines, and what was left out of them.
pub(super) struct Listing {
    text: String,
    lines: usize,
    most: usize,
    is_full: bool,
}

impl Listing {
    pub(super) fn new(most: usize) -> Self {
        Self { text: String::new(), lines: 0, most, is_full: false }
    }

    /// Whether there was room for it.
    pub(super) fn add(&mut self, line: &str) -> bool {
        self.is_full = self.lines == self.most || self.text.len() + line.len() >= TEXT_BYTES;
        if !self.is_full {
            self.text.push_str(line);
            self.text.push('\n');
            self.lines += 1;
        }
        !self.is_full
    }

    pub(super) fn finish(mut self, unseen: Unseen, nothing: &str) -> String {
        if self.lines == 0 {
            self.text.push_str(nothing);
        }
        if self.is_full {
            self.text.push_str(&format!("[there are more than these {}: narrow it down]\n", self.lines));
        }
        if unseen.folders > 0 {
            self.text.push_str(&format!("[{} folders were not looked into: closed, or too deep]\n", unseen.folders));
        }
        if unseen.has_more {
            self.text.push_str("[there is too much to look at all of it]\n");
        }
        self.text
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use pretty_assertions::assert_eq;
    use rustix::fs::Mode;

    use super::*;

    fn ground(files: &[&str]) -> (tempfile::TempDir, OwnedFd) {
        let folder = tempfile::tempdir().unwrap();
        for file in files {
            let path = folder.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, file).unwrap();
        }
        let top = fs::File::open(folder.path()).unwrap().into();
        (folder, top)
    }

    fn at(path: &str) -> Below {
        Below::read(path, Path::new("/workspace")).unwrap()
    }

    #[test]
    fn a_folder_is_listed_by_name_and_level() {
        let (folder, top) = ground(&["b/c/d", "b/a", "a.txt", ".git/config", "z\nz"]);
        symlink("/etc/passwd", folder.path().join("link")).unwrap();
        symlink("/", folder.path().join("b/root")).unwrap();
        rustix::fs::mknodat(&top, "queue", FileType::Fifo, Mode::RUSR, 0).unwrap();
        let top_level = ".git/\na.txt (5 bytes)\nb/\nlink -> /etc/passwd\nqueue (queue)\nz\u{fffd}z (3 bytes)\n";
        assert_eq!(list(&top, &at("."), 1).unwrap(), top_level);
        let all = format!("{top_level}b/a (3 bytes)\nb/c/\nb/root -> /\nb/c/d (5 bytes)\n");
        assert_eq!(list(&top, &at("."), 9).unwrap(), all);
        assert_eq!(list(&top, &at("b/c"), 9).unwrap(), "b/c/d (5 bytes)\n");
        assert_eq!(list(&top, &at(".git"), 1).unwrap(), ".git/config (11 bytes)\n");
        fs::create_dir(folder.path().join("none")).unwrap();
        assert_eq!(list(&top, &at("none"), 1).unwrap(), "[`none` is empty]\n");
        let refused = |path: &str| list(&top, &at(path), 1).unwrap_err();
        assert_eq!(refused("a.txt"), "`a.txt` is a file, not a folder");
        assert_eq!(refused("b/root"), "`b/root` is a link, and links are not followed");
        assert_eq!(refused("nowhere"), "there is no `nowhere`");
    }

    #[test]
    fn globs_match_paths_or_names() {
        let (_folder, top) = ground(&["a.py", "src/b.py", "src/sub/c.py", "src/sub/d.txt", ".git/e.py", "test/é.py"]);
        let check = |pattern: &str, path: &str, expected: &str| {
            assert_eq!(find(&top, &at(path), pattern).as_deref(), Ok(expected), "{pattern} in {path}");
        };
        check("*.py", ".", "a.py\nsrc/b.py\nsrc/sub/c.py\ntest/é.py\n");
        check("./*.{txt,rs}", ".", "src/sub/d.txt\n");
        check("src/*.py", ".", "src/b.py\n");
        check("**/*.py", "src", "src/b.py\nsrc/sub/c.py\n");
        check("sub/*", "src", "src/sub/c.py\nsrc/sub/d.txt\n");
        check("s*", ".", "src/\nsrc/sub/\n");
        check("é*", "test", "test/é.py\n");
        check("*.none", ".", "[nothing matches]\n");
        check("e.py", ".git", ".git/e.py\n");
        assert_eq!(
            find(&top, &at("."), "[a").unwrap_err(),
            "`pattern` is no glob: unclosed character class; missing ']'"
        );
        let absolute = "`pattern` is relative to `path`, and does not begin with `/`";
        assert_eq!(find(&top, &at("."), "/workspace/*.py").unwrap_err(), absolute);
    }

    #[test]
    fn listings_have_bounds_and_say_so() {
        let names: Vec<_> = (0..1001).map(|number| format!("{number:04}")).collect();
        let (folder, top) = ground(&names.iter().map(String::as_str).collect::<Vec<_>>());
        let note = "[there are more than these 1000: narrow it down]\n";
        let listed = list(&top, &at("."), 1).unwrap();
        assert!(listed.starts_with("0000 (4 bytes)\n") && listed.ends_with(&format!("0999 (4 bytes)\n{note}")));
        let found = find(&top, &at("."), "*").unwrap();
        assert!(found.ends_with(&format!("0999\n{note}")));
        fs::remove_file(folder.path().join("1000")).unwrap();
        assert!(find(&top, &at("."), "*").unwrap().ends_with("0999\n"));

        let long = "x".repeat(250);
        let deep = format!("{}/{}", [long.as_str(); 8].join("/"), long);
        let many: Vec<_> = (0..200).map(|number| format!("{deep}{number}")).collect();
        let (_folder, top) = ground(&many.iter().map(String::as_str).collect::<Vec<_>>());
        let found = find(&top, &at("."), "**/x*").unwrap();
        assert!(found.len() < TEXT_BYTES + 100 && found.contains("[there are more than these "), "{}", found.len());
    }

    #[test]
    fn trees_deeper_than_a_path_are_not_looked_into() {
        let (_folder, top) = ground(&["found"]);
        let mut place = rustix::io::dup(&top).unwrap();
        for _ in 0..4096 {
            rustix::fs::mkdirat(&place, "d", Mode::RWXU).unwrap();
            place = below::open(&place, "d", rustix::fs::OFlags::PATH).unwrap();
        }
        let found = find(&top, &at("."), "found").unwrap();
        assert_eq!(found, "found\n[1 folders were not looked into: closed, or too deep]\n");
        crate::folder::empty(&top).unwrap();
    }
}
