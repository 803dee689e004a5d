//! Fetching and reading through the public interface, against hostile hosts on the loopback.
//!
//! Cases are numbered as in the design's list for server-side request forgery: `s05` is case S5.
//! The pictures of S13 are not read here: their decoders have the cases.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod addresses;
mod bodies;
mod documents;
mod laws;
mod manners;
mod markup;
mod names;
mod opened;
mod policy;
mod redirects;
mod slow;
mod world;
