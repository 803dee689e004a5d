//! Uploads and files: how long they last, and what is left of them.

use antiphon_files::Received;
use antiphon_wire::Code;
use pretty_assertions::assert_eq;
use serde_json::json;

use crate::support::{BASE, PROJECT, begin, begin_file, holding, keep, open, store};

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
async fn pieces_that_come_together_do_not_mix() {
    let folder = tempfile::tempdir().unwrap();
    let files = open(&folder, 0).await;
    let store = store(&files).await;
    let upload = begin(&files, &store, json!({})).await;
    let pieces = ["heron ", "stork ", "crane ", "egret "].map(|bird| {
        let (files, upload) = (files.clone(), upload.clone());
        async move { files.receive(&upload, 0, bird.repeat(10_000).into(), false, BASE).await }
    });
    let taken = futures_util::future::join_all(pieces).await;
    let refused: Vec<_> = taken.iter().filter_map(|taken| taken.as_ref().err()).collect();
    assert_eq!(taken.iter().filter(|taken| **taken == Ok(Received::Active(60_000))).count(), 1);
    assert!(refused.len() == 3 && refused.iter().all(|refused| refused.is_active), "{refused:?}");
    let Ok(Received::Document(_)) = files.receive(&upload, 60_000, b"ends".to_vec(), true, BASE).await else {
        panic!("no document was made")
    };
    assert_eq!(holding(&folder, "heron stork") + holding(&folder, "stork heron"), 0);
}

#[tokio::test]
async fn however_a_file_is_cut_it_arrives_whole() {
    let folder = tempfile::tempdir().unwrap();
    let files = open(&folder, 0).await;
    let whole: Vec<u8> = (0..u8::MAX).cycle().take(1000).collect();
    let uncut = keep(&files, &whole).await;
    let sha = files.file(PROJECT, &uncut, BASE).await.unwrap().sha256_hash;
    let cuts = proptest::collection::btree_set(0..=whole.len(), 0..6);
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    for _ in 0..20 {
        let cuts = proptest::strategy::Strategy::new_tree(&cuts, &mut runner).unwrap();
        let cuts = proptest::strategy::ValueTree::current(&cuts);
        let upload = begin_file(&files).await;
        let mut at = 0;
        for cut in cuts {
            let piece = whole[at..cut].to_vec();
            let taken = files.receive(&upload, at as u64, piece, false, BASE).await;
            assert_eq!(taken, Ok(Received::Active(cut as u64)));
            at = cut;
        }
        let Ok(Received::File(file)) = files.receive(&upload, at as u64, whole[at..].to_vec(), true, BASE).await else {
            panic!("no file was made")
        };
        assert_eq!((file.sha256_hash, file.size_bytes.as_str()), (sha.clone(), "1000"));
    }
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
    let id = keep(&files, b"the heron waits").await;
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
    let id = keep(&files, b"the heron waits").await;
    drop(files);
    // As if the process had died before it said what these bytes are.
    let kept = folder.path().join("files/files-1");
    std::fs::write(kept.join("half.bytes"), "the cormorant").unwrap();
    std::fs::write(kept.join("half.new"), "{").unwrap();
    let files = open(&folder, 0).await;
    assert_eq!(holding(&folder, "cormorant"), 0);
    assert_eq!(std::fs::read_dir(kept).unwrap().count(), 1);
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
