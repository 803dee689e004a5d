//! Vector drawings that a language model writes, and pictures of them.
//!
//! A drawing is a small part of SVG: flat shapes, text and a gradient or two.
//! [`grammar`] keeps a model to it while it writes; [`Drawing::read`] holds any text against the
//! same list and the same bounds, whoever wrote it, and understands it whole or refuses it;
//! [`Drawing::judge`] says what it lacks to be a picture, and [`Drawing::paint`] makes one. Nothing
//! here reads a file or follows a link.
//!
//! [`convert`] is for pictures that others made: it holds them against the same bounds, and gives them in the
//! encoding that is wanted.
//!
//! No time is bounded here: whoever paints what strangers may have written does so in a process of
//! its own.

mod attribute;
mod convert;
mod extent;
mod grammar;
mod judge;
mod paint;
mod read;

pub use convert::{NotConverted, convert};
pub use grammar::{captioned_grammar, grammar};
pub use judge::{Lack, Standard};
pub use paint::{Encoding, NotPainted, Picture};
pub use read::{Drawing, Refused, View, ended};
