//! The keys of media that models do not take.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// What becomes of media in requests.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Media {
    /// Of those that the model does not take.
    pub(crate) fallback: Fallback,
    /// Whether they are fetched over plain `http` too.
    pub(crate) http: bool,
    /// What decodes videos; without it, the `ffmpeg` of the `PATH`.
    pub(crate) ffmpeg: Option<PathBuf>,
}

impl Media {
    /// Makes paths relative to the folder of the file that names them.
    pub(super) fn place_in(&mut self, folder: &Path) {
        if let Some(ffmpeg) = &mut self.ffmpeg {
            *ffmpeg = folder.join(&ffmpeg);
        }
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Fallback {
    /// Text is made of them.
    #[default]
    Perceive,
    Reject,
}
