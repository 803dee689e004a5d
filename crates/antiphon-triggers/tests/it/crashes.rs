//! The process dies: in each moment in which something is half done, and while it is time.

use std::sync::atomic::Ordering;

use antiphon_wire::{ExecutionStatus, TriggerStatus};
use pretty_assertions::assert_eq;
use serde_json::json;

use crate::support::{PROJECT, Site, remote};

#[tokio::test]
async fn what_was_missed_runs_once_at_the_start() {
    let mut site = Site::new().await;
    let id = site.hourly(json!({})).await.id;
    site.advance(3 * 24 * 60);
    site.die().await;
    site.triggers.recover().await.unwrap();
    site.triggers.tick().await;
    site.triggers.tick().await;
    site.calls.recv().await.unwrap().say("Late.");
    site.ended(&id).await;
    let executions = site.executions(&id).await;
    assert_eq!(executions.len(), 1);
    assert_eq!(executions[0].scheduled_time, "2026-06-09T13:00:00Z");
    assert_eq!(executions[0].start_time, "2026-06-12T12:01:25Z");
    assert_eq!(site.trigger(&id).await.next_run_time.as_deref(), Some("2026-06-12T13:00:00Z"));
}

#[tokio::test]
async fn a_row_without_an_interaction_begins_under_its_id() {
    let mut site = Site::new().await;
    let id = site.hourly(remote()).await.id;
    site.advance(60);
    site.is_stuck.store(true, Ordering::SeqCst);
    let triggers = site.triggers.clone();
    // It never comes back: the process dies before the acceptance.
    let _stuck = site.engine.tasks().spawn(async move { triggers.tick().await });
    while site.executions(&id).await.is_empty() {
        tokio::task::yield_now().await;
    }
    let begun = site.executions(&id).await;
    assert_eq!((begun[0].status, site.interactions(&id).await), (ExecutionStatus::InProgress, 0));
    site.die().await;
    site.triggers.recover().await.unwrap();
    site.triggers.tick().await;
    site.calls.recv().await.unwrap().say("Done.");
    let ended = site.ended(&id).await;
    assert_eq!(
        (&ended.id, ended.status, &ended.interaction_id),
        (&begun[0].id, ExecutionStatus::Completed, &begun[0].interaction_id)
    );
    assert!(ended.environment_id.is_some());
    assert_eq!((site.executions(&id).await.len(), site.interactions(&id).await), (1, 1));
}

#[tokio::test]
async fn one_that_never_began_in_its_time_has_timed_out() {
    let mut site = Site::new().await;
    let id = site.hourly(json!({})).await.id;
    site.advance(60);
    site.is_stuck.store(true, Ordering::SeqCst);
    let triggers = site.triggers.clone();
    let _stuck = site.engine.tasks().spawn(async move { triggers.tick().await });
    while site.executions(&id).await.is_empty() {
        tokio::task::yield_now().await;
    }
    site.die().await;
    site.advance(10);
    site.triggers.recover().await.unwrap();
    let ended = site.ended(&id).await;
    assert_eq!((ended.status, ended.interaction_id), (ExecutionStatus::TimedOut, None));
}

#[tokio::test]
async fn a_run_that_was_cut_is_found_again_and_not_run_twice() {
    let mut site = Site::new().await;
    let id = site.hourly(remote()).await.id;
    let begun = site.triggers.run_now(PROJECT, &id).await.unwrap();
    let _cut = site.calls.recv().await.unwrap();
    site.die().await;
    site.triggers.recover().await.unwrap();
    // It still counts as running.
    let meanwhile = site.triggers.run_now(PROJECT, &id).await.unwrap();
    assert_eq!(meanwhile.status, ExecutionStatus::Skipped);
    site.calls.recv().await.unwrap().say("Done.");
    let ended = loop {
        let first = site.executions(&id).await.into_iter().find(|one| one.id == begun.id).unwrap();
        if first.status != ExecutionStatus::InProgress {
            break first;
        }
        tokio::task::yield_now().await;
    };
    assert_eq!((ended.status, &ended.interaction_id), (ExecutionStatus::Completed, &begun.interaction_id));
    assert_eq!(ended.environment_id, begun.environment_id);
    assert_eq!(site.interactions(&id).await, 1);
    assert!(site.calls.try_recv().is_err(), "it ran once");
}

#[tokio::test]
async fn an_end_that_was_not_written_is_written_at_the_start() {
    let mut site = Site::new().await;
    let id = site.hourly(json!({"max_consecutive_failures": 1})).await.id;
    site.triggers.run_now(PROJECT, &id).await.unwrap();
    let _cut = site.calls.recv().await.unwrap();
    // The engine brings it to its end, and nobody is there to write that down.
    site.die().await;
    site.calls.recv().await.unwrap().cut();
    let interaction = site.executions(&id).await.pop().unwrap().interaction_id.unwrap();
    let caller = antiphon_engine::Caller { project: PROJECT };
    site.engine.get(caller, &interaction).await.unwrap().finished().await;
    assert_eq!(site.executions(&id).await[0].status, ExecutionStatus::InProgress);
    site.advance(5);
    site.die().await;
    site.triggers.recover().await.unwrap();
    let ended = site.ended(&id).await;
    assert_eq!((ended.status, ended.end_time.as_deref()), (ExecutionStatus::Failed, Some("2026-06-09T12:01:25Z")));
    assert_eq!(site.trigger(&id).await.status, TriggerStatus::Error);
}

#[tokio::test]
async fn what_took_too_long_while_nobody_was_there_is_cancelled() {
    let mut site = Site::new().await;
    let id = site.hourly(json!({})).await.id;
    site.triggers.run_now(PROJECT, &id).await.unwrap();
    let _cut = site.calls.recv().await.unwrap();
    site.advance(11);
    site.die().await;
    site.triggers.recover().await.unwrap();
    site.triggers.tick().await;
    assert_eq!(site.ended(&id).await.status, ExecutionStatus::TimedOut);
}

#[tokio::test]
async fn an_interaction_that_was_deleted_is_not_made_again() {
    let mut site = Site::new().await;
    let id = site.hourly(json!({})).await.id;
    let begun = site.triggers.run_now(PROJECT, &id).await.unwrap();
    let _cut = site.calls.recv().await.unwrap();
    site.die().await;
    let caller = antiphon_engine::Caller { project: PROJECT };
    site.engine.delete(caller, &begun.interaction_id.unwrap()).await.unwrap();
    site.triggers.recover().await.unwrap();
    assert_eq!(site.ended(&id).await.status, ExecutionStatus::Failed);
    assert_eq!(site.interactions(&id).await, 0);
}
