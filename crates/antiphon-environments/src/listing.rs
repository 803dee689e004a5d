//! Files and folders as they are shown, in pages.

use std::path::{Path, PathBuf};

use antiphon_engine::wire_time;
use antiphon_wire::{EnvironmentFile, EnvironmentFileKind, Error, WorkspacePath};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use rustix::fs::{FileType, Statx, StatxFlags, StatxTimestamp};

use crate::failure::{Failure, Outcome};
use crate::inside::{Inside, kind_of};

/// A page of a list.
#[derive(Clone, Debug, PartialEq)]
pub struct Listing<T> {
    pub items: Vec<T>,
    /// By which the next page is asked for.
    pub next: Option<String>,
}

/// What is in a folder, or a file alone; `recursive`: also what is in its folders. What is
/// neither file, folder nor link is not shown.
pub(crate) fn list(
    inside: &Inside,
    path: &WorkspacePath,
    recursive: bool,
    after: Option<&str>,
    most: usize,
) -> Outcome<Listing<EnvironmentFile>> {
    let after = after.map(read_token).transpose()?;
    let after = after.as_deref();
    let about = inside.look(path)?.ok_or_else(|| Failure::no_file(path))?;
    let mut found = Vec::new();
    if kind_of(&about) != FileType::Directory {
        found.extend(shown(path.as_path(), &about));
        return Ok(Listing { items: found, next: None });
    }
    let mut walk = inside.walk(path)?;
    while let Some(entry) = walk.next()? {
        let is_before = after.is_some_and(|after| entry.path.as_path() <= after);
        let leads_on = recursive && (!is_before || after.is_some_and(|after| after.starts_with(&entry.path)));
        if !leads_on {
            walk.skip();
        }
        if is_before {
            continue;
        }
        found.extend(shown(&entry.path, &entry.about));
        if found.len() > most {
            break;
        }
    }
    let more = found.len() > most;
    found.truncate(most);
    let next = found.last().filter(|_| more).map(|last| URL_SAFE_NO_PAD.encode(&last.path));
    Ok(Listing { items: found, next })
}

fn read_token(token: &str) -> Outcome<PathBuf> {
    let path = URL_SAFE_NO_PAD.decode(token).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    let wrong = || Error::invalid("page_token", "expected a `next_page_token` of this list");
    Ok(path.map(PathBuf::from).ok_or_else(wrong)?)
}

/// The type of links, which the API knows as files (spec 06, `EnvironmentFile`).
const LINK: &str = "inode/symlink";

/// None for what is not shown.
pub(crate) fn shown(path: &Path, about: &Statx) -> Option<EnvironmentFile> {
    let kind = match kind_of(about) {
        FileType::RegularFile | FileType::Symlink => EnvironmentFileKind::File,
        FileType::Directory => EnvironmentFileKind::Directory,
        _ => return None,
    };
    let is_file = kind_of(about) == FileType::RegularFile;
    let mime_type = match kind_of(about) {
        FileType::RegularFile => mime_type(path),
        FileType::Symlink => LINK,
        _ => "",
    };
    let modified = time(&about.stx_mtime);
    let has_birth = StatxFlags::from_bits_retain(about.stx_mask).contains(StatxFlags::BTIME);
    Some(EnvironmentFile {
        name: path.file_name().unwrap_or_default().to_string_lossy().into_owned(),
        path: path.to_string_lossy().into_owned(),
        kind,
        size_bytes: if is_file { about.stx_size } else { 0 },
        mime_type: mime_type.to_owned(),
        created: if has_birth { time(&about.stx_btime) } else { modified.clone() },
        modified,
    })
}

/// Programs set the times of their files to what they like.
fn time(time: &StatxTimestamp) -> String {
    wire_time(Timestamp::from_second(time.tv_sec).unwrap_or(Timestamp::UNIX_EPOCH))
}

/// By the end of the name. The content may be anything; who downloads it has to look.
fn mime_type(path: &Path) -> &'static str {
    let end = path.extension().and_then(|end| end.to_str()).unwrap_or_default().to_ascii_lowercase();
    match end.as_str() {
        "txt" | "log" => "text/plain",
        "md" => "text/markdown",
        "csv" => "text/csv",
        "html" | "htm" => "text/html",
        "css" => "text/css",
        "py" => "text/x-python",
        "sh" => "text/x-shellscript",
        "js" | "mjs" => "text/javascript",
        "json" => "application/json",
        "xml" => "application/xml",
        "yaml" | "yml" => "application/yaml",
        "toml" => "application/toml",
        "pdf" => "application/pdf",
        "zip" => "application/zip",
        "gz" | "tgz" => "application/gzip",
        "tar" => "application/x-tar",
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "gif" => "image/gif",
        "webp" => "image/webp",
        "svg" => "image/svg+xml",
        "mp3" => "audio/mpeg",
        "wav" => "audio/wav",
        "mp4" => "video/mp4",
        "docx" => "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
        "xlsx" => "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
        "pptx" => "application/vnd.openxmlformats-officedocument.presentationml.presentation",
        _ => "application/octet-stream",
    }
}
