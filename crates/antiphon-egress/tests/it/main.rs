//! The proxy as programs meet it: what reaches a host, and what does not. The public internet is
//! two servers on loopback, where checked addresses are dialled; nothing leaves the machine.
#![expect(clippy::unwrap_used, reason = "tests")]

mod cases;
mod credentials;
mod limits;
mod placeholders;
mod world;
