//! What projects keep, without HTTP: what lasts how long, and what is found.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod ending;
mod found;
mod generated;
mod lasting;
mod support;
