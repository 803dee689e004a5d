//! Media at the edge of the machine: real files of projects, and a host on the loopback.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod addresses;
mod documents;
mod world;
