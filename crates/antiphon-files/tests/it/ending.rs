//! What may go wrong while an upload begins or ends: others, a full disk, a client that
//! leaves, the end of the process.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use antiphon_engine::Ambient;
use antiphon_files::{Begun, FileLimits, Received, Target, UploadError};
use antiphon_testkit::FixedAmbient;
use antiphon_wire::{Code, CreateFile, File};
use futures_util::future::{join, join_all};
use jiff::Timestamp;
use pretty_assertions::assert_eq;
use serde_json::json;

use crate::support::{
    BASE, PROJECT, begin, begin_file, begin_named, holding, keep, open, open_with, open_within, store,
};

fn file(received: Result<Received, UploadError>) -> File {
    match received {
        Ok(Received::File(file)) => file,
        other => panic!("expected a file, got {other:?}"),
    }
}

#[tokio::test]
async fn a_name_is_given_once() {
    let folder = tempfile::tempdir().unwrap();
    let files = open(&folder, 0).await;
    let (one, other) = (begin_named(&files, "files/bird").await, begin_named(&files, "files/bird").await);
    let kept = file(files.receive(&one, 0, b"the heron".to_vec(), true, BASE).await);
    let refused = files.receive(&other, 0, b"the stork".to_vec(), true, BASE).await.unwrap_err();
    assert_eq!((refused.error.code, refused.is_active), (Code::FailedPrecondition, false));
    assert_eq!(files.file(PROJECT, "bird", BASE).await.unwrap(), kept);
    assert_eq!((holding(&folder, "the heron"), holding(&folder, "the stork")), (1, 0));

    let begun = join_all((0..8).map(|_| begin_named(&files, "files/other"))).await;
    let ended = begun.iter().map(|upload| files.receive(upload, 0, b"the crane".to_vec(), true, BASE));
    assert_eq!(join_all(ended).await.iter().filter(|ended| ended.is_ok()).count(), 1);

    files.delete_file(PROJECT, "bird").await.unwrap();
    assert_eq!(files.delete_file(PROJECT, "bird").await.unwrap_err().code, Code::NotFound);
    let again = begin_named(&files, "files/bird").await;
    file(files.receive(&again, 0, b"the stork".to_vec(), true, BASE).await);
    assert_eq!((holding(&folder, "the heron"), holding(&folder, "the stork")), (0, 1));
}

#[tokio::test]
async fn the_name_of_a_file_that_has_expired_is_free() {
    let folder = tempfile::tempdir().unwrap();
    let clock = Arc::new(FixedAmbient::default());
    let files = open_with(&folder, FileLimits::default(), Arc::clone(&clock) as Arc<dyn Ambient>).await;
    let upload = begin_named(&files, "files/bird").await;
    file(files.receive(&upload, 0, b"the heron".to_vec(), true, BASE).await);
    clock.advance(jiff::SignedDuration::from_hours(48));
    let upload = begin_named(&files, "files/bird").await;
    let kept = file(files.receive(&upload, 0, b"the grey stork".to_vec(), true, BASE).await);
    files.sweep().await;
    assert_eq!(files.file(PROJECT, "bird", BASE).await.unwrap(), kept);
    assert_eq!((holding(&folder, "the heron"), holding(&folder, "the grey stork")), (0, 1));
}

#[tokio::test]
async fn together_files_are_no_more_than_there_may_be() {
    let folder = tempfile::tempdir().unwrap();
    let files = open_within(&folder, FileLimits { files: 3, ..FileLimits::default() }).await;
    let begun = join_all((0..12).map(|_| begin_file(&files))).await;
    let ended = begun.iter().map(|upload| files.receive(upload, 0, b"the crane".to_vec(), true, BASE));
    let refused: Vec<_> = join_all(ended).await.into_iter().filter_map(Result::err).collect();
    assert_eq!(refused.len(), 9);
    assert!(refused.iter().all(|refused| refused.error.code == Code::FailedPrecondition), "{refused:?}");
}

#[tokio::test]
async fn together_uploads_are_no_more_than_there_may_be() {
    let folder = tempfile::tempdir().unwrap();
    let files = open_within(&folder, FileLimits { uploads: 3, ..FileLimits::default() }).await;
    let start = || {
        let request = CreateFile::read(json!({"file": {"mimeType": "text/plain"}})).unwrap();
        files.begin_upload(PROJECT, Target::File(request), Begun::default())
    };
    let begun = join_all((0..8).map(|_| start())).await;
    assert_eq!(begun.iter().filter(|begun| begun.is_ok()).count(), 3);
    let (upload, kept) = (begun.into_iter().find_map(Result::ok).unwrap(), folder.path().join("files/uploads"));
    files.cancel_upload(&upload).await.unwrap();
    // What cannot be written takes no place.
    let away = folder.path().join("away");
    fs::rename(&kept, &away).unwrap();
    for _ in 0..3 {
        assert_eq!(start().await.unwrap_err().code, Code::ServiceUnavailable);
    }
    fs::rename(&away, &kept).unwrap();
    start().await.unwrap();
    assert_eq!(start().await.unwrap_err().code, Code::RateLimitExceeded);
}

#[tokio::test]
async fn a_file_whose_upload_has_not_ended_is_not_changed_and_counts_once() {
    let folder = tempfile::tempdir().unwrap();
    let limits = FileLimits { files: 1, ..FileLimits::default() };
    let files = open_within(&folder, limits).await;
    let upload = begin_file(&files).await;
    files.receive(&upload, 0, b"the heron".to_vec(), false, BASE).await.unwrap();
    let uploads = folder.path().join("files/uploads");
    let paths: Vec<_> = fs::read_dir(&uploads).unwrap().map(|entry| entry.unwrap().path()).collect();
    let about = paths.iter().find(|path| path.extension().unwrap() == "json").unwrap();
    let said = fs::read(about).unwrap();
    let kept = file(files.receive(&upload, 9, Vec::new(), true, BASE).await);
    drop(files);
    // As if the process had died between the file and the end of its upload.
    let contents = folder.path().join("files/contents/1");
    let bytes = fs::read_dir(contents).unwrap().next().unwrap().unwrap().path();
    fs::write(about, said).unwrap();
    fs::hard_link(&bytes, about.with_extension("part")).unwrap();
    let files = open_within(&folder, limits).await;
    for is_last in [false, true] {
        let refused = files.receive(&upload, 9, b" waits".to_vec(), is_last, BASE).await.unwrap_err();
        assert_eq!((refused.error.code, refused.is_active), (Code::FailedPrecondition, false));
        assert_eq!(fs::read(&bytes).unwrap(), b"the heron");
    }
    assert_eq!(file(files.receive(&upload, 9, Vec::new(), true, BASE).await), kept);
    assert_eq!(files.files(PROJECT, None, 10, BASE).await.unwrap().items, [kept]);
    assert_eq!(files.upload_size(&upload).await.unwrap_err().error.code, Code::NotFound);
}

/// Counts the looks at the time.
#[derive(Default)]
struct Counting {
    clock: FixedAmbient,
    looks: AtomicUsize,
}

impl Ambient for Counting {
    fn now(&self) -> Timestamp {
        self.looks.fetch_add(1, Ordering::SeqCst);
        self.clock.now()
    }

    fn fill_random(&self, bytes: &mut [u8]) {
        self.clock.fill_random(bytes);
    }
}

#[tokio::test]
async fn an_end_goes_on_when_its_client_leaves() {
    let folder = tempfile::tempdir().unwrap();
    let ambient = Arc::new(Counting::default());
    let files = open_with(&folder, FileLimits::default(), Arc::clone(&ambient) as Arc<dyn Ambient>).await;
    let store = store(&files).await;
    let upload = begin(&files, &store, json!({})).await;
    let before = ambient.looks.load(Ordering::SeqCst);
    // The first look is whether the upload may go on, the second is when its document is made.
    let is_made = async {
        while ambient.looks.load(Ordering::SeqCst) < before + 2 {
            tokio::task::yield_now().await;
        }
    };
    let text = "the heron waits ".repeat(20_000);
    tokio::select! {
        biased;
        ended = files.receive(&upload, 0, text.into(), true, BASE) => panic!("{ended:?}"),
        () = is_made => {}
    }
    let ends = async {
        while files.upload_size(&upload).await.is_ok() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), ends).await.unwrap();
    assert_eq!(files.documents(PROJECT, &store, None, 10).await.unwrap().items.len(), 1);
}

#[tokio::test]
async fn a_question_about_an_upload_hinders_no_piece() {
    let folder = tempfile::tempdir().unwrap();
    let files = open(&folder, 0).await;
    let upload = begin_file(&files).await;
    let piece = || files.receive(&upload, 0, Vec::new(), false, BASE);
    let (asked, taken) = join(files.upload_size(&upload), piece()).await;
    assert_eq!((asked, taken), (Ok(0), Ok(Received::Active(0))));
    let (taken, asked) = join(piece(), files.upload_size(&upload)).await;
    assert_eq!((asked, taken), (Ok(0), Ok(Received::Active(0))));
}

#[tokio::test]
async fn what_cannot_be_read_now_is_not_removed() {
    let folder = tempfile::tempdir().unwrap();
    let files = open(&folder, 0).await;
    let id = keep(&files, b"the crane").await;
    drop(files);
    let uploads = folder.path().join("files/uploads");
    // Reading it fails, and nothing is known of what it says.
    fs::create_dir(uploads.join("unread.json")).unwrap();
    fs::write(uploads.join("unread.part"), "the heron").unwrap();
    fs::write(uploads.join("wrong.json"), "{").unwrap();
    fs::write(uploads.join("wrong.part"), "the stork").unwrap();
    fs::write(uploads.join("half.new"), "the egret").unwrap();
    let files = open(&folder, 0).await;
    assert_eq!(["the heron", "the stork", "the egret"].map(|words| holding(&folder, words)), [1, 0, 0]);
    assert_eq!(fs::read_dir(&uploads).unwrap().count(), 2);
    files.file(PROJECT, &id, BASE).await.unwrap();
}
