//! Why a picture is not looked at, in the words that its sender reads.
//!
//! The caller puts the path of the field before them.

use crate::kind::SUPPORTED;

/// What is wrong with a picture.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Fault {
    #[error("image data is empty")]
    Empty,

    /// Neither the bytes nor their claimed type say what it is.
    #[error("image data is of no known type; expected one of {SUPPORTED}")]
    Unknown,

    #[error("{found} is not supported; expected one of {SUPPORTED}")]
    Unsupported { found: String },

    /// What it is has nothing to do with pictures, or so its claimed type says.
    #[error("image data is {found}, but its mime_type is {claimed}")]
    Mismatch { claimed: String, found: &'static str },

    #[error("image data could not be decoded as {mime_type}: {reason}")]
    Undecodable { mime_type: &'static str, reason: String },

    #[error("image is {width} x {height} pixels; expected at most {most} on each side")]
    Sides { width: u32, height: u32, most: u32 },

    #[error("image has {pixels} pixels; expected at most {most}")]
    Pixels { pixels: u64, most: u64 },

    #[error("image takes more than {most} bytes when it is decoded")]
    Memory { most: u64 },
}

impl Fault {
    /// Whether it is the type, as it is or is said to be, and not the bytes.
    pub fn is_of_type(&self) -> bool {
        match self {
            Self::Unknown | Self::Unsupported { .. } | Self::Mismatch { .. } => true,
            Self::Empty | Self::Undecodable { .. } | Self::Sides { .. } | Self::Pixels { .. } | Self::Memory { .. } => {
                false
            }
        }
    }

    pub(crate) fn undecodable(mime_type: &'static str, reason: &dyn std::fmt::Display) -> Self {
        // The reason may repeat what a file says of itself.
        let reason = reason.to_string().chars().filter(|c| !c.is_control()).take(200).collect();
        Self::Undecodable { mime_type, reason }
    }
}
