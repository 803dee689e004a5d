//! Markers vanish, spans are right, and citations are kept only where the source bears them out.
#![expect(clippy::expect_used, reason = "tests")]

mod laws;
mod rows;
mod text;
