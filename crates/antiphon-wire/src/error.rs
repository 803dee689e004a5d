//! Errors as the API says them (spec 00 §5).

use serde::{Deserialize, Serialize};

/// The snake_case codes of spec 00 §5 that this server uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Code {
    InvalidRequest,
    FailedPrecondition,
    ParameterUnknown,
    Authentication,
    NotFound,
    ModelNotFound,
    MethodNotAllowed,
    AlreadyExists,
    ContentTooLarge,
    RateLimitExceeded,
    Cancelled,
    ApiError,
    ServiceUnavailable,
    DeadlineExceeded,
}

impl Code {
    pub const ALL: [Self; 14] = [
        Self::InvalidRequest,
        Self::FailedPrecondition,
        Self::ParameterUnknown,
        Self::Authentication,
        Self::NotFound,
        Self::ModelNotFound,
        Self::MethodNotAllowed,
        Self::AlreadyExists,
        Self::ContentTooLarge,
        Self::RateLimitExceeded,
        Self::Cancelled,
        Self::ApiError,
        Self::ServiceUnavailable,
        Self::DeadlineExceeded,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::InvalidRequest => "invalid_request",
            Self::FailedPrecondition => "failed_precondition",
            Self::ParameterUnknown => "parameter_unknown",
            Self::Authentication => "authentication",
            Self::NotFound => "not_found",
            Self::ModelNotFound => "model_not_found",
            Self::MethodNotAllowed => "method_not_allowed",
            Self::AlreadyExists => "already_exists",
            Self::ContentTooLarge => "content_too_large",
            Self::RateLimitExceeded => "rate_limit_exceeded",
            Self::Cancelled => "cancelled",
            Self::ApiError => "api_error",
            Self::ServiceUnavailable => "service_unavailable",
            Self::DeadlineExceeded => "deadline_exceeded",
        }
    }
}

/// An error for the caller. The message names the field, what was expected and what
/// came; it never holds a secret or a prompt.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Error {
    pub code: Code,
    pub message: String,
}

impl Error {
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }

    /// A value that cannot be honoured: 400 `invalid_request`, led by its JSON path.
    pub fn invalid(path: &str, message: impl AsRef<str>) -> Self {
        Self::new(Code::InvalidRequest, format!("`{path}`: {}", message.as_ref()))
    }

    /// The error of a value that is part of a larger one: the path that leads it goes on from
    /// the larger one's.
    #[must_use]
    pub fn within(mut self, path: &str) -> Self {
        if self.message.starts_with('`') {
            self.message.insert_str(1, &format!("{path}."));
        }
        self
    }

    pub fn not_found(message: impl Into<String>) -> Self {
        Self::new(Code::NotFound, message)
    }

    pub fn precondition(message: impl Into<String>) -> Self {
        Self::new(Code::FailedPrecondition, message)
    }

    /// Something broke that is not the caller's fault; the cause is logged where it is
    /// handled and never shown.
    pub fn internal() -> Self {
        Self::new(Code::ApiError, "Internal error; the server's log has the cause")
    }

    pub fn failure(&self) -> Failure {
        Failure { code: self.code.as_str().to_owned(), message: self.message.clone() }
    }

    pub fn body(&self) -> ErrorBody {
        ErrorBody { error: self.failure() }
    }
}

/// An error inside an interaction (`errors[]`, `error`) or an `error` event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    pub code: String,
    pub message: String,
}

/// The body of an HTTP error.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorBody {
    pub error: Failure,
}
