//! One writer at a time.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::sync::{Arc, Mutex, mpsc};

use antiphon_environments::FaultPoint;
use antiphon_wire::{Code, EnvironmentChoice, EnvironmentId, EnvironmentSpec, EnvironmentStatus};
use futures_util::FutureExt as _;
use jiff::SignedDuration;
use pretty_assertions::assert_eq;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::support::{PROJECT, Site};

fn spec(value: Value) -> EnvironmentSpec {
    match EnvironmentChoice::read(value, "environment").unwrap() {
        EnvironmentChoice::Described(spec) => spec,
        other => panic!("expected a description, got {other:?}"),
    }
}

async fn given_back(site: &Site, id: &EnvironmentId) {
    drop(site.environments.lease(PROJECT, id).await.unwrap());
}

#[tokio::test]
async fn the_second_waits_until_the_first_has_gone() {
    let site = Site::new().await;
    let id = site.create(json!({})).await;
    let first = site.environments.lease(PROJECT, &id).await.unwrap();
    fs::write(first.workspace().join("a"), "one").unwrap();
    let mut waiting = JoinSet::new();
    let (environments, other) = (site.environments.clone(), id.clone());
    waiting.spawn(async move { environments.lease(PROJECT, &other).await });
    for _ in 0..20 {
        site.environments.get(PROJECT, &id).await.unwrap();
    }
    assert!(waiting.try_join_next().is_none());
    drop(first);
    let second = waiting.join_next().await.unwrap().unwrap().unwrap();
    // What the first has left was counted before the second got it.
    let shown = site.environments.get(PROJECT, &id).await.unwrap();
    assert_eq!((shown.file_count, shown.size_bytes), (1, 3));
    assert_eq!(fs::read_to_string(second.workspace().join("a")).unwrap(), "one");
}

#[tokio::test]
async fn who_gives_up_waiting_holds_nobody_up() {
    let site = Site::new().await;
    let id = site.create(json!({})).await;
    let lease = site.environments.lease(PROJECT, &id).await.unwrap();
    for _ in 0..3 {
        assert!(site.environments.lease(PROJECT, &id).now_or_never().is_none());
    }
    drop(lease);
    given_back(&site, &id).await;
    // Also in the middle of getting it, wherever that is.
    for polls in 0..8 {
        let mut taking = Box::pin(site.environments.lease(PROJECT, &id));
        for _ in 0..polls {
            if taking.as_mut().now_or_never().is_some() {
                break;
            }
            site.environments.get(PROJECT, &id).await.unwrap();
        }
        drop(taking);
        given_back(&site, &id).await;
    }
}

/// The clock of the runtime goes on by itself when everybody waits.
#[tokio::test(start_paused = true)]
async fn requests_about_files_wait_a_moment() {
    let site = Site::new().await;
    let id = site.create(json!({})).await;
    let lease = site.environments.lease(PROJECT, &id).await.unwrap();
    let began = tokio::time::Instant::now();
    assert_eq!(site.upload(&id, "a", b"one", (false, false)).await.unwrap_err().code, Code::FailedPrecondition);
    assert_eq!(site.environments.fork(PROJECT, &id).await.unwrap_err().code, Code::FailedPrecondition);
    assert_eq!(began.elapsed().as_secs(), 60, "30 s each");
    // What only looks waits for nobody.
    fs::write(lease.workspace().join("b"), "two").unwrap();
    assert_eq!(site.download(&id, "b").await.unwrap(), b"two");
    assert_eq!(site.paths(&id, "", true).await, ["b"]);
    drop(lease);
    site.upload(&id, "a", b"one", (false, false)).await.unwrap();
}

#[tokio::test]
async fn an_environment_in_use_does_not_expire() {
    let site = Site::new().await;
    let id = site.create(json!({})).await;
    let lease = site.environments.lease(PROJECT, &id).await.unwrap();
    site.clock.advance(SignedDuration::from_hours(30 * 24));
    site.environments.sweep().await;
    assert!(lease.workspace().is_dir());
    assert_eq!(site.environments.get(PROJECT, &id).await.unwrap().status, EnvironmentStatus::Active);
    drop(lease);
    given_back(&site, &id).await;
    let shown = site.environments.get(PROJECT, &id).await.unwrap();
    assert_eq!((shown.status, shown.last_accessed.as_str()), (EnvironmentStatus::Active, "2026-07-09T12:01:25Z"));
}

#[tokio::test]
async fn one_in_use_is_deleted_when_it_is_given_back() {
    let site = Site::new().await;
    let id = site.create(json!({})).await;
    let lease = site.environments.lease(PROJECT, &id).await.unwrap();
    site.environments.delete(PROJECT, &id).await.unwrap();
    assert_eq!(site.environments.get(PROJECT, &id).await.unwrap_err().code, Code::NotFound);
    assert!(lease.workspace().is_dir());
    assert_eq!(site.environments.lease(PROJECT, &id).await.unwrap_err().code, Code::NotFound);
    drop(lease);
    while site.home(&id).exists() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_lease_of_a_server_that_died_is_nobodys() {
    let mut site = Site::new().await;
    let id = site.create(json!({})).await;
    let lease = site.environments.lease(PROJECT, &id).await.unwrap();
    fs::write(lease.workspace().join("a"), "one").unwrap();
    site.clock.advance(SignedDuration::from_hours(10 * 24));
    // It is neither given back nor counted.
    site.die().await;
    let shown = site.environments.get(PROJECT, &id).await.unwrap();
    assert_eq!((shown.status, shown.file_count), (EnvironmentStatus::Active, 1));
    given_back(&site, &id).await;
}

#[tokio::test]
async fn a_description_changes_what_it_names() {
    let site = Site::new().await;
    let id = site
        .create(json!({"env": {"A": "1", "B": "2"}, "sources":
        [{"type": "inline", "target": "a/one.txt", "content": "old"}]}))
        .await;
    let wanted = spec(json!({"type": "remote", "environment_id": id, "env": {"B": "3"}, "sources": [
        {"type": "inline", "target": "a/one.txt", "content": "new"},
        {"type": "inline", "target": "b/two.txt", "content": "two"}]}));
    site.environments.update(PROJECT, &id, &wanted).await.unwrap();
    let variables = |lease: &antiphon_environments::Lease| serde_json::to_value(lease.env()).unwrap();
    let lease = site.environments.lease(PROJECT, &id).await.unwrap();
    assert_eq!(variables(&lease), json!({"A": "1", "B": "3"}));
    drop(lease);
    assert_eq!(site.download(&id, "a/one.txt").await.unwrap(), b"new");
    let shown = site.environments.get(PROJECT, &id).await.unwrap();
    assert_eq!((shown.file_count, shown.sources.len()), (2, 2));

    // What cannot be placed changes nothing.
    let blocked = spec(json!({"type": "remote", "env": {"B": "4"}, "sources": [
        {"type": "inline", "target": "b", "content": "a folder is there"},
        {"type": "inline", "target": "a/one.txt", "content": "newest"}]}));
    let error = site.environments.update(PROJECT, &id, &blocked).await.unwrap_err();
    assert_eq!(error.code, Code::FailedPrecondition);
    let lease = site.environments.lease(PROJECT, &id).await.unwrap();
    assert_eq!(variables(&lease), json!({"A": "1", "B": "3"}));
    assert_eq!(site.download(&id, "a/one.txt").await.unwrap(), b"new");
}

#[tokio::test]
async fn who_leaves_while_it_is_changed_gives_it_back_when_that_is_done() {
    let (passed, mut staged) = tokio::sync::mpsc::unbounded_channel();
    let (go_on, gate) = mpsc::channel::<()>();
    let gate = Mutex::new(gate);
    let site = Site::watched(Arc::new(move |point| {
        if point == FaultPoint::Staged {
            let _ = passed.send(());
            // Until the test lets it go on, or has ended.
            let _ = gate.lock().unwrap().recv();
        }
    }))
    .await;
    let id = site.create(json!({})).await;
    let wanted = spec(json!({"type": "remote", "env": {"A": "1"},
        "sources": [{"type": "inline", "target": "a.txt", "content": "update"}]}));
    let update = site.environments.update(PROJECT, &id, &wanted);
    let upload = async { site.upload(&id, "a.txt", b"upload", (true, false)).await.map(drop) };
    for (changing, content) in [(update.boxed_local(), "update"), (upload.boxed_local(), "upload")] {
        tokio::select! {
            changed = changing => panic!("it waits for the test: {changed:?}"),
            _ = staged.recv() => {}
        }
        let mut waiting = JoinSet::new();
        let (environments, other) = (site.environments.clone(), id.clone());
        waiting.spawn(async move { environments.lease(PROJECT, &other).await });
        for _ in 0..20 {
            site.environments.get(PROJECT, &id).await.unwrap();
        }
        assert!(waiting.try_join_next().is_none(), "nobody is let in while files come in");
        go_on.send(()).unwrap();
        let lease = waiting.join_next().await.unwrap().unwrap().unwrap();
        assert_eq!(fs::read_to_string(lease.workspace().join("a.txt")).unwrap(), content);
        assert_eq!(serde_json::to_value(lease.env()).unwrap(), json!({"A": "1"}));
    }
    assert_eq!(site.environments.get(PROJECT, &id).await.unwrap().sources.len(), 1);
}

/// A server that is root gives workspaces to the users of its sandboxes.
#[tokio::test]
async fn what_comes_in_belongs_to_whom_the_workspace_belongs() {
    if std::os::unix::fs::MetadataExt::uid(&fs::metadata("/proc/self").unwrap()) != 0 {
        return;
    }
    let site = Site::new().await;
    let id = site.create(json!({})).await;
    let workspace = site.workspace(&id);
    std::os::unix::fs::chown(&workspace, Some(60_007), Some(60_007)).unwrap();
    site.upload(&id, "a/b/one.txt", b"one", (false, false)).await.unwrap();
    for path in ["a", "a/b", "a/b/one.txt"] {
        let about = fs::metadata(workspace.join(path)).unwrap();
        assert_eq!(std::os::unix::fs::MetadataExt::uid(&about), 60_007, "{path}");
    }
    assert_eq!(fs::metadata(workspace.join("a/b")).unwrap().permissions().mode() & 0o777, 0o755);
    assert_eq!(fs::metadata(workspace.join("a/b/one.txt")).unwrap().permissions().mode() & 0o777, 0o644);
    // The copy is handed over whole when a sandbox first works in it.
    let copy = site.fork(&id).await;
    assert_eq!(std::os::unix::fs::MetadataExt::uid(&fs::metadata(site.workspace(&copy)).unwrap()), 0);
}
