//! What every protocol has to say: a request, a reader of the answer, an error. Pure.

use antiphon_engine::{BackendError, Media, MediaKind, ModelEvent, ModelRequest};
use antiphon_wire::MediaOptions;
use serde_json::Value;

/// The translation between one protocol and the engine: no IO, no clock.
///
/// A field of [`ModelRequest`] is carried, or refused with [`BackendError::Rejected`] whose
/// text begins with the field's JSON path, or is supplied by `supply`; it is never left out
/// in silence.
pub(crate) trait Protocol: Send + Sync {
    /// The header that carries the key, and the key's form in it.
    fn key_header(&self, key: &str) -> (&'static str, String);

    /// Whether a part of this kind goes with one of its options, by its path as `processing.fps`,
    /// and means the same to the service. Parts with others never come to [`Protocol::request`].
    fn carries(&self, _kind: MediaKind, _option: &str, _options: &MediaOptions) -> bool {
        false
    }

    /// # Errors
    /// [`BackendError::Rejected`] for what this protocol cannot carry.
    fn request(&self, call: &Call<'_>) -> Result<Outgoing, BackendError>;

    /// Reads the answer to that request.
    fn reader(&self, call: &Call<'_>) -> Box<dyn Reader>;
}

/// A request and what the protocol has to know about the model.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Call<'a> {
    pub(crate) request: &'a ModelRequest,
    /// What the service calls the model.
    pub(crate) model: &'a str,
    /// Whether the service takes how much to think ([`antiphon_engine::ModelRequest::generation`]
    /// has the level). If not, a level is met by saying nothing, since it is a ceiling.
    pub(crate) thinking: bool,
    /// Whether it answers with pictures.
    pub(crate) draws: bool,
}

/// A POST.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Outgoing {
    /// Below the base address, beginning with `/`, query included.
    pub(crate) path: String,
    /// Besides `content-type` and the key.
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: Value,
    /// With them the members of the body are fields of a form, and these are too, under their names.
    pub(crate) files: Vec<(&'static str, Media)>,
    pub(crate) answers: Answers,
}

/// What the request asks for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Answers {
    /// A stream of server-sent events.
    #[default]
    Events,
    /// The same, in which one event may hold a picture.
    LargeEvents,
    /// One JSON body, which the reader is given as if it were the data of an event.
    Whole,
}

/// Reads the events of one answer in their order.
pub(crate) trait Reader: Send {
    /// Takes the `data` of one server-sent event and adds what it means. Events of unknown
    /// kinds mean nothing; `[DONE]` is handed over like any other.
    ///
    /// After the answer's end, [`ModelEvent::Finished`] has been added exactly once, and
    /// nothing after it.
    ///
    /// # Errors
    /// What the service says went wrong, or that the data is none of the protocol.
    fn read(&mut self, data: &str, events: &mut Vec<ModelEvent>) -> Result<(), Problem>;

    /// The stream has ended. Adds the end if the protocol has no other sign of it.
    ///
    /// # Errors
    /// [`Problem::cut`] when the answer has not come to its end.
    fn end(&mut self, events: &mut Vec<ModelEvent>) -> Result<(), Problem>;
}

/// What went wrong at the service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Problem {
    pub(crate) kind: ProblemKind,
    /// What the service said, for the log.
    pub(crate) detail: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ProblemKind {
    /// The service has a limit and it is reached.
    RateLimited,
    /// The service cannot answer now: overloaded, starting, broken.
    Unavailable,
    /// It took too long.
    Timeout,
    /// The connection ended before the answer did.
    Cut,
    /// The service does not know the key, the model or the address: the operator's fault.
    Misconfigured,
    /// The service says that the request cannot be answered: the caller's fault, or ours.
    BadRequest,
    /// The input is longer than the model's context.
    TooLong,
    /// The service will not answer; a code of spec 00 §5, as `safety`.
    Blocked(&'static str),
    /// The answer is none of the protocol.
    Garbage,
}

impl Problem {
    pub(crate) fn new(kind: ProblemKind, detail: impl Into<String>) -> Self {
        Self { kind, detail: detail.into() }
    }

    pub(crate) fn garbage(detail: impl Into<String>) -> Self {
        Self::new(ProblemKind::Garbage, detail)
    }

    pub(crate) fn cut() -> Self {
        Self::new(ProblemKind::Cut, "the answer ended before its end")
    }

    /// What an answer with this status means; `body` is its beginning. Every service
    /// puts its words into `error.message`, `error` or `message`, or plain text.
    pub(crate) fn of_status(status: u16, body: &str) -> Self {
        let detail = format!("{status}: {}", message_of(body));
        let lower = detail.to_ascii_lowercase();
        let too_long = [
            "context length",
            "context_length",
            "context size",
            "context window",
            "too many tokens",
            "prompt is too long",
            "exceeds the maximum number of tokens",
        ];
        let kind = match status {
            429 => ProblemKind::RateLimited,
            408 | 504 => ProblemKind::Timeout,
            401 | 402 | 403 | 404 | 405 | 300..=399 => ProblemKind::Misconfigured,
            400 | 413 | 422 if too_long.iter().any(|words| lower.contains(words)) => ProblemKind::TooLong,
            // OpenAI's codes for what its filters do not let through.
            400 if ["moderation_blocked", "content_policy_violation"].iter().any(|code| body.contains(code)) => {
                ProblemKind::Blocked("safety")
            }
            400..=499 => ProblemKind::BadRequest,
            _ => ProblemKind::Unavailable,
        };
        Self { kind, detail }
    }

    /// Whether another address, another try or another model may help. What the request
    /// itself is to blame for would only go wrong again.
    pub(crate) fn is_passing(&self) -> bool {
        match self.kind {
            ProblemKind::RateLimited | ProblemKind::Unavailable | ProblemKind::Timeout | ProblemKind::Cut => true,
            ProblemKind::Misconfigured
            | ProblemKind::BadRequest
            | ProblemKind::TooLong
            | ProblemKind::Blocked(_)
            | ProblemKind::Garbage => false,
        }
    }
}

/// What a service says in an error, whatever the shape.
fn message_of(body: &str) -> String {
    let read = |value: &Value| {
        let error = value.get("error").unwrap_or(value);
        let text = error.get("message").or_else(|| value.get("message")).or(Some(error)).and_then(Value::as_str);
        text.map(str::to_owned)
    };
    let value = serde_json::from_str::<Value>(body).ok();
    // Gemini wraps its error into a list.
    let first = value.as_ref().map(|value| value.get(0).unwrap_or(value));
    first.and_then(read).unwrap_or_else(|| body.to_owned()).chars().take(LONGEST_DETAIL).collect()
}

/// Services quote requests in their errors; so much of it goes to the log.
const LONGEST_DETAIL: usize = 500;

/// The code of an answer that should be a picture and is none (spec 00 §5).
pub(crate) const NO_IMAGE: &str = "no_image";

impl From<Problem> for BackendError {
    fn from(problem: Problem) -> Self {
        let Problem { kind, detail } = problem;
        let (code, message) = match kind {
            ProblemKind::RateLimited => ("rate_limit_exceeded", "The model's service is at its limit; try again later"),
            ProblemKind::Unavailable => ("service_unavailable", "The model's service cannot answer now"),
            ProblemKind::Timeout => ("deadline_exceeded", "The model's service did not answer in time"),
            ProblemKind::Cut => ("service_unavailable", "The connection to the model's service was cut"),
            ProblemKind::Misconfigured => {
                ("service_unavailable", "The model's service refused this server; its operator has to see to it")
            }
            ProblemKind::BadRequest => ("invalid_request", "The model's service does not take this request"),
            ProblemKind::TooLong => ("invalid_request", "The input is longer than the model's context"),
            ProblemKind::Blocked(NO_IMAGE) => (NO_IMAGE, "The model's service answered without a picture"),
            ProblemKind::Blocked(code) => (code, "The model's service refused to answer"),
            ProblemKind::Garbage => ("api_error", "The model's service gave an answer that cannot be read"),
        };
        Self::Upstream { code, message: message.to_owned(), detail }
    }
}

#[cfg(test)]
mod tests;
