//! The executable from outside: real processes, real files, loopback connections.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on has failed")]

mod agents;
mod command_line;
mod commits;
mod conversations;
mod crash;
mod credentials;
mod documents;
mod environments;
mod erasure;
mod files;
mod hearing;
mod images;
mod media;
mod server;
mod triggers;
mod upstream;
