//! Agents in real environments and a real sandbox, with a model that obeys whatever it reads; and repositories that hostile servers have.

#![expect(clippy::unwrap_used, clippy::needless_pass_by_value, reason = "a test that cannot go on has failed")]

mod agents;
mod git;
mod injection;
mod obedient;
mod placeholders;
mod repositories;
mod site;
mod unruly;
