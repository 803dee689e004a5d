//! The engine from outside: a scripted model, the memory store, a fixed clock.

#![expect(clippy::unwrap_used, clippy::needless_pass_by_value, reason = "a test that cannot go on has failed")]

mod agent;
mod calls;
mod crash;
mod custom_agents;
mod guidance;
mod media;
mod pace;
mod pictures;
mod research;
mod services;
mod support;
mod tools;
mod views;
