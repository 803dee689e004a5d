//! Puts the program and its files into the workspace. By now the helper can do no more than the program could, so
//! that whatever an earlier program left there cannot lead it anywhere.

use std::ffi::CString;
use std::fs::File;
use std::io::Write as _;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, Mode, OFlags};
use rustix::io::Errno;

use crate::folder;
use crate::order::Order;

/// The last change of the last file placed, which is the source: seconds and nanoseconds.
pub(super) fn place(order: &Order) -> Result<(i64, u32), String> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let top = rustix::fs::open(".", flags, Mode::empty())
        .map_err(|error| format!("the workspace cannot be opened: {error}"))?;
    let mut last = (0, 0);
    for (path, bytes) in order.files() {
        let placed = place_one(&top, &path, bytes);
        last = placed.map_err(|error| format!("`{}` cannot be placed: {error}", path.display()))?;
    }
    Ok(last)
}

fn place_one(top: &OwnedFd, path: &Path, bytes: &[u8]) -> std::io::Result<(i64, u32)> {
    let parent = match path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        Some(parent) => folder_below(top, parent)?,
        None => rustix::io::fcntl_dupfd_cloexec(top, 3)?,
    };
    let name = path.file_name().ok_or(Errno::INVAL)?;
    match rustix::fs::unlinkat(&parent, name, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => {}
        Err(error) => return Err(error.into()),
    }
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mode = Mode::RUSR | Mode::WUSR | Mode::RGRP | Mode::ROTH;
    let name = CString::new(name.as_encoded_bytes())?;
    let mut file = File::from(folder::open_name(&parent, &name, flags, mode)?);
    file.write_all(bytes)?;
    let about = rustix::fs::fstat(&file)?;
    Ok((about.st_ctime, u32::try_from(about.st_ctime_nsec).unwrap_or(0)))
}

/// Opens a folder below the workspace, and makes what is missing of it.
pub(super) fn folder_below(top: &OwnedFd, path: &Path) -> std::io::Result<OwnedFd> {
    let mut place = rustix::io::fcntl_dupfd_cloexec(top, 3)?;
    for name in path.components().map(|part| PathBuf::from(part.as_os_str())) {
        match rustix::fs::mkdirat(&place, &name, Mode::RWXU) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(error) => return Err(error.into()),
        }
        let name = CString::new(name.into_os_string().into_encoded_bytes())?;
        place = folder::open_below(&place, &name)?;
    }
    Ok(place)
}
