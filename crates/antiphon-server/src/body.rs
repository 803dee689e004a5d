//! Bodies on their way in: counted, timed and read as JSON, whatever their content type
//! says (spec 00 §3).

use std::convert::Infallible;
use std::mem;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use antiphon_wire::{Code, Error};
use axum::body::{Body, HttpBody};
use axum::extract::{FromRequest, Request, State};
use axum::http::header::EXPECT;
use axum::middleware::Next;
use axum::response::Response;
use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::{Frame, SizeHint};
use serde_json::{Map, Value};
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::timeout;
use tokio_util::task::TaskTracker;

use crate::error::ApiError;
use crate::router::{Limits, Server};

/// How long the next chunk may take, and how long a body waits for memory.
const PATIENCE: Duration = Duration::from_secs(30);

/// Longer bodies are parsed off the threads that serve everybody.
pub(crate) const PARSED_AT_ONCE: usize = 256 << 10;

/// How long a refused body is still read, so that its sender sees the answer.
const LINGER: Duration = Duration::from_secs(10);

/// The bounds that all bodies share.
pub(crate) struct BodyGate {
    most: u32,
    /// One permit is one byte.
    in_flight: Semaphore,
}

impl BodyGate {
    pub(crate) fn new(limits: &Limits) -> Self {
        let in_flight = limits.body_bytes_in_flight.clamp(limits.body_bytes as usize, Semaphore::MAX_PERMITS);
        Self { most: limits.body_bytes, in_flight: Semaphore::new(in_flight) }
    }

    /// Bytes of the longest body, where media are counted decoded.
    pub(crate) fn most(&self) -> usize {
        self.most as usize
    }

    /// Bytes of the longest body as it comes, were it one medium in base64.
    pub(crate) fn most_encoded(&self) -> usize {
        self.most().div_ceil(3) * 4
    }

    /// Takes the memory of a body of at most this `length`, if that is known, whose media are not in memory; less is needed, and nobody knows
    /// how much.
    ///
    /// # Errors
    /// As [`BodyGate::reserve`].
    pub(crate) async fn reserve_encoded(&self, length: Option<u64>) -> Result<SemaphorePermit<'_>, Error> {
        if length.is_some_and(|length| length > self.most_encoded() as u64) {
            return Err(self.too_large());
        }
        self.reserve(length.map(|length| length.min(u64::from(self.most)))).await
    }

    /// # Errors
    /// `content_too_large` for a body that is.
    pub(crate) fn bounded<'a>(&self, body: &'a [u8]) -> Result<&'a [u8], Error> {
        if body.len() > self.most() { Err(self.too_large()) } else { Ok(body) }
    }

    /// The whole body, and the memory it was given.
    async fn receive(&self, body: &mut Body) -> Result<(Vec<u8>, SemaphorePermit<'_>), Error> {
        let length = body.size_hint().upper();
        let permit = self.reserve(length).await?;
        Ok((self.read(body).await?, permit))
    }

    /// Takes the memory of a whole body before its first byte: the length it declares,
    /// or the most it can be. Taken piece by piece, bodies could wait for one another
    /// for ever.
    ///
    /// # Errors
    /// `content_too_large` when the declared length already is; `rate_limit_exceeded`
    /// when the memory does not become free.
    async fn reserve(&self, length: Option<u64>) -> Result<SemaphorePermit<'_>, Error> {
        let bytes = match length.map(u32::try_from) {
            None => self.most,
            Some(Ok(bytes)) if bytes <= self.most => bytes,
            Some(Ok(_) | Err(_)) => return Err(self.too_large()),
        };
        match timeout(PATIENCE, self.in_flight.acquire_many(bytes)).await {
            Ok(Ok(permit)) => Ok(permit),
            Ok(Err(_)) | Err(_) => {
                let message = "the server is receiving as much as it can hold; try again";
                Err(Error::new(Code::RateLimitExceeded, message))
            }
        }
    }

    fn too_large(&self) -> Error {
        Error::new(
            Code::ContentTooLarge,
            format!("the body is longer than {} bytes, the most this server takes", self.most),
        )
    }

    /// # Errors
    /// `content_too_large`; `invalid_request` when the body stops coming. That is not a
    /// 408, which the SDKs would answer by sending the same body four times more.
    async fn read(&self, body: &mut Body) -> Result<Vec<u8>, Error> {
        let most = self.most as usize;
        let mut bytes = Vec::new();
        while let Some(chunk) = next_chunk(body).await? {
            if chunk.len() > most - bytes.len() {
                return Err(self.too_large());
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok(bytes)
    }
}

/// What comes next of a body; none at its end.
///
/// # Errors
/// `invalid_request` when it stops coming.
pub(crate) async fn next_chunk(body: &mut Body) -> Result<Option<Bytes>, Error> {
    loop {
        match timeout(PATIENCE, body.frame()).await {
            Ok(None) => return Ok(None),
            Ok(Some(Ok(frame))) => {
                if let Ok(chunk) = frame.into_data() {
                    return Ok(Some(chunk));
                }
            }
            Ok(Some(Err(_))) => return Err(unreadable("the body could not be read to its end")),
            Err(_) => {
                let seconds = PATIENCE.as_secs();
                return Err(unreadable(&format!("nothing more of the body came for {seconds} seconds")));
            }
        }
    }
}

fn unreadable(message: &str) -> Error {
    Error::new(Code::InvalidRequest, message)
}

/// A body as it comes, for handlers that look at its request first.
pub(crate) struct RawBody(Body);

impl FromRequest<Server> for RawBody {
    type Rejection = Infallible;

    async fn from_request(request: Request, _server: &Server) -> Result<Self, Infallible> {
        Ok(Self(request.into_body()))
    }
}

impl RawBody {
    /// The whole body, and the memory it was given.
    pub(crate) async fn receive(mut self, gate: &BodyGate) -> Result<(Vec<u8>, SemaphorePermit<'_>), Error> {
        gate.receive(&mut self.0).await
    }
}

/// The body of a request as JSON.
pub(crate) struct JsonBody(pub(crate) Value);

impl FromRequest<Server> for JsonBody {
    type Rejection = ApiError;

    async fn from_request(request: Request, server: &Server) -> Result<Self, ApiError> {
        read_json(request, server, parse).await.map(Self)
    }
}

/// The same for classic resources, whose SDKs send nothing where there is nothing to say.
pub(crate) struct ClassicBody(pub(crate) Value);

impl FromRequest<Server> for ClassicBody {
    type Rejection = ApiError;

    async fn from_request(request: Request, server: &Server) -> Result<Self, ApiError> {
        let parse = |bytes: &[u8]| if bytes.is_empty() { Ok(Value::Object(Map::new())) } else { parse(bytes) };
        read_json(request, server, parse).await.map(Self)
    }
}

async fn read_json(
    request: Request,
    server: &Server,
    parse: impl Fn(&[u8]) -> Result<Value, Error> + Send + 'static,
) -> Result<Value, ApiError> {
    let (bytes, permit) = server.bodies.receive(&mut request.into_body()).await?;
    let value = if bytes.len() <= PARSED_AT_ONCE {
        parse(&bytes)
    } else {
        let parsing = server.engine.tasks().spawn_blocking(move || parse(&bytes));
        parsing.await.unwrap_or_else(|_| Err(Error::internal()))
    };
    drop(permit);
    Ok(value?)
}

/// Names the place of a mistake and never the text around it, which may be anybody's.
pub(crate) fn parse(bytes: &[u8]) -> Result<Value, Error> {
    if bytes.is_empty() {
        return Err(unreadable("expected a JSON object as the body, got an empty body"));
    }
    serde_json::from_slice(bytes).map_err(|error| unreadable(&format!("the body is not valid JSON: {error}")))
}

/// Lets a request pass whose body, wherever it is dropped unread, is read on for a moment and forgotten. A connection that
/// closes over unread bytes is reset, and the reset takes the answer with it; or the client believes it still open, and its
/// next request fails.
pub(crate) async fn linger(State(server): State<Server>, request: Request, next: Next) -> Response {
    // A client that waits for `100 Continue` sends nothing to a server that refuses.
    if request.headers().contains_key(EXPECT) {
        return next.run(request).await;
    }
    let (tasks, most) = (server.engine.tasks().clone(), server.bodies.most_encoded());
    next.run(request.map(|body| Body::new(Lingering { body, tasks, most }))).await
}

/// A body that is read to its end, by somebody.
struct Lingering {
    body: Body,
    tasks: TaskTracker,
    /// Bytes that are read and forgotten.
    most: usize,
}

impl HttpBody for Lingering {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Lingering {
    fn drop(&mut self) {
        // Outside of the runtime the server is gone.
        if let (false, Ok(runtime)) = (self.body.is_end_stream(), Handle::try_current()) {
            self.tasks.spawn_on(discard(mem::take(&mut self.body), self.most), &runtime);
        }
    }
}

async fn discard(mut body: Body, most: usize) {
    let mut left = most;
    let read = async {
        while let Some(Ok(frame)) = body.frame().await {
            let length = frame.data_ref().map_or(0, |data| data.len());
            let Some(rest) = left.checked_sub(length) else { return };
            left = rest;
        }
    };
    // However it ends, nobody waits for what was read.
    let _ = timeout(LINGER, read).await;
}

#[cfg(test)]
mod tests;
