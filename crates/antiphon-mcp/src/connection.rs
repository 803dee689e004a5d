//! One connection to a server: how it speaks, its tools, its calls.

use std::pin::pin;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::FutureExt as _;
use rmcp::model::{
    CallToolRequest, CallToolRequestParams, CallToolResult, CancelledNotificationParam, ClientCapabilities,
    ClientConfig, ClientRequest, ErrorCode, Implementation, PaginatedRequestParams, ProtocolVersion, RequestId,
    ServerResult,
};
use rmcp::service::{ClientInitializeError, PeerRequestOptions, RunningService};
use rmcp::transport::streamable_http_client::{
    StreamableHttpClientTransport, StreamableHttpClientTransportConfig, StreamableHttpError,
};
use rmcp::transport::{DynamicTransportError, IntoTransport};
use rmcp::{
    ClientCacheConfig, ClientHandler, ClientLifecycleMode, ErrorData, Peer, RoleClient, ServiceError,
    serve_client_with_lifecycle,
};
use serde_json::{Map, Value};

use crate::error::{McpError, McpErrorKind, Secrets};
use crate::http::{Http, Problem, TOO_LARGE};
use crate::options::McpOptions;
use crate::result::McpResult;
use crate::spec::{HttpTarget, StdioSpec};
use crate::stdio::Process;
use crate::tool::{Listing, McpTool};

/// A control message that nobody takes is given up after this.
const CONTROL_TIMEOUT: Duration = Duration::from_secs(2);

/// How a server begins a conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lifecycle {
    /// Every request stands alone, as since 2026-07-28.
    Current,
    /// With a handshake, as before.
    Legacy,
}

/// Who is connected to.
#[derive(Clone)]
pub(crate) enum Target {
    Http(HttpTarget),
    Stdio(StdioSpec),
}

pub(crate) struct Connection {
    server: String,
    secrets: Secrets,
    running: RunningService<RoleClient, Client>,
    process: Option<Process>,
}

/// We offer a server nothing: no sampling, no questions to a user, no folders.
struct Client;

impl ClientHandler for Client {
    fn get_info(&self) -> ClientConfig {
        let itself = Implementation::new("antiphon", env!("CARGO_PKG_VERSION"));
        ClientConfig::new(ClientCapabilities::default(), itself)
            .with_protocol_version(ProtocolVersion::LATEST_WITH_INITIALIZE)
    }
}

impl Target {
    /// Under which its lifecycle is remembered.
    pub(crate) fn address(&self) -> String {
        match self {
            Self::Http(target) => target.url.as_str().to_owned(),
            Self::Stdio(spec) => format!("{} {}", spec.command.display(), spec.args.join(" ")),
        }
    }
}

impl Connection {
    /// Connects; without a known lifecycle it is found out.
    pub(crate) async fn open(
        server: &str,
        target: &Target,
        known: Option<Lifecycle>,
        options: &McpOptions,
    ) -> Result<(Self, Lifecycle), McpError> {
        let mode = match known {
            Some(Lifecycle::Current) => ClientLifecycleMode::Discover { preferred_versions: vec![CURRENT] },
            Some(Lifecycle::Legacy) => ClientLifecycleMode::Initialize,
            None => ClientLifecycleMode::Auto { preferred_versions: vec![CURRENT], legacy_version: None },
        };
        match target {
            Target::Http(target) => {
                let mut config = StreamableHttpClientTransportConfig::with_uri(server)
                    .control_request_timeout(CONTROL_TIMEOUT)
                    .session_recovery_timeout(options.timeouts.open);
                config.retry_config = std::sync::Arc::new(Retries);
                let http = Http::new(target.clone(), options);
                let transport = StreamableHttpClientTransport::with_client(http, config);
                Self::start(server, target.secrets.clone(), transport, mode, None).await
            }
            Target::Stdio(spec) => {
                let secrets = Secrets::of(spec.env.values().map(String::as_str));
                let (process, transport) = Process::start(spec, options.bounds.answer_bytes).map_err(|error| {
                    McpError::new(server, McpErrorKind::Unreachable, secrets.redacted(&error.to_string()))
                })?;
                Self::start(server, secrets, transport, mode, Some(process)).await
            }
        }
    }

    async fn start<T, E, A>(
        server: &str,
        secrets: Secrets,
        transport: T,
        mode: ClientLifecycleMode,
        process: Option<Process>,
    ) -> Result<(Self, Lifecycle), McpError>
    where
        T: IntoTransport<RoleClient, E, A>,
        E: std::error::Error + Send + Sync + 'static,
    {
        let started = Box::pin(serve_client_with_lifecycle(Client, transport, mode)).await;
        let running = started.map_err(|error| {
            let kind = unopened(&error, process.as_ref());
            McpError::new(server, kind, secrets.redacted(&error.to_string()))
        })?;
        // What is remembered, and for how long, is not the server's to say.
        running.peer().set_response_cache_config(ClientCacheConfig::disabled()).await;
        let handshake = running.peer().peer_info().is_some_and(|info| info.protocol_version.has_initialize());
        let lifecycle = if handshake { Lifecycle::Legacy } else { Lifecycle::Current };
        Ok((Self { server: server.to_owned(), secrets, running, process }, lifecycle))
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.running.peer().is_transport_closed()
    }

    /// All tools, page by page.
    pub(crate) async fn list(&self, options: &McpOptions) -> Result<Vec<McpTool>, McpError> {
        let bounds = &options.bounds;
        let mut listing = Listing::new();
        let mut cursor = None;
        for _ in 0..bounds.pages {
            let page = cursor.take().map(|cursor| PaginatedRequestParams::default().with_cursor(Some(cursor)));
            let page = match self.running.peer().list_tools(page).await {
                Ok(page) => page,
                // It has no tools, and no way to say so but this.
                Err(ServiceError::McpError(error)) if error.code == ErrorCode::METHOD_NOT_FOUND => break,
                Err(error) => return Err(self.failed(&error)),
            };
            listing.take(page.tools, &self.server, bounds).map_err(|_| self.too_large("the list of its tools"))?;
            cursor = page.next_cursor;
            if cursor.is_none() {
                return Ok(listing.tools);
            }
        }
        if cursor.is_some() { Err(self.too_large("the pages of its tools")) } else { Ok(listing.tools) }
    }

    /// Calls a tool. A call that is dropped is cancelled at the server.
    pub(crate) async fn call(
        &self,
        tool: &str,
        arguments: Map<String, Value>,
        options: &McpOptions,
    ) -> Result<McpResult, McpError> {
        let peer = self.running.peer();
        let params = CallToolRequestParams::new(tool.to_owned()).with_arguments(arguments);
        let request = ClientRequest::CallToolRequest(CallToolRequest::new(params));
        let patience = PeerRequestOptions::with_timeout(options.timeouts.idle)
            .reset_timeout_on_progress()
            .with_max_total_timeout(options.timeouts.call);
        let call = peer.send_cancellable_request(request, patience).await.map_err(|error| self.failed(&error))?;
        let mut abandoned = Abandoned { peer, id: Some(call.id.clone()) };
        let answer = call.await_response().await;
        abandoned.id = None;
        let result = result(answer.map_err(|error| self.failed(&error))?)
            .ok_or_else(|| self.error(McpErrorKind::Protocol, "the answer to a call is no result of one"))?;
        McpResult::read(result, &options.bounds).map_err(|unfit| self.error(unfit.kind, &unfit.why))
    }

    fn error(&self, kind: McpErrorKind, detail: &str) -> McpError {
        McpError::new(&self.server, kind, self.secrets.redacted(detail))
    }

    fn too_large(&self, what: &str) -> McpError {
        self.error(McpErrorKind::TooLarge, what)
    }

    fn failed(&self, error: &ServiceError) -> McpError {
        let kind = match error {
            ServiceError::McpError(data) => self.answered(data),
            ServiceError::TransportSend(error) => unsent(error),
            ServiceError::TransportClosed => closed(self.process.as_ref()),
            ServiceError::Timeout { .. } => McpErrorKind::Timeout,
            _ => McpErrorKind::Protocol,
        };
        self.error(kind, &error.to_string())
    }

    fn answered(&self, data: &ErrorData) -> McpErrorKind {
        if data.code == TOO_LARGE {
            return McpErrorKind::TooLarge;
        }
        McpErrorKind::Failed { code: data.code.0, message: self.secrets.redacted(&data.message) }
    }
}

const CURRENT: ProtocolVersion = ProtocolVersion::V_2026_07_28;

/// Of streams that break: soon, and not often.
#[derive(Debug)]
struct Retries;

impl rmcp::transport::common::client_side_sse::SseRetryPolicy for Retries {
    fn retry(&self, times: usize) -> Option<Duration> {
        (times < 3).then(|| Duration::from_millis(250 << times))
    }
}

/// Tells the server when nobody waits for a call any more.
struct Abandoned<'a> {
    peer: &'a Peer<RoleClient>,
    id: Option<RequestId>,
}

impl Drop for Abandoned<'_> {
    fn drop(&mut self) {
        let Some(id) = self.id.take() else { return };
        let reason = Some("nobody waits for it any more".to_owned());
        let told = self.peer.notify_cancelled(CancelledNotificationParam::new(Some(id), reason));
        // The first poll puts it into the queue of the connection, which sends it.
        let _ = pin!(tokio::task::coop::unconstrained(told)).now_or_never();
    }
}

/// Other results mean that the server wants to ask something or to be asked again later, which
/// nobody told it we can.
fn result(answer: ServerResult) -> Option<CallToolResult> {
    #[expect(clippy::wildcard_enum_match_arm, reason = "the list of results is not ours, and grows")]
    match answer {
        ServerResult::CallToolResult(result) => Some(result),
        ServerResult::EmptyResult(_) => Some(CallToolResult::default()),
        _ => None,
    }
}

fn unopened(error: &ClientInitializeError, process: Option<&Process>) -> McpErrorKind {
    match error {
        ClientInitializeError::TransportError { error, .. } => unsent(error),
        ClientInitializeError::LegacyFallbackFailed { fallback, .. } => unopened(fallback, process),
        ClientInitializeError::ConnectionClosed(_) if process.is_some() => closed(process),
        ClientInitializeError::JsonRpcError(data) if data.code == TOO_LARGE => McpErrorKind::TooLarge,
        _ => McpErrorKind::Protocol,
    }
}

fn closed(process: Option<&Process>) -> McpErrorKind {
    match process {
        Some(process) if process.was_too_long.load(Ordering::Relaxed) => McpErrorKind::TooLarge,
        Some(_) | None => McpErrorKind::Unreachable,
    }
}

fn unsent(error: &DynamicTransportError) -> McpErrorKind {
    match error.error.downcast_ref::<StreamableHttpError<Problem>>() {
        Some(StreamableHttpError::Client(Problem::Forbidden(_))) => McpErrorKind::Forbidden,
        Some(StreamableHttpError::Client(Problem::Status(status))) => McpErrorKind::Refused(*status),
        Some(StreamableHttpError::Client(Problem::TooLarge)) => McpErrorKind::TooLarge,
        Some(StreamableHttpError::Client(Problem::Garbage(_))) => McpErrorKind::Protocol,
        Some(StreamableHttpError::ReinitializationFailed(_)) => McpErrorKind::Protocol,
        Some(StreamableHttpError::Client(Problem::Unreachable(_)) | _) | None => McpErrorKind::Unreachable,
    }
}

#[cfg(test)]
mod tests;
