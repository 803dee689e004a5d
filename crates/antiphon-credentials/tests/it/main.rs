//! Credentials as the server and its users see them, and what of them is on the disk.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking, as tests do")]

mod key;
mod lifecycle;
mod support;
