//! Backends from outside, against a real worker process that holds the toy model.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod llama;
mod media;
