//! Why a sound is not heard, in the words that its sender reads.
//!
//! The caller puts the path of the field before them.

use crate::kind::SUPPORTED;

/// What is wrong with a sound, or with what was asked of it.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Fault {
    #[error("audio data is empty")]
    Empty,

    /// Neither the bytes nor their claimed type say what it is.
    #[error("audio data is of no known type; expected one of {SUPPORTED}")]
    Unknown,

    #[error("mime_type: `{claimed}` is not supported; expected one of {SUPPORTED}")]
    Unsupported { claimed: String },

    /// What it is has nothing to do with sound.
    #[error("audio data is {found}, but its mime_type is {claimed}")]
    Mismatch { claimed: String, found: &'static str },

    #[error("audio data could not be decoded as {mime_type}: {reason}")]
    Undecodable { mime_type: &'static str, reason: String },

    #[error(
        "audio is longer than the {longest} seconds that are allowed; ask for a part with start_offset and end_offset"
    )]
    TooLong { longest: u64 },

    /// A value beside the bytes.
    #[error("{field}: expected {expected}, got {got}")]
    Field { field: &'static str, expected: String, got: String },
}

impl Fault {
    pub(crate) fn undecodable(mime_type: &'static str, reason: impl Into<String>) -> Self {
        // The reason may repeat what a file says of itself.
        Self::Undecodable { mime_type, reason: reason.into().chars().take(200).collect() }
    }
}
