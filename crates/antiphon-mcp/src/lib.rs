//! Tools of MCP servers: connecting, listing, calling, and what comes back.
//!
//! A server that a request names is reached over HTTP; one that the operator configured may be a
//! process, too. [`McpServers`] opens both as an [`McpServer`]. The protocol is spoken by `rmcp`, in
//! the form before 2026-07-28 and in the one since; what is dialled, sent and taken in is decided in
//! `http` and `stdio`.
//!
//! Everything a server says is hostile: it is bounded, and an [`McpError`] has a text that may be
//! shown and a detail for the log. `rmcp` itself logs whole messages, so whoever writes logs must
//! silence its target, [`NOISY_LOG_TARGET`].

mod connection;
mod error;
mod http;
mod options;
mod remembered;
mod result;
mod server;
mod spec;
mod stdio;
mod tool;

pub use error::{McpError, McpErrorKind};
pub use options::{AddressCheck, Bounds, McpOptions, Timeouts};
pub use result::{McpContent, McpResult, text_for_model, wire_result};
pub use server::{McpServer, McpServers};
pub use spec::{AllowedTools, CallMode, ServerSpec, StdioSpec};
pub use tool::McpTool;

/// The log target under which messages of servers appear: it is to be off.
pub const NOISY_LOG_TARGET: &str = "rmcp";
