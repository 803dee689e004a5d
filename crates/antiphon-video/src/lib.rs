//! What is in a video: frames at moments that are spread over it, which of them differ, and its sound as samples.
//!
//! Videos are decoded by `ffmpeg`, a program that need not be there. It is hardened by no language, and the bytes are
//! a stranger's: it runs in a process that has bounded itself first, is told what the bytes are instead of guessing,
//! reads them from memory alone, and is believed in nothing but in what it has decoded, whatever its exit code says.
//!
//! | file | concept |
//! |---|---|
//! | `container` | what the bytes are, and which of the kinds of file are decoded at all |
//! | `moments` | when a video is looked at (pure) |
//! | `arguments` | what `ffmpeg` is asked for, as its command line (pure) |
//! | `decoder` | a process that decodes, its time and how much it may say |
//! | `film` | the bytes of one video, and what is decoded of them |
//! | `length` | how far its frames go (pure) |
//! | `likeness`, `scene` | frames that look alike, and those that are worth a closer look (pure) |

mod arguments;
mod container;
mod decoder;
mod film;
mod length;
mod likeness;
mod moments;
mod scene;

pub use arguments::SAMPLE_RATE;
pub use container::{Container, SUPPORTED};
pub use decoder::{BROKEN, Broken, Decoded, Decoder};
pub use film::{Film, Pictures};
pub use moments::{MOST_FRAMES, Moments};
pub use scene::{Scene, View};
