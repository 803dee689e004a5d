use std::collections::{BTreeSet, HashMap};
use std::path::Path;

use antiphon_engine::{Ambient as _, Append, Store as _};
use antiphon_testkit::FixedAmbient;
use antiphon_testkit::sample::{answer, delta, id, outcome, time, turn};
use antiphon_wire::Status;
use tempfile::TempDir;

use super::*;
use crate::{SqliteStore, StoreOptions};

async fn open() -> (SqliteStore, ProjectId, TempDir) {
    let dir = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(dir.path(), StoreOptions::default()).unwrap();
    let project = store.project("one").await.unwrap();
    (store, project, dir)
}

/// The key of an interaction's content.
fn secret(dir: &Path, name: &str) -> Vec<u8> {
    let sql = "SELECT secret FROM content_key JOIN interaction ON number = interaction WHERE id = ?1";
    let connection = crate::connection::reading(&dir.join("antiphon.db")).unwrap();
    connection.query_row(sql, [id(name).as_str()], |row| row.get(0)).unwrap()
}

/// Whether any file of the folder holds these bytes.
fn found(dir: &Path, bytes: &[u8]) -> bool {
    std::fs::read_dir(dir)
        .unwrap()
        .map(|entry| std::fs::read(entry.unwrap().path()).unwrap())
        .any(|file| file.windows(bytes.len()).any(|window| window == bytes))
}

#[tokio::test]
async fn no_file_holds_the_key_of_what_was_deleted() {
    let (store, project, dir) = open().await;
    let chance = FixedAmbient::default();
    let draw = |below: usize| {
        let mut bytes = [0; 8];
        chance.fill_random(&mut bytes);
        usize::try_from(u64::from_le_bytes(bytes) % below as u64).unwrap()
    };
    let mut live = Vec::new();
    let mut secrets = HashMap::new();
    for number in 0..80 {
        let name = format!("interaction {number}");
        let fence = store.accept(turn(project, &name, None)).await.unwrap();
        secrets.insert(secret(dir.path(), &name), name.clone());
        live.push((name, fence, 3));
        for _ in 0..draw(4) {
            let at = draw(live.len());
            let (name, fence, seq) = &mut live[at];
            let events = vec![delta(*seq, &"text ".repeat(draw(300)))];
            *seq += 1;
            store.append(&id(name), *fence, Append { events, ..Append::default() }).await.unwrap();
        }
        if live.len() > 10 {
            let (name, ..) = live.swap_remove(draw(live.len()));
            store.delete(project, &id(&name)).await.unwrap();
        }
    }
    let mut held = BTreeSet::new();
    for entry in std::fs::read_dir(dir.path()).unwrap() {
        let file = std::fs::read(entry.unwrap().path()).unwrap();
        held.extend(file.windows(ERASED.len()).filter_map(|window| secrets.get(window)).cloned());
    }
    assert_eq!(held, live.iter().map(|(name, ..)| name.clone()).collect());
    for (name, _, seq) in live {
        assert_eq!(store.events(project, &id(&name)).await.unwrap().len() as u64, seq - 1);
    }
}

#[tokio::test]
async fn nothing_of_what_was_deleted_is_left_in_its_row() {
    let (store, project, dir) = open().await;
    let fence = store.accept(turn(project, "first", None)).await.unwrap();
    let append = Append {
        events: vec![delta(3, "text")],
        closed: vec![answer(0, "text")],
        outcome: Some(outcome(Status::Completed)),
    };
    store.append(&id("first"), fence, append).await.unwrap();
    store.delete(project, &id("first")).await.unwrap();
    let connection = crate::connection::reading(&dir.path().join("antiphon.db")).unwrap();
    let blank: bool = connection
        .query_row(
            "SELECT request IS NULL AND usage IS NULL AND seed IS NULL AND deleted_at > created_at FROM interaction",
            [],
            |row| row.get(0),
        )
        .unwrap();
    assert!(blank);
    for table in ["event", "step", "run"] {
        let rows: i64 = connection.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0)).unwrap();
        assert_eq!(rows, 0, "{table}");
    }
}

#[tokio::test]
async fn what_a_reader_holds_up_is_erased_after_the_next_write() {
    let (store, project, dir) = open().await;
    store.accept(turn(project, "first", None)).await.unwrap();
    let secret = secret(dir.path(), "first");
    let other = crate::connection::reading(&dir.path().join("antiphon.db")).unwrap();
    let reading = other.unchecked_transaction().unwrap();
    let rows: i64 = reading.query_row("SELECT count(*) FROM interaction", [], |row| row.get(0)).unwrap();
    assert_eq!(rows, 1);
    store.delete(project, &id("first")).await.unwrap();
    assert!(found(dir.path(), &secret), "the other process still reads it");
    store.check().await.unwrap();
    assert!(found(dir.path(), &secret), "the other process still reads it");
    drop(reading);
    store.check().await.unwrap();
    // Erasing comes after the answer to other writes; the next one waits for it.
    store.check().await.unwrap();
    assert!(!found(dir.path(), &secret));
}

#[tokio::test]
async fn what_a_crash_left_is_erased_at_the_next_start() {
    let (store, project, dir) = open().await;
    store.accept(turn(project, "first", None)).await.unwrap();
    let secret = secret(dir.path(), "first");
    let other = crate::connection::reading(&dir.path().join("antiphon.db")).unwrap();
    let reading = other.unchecked_transaction().unwrap();
    let _: i64 = reading.query_row("SELECT count(*) FROM interaction", [], |row| row.get(0)).unwrap();
    store.delete(project, &id("first")).await.unwrap();
    let crashed = tempfile::tempdir().unwrap();
    for name in ["antiphon.db", "antiphon.db-wal"] {
        std::fs::copy(dir.path().join(name), crashed.path().join(name)).unwrap();
    }
    assert!(found(crashed.path(), &secret));
    let _store = SqliteStore::open(crashed.path(), StoreOptions::default()).unwrap();
    assert!(!found(crashed.path(), &secret));
}

#[tokio::test]
async fn sweeping_erases_as_deleting_does() {
    let (store, project, dir) = open().await;
    let fence = store.accept(turn(project, "first", None)).await.unwrap();
    let append = Append { outcome: Some(outcome(Status::Completed)), ..Append::default() };
    store.append(&id("first"), fence, append).await.unwrap();
    let secret = secret(dir.path(), "first");
    assert_eq!(store.sweep(time(3600), 10).await.unwrap(), 1);
    assert!(!found(dir.path(), &secret));
}
