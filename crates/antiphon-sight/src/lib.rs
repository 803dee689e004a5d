//! What is seen in a picture without a model of vision: its writing, a few labels that may fit, its colours.
//!
//! [`decode`] makes pixels of bytes within limits, [`check`] tells beforehand whether it would; an [`Eye`] holds the
//! networks and looks. Nothing here opens a connection. No time is bounded here: whoever looks at what strangers sent
//! does so in a process of its own.
//!
//! | file | concept |
//! |---|---|
//! | `kind`, `picture` | what the bytes are, and bytes to pixels |
//! | `eye` | all of the rest, from pixels to what is seen |
//! | `network` | networks and how pictures are given to them |
//! | `region`, `geometry` | a map of where writing is, to tilted rectangles around its lines |
//! | `crop`, `alphabet` | one line as a picture, and the network's answer as text |
//! | `order` | lines in the order of reading |
//! | `looker` | the same in a process of its own |
//! | `label`, `colour` | what may be on it, and what it is painted in |

mod alphabet;
mod colour;
mod crop;
mod eye;
mod fault;
mod geometry;
mod kind;
mod label;
mod looker;
mod network;
mod order;
mod picture;
mod region;

pub use colour::Colour;
pub use eye::{Eye, Label, Line, Paths, Resolution, Seen};
pub use fault::Fault;
pub use geometry::Point;
pub use looker::{Checker, FAULT, FAULT_OF_TYPE, Looker, MOST_BYTES, NotSeen};
pub use network::Broken;
pub use picture::{Limits, Picture, Pixels, check, decode};
