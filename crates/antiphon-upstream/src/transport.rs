//! Requests to a service and back: addresses, tries, timeouts, bounds.
//!
//! A call is tried again only until the first piece of its answer has come: what was shown
//! is not said twice. Dropping the answer closes its connection, which ends the service's
//! work.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use antiphon_engine::{BackendError, Message, ModelEvent, ModelRequest, ModelStream};
use antiphon_wire::SseDecoder;
use bytes::Bytes;
use futures_core::stream::BoxStream;
use futures_util::{StreamExt as _, stream};
use reqwest::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Client, Response, Url, redirect};
use rustls_platform_verifier::BuilderVerifierExt as _;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, sleep, timeout, timeout_at};
use tracing::warn;

use crate::form;
use crate::options::{Timeouts, UpstreamOptions};
use crate::protocol::{Answers, Outgoing, Problem, ProblemKind, Protocol, Reader};
use crate::replicas::{Affinity, Lease, Replicas};
use crate::sending::Sending;
use crate::upstream::UpstreamError;

/// Of one event; a service that says more at once says something else.
const MOST_EVENT_BYTES: usize = 8 << 20;
/// Of one that may hold a picture, and of a whole body of pictures: some 36 MiB of them in base64.
const MOST_PICTURE_BYTES: usize = 48 << 20;
const MOST_ANSWER_BYTES: usize = 256 << 20;
/// Of the body of an error.
const MOST_ERROR_BYTES: usize = 64 << 10;

/// Full jitter over a doubling time, as AWS's architecture blog found best.
const FIRST_WAIT: Duration = Duration::from_millis(250);
const LONGEST_WAIT: Duration = Duration::from_secs(8);
/// A service that wants a longer pause gets no second try.
const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(30);

pub(crate) struct Transport {
    name: String,
    client: Client,
    /// The key's and the operator's.
    headers: HeaderMap,
    session_header: Option<HeaderName>,
    replicas: Replicas,
    timeouts: Timeouts,
    attempts: u32,
    permits: Arc<Semaphore>,
    /// What must not be in a log.
    secrets: Vec<String>,
}

/// A try that failed before anything was shown.
struct Failed {
    problem: Problem,
    retry_after: Option<Duration>,
    /// Nobody listens at the address.
    refused: bool,
}

impl From<Problem> for Failed {
    fn from(problem: Problem) -> Self {
        Self { problem, retry_after: None, refused: false }
    }
}

impl Transport {
    /// # Errors
    /// When an address or a header is none.
    pub(crate) fn new(options: &UpstreamOptions, protocol: &dyn Protocol) -> Result<Self, UpstreamError> {
        let mut headers = HeaderMap::new();
        let mut secrets = Vec::new();
        let key = options.key.as_ref().map(|key| {
            secrets.push(key.expose().to_owned());
            let (name, value) = protocol.key_header(key.expose());
            (name.to_owned(), value)
        });
        let configured = options.headers.iter().map(|(name, value)| (name.clone(), value.expose().to_owned()));
        for (name, value) in key.into_iter().chain(configured) {
            let mut value = HeaderValue::from_str(&value)
                .map_err(|_| UpstreamError(format!("the value of `{name}` is no header")))?;
            value.set_sensitive(true);
            headers.insert(header_name(&name)?, value);
        }
        let urls: Result<Vec<_>, _> = options.urls.iter().map(|url| base_url(url)).collect();
        let urls = urls?;
        if urls.is_empty() {
            return Err(UpstreamError("no address is given".to_owned()));
        }
        Ok(Self {
            name: options.name.clone(),
            client: client(options.timeouts.connect)?,
            headers,
            session_header: options.session_header.as_deref().map(header_name).transpose()?,
            replicas: Replicas::new(urls),
            timeouts: options.timeouts,
            attempts: options.attempts.max(1),
            permits: Arc::new(Semaphore::new(options.concurrency.max(1))),
            secrets,
        })
    }

    /// Whether an address is thought to answer.
    pub(crate) fn is_ready(&self) -> bool {
        self.replicas.is_ready()
    }

    /// Sends a request and waits for the first piece of its answer; tries again, and at
    /// other addresses, until then. `request` tells which calls belong together.
    pub(crate) async fn open(
        &self,
        request: &ModelRequest,
        outgoing: Outgoing,
        reader: &(dyn Fn() -> Box<dyn Reader> + Sync),
    ) -> Result<ModelStream, BackendError> {
        let permit = Arc::clone(&self.permits).acquire_owned().await;
        let permit = permit.map_err(|error| BackendError::Internal(error.to_string()))?;
        let affinity = Affinity::of(request);
        let body = if outgoing.files.is_empty() {
            let kept = request.messages.iter().flat_map(Message::media).filter_map(|media| media.data.kept());
            ("application/json".to_owned(), Sending::new(outgoing.body.to_string(), kept))
        } else {
            let (kind, form) = form::encode(&outgoing.body, &outgoing.files)?;
            (kind, Sending::whole(form))
        };
        let mut tried = Vec::new();
        loop {
            let lease = self.replicas.choose(affinity, &tried);
            tried.push(lease.at);
            let failed = match self.attempt(&lease, affinity, &outgoing, &body, reader()).await {
                Ok(answer) => {
                    lease.succeeded();
                    return Ok(answer.into_stream(permit, lease));
                }
                Err(failed) => failed,
            };
            let problem = self.logged(failed.problem, &lease.url, tried.len());
            if !problem.is_passing() {
                return Err(problem.into());
            }
            lease.failed(failed.refused);
            drop(lease);
            let wait = failed.retry_after.unwrap_or_else(|| backoff(tried.len()));
            if tried.len() >= self.attempts as usize || wait > LONGEST_RETRY_AFTER {
                return Err(problem.into());
            }
            sleep(wait).await;
        }
    }

    /// One request, up to the first piece of its answer.
    async fn attempt(
        &self,
        lease: &Lease,
        affinity: Affinity,
        outgoing: &Outgoing,
        (content_type, body): &(String, Sending),
        reader: Box<dyn Reader>,
    ) -> Result<Answer, Failed> {
        let deadline = Instant::now() + self.timeouts.first;
        let mut headers = self.headers.clone();
        for (name, value) in &outgoing.headers {
            if let Ok(value) = HeaderValue::from_str(value) {
                headers.insert(*name, value);
            }
        }
        if let (Some(name), Ok(value)) = (&self.session_header, HeaderValue::from_str(&affinity.name())) {
            headers.insert(name, value);
        }
        let request = self
            .client
            .post(format!("{}{}", lease.url, outgoing.path))
            .headers(headers)
            .header(CONTENT_TYPE, content_type)
            // Services are told a length, which a stream by itself has not.
            .header(CONTENT_LENGTH, body.length())
            .body(reqwest::Body::wrap_stream(body.stream()));
        let response = timeout_at(deadline, request.send()).await.map_err(|_| too_late())?.map_err(unsent)?;
        let response = accepted(response, outgoing.answers, deadline).await?;
        let mut answer = Answer {
            bytes: response.bytes_stream().boxed(),
            framing: match outgoing.answers {
                Answers::Events => Framing::Events(SseDecoder::default(), MOST_EVENT_BYTES),
                Answers::LargeEvents => Framing::Events(SseDecoder::default(), MOST_PICTURE_BYTES),
                Answers::Whole => Framing::Whole(Vec::new()),
            },
            reader,
            ready: VecDeque::new(),
            problem: None,
            over: false,
            idle: self.timeouts.idle,
            answer_bytes: 0,
            event_bytes: 0,
            secrets: self.secrets.clone(),
            name: self.name.clone(),
            url: lease.url.clone(),
        };
        answer.await_first(deadline).await?;
        Ok(answer)
    }

    fn logged(&self, problem: Problem, url: &str, tries: usize) -> Problem {
        let problem = redacted(problem, &self.secrets);
        warn!(model = self.name, service = host(url), tries, problem = ?problem.kind, detail = problem.detail,
            "A service did not answer");
        problem
    }
}

/// An answer as it comes.
struct Answer {
    bytes: BoxStream<'static, reqwest::Result<Bytes>>,
    framing: Framing,
    reader: Box<dyn Reader>,
    ready: VecDeque<ModelEvent>,
    /// What comes after the events that are ready.
    problem: Option<Problem>,
    over: bool,
    idle: Duration,
    answer_bytes: usize,
    /// Since the last event.
    event_bytes: usize,
    secrets: Vec<String>,
    name: String,
    url: String,
}

/// How an answer is divided.
enum Framing {
    /// Into events of at most so many bytes.
    Events(SseDecoder, usize),
    /// Not at all: what has come of it.
    Whole(Vec<u8>),
}

impl Answer {
    /// Reads until something can be shown.
    async fn await_first(&mut self, deadline: Instant) -> Result<(), Failed> {
        while !self.ready.iter().any(is_piece) {
            if let Some(problem) = self.problem.take() {
                return Err(problem.into());
            }
            if timeout_at(deadline, self.read_on()).await.is_err() {
                return Err(too_late());
            }
        }
        Ok(())
    }

    /// The next event; none after the last one or a problem.
    async fn next(&mut self) -> Option<Result<ModelEvent, BackendError>> {
        loop {
            if self.over {
                return None;
            }
            if let Some(event) = self.ready.pop_front() {
                self.over = matches!(event, ModelEvent::Finished { .. });
                return Some(Ok(event));
            }
            if let Some(problem) = self.problem.take() {
                self.over = true;
                let problem = redacted(problem, &self.secrets);
                warn!(model = self.name, service = host(&self.url), problem = ?problem.kind, detail = problem.detail,
                    "A service broke its answer off");
                return Some(Err(problem.into()));
            }
            self.read_on().await;
        }
    }

    /// Takes in what comes next from the service.
    async fn read_on(&mut self) {
        let mut events = Vec::new();
        let read = match timeout(self.idle, self.bytes.next()).await {
            Err(_) => Err(Problem::new(ProblemKind::Timeout, "nothing came for too long")),
            Ok(None) => match self.end(&mut events) {
                Ok(()) if events.iter().any(|event| matches!(event, ModelEvent::Finished { .. })) => Ok(()),
                Ok(()) => Err(Problem::cut()),
                Err(problem) => Err(problem),
            },
            Ok(Some(Err(error))) => Err(Problem::new(ProblemKind::Cut, error.without_url().to_string())),
            Ok(Some(Ok(bytes))) => self.take(&bytes, &mut events),
        };
        self.ready.extend(events);
        self.problem = read.err();
    }

    fn end(&mut self, events: &mut Vec<ModelEvent>) -> Result<(), Problem> {
        if let Framing::Whole(body) = &mut self.framing {
            let body = std::mem::take(body);
            let body = std::str::from_utf8(&body).map_err(|error| Problem::garbage(error.to_string()))?;
            self.reader.read(body, events)?;
        }
        self.reader.end(events)
    }

    fn take(&mut self, bytes: &[u8], events: &mut Vec<ModelEvent>) -> Result<(), Problem> {
        let too_long = || Problem::garbage("the answer is longer than any can be");
        self.answer_bytes += bytes.len();
        let (decoder, most) = match &mut self.framing {
            Framing::Events(decoder, most) => (decoder, *most),
            Framing::Whole(_) if self.answer_bytes > MOST_PICTURE_BYTES => return Err(too_long()),
            Framing::Whole(body) => {
                body.extend_from_slice(bytes);
                return Ok(());
            }
        };
        self.event_bytes += bytes.len();
        let whole = decoder.feed(bytes);
        if !whole.is_empty() {
            self.event_bytes = 0;
        }
        if self.event_bytes > most || self.answer_bytes > MOST_ANSWER_BYTES {
            return Err(too_long());
        }
        for data in whole {
            self.reader.read(&data, events)?;
            if matches!(events.last(), Some(ModelEvent::Finished { .. })) {
                break;
            }
        }
        Ok(())
    }

    fn into_stream(self, permit: OwnedSemaphorePermit, lease: Lease) -> ModelStream {
        stream::unfold((self, permit, lease), |(mut answer, permit, lease)| async move {
            let event = answer.next().await?;
            Some((event, (answer, permit, lease)))
        })
        .boxed()
    }
}

/// Whether something of the answer can be seen in it.
pub(crate) fn is_piece(event: &ModelEvent) -> bool {
    match event {
        ModelEvent::Thought { .. }
        | ModelEvent::Signed(_)
        | ModelEvent::Picture(_)
        | ModelEvent::Text { .. }
        | ModelEvent::CallStarted { .. }
        | ModelEvent::CallArguments { .. }
        | ModelEvent::Finished { .. } => true,
        ModelEvent::Started { .. } | ModelEvent::Counted { .. } | ModelEvent::ServedBy { .. } => false,
    }
}

/// The answer if it is one, or what the service says instead.
async fn accepted(response: Response, answers: Answers, deadline: Instant) -> Result<Response, Failed> {
    let status = response.status().as_u16();
    let kind = response.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let (wanted, called) = match answers {
        Answers::Events | Answers::LargeEvents => ("text/event-stream", "a stream of events"),
        Answers::Whole => ("application/json", "JSON"),
    };
    if status == 200 && kind.starts_with(wanted) {
        return Ok(response);
    }
    let retry_after = retry_after(response.headers());
    let (mut body, mut pieces) = (Vec::new(), response.bytes_stream());
    while let Ok(Some(Ok(piece))) = timeout_at(deadline, pieces.next()).await {
        body.extend_from_slice(&piece);
        if body.len() > MOST_ERROR_BYTES {
            body.truncate(MOST_ERROR_BYTES);
            break;
        }
    }
    let body = String::from_utf8_lossy(&body);
    let problem = match status {
        200 => Problem::garbage(format!("expected {called}: {}", Problem::of_status(200, &body).detail)),
        _ => Problem::of_status(status, &body),
    };
    Err(Failed { retry_after, ..problem.into() })
}

fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let number = |name: &str| headers.get(name)?.to_str().ok()?.trim().parse::<f64>().ok();
    let seconds = number("retry-after-ms").map(|milliseconds| milliseconds / 1000.0).or(number("retry-after"))?;
    Duration::try_from_secs_f64(seconds).ok()
}

fn backoff(tries: usize) -> Duration {
    let most = FIRST_WAIT.saturating_mul(1 << tries.saturating_sub(1).min(10)).min(LONGEST_WAIT);
    most.mul_f64(fastrand::f64())
}

fn too_late() -> Failed {
    Problem::new(ProblemKind::Timeout, "no piece of an answer came in time").into()
}

fn unsent(error: reqwest::Error) -> Failed {
    let kind = if error.is_timeout() { ProblemKind::Timeout } else { ProblemKind::Unavailable };
    let refused = error.is_connect();
    let error = error.without_url();
    let cause = std::iter::successors(std::error::Error::source(&error), |error| error.source()).last();
    let detail = cause.map_or_else(|| error.to_string(), ToString::to_string);
    Failed { refused, ..Problem::new(kind, detail).into() }
}

fn redacted(mut problem: Problem, secrets: &[String]) -> Problem {
    for secret in secrets.iter().filter(|secret| !secret.is_empty()) {
        problem.detail = problem.detail.replace(secret.as_str(), "…");
    }
    problem
}

fn host(url: &str) -> String {
    let url = Url::parse(url).ok();
    let host = url.as_ref().and_then(|url| Some((url.host_str()?, url.port_or_known_default()?)));
    host.map(|(host, port)| format!("{host}:{port}")).unwrap_or_default()
}

fn base_url(url: &str) -> Result<String, UpstreamError> {
    let wrong = |why: &str| UpstreamError(format!("an address is none: {why}"));
    let parsed = Url::parse(url).map_err(|error| wrong(&error.to_string()))?;
    if !matches!(parsed.scheme(), "http" | "https") || parsed.host_str().is_none() {
        return Err(wrong("expected http:// or https:// and a host"));
    }
    if !parsed.username().is_empty() || parsed.password().is_some() {
        return Err(wrong("it holds a password, which belongs into a header"));
    }
    if parsed.query().is_some() || parsed.fragment().is_some() {
        return Err(wrong("expected no query"));
    }
    Ok(parsed.as_str().trim_end_matches('/').to_owned())
}

fn header_name(name: &str) -> Result<HeaderName, UpstreamError> {
    HeaderName::from_bytes(name.as_bytes()).map_err(|_| UpstreamError(format!("`{name}` is no name of a header")))
}

/// For addresses that the operator gave. Nothing around the process decides where it goes.
fn client(connect: Duration) -> Result<Client, UpstreamError> {
    let failed = |error: &dyn std::fmt::Display| UpstreamError(format!("no TLS: {error}"));
    let tls = rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .and_then(|builder| builder.with_platform_verifier())
        .map_err(|error| failed(&error))?
        .with_no_client_auth();
    Client::builder()
        .tls_backend_preconfigured(tls)
        .user_agent(concat!("antiphon/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(connect)
        .redirect(redirect::Policy::none())
        .no_proxy()
        .tcp_nodelay(true)
        .build()
        .map_err(|error| failed(&error))
}
