//! What becomes of pictures, good and hostile; no networks are needed.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod hostile;
mod picture;
