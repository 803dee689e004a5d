//! One hostile medium: the part of a request that holds it, and the answer that is documented for it.

use std::path::PathBuf;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

pub(crate) struct Case {
    pub(crate) name: &'static str,
    /// A content block; the second one of its message.
    pub(crate) part: Value,
    pub(crate) answer: Answer,
}

pub(crate) enum Answer {
    /// A 400 that names this field of the part (none: the part as a whole) and says this.
    Refused { field: &'static str, says: &'static str },
    /// It is read, within its limits; the model is told this.
    Read { says: &'static str },
}

impl Case {
    pub(crate) fn refused(name: &'static str, part: Value, field: &'static str, says: &'static str) -> Self {
        Self { name, part, answer: Answer::Refused { field, says } }
    }

    pub(crate) fn read(name: &'static str, part: Value, says: &'static str) -> Self {
        Self { name, part, answer: Answer::Read { says } }
    }
}

/// A part with these bytes; without a type when it is empty.
pub(crate) fn part(kind: &str, mime_type: &str, bytes: &[u8]) -> Value {
    let mut part = json!({"type": kind, "data": STANDARD.encode(bytes)});
    if !mime_type.is_empty() {
        part["mime_type"] = json!(mime_type);
    }
    part
}

/// A file of another suite of this repository.
pub(crate) fn sample(path: &str) -> Vec<u8> {
    // Where the runner says that the sources are now.
    let package = std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
    let root = PathBuf::from(package).join("../..");
    std::fs::read(root.join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Bytes that mean nothing, the same each time.
pub(crate) fn noise(seed: u32, length: usize) -> Vec<u8> {
    let mut state = seed | 1;
    let next = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state.to_le_bytes()[1]
    };
    std::iter::repeat_with(next).take(length).collect()
}
