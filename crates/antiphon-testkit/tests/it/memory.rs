//! The double keeps the contract that it stands in for.

use std::sync::Arc;

use antiphon_engine::{Append, Fence, Store, StoreError};
use antiphon_testkit::sample::{id, turn};
use antiphon_testkit::{MemoryStore, store_contract};

mod contract {
    use super::*;

    store_contract!((Arc::new(MemoryStore::new()) as Arc<dyn Store>, ()));
}

#[tokio::test]
async fn appends_fail_as_often_as_they_are_told_to() {
    let store = MemoryStore::new();
    let project = store.project("one").await.unwrap();
    store.accept(turn(project, "first", None)).await.unwrap();
    store.fail_appends(2);
    for _ in 0..2 {
        let failed = store.append(&id("first"), Fence(1), Append::default()).await;
        assert!(matches!(failed, Err(StoreError::Unavailable(_))), "{failed:?}");
    }
    store.append(&id("first"), Fence(1), Append::default()).await.unwrap();
}
