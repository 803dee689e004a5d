//! The SQLite store as others use it.
#![expect(clippy::unwrap_used, reason = "the lint knows tests, but not what helps them")]

mod compared;
mod sqlite;

use std::path::Path;
use std::sync::Arc;

use antiphon_engine::Store;
use antiphon_store::{SqliteStore, StoreOptions};
use antiphon_testkit::store_contract;
use tempfile::TempDir;

fn open(dir: &Path) -> SqliteStore {
    SqliteStore::open(dir, StoreOptions::default()).unwrap()
}

fn fresh() -> (SqliteStore, TempDir) {
    let dir = tempfile::tempdir().unwrap();
    (open(dir.path()), dir)
}

mod contract {
    use super::*;

    store_contract!({
        let (store, dir) = fresh();
        (Arc::new(store) as Arc<dyn Store>, dir)
    });
}
