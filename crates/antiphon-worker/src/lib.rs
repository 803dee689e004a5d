//! What a model worker is made of, without any model.
//!
//! A model runs in a process of its own, because an engine written in C++ can end the
//! process it lives in. The server and its workers exchange the messages of [`protocol`]
//! over the worker's stdin and stdout. Inside the worker, [`serve`] feeds a
//! [`Scheduler`], which decides what is computed when, and the [`Decoder`] computes it.
//! A [`Guide`] keeps a run to its grammar.
//! Only a `Decoder` knows an engine, so everything else here is tested with the [`Toy`].
//! Models of pictures have a smaller protocol, [`picture`], and a process for each of them.

mod closing;
mod decoder;
mod grammar;
mod held;
pub mod picture;
pub mod protocol;
mod repetition;
mod sampler;
mod scheduler;
mod serve;
mod text;
mod toy;
mod transcript;
mod vocabulary;

pub use decoder::{DecodeError, Decoder, Row};
pub use grammar::{Course, Grammars, Guide};
pub use sampler::Sampler;
pub use scheduler::{Scheduler, Settings};
pub use serve::{ServeError, serve};
pub use toy::Toy;
pub use transcript::Impression;
pub use vocabulary::Vocabulary;
