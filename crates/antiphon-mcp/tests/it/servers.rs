//! Servers on the loopback that note what they are asked.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use antiphon_mcp::{McpOptions, McpServers, ServerSpec};
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::http::HeaderMap;
use axum::middleware::{Next, from_fn};
use axum::response::Response;
use reqwest::Client;
use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CallToolResult, ContentBlock, DiscoverResult, ErrorCode, ErrorData,
    ListToolsResult, PaginatedRequestParams, ProtocolVersion, ServerCapabilities, ServerConfig, Tool, ToolAnnotations,
};
use rmcp::service::RequestContext;
use rmcp::transport::streamable_http_server::session::local::LocalSessionManager;
use rmcp::transport::streamable_http_server::{StreamableHttpServerConfig, StreamableHttpService};
use rmcp::{RoleServer, ServerHandler};
use serde_json::{Map, Value, json};
use tokio::net::TcpListener;
use tokio::sync::Notify;

/// The forms in which real servers come.
pub(crate) const KINDS: [Kind; 4] = [
    Kind { legacy: false, json: true },
    Kind { legacy: false, json: false },
    Kind { legacy: true, json: true },
    Kind { legacy: true, json: false },
];

#[derive(Clone, Copy, Debug)]
pub(crate) struct Kind {
    pub(crate) legacy: bool,
    /// Otherwise it answers with events, and with sessions if it is an old one.
    pub(crate) json: bool,
}

/// One request as it came.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    /// Of MCP, or of HTTP if there was no body.
    pub(crate) method: String,
    pub(crate) headers: HeaderMap,
}

#[derive(Default)]
pub(crate) struct State {
    seen: Mutex<Vec<Seen>>,
    pub(crate) tools: Mutex<Vec<Tool>>,
    /// How many tools a page has; all if 0.
    pub(crate) page: Mutex<usize>,
    pub(crate) result: Mutex<Option<CallToolResult>>,
    /// A request came.
    came: Notify,
    pub(crate) started: Notify,
    pub(crate) cancelled: Notify,
}

pub(crate) struct Server {
    pub(crate) url: String,
    pub(crate) state: Arc<State>,
}

impl Server {
    /// A real server with the tools `echo`, `hang` and `answer`.
    pub(crate) async fn real(kind: Kind) -> Self {
        let state = Arc::new(State::default());
        *state.tools.lock().unwrap() = vec![
            tool("echo").with_annotations(ToolAnnotations::new().read_only(true)),
            tool("hang"),
            tool("answer").with_annotations(ToolAnnotations::new().idempotent(true)),
        ];
        let handler = Handler { legacy: kind.legacy, state: Arc::clone(&state) };
        let config = StreamableHttpServerConfig::default()
            .with_legacy_session_mode(kind.legacy && !kind.json)
            .with_json_response(kind.json)
            .with_sse_keep_alive(Some(Duration::from_millis(50)));
        let service: StreamableHttpService<Handler, LocalSessionManager> =
            StreamableHttpService::new(move || Ok(handler.clone()), Arc::default(), config);
        let url = serve(Router::new().fallback_service(service), &state).await;
        Self { url, state }
    }

    /// A server that answers each message as it is told to; `None` is silence for ever.
    pub(crate) async fn scripted(answer: impl Fn(Value) -> Option<Response> + Clone + Send + Sync + 'static) -> Self {
        let state = Arc::new(State::default());
        let router = Router::new().fallback(move |body: Bytes| {
            let answer = answer.clone();
            async move {
                let message = serde_json::from_slice(&body).unwrap_or_default();
                match answer(message) {
                    Some(response) => response,
                    None => std::future::pending().await,
                }
            }
        });
        let url = serve(router, &state).await;
        Self { url, state }
    }

    pub(crate) fn spec(&self) -> ServerSpec {
        spec(&self.url)
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.state.seen.lock().unwrap().clone()
    }

    /// Waits for a request with this method.
    pub(crate) async fn next(&self, method: &str) -> Seen {
        loop {
            if let Some(seen) = self.seen().into_iter().find(|seen| seen.method == method) {
                return seen;
            }
            self.state.came.notified().await;
        }
    }

    /// The methods so far, and forgets them.
    pub(crate) fn methods(&self) -> Vec<String> {
        self.state.seen.lock().unwrap().drain(..).map(|seen| seen.method).collect()
    }
}

pub(crate) fn spec(url: &str) -> ServerSpec {
    ServerSpec {
        name: "files".to_owned(),
        url: url.to_owned(),
        headers: BTreeMap::from([("authorization".to_owned(), "Bearer planted-secret".to_owned())]),
        allowed_tools: Vec::new(),
    }
}

pub(crate) fn tool(name: &str) -> Tool {
    let schema = json!({"type": "object", "properties": {"text": {"type": "string"}}});
    Tool::new(name.to_owned(), format!("Does {name}"), Arc::new(schema.as_object().unwrap().clone()))
}

pub(crate) fn arguments(text: &str) -> Map<String, Value> {
    Map::from_iter([("text".to_owned(), json!(text))])
}

pub(crate) fn options() -> McpOptions {
    McpOptions::new(client(reqwest::redirect::Policy::none()), |_| Ok(()))
}

pub(crate) fn client(redirects: reqwest::redirect::Policy) -> Client {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let tls = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth();
    Client::builder().tls_backend_preconfigured(tls).redirect(redirects).no_proxy().build().unwrap()
}

pub(crate) fn servers() -> McpServers {
    McpServers::new(options())
}

/// A JSON answer to a message of a scripted server.
pub(crate) fn answer(message: &Value, result: &Value) -> Response {
    let body = json!({"jsonrpc": "2.0", "id": message["id"], "result": result});
    Response::builder().header("content-type", "application/json").body(Body::from(body.to_string())).unwrap()
}

pub(crate) fn status(status: u16, body: &str) -> Response {
    Response::builder().status(status).body(Body::from(body.to_owned())).unwrap()
}

/// What every scripted server of the current lifecycle says; the rest is its own.
pub(crate) fn beginning(message: &Value) -> Option<Response> {
    match message["method"].as_str() {
        Some("server/discover") => Some(answer(
            message,
            &json!({"resultType": "complete", "supportedVersions": ["2026-07-28"], "capabilities": {"tools": {}},
                "ttlMs": 0, "cacheScope": "private"}),
        )),
        Some("tools/list") => Some(answer(
            message,
            &json!({"resultType": "complete", "tools": [{"name": "echo", "inputSchema": {"type": "object"}}],
                "ttlMs": 0, "cacheScope": "private"}),
        )),
        _ => None,
    }
}

/// The same of one from before.
pub(crate) fn beginning_of_old(message: &Value) -> Option<Response> {
    match message["method"].as_str() {
        Some("initialize") => Some(answer(
            message,
            &json!({"protocolVersion": "2025-06-18", "capabilities": {"tools": {}},
                "serverInfo": {"name": "old", "version": "1"}}),
        )),
        Some("notifications/initialized") => Some(status(202, "")),
        Some("tools/list") => Some(answer(message, &json!({"tools": [{"name": "echo", "inputSchema": {}}]}))),
        _ => None,
    }
}

async fn serve(router: Router, state: &Arc<State>) -> String {
    let noted = Arc::clone(state);
    let router = router.layer(from_fn(move |request: Request, next: Next| {
        let noted = Arc::clone(&noted);
        async move {
            let (parts, body) = request.into_parts();
            let body = axum::body::to_bytes(body, 1 << 20).await.unwrap();
            let message: Value = serde_json::from_slice(&body).unwrap_or_default();
            let method = message["method"].as_str().unwrap_or(parts.method.as_str()).to_owned();
            noted.seen.lock().unwrap().push(Seen { method, headers: parts.headers.clone() });
            noted.came.notify_one();
            next.run(Request::from_parts(parts, Body::from(body))).await
        }
    }));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/mcp", listener.local_addr().unwrap());
    #[expect(clippy::disallowed_methods, reason = "it ends with the test's runtime")]
    tokio::spawn(async move { axum::serve(listener, router).await });
    url
}

#[derive(Clone)]
struct Handler {
    legacy: bool,
    state: Arc<State>,
}

impl ServerHandler for Handler {
    fn get_info(&self) -> ServerConfig {
        ServerConfig::new(ServerCapabilities::builder().enable_tools().build())
    }

    fn supported_protocol_versions(&self) -> Cow<'static, [ProtocolVersion]> {
        if self.legacy {
            Cow::Borrowed(&[ProtocolVersion::V_2025_06_18, ProtocolVersion::V_2025_11_25])
        } else {
            Cow::Borrowed(&[ProtocolVersion::V_2026_07_28])
        }
    }

    async fn discover(&self, _context: RequestContext<RoleServer>) -> Result<DiscoverResult, ErrorData> {
        if self.legacy {
            return Err(ErrorData::new(ErrorCode::METHOD_NOT_FOUND, "no discovery", None));
        }
        Ok(DiscoverResult::from_server_info(self.supported_protocol_versions().into_owned(), self.get_info()))
    }

    async fn list_tools(
        &self,
        page: Option<PaginatedRequestParams>,
        _context: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        let tools = self.state.tools.lock().unwrap().clone();
        let size = match *self.state.page.lock().unwrap() {
            0 => tools.len().max(1),
            size => size,
        };
        let start: usize = page.and_then(|page| page.cursor).map_or(0, |cursor| cursor.parse().unwrap());
        let end = (start + size).min(tools.len());
        let mut page = ListToolsResult::with_all_items(tools[start..end].to_vec());
        page.next_cursor = (end < tools.len()).then(|| end.to_string());
        Ok(page)
    }

    async fn call_tool(
        &self,
        call: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let known = self.state.tools.lock().unwrap().iter().any(|tool| tool.name == call.name);
        if !known {
            return Err(ErrorData::invalid_params("tool not found", None));
        }
        match call.name.as_ref() {
            "echo" => {
                let text = call.arguments.unwrap_or_default()["text"].as_str().unwrap().to_owned();
                Ok(CallToolResult::success(vec![ContentBlock::text(text)]).into())
            }
            "hang" => {
                self.state.started.notify_one();
                context.ct.cancelled().await;
                self.state.cancelled.notify_one();
                Ok(CallToolResult::success(Vec::new()).into())
            }
            _ => Ok(self.state.result.lock().unwrap().clone().unwrap().into()),
        }
    }
}
