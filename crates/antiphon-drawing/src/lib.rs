//! Vector drawings that a language model writes, and pictures of them.
//!
//! A drawing is a small part of SVG: flat shapes, text and a gradient or two.
//! [`grammar`] keeps a model to it while it writes; [`Drawing::read`] holds any text against the
//! same list and the same bounds, whoever wrote it, and understands it whole or refuses it;
//! [`Drawing::judge`] says what it lacks to be a picture, and [`Drawing::paint`] makes one. Nothing
//! here reads a file or follows a link.
//!
//! No time is bounded here: whoever paints what strangers may have written does so in a process of
//! its own.

mod attribute;
mod extent;
mod grammar;
mod judge;
mod paint;
mod read;

pub use grammar::grammar;
pub use judge::Lack;
pub use paint::{Encoding, NotPainted, Picture};
pub use read::{Drawing, Refused, View};
