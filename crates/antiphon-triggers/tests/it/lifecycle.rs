//! Triggers as a resource: made, listed, changed, removed, per project.

use antiphon_wire::{Code, TriggerId, TriggerStatus, UpdateTrigger};
use pretty_assertions::assert_eq;
use serde_json::{Value, json};

use crate::support::{AGENT, OTHER, PROJECT, Site, remote, request};

fn update(body: Value) -> UpdateTrigger {
    UpdateTrigger::read(body).unwrap()
}

#[tokio::test]
async fn a_trigger_is_kept_and_shown() {
    let mut site = Site::new().await;
    let fields = json!({"schedule": "0 9 * * 1-5", "time_zone": "Europe/Lisbon", "display_name": "Morning",
        "execution_timeout_seconds": 60, "max_consecutive_failures": 2});
    let made = site.create(fields).await.unwrap();
    let shown = serde_json::to_value(&made).unwrap();
    assert_eq!(
        shown,
        json!({"id": made.id.as_str(), "schedule": "0 9 * * 1-5", "time_zone": "Europe/Lisbon",
            "interaction": {"agent": AGENT, "service_tier": "standard",
                "input": [{"type": "user_input", "content": [{"type": "text", "text": "Look around"}]}]},
            "display_name": "Morning", "execution_timeout_seconds": 60, "max_consecutive_failures": 2,
            "status": "active", "consecutive_failure_count": 0, "create_time": "2026-06-09T12:01:25Z",
            "update_time": "2026-06-09T12:01:25Z", "next_run_time": "2026-06-10T08:00:00Z"})
    );
    site.die().await;
    assert_eq!(site.trigger(&made.id).await, made);
    site.triggers.delete(PROJECT, &made.id).await.unwrap();
    assert_eq!(site.triggers.get(PROJECT, &made.id).await.unwrap_err().code, Code::NotFound);
    assert_eq!(site.triggers.delete(PROJECT, &made.id).await.unwrap_err().code, Code::NotFound);
}

#[tokio::test]
async fn it_is_paused_resumed_and_renamed() {
    let site = Site::new().await;
    let id = site.hourly(json!({"display_name": "One"})).await.id;
    site.advance(1);
    let paused = site.triggers.update(PROJECT, &id, update(json!({"status": "paused"}))).await.unwrap();
    assert_eq!((paused.status, paused.next_run_time.as_deref()), (TriggerStatus::Paused, None));
    assert_eq!(paused.last_pause_time.as_deref(), Some("2026-06-09T12:02:25Z"));
    assert_eq!(paused.display_name.as_deref(), Some("One"));
    // Nothing runs, and what was missed does not come again.
    site.advance(180);
    site.triggers.tick().await;
    let resumed =
        site.triggers.update(PROJECT, &id, update(json!({"status": "active", "display_name": ""}))).await.unwrap();
    assert_eq!((resumed.status, resumed.display_name), (TriggerStatus::Active, None));
    assert_eq!(resumed.next_run_time.as_deref(), Some("2026-06-09T16:00:00Z"));
    assert_eq!(resumed.last_resume_time.as_deref(), Some("2026-06-09T15:02:25Z"));
    site.triggers.tick().await;
    assert!(site.executions(&id).await.is_empty());
}

#[tokio::test]
async fn a_list_is_filtered_and_has_each_once() {
    let site = Site::new().await;
    let mut ids = Vec::new();
    for _ in 0..3 {
        ids.push(site.hourly(json!({})).await.id);
    }
    let full = site.create(json!({})).await.unwrap_err();
    assert_eq!(full.code, Code::FailedPrecondition);
    site.triggers.update(PROJECT, &ids[1], update(json!({"status": "paused"}))).await.unwrap();
    let all = async |filter: Option<&str>| {
        let (mut found, mut token) = (Vec::new(), None);
        loop {
            let page = site.triggers.list(PROJECT, filter, token.as_deref(), 1).await.unwrap();
            found.extend(page.triggers.into_iter().map(|one| one.id));
            token = page.next_page_token;
            if token.is_none() {
                found.sort_unstable();
                return found;
            }
        }
    };
    let sorted = |of: &[&TriggerId]| {
        let mut ids: Vec<_> = of.iter().copied().cloned().collect();
        ids.sort_unstable();
        ids
    };
    assert_eq!(all(None).await, sorted(&[&ids[0], &ids[1], &ids[2]]));
    assert_eq!(all(Some("status = \"paused\"")).await, sorted(&[&ids[1]]));
    assert_eq!(all(Some("state=ACTIVE")).await, sorted(&[&ids[0], &ids[2]]));
    assert!(all(Some("status=error")).await.is_empty());
    for (filter, token) in
        [(Some("name = \"x\""), None), (Some("status"), None), (None, Some("x")), (None, Some("1.!"))]
    {
        assert_eq!(site.triggers.list(PROJECT, filter, token, 1).await.unwrap_err().code, Code::InvalidRequest);
    }
}

#[tokio::test]
async fn projects_do_not_see_each_others() {
    let site = Site::new().await;
    let id = site.hourly(json!({})).await.id;
    let triggers = &site.triggers;
    for code in [
        triggers.get(OTHER, &id).await.unwrap_err().code,
        triggers.update(OTHER, &id, update(json!({"status": "paused"}))).await.unwrap_err().code,
        triggers.run_now(OTHER, &id).await.unwrap_err().code,
        triggers.executions(OTHER, &id, None, 9).await.unwrap_err().code,
        triggers.delete(OTHER, &id).await.unwrap_err().code,
    ] {
        assert_eq!(code, Code::NotFound);
    }
    assert!(triggers.list(OTHER, None, None, 9).await.unwrap().triggers.is_empty());
    // Nor does a trigger get at what is another project's.
    let theirs = site.environments.create(OTHER, Default::default()).await.unwrap().id;
    let error = site.create(json!({"environment_id": theirs.as_str()})).await.unwrap_err();
    assert_eq!(error.code, Code::NotFound);
}

#[tokio::test]
async fn what_could_not_run_is_refused_when_it_is_made() {
    let site = Site::new().await;
    let refused = async |fields: Value| {
        let error = site.triggers.create(PROJECT, request(fields)).await.unwrap_err();
        (error.code, error.message.split('`').nth(1).unwrap().to_owned())
    };
    let interaction = |name: &str, value: Value| {
        let mut body = remote();
        body["interaction"][name] = value;
        body
    };
    let expected = |code: Code, path: &str| (code, path.to_owned());
    assert_eq!(refused(json!({"schedule": "* * *"})).await, expected(Code::InvalidRequest, "schedule"));
    assert_eq!(refused(json!({"schedule": "0 0 30 2 *"})).await, expected(Code::InvalidRequest, "schedule"));
    assert_eq!(refused(json!({"time_zone": "Mars"})).await, expected(Code::InvalidRequest, "time_zone"));
    assert_eq!(refused(json!({"environment_id": "env_none"})).await, expected(Code::NotFound, "environments/env_none"));
    assert_eq!(refused(interaction("agent", json!("nobody"))).await, expected(Code::NotFound, "interaction.agent"));
    assert_eq!(
        refused(interaction("previous_interaction_id", json!("v1_none"))).await,
        expected(Code::NotFound, "interaction.previous_interaction_id")
    );
    // Nothing was made on the way.
    assert!(site.environments.list(PROJECT, None, 9).await.unwrap().items.is_empty());
}
