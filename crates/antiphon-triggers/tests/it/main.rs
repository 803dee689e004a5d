//! Triggers on an engine whose model, clock and environments are in the hands of the test. Time
//! passes when the test says so.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking, as tests do")]

mod crashes;
mod lifecycle;
mod runs;
mod support;
