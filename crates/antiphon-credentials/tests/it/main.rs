//! Credentials as the server and its users see them, and what of them is on the disk.

mod key;
mod lifecycle;
mod support;
