//! The Interactions API over HTTP. No SQL, no model, no environment: what a request
//! means is decided by the engine, and this crate carries it there and back.
//!
//! Read in this order:
//!
//! 1. `router`: every route on one page, and what happens to every request.
//! 2. `access`, `auth` with `keys`, `body`: a request on its way in.
//! 3. `interactions`, `agents`, `models`, `stores`, `files`, `environments`, `credentials`, `triggers`, `upload`,
//!    `health`: the handlers.
//! 4. `sse`, `error`: an answer on its way out.
//! 5. `serve` with `write_timeout`: connections, from the first to the last.

mod access;
mod agents;
mod auth;
mod body;
mod credentials;
mod environments;
mod error;
mod files;
mod health;
mod interactions;
mod keys;
mod media_body;
mod models;
mod page;
mod router;
mod serve;
mod sse;
mod stores;
mod triggers;
mod upload;
mod write_timeout;

pub use keys::{KeyMaker, NewKey};
pub use router::{Limits, Options, router};
pub use serve::serve;
