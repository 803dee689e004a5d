//! `/{version}/interactions` (spec 01): each handler is one call of the engine and the
//! choice of a view.

use antiphon_engine::{Caller, Created};
use antiphon_wire::{CreateInteraction, Error, EventId, Interaction, InteractionId};
use axum::extract::rejection::QueryRejection;
use axum::extract::{FromRequestParts, Path, Query, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::access::About;
use crate::error::ApiError;
use crate::media_body::InteractionBody;
use crate::router::Server;
use crate::sse::event_stream;

/// How the answer of a create shows the run.
#[derive(Debug, PartialEq, Eq)]
enum View {
    Events,
    Final,
    Accepted,
}

impl View {
    fn of(request: &CreateInteraction) -> Self {
        match (request.stream, request.background) {
            (true, _) => Self::Events,
            (false, false) => Self::Final,
            (false, true) => Self::Accepted,
        }
    }
}

pub(crate) async fn create_interaction(
    State(server): State<Server>,
    Extension(caller): Extension<Caller>,
    InteractionBody(request): InteractionBody,
) -> Result<Response, ApiError> {
    let view = View::of(&request);
    let Created { handle, served_by } = server.engine.create(caller, request).await?;
    let about = About(handle.id().clone());
    let mut response = match view {
        View::Events => event_stream(handle, 0, server.engine.closing().clone()),
        View::Final => Json(handle.finished().await).into_response(),
        View::Accepted => Json(handle.accepted()).into_response(),
    };
    if let Ok(name) = HeaderValue::from_str(&served_by) {
        response.headers_mut().insert("x-antiphon-model", name);
    }
    Ok((Extension(about), response).into_response())
}

pub(crate) async fn get_interaction(
    State(server): State<Server>,
    Extension(caller): Extension<Caller>,
    NamedInteraction(id): NamedInteraction,
    headers: HeaderMap,
    query: Result<Query<GetQuery>, QueryRejection>,
) -> Result<Response, ApiError> {
    let Query(query) = query.map_err(|_| repeated_parameter())?;
    let look = Look::of(query, &headers)?;
    let handle = server.engine.get(caller, &id).await?;
    let response = match look {
        Look::Whole { include_input } => Json(handle.timeline(include_input)).into_response(),
        Look::Events { last_event_id } => {
            let after = match last_event_id {
                None => 0,
                Some(token) => {
                    EventId::seq(&token, &id).filter(|seq| (1..=handle.last_seq()).contains(seq)).ok_or_else(|| {
                        Error::invalid("last_event_id", "expected the `event_id` of an event of this interaction")
                    })?
                }
            };
            event_stream(handle, after, server.engine.closing().clone())
        }
    };
    Ok((Extension(About(id)), response).into_response())
}

pub(crate) async fn cancel_interaction(
    State(server): State<Server>,
    Extension(caller): Extension<Caller>,
    NamedInteraction(id): NamedInteraction,
) -> Result<(Extension<About>, Json<Interaction>), ApiError> {
    let interaction = server.engine.cancel(caller, &id).await?;
    Ok((Extension(About(id)), Json(interaction)))
}

pub(crate) async fn delete_interaction(
    State(server): State<Server>,
    Extension(caller): Extension<Caller>,
    NamedInteraction(id): NamedInteraction,
) -> Result<(Extension<About>, Json<Value>), ApiError> {
    server.engine.delete(caller, &id).await?;
    Ok((Extension(About(id)), Json(json!({}))))
}

/// The query of GET. All are strings here, so that a wrong one is refused by name.
#[derive(Deserialize)]
pub(crate) struct GetQuery {
    stream: Option<String>,
    include_input: Option<String>,
    last_event_id: Option<String>,
}

/// How GET looks at an interaction.
enum Look {
    Whole { include_input: bool },
    Events { last_event_id: Option<String> },
}

impl Look {
    /// Browsers resume by the header `Last-Event-ID`, everybody else by the query.
    fn of(query: GetQuery, headers: &HeaderMap) -> Result<Self, Error> {
        let include_input = read_flag("include_input", query.include_input)?;
        let last_event_id = query.last_event_id.filter(|token| !token.is_empty());
        match (read_flag("stream", query.stream)?, include_input, last_event_id) {
            (false, include_input, None) => Ok(Self::Whole { include_input }),
            (false, _, Some(_)) => {
                Err(Error::invalid("last_event_id", "only a stream can be resumed; expected `stream=true` beside it"))
            }
            (true, true, _) => {
                Err(Error::invalid("include_input", "a stream does not show the input; expected no `stream=true`"))
            }
            (true, false, last_event_id) => {
                let header = || Some(headers.get("last-event-id")?.to_str().ok()?.to_owned());
                Ok(Self::Events { last_event_id: last_event_id.or_else(header) })
            }
        }
    }
}

fn read_flag(name: &str, value: Option<String>) -> Result<bool, Error> {
    match value.unwrap_or_default().to_ascii_lowercase().as_str() {
        "" | "false" => Ok(false),
        "true" => Ok(true),
        _ => Err(Error::invalid(name, "expected `true` or `false`")),
    }
}

fn repeated_parameter() -> Error {
    Error::invalid("query", "expected `stream`, `include_input` and `last_event_id` at most once each")
}

/// The interaction that the path names. What cannot be an id names nothing: 404.
pub(crate) struct NamedInteraction(InteractionId);

#[derive(Deserialize)]
struct IdSegment {
    id: String,
}

impl<S: Send + Sync> FromRequestParts<S> for NamedInteraction {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let segment = Path::<IdSegment>::from_request_parts(parts, state).await.ok();
        let id = segment.and_then(|Path(segment)| InteractionId::parse(&segment.id));
        Ok(Self(id.ok_or_else(|| Error::not_found("no interaction has this id; ids look like `v1_…`"))?))
    }
}
