//! The executable from outside: real processes, real files, loopback connections.

mod command_line;
mod commits;
mod crash;
mod erasure;
mod server;
