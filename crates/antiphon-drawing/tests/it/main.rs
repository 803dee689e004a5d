//! Drawings from outside: what the grammar lets through is read, and what is read becomes a picture.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod grammar;
mod picture;
