//! The server over HTTP: JSON through the router alone, streams and shutdown through a
//! loopback listener.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking, as tests do")]

mod agents;
mod answers;
mod auth;
mod bodies;
mod connections;
mod credentials;
mod environments;
mod files;
mod puppet;
mod streams;
mod support;
mod triggers;
