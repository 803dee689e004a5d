//! Upstream models through their public interface, against services on the loopback.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod behaviour;
mod failures;
mod media;
mod pictures;
mod routing;
mod service;
mod table;
