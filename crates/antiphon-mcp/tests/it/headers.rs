//! Headers go to the server they were given for, and into no word about it.

use std::sync::{Arc, Mutex};

use antiphon_mcp::{McpErrorKind, McpServers, ServerSpec};
use pretty_assertions::assert_eq;
use serde_json::json;

use crate::servers::{KINDS, Server, arguments, beginning, client, options, servers, spec, status};

#[tokio::test]
async fn every_request_of_a_server_has_its_headers_and_no_other_server_has_them() {
    for kind in KINDS {
        let (server, other) = (Server::real(kind).await, Server::real(kind).await);
        let servers = servers();
        let opened = servers.open("project-1", server.spec()).await.unwrap();
        opened.call("echo", arguments("hello")).await.unwrap();
        let mut without = other.spec();
        without.headers.clear();
        servers.open("project-1", without).await.unwrap().call("echo", arguments("hello")).await.unwrap();
        let keys = |server: &Server| -> Vec<_> {
            let value =
                |seen: crate::servers::Seen| Some(seen.headers.get("authorization")?.to_str().unwrap().to_owned());
            server.seen().into_iter().map(value).collect()
        };
        let (sent, leaked) = (keys(&server), keys(&other));
        assert_eq!(sent, vec![Some("Bearer planted-secret".to_owned()); sent.len()], "{kind:?}");
        assert_eq!(leaked, vec![None; leaked.len()], "{kind:?}");
        assert!(sent.len() >= 3 && leaked.len() >= 3, "{kind:?}");
    }
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let elsewhere = Server::real(KINDS[0]).await;
    let to = elsewhere.url.clone();
    let server = Server::scripted(move |_| {
        let mut response = status(307, "");
        response.headers_mut().insert("location", to.parse().unwrap());
        Some(response)
    })
    .await;
    let error = servers().open("project-1", server.spec()).await.unwrap_err();
    assert_eq!(error.kind, McpErrorKind::Refused(307));
    assert_eq!(elsewhere.methods(), [""; 0]);
}

#[tokio::test]
async fn an_answer_from_elsewhere_is_not_taken() {
    let elsewhere = Server::real(KINDS[0]).await;
    let to = elsewhere.url.clone();
    let server = Server::scripted(move |_| {
        let mut response = status(307, "");
        response.headers_mut().insert("location", to.parse().unwrap());
        Some(response)
    })
    .await;
    let mut options = options();
    options.client = client(reqwest::redirect::Policy::limited(3));
    let error = McpServers::new(options).open("project-1", server.spec()).await.unwrap_err();
    assert_eq!(error.kind, McpErrorKind::Protocol);
}

#[tokio::test]
async fn every_address_that_is_dialled_was_checked() {
    let server = Server::real(KINDS[2]).await;
    let checked = Arc::new(Mutex::new(Vec::new()));
    let noted = Arc::clone(&checked);
    let mut options = options();
    options.check = Arc::new(move |url| {
        noted.lock().unwrap().push(url.to_string());
        Ok(())
    });
    McpServers::new(options).open("project-1", server.spec()).await.unwrap();
    let checked = checked.lock().unwrap().clone();
    // Once more than requests: before anything else.
    assert_eq!(checked, vec![server.url.clone(); server.seen().len() + 1]);
}

#[tokio::test]
async fn a_forbidden_address_looks_like_one_where_nobody_answers() {
    let server = Server::real(KINDS[0]).await;
    let mut options = options();
    options.check = Arc::new(|url| Err(format!("{url} is private, for planted-secret")));
    let forbidden = McpServers::new(options).open("project-1", server.spec()).await.unwrap_err();
    assert_eq!(forbidden.kind, McpErrorKind::Forbidden);
    assert_eq!(forbidden.detail(), format!("{} is private, for …", server.url));
    assert_eq!(server.methods(), [""; 0]);
    // Bound, and nobody listens.
    let held = tokio::net::TcpSocket::new_v4().unwrap();
    held.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let free = held.local_addr().unwrap();
    let unreachable = servers().open("project-1", spec(&format!("http://{free}/"))).await.unwrap_err();
    assert_eq!(unreachable.kind, McpErrorKind::Unreachable);
    assert_eq!(forbidden.to_string(), unreachable.to_string());
    assert_eq!(forbidden.to_string(), "the MCP server `files` cannot be reached");
}

#[tokio::test]
async fn secrets_are_in_no_error_and_no_debug() {
    let server = Server::scripted(|message| match message["method"].as_str() {
        Some("tools/call") => {
            let body = json!({"jsonrpc": "2.0", "id": message["id"],
                "error": {"code": -32_000, "message": "bad key planted-secret, of planted-tenant"}});
            let response = axum::response::Response::builder().header("content-type", "application/json");
            Some(response.body(body.to_string().into()).unwrap())
        }
        _ => beginning(&message),
    })
    .await;
    let spec = spec(&format!("{}?tenant=planted-tenant", server.url));
    let opened = servers().open("project-1", spec.clone()).await.unwrap();
    let error = opened.call("echo", arguments("hello")).await.unwrap_err();
    assert_eq!(error.to_string(), "the MCP server `files` answered with an error: bad key …, of …");
    for shown in [format!("{error:?}"), format!("{opened:?}"), format!("{spec:?}"), format!("{:?}", options())] {
        assert!(!shown.contains("planted"), "{shown}");
    }
}

#[tokio::test]
async fn a_refusal_tells_its_status() {
    for (code, text) in [
        (401, "the MCP server `files` answered with HTTP status 401: check its `headers`"),
        (403, "the MCP server `files` answered with HTTP status 403: check its `headers`"),
        (404, "the MCP server `files` answered with HTTP status 404"),
        (429, "the MCP server `files` answered with HTTP status 429"),
        (500, "the MCP server `files` answered with HTTP status 500"),
    ] {
        let server = Server::scripted(move |_| Some(status(code, "planted words"))).await;
        let error = servers().open("project-1", server.spec()).await.unwrap_err();
        assert_eq!((error.kind.clone(), error.to_string()), (McpErrorKind::Refused(code), text.to_owned()));
        assert!(!error.detail().contains("planted"), "{}", error.detail());
    }
}

#[tokio::test]
async fn a_key_that_expires_is_told_by_the_call() {
    let server = Server::scripted(|message| match message["method"].as_str() {
        Some("tools/call") => Some(status(401, "")),
        _ => beginning(&message),
    })
    .await;
    let opened = servers().open("project-1", server.spec()).await.unwrap();
    let error = opened.call("echo", arguments("hello")).await.unwrap_err();
    assert_eq!(error.kind, McpErrorKind::Refused(401));
}

#[tokio::test]
async fn a_declaration_that_cannot_be_honoured_is_refused() {
    let check = |change: fn(&mut ServerSpec), expected: &'static str| async move {
        let mut spec = spec("http://127.0.0.1:1/");
        change(&mut spec);
        let error = servers().open("project-1", spec).await.unwrap_err();
        assert_eq!(error.to_string(), expected);
    };
    check(
        |spec| spec.name = "no name".to_owned(),
        "the MCP server `?` cannot be used: `name`: expected 1 to 64 letters, digits, `_` or `-`",
    )
    .await;
    check(
        |spec| spec.url = "file:///etc/passwd".to_owned(),
        "the MCP server `files` cannot be used: `url`: expected `http://` or `https://` and a host",
    )
    .await;
    check(
        |spec| spec.url = "http://user:planted@127.0.0.1/".to_owned(),
        "the MCP server `files` cannot be used: `url`: a password belongs into `headers`",
    )
    .await;
    check(
        |spec| drop(spec.headers.insert("Accept".to_owned(), "text/plain".to_owned())),
        "the MCP server `files` cannot be used: `headers`: `Accept` is set by the protocol and cannot be given",
    )
    .await;
    check(
        |spec| drop(spec.headers.insert("Mcp-Session-Id".to_owned(), "1".to_owned())),
        "the MCP server `files` cannot be used: `headers`: `Mcp-Session-Id` is set by the protocol and cannot be given",
    )
    .await;
    check(
        |spec| drop(spec.headers.insert("x-key".to_owned(), "planted\r\nhost: other".to_owned())),
        "the MCP server `files` cannot be used: `headers`: the value of `x-key` is no header",
    )
    .await;
    check(
        |spec| drop(spec.headers.insert("Authorization".to_owned(), "again".to_owned())),
        "the MCP server `files` cannot be used: `headers`: `authorization` is given twice",
    )
    .await;
    check(
        |spec| spec.headers = (0..65).map(|number| (format!("x-{number}"), String::new())).collect(),
        "the MCP server `files` cannot be used: `headers`: expected at most 64 of 16384 bytes in all",
    )
    .await;
}

#[tokio::test]
async fn a_sessions_end_is_asked_for_with_the_headers() {
    let server = Server::real(KINDS[3]).await;
    let servers = servers();
    drop(servers.open("project-1", server.spec()).await.unwrap());
    let seen = server.next("DELETE").await;
    assert_eq!(seen.headers["authorization"], "Bearer planted-secret");
    assert!(seen.headers.contains_key("mcp-session-id"));
}
