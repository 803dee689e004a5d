//! One line in the log for each request, written when the last byte of its answer has
//! been taken or its client has left. Never a query, a header or a body: keys and prompts
//! live there.

use std::fmt::Write as _;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Instant;

use antiphon_wire::{Code, InteractionId};
use axum::body::{Body, HttpBody};
use axum::extract::{Request, State};
use axum::http::{HeaderValue, Method, StatusCode};
use axum::middleware::Next;
use axum::response::Response;
use bytes::Bytes;
use hyper::body::{Frame, SizeHint};
use tracing::{Instrument, info, info_span};

use crate::error::http_status;
use crate::router::Server;

/// The interaction that an answer is about, told by its handler.
#[derive(Clone)]
pub(crate) struct About(pub(crate) InteractionId);

/// Numbers a request, watches over its answer and gives it the header `x-request-id`.
pub(crate) async fn record(State(server): State<Server>, request: Request, next: Next) -> Response {
    let mut random = [0; 8];
    server.engine.ambient().fill_random(&mut random);
    let request_id = random.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    });
    let span = info_span!("request", request.id = request_id);
    let mut line = AccessLine {
        request_id: request_id.clone(),
        method: request.method().clone(),
        path: request.uri().path().chars().take(200).collect(),
        // Stays when the client leaves before there is an answer.
        status: http_status(Code::Cancelled),
        interaction: None,
        start: Instant::now(),
    };
    let mut response = next.run(request).instrument(span).await;
    line.status = response.status();
    line.interaction = response.extensions().get::<About>().map(|About(id)| id.clone());
    if let Ok(value) = HeaderValue::from_str(&request_id) {
        response.headers_mut().insert("x-request-id", value);
    }
    response.map(|body| Body::new(RecordedBody { body, _line: line }))
}

/// Writes itself when it is dropped.
struct AccessLine {
    request_id: String,
    method: Method,
    path: String,
    status: StatusCode,
    interaction: Option<InteractionId>,
    start: Instant,
}

impl Drop for AccessLine {
    fn drop(&mut self) {
        let Self { request_id, method, path, status, interaction, start } = self;
        let duration_ms = u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX);
        info!(
            request.id = request_id,
            http.method = %method,
            http.path = path,
            http.status = status.as_u16(),
            interaction.id = interaction.as_ref().map(InteractionId::as_str),
            duration_ms,
            "{method} {path} {} in {duration_ms} ms",
            status.as_u16(),
        );
    }
}

/// A body that keeps its request's line until it is done.
struct RecordedBody {
    body: Body,
    _line: AccessLine,
}

impl HttpBody for RecordedBody {
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
