//! MCP servers through the public interface: real ones of both lifecycles and scripted ones, on the
//! loopback, and processes.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod calls;
mod headers;
mod hostile;
mod listings;
mod results;
mod servers;
mod stdio;
