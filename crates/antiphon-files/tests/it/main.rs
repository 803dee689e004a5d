//! What projects keep, without HTTP: what lasts how long, and what is found.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod contents;
mod ending;
mod found;
mod generated;
mod lasting;
#[path = "../../../antiphon-blobs/tests/it/lookalike.rs"]
mod lookalike;
mod support;
