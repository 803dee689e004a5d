//! The executable from outside: real processes, real files, loopback connections.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on has failed")]

mod agent_crashes;
mod agents;
mod brush;
mod chat;
mod client;
mod command_line;
mod commits;
mod conversations;
mod crash;
mod credentials;
mod diffusion;
mod documents;
mod environment_crashes;
mod environments;
mod erasure;
mod files;
mod hearing;
mod hostile_drawings;
mod hostile_media;
mod images;
mod long_task;
#[path = "../../../antiphon-blobs/tests/it/lookalike.rs"]
mod lookalike;
mod mcp;
#[expect(dead_code, reason = "the tests that it belongs to need more of it")]
#[path = "../../../antiphon-mcp/tests/it/servers.rs"]
mod mcp_servers;
mod media;
mod media_memory;
mod pages;
mod research;
mod server;
mod triggers;
mod upstream;
mod video;
