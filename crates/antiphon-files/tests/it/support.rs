//! A folder, a clock in the hands of the test, and the few words that tests need.

use std::sync::Arc;

use antiphon_blobs::Address;
use antiphon_engine::{Ambient, ProjectId};
use antiphon_environments::{EnvironmentLimits, Environments, EnvironmentsOptions, NetworkPolicy};
use antiphon_files::{Begun, FileLimits, Files, FilesOptions, Received, Target};
use antiphon_testkit::FixedAmbient;
use antiphon_wire::{CreateFile, CreateFileSearchStore, Operation, UploadToFileSearchStore};
use jiff::SignedDuration;
use serde_json::{Value, json};
use tempfile::TempDir;

pub(crate) const PROJECT: ProjectId = ProjectId(1);
pub(crate) const BASE: &str = "http://box/v1/";

/// A place whose clock stands `hours` after the beginning.
pub(crate) async fn open(folder: &TempDir, hours: i64) -> Files {
    let clock = FixedAmbient::default();
    clock.advance(SignedDuration::from_hours(hours));
    open_with(folder, FileLimits::default(), Arc::new(clock)).await
}

pub(crate) async fn open_within(folder: &TempDir, limits: FileLimits) -> Files {
    open_with(folder, limits, Arc::new(FixedAmbient::default())).await
}

pub(crate) async fn open_with(folder: &TempDir, limits: FileLimits, ambient: Arc<dyn Ambient>) -> Files {
    open_at(folder, None, limits, ambient).await
}

/// A place whose files have their bytes elsewhere.
pub(crate) async fn open_at(
    folder: &TempDir,
    store: Option<Address>,
    limits: FileLimits,
    ambient: Arc<dyn Ambient>,
) -> Files {
    let files = open_only(folder, store, limits, ambient).await;
    // What the server does once it listens.
    files.recover().await;
    files.sweep().await;
    files
}

/// A place that is open, and nothing else yet.
pub(crate) async fn open_only(
    folder: &TempDir,
    store: Option<Address>,
    limits: FileLimits,
    ambient: Arc<dyn Ambient>,
) -> Files {
    let environments = Environments::open(EnvironmentsOptions {
        // A place of its own each time: a folder has one server.
        folder: tempfile::tempdir_in(folder.path()).unwrap().keep(),
        workspaces: folder.path().join("workspaces"),
        limits: EnvironmentLimits::default(),
        network: NetworkPolicy::default(),
        has_own_roots: true,
        repositories: None,
        ambient: Arc::clone(&ambient),
    });
    let environments = environments.await.unwrap();
    let options = FilesOptions { folder: folder.path().join("files"), store, limits, ambient, environments };
    Files::open(options).await.unwrap()
}

pub(crate) async fn store(files: &Files) -> String {
    let made = files.create_store(PROJECT, CreateFileSearchStore::default()).await.unwrap();
    made.name.strip_prefix("fileSearchStores/").unwrap().to_owned()
}

/// Begins the upload of a document; the answer is the upload's id.
pub(crate) async fn begin(files: &Files, store: &str, body: Value) -> String {
    let request = UploadToFileSearchStore::read(body).unwrap();
    let begun = Begun { mime_type: Some("text/plain".to_owned()), ..Begun::default() };
    files.begin_upload(PROJECT, Target::Document { store: store.to_owned(), request }, begun).await.unwrap()
}

pub(crate) async fn put(files: &Files, store: &str, text: &str, body: Value) -> Operation {
    let upload = begin(files, store, body).await;
    match files.receive(&upload, 0, text.into(), true, BASE).await.unwrap() {
        Received::Document(operation) => operation,
        other => panic!("expected a document, got {other:?}"),
    }
}

pub(crate) async fn begin_file(files: &Files) -> String {
    let request = CreateFile::read(json!({"file": {"mimeType": "text/plain"}})).unwrap();
    files.begin_upload(PROJECT, Target::File(request), Begun::default()).await.unwrap()
}

/// Begins the upload of a file whose name is chosen.
pub(crate) async fn begin_named(files: &Files, name: &str) -> String {
    let request = CreateFile::read(json!({"file": {"mimeType": "text/plain", "name": name}})).unwrap();
    files.begin_upload(PROJECT, Target::File(request), Begun::default()).await.unwrap()
}

pub(crate) async fn keep(files: &Files, bytes: &[u8]) -> String {
    let upload = begin_file(files).await;
    match files.receive(&upload, 0, bytes.to_vec(), true, BASE).await.unwrap() {
        Received::File(file) => file.name.strip_prefix("files/").unwrap().to_owned(),
        other => panic!("expected a file, got {other:?}"),
    }
}

/// How many files of the folder hold these words.
pub(crate) fn holding(folder: &TempDir, words: &str) -> usize {
    let mut folders = vec![folder.path().to_owned()];
    let mut count = 0;
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let bytes = std::fs::read(&path).unwrap();
                count += usize::from(bytes.windows(words.len()).any(|found| found == words.as_bytes()));
            }
        }
    }
    count
}
