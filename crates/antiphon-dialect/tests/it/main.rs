//! The laws of the crate, over templates in the style of the families in use.

#![expect(clippy::expect_used, reason = "the lint knows tests, but not what helps them")]

mod fixtures;
mod grammar;
mod output;
mod template;
