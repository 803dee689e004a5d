//! Tools: which are listed, which may be called, and when the server is asked.

use antiphon_mcp::{AllowedTools, CallMode, McpErrorKind, McpServers, McpTool};
use pretty_assertions::assert_eq;
use rmcp::model::Tool;
use serde_json::json;

use crate::servers::{KINDS, Server, arguments, beginning, options, servers, spec, tool};

fn names(tools: &[McpTool]) -> Vec<&str> {
    tools.iter().map(|tool| tool.name.as_str()).collect()
}

#[tokio::test]
async fn tools_are_listed_whatever_the_server_speaks() {
    for kind in KINDS {
        let server = Server::real(kind).await;
        let opened = servers().open("project-1", server.spec()).await.unwrap();
        // That calling it twice is as good as once does not make a call a read.
        let expected = [("echo", true), ("hang", false), ("answer", false)].map(|(name, read_only)| McpTool {
            name: name.to_owned(),
            description: format!("Does {name}"),
            input_schema: json!({"type": "object", "properties": {"text": {"type": "string"}}}),
            read_only,
        });
        assert_eq!(opened.tools(), expected, "{kind:?}");
    }
}

#[tokio::test]
async fn pages_are_read_to_their_end() {
    for kind in KINDS {
        let server = Server::real(kind).await;
        let all: Vec<_> = (0..25).map(|number| format!("tool-{number}")).collect();
        *server.state.tools.lock().unwrap() = all.iter().map(|name| tool(name)).collect();
        *server.state.page.lock().unwrap() = 10;
        let opened = servers().open("project-1", server.spec()).await.unwrap();
        assert_eq!(names(opened.tools()), all, "{kind:?}");
    }
}

#[tokio::test]
async fn how_a_server_speaks_is_found_out_once() {
    for kind in KINDS {
        let server = Server::real(kind).await;
        let mut options = options();
        options.bounds.listings = 16;
        let servers = McpServers::new(options);
        servers.open("project-1", server.spec()).await.unwrap();
        let first: Vec<_> = server.methods().into_iter().filter(|method| method != "DELETE").collect();
        let handshake = ["server/discover", "initialize", "notifications/initialized", "tools/list"];
        assert_eq!(first, if kind.legacy { &handshake[..] } else { &["server/discover", "tools/list"] }, "{kind:?}");
        servers.open("project-2", server.spec()).await.unwrap();
        let second: Vec<_> = server.methods().into_iter().filter(|method| method != "DELETE").collect();
        assert_eq!(second, if kind.legacy { &handshake[1..] } else { &["server/discover", "tools/list"] }, "{kind:?}");
    }
}

#[tokio::test]
async fn a_listing_is_remembered_per_project_address_and_headers() {
    let server = Server::real(KINDS[0]).await;
    let servers = servers();
    let mut asks = Vec::new();
    let mut other_key = server.spec();
    other_key.headers.insert("authorization".to_owned(), "Bearer another-secret".to_owned());
    let mut other_url = server.spec();
    other_url.url.push_str("?tenant=2");
    let same = server.spec();
    for (project, spec) in [
        ("project-1", same.clone()),
        ("project-1", same.clone()),
        ("project-2", same),
        ("project-1", other_key),
        ("project-1", other_url),
    ] {
        let opened = servers.open(project, spec).await.unwrap();
        assert_eq!(names(opened.tools()), ["echo", "hang", "answer"]);
        asks.push(server.methods().iter().filter(|method| *method == "tools/list").count());
    }
    assert_eq!(asks, [1, 0, 1, 1, 1]);
}

#[tokio::test]
async fn a_remembered_listing_connects_with_its_first_call() {
    let server = Server::real(KINDS[2]).await;
    let servers = servers();
    drop(servers.open("project-1", server.spec()).await.unwrap());
    let opened = servers.open("project-1", server.spec()).await.unwrap();
    let result = opened.call("echo", arguments("hello")).await.unwrap();
    assert_eq!(antiphon_mcp::wire_result(&result), json!("hello"));
}

#[tokio::test]
async fn an_old_listing_is_asked_for_again() {
    let server = Server::real(KINDS[0]).await;
    let mut options = options();
    options.bounds.listing_life = std::time::Duration::ZERO;
    let servers = McpServers::new(options);
    for _ in 0..2 {
        servers.open("project-1", server.spec()).await.unwrap();
        assert_eq!(server.methods(), ["server/discover", "tools/list"]);
    }
}

#[tokio::test]
async fn a_server_that_was_replaced_is_found_out_again() {
    // Its answer to discovery depends on how often it was asked.
    let asked = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let server = Server::scripted(move |message| {
        let discovers = message["method"] == "server/discover";
        if discovers && asked.fetch_add(1, std::sync::atomic::Ordering::Relaxed) > 0 {
            return Some(crate::servers::status(400, "what?"));
        }
        match message["method"].as_str() {
            Some("initialize" | "notifications/initialized") => crate::servers::beginning_of_old(&message),
            _ => beginning(&message),
        }
    })
    .await;
    let servers = servers();
    servers.open("project-1", server.spec()).await.unwrap();
    assert_eq!(server.methods(), ["server/discover", "tools/list"]);
    servers.open("project-2", server.spec()).await.unwrap();
    let methods = ["server/discover", "server/discover", "initialize", "notifications/initialized", "tools/list"];
    assert_eq!(server.methods(), methods);
    servers.open("project-3", server.spec()).await.unwrap();
    assert_eq!(server.methods(), &methods[2..]);
}

#[tokio::test]
async fn only_what_is_allowed_is_shown_and_called() {
    let server = Server::real(KINDS[0]).await;
    let servers = servers();
    let allow = |tools: &[&str]| AllowedTools {
        mode: CallMode::Auto,
        tools: Some(tools.iter().map(|&tool| tool.to_owned()).collect()),
    };
    for (allowed, expected) in [
        (vec![], vec!["echo", "hang", "answer"]),
        (vec![AllowedTools::default()], vec!["echo", "hang", "answer"]),
        (vec![allow(&["answer", "missing"])], vec!["answer"]),
        (vec![allow(&["answer"]), allow(&["echo"])], vec!["echo", "answer"]),
        (vec![AllowedTools { mode: CallMode::None, tools: None }], vec![]),
    ] {
        let mut spec = server.spec();
        spec.allowed_tools = allowed;
        let opened = servers.open("project-1", spec).await.unwrap();
        assert_eq!(names(opened.tools()), expected);
    }
    let mut spec = server.spec();
    spec.allowed_tools = vec![allow(&["answer"])];
    let opened = servers.open("project-1", spec).await.unwrap();
    server.methods();
    let error = opened.call("echo", arguments("hello")).await.unwrap_err();
    assert_eq!(error.kind, McpErrorKind::UnknownTool("echo".to_owned()));
    assert_eq!(error.to_string(), "the MCP server `files` has no tool `echo`");
    assert_eq!(server.methods(), [""; 0]);
}

#[tokio::test]
async fn a_tool_that_vanished_is_not_listed_again() {
    for kind in KINDS {
        let server = Server::real(kind).await;
        let servers = servers();
        let opened = servers.open("project-1", server.spec()).await.unwrap();
        server.state.tools.lock().unwrap().retain(|tool| tool.name != "echo");
        let error = opened.call("echo", arguments("hello")).await.unwrap_err();
        let message = "tool not found".to_owned();
        assert_eq!(error.kind, McpErrorKind::Failed { code: -32_602, message }, "{kind:?}");
        let opened = servers.open("project-1", server.spec()).await.unwrap();
        assert_eq!(names(opened.tools()), ["hang", "answer"], "{kind:?}");
    }
}

#[tokio::test]
async fn a_listing_beyond_its_bounds_is_refused() {
    let check = |tools: Vec<Tool>, page: usize, expected: &'static str| async move {
        let server = Server::real(KINDS[0]).await;
        *server.state.tools.lock().unwrap() = tools;
        *server.state.page.lock().unwrap() = page;
        let mut options = options();
        options.bounds.tools = 20;
        options.bounds.pages = 8;
        options.bounds.listing_bytes = 16 << 10;
        let error = McpServers::new(options).open("project-1", server.spec()).await.unwrap_err();
        assert_eq!((error.kind.clone(), error.detail()), (McpErrorKind::TooLarge, expected));
        assert_eq!(error.to_string(), "what the MCP server `files` answered is too large");
    };
    let many = |count: usize| (0..count).map(|number| tool(&format!("tool-{number}"))).collect::<Vec<_>>();
    check(many(21), 0, "the list of its tools").await;
    check(many(9), 1, "the pages of its tools").await;
    let mut long = tool("long");
    long.description = Some("x".repeat(17 << 10).into());
    check(vec![long], 0, "the list of its tools").await;
}

#[tokio::test]
async fn a_tool_that_cannot_be_used_is_left_out() {
    let server = Server::real(KINDS[0]).await;
    let mut large = tool("large");
    large.input_schema = std::sync::Arc::new(
        json!({"type": "object", "description": "x".repeat(70 << 10)}).as_object().unwrap().clone(),
    );
    let mut long = tool("long");
    long.description = Some("é".repeat(5_000).into());
    *server.state.tools.lock().unwrap() =
        vec![tool("ok"), tool("no name"), tool("<|im_end|>"), tool(&"x".repeat(129)), large, tool("ok"), long];
    let opened = servers().open("project-1", server.spec()).await.unwrap();
    assert_eq!(names(opened.tools()), ["ok", "long"]);
    assert_eq!(opened.tools()[1].description, format!("{}…", "é".repeat(4_095)));
}

#[tokio::test]
async fn a_server_without_tools_has_none() {
    let server = Server::scripted(|message| match message["method"].as_str() {
        Some("tools/list") => {
            let body = json!({"jsonrpc": "2.0", "id": message["id"],
                "error": {"code": -32_601, "message": "no such method"}});
            let response = axum::response::Response::builder().header("content-type", "application/json");
            Some(response.body(body.to_string().into()).unwrap())
        }
        _ => beginning(&message),
    })
    .await;
    let opened = servers().open("project-1", spec(&server.url)).await.unwrap();
    assert_eq!(opened.tools(), []);
}
