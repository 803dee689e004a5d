//! What is particular to a store in a file.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;

use antiphon_engine::{Append, Store as _, StoreError};
use antiphon_store::{SqliteStore, StoreOptions};
use antiphon_testkit::KeptBytes;
use antiphon_testkit::sample::{answer, delta, id, outcome, turn};
use antiphon_wire::{Content, MediaContent, Status, Step, TextContent};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::{fresh, open};

fn files(dir: &Path) -> Vec<(String, Vec<u8>)> {
    std::fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| (path.display().to_string(), std::fs::read(path).unwrap()))
        .collect()
}

#[tokio::test]
async fn what_was_acknowledged_is_there_when_it_is_opened_again() {
    let (store, dir) = fresh();
    let project = store.project("one").await.unwrap();
    let fence = store.accept(turn(project, "first", None)).await.unwrap();
    let append = Append { events: vec![delta(3, "text")], closed: vec![answer(0, "text")], outcome: None };
    store.append(&id("first"), fence, append).await.unwrap();
    let log = store.events(project, &id("first")).await.unwrap();
    drop(store);

    let store = open(dir.path());
    assert_eq!(store.project("one").await.unwrap(), project);
    assert_eq!(store.events(project, &id("first")).await.unwrap(), log);
    let end = Append { outcome: Some(outcome(Status::Completed)), ..Append::default() };
    store.append(&id("first"), fence, end).await.unwrap();
}

#[tokio::test]
async fn two_processes_work_on_one_file() {
    let (server, dir) = fresh();
    let command = open(dir.path());
    let project = server.project("one").await.unwrap();
    assert_eq!(command.project("one").await.unwrap(), project);
    let stores = [Arc::new(server), Arc::new(command)];
    let mut writes = JoinSet::new();
    for number in 0..40 {
        let store = Arc::clone(&stores[number % 2]);
        writes.spawn(async move { store.accept(turn(project, &number.to_string(), None)).await });
    }
    assert!(writes.join_all().await.iter().all(Result::is_ok));
    for number in 0..40 {
        for store in &stores {
            store.interaction(project, &id(&number.to_string())).await.unwrap();
        }
    }
    stores[1].delete(project, &id("0")).await.unwrap();
    assert!(matches!(stores[0].interaction(project, &id("0")).await, Err(StoreError::NotFound)));
}

#[tokio::test]
async fn a_deleted_medium_is_in_no_file_and_read_by_nobody() {
    let (store, dir) = fresh();
    let project = store.project("one").await.unwrap();
    let planted = b"PLANTED-MEDIUM".repeat(50_000);
    let mut new = turn(project, "first", None);
    let medium = MediaContent::inline(KeptBytes::data("one", planted.clone()), "image/png".to_owned());
    new.request.input = vec![Step::user(vec![Content::Image(medium)])];
    store.accept(new).await.unwrap();
    let history = store.history(project, &id("first")).await.unwrap();
    let data = &history[0].step.said()[0].media().unwrap().data;
    assert!(data.bytes().unwrap() == planted);
    store.delete(project, &id("first")).await.unwrap();
    assert!(data.bytes().is_err());
    for (path, bytes) in files(dir.path()) {
        assert!(!bytes.windows(14).any(|window| window == b"PLANTED-MEDIUM"), "{path}");
    }
}

#[tokio::test]
async fn deleted_text_is_in_no_file() {
    let (store, dir) = fresh();
    let project = store.project("one").await.unwrap();
    let planted = ["PLANTED-INPUT", "PLANTED-SYSTEM", "PLANTED-OUTPUT", "PLANTED-STEP"];
    let mut new = turn(project, "first", None);
    new.request.input = vec![Step::user(vec![Content::text(planted[0].repeat(2000))])];
    new.request.system_instruction = Some(planted[1].to_owned());
    let fence = store.accept(new).await.unwrap();
    let append = Append {
        events: vec![delta(3, planted[2])],
        closed: vec![answer(0, planted[3])],
        outcome: Some(outcome(Status::Completed)),
    };
    store.append(&id("first"), fence, append).await.unwrap();
    store.accept(turn(project, "second", Some(&id("first")))).await.unwrap();
    let history = store.history(project, &id("first")).await.unwrap();
    assert!(format!("{history:?}").contains(planted[0]));

    store.delete(project, &id("first")).await.unwrap();
    for (name, bytes) in files(dir.path()) {
        for text in planted {
            assert!(!bytes.windows(text.len()).any(|window| window == text.as_bytes()), "{text} is in {name}");
        }
    }
    store.interaction(project, &id("second")).await.unwrap();
}

#[tokio::test]
async fn content_that_nests_as_deep_as_a_request_may_is_read_back() {
    let (store, _dir) = fresh();
    let project = store.project("one").await.unwrap();
    let deep = (0..124).fold(Value::Null, |inner, _| json!([inner]));
    let mut new = turn(project, "first", None);
    new.request.input =
        vec![Step::user(vec![Content::Text(TextContent { text: String::new(), annotations: vec![deep] })])];
    store.accept(new.clone()).await.unwrap();
    assert_eq!(store.interaction(project, &id("first")).await.unwrap().request, new.request);
    assert_eq!(store.claim_all("next", new.expires).await.unwrap().len(), 1);
}

#[tokio::test]
async fn every_commit_is_counted_and_a_check_is_one() {
    let (store, _dir) = fresh();
    let project = store.project("one").await.unwrap();
    let before = store.commits();
    store.accept(turn(project, "first", None)).await.unwrap();
    store.check().await.unwrap();
    assert_eq!(store.commits(), before + 2);
    assert!(store.accept(turn(project, "first", None)).await.is_err());
    store.events(project, &id("first")).await.unwrap();
    assert_eq!(store.commits(), before + 2);
}

#[tokio::test]
async fn a_missing_folder_is_made_and_only_its_owner_reads_it() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("a").join("b");
    let store = open(&folder);
    store.project("one").await.unwrap();
    assert_eq!(std::fs::metadata(&folder).unwrap().permissions().mode() & 0o777, 0o700);
    for entry in std::fs::read_dir(&folder).unwrap() {
        let entry = entry.unwrap();
        let mode = entry.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{}", entry.path().display());
    }
}

#[test]
fn a_file_that_is_no_database_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("antiphon.db"), [b'x'; 5000]).unwrap();
    let opened = SqliteStore::open(dir.path(), StoreOptions::default()).err();
    assert!(matches!(opened, Some(StoreError::Corrupt(_))), "{opened:?}");
}

#[test]
fn a_folder_that_cannot_be_is_unavailable() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("file"), "").unwrap();
    let opened = SqliteStore::open(&dir.path().join("file"), StoreOptions::default()).err();
    assert!(matches!(opened, Some(StoreError::Unavailable(_))), "{opened:?}");
}
