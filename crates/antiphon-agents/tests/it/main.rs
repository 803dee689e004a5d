//! Agents as they are kept: per project, durable, and gone when they are deleted.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use antiphon_agents::Agents;
use antiphon_engine::ProjectId;
use antiphon_wire::{Agent, Code};
use pretty_assertions::assert_eq;
use serde_json::json;

const PROJECT: ProjectId = ProjectId(1);
const OTHER: ProjectId = ProjectId(2);

fn agent(id: &str, instruction: &str) -> Agent {
    let body = json!({"id": id, "base_agent": "antigravity-preview-05-2026", "system_instruction": instruction});
    Agent::read(body).unwrap()
}

async fn open(folder: &tempfile::TempDir) -> Agents {
    Agents::open(&folder.path().join("agents.sqlite"), 4).await.unwrap()
}

#[tokio::test]
async fn an_agent_is_there_after_a_restart_and_for_its_project_alone() {
    let folder = tempfile::tempdir().unwrap();
    let kept = agent("watcher", "Watch.");
    let server =
        json!([{"type": "mcp_server", "name": "notes", "url": "https://example.com/m", "headers": {"a": "b"}}]);
    let secret = json!({"id": "s", "base_agent": "antigravity-preview-05-2026", "tools": server});
    let secret = Agent::read(secret).unwrap();
    let agents = open(&folder).await;
    agents.create(PROJECT, &kept).await.unwrap();
    agents.create(PROJECT, &secret).await.unwrap();
    drop(agents);
    let agents = open(&folder).await;
    assert_eq!(agents.get(PROJECT, "watcher").await, Ok(kept.clone()));
    // Headers are not shown, and are there for runs.
    assert_eq!(agents.get(PROJECT, "s").await, Ok(secret));
    for id in ["watcher", "nobody", "", "x' OR 'a' = 'a"] {
        assert_eq!(agents.get(OTHER, id).await.unwrap_err().code, Code::NotFound);
        assert_eq!(agents.delete(OTHER, id).await.unwrap_err().code, Code::NotFound);
    }
    assert_eq!(agents.list(OTHER, None, 10).await.unwrap().items, []);
    // One name may mean two things in two projects.
    agents.create(OTHER, &agent("watcher", "Sleep.")).await.unwrap();
    assert_eq!(agents.get(PROJECT, "watcher").await, Ok(kept));
}

#[tokio::test]
async fn an_id_is_given_once_until_it_is_free_again() {
    let folder = tempfile::tempdir().unwrap();
    let agents = open(&folder).await;
    agents.create(PROJECT, &agent("watcher", "Watch.")).await.unwrap();
    let refused = agents.create(PROJECT, &agent("watcher", "Sleep.")).await.unwrap_err();
    assert_eq!(refused.code, Code::AlreadyExists);
    assert_eq!(agents.get(PROJECT, "watcher").await, Ok(agent("watcher", "Watch.")));
    agents.delete(PROJECT, "watcher").await.unwrap();
    assert_eq!(agents.delete(PROJECT, "watcher").await.unwrap_err().code, Code::NotFound);
    agents.create(PROJECT, &agent("watcher", "Sleep.")).await.unwrap();
    assert_eq!(agents.get(PROJECT, "watcher").await, Ok(agent("watcher", "Sleep.")));
}

#[tokio::test]
async fn pages_hold_each_agent_once_and_a_project_has_a_bound() {
    let folder = tempfile::tempdir().unwrap();
    let agents = open(&folder).await;
    for id in ["c", "a", "d", "b"] {
        agents.create(PROJECT, &agent(id, "x")).await.unwrap();
    }
    let (mut seen, mut token) = (Vec::new(), None::<String>);
    loop {
        let page = agents.list(PROJECT, token.as_deref(), 3).await.unwrap();
        seen.extend(page.items.into_iter().map(|agent| agent.id));
        let Some(next) = page.next else { break };
        token = Some(next);
    }
    assert_eq!(seen, ["a", "b", "c", "d"]);
    assert_eq!(agents.list(PROJECT, Some("a\n"), 3).await.unwrap_err().code, Code::InvalidRequest);
    let full = agents.create(PROJECT, &agent("e", "x")).await.unwrap_err();
    assert_eq!(full.code, Code::FailedPrecondition);
    agents.create(OTHER, &agent("e", "x")).await.unwrap();
}

#[tokio::test]
async fn a_deleted_definition_is_in_no_file_any_more() {
    let folder = tempfile::tempdir().unwrap();
    let holding = |words: &str| {
        let files =
            std::fs::read_dir(folder.path()).unwrap().map(|entry| std::fs::read(entry.unwrap().path()).unwrap());
        files.filter(|bytes| bytes.windows(words.len()).any(|found| found == words.as_bytes())).count()
    };
    let agents = open(&folder).await;
    agents.create(PROJECT, &agent("watcher", "the words of the heron")).await.unwrap();
    assert!(holding("the words of the heron") > 0);
    agents.delete(PROJECT, "watcher").await.unwrap();
    assert_eq!(holding("the words of the heron"), 0);
}

#[tokio::test]
async fn a_definition_has_a_bound() {
    let folder = tempfile::tempdir().unwrap();
    let agents = open(&folder).await;
    let large = agents.create(PROJECT, &agent("large", &"x".repeat(6 << 20))).await.unwrap_err();
    assert_eq!(large.code, Code::ContentTooLarge);
    assert_eq!(agents.list(PROJECT, None, 10).await.unwrap().items, []);
}
