//! Documents as they come: those of real programs, and those of people who mean harm. All are read
//! as the server reads them, in a process of their own.

mod confined;
mod files;
mod hostile;
mod mutations;
mod options;
mod pdf;
mod tables;
mod world;
