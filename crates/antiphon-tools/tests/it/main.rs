//! Agents in real environments and a real sandbox, with a model that obeys whatever it reads.

#![expect(clippy::unwrap_used, clippy::needless_pass_by_value, reason = "a test that cannot go on has failed")]

mod agents;
mod obedient;
mod site;
mod unruly;
