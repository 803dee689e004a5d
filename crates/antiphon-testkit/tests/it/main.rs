//! The doubles keep their contracts, and the repository what it promises as a whole.

mod checkouts;
mod memory;
mod tidy;
