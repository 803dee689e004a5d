//! Uploads and files: how long they last, and what is left of them.

use antiphon_files::Received;
use antiphon_wire::Code;
use pretty_assertions::assert_eq;
use serde_json::json;

use crate::support::{BASE, PROJECT, begin, holding, keep, open, store};

#[tokio::test]
async fn an_upload_goes_on_after_a_restart_for_an_hour() {
    let folder = tempfile::tempdir().unwrap();
    let files = open(&folder, 0).await;
    let store = store(&files).await;
    let upload = begin(&files, &store, json!({})).await;
    let late = begin(&files, &store, json!({})).await;
    assert_eq!(files.receive(&upload, 0, b"the heron ".to_vec(), false, BASE).await, Ok(Received::Active(10)));
    files.receive(&late, 0, b"the cormorant".to_vec(), false, BASE).await.unwrap();
    drop(files);

    let files = open(&folder, 0).await;
    assert_eq!(files.upload_size(&upload).await, Ok(10));
    let Ok(Received::Document(made)) = files.receive(&upload, 10, b"waits".to_vec(), true, BASE).await else {
        panic!("no document was made")
    };
    let id = made.response.document_name.rsplit('/').next().unwrap().to_owned();
    assert_eq!(files.document(PROJECT, &store, &id).await.unwrap().size_bytes, "15");
    assert_eq!(files.upload_size(&upload).await.unwrap_err().error.code, Code::NotFound);
    drop(files);

    let files = open(&folder, 1).await;
    assert_eq!(files.upload_size(&late).await.unwrap_err().error.code, Code::NotFound);
    assert_eq!(holding(&folder, "cormorant"), 0);
    assert_eq!(std::fs::read_dir(folder.path().join("files/uploads")).unwrap().count(), 0);
}

#[tokio::test]
async fn an_end_that_is_sent_twice_makes_one_document() {
    let folder = tempfile::tempdir().unwrap();
    let files = open(&folder, 0).await;
    let store = store(&files).await;
    let upload = begin(&files, &store, json!({})).await;
    let uploads = folder.path().join("files/uploads");
    let kept: Vec<_> = std::fs::read_dir(&uploads).unwrap().map(|entry| entry.unwrap().path()).collect();
    let copies: Vec<_> = kept.iter().map(|path| std::fs::read(path).unwrap()).collect();
    files.receive(&upload, 0, b"the heron".to_vec(), true, BASE).await.unwrap();
    drop(files);
    // As if the process had died between the document and the end of its upload.
    for (path, bytes) in kept.iter().zip(copies) {
        std::fs::write(path, bytes).unwrap();
    }
    let files = open(&folder, 0).await;
    files.receive(&upload, 0, b"the heron".to_vec(), true, BASE).await.unwrap();
    assert_eq!(files.documents(PROJECT, &store, None, 10).await.unwrap().items.len(), 1);
}

#[tokio::test]
async fn a_file_lasts_two_days_and_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let files = open(&folder, 0).await;
    let id = keep(&files, "the heron waits").await;
    let kept = files.file(PROJECT, &id, BASE).await.unwrap();
    assert_eq!(kept.uri, format!("{BASE}files/{id}"));
    assert_eq!(holding(&folder, "the heron"), 1);
    drop(files);

    let files = open(&folder, 47).await;
    assert_eq!(files.file(PROJECT, &id, BASE).await.unwrap(), kept);
    drop(files);

    let files = open(&folder, 48).await;
    assert_eq!(files.file(PROJECT, &id, BASE).await.unwrap_err().code, Code::NotFound);
    assert_eq!(files.files(PROJECT, None, 10, BASE).await.unwrap().items, []);
    assert_eq!(holding(&folder, "the heron"), 0);
}

#[tokio::test]
async fn what_never_became_a_file_is_removed_at_the_next_start() {
    let folder = tempfile::tempdir().unwrap();
    let files = open(&folder, 0).await;
    let id = keep(&files, "the heron waits").await;
    drop(files);
    // As if the process had died before it said what these bytes are.
    let kept = folder.path().join("files/files-1");
    std::fs::write(kept.join("half.bytes"), "the cormorant").unwrap();
    std::fs::write(kept.join("half.new"), "{").unwrap();
    let files = open(&folder, 0).await;
    assert_eq!(holding(&folder, "cormorant"), 0);
    assert_eq!(std::fs::read_dir(kept).unwrap().count(), 2);
    assert_eq!(files.file(PROJECT, &id, BASE).await.unwrap().size_bytes, "15");
}

#[tokio::test]
async fn the_address_of_an_upload_is_not_on_the_disk() {
    let folder = tempfile::tempdir().unwrap();
    let files = open(&folder, 0).await;
    let store = store(&files).await;
    let upload = begin(&files, &store, json!({})).await;
    assert_eq!(holding(&folder, &upload), 0);
    let names = std::fs::read_dir(folder.path().join("files/uploads")).unwrap();
    assert!(names.map(|entry| entry.unwrap().file_name()).all(|name| !name.to_string_lossy().contains(&upload)));
}
