//! Media for models on this machine that take them as they are: opened by this executable, in processes of their own.

use std::path::PathBuf;
use std::time::Duration;

use antiphon_backends::{Opened, Opener, SAMPLE_RATE};
use antiphon_engine::{BackendError, Media};
use antiphon_hearing::Listener;
use antiphon_media::Opening;
use antiphon_sight::{Checker, Pixels};
use antiphon_wire::{Code, Error};
use antiphon_worker::protocol::{MOST_SAMPLES, Shape};
use async_trait::async_trait;

/// What a recording may have, so that no more than [`MOST_SAMPLES`] come of it.
const LONGEST: Duration = Duration::from_secs(MOST_SAMPLES as u64 / SAMPLE_RATE as u64);

pub(crate) struct Processes(Opening);

impl Processes {
    /// `executable` is this one.
    pub(crate) fn new(executable: PathBuf) -> Self {
        let sounds = Listener { executable: executable.clone(), arguments: vec!["hear".to_owned()] };
        Self(Opening::new(Checker { program: executable }, sounds))
    }
}

#[async_trait]
impl Opener for Processes {
    async fn image(&self, image: &Media, side: u32) -> Result<Opened, BackendError> {
        let Pixels { width, height, bytes } = self.0.pixels(image, side).await.map_err(refused)?;
        Ok(Opened { shape: Shape::Image { width, height }, data: bytes })
    }

    async fn audio(&self, audio: &Media) -> Result<Opened, BackendError> {
        let data = self.0.samples(audio, LONGEST).await.map_err(refused)?;
        let samples = u32::try_from(data.len() / size_of::<f32>()).unwrap_or(u32::MAX);
        Ok(Opened { shape: Shape::Audio { samples }, data })
    }
}

fn refused(error: Error) -> BackendError {
    if error.code == Code::ServiceUnavailable {
        return BackendError::Unavailable(error.message);
    }
    BackendError::Rejected(format!("`input`: {}", error.message))
}
