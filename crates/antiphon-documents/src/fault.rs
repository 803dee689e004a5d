//! Why a document was not read. All but [`Fault::Broken`] are the document's, or its request's.

use std::fmt::Display;

use serde::{Deserialize, Serialize};

use crate::kind::{Kind, SUPPORTED};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    #[error("the document is declared as `{declared}` and is `{found}`")]
    Mismatch { declared: String, found: String },
    #[error("documents of type `{found}` are not read; expected one of {SUPPORTED}")]
    Unsupported { found: String },
    #[error("the document is an encrypted `{found}`; expected one without a password, of {SUPPORTED}")]
    Encrypted { found: String },
    #[error("the document could not be decoded as {kind}: {reason}")]
    Unreadable { kind: String, reason: String },
    /// It is too large, or would become so.
    #[error("the document passes the limit of {most} for its {what}")]
    Limit { what: String, most: u64 },
    /// An option that this document cannot honour.
    #[error("`{field}`: expected {expected}, got {came}")]
    Option { field: String, expected: String, came: String },
    /// It took too long or too much memory, or broke what read it.
    #[error("the document could not be processed within limits")]
    Processing,
    /// Ours: nothing can be read at all.
    #[error("documents cannot be read: {0}")]
    Broken(String),
}

impl Fault {
    pub(crate) fn unreadable(kind: Kind, reason: impl Display) -> Self {
        // What a reader says of a file may repeat the file.
        let reason = reason.to_string().chars().filter(|character| !character.is_control()).take(200).collect();
        Self::Unreadable { kind: kind.mime_type().to_owned(), reason }
    }

    pub(crate) fn limit(what: &str, most: impl TryInto<u64>) -> Self {
        Self::Limit { what: what.to_owned(), most: most.try_into().unwrap_or(u64::MAX) }
    }

    pub(crate) fn option(field: &str, expected: impl Into<String>, came: impl Display) -> Self {
        let came = came.to_string().chars().take(100).collect();
        Self::Option { field: field.to_owned(), expected: expected.into(), came }
    }

    pub(crate) fn encrypted(kind: &str) -> Self {
        Self::Encrypted { found: kind.to_owned() }
    }
}
