//! What goes over HTTP to a server, and what is taken in from it.
//!
//! `rmcp` decides which messages are sent; this is how. Every answer is bounded, redirects are
//! answers like any other, and no error tells an address or a header.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures_core::Stream;
use futures_core::stream::BoxStream;
use futures_util::{StreamExt as _, stream};
use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Method, Response, StatusCode};
use rmcp::model::{
    ClientJsonRpcMessage, ClientRequest, ErrorCode, ErrorData, JsonRpcMessage, RequestId, ServerJsonRpcMessage,
};
use rmcp::transport::streamable_http_client::{
    SseError, StreamableHttpClient, StreamableHttpError, StreamableHttpPostResponse,
};
use sse_stream::{Sse, SseStream};
use tokio::time::timeout;

use crate::options::{McpOptions, Timeouts};
use crate::spec::HttpTarget;

/// Of the body of an error that is not JSON.
const MOST_ERROR_BYTES: usize = 64 << 10;
/// How often broken streams of one connection are taken up again.
const MOST_RESUMPTIONS: usize = 32;
/// `rmcp` gives up on discovery after ten seconds, and then it is too late to fall back.
const LONGEST_DISCOVERY: Duration = Duration::from_secs(9);
/// For `rmcp` to notice first that a call took too long.
const MARGIN: Duration = Duration::from_secs(5);
const JSON: &str = "application/json";
const EVENTS: &str = "text/event-stream";
const SESSION: HeaderName = HeaderName::from_static("mcp-session-id");
const LAST_EVENT: HeaderName = HeaderName::from_static("last-event-id");

/// With this code a stream that grew too large says so to the call that waits for it.
pub(crate) const TOO_LARGE: ErrorCode = ErrorCode(-32_989);

/// Why a request did not get an answer of MCP.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Problem {
    #[error("the address may not be dialled: {0}")]
    Forbidden(String),
    #[error("no answer: {0}")]
    Unreachable(String),
    #[error("HTTP status {0}")]
    Status(u16),
    #[error("not an answer of MCP: {0}")]
    Garbage(String),
    #[error("the answer is too large")]
    TooLarge,
}

type Failed = StreamableHttpError<Problem>;

impl From<Problem> for Failed {
    fn from(problem: Problem) -> Self {
        Self::Client(problem)
    }
}

/// The way to one server, for one connection.
#[derive(Clone)]
pub(crate) struct Http(Arc<Inner>);

struct Inner {
    target: HttpTarget,
    client: reqwest::Client,
    check: crate::options::AddressCheck,
    timeouts: Timeouts,
    most_bytes: usize,
    resumptions: AtomicUsize,
}

impl Http {
    pub(crate) fn new(target: HttpTarget, options: &McpOptions) -> Self {
        Self(Arc::new(Inner {
            target,
            client: options.client.clone(),
            check: Arc::clone(&options.check),
            timeouts: options.timeouts,
            most_bytes: options.bounds.answer_bytes,
            resumptions: AtomicUsize::new(0),
        }))
    }

    async fn send(
        &self,
        method: Method,
        protocol: HashMap<HeaderName, HeaderValue>,
        session: Option<&str>,
        body: Option<Vec<u8>>,
        most: Duration,
    ) -> Result<Response, Problem> {
        let url = &self.0.target.url;
        (self.0.check)(url).map_err(Problem::Forbidden)?;
        let mut headers = self.0.target.headers.clone();
        headers.extend(protocol);
        headers.insert(ACCEPT, HeaderValue::from_static("application/json, text/event-stream"));
        if let Some(session) = session {
            let session = HeaderValue::from_str(session).map_err(|_| garbage("the session's name is no header"))?;
            headers.insert(SESSION, session);
        }
        let mut request = self.0.client.request(method, url.clone()).headers(headers).timeout(most);
        if let Some(body) = body {
            request = request.header(CONTENT_TYPE, JSON).body(body);
        }
        let response = request.send().await.map_err(unsent)?;
        if response.url() != url {
            return Err(garbage("it was redirected"));
        }
        Ok(response)
    }

    async fn post(
        &self,
        message: &ClientJsonRpcMessage,
        session: Option<&str>,
        protocol: HashMap<HeaderName, HeaderValue>,
    ) -> Result<StreamableHttpPostResponse, Failed> {
        let asked = Asked::of(message);
        let body = serde_json::to_vec(message).map_err(|error| garbage(error.to_string()))?;
        let most = match asked {
            Asked::Call(_) => self.0.timeouts.call + MARGIN,
            Asked::Discovery(_) | Asked::Other(_) | Asked::Nothing => self.0.timeouts.open,
        };
        let response = self.send(Method::POST, protocol, session, Some(body), most).await?;
        let status = response.status();
        if status == StatusCode::NOT_FOUND && session.is_some() {
            return Err(StreamableHttpError::SessionExpired);
        }
        if !status.is_success() {
            return self.turned_away(response, &asked).await;
        }
        let Some(id) = asked.id() else { return Ok(StreamableHttpPostResponse::Accepted) };
        let given = session_of(response.headers());
        match media_type(response.headers()).as_str() {
            EVENTS => {
                let events = events(response, self.0.most_bytes, Some(id.clone()));
                Ok(StreamableHttpPostResponse::Sse(events, given))
            }
            JSON => {
                let body = whole(response, self.0.most_bytes).await?;
                Ok(StreamableHttpPostResponse::Json(read(&body)?, given))
            }
            _ => Err(garbage(format!("status {status} and neither JSON nor events")).into()),
        }
    }

    /// A status that is no success may still bring an error of the protocol.
    async fn turned_away(&self, response: Response, asked: &Asked) -> Result<StreamableHttpPostResponse, Failed> {
        let status = response.status();
        let Some(id) = asked.id() else { return Err(Problem::Status(status.as_u16()).into()) };
        let speaks_of_keys = matches!(status.as_u16(), 401 | 403 | 407 | 429);
        if speaks_of_keys || !(status.is_client_error() || status.is_server_error()) {
            return Err(Problem::Status(status.as_u16()).into());
        }
        let body = whole(response, self.0.most_bytes.min(MOST_ERROR_BYTES)).await.unwrap_or_default();
        match serde_json::from_slice::<ServerJsonRpcMessage>(&body) {
            // It answers this request, whatever number it bears: some servers cannot read it any more.
            Ok(JsonRpcMessage::Error(error)) => Ok(answered(error.error, id)),
            _ if matches!(asked, Asked::Discovery(_)) && status.is_client_error() => Ok(unknown_method(id)),
            _ => Err(Problem::Status(status.as_u16()).into()),
        }
    }

    /// Whether the server knows discovery. One that keeps silent about it does not.
    async fn discover(
        &self,
        message: &ClientJsonRpcMessage,
        id: &RequestId,
        protocol: HashMap<HeaderName, HeaderValue>,
    ) -> Result<StreamableHttpPostResponse, Failed> {
        let answer = async {
            match self.post(message, None, protocol).await? {
                StreamableHttpPostResponse::Sse(mut events, _) => {
                    while let Some(event) = events.next().await {
                        let data = event?.data.unwrap_or_default();
                        if let Ok(answer @ (JsonRpcMessage::Response(_) | JsonRpcMessage::Error(_))) =
                            serde_json::from_str(&data)
                        {
                            return Ok(StreamableHttpPostResponse::Json(answer, None));
                        }
                    }
                    Err(garbage("the events ended without an answer").into())
                }
                other => Ok(other),
            }
        };
        timeout(self.0.timeouts.discovery.min(LONGEST_DISCOVERY), answer)
            .await
            .unwrap_or_else(|_| Ok(unknown_method(id)))
    }

    async fn resume(
        &self,
        session: Option<&str>,
        last_event: &str,
        mut protocol: HashMap<HeaderName, HeaderValue>,
    ) -> Result<BoxStream<'static, Result<Sse, SseError>>, Failed> {
        if self.0.resumptions.fetch_add(1, Ordering::Relaxed) >= MOST_RESUMPTIONS {
            return Err(StreamableHttpError::ServerDoesNotSupportSse);
        }
        let last_event = HeaderValue::from_str(last_event).map_err(|_| garbage("the event's name is no header"))?;
        protocol.insert(LAST_EVENT, last_event);
        let most = self.0.timeouts.call + MARGIN;
        let response = self.send(Method::GET, protocol, session, None, most).await?;
        if response.status().is_success() && media_type(response.headers()) == EVENTS {
            return Ok(events(response, self.0.most_bytes, None));
        }
        Err(StreamableHttpError::ServerDoesNotSupportSse)
    }
}

impl StreamableHttpClient for Http {
    type Error = Problem;

    async fn post_message(
        &self,
        _uri: Arc<str>,
        message: ClientJsonRpcMessage,
        session: Option<Arc<str>>,
        _auth_header: Option<String>,
        protocol: HashMap<HeaderName, HeaderValue>,
    ) -> Result<StreamableHttpPostResponse, Failed> {
        match Asked::of(&message) {
            Asked::Discovery(id) => self.discover(&message, &id, protocol).await,
            Asked::Call(_) | Asked::Other(_) | Asked::Nothing => {
                self.post(&message, session.as_deref(), protocol).await
            }
        }
    }

    async fn delete_session(
        &self,
        _uri: Arc<str>,
        session: Arc<str>,
        _auth_header: Option<String>,
        protocol: HashMap<HeaderName, HeaderValue>,
    ) -> Result<(), Failed> {
        self.send(Method::DELETE, protocol, Some(&session), None, self.0.timeouts.open).await?;
        Ok(())
    }

    async fn get_stream(
        &self,
        _uri: Arc<str>,
        session: Option<Arc<str>>,
        last_event: Option<String>,
        _auth_header: Option<String>,
        protocol: HashMap<HeaderName, HeaderValue>,
    ) -> Result<BoxStream<'static, Result<Sse, SseError>>, Failed> {
        match last_event {
            Some(last_event) => self.resume(session.as_deref(), &last_event, protocol).await,
            // A stream for what the server says unasked: nobody would listen.
            None => Err(StreamableHttpError::ServerDoesNotSupportSse),
        }
    }
}

/// What a message wants back.
enum Asked {
    Discovery(RequestId),
    Call(RequestId),
    Other(RequestId),
    Nothing,
}

impl Asked {
    fn of(message: &ClientJsonRpcMessage) -> Self {
        let JsonRpcMessage::Request(request) = message else { return Self::Nothing };
        let id = request.id.clone();
        #[expect(clippy::wildcard_enum_match_arm, reason = "the list of requests is not ours, and grows")]
        match request.request {
            ClientRequest::DiscoverRequest(_) => Self::Discovery(id),
            ClientRequest::CallToolRequest(_) => Self::Call(id),
            _ => Self::Other(id),
        }
    }

    fn id(&self) -> Option<&RequestId> {
        match self {
            Self::Discovery(id) | Self::Call(id) | Self::Other(id) => Some(id),
            Self::Nothing => None,
        }
    }
}

fn answered(error: ErrorData, id: &RequestId) -> StreamableHttpPostResponse {
    StreamableHttpPostResponse::Json(ServerJsonRpcMessage::error(error, Some(id.clone())), None)
}

/// The answer of a server from before discovery.
fn unknown_method(id: &RequestId) -> StreamableHttpPostResponse {
    answered(ErrorData::new(ErrorCode::METHOD_NOT_FOUND, "no discovery", None), id)
}

fn garbage(why: impl Into<String>) -> Problem {
    Problem::Garbage(why.into())
}

fn read(body: &[u8]) -> Result<ServerJsonRpcMessage, Problem> {
    serde_json::from_slice(body).map_err(|error| garbage(error.to_string()))
}

fn media_type(headers: &HeaderMap) -> String {
    let given = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    given.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

fn session_of(headers: &HeaderMap) -> Option<String> {
    Some(headers.get(SESSION)?.to_str().ok()?.to_owned())
}

/// The innermost cause, which names neither the address nor the request.
fn unsent(error: reqwest::Error) -> Problem {
    let error = error.without_url();
    let cause = std::iter::successors(std::error::Error::source(&error), |error| error.source()).last();
    Problem::Unreachable(cause.map_or_else(|| error.to_string(), ToString::to_string))
}

/// The pieces of a body up to its bound.
fn pieces(response: Response, most: usize) -> impl Stream<Item = Result<Bytes, Problem>> + Send + 'static {
    stream::unfold(Some((response.bytes_stream().boxed(), most)), |state| async move {
        let (mut pieces, left) = state?;
        match pieces.next().await? {
            Ok(piece) if piece.len() <= left => {
                let left = left - piece.len();
                Some((Ok(piece), Some((pieces, left))))
            }
            Ok(_) => Some((Err(Problem::TooLarge), None)),
            Err(error) => Some((Err(unsent(error)), None)),
        }
    })
}

async fn whole(response: Response, most: usize) -> Result<Vec<u8>, Problem> {
    let mut pieces = std::pin::pin!(pieces(response, most));
    let mut body = Vec::new();
    while let Some(piece) = pieces.next().await {
        body.extend_from_slice(&piece?);
    }
    Ok(body)
}

/// The events of an answer. When they are too many, the request they answer is told so.
fn events(response: Response, most: usize, id: Option<RequestId>) -> BoxStream<'static, Result<Sse, SseError>> {
    SseStream::from_bytes_stream(pieces(response, most))
        .map(move |event| match (event, &id) {
            (Err(SseError::Body(error)), Some(id)) if is_too_large(error.as_ref()) => {
                let told = ErrorData::new(TOO_LARGE, "the answer is too large", None);
                let told = ServerJsonRpcMessage::error(told, Some(id.clone()));
                let data = serde_json::to_string(&told).ok();
                Ok(Sse { event: None, data, id: None, retry: None })
            }
            (event, _) => event,
        })
        .boxed()
}

fn is_too_large(error: &(dyn std::error::Error + 'static)) -> bool {
    std::iter::successors(Some(error), |error| error.source())
        .any(|error| error.downcast_ref::<Problem>() == Some(&Problem::TooLarge))
}
