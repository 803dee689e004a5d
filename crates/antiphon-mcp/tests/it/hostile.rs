//! Servers that are slow, large or wrong.

use std::time::Duration;

use antiphon_mcp::{McpErrorKind, McpServers};
use axum::body::Body;
use axum::response::Response;
use futures_util::{StreamExt as _, stream};
use pretty_assertions::assert_eq;
use serde_json::{Value, json};

use crate::servers::{Server, answer, arguments, beginning, beginning_of_old, options, servers, status};

/// A server that speaks as before 2026-07-28, but for what `discovery` says.
async fn old(discovery: fn(&Value) -> Option<Response>) -> Server {
    Server::scripted(move |message| match message["method"].as_str() {
        Some("server/discover") => discovery(&message),
        _ => beginning_of_old(&message),
    })
    .await
}

fn events(pieces: impl futures_util::Stream<Item = String> + Send + 'static) -> Response {
    let body = Body::from_stream(pieces.map(Ok::<_, std::io::Error>));
    Response::builder().header("content-type", "text/event-stream").body(body).unwrap()
}

fn event(message: &Value) -> String {
    format!("data: {message}\n\n")
}

/// A current server that answers calls so.
async fn calling(call: impl Fn(&Value) -> Option<Response> + Clone + Send + Sync + 'static) -> Server {
    Server::scripted(
        move |message| if message["method"] == "tools/call" { call(&message) } else { beginning(&message) },
    )
    .await
}

#[tokio::test]
async fn a_server_that_swallows_discovery_is_taken_for_an_old_one_and_not_asked_again() {
    let silences: [fn(&Value) -> Option<Response>; 2] = [|_| None, |_| Some(events(stream::pending()))];
    for silence in silences {
        let server = old(silence).await;
        let mut options = options();
        options.timeouts.discovery = Duration::from_millis(50);
        let servers = McpServers::new(options);
        servers.open("project-1", server.spec()).await.unwrap();
        let methods = ["server/discover", "initialize", "notifications/initialized", "tools/list"];
        assert_eq!(server.methods(), methods);
        servers.open("project-2", server.spec()).await.unwrap();
        assert_eq!(server.methods(), &methods[1..]);
    }
}

#[tokio::test]
async fn any_refusal_of_discovery_is_an_old_servers() {
    let refusals: [fn(&Value) -> Option<Response>; 5] = [
        |_| Some(status(400, "what?")),
        |_| Some(status(404, "")),
        |_| Some(status(422, "<html>")),
        |message| {
            let body = json!({"jsonrpc": "2.0", "id": message["id"], "error": {"code": -32_600, "message": "no"}});
            Some(Response::builder().header("content-type", "application/json").body(body.to_string().into()).unwrap())
        },
        // Not even the number of the request.
        |_| {
            let body =
                r#"{"jsonrpc": "2.0", "id": "server-error", "error": {"code": -32000, "message": "no session"}}"#;
            Some(Response::builder().status(400).header("content-type", "application/json").body(body.into()).unwrap())
        },
    ];
    for refusal in refusals {
        let server = old(refusal).await;
        let opened = servers().open("project-1", server.spec()).await.unwrap();
        assert_eq!(opened.tools().len(), 1);
    }
}

#[tokio::test]
async fn a_server_that_never_answers_is_given_up() {
    let server = Server::scripted(|_| None).await;
    let mut options = options();
    options.timeouts.discovery = Duration::from_millis(20);
    options.timeouts.open = Duration::from_millis(60);
    let error = McpServers::new(options).open("project-1", server.spec()).await.unwrap_err();
    assert_eq!(error.kind, McpErrorKind::Unreachable);
}

#[tokio::test]
async fn what_is_no_mcp_is_no_server() {
    let answers: [fn(&Value) -> Option<Response>; 5] = [
        |_| Some(status(200, "<html>hello</html>")),
        |_| Some(status(202, "")),
        |_| Some(Response::builder().header("content-type", "application/json").body("{".into()).unwrap()),
        |message| Some(answer(message, &json!({"unheard": "of"}))),
        |_| Some(events(stream::empty())),
    ];
    for answers in answers {
        let server = Server::scripted(move |message| answers(&message)).await;
        let error = servers().open("project-1", server.spec()).await.unwrap_err();
        assert_eq!(error.kind, McpErrorKind::Protocol, "{}", error.detail());
        assert_eq!(error.to_string(), "the MCP server `files` does not answer as MCP says");
    }
}

#[tokio::test]
async fn an_answer_without_end_is_cut_off() {
    let long = "x".repeat(10_000);
    let progress = event(&json!({"jsonrpc": "2.0", "method": "notifications/message",
        "params": {"level": "info", "data": long}}));
    let json = move |message: &Value| {
        Some(answer(
            message,
            &json!({"resultType": "complete",
        "content": [{"type": "text", "text": "x".repeat(200_000)}]}),
        ))
    };
    let one_event = |_: &Value| Some(events(stream::repeat("data: xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\n".to_owned())));
    let many_events = move |_: &Value| Some(events(stream::repeat(progress.clone())));
    let comments = |_: &Value| Some(events(stream::repeat(": nothing\n\n".to_owned())));
    for server in [calling(json).await, calling(one_event).await, calling(many_events).await, calling(comments).await] {
        let mut options = options();
        options.bounds.answer_bytes = 100_000;
        let opened = McpServers::new(options).open("project-1", server.spec()).await.unwrap();
        let error = opened.call("echo", arguments("hello")).await.unwrap_err();
        assert_eq!(error.kind, McpErrorKind::TooLarge, "{}", error.detail());
    }
}

#[tokio::test]
async fn a_stream_that_breaks_ends_its_call() {
    let server = calling(|_| Some(events(stream::iter(["data: {\"jsonrpc\": ".to_owned()])))).await;
    let opened = servers().open("project-1", server.spec()).await.unwrap();
    let error = opened.call("echo", arguments("hello")).await.unwrap_err();
    assert_eq!(error.kind, McpErrorKind::Unreachable);
}

#[tokio::test]
async fn a_stream_that_breaks_without_end_is_not_taken_up_without_end() {
    let server = Server::scripted(|message| match message["method"].as_str() {
        Some("tools/call") | None => Some(events(stream::iter(["id: 1\nretry: 0\ndata: \n\n".to_owned()]))),
        _ => beginning(&message),
    })
    .await;
    let opened = servers().open("project-1", server.spec()).await.unwrap();
    server.methods();
    let error = opened.call("echo", arguments("hello")).await.unwrap_err();
    assert_eq!(error.kind, McpErrorKind::Unreachable);
    let methods = server.methods();
    assert_eq!(methods.iter().filter(|method| *method == "GET").count(), 32);
}

#[tokio::test]
async fn a_broken_stream_is_taken_up_where_it_broke() {
    let server = Server::scripted(|message| match message["method"].as_str() {
        Some("tools/call") => {
            // The rest is asked for without a body, so the answer tells itself which request it was.
            let id = message["id"].clone();
            let rest = json!({"jsonrpc": "2.0", "id": id, "result": {"resultType": "complete",
                "content": [{"type": "text", "text": "after all"}]}});
            *REST.lock().unwrap() = event(&rest);
            Some(events(stream::iter(["id: 7\nretry: 0\ndata: \n\n".to_owned()])))
        }
        None => Some(events(stream::iter([REST.lock().unwrap().clone()]))),
        _ => beginning(&message),
    })
    .await;
    static REST: std::sync::Mutex<String> = std::sync::Mutex::new(String::new());
    let opened = servers().open("project-1", server.spec()).await.unwrap();
    let result = opened.call("echo", arguments("hello")).await.unwrap();
    assert_eq!(antiphon_mcp::wire_result(&result), json!("after all"));
    let resumed = server.seen().into_iter().find(|seen| seen.method == "GET").unwrap();
    assert_eq!(resumed.headers["last-event-id"], "7");
}

#[tokio::test]
async fn questions_of_a_server_are_not_answered() {
    let server = calling(|message| {
        let result = json!({"resultType": "input_required", "inputRequests": {"name": {"method": "elicitation/create",
            "params": {"mode": "form", "message": "Who are you?", "requestedSchema": {"type": "object", "properties": {}}}}}});
        Some(answer(message, &result))
    })
    .await;
    let opened = servers().open("project-1", server.spec()).await.unwrap();
    let error = opened.call("echo", arguments("hello")).await.unwrap_err();
    assert_eq!(error.kind, McpErrorKind::Protocol);
}

#[tokio::test]
async fn an_expired_session_is_begun_again() {
    let sessions = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let server = Server::scripted(move |message| {
        let begun = |response: Option<Response>| {
            let session = sessions.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            let mut response = response?;
            response.headers_mut().insert("mcp-session-id", format!("session-{session}").parse().unwrap());
            Some(response)
        };
        match message["method"].as_str() {
            Some("initialize") => begun(beginning_of_old(&message)),
            Some("tools/call") if sessions.load(std::sync::atomic::Ordering::Relaxed) < 2 => Some(status(404, "")),
            Some("tools/call") => {
                Some(answer(&message, &json!({"content": [{"type": "text", "text": "in a new session"}]})))
            }
            Some("server/discover") => Some(status(404, "")),
            _ => beginning_of_old(&message),
        }
    })
    .await;
    let opened = servers().open("project-1", server.spec()).await.unwrap();
    let result = opened.call("echo", arguments("hello")).await.unwrap();
    assert_eq!(antiphon_mcp::wire_result(&result), json!("in a new session"));
    let sessions: Vec<_> = server
        .seen()
        .into_iter()
        .filter(|seen| seen.method == "tools/call")
        .map(|seen| seen.headers["mcp-session-id"].to_str().unwrap().to_owned())
        .collect();
    assert_eq!(sessions, ["session-0", "session-1"]);
}
