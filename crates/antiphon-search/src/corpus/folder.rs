//! Folders of the operator: their files become documents, and follow the files' changes.
//!
//! Links are never followed: what they lead to inside of the folder is found there anyway,
//! and what they lead to outside is not to be read.

use std::collections::HashMap;
use std::fs::{self, File, OpenOptions};
use std::io::Read as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::UNIX_EPOCH;

use rusqlite::{Connection, OptionalExtension as _, params};
use rustix::fs::OFlags;
use sha2::{Digest as _, Sha256};

use super::connection::blocking;
use super::document::{self, MOST_TEXT_BYTES, NewDocument};
use super::{Corpus, CorpusError, FOLDERS, MOST_NAME_BYTES, Result};
use crate::page::{self, Page};
use crate::suggestions::encoded;

const MOST_FILE_BYTES: u64 = MOST_TEXT_BYTES as u64;
const MOST_FILES: usize = 100_000;
const MOST_DEPTH: usize = 32;
/// More reasons than this help nobody; the rest is counted.
const MOST_REASONS: usize = 1000;

/// A folder of the corpus.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Folder {
    pub path: PathBuf,
    pub documents: u64,
}

/// A file that was looked at.
#[derive(Clone, Copy, Debug)]
pub struct Progress<'a> {
    pub path: &'a Path,
    /// Counted from 1.
    pub file: usize,
    pub of: usize,
}

/// What a folder's update did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    pub added: usize,
    pub updated: usize,
    pub unchanged: usize,
    pub removed: usize,
    /// The first thousand.
    pub skipped: Vec<Skipped>,
    pub skipped_in_all: usize,
}

/// A file without a document, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Skipped {
    pub path: PathBuf,
    pub reason: String,
}

impl Report {
    fn skip(&mut self, path: &Path, reason: impl Into<String>) {
        self.skipped_in_all += 1;
        if self.skipped.len() < MOST_REASONS {
            self.skipped.push(Skipped { path: path.to_owned(), reason: reason.into() });
        }
    }
}

/// What the corpus knows about a file.
struct Known {
    bytes: u64,
    modified: i64,
    sha256: [u8; 32],
}

enum Outcome {
    Unchanged,
    Changed(Box<NewDocument>),
    /// The time of the last change differs, and nothing else.
    Touched(i64),
}

/// Tells the work that nobody waits for it any more.
struct Waiting(Arc<AtomicBool>);

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

pub(super) async fn add(
    corpus: Corpus,
    folder: PathBuf,
    progress: impl FnMut(Progress<'_>) + Send + 'static,
) -> Result<Report> {
    let given_up = Arc::new(AtomicBool::new(false));
    let _waiting = Waiting(Arc::clone(&given_up));
    blocking(move || update(&corpus, &folder, progress, &given_up)).await
}

fn update(
    corpus: &Corpus,
    folder: &Path,
    mut progress: impl FnMut(Progress<'_>),
    given_up: &AtomicBool,
) -> Result<Report> {
    let root = canonical(folder)?;
    let (id, mut known) = corpus.connections.write_now(|connection| {
        let id = enter(connection, &root)?;
        Ok((id, known(connection, id)?))
    })?;
    let mut report = Report::default();
    let mut files = Vec::new();
    walk(&root, 0, &mut files, &mut report);
    let of = files.len();
    for (at, path) in files.iter().enumerate() {
        if given_up.load(Ordering::Relaxed) {
            return Err(CorpusError::Unavailable("the update was broken off".to_owned()));
        }
        progress(Progress { path, file: at + 1, of });
        let Some(name) = path.to_str().filter(|name| name.len() <= MOST_NAME_BYTES) else {
            report.skip(path, "its path is not UTF-8 or longer than 512 bytes");
            continue;
        };
        // What cannot be read now does not stay in the corpus: it is left among the known.
        let outcome = match look(corpus, &root, path, known.get(name)) {
            Ok(outcome) => outcome,
            Err(reason) => {
                report.skip(path, reason);
                continue;
            }
        };
        let before = known.remove(name);
        match outcome {
            Outcome::Unchanged => report.unchanged += 1,
            Outcome::Touched(modified) => {
                corpus.connections.write_now(|connection| touch(connection, id, name, modified))?;
                report.unchanged += 1;
            }
            Outcome::Changed(new) => {
                let inserted = corpus.connections.write_now(|connection| {
                    let collection = document::collection(connection, FOLDERS)?;
                    document::insert(connection, collection, Some(id), &new)
                });
                if let Err(error @ CorpusError::TooManyChunks { .. }) = inserted {
                    report.skip(path, error.to_string());
                    known.extend(before.map(|before| (name.to_owned(), before)));
                    continue;
                }
                inserted?;
                if before.is_some() {
                    report.updated += 1;
                } else {
                    report.added += 1;
                }
            }
        }
    }
    report.removed = known.len();
    corpus
        .connections
        .write_now(|connection| known.keys().try_for_each(|name| document::delete(connection, FOLDERS, name)))?;
    if report.removed + report.updated > 0 {
        corpus.connections.empty_log()?;
    }
    Ok(report)
}

fn canonical(folder: &Path) -> Result<PathBuf> {
    let shown = folder.display();
    let root = folder.canonicalize().map_err(|error| CorpusError::NotFound(format!("folder `{shown}` ({error})")))?;
    if !root.is_dir() {
        return Err(CorpusError::NotFound(format!("folder `{shown}` (it is a file)")));
    }
    if root.to_str().is_none() {
        return Err(CorpusError::Invalid(format!("expected the path of the folder to be UTF-8, found `{shown}`")));
    }
    Ok(root)
}

/// The folder's id. A folder inside another one would have documents twice.
fn enter(connection: &Connection, root: &Path) -> Result<i64> {
    for Folder { path, .. } in list(connection)? {
        if path != root && (path.starts_with(root) || root.starts_with(&path)) {
            return Err(CorpusError::Invalid(format!(
                "expected a folder apart from those of the corpus, found `{}`, which overlaps with `{}`",
                root.display(),
                path.display()
            )));
        }
    }
    let root = root.to_string_lossy();
    connection.execute("INSERT INTO folder(path) VALUES(?1) ON CONFLICT DO NOTHING", [&root])?;
    Ok(connection.query_row("SELECT id FROM folder WHERE path = ?1", [&root], |row| row.get(0))?)
}

fn known(connection: &Connection, folder: i64) -> Result<HashMap<String, Known>> {
    let mut statement = connection.prepare("SELECT name, bytes, modified, sha256 FROM document WHERE folder = ?1")?;
    let known = statement.query_map([folder], |row| {
        Ok((row.get(0)?, Known { bytes: row.get(1)?, modified: row.get(2)?, sha256: row.get(3)? }))
    })?;
    Ok(known.collect::<rusqlite::Result<_>>()?)
}

fn touch(connection: &Connection, folder: i64, name: &str, modified: i64) -> Result<()> {
    let update = "UPDATE document SET modified = ?3 WHERE folder = ?1 AND name = ?2";
    connection.execute(update, params![folder, name, modified])?;
    Ok(())
}

pub(super) fn remove(connection: &Connection, folder: &Path) -> Result<usize> {
    // A folder that is gone from the disk can still be removed.
    let path = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
    let shown = path.to_string_lossy();
    let id: Option<i64> =
        connection.query_row("SELECT id FROM folder WHERE path = ?1", [&shown], |row| row.get(0)).optional()?;
    let id = id.ok_or_else(|| CorpusError::NotFound(format!("folder `{shown}`")))?;
    let removed = connection.execute("DELETE FROM document WHERE folder = ?1", [id])?;
    connection.execute("DELETE FROM folder WHERE id = ?1", [id])?;
    Ok(removed)
}

pub(super) fn list(connection: &Connection) -> Result<Vec<Folder>> {
    let mut statement = connection.prepare_cached(
        "SELECT path, (SELECT count(*) FROM document WHERE document.folder = folder.id) FROM folder ORDER BY path",
    )?;
    let folders = statement
        .query_map([], |row| Ok(Folder { path: PathBuf::from(row.get::<_, String>(0)?), documents: row.get(1)? }))?;
    Ok(folders.collect::<rusqlite::Result<_>>()?)
}

/// The files below a folder, in the order of their names. Hidden ones are left out: they are
/// settings and copies of programs.
fn walk(folder: &Path, depth: usize, files: &mut Vec<PathBuf>, report: &mut Report) {
    if depth > MOST_DEPTH {
        report.skip(folder, format!("it lies more than {MOST_DEPTH} folders deep"));
        return;
    }
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) => {
            report.skip(folder, format!("it cannot be read: {error}"));
            return;
        }
    };
    let mut paths: Vec<_> = entries.flatten().map(|entry| (entry.path(), entry.file_type())).collect();
    paths.sort_by(|(left, _), (right, _)| left.cmp(right));
    for (path, kind) in paths {
        if path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.')) {
            continue;
        }
        match kind {
            Ok(kind) if kind.is_symlink() => report.skip(&path, "links are not followed"),
            Ok(kind) if kind.is_dir() => walk(&path, depth + 1, files, report),
            Ok(kind) if kind.is_file() && files.len() < MOST_FILES => files.push(path),
            Ok(kind) if kind.is_file() => report.skip(&path, format!("the folder has more than {MOST_FILES} files")),
            Ok(_) => report.skip(&path, "it is no file"),
            Err(error) => report.skip(&path, format!("it cannot be read: {error}")),
        }
    }
}

/// What a file is now, compared to what is known of it. The error is why it is skipped.
fn look(corpus: &Corpus, root: &Path, path: &Path, known: Option<&Known>) -> Result<Outcome, String> {
    let unread = |error: std::io::Error| format!("it cannot be read: {error}");
    // Whatever stands at the path since the walk: neither is a link followed nor does a pipe
    // keep this waiting.
    let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits();
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(i32::try_from(flags).unwrap_or_default())
        .open(path)
        .map_err(unread)?;
    let told = file.metadata().map_err(unread)?;
    if !told.is_file() {
        return Err("it is no file".to_owned());
    }
    if told.len() > MOST_FILE_BYTES {
        return Err(format!("it has {} bytes, more than {MOST_FILE_BYTES}", told.len()));
    }
    let modified = told.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
    let modified = modified.and_then(|time| i64::try_from(time.as_nanos()).ok()).unwrap_or_default();
    if known.is_some_and(|known| known.bytes == told.len() && known.modified == modified) {
        return Ok(Outcome::Unchanged);
    }
    let bytes = read(file).map_err(unread)?;
    let sha256: [u8; 32] = Sha256::digest(&bytes).into();
    if known.is_some_and(|known| known.sha256 == sha256) {
        return Ok(Outcome::Touched(modified));
    }
    let page = page::read(path, &bytes, corpus.extractor.as_ref())?;
    let new = NewDocument { bytes: bytes.len() as u64, modified, sha256, ..new_document(root, path, page) };
    new.check().map_err(|error| error.to_string())?;
    Ok(Outcome::Changed(Box::new(new)))
}

fn read(file: File) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.take(MOST_FILE_BYTES + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MOST_FILE_BYTES {
        return Err(std::io::Error::other("it grew while it was read"));
    }
    Ok(bytes)
}

fn new_document(root: &Path, path: &Path, page: Page) -> NewDocument {
    let folder = root.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let host = page.front.url.as_deref().and_then(crate::provider::web_address).map(|url| crate::provider::site(&url));
    let site = page.front.site.or(host).unwrap_or_else(|| folder.clone());
    NewDocument {
        name: path.to_string_lossy().into_owned(),
        url: page.front.url.unwrap_or_else(|| address(&folder, path.strip_prefix(root).unwrap_or(path))),
        title: page.title,
        site,
        published: page.front.published,
        metadata: page.front.metadata,
        text: page.text,
        ..NewDocument::default()
    }
}

/// `corpus:///folder/path/in/it`: it leads to the file for whoever knows the folder, and tells
/// nobody else where on the machine it lies.
fn address(folder: &str, path: &Path) -> String {
    let parts = path.iter().map(|part| encoded(&part.to_string_lossy()));
    std::iter::once(encoded(folder)).chain(parts).fold("corpus://".to_owned(), |url, part| url + "/" + &part)
}
