//! What every place for bytes has to keep to, asked of a folder and of an object store that speaks S3.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod contract;
mod lookalike;
mod remote;
