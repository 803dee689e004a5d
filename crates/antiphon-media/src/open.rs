//! Media for models that take pixels and samples: what is in a file, found out by a process of its own.

use std::time::Duration;

use antiphon_engine::{Media, MediaKind};
use antiphon_hearing::{Claim, Listener};
use antiphon_sight::{Checker, Pixels};
use antiphon_wire::{Error, MediaOptions};
use tokio::sync::Semaphore;

use crate::source::source;
use crate::{picture, sound};

/// Files that are opened at one time. Each takes a core, and memory.
const AT_ONCE: usize = 2;

/// What opens media.
#[derive(Debug)]
pub struct Opening {
    pictures: Checker,
    sounds: Listener,
    turns: Semaphore,
}

impl Opening {
    pub fn new(pictures: Checker, sounds: Listener) -> Self {
        Self { pictures, sounds, turns: Semaphore::new(AT_ONCE) }
    }

    /// The pixels of an image, with at most `side` of them on the longest side.
    ///
    /// # Errors
    /// The image's; the path begins at the part of the request that holds it.
    pub async fn pixels(&self, image: &Media, side: u32) -> Result<Pixels, Error> {
        let _turn = self.turns.acquire().await.map_err(|_| Error::internal())?;
        let claimed = Some(image.mime_type.as_str()).filter(|claimed| !claimed.is_empty());
        self.pictures.pixels(source(&image.data), claimed, side).await.map_err(picture::refused)
    }

    /// The samples of a recording, or of the part of it that is asked for, which is no longer than `longest`: `f32` in
    /// little-endian order, of one channel at [`antiphon_hearing::RATE`].
    ///
    /// # Errors
    /// The recording's, as [`Opening::pixels`].
    pub async fn samples(&self, audio: &Media, longest: Duration) -> Result<Vec<u8>, Error> {
        let _turn = self.turns.acquire().await.map_err(|_| Error::internal())?;
        let MediaOptions { sample_rate, channels, .. } = *audio.options;
        let mime_type = Some(audio.mime_type.clone()).filter(|claimed| !claimed.is_empty());
        let claim = Claim { mime_type, sample_rate, channels };
        let extent = antiphon_hearing::Extent { longest, ..sound::extent(&audio.options) };
        let samples = self.sounds.samples(source(&audio.data), claim, extent).await;
        samples.map_err(|why| sound::refused(why, MediaKind::Audio))
    }
}
