//! Servers that are processes: here a shell, which speaks as old servers do.

use std::collections::BTreeMap;
use std::path::PathBuf;

use antiphon_mcp::{McpErrorKind, McpServer, McpServers, StdioSpec, wire_result};
use pretty_assertions::assert_eq;
use serde_json::{Map, json};

use crate::servers::{options, servers};

/// Its requests are numbered, and a number is all it takes out of them.
const SERVER: &str = r#"
result() { printf '{"jsonrpc":"2.0","id":%s,"result":%s}\n' "$id" "$1"; }
text() { result '{"content":[{"type":"text","text":"'"$1"'"}]}'; }
tools='{"name":"environment","inputSchema":{"type":"object"}},{"name":"exit","inputSchema":{"type":"object"}}'
tools="$tools"',{"name":"long","inputSchema":{"type":"object"}},{"name":"hang","inputSchema":{"type":"object"}}'
echo 'this is not a message'
while read -r line; do
    id=${line#*\"id\":}; id=${id%%[,\}]*}
    case $line in
        *server/discover*) printf '{"jsonrpc":"2.0","id":%s,"error":{"code":-32601,"message":"no"}}\n' "$id" ;;
        *\"initialize\"*) result '{"protocolVersion":"2025-06-18","capabilities":{"tools":{}},"serverInfo":{"name":"sh","version":"1"}}' ;;
        *tools/list*) result '{"tools":['"$tools"']}' ;;
        *\"environment\"*) text "${PLANTED-none} ${HOME-none} ${CARGO-none}" ;;
        *\"exit\"*) exit ;;
        *\"long\"*) x=xxxxxxxxxxxxxxxx; x=$x$x$x$x$x$x$x$x; x=$x$x$x$x$x$x$x$x; x=$x$x$x$x$x$x$x$x; text "$x$x$x$x" ;;
        *notifications/cancelled*) test -n "$FIFO" && echo cancelled > "$FIFO" ;;
        *\"hang\"*) test -n "$FIFO" && echo started > "$FIFO" ;;
    esac
done
"#;

fn shell(script: &str, env: &[(&str, &str)]) -> StdioSpec {
    StdioSpec {
        name: "shell".to_owned(),
        command: PathBuf::from("/bin/sh"),
        args: vec!["-c".to_owned(), script.to_owned()],
        env: env.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect(),
        allowed_tools: Vec::new(),
    }
}

async fn started() -> McpServer {
    servers().start(shell(SERVER, &[("PLANTED", "planted")])).await.unwrap()
}

#[tokio::test]
async fn a_process_sees_no_environment_but_its_own() {
    let server = started().await;
    let names: Vec<_> = server.tools().iter().map(|tool| tool.name.as_str()).collect();
    assert_eq!(names, ["environment", "exit", "long", "hang"]);
    let result = server.call("environment", Map::new()).await.unwrap();
    assert_eq!(wire_result(&result), json!("planted none none"));
}

#[tokio::test]
async fn a_process_that_ends_is_started_again_by_the_next_call() {
    let server = started().await;
    let error = server.call("exit", Map::new()).await.unwrap_err();
    assert_eq!(error.kind, McpErrorKind::Unreachable);
    let result = server.call("environment", Map::new()).await.unwrap();
    assert_eq!(wire_result(&result), json!("planted none none"));
}

#[tokio::test]
async fn a_line_that_is_too_long_ends_its_call() {
    let mut options = options();
    options.bounds.answer_bytes = 4_096;
    let server = McpServers::new(options).start(shell(SERVER, &[])).await.unwrap();
    let error = server.call("long", Map::new()).await.unwrap_err();
    assert_eq!(error.kind, McpErrorKind::TooLarge);
}

#[tokio::test]
async fn a_command_that_is_none_cannot_be_reached() {
    let mut spec = shell("", &[]);
    spec.command = PathBuf::from("/nonexistent/server");
    let error = servers().start(spec).await.unwrap_err();
    assert_eq!(error.kind, McpErrorKind::Unreachable);
    let error = servers().start(shell("exit 1", &[])).await.unwrap_err();
    assert_eq!(error.kind, McpErrorKind::Unreachable);
}

/// A pipe with a name.
fn fifo(folder: &tempfile::TempDir) -> String {
    let path = folder.path().join("fifo");
    let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
    rustix::fs::mkfifoat(rustix::fs::CWD, &path, mode).unwrap();
    path.into_os_string().into_string().unwrap()
}

async fn read_to_end(path: String) -> String {
    tokio::task::spawn_blocking(move || std::fs::read_to_string(path).unwrap()).await.unwrap()
}

#[tokio::test]
async fn a_dropped_call_is_cancelled_at_the_process() {
    let folder = tempfile::tempdir().unwrap();
    let fifo = fifo(&folder);
    let server = servers().start(shell(SERVER, &[("FIFO", &fifo)])).await.unwrap();
    tokio::select! {
        result = server.call("hang", Map::new()) => panic!("{result:?}"),
        told = read_to_end(fifo.clone()) => assert_eq!(told, "started\n"),
    }
    assert_eq!(read_to_end(fifo).await, "cancelled\n");
}

#[tokio::test]
async fn dropping_a_server_kills_its_process_and_what_that_started() {
    let folder = tempfile::tempdir().unwrap();
    let fifo = fifo(&folder);
    // Both hold the pipe open for as long as they live.
    let script = format!("exec 9> \"$FIFO\"\n/bin/sleep 1000000 < /dev/null > /dev/null &\n{SERVER}");
    let servers = servers();
    let spec = shell(&script, &[("FIFO", &fifo)]);
    let (server, reading) = tokio::join!(servers.start(spec), async {
        tokio::task::spawn_blocking(move || std::fs::File::open(fifo).unwrap()).await.unwrap()
    });
    drop(server.unwrap());
    let rest = tokio::task::spawn_blocking(move || std::io::read_to_string(reading).unwrap()).await.unwrap();
    assert_eq!(rest, "");
}

#[test]
fn an_environment_is_in_no_debug() {
    let spec = StdioSpec { env: BTreeMap::from([("KEY".to_owned(), "planted".to_owned())]), ..shell("planted", &[]) };
    assert!(!format!("{spec:?}").contains("planted"));
}
