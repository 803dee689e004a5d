//! Servers of tools that answer and that break: real ones on the loopback, and processes of the operator's.

use rmcp::model::{CallToolResult, ContentBlock};
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use crate::mcp_servers::{KINDS, Server as ToolServer, beginning, status};
use crate::server::{Answer, Server, Site};

const SCRIPT: &str = r#"
[[reply]]
when = "Echo"
calls = [{ name = "files__echo", arguments = { text = "The heron waits." } }]

[[reply]]
when = "The heron waits."
chunks = ["It waits."]

[[reply]]
when = "Save"
calls = [{ name = "files__answer" }]

[[reply]]
when = "The tool failed:\nThe disk is full."
chunks = ["It was not saved."]

[[reply]]
when = "the MCP server `files` answered with HTTP status 500"
chunks = ["The server is broken."]
"#;

const TOKEN: &str = "Bearer planted-token";

/// What opens the loopback to servers of tools, at these ports.
fn opened(key: &str, servers: &[&ToolServer]) -> String {
    let port = |server: &&ToolServer| server.url.split([':', '/']).nth(4).unwrap().to_owned();
    let ports: Vec<_> = servers.iter().map(port).collect();
    format!("[fetch.{key}]\nnetworks = [\"127.0.0.0/8\"]\nports = [{}]\n", ports.join(", "))
}

fn files_at(url: &str) -> Value {
    json!({"type": "mcp_server", "name": "files", "url": url, "headers": {"authorization": TOKEN}})
}

fn ask(server: &Server, input: &str, tool: &Value) -> Answer {
    server.create(&json!({"model": "scripted", "input": input, "tools": [tool]})).unwrap()
}

/// The steps, without what is drawn by chance, once the result is known to answer the call.
fn steps(answer: &Answer) -> Vec<Value> {
    assert_eq!((answer.status, &answer.body["status"]), (200, &json!("completed")), "{}", answer.body);
    let mut steps = answer.body["steps"].as_array().unwrap().clone();
    assert_eq!(steps[1]["call_id"], steps[0]["id"]);
    for step in &mut steps {
        for name in ["id", "call_id", "signature"] {
            step.as_object_mut().unwrap().remove(name);
        }
    }
    steps
}

/// The steps of one call, what came of it, and what the model said to that.
fn one_call(server: &str, tool: &str, arguments: &Value, (result, is_error): (&str, bool), said: &str) -> Vec<Value> {
    vec![
        json!({"type": "mcp_server_tool_call", "name": tool, "server_name": server, "arguments": arguments}),
        json!({"type": "mcp_server_tool_result", "name": tool, "server_name": server, "result": result,
            "is_error": is_error}),
        json!({"type": "model_output", "content": [{"type": "text", "text": said}]}),
    ]
}

fn refused(answer: &Answer) -> &str {
    let error = &answer.body["error"];
    assert_eq!((answer.status, &error["code"]), (400, &json!("failed_precondition")), "{}", answer.body);
    error["message"].as_str().unwrap()
}

#[test]
fn a_server_of_tools_is_called_and_what_it_answers_is_shown_and_told() {
    let runtime = Runtime::new().unwrap();
    let servers = KINDS.map(|kind| runtime.block_on(ToolServer::real(kind)));
    let site = Site::scripted_with(&opened("mcp", &servers.each_ref()), SCRIPT);
    let server = site.serve_logging("debug");
    for (kind, tools) in KINDS.iter().zip(&servers) {
        let failed = CallToolResult::error(vec![ContentBlock::text("The disk is full.")]);
        *tools.state.result.lock().unwrap() = Some(failed);
        let declared = files_at(&tools.url);
        let echoed = ask(&server, "Echo", &declared);
        let text = "The heron waits.";
        let expected = one_call("files", "echo", &json!({ "text": text }), (text, false), "It waits.");
        assert_eq!(steps(&echoed), expected, "{kind:?}");
        let failed = ask(&server, "Save", &declared);
        let expected = one_call("files", "answer", &json!({}), ("The disk is full.", true), "It was not saved.");
        assert_eq!(steps(&failed), expected, "{kind:?}");

        let seen = tools.seen();
        assert_eq!(seen.iter().filter(|seen| seen.method == "tools/call").count(), 2, "{kind:?}");
        assert!(seen.iter().all(|seen| seen.headers["authorization"] == TOKEN), "{kind:?}: {seen:?}");
        let id = echoed.body["id"].as_str().unwrap();
        let kept = server.call("GET", &format!("/v1/interactions/{id}?include_input=true"), None).unwrap();
        assert!(!kept.body.to_string().contains("planted-token"), "{kind:?}: {}", kept.body);
    }
    assert!(!std::fs::read_to_string(site.log()).unwrap().contains("planted-token"));
}

#[test]
fn only_the_tools_that_are_allowed_are_there() {
    let runtime = Runtime::new().unwrap();
    let tools = runtime.block_on(ToolServer::real(KINDS[0]));
    let site = Site::scripted_with(&opened("mcp", &[&tools]), SCRIPT);
    let server = site.serve(&[]);
    let allowing = |name: &str| {
        let mut declared = files_at(&tools.url);
        declared["allowed_tools"] = json!([{"tools": [name]}]);
        declared
    };
    assert_eq!(steps(&ask(&server, "Echo", &allowing("echo")))[2]["content"][0]["text"], "It waits.");
    let other = ask(&server, "Echo", &allowing("answer"));
    assert!(other.body["error"]["message"].as_str().unwrap().contains("`files__echo`"), "{}", other.body);
    let absent = ask(&server, "Echo", &allowing("burn"));
    assert_eq!(refused(&absent), "`tools[0]`: `allowed_tools`: the MCP server `files` has no tool `burn`");
    assert_eq!(tools.seen().iter().filter(|seen| seen.method == "tools/call").count(), 1);
}

#[test]
fn a_server_of_tools_that_breaks_is_named() {
    let runtime = Runtime::new().unwrap();
    let broken = runtime.block_on(ToolServer::scripted(|_| Some(status(500, "planted words"))));
    let breaking = ToolServer::scripted(|message| beginning(&message).or_else(|| Some(status(500, "planted words"))));
    let breaking = runtime.block_on(breaking);
    let site = Site::scripted_with(&opened("mcp", &[&broken, &breaking]), SCRIPT);
    let server = site.serve(&[]);
    // At the beginning nothing is accepted yet.
    let refusal = ask(&server, "Echo", &files_at(&broken.url));
    assert_eq!(refused(&refusal), "`tools[0]`: the MCP server `files` answered with HTTP status 500");
    // Later the model is told.
    let told = ask(&server, "Echo", &files_at(&breaking.url));
    let why = "the MCP server `files` answered with HTTP status 500";
    let mut expected =
        one_call("files", "echo", &json!({"text": "The heron waits."}), ("", true), "The server is broken.");
    expected[1]["result"] = json!([{"type": "text", "text": why}]);
    assert_eq!(steps(&told), expected);
}

#[test]
fn the_loopback_is_closed_to_servers_of_tools_unless_it_was_opened_for_them() {
    let runtime = Runtime::new().unwrap();
    let tools = runtime.block_on(ToolServer::real(KINDS[0]));
    for config in [String::new(), opened("pages", &[&tools]), opened("media", &[&tools])] {
        let site = Site::scripted_with(&config, SCRIPT);
        let refusal = ask(&site.serve(&[]), "Echo", &files_at(&tools.url));
        assert_eq!(refused(&refusal), "`tools[0]`: the MCP server `files` cannot be reached", "{config}");
    }
    assert!(tools.seen().is_empty());
}

/// A shell that speaks as old servers do; a number is all it takes out of a request.
const PROCESSES: &str = r#"
[mcp_servers.broken]
command = "/bin/sh"
args = ["-c", "exit 1"]

[mcp_servers.shell]
command = "/bin/sh"
env = { PLANTED = "planted" }
args = ["-c", '''
result() { printf '{"jsonrpc":"2.0","id":%s,"result":%s}\n' "$id" "$1"; }
tool() { printf '{"name":"%s","inputSchema":{"type":"object"}}' "$1"; }
while read -r line; do
    id=${line#*\"id\":}; id=${id%%[,\}]*}
    case $line in
        *server/discover*) printf '{"jsonrpc":"2.0","id":%s,"error":{"code":-32601,"message":"no"}}\n' "$id" ;;
        *\"initialize\"*) result '{"protocolVersion":"2025-06-18","capabilities":{"tools":{}},"serverInfo":{"name":"sh","version":"1"}}' ;;
        *tools/list*) result "{\"tools\":[$(tool look),$(tool fail),$(tool leave)]}" ;;
        *\"look\"*) result "{\"content\":[{\"type\":\"text\",\"text\":\"I see ${PLANTED-none} ${OUTSIDE-none}\"}]}" ;;
        *\"fail\"*) result '{"content":[{"type":"text","text":"No luck."}],"isError":true}' ;;
        *\"leave\"*) exit ;;
    esac
done
''']
"#;

const PROCESS_SCRIPT: &str = r#"
[[reply]]
when = "Look"
calls = [{ name = "shell__look" }]

[[reply]]
when = "I see planted none"
chunks = ["Seen."]

[[reply]]
when = "Fail"
calls = [{ name = "shell__fail" }]

[[reply]]
when = "The tool failed:\nNo luck."
chunks = ["It failed."]

[[reply]]
when = "Leave"
calls = [{ name = "shell__leave" }]

[[reply]]
when = "the MCP server `shell` cannot be reached"
chunks = ["It left."]
"#;

#[test]
fn a_process_of_the_operators_is_called_by_its_name() {
    let site = Site::scripted_with(PROCESSES, PROCESS_SCRIPT);
    let server = site.serve_where(&[("OUTSIDE".to_owned(), "outside".to_owned())]);
    let named = |name: &str| json!({"type": "mcp_server", "name": name});
    let shell = named("shell");
    let looked = one_call("shell", "look", &json!({}), ("I see planted none", false), "Seen.");
    assert_eq!(steps(&ask(&server, "Look", &shell)), looked);
    let failed = one_call("shell", "fail", &json!({}), ("No luck.", true), "It failed.");
    assert_eq!(steps(&ask(&server, "Fail", &shell)), failed);
    let mut left = one_call("shell", "leave", &json!({}), ("", true), "It left.");
    left[1]["result"] = json!([{"type": "text", "text": "the MCP server `shell` cannot be reached"}]);
    assert_eq!(steps(&ask(&server, "Leave", &shell)), left);
    assert_eq!(steps(&ask(&server, "Look", &shell)), looked, "it is started again");

    let broken = ask(&server, "Look", &named("broken"));
    assert_eq!(refused(&broken), "`tools[0]`: the MCP server `broken` cannot be reached");
    let unknown = ask(&server, "Look", &named("other"));
    assert_eq!(refused(&unknown), "`tools[0]`: expected `url`: no server `other` is configured here");
}
