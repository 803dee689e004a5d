//! What SQLite says, as the store's errors.

use antiphon_engine::StoreError;
use rusqlite::ErrorCode;

/// A [`StoreError`] that `?` makes from SQLite's.
#[derive(Debug)]
pub(crate) struct Failed(pub(crate) StoreError);

pub(crate) type Result<T, E = Failed> = std::result::Result<T, E>;

impl From<StoreError> for Failed {
    fn from(error: StoreError) -> Self {
        Self(error)
    }
}

impl From<Failed> for StoreError {
    fn from(failed: Failed) -> Self {
        failed.0
    }
}

impl From<rusqlite::Error> for Failed {
    /// No row is `NotFound`, what another attempt could get past is `Unavailable`, a
    /// broken rule of the schema is `Conflict`, and whatever else SQLite refuses means
    /// that the file is not what this program wrote.
    fn from(error: rusqlite::Error) -> Self {
        let message = error.to_string();
        Self(match error {
            rusqlite::Error::QueryReturnedNoRows => StoreError::NotFound,
            rusqlite::Error::SqliteFailure(failure, _) => match failure.code {
                ErrorCode::DiskFull
                | ErrorCode::SystemIoFailure
                | ErrorCode::ReadOnly
                | ErrorCode::CannotOpen
                | ErrorCode::PermissionDenied
                | ErrorCode::FileLockingProtocolFailed
                | ErrorCode::NoLargeFileSupport
                | ErrorCode::DatabaseBusy
                | ErrorCode::DatabaseLocked
                | ErrorCode::OperationInterrupted
                | ErrorCode::OutOfMemory
                | ErrorCode::TooBig => StoreError::Unavailable(message),
                ErrorCode::ConstraintViolation => StoreError::Conflict(message),
                _ => StoreError::Corrupt(message),
            },
            _ => StoreError::Corrupt(message),
        })
    }
}

/// For files and threads around the database.
pub(crate) fn unavailable(what: &str, error: &dyn std::fmt::Display) -> Failed {
    Failed(StoreError::Unavailable(format!("{what}: {error}")))
}
