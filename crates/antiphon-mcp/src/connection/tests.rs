//! Time, on a clock that stands still while anything else can go on: a server in memory.

use rmcp::model::{CallToolResponse, ContentBlock, ProgressNotificationParam, ServerCapabilities, ServerConfig};
use rmcp::service::{RequestContext, serve_server};
use rmcp::{RoleServer, ServerHandler};
use serde_json::json;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, duplex};
use tokio::time::{Instant, sleep};

use super::*;
use crate::options::Timeouts;
use crate::result::McpContent;

/// Works for as many seconds as the tool's name says, with a sign of progress at each.
struct Worker;

impl ServerHandler for Worker {
    fn get_info(&self) -> ServerConfig {
        ServerConfig::new(ServerCapabilities::builder().enable_tools().build())
    }

    async fn call_tool(
        &self,
        call: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let token = context.meta.get_progress_token().unwrap();
        let (progress, seconds) = call.name.split_once(' ').unwrap();
        for second in 0..seconds.parse().unwrap() {
            sleep(Duration::from_secs(1)).await;
            if progress == "progress" {
                let progress = ProgressNotificationParam::new(token.clone(), f64::from(second));
                context.peer.notify_progress(progress).await.unwrap();
            }
        }
        Ok(CallToolResult::success(vec![ContentBlock::text("done")]).into())
    }
}

fn options() -> McpOptions {
    let tls =
        rustls::ClientConfig::builder_with_provider(std::sync::Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(rustls::RootCertStore::empty())
            .with_no_client_auth();
    let client = reqwest::Client::builder().tls_backend_preconfigured(tls).build().unwrap();
    let mut options = McpOptions::new(client, |_| Err("nothing is dialled here".to_owned()));
    options.timeouts = Timeouts { idle: Duration::from_secs(10), call: Duration::from_secs(60), ..Timeouts::default() };
    options
}

async fn called(tool: &str) -> (Result<McpResult, McpErrorKind>, u64) {
    let (ours, theirs) = duplex(1 << 16);
    let auto = ClientLifecycleMode::Auto { preferred_versions: vec![CURRENT], legacy_version: None };
    // It is there as soon as the first call is.
    let serving = async { serve_server(Worker, theirs).await.unwrap().waiting().await.unwrap() };
    let calling = async {
        let opened = Connection::start("worker", Secrets::default(), ours, auto, None).await;
        let (connection, lifecycle) = opened.unwrap();
        assert_eq!(lifecycle, Lifecycle::Current);
        let start = Instant::now();
        let result = connection.call(tool, Map::new(), &options()).await;
        (result.map_err(|error| error.kind), start.elapsed().as_secs())
    };
    tokio::select! {
        quit = serving => panic!("{tool}: {quit:?}"),
        called = calling => called,
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_lives_as_long_as_there_is_progress_and_time() {
    let check = |tool: &'static str, expected: Result<(), McpErrorKind>, seconds: u64| async move {
        let done = McpResult { content: vec![McpContent::Text("done".to_owned())], structured: None, is_error: false };
        assert_eq!(called(tool).await, (expected.map(|()| done), seconds), "{tool}");
    };
    check("silence 9", Ok(()), 9).await;
    check("silence 11", Err(McpErrorKind::Timeout), 10).await;
    check("progress 40", Ok(()), 40).await;
    check("progress 1000", Err(McpErrorKind::Timeout), 60).await;
}

#[tokio::test(start_paused = true)]
async fn a_process_that_swallows_discovery_is_taken_for_an_old_one() {
    let (ours, theirs) = duplex(1 << 16);
    let (read, mut write) = tokio::io::split(theirs);
    let serving = async move {
        let mut lines = BufReader::new(read).lines();
        while let Some(line) = lines.next_line().await.unwrap() {
            let message: Value = serde_json::from_str(&line).unwrap();
            match message["method"].as_str() {
                Some("initialize") => {
                    let answer = json!({"jsonrpc": "2.0", "id": message["id"], "result": {
                        "protocolVersion": "2025-06-18", "capabilities": {},
                        "serverInfo": {"name": "old", "version": "1"}}});
                    write.write_all(format!("{answer}\n").as_bytes()).await.unwrap();
                }
                Some("notifications/initialized") => return,
                _ => {}
            }
        }
    };
    let auto = ClientLifecycleMode::Auto { preferred_versions: vec![CURRENT], legacy_version: None };
    let (opened, ()) = tokio::join!(Connection::start("old", Secrets::default(), ours, auto, None), serving);
    assert_eq!(opened.map(|(_, lifecycle)| lifecycle).map_err(|error| error.kind), Ok(Lifecycle::Legacy));
}
