//! Why something was not done: what the caller can mend, and what is broken here.

use std::fmt::Display;
use std::io;

use antiphon_wire::{Code, Error};
use tracing::error;

pub(crate) type Outcome<T> = Result<T, Failure>;

#[derive(Debug)]
pub(crate) enum Failure {
    /// For the caller.
    Refused(Error),
    /// For the log alone.
    Broken(String),
}

impl Failure {
    pub(crate) fn broken(cause: impl Display) -> Self {
        Self::Broken(cause.to_string())
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Refused(error)
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::broken(error)
    }
}

impl From<rusqlite::Error> for Failure {
    fn from(error: rusqlite::Error) -> Self {
        Self::broken(error)
    }
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Refused(error) => error,
            Failure::Broken(cause) => {
                error!(cause, "Triggers cannot be read or written");
                let message = "the server cannot read or write its triggers now; its log has the cause";
                Self::new(Code::ServiceUnavailable, message)
            }
        }
    }
}

/// Does what the disk may hold up away from the threads that serve everybody.
pub(crate) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Outcome<T> + Send + 'static) -> Outcome<T> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| Err(Failure::broken(error)))
}
