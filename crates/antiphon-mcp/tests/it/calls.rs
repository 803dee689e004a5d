//! Calls: their end, their cancellation, their time.

use std::time::Duration;

use antiphon_mcp::{McpErrorKind, McpServers};
use pretty_assertions::assert_eq;
use serde_json::json;

use crate::servers::{KINDS, Server, arguments, options, servers};

#[tokio::test]
async fn a_call_brings_what_the_tool_answered() {
    for kind in KINDS {
        let server = Server::real(kind).await;
        let opened = servers().open("project-1", server.spec()).await.unwrap();
        for text in ["hello", "", "naïve 🦀"] {
            let result = opened.call("echo", arguments(text)).await.unwrap();
            assert_eq!(antiphon_mcp::wire_result(&result), json!(text), "{kind:?}");
        }
    }
}

#[tokio::test]
async fn calls_run_side_by_side() {
    for kind in KINDS {
        let server = Server::real(kind).await;
        let opened = servers().open("project-1", server.spec()).await.unwrap();
        let hanging = opened.call("hang", arguments(""));
        let echoing = async {
            server.state.started.notified().await;
            opened.call("echo", arguments("hello")).await.unwrap()
        };
        let result = tokio::select! {
            result = hanging => panic!("{kind:?}: {result:?}"),
            result = echoing => result,
        };
        assert_eq!(antiphon_mcp::wire_result(&result), json!("hello"), "{kind:?}");
    }
}

#[tokio::test]
async fn a_dropped_call_is_cancelled_at_the_server() {
    for kind in KINDS {
        let server = Server::real(kind).await;
        let opened = servers().open("project-1", server.spec()).await.unwrap();
        tokio::select! {
            result = opened.call("hang", arguments("")) => panic!("{kind:?}: {result:?}"),
            () = server.state.started.notified() => {}
        }
        // An old server without sessions cannot be told.
        if !(kind.legacy && kind.json) {
            server.state.cancelled.notified().await;
        }
        let result = opened.call("echo", arguments("still there")).await.unwrap();
        assert_eq!(antiphon_mcp::wire_result(&result), json!("still there"), "{kind:?}");
    }
}

#[tokio::test]
async fn a_call_that_hangs_ends_in_time_and_is_cancelled() {
    for kind in KINDS {
        let server = Server::real(kind).await;
        let mut options = options();
        options.timeouts.idle = Duration::from_millis(50);
        let opened = McpServers::new(options).open("project-1", server.spec()).await.unwrap();
        let error = opened.call("hang", arguments("")).await.unwrap_err();
        assert_eq!(error.kind, McpErrorKind::Timeout, "{kind:?}");
        assert_eq!(error.to_string(), "the MCP server `files` did not answer in time");
        if !(kind.legacy && kind.json) {
            server.state.cancelled.notified().await;
        }
    }
}
