//! What is heard in a sound: its bytes become samples within limits, somebody's speech is told from all else, and the
//! speech becomes words with times and a language.
//!
//! | file | concept |
//! |---|---|
//! | `kind` | what the bytes are |
//! | `decode`, `bare`, `intake` | bytes to samples: files, samples without a file, the one form that is listened to |
//! | `voice`, `speech`, `cut` | where somebody speaks, and pieces that end at pauses |
//! | `weights`, `layer`, `mel`, `encoder`, `decoder` | the Whisper network: its file, its sums, sound to features to words |
//! | `vocabulary`, `rules`, `passage` | its tokens, which of them may come next, and which of its answers is believed |
//! | `ear` | all of that, from samples to a transcript |
//! | `report`, `listener` | the same in a process of its own |

use std::time::Duration;

use serde::{Deserialize, Serialize};

mod bare;
mod broken;
mod cut;
mod decode;
mod decoder;
mod ear;
mod encoder;
mod fault;
mod intake;
mod kind;
mod layer;
mod listener;
mod mel;
mod passage;
mod report;
mod rules;
mod speech;
mod vocabulary;
mod voice;
mod weights;

pub use broken::Broken;
pub use decode::decode;
pub use ear::{Ear, Options, Segment, Transcript};
pub use fault::Fault;
pub use listener::{Listener, Unheard};
pub use report::{Checked, Listen, Order, serve};

/// Samples a second that are listened to.
pub const RATE: u32 = 16_000;

/// What a request says of the bytes of a sound (specification 03, `audio`).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claim {
    /// How the bytes begin counts more.
    pub mime_type: Option<String>,
    /// In Hz; only for samples without a file.
    pub sample_rate: Option<u32>,
    /// Only for samples without a file.
    pub channels: Option<u32>,
}

/// Which part of a sound is wanted, and how much that may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Extent {
    /// `start_offset`; its beginning unless given.
    pub start: Option<Duration>,
    /// `end_offset`; its end unless given.
    pub end: Option<Duration>,
    /// More than this is refused.
    pub longest: Duration,
}

impl Default for Extent {
    /// All of a sound that has at most half an hour.
    fn default() -> Self {
        Self { start: None, end: None, longest: Duration::from_secs(1800) }
    }
}

/// A sound that can be listened to.
#[derive(Clone, Debug, PartialEq)]
pub struct Sound {
    /// One channel at [`RATE`], mostly within -1 and 1; only the part that was asked for.
    pub samples: Vec<f32>,
    /// How long the sound is, as far as it was read.
    pub seconds: f64,
    /// What its bytes are.
    pub mime_type: &'static str,
}
