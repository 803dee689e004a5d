//! Errors as HTTP answers: the only place that knows which status a code has.

use std::any::Any;

use antiphon_wire::{Code, Error};
use axum::Json;
use axum::body::Body;
use axum::extract::Request;
use axum::http::header::{CONTENT_LENGTH, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde_json::json;

/// HTTP status and google.rpc name of a code (spec 00 §5).
fn status_of(code: Code) -> (u16, &'static str) {
    match code {
        Code::InvalidRequest | Code::ParameterUnknown => (400, "INVALID_ARGUMENT"),
        Code::FailedPrecondition => (400, "FAILED_PRECONDITION"),
        Code::Authentication => (401, "UNAUTHENTICATED"),
        Code::NotFound | Code::ModelNotFound => (404, "NOT_FOUND"),
        Code::MethodNotAllowed => (405, "UNIMPLEMENTED"),
        Code::AlreadyExists => (409, "ALREADY_EXISTS"),
        Code::ContentTooLarge => (413, "INVALID_ARGUMENT"),
        Code::RateLimitExceeded => (429, "RESOURCE_EXHAUSTED"),
        Code::Cancelled => (499, "CANCELLED"),
        Code::ApiError => (500, "INTERNAL"),
        Code::ServiceUnavailable => (503, "UNAVAILABLE"),
        Code::DeadlineExceeded => (504, "DEADLINE_EXCEEDED"),
    }
}

pub(crate) fn http_status(code: Code) -> StatusCode {
    StatusCode::from_u16(status_of(code).0).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

/// About one turn of a small model on a small machine. The SDKs wait as long as they are
/// told and try five times in all.
const RETRY_AFTER_SECONDS: u16 = 5;

/// An error on its way to the client, in the shape of the interactions routes.
#[derive(Debug)]
pub(crate) struct ApiError(Error);

impl From<Error> for ApiError {
    fn from(error: Error) -> Self {
        Self(error)
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut response = (http_status(self.0.code), Json(self.0.body())).into_response();
        match self.0.code {
            Code::RateLimitExceeded | Code::ServiceUnavailable => {
                response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(RETRY_AFTER_SECONDS));
            }
            Code::Authentication => {
                response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            }
            Code::InvalidRequest
            | Code::FailedPrecondition
            | Code::ParameterUnknown
            | Code::NotFound
            | Code::ModelNotFound
            | Code::MethodNotAllowed
            | Code::AlreadyExists
            | Code::ContentTooLarge
            | Code::Cancelled
            | Code::ApiError
            | Code::DeadlineExceeded => {}
        }
        response.extensions_mut().insert(self.0);
        response
    }
}

/// Gives the errors of a route the classic Google shape, from which the SDKs' classic
/// clients (`client.models`) read a numeric code and an upper-case status.
pub(crate) async fn classic_errors(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let Some(error) = response.extensions_mut().remove::<Error>() else { return response };
    let (code, status) = status_of(error.code);
    let body = json!({"error": {"code": code, "message": error.message, "status": status}});
    response.headers_mut().remove(CONTENT_LENGTH);
    *response.body_mut() = Body::from(body.to_string());
    response
}

/// A handler that panics costs its own request and nothing else. What it said stays in
/// the panic hook's output: it may quote the request.
pub(crate) fn answer_panic(_panic: Box<dyn Any + Send>) -> Response {
    tracing::error!("A handler panicked; its request was answered with 500");
    ApiError(Error::internal()).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_an_http_error_status_that_exists() {
        for code in Code::ALL {
            let (status, _) = status_of(code);
            assert_eq!(http_status(code).as_u16(), status, "{code:?}");
            assert!((400..600).contains(&status), "{code:?}");
        }
    }
}
