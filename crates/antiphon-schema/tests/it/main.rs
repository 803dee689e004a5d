//! What is promised about a schema holds: llguidance takes the enforced form and follows it to the letter.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod guide;
mod hostile;
mod laws;
mod narrow;
mod refused;
mod rows;
