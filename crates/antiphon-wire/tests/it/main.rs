//! The wire from outside: what is documented about it, and the laws of the fold.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod coverage;
mod fold;
