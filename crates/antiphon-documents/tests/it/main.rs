//! Documents as they come: those of real programs, and those of people who mean harm. All are read
//! as the server reads them, in a process of their own.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod confined;
mod files;
mod hostile;
mod mutations;
mod options;
mod pdf;
mod tables;
mod world;
