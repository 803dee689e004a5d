//! The bytes of files: kept once for each project, in the folder or in an object store, and gone with their last file.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use antiphon_blobs::Address;
use antiphon_engine::ProjectId;
use antiphon_files::{Begun, FileLimits, Files, Received, Target};
use antiphon_testkit::FixedAmbient;
use antiphon_wire::{Code, CreateFile};
use jiff::SignedDuration;
use pretty_assertions::assert_eq;
use serde_json::json;
use tempfile::TempDir;

use crate::lookalike::Lookalike;
use crate::support::{BASE, PROJECT, begin_file, holding, keep, open, open_at, open_only};

const MOST: u64 = 1 << 20;

async fn content(files: &Files, id: &str) -> Result<Vec<u8>, Code> {
    let found = files.content(PROJECT, &format!("files/{id}"), MOST).await;
    found.map(|(_, data)| data.bytes().unwrap()).map_err(|error| error.code)
}

/// Files below a folder.
fn count(folder: &Path) -> usize {
    let entries = fs::read_dir(folder).into_iter().flatten().map(|entry| entry.unwrap().path());
    entries.map(|path| if path.is_dir() { count(&path) } else { 1 }).sum()
}

async fn open_remote(folder: &TempDir, lookalike: &Lookalike, hours: i64) -> Files {
    open_at(folder, Some(address_of(lookalike)), FileLimits::default(), clock_at(hours)).await
}

fn address_of(lookalike: &Lookalike) -> Address {
    Address::read("s3://bucket/kept", lookalike.variables().into_iter()).unwrap()
}

fn clock_at(hours: i64) -> Arc<FixedAmbient> {
    let clock = FixedAmbient::default();
    clock.advance(SignedDuration::from_hours(hours));
    Arc::new(clock)
}

#[tokio::test]
async fn equal_bytes_are_kept_once_and_go_with_the_last_of_their_files() {
    let folder = tempfile::tempdir().unwrap();
    let files = open(&folder, 0).await;
    let contents = folder.path().join("files/contents");
    let one = keep(&files, b"the heron waits").await;
    let other = keep(&files, b"the heron waits").await;
    assert_eq!(count(&contents), 1);

    let stranger = ProjectId(PROJECT.0 + 1);
    let request = CreateFile::read(json!({"file": {"mimeType": "text/plain"}})).unwrap();
    let upload = files.begin_upload(stranger, Target::File(request), Begun::default()).await.unwrap();
    files.receive(&upload, 0, b"the heron waits".to_vec(), true, BASE).await.unwrap();
    assert_eq!(count(&contents), 2, "each project has its own");

    files.delete_file(PROJECT, &one).await.unwrap();
    assert_eq!(content(&files, &one).await, Err(Code::NotFound));
    assert_eq!(content(&files, &other).await, Ok(b"the heron waits".to_vec()));
    files.delete_file(PROJECT, &other).await.unwrap();
    assert_eq!(files.delete_file(PROJECT, &other).await.unwrap_err().code, Code::NotFound);
    assert_eq!(count(&contents), 1, "the other project's");
    assert_eq!(fs::read_dir(folder.path().join("files/files-1")).unwrap().count(), 0);
}

#[tokio::test]
async fn files_that_are_made_and_deleted_together_keep_their_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let files = open(&folder, 0).await;
    // The one that is deleted is the only other that has them.
    for _ in 0..16 {
        let before = keep(&files, b"the heron waits").await;
        let (kept, deleted) = tokio::join!(keep(&files, b"the heron waits"), files.delete_file(PROJECT, &before));
        deleted.unwrap();
        assert_eq!(content(&files, &kept).await, Ok(b"the heron waits".to_vec()));
        files.delete_file(PROJECT, &kept).await.unwrap();
    }
}

#[tokio::test]
async fn bytes_that_lie_beside_their_files_are_brought_along() {
    let folder = tempfile::tempdir().unwrap();
    let files = open(&folder, 0).await;
    let id = keep(&files, b"the heron waits").await;
    drop(files);
    // As an earlier version has left them.
    let contents = folder.path().join("files/contents/1");
    let content_of = fs::read_dir(&contents).unwrap().next().unwrap().unwrap().path();
    let beside = folder.path().join(format!("files/files-1/{id}.bytes"));
    fs::rename(&content_of, &beside).unwrap();
    let files = open(&folder, 0).await;
    assert_eq!(content(&files, &id).await, Ok(b"the heron waits".to_vec()));
    assert!(!beside.exists());
}

#[tokio::test]
async fn bytes_stay_when_nobody_can_read_whose_they_are() {
    let folder = tempfile::tempdir().unwrap();
    let files = open(&folder, 0).await;
    let (beside, apart) = (keep(&files, b"the heron waits").await, keep(&files, b"the stork").await);
    drop(files);
    // One is as an earlier version has left it.
    let content_of = |words: &str| {
        let contents = fs::read_dir(folder.path().join("files/contents/1")).unwrap();
        let mut places = contents.map(|entry| entry.unwrap().path());
        places.find(|place| fs::read(place).unwrap() == words.as_bytes()).unwrap()
    };
    let said = |id: &str| folder.path().join(format!("files/files-1/{id}.json"));
    fs::rename(content_of("the heron waits"), said(&beside).with_extension("bytes")).unwrap();
    let whole = [&beside, &apart].map(|id| (said(id), fs::read(said(id)).unwrap()));
    for (place, bytes) in &whole {
        fs::write(place, &bytes[..20]).unwrap();
    }
    drop(open(&folder, 0).await);

    for (place, bytes) in &whole {
        fs::write(place, bytes).unwrap();
    }
    let files = open(&folder, 0).await;
    assert_eq!(content(&files, &beside).await, Ok(b"the heron waits".to_vec()));
    assert_eq!(content(&files, &apart).await, Ok(b"the stork".to_vec()));
}

#[tokio::test]
async fn a_file_that_cannot_be_read_keeps_no_other_from_going() {
    let folder = tempfile::tempdir().unwrap();
    let files = open(&folder, 0).await;
    let stranger = ProjectId(PROJECT.0 + 1);
    let broken = keep(&files, b"the heron waits").await;
    let request = CreateFile::read(json!({"file": {"mimeType": "text/plain"}})).unwrap();
    let upload = files.begin_upload(stranger, Target::File(request), Begun::default()).await.unwrap();
    files.receive(&upload, 0, b"the stork".to_vec(), true, BASE).await.unwrap();
    let expired = keep(&files, b"the cormorant").await;
    fs::write(folder.path().join(format!("files/files-1/{broken}.json")), "{").unwrap();
    drop(files);

    // Nothing of the same project is removed while somebody's bytes are not known to be nobody's.
    drop(open(&folder, 49).await);
    assert_eq!(holding(&folder, "the stork"), 0);
    assert_eq!((holding(&folder, "the heron"), holding(&folder, "the cormorant")), (1, 1));
    fs::remove_file(folder.path().join(format!("files/files-1/{broken}.json"))).unwrap();
    let files = open(&folder, 49).await;
    assert_eq!(content(&files, &expired).await, Err(Code::NotFound));
    assert_eq!(count(&folder.path().join("files/contents")), 0);
}

#[tokio::test]
async fn bytes_that_could_not_be_kept_whole_leave_nothing_in_the_object_store() {
    let folder = tempfile::tempdir().unwrap();
    let lookalike = Lookalike::start().await;
    let files = open_remote(&folder, &lookalike, 0).await;
    let upload = begin_file(&files).await;
    // They get there, and it is not said so.
    lookalike.kept().denies_what_it_took = true;
    let refused = files.receive(&upload, 0, b"the heron waits".to_vec(), true, BASE).await.unwrap_err();
    assert_eq!((refused.error.code, refused.is_active), (Code::ServiceUnavailable, true));
    assert_eq!(lookalike.kept().objects.len(), 0);
}

#[tokio::test]
async fn an_object_store_has_the_bytes_and_this_machine_has_none() {
    let folder = tempfile::tempdir().unwrap();
    let lookalike = Lookalike::start().await;
    let files = open_remote(&folder, &lookalike, 0).await;
    let one = keep(&files, b"the heron waits").await;
    let other = keep(&files, b"the heron waits").await;
    let long = keep(&files, &vec![b'x'; 9 << 20]).await;
    assert_eq!(holding(&folder, "the heron"), 0);
    assert_eq!(lookalike.kept().objects.len(), 2);
    assert_eq!(files.file(PROJECT, &long, BASE).await.unwrap().size_bytes, (9 << 20).to_string());
    // What is not given back is not fetched.
    lookalike.kept().is_closed = true;
    assert_eq!(files.download(PROJECT, &long).await.unwrap_err().code, Code::FailedPrecondition);
    lookalike.kept().is_closed = false;
    files.delete_file(PROJECT, &one).await.unwrap();
    drop(files);

    let files = open_remote(&folder, &lookalike, 47).await;
    assert_eq!(content(&files, &other).await, Ok(b"the heron waits".to_vec()));
    files.delete_file(PROJECT, &long).await.unwrap();
    assert_eq!(lookalike.kept().objects.len(), 1);
    drop(files);

    let files = open_remote(&folder, &lookalike, 48).await;
    assert_eq!(content(&files, &other).await, Err(Code::NotFound));
    assert_eq!(lookalike.kept().objects.len(), 0);
}

#[tokio::test]
async fn what_never_became_a_file_is_removed_from_the_object_store_at_the_next_start() {
    let folder = tempfile::tempdir().unwrap();
    let lookalike = Lookalike::start().await;
    let files = open_remote(&folder, &lookalike, 0).await;
    let id = keep(&files, b"the heron waits").await;
    let lost = keep(&files, b"the cormorant").await;
    drop(files);
    // As if the process had died before it said what these bytes are.
    fs::remove_file(folder.path().join(format!("files/files-1/{lost}.json"))).unwrap();
    lookalike.kept().objects.insert("kept/another-server/1/file".to_owned(), "theirs".into());
    let files = open_remote(&folder, &lookalike, 0).await;
    assert_eq!(lookalike.kept().objects.len(), 2);
    assert_eq!(content(&files, &id).await, Ok(b"the heron waits".to_vec()));
}

#[tokio::test]
async fn the_start_asks_nothing_of_an_object_store() {
    let folder = tempfile::tempdir().unwrap();
    let lookalike = Lookalike::start().await;
    let files = open_remote(&folder, &lookalike, 0).await;
    keep(&files, b"the heron waits").await;
    drop(files);
    let asked = lookalike.kept().asked;
    let files = open_only(&folder, Some(address_of(&lookalike)), FileLimits::default(), clock_at(49)).await;
    assert_eq!(lookalike.kept().asked, asked);
    files.recover().await;
    assert!(lookalike.kept().asked > asked);
}

#[tokio::test]
async fn an_object_store_that_is_closed_costs_no_acknowledged_byte() {
    let folder = tempfile::tempdir().unwrap();
    let lookalike = Lookalike::start().await;
    let files = open_remote(&folder, &lookalike, 0).await;
    let upload = begin_file(&files).await;
    files.receive(&upload, 0, b"the heron ".to_vec(), false, BASE).await.unwrap();
    lookalike.kept().is_closed = true;
    let refused = files.receive(&upload, 10, b"waits".to_vec(), true, BASE).await.unwrap_err();
    assert_eq!((refused.error.code, refused.is_active), (Code::ServiceUnavailable, true));
    assert_eq!(refused.received, Some(15));
    drop(files);

    // Nor does it keep the server from its start.
    let files = open_remote(&folder, &lookalike, 0).await;
    assert_eq!(files.upload_size(&upload).await, Ok(15));
    lookalike.kept().is_closed = false;
    let Ok(Received::File(file)) = files.receive(&upload, 15, Vec::new(), true, BASE).await else {
        panic!("no file was made")
    };
    assert_eq!(content(&files, file.name.strip_prefix("files/").unwrap()).await, Ok(b"the heron waits".to_vec()));
    assert_eq!(holding(&folder, "the heron"), 0);

    // A deletion that cannot be finished is one all the same, and is finished later.
    lookalike.kept().is_closed = true;
    let id = file.name.strip_prefix("files/").unwrap();
    assert_eq!(files.delete_file(PROJECT, id).await.unwrap_err().code, Code::ServiceUnavailable);
    assert_eq!(content(&files, id).await, Err(Code::NotFound));
    lookalike.kept().is_closed = false;
    assert_eq!(lookalike.kept().objects.len(), 1);
    files.sweep().await;
    assert_eq!(lookalike.kept().objects.len(), 0);
}
