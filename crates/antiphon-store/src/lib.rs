//! Interactions, their logs, their runs and the API's keys, in one SQLite file.
//!
//! [`SqliteStore`] passes the contract suite of `antiphon-testkit` and is open to several
//! processes at once: the command line works on the same file beside a running server.
//! Only serving is exclusive, by [`DataLock`].
//!
//! * `writer`: the one thread that writes; what waits is committed together.
//! * `readers`: a few connections that only read.
//! * `chain`: where an interaction stands in its conversation, and the conversation's
//!   history.
//! * `content`: what people and models said, sealed with a key of its own interaction.
//! * `accept`, `log`, `run`, `erase`, `key`: one file for each group of the trait's
//!   methods.

mod accept;
mod chain;
mod connection;
mod content;
mod erase;
mod error;
mod key;
mod lock;
mod log;
mod medium;
mod migrate;
mod readers;
mod run;
mod sqlite;
mod writer;

pub use lock::DataLock;
pub use sqlite::{SqliteStore, StoreOptions};
pub use writer::{FaultHook, FaultPoint};
