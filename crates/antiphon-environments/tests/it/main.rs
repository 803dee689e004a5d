//! Environments without HTTP: how they begin and end, who has them, and what hostile programs and
//! archives cannot do through them.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod archives;
mod hostile;
mod idle;
mod leases;
mod lifecycle;
mod network;
mod repositories;
mod support;
mod uploads;
mod variables;
