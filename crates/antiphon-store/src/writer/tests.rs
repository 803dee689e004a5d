use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, Sender, channel};

use futures_util::future::join_all;
use futures_util::poll;
use tempfile::TempDir;

use super::*;
use crate::error::Failed;

/// A writer on a file with one table: `kept (word TEXT UNIQUE)`.
fn start(fault: Option<FaultHook>) -> (Writer, TempDir) {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("antiphon.db");
    let connection = connection::writing(&file).unwrap();
    connection.execute("CREATE TABLE kept (word TEXT UNIQUE)", []).unwrap();
    (Writer::start(connection, file, fault).unwrap(), dir)
}

async fn keep(writer: &Writer, word: &'static str) -> Result<(), StoreError> {
    writer.write(Purpose::Log, move |connection| insert(connection, word)).await
}

fn insert(connection: &Connection, word: &str) -> Result<()> {
    connection.execute("INSERT INTO kept VALUES (?1)", [word])?;
    Ok(())
}

/// What another process sees.
fn kept(dir: &Path) -> Vec<String> {
    let connection = connection::reading(&dir.join("antiphon.db")).unwrap();
    let mut statement = connection.prepare("SELECT word FROM kept ORDER BY word").unwrap();
    statement.query_map([], |row| row.get(0)).unwrap().collect::<rusqlite::Result<_>>().unwrap()
}

/// Holds the writer in its first commit, so that what is asked for meanwhile waits.
struct Held {
    hook: FaultHook,
    reached: Receiver<()>,
    go: Sender<()>,
}

impl Held {
    fn new() -> Self {
        let ((reach, reached), (go, wait)) = (channel(), channel());
        let once = Mutex::new(Some((reach, wait)));
        let hook = move |_| {
            if let Some((reach, wait)) = once.lock().unwrap().take() {
                reach.send(()).unwrap();
                wait.recv().unwrap();
            }
        };
        Self { hook: Arc::new(hook), reached, go }
    }

    /// Begins `first`, asks for `group` while it is held, lets go, and waits for both.
    async fn group<A, B>(&self, first: impl Future<Output = A>, group: impl Future<Output = B>) -> (A, B) {
        let (mut first, mut group) = (Box::pin(first), Box::pin(group));
        assert!(poll!(&mut first).is_pending());
        self.reached.recv().unwrap();
        assert!(poll!(&mut group).is_pending());
        self.go.send(()).unwrap();
        (first.await, group.await)
    }
}

#[tokio::test]
async fn what_waits_is_committed_together() {
    let held = Held::new();
    let (writer, dir) = start(Some(Arc::clone(&held.hook)));
    let words = ["a", "b", "c", "d", "e", "f", "g", "h"];
    let group = join_all(words.map(|word| keep(&writer, word)));
    let (first, group) = held.group(keep(&writer, "first"), group).await;
    first.unwrap();
    assert!(group.iter().all(Result::is_ok));
    assert_eq!(writer.commits(), 2);
    assert_eq!(kept(dir.path()).len(), 9);
}

#[tokio::test]
async fn a_failing_write_undoes_itself_alone() {
    let held = Held::new();
    let (writer, dir) = start(Some(Arc::clone(&held.hook)));
    let half = writer.write(Purpose::Record, |connection| {
        insert(connection, "half")?;
        Err::<(), _>(StoreError::Conflict("after half of it".to_owned()).into())
    });
    let group = async { tokio::join!(keep(&writer, "a"), half, keep(&writer, "first"), keep(&writer, "b")) };
    let (first, (a, half, again, b)) = held.group(keep(&writer, "first"), group).await;
    assert!(first.is_ok() && a.is_ok() && b.is_ok());
    assert!(matches!(half, Err(StoreError::Conflict(_))), "{half:?}");
    assert!(matches!(again, Err(StoreError::Conflict(_))), "{again:?}");
    assert_eq!(kept(dir.path()), ["a", "b", "first"]);
    assert_eq!(writer.commits(), 2);
}

#[tokio::test]
async fn a_commit_that_fails_is_nobodys() {
    let held = Held::new();
    let (writer, dir) = start(Some(Arc::clone(&held.hook)));
    // A reference to nothing, which is looked at by the commit alone.
    let dangling = writer.write(Purpose::Log, |connection| {
        connection.execute_batch(
            "CREATE TABLE refers (word TEXT REFERENCES kept (word) DEFERRABLE INITIALLY DEFERRED);
             INSERT INTO refers VALUES ('nowhere')",
        )?;
        Ok(())
    });
    let group = async { tokio::join!(keep(&writer, "a"), dangling, keep(&writer, "first")) };
    let (first, (a, dangling, again)) = held.group(keep(&writer, "first"), group).await;
    first.unwrap();
    for result in [a, dangling, again] {
        assert!(matches!(result, Err(StoreError::Unavailable(_))), "{result:?}");
    }
    assert_eq!(kept(dir.path()), ["first"]);
    assert_eq!(writer.commits(), 1);
    keep(&writer, "later").await.unwrap();
    assert_eq!(kept(dir.path()), ["first", "later"]);
}

#[tokio::test]
async fn a_full_disk_is_unavailable_until_there_is_room() {
    let (writer, dir) = start(None);
    let limit = |pages: u32| {
        writer.write(Purpose::Record, move |connection| {
            Ok(connection.query_row(&format!("PRAGMA max_page_count = {pages}"), [], |row| row.get::<_, u32>(0))?)
        })
    };
    limit(1).await.unwrap();
    let large = "x".repeat(100_000);
    for _ in 0..2 {
        let large = large.clone();
        let failed = writer.write(Purpose::Log, move |connection| insert(connection, &large)).await;
        assert!(matches!(failed, Err(StoreError::Unavailable(_))), "{failed:?}");
    }
    limit(1_000_000).await.unwrap();
    writer.write(Purpose::Log, move |connection| insert(connection, &large)).await.unwrap();
    assert_eq!(kept(dir.path()).len(), 1);
}

#[tokio::test]
async fn faults_come_around_the_commits_of_logs_alone() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let path = Arc::new(Mutex::new(None::<std::path::PathBuf>));
    let hook = {
        let (seen, path) = (Arc::clone(&seen), Arc::clone(&path));
        move |point| seen.lock().unwrap().push((point, kept(path.lock().unwrap().as_ref().unwrap()).len()))
    };
    let (writer, dir) = start(Some(Arc::new(hook)));
    *path.lock().unwrap() = Some(dir.path().to_owned());
    writer.write(Purpose::Record, |connection| insert(connection, "record")).await.unwrap();
    writer.write(Purpose::Erasure, |_| Ok(())).await.unwrap();
    let refused = writer.write(Purpose::Log, |_| Err::<(), _>(Failed(StoreError::NotFound))).await;
    assert!(matches!(refused, Err(StoreError::NotFound)));
    assert!(seen.lock().unwrap().is_empty());
    keep(&writer, "log").await.unwrap();
    assert_eq!(*seen.lock().unwrap(), [(FaultPoint::BeforeCommit, 1), (FaultPoint::AfterCommit, 2)]);
}

#[tokio::test]
async fn dropping_the_writer_waits_for_what_was_asked_for() {
    let (writer, dir) = start(None);
    let mut asked = Box::pin(keep(&writer, "asked"));
    assert!(poll!(&mut asked).is_pending());
    drop(asked);
    drop(writer);
    assert_eq!(kept(dir.path()), ["asked"]);
}

#[tokio::test]
async fn an_empty_log_is_what_erasing_leaves() {
    let (writer, dir) = start(None);
    let sizes = || -> BTreeMap<String, u64> {
        std::fs::read_dir(dir.path())
            .unwrap()
            .map(|entry| entry.unwrap())
            .map(|entry| (entry.file_name().into_string().unwrap(), entry.metadata().unwrap().len()))
            .collect()
    };
    keep(&writer, "word").await.unwrap();
    assert!(sizes()["antiphon.db-wal"] > 0);
    writer.write(Purpose::Erasure, |_| Ok(())).await.unwrap();
    assert_eq!(sizes()["antiphon.db-wal"], 0);
}
