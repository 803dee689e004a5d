//! Every provider against a service that says what a test wants, and the corpus on disk.
#![expect(clippy::unwrap_used, reason = "tests")]

mod contract;
mod folders;
mod mediawiki;
mod questions;
mod requests;
mod service;
mod stores;
