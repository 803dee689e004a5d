//! Files are written at once or not at all, and within what the workspace may hold.

use std::ffi::CString;
use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use rustix::fs::{AtFlags, FileType, Mode, OFlags, Stat};
use rustix::io::Errno;

use super::below::{self, Below};
use crate::folder;
use crate::helper::place::folder_below;
use crate::order::Room;

/// Bytes of a file that is edited, before and after.
const EDITED_BYTES: u64 = 8 << 20;
/// Whatever an operation that was ended left there is replaced by the next.
const UNFINISHED: &str = folder::UNFINISHED;
/// What one more entry takes of the disk.
const BLOCK: u64 = 4096;

#[derive(Debug, Clone, Copy)]
pub(super) struct Change<'a> {
    pub(super) old: &'a str,
    pub(super) new: &'a str,
    pub(super) replace_all: bool,
}

pub(super) fn write(top: &OwnedFd, below: &Below, content: &str, room: Room) -> Result<String, String> {
    let earlier = look_where_written(top, below)?;
    put(top, below, content.as_bytes(), earlier, room)?;
    let what = if earlier.is_some() { "replaced" } else { "written" };
    Ok(format!("{below} is {what}: {} bytes", content.len()))
}

pub(super) fn edit(top: &OwnedFd, below: &Below, change: Change<'_>, room: Room) -> Result<String, String> {
    let Change { old, new, replace_all } = change;
    let (file, about) = below::file(top, below)?;
    let mut bytes = Vec::new();
    file.take(EDITED_BYTES + 1).read_to_end(&mut bytes).map_err(|error| format!("{below} cannot be read: {error}"))?;
    let too_large = |when: &str| format!("{below} {when} more than {EDITED_BYTES} bytes: change it with a program");
    if bytes.len() as u64 > EDITED_BYTES {
        return Err(too_large("has"));
    }
    let text = String::from_utf8(bytes).map_err(|_| format!("{below} is not UTF-8: change it with a program"))?;
    let count = text.matches(old).count();
    match count {
        0 if text.contains("\r\n") && old.contains('\n') => {
            return Err(format!("`old` is not in {below}, whose lines end with \\r\\n"));
        }
        0 => {
            return Err(format!("`old` is not in {below}; it has to be there to the letter, spaces and line ends too"));
        }
        1 => {}
        _ if replace_all => {}
        _ => {
            return Err(format!(
                "`old` is in {below} {count} times: give more of what is around it, or set `replace_all`"
            ));
        }
    }
    let grown = (text.len() as u64).saturating_add((count as u64).saturating_mul(new.len() as u64));
    if grown - count as u64 * old.len() as u64 > EDITED_BYTES {
        return Err(too_large("would have"));
    }
    put(top, below, text.replace(old, new).as_bytes(), Some(about), room)?;
    let times = if count == 1 { "once".to_owned() } else { format!("{count} times") };
    Ok(format!("{below} is changed: `old` was there {times}"))
}

pub(super) fn delete(top: &OwnedFd, below: &Below) -> Result<String, String> {
    let (Some(parent), Some(name)) = (below.path().parent(), below.path().file_name()) else {
        return Err("the workspace itself cannot be deleted".to_owned());
    };
    let about = below::look(top, below)?.ok_or_else(|| below::why(Errno::NOENT, below))?;
    let failed = |error: io::Error| match Errno::from_io_error(&error) {
        Some(errno) => below::why(errno, below),
        None => format!("{below} cannot be deleted: {error}"),
    };
    let parent = below::open(top, parent, OFlags::PATH | OFlags::DIRECTORY).map_err(|error| failed(error.into()))?;
    if FileType::from_raw_mode(about.st_mode) == FileType::Directory {
        let name = CString::new(name.as_bytes()).map_err(|error| failed(error.into()))?;
        let whole = folder::open_forced(&parent, &name).and_then(|below| folder::empty(&below));
        whole.map_err(|error| format!("{below} cannot be deleted whole: {error}"))?;
        rustix::fs::unlinkat(&parent, &name, AtFlags::REMOVEDIR).map_err(|error| failed(error.into()))?;
        return Ok(format!("{below} is deleted, with everything in it"));
    }
    rustix::fs::unlinkat(&parent, name, AtFlags::empty()).map_err(|error| failed(error.into()))?;
    Ok(format!("{below} is deleted"))
}

/// What a written file replaces.
fn look_where_written(top: &OwnedFd, below: &Below) -> Result<Option<Stat>, String> {
    if below.path().components().count() > folder::DEPTH {
        return Err(format!("{below} would be more than {} folders deep", folder::DEPTH));
    }
    if below.path() == Path::new(UNFINISHED) {
        return Err(format!("{below} is where files are made; choose another name"));
    }
    below::look_for(top, below, FileType::RegularFile)
}

/// Puts a file in its place when it is whole, and only if there is room for it.
fn put(top: &OwnedFd, below: &Below, bytes: &[u8], earlier: Option<Stat>, room: Room) -> Result<(), String> {
    let length = bytes.len() as u64;
    if length > room.file_bytes {
        return Err(format!("{below} would have {length} bytes, and a file has {} at most", room.file_bytes));
    }
    check_room(top, below, length, earlier, room)?;
    let failed = |error: io::Error| format!("{below} cannot be written: {error}");
    let done = make(top, bytes, earlier).and_then(|()| {
        let parent = below.path().parent().unwrap_or(Path::new(""));
        let parent = folder_below(top, parent)?;
        let name = below.path().file_name().ok_or(Errno::INVAL)?;
        Ok(rustix::fs::renameat(top, UNFINISHED, parent, name)?)
    });
    if done.is_err() {
        let _ = rustix::fs::unlinkat(top, UNFINISHED, AtFlags::empty());
    }
    done.map_err(failed)
}

/// The watch over a program's workspace would come too late for what is written at once.
fn check_room(top: &OwnedFd, below: &Below, length: u64, earlier: Option<Stat>, room: Room) -> Result<(), String> {
    let full = || {
        format!(
            "there is no room for {below}: the workspace may have {} bytes in {} files and folders, {} deep; delete \
             something first",
            room.bytes,
            room.entries,
            folder::DEPTH
        )
    };
    let size = folder::measure(top, room.bytes, room.entries)
        .map_err(|error| format!("the workspace cannot be measured: {error}"))?
        .ok_or_else(full)?;
    let (freed, added) = match earlier {
        Some(about) => (u64::try_from(about.st_blocks).unwrap_or(0).saturating_mul(512), 0),
        // At most: some of the folders may be there.
        None => (0, below.path().components().count() as u64),
    };
    let blocks = length.div_ceil(BLOCK) + added;
    let bytes = size.bytes.saturating_sub(freed).saturating_add(blocks * BLOCK);
    if bytes <= room.bytes && size.entries + added <= room.entries { Ok(()) } else { Err(full()) }
}

/// Makes the file, with the rights of the one that it replaces.
fn make(top: &OwnedFd, bytes: &[u8], earlier: Option<Stat>) -> io::Result<()> {
    match rustix::fs::unlinkat(top, UNFINISHED, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => {}
        Err(error) => return Err(error.into()),
    }
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mode = Mode::RUSR | Mode::WUSR | Mode::RGRP | Mode::ROTH;
    let mut file = File::from(rustix::fs::openat2(top, UNFINISHED, flags, mode, folder::BENEATH)?);
    file.write_all(bytes)?;
    if let Some(about) = earlier {
        rustix::fs::fchmod(&file, Mode::from_raw_mode(about.st_mode & 0o777))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use pretty_assertions::assert_eq;

    use super::*;

    const ROOM: Room = Room { bytes: 1 << 20, entries: 100, file_bytes: 1 << 20 };

    struct Ground {
        folder: tempfile::TempDir,
        top: OwnedFd,
    }

    impl Ground {
        fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let top = File::open(folder.path()).unwrap().into();
            Self { folder, top }
        }

        fn write(&self, path: &str, content: &str) -> Result<String, String> {
            self.write_within(path, content, ROOM)
        }

        fn write_within(&self, path: &str, content: &str, room: Room) -> Result<String, String> {
            write(&self.top, &at(path), content, room)
        }

        fn edit(&self, path: &str, old: &str, new: &str, replace_all: bool) -> Result<String, String> {
            edit(&self.top, &at(path), Change { old, new, replace_all }, ROOM)
        }

        fn content(&self, path: &str) -> String {
            fs::read_to_string(self.folder.path().join(path)).unwrap()
        }

        fn names(&self) -> Vec<String> {
            let entries = fs::read_dir(self.folder.path()).unwrap();
            let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
            names.sort();
            names
        }
    }

    fn at(path: &str) -> Below {
        Below::read(path, Path::new("/workspace")).unwrap()
    }

    #[track_caller]
    fn check(found: &Result<String, String>, expected: Result<&str, &str>) {
        assert_eq!(found.as_deref(), expected.map_err(str::to_owned).as_deref());
    }

    #[test]
    fn files_are_written_whole() {
        let ground = Ground::new();
        check(&ground.write("a/b/c.txt", "one"), Ok("`a/b/c.txt` is written: 3 bytes"));
        assert_eq!(ground.content("a/b/c.txt"), "one");
        let path = ground.folder.path().join("a/b/c.txt");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o4755)).unwrap();
        fs::hard_link(&path, ground.folder.path().join("other")).unwrap();
        check(&ground.write("a/b/c.txt", "é"), Ok("`a/b/c.txt` is replaced: 2 bytes"));
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o755);
        assert_eq!((ground.content("a/b/c.txt").as_str(), ground.content("other").as_str()), ("é", "one"));
        // What was left half written is in nobody's way.
        fs::write(ground.folder.path().join(UNFINISHED), "half").unwrap();
        check(&ground.write("d", ""), Ok("`d` is written: 0 bytes"));
        assert_eq!(ground.names(), ["a", "d", "other"]);
    }

    #[test]
    fn only_files_are_replaced() {
        let ground = Ground::new();
        let outside = tempfile::tempdir().unwrap();
        fs::write(outside.path().join("f"), "kept").unwrap();
        symlink(outside.path(), ground.folder.path().join("link")).unwrap();
        symlink(outside.path().join("f"), ground.folder.path().join("file-link")).unwrap();
        fs::create_dir(ground.folder.path().join("folder")).unwrap();
        fs::write(ground.folder.path().join("file"), "x").unwrap();
        check(&ground.write("link/f", "y"), Err("`link/f` is behind a link, and links are not followed"));
        check(&ground.write("link/new/f", "y"), Err("`link/new/f` is behind a link, and links are not followed"));
        check(&ground.write("file-link", "y"), Err("`file-link` is a link, and links are not followed"));
        check(&ground.edit("file-link", "kept", "y", false), Err("`file-link` is a link, and links are not followed"));
        check(&ground.write("folder", "y"), Err("`folder` is a folder, not a file"));
        check(&ground.write(".", "y"), Err("`.` is a folder, not a file"));
        check(&ground.write("file/f", "y"), Err("`file/f` would be in what is no folder"));
        check(
            &ground.write(UNFINISHED, "y"),
            Err("`.antiphon-unfinished` is where files are made; choose another name"),
        );
        assert_eq!(fs::read_to_string(outside.path().join("f")).unwrap(), "kept");
        assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 1);
        assert_eq!(ground.names(), ["file", "file-link", "folder", "link"]);
    }

    #[test]
    fn nothing_is_written_beyond_the_room() {
        let ground = Ground::new();
        let room = Room { bytes: 40_960, entries: 3, file_bytes: 30_000 };
        let write = |path: &str, bytes: usize| ground.write_within(path, &"x".repeat(bytes), room).map(|_| ());
        let full = |path: &str| {
            Err(format!(
                "there is no room for `{path}`: the workspace may have 40960 bytes in 3 files and folders, 128 deep; \
                 delete something first"
            ))
        };
        let large = "`a` would have 30001 bytes, and a file has 30000 at most";
        assert_eq!(write("a", 30_001), Err(large.to_owned()));
        assert_eq!(write("a", 28_000), Ok(()));
        assert_eq!(write("b", 28_000), full("b"));
        // What is replaced makes room for what comes.
        assert_eq!(write("a", 28_001), Ok(()));
        assert_eq!(write("a", 1), Ok(()));
        assert_eq!(write("b/c", 1), Ok(()));
        assert_eq!(write("d", 1), full("d"));
        assert_eq!(write("a", 2), Ok(()));
        delete(&ground.top, &at("b")).unwrap();
        assert_eq!(write("d", 1), Ok(()));
        assert_eq!(ground.names(), ["a", "d"]);
        let deep = "x/".repeat(128) + "f";
        assert_eq!(write(&deep, 1), Err(format!("`{deep}` would be more than 128 folders deep")));
    }

    #[test]
    fn what_is_replaced_is_there_once_or_all_are_meant() {
        let ground = Ground::new();
        ground.write("f", "a b b\n").unwrap();
        check(&ground.edit("f", "a ", "c", false), Ok("`f` is changed: `old` was there once"));
        check(
            &ground.edit("f", "b", "d", false),
            Err("`old` is in `f` 2 times: give more of what is around it, or set `replace_all`"),
        );
        assert_eq!(ground.content("f"), "cb b\n");
        check(&ground.edit("f", "b", "$1", true), Ok("`f` is changed: `old` was there 2 times"));
        assert_eq!(ground.content("f"), "c$1 $1\n");
        let absent = "`old` is not in `f`; it has to be there to the letter, spaces and line ends too";
        check(&ground.edit("f", "x", "y", true), Err(absent));
        check(&ground.edit("g", "x", "y", true), Err("there is no `g`"));
        ground.write("w", "a\r\nb\r\n").unwrap();
        check(&ground.edit("w", "a\nb", "c", false), Err("`old` is not in `w`, whose lines end with \\r\\n"));
        fs::write(ground.folder.path().join("l"), b"caf\xe9").unwrap();
        check(&ground.edit("l", "c", "d", false), Err("`l` is not UTF-8: change it with a program"));
    }

    #[test]
    fn an_edit_is_bounded_before_it_is_made() {
        let ground = Ground::new();
        ground.write("f", &"a".repeat(100_000)).unwrap();
        let words = "`f` would have more than 8388608 bytes: change it with a program";
        check(&ground.edit("f", "a", &"b".repeat(1 << 20), true), Err(words));
        let file = File::create(ground.folder.path().join("sparse")).unwrap();
        file.set_len(1 << 40).unwrap();
        check(
            &ground.edit("sparse", "a", "b", true),
            Err("`sparse` has more than 8388608 bytes: change it with a program"),
        );
    }

    #[test]
    fn everything_but_the_workspace_can_be_deleted() {
        let ground = Ground::new();
        let outside = tempfile::tempdir().unwrap();
        fs::write(outside.path().join("f"), "kept").unwrap();
        symlink(outside.path(), ground.folder.path().join("link")).unwrap();
        ground.write("a/b/c", "x").unwrap();
        symlink(outside.path(), ground.folder.path().join("a/link")).unwrap();
        ground.write("f", "x").unwrap();
        // From now on an ordinary user's workspace counts as full, for what is hidden cannot be counted.
        fs::set_permissions(ground.folder.path().join("a/b"), fs::Permissions::from_mode(0o000)).unwrap();
        let delete = |path: &str| delete(&ground.top, &at(path));
        check(&delete("."), Err("the workspace itself cannot be deleted"));
        check(&delete("a/.."), Err("the workspace itself cannot be deleted"));
        check(&delete("none"), Err("there is no `none`"));
        check(&delete("link/f"), Err("`link/f` is behind a link, and links are not followed"));
        check(&delete("f"), Ok("`f` is deleted"));
        check(&delete("link"), Ok("`link` is deleted"));
        check(&delete("a"), Ok("`a` is deleted, with everything in it"));
        assert_eq!(ground.names(), [""; 0]);
        assert_eq!(fs::read_to_string(outside.path().join("f")).unwrap(), "kept");
    }
}
