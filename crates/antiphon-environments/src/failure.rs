//! Why something was not done: what the caller can mend, and what is broken here.

use std::fmt::Display;
use std::io;

use antiphon_wire::{Code, Error, WorkspacePath};
use rustix::io::Errno;
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

    /// A state that does not allow it: 400 `failed_precondition`, led by the place.
    pub(crate) fn state(path: &WorkspacePath, why: impl Display) -> Self {
        Self::Refused(Error::precondition(format!("`{path}`: {why}")))
    }

    /// The same, with words that lead to it.
    pub(crate) fn led_by(self, words: &str) -> Self {
        match self {
            Self::Refused(error) => Self::Refused(Error::new(error.code, format!("{words}: {}", error.message))),
            Self::Broken(cause) => Self::Broken(cause),
        }
    }

    pub(crate) fn no_file(path: &WorkspacePath) -> Self {
        Self::Refused(Error::not_found(format!("`{path}` is not in the workspace")))
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Refused(error)
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        // Readers of ours say so what is wrong with what they read.
        match error.downcast::<Error>() {
            Ok(refused) => Self::Refused(refused),
            Err(error) => Self::Broken(error.to_string()),
        }
    }
}

impl From<Errno> for Failure {
    fn from(error: Errno) -> Self {
        io::Error::from(error).into()
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
                error!(cause, "Environments cannot be read or written");
                let message = "the server cannot read or write its environments now; its log has the cause";
                Self::new(Code::ServiceUnavailable, message)
            }
        }
    }
}

/// Does what the disk may hold up away from the threads that serve everybody.
pub(crate) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Outcome<T> + Send + 'static) -> Outcome<T> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| Err(Failure::broken(error)))
}
