use std::path::Path;

use antiphon_engine::Store as _;
use antiphon_testkit::sample::{id, turn};

use super::*;
use crate::{SqliteStore, StoreOptions};

fn look(dir: &Path) -> Connection {
    crate::connection::reading(&dir.join("antiphon.db")).unwrap()
}

#[tokio::test]
async fn a_straight_conversation_is_one_branch_and_a_second_answer_another() {
    let dir = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(dir.path(), StoreOptions::default()).unwrap();
    let project = store.project("one").await.unwrap();
    store.accept(turn(project, "0", None)).await.unwrap();
    for number in 1..20 {
        let previous = id(&(number - 1).to_string());
        store.accept(turn(project, &number.to_string(), Some(&previous))).await.unwrap();
    }
    store.accept(turn(project, "fork", Some(&id("9")))).await.unwrap();
    let connection = look(dir.path());
    let trunk = find(&connection, project, &id("19")).unwrap();
    assert_eq!(trunk.position, 19);
    assert!(branch(&connection, trunk.branch).unwrap().ancestry.is_empty());
    let fork = find(&connection, project, &id("fork")).unwrap();
    assert_eq!(fork.position, 0);
    let Branch { root, ancestry } = branch(&connection, fork.branch).unwrap();
    assert_eq!((root, ancestry), (trunk.branch, vec![(trunk.branch, 9)]));
}

#[tokio::test]
async fn an_ancestry_never_grows_beyond_its_limit() {
    let dir = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(dir.path(), StoreOptions::default()).unwrap();
    let project = store.project("one").await.unwrap();
    store.accept(turn(project, "0", None)).await.unwrap();
    for number in 1..=140_usize {
        let previous = id(&(number - 1).to_string());
        store.accept(turn(project, &format!("other {number}"), Some(&previous))).await.unwrap();
        store.accept(turn(project, &number.to_string(), Some(&previous))).await.unwrap();
    }
    let connection = look(dir.path());
    let longest: usize =
        connection.query_row("SELECT max(json_array_length(ancestry)) FROM branch", [], |row| row.get(0)).unwrap();
    assert_eq!(longest, LONGEST_ANCESTRY);
    let roots: i64 =
        connection.query_row("SELECT count(DISTINCT coalesce(root_id, id)) FROM branch", [], |row| row.get(0)).unwrap();
    assert_eq!(roots, 1);
    // 281 places of their own, and what two flattened forks took up.
    let places: usize = connection.query_row("SELECT count(*) FROM turn", [], |row| row.get(0)).unwrap();
    assert!(places <= 281 + 65 + 130, "{places}");
    assert_eq!(store.history(project, &id("140")).await.unwrap().len(), 141);
}

#[tokio::test]
async fn a_history_is_a_range_that_needs_no_sorting() {
    let dir = tempfile::tempdir().unwrap();
    let _store = SqliteStore::open(dir.path(), StoreOptions::default()).unwrap();
    let connection = look(dir.path());
    let mut statement = connection.prepare(&format!("EXPLAIN QUERY PLAN {HISTORY}")).unwrap();
    let plan = statement.query_map((1, 1, 1), |row| row.get::<_, String>(3)).unwrap();
    let plan = plan.collect::<rusqlite::Result<Vec<_>>>().unwrap();
    assert_eq!(
        plan,
        [
            "SEARCH turn USING PRIMARY KEY (branch_id=? AND position<?)",
            "SEARCH interaction USING INTEGER PRIMARY KEY (rowid=?)",
            "SEARCH content_key USING INTEGER PRIMARY KEY (rowid=?)",
            "SEARCH step USING INDEX sqlite_autoindex_step_1 (interaction=?) LEFT-JOIN",
        ]
    );
}
