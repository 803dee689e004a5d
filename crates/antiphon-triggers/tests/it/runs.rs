//! What triggers do when it is time.

use std::sync::atomic::Ordering;

use antiphon_engine::Caller;
use antiphon_wire::{ExecutionStatus, Status, TriggerStatus, UpdateTrigger};
use jiff::SignedDuration;
use pretty_assertions::assert_eq;
use serde_json::json;

use crate::support::{PROJECT, Site, remote};

#[tokio::test]
async fn it_runs_when_it_is_time_and_not_before() {
    let mut site = Site::new().await;
    let id = site.hourly(json!({})).await.id;
    site.advance(58);
    site.triggers.tick().await;
    assert!(site.executions(&id).await.is_empty());
    site.advance(1);
    site.triggers.tick().await;
    let running = site.executions(&id).await;
    assert_eq!((running.len(), running[0].status), (1, ExecutionStatus::InProgress));
    site.triggers.tick().await;
    site.calls.recv().await.unwrap().say("All is quiet.");
    let ended = site.ended(&id).await;
    assert_eq!(
        serde_json::to_value(&ended).unwrap(),
        json!({"id": ended.id.as_str(), "trigger_id": id.as_str(), "status": "completed",
            "interaction_id": ended.interaction_id.as_ref().unwrap().as_str(),
            "scheduled_time": "2026-06-09T13:00:00Z", "start_time": "2026-06-09T13:00:25Z",
            "end_time": "2026-06-09T13:00:25Z"})
    );
    let trigger = site.trigger(&id).await;
    assert_eq!(trigger.last_run_time.as_deref(), Some("2026-06-09T13:00:25Z"));
    assert_eq!(trigger.next_run_time.as_deref(), Some("2026-06-09T14:00:00Z"));
    assert_eq!(trigger.previous_interaction_id, ended.interaction_id);
    // An interaction like any other.
    let interaction = site.engine.get(Caller { project: PROJECT }, &ended.interaction_id.unwrap()).await.unwrap();
    assert_eq!(interaction.finished().await.status, Status::Completed);
    assert_eq!(site.executions(&id).await.len(), 1);
}

#[tokio::test]
async fn every_run_works_in_one_environment() {
    let mut site = Site::new().await;
    let id = site.hourly(remote()).await.id;
    assert_eq!(site.trigger(&id).await.environment_id, None);
    let first = site.run(&id, "One").await;
    let environment = first.environment_id.clone().unwrap();
    assert_eq!(site.trigger(&id).await.environment_id.as_ref(), Some(&environment));
    let second = site.run(&id, "Two").await;
    assert_eq!(second.environment_id.as_ref(), Some(&environment));
    assert_eq!(site.environments.list(PROJECT, None, 9).await.unwrap().items.len(), 1);
    // One that is gone is made anew.
    site.environments.delete(PROJECT, &environment).await.unwrap();
    let third = site.run(&id, "Three").await;
    assert_eq!(third.status, ExecutionStatus::Completed);
    assert!(third.environment_id.is_some_and(|new| new != environment));
}

#[tokio::test]
async fn an_environment_that_was_named_is_not_made_anew() {
    let mut site = Site::new().await;
    let named = site.environments.create(PROJECT, Default::default()).await.unwrap().id;
    let id = site.hourly(json!({"environment_id": named.as_str()})).await.id;
    assert_eq!(site.trigger(&id).await.environment_id.as_ref(), Some(&named));
    assert_eq!(site.run(&id, "One").await.environment_id, Some(named.clone()));
    site.environments.delete(PROJECT, &named).await.unwrap();
    site.advance(60);
    site.triggers.tick().await;
    let failed = site.ended(&id).await;
    assert_eq!((failed.status, failed.interaction_id), (ExecutionStatus::Failed, None));
    assert!(failed.error.unwrap().contains(named.as_str()));
}

#[tokio::test]
async fn a_time_that_comes_while_it_runs_is_skipped() {
    let mut site = Site::new().await;
    let id = site.hourly(json!({"execution_timeout_seconds": 86_400})).await.id;
    site.advance(60);
    site.triggers.tick().await;
    let call = site.calls.recv().await.unwrap();
    site.advance(60);
    site.triggers.tick().await;
    let by_hand = site.triggers.run_now(PROJECT, &id).await.unwrap();
    call.say("At last.");
    let executions = loop {
        let executions = site.executions(&id).await;
        if executions[0].status != ExecutionStatus::InProgress {
            break executions;
        }
        tokio::task::yield_now().await;
    };
    let statuses: Vec<_> = executions.iter().map(|one| one.status).collect();
    assert_eq!(statuses, [ExecutionStatus::Completed, ExecutionStatus::Skipped, ExecutionStatus::Skipped]);
    assert_eq!(by_hand.status, ExecutionStatus::Skipped);
    assert!(by_hand.error.unwrap().contains(executions[0].id.as_str()));
    assert_eq!((executions[1].interaction_id.as_ref(), executions[1].end_time.is_some()), (None, true));
    // That is no failure, and no run.
    let trigger = site.trigger(&id).await;
    assert_eq!(
        (trigger.consecutive_failure_count, trigger.last_run_time.as_deref()),
        (0, Some("2026-06-09T13:01:25Z"))
    );
}

#[tokio::test]
async fn it_runs_when_it_is_told_also_while_it_is_paused() {
    let mut site = Site::new().await;
    let id = site.hourly(json!({})).await.id;
    let paused = UpdateTrigger { display_name: None, paused: Some(true) };
    site.triggers.update(PROJECT, &id, paused).await.unwrap();
    let begun = site.triggers.run_now(PROJECT, &id).await.unwrap();
    assert_eq!((begun.status, begun.scheduled_time.as_str()), (ExecutionStatus::InProgress, "2026-06-09T12:01:25Z"));
    assert!(begun.interaction_id.is_some());
    site.calls.recv().await.unwrap().say("Done.");
    assert_eq!(site.ended(&id).await.status, ExecutionStatus::Completed);
    let trigger = site.trigger(&id).await;
    assert_eq!((trigger.status, trigger.next_run_time), (TriggerStatus::Paused, None));
}

#[tokio::test]
async fn what_takes_too_long_is_cancelled() {
    let mut site = Site::new().await;
    let id = site.hourly(json!({"execution_timeout_seconds": 90})).await.id;
    let begun = site.triggers.run_now(PROJECT, &id).await.unwrap();
    let _call = site.calls.recv().await.unwrap();
    site.clock.advance(SignedDuration::from_secs(89));
    site.triggers.tick().await;
    assert_eq!(site.executions(&id).await[0].status, ExecutionStatus::InProgress);
    site.clock.advance(SignedDuration::from_secs(1));
    site.triggers.tick().await;
    let ended = site.ended(&id).await;
    assert_eq!(
        (ended.status, ended.error.as_deref()),
        (ExecutionStatus::TimedOut, Some("it took longer than 90 seconds"))
    );
    let interaction = site.engine.get(Caller { project: PROJECT }, &begun.interaction_id.unwrap()).await.unwrap();
    assert_eq!(interaction.finished().await.status, Status::Cancelled);
    assert_eq!(site.trigger(&id).await.consecutive_failure_count, 1);
}

#[tokio::test]
async fn failures_in_a_row_end_it_until_it_is_resumed() {
    let mut site = Site::new().await;
    let id = site.hourly(json!({"max_consecutive_failures": 2})).await.id;
    site.is_broken.store(true, Ordering::SeqCst);
    site.advance(60);
    site.triggers.tick().await;
    let refused = site.ended(&id).await;
    assert_eq!((refused.status, refused.error.as_deref()), (ExecutionStatus::Failed, Some("`tools[0]`: out of order")));
    assert_eq!(refused.interaction_id, None);
    site.is_broken.store(false, Ordering::SeqCst);
    site.advance(60);
    site.triggers.tick().await;
    site.calls.recv().await.unwrap().cut();
    let cut = site.ended(&id).await;
    assert!(cut.status == ExecutionStatus::Failed && cut.interaction_id.is_some(), "{cut:?}");
    assert!(cut.error.unwrap().contains("incomplete"));
    let trigger = site.trigger(&id).await;
    assert_eq!(
        (trigger.status, trigger.consecutive_failure_count, trigger.next_run_time),
        (TriggerStatus::Error, 2, None)
    );
    site.advance(600);
    site.triggers.tick().await;
    assert_eq!(site.executions(&id).await.len(), 2);
    let resumed = UpdateTrigger { display_name: None, paused: Some(false) };
    site.triggers.update(PROJECT, &id, resumed).await.unwrap();
    assert_eq!(site.run(&id, "Well again.").await.status, ExecutionStatus::Completed);
    assert_eq!(site.trigger(&id).await.consecutive_failure_count, 0);
}

#[tokio::test]
async fn one_that_the_client_cancels_has_failed() {
    let mut site = Site::new().await;
    let id = site.hourly(json!({})).await.id;
    let begun = site.triggers.run_now(PROJECT, &id).await.unwrap();
    let _call = site.calls.recv().await.unwrap();
    site.engine.cancel(Caller { project: PROJECT }, &begun.interaction_id.unwrap()).await.unwrap();
    let ended = site.ended(&id).await;
    assert_eq!(
        (ended.status, ended.error.as_deref()),
        (ExecutionStatus::Failed, Some("its interaction was cancelled"))
    );
}

#[tokio::test]
async fn a_trigger_that_is_deleted_takes_its_run_with_it() {
    let mut site = Site::new().await;
    let id = site.hourly(json!({})).await.id;
    let begun = site.triggers.run_now(PROJECT, &id).await.unwrap();
    let _call = site.calls.recv().await.unwrap();
    site.triggers.delete(PROJECT, &id).await.unwrap();
    let interaction = site.engine.get(Caller { project: PROJECT }, &begun.interaction_id.unwrap()).await.unwrap();
    assert_eq!(interaction.finished().await.status, Status::Cancelled);
}

#[tokio::test]
async fn executions_are_listed_in_pages_the_latest_first() {
    let mut site = Site::new().await;
    let id = site.hourly(json!({})).await.id;
    let mut ids = Vec::new();
    for _ in 0..3 {
        ids.push(site.run(&id, "Hm.").await.id);
    }
    ids.reverse();
    let first = site.triggers.executions(PROJECT, &id, None, 2).await.unwrap();
    let token = first.next_page_token.unwrap();
    let second = site.triggers.executions(PROJECT, &id, Some(&token), 2).await.unwrap();
    assert_eq!(second.next_page_token, None);
    let found = first.trigger_executions.into_iter().chain(second.trigger_executions).map(|one| one.id);
    assert_eq!(found.collect::<Vec<_>>(), ids);
}
