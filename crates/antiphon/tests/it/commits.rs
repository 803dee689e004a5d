//! What a create waits for: two durable commits, the acceptance and the end.

use std::sync::Arc;

use antiphon_backends::{Script, Scripted};
use antiphon_engine::{
    Caller, Engine, EngineParts, Limits, Models, NoPerceiver, NoTools, RunLimits, Seal, Served, Store,
};
use antiphon_store::{SqliteStore, StoreOptions};
use antiphon_testkit::FixedAmbient;
use antiphon_wire::CreateInteraction;
use jiff::SignedDuration;
use serde_json::json;

#[tokio::test]
async fn a_plain_create_waits_for_two_commits_and_an_unstored_one_for_none() {
    let folder = tempfile::tempdir().unwrap();
    let store = Arc::new(SqliteStore::open(folder.path(), StoreOptions::default()).unwrap());
    let project = store.project("default").await.unwrap();
    let script = Script::parse("[[reply]]\nthought = \"hm\"\nchunks = [\"a\", \"b\", \"c\"]").unwrap();
    let served = Served::new("scripted", Arc::new(Scripted::new(script).unwrap()), 4096, 64);
    let engine = Engine::new(EngineParts {
        store: Arc::clone(&store) as Arc<dyn Store>,
        models: Models::new(vec![Arc::new(served)], false),
        tools: Arc::new(NoTools),
        perceiver: Arc::new(NoPerceiver),
        ambient: Arc::new(FixedAmbient::new(SignedDuration::ZERO, 1)),
        seal: Seal::new([7; 32]),
        limits: Limits {
            default_output_tokens: 100,
            retention: SignedDuration::from_hours(1),
            run: RunLimits::default(),
            agent: RunLimits::default(),
        },
    });
    for (stored, commits) in [(true, 2), (false, 0)] {
        let before = store.commits();
        let request = CreateInteraction::read(json!({"model": "scripted", "input": "hi", "store": stored})).unwrap();
        let created = engine.create(Caller { project }, request).await.unwrap();
        created.handle.finished().await;
        assert_eq!(store.commits() - before, commits, "stored: {stored}");
    }
}
