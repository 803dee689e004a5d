//! The bytes of one video, and what is decoded of them.
//!
//! They are in a file that has no name and is in no folder, so that nothing of it is left whoever dies when, and no
//! process that decodes it knows of any other place.

use std::fs::File;
use std::io;
use std::time::Duration;

use rustix::fs::{MemfdFlags, memfd_create};

use crate::arguments::{SAMPLE_RATE, Task, arguments};
use crate::decoder::Running;
use crate::length::Length;
use crate::likeness::{Likeness, THUMBNAIL};
use crate::{Broken, Container, Decoded, Decoder, Moments, View};

/// Of the list of all frames, which is as long as it likes.
const PIECE: usize = 64 << 10;

/// Of one picture: more than any that is not made smaller.
const MOST_PICTURE: usize = 64 << 20;

/// The head of a BMP file up to the end of its own length.
const BITMAP_HEAD: usize = 6;

/// A video that can be decoded again and again.
#[derive(Debug)]
pub struct Film {
    decoder: Decoder,
    container: Container,
    file: File,
}

impl Film {
    /// `write` writes the video into a file that it is given; it is what `container` says.
    ///
    /// # Errors
    /// When there is no memory for it, and those of `write`.
    pub async fn new(
        decoder: Decoder,
        container: Container,
        write: impl FnOnce(&mut File) -> io::Result<()> + Send + 'static,
    ) -> Result<Self, Broken> {
        let written = tokio::task::spawn_blocking(move || {
            let mut file = File::from(memfd_create("video", MemfdFlags::CLOEXEC)?);
            write(&mut file)?;
            Ok::<_, io::Error>(file)
        });
        let file = written.await.map_err(|error| Broken::new(&error))?.map_err(|error| Broken::new(&error))?;
        Ok(Self { decoder, container, file })
    }

    pub const fn container(&self) -> Container {
        self.container
    }

    /// How far its frames go from its beginning, but at most a little further than `until`; none when there are no
    /// frames. It is measured, since what a file says of itself need not be so.
    ///
    /// # Errors
    /// This machine's.
    pub async fn length(&self, until: Duration) -> Result<Option<Duration>, Broken> {
        let mut running = self.start(&Task::Measure { until })?;
        let mut length = Length::default();
        loop {
            let piece = running.some(PIECE).await?;
            if piece.is_empty() {
                return Ok(length.get());
            }
            length.read(&piece);
        }
    }

    /// What is seen at these moments at a glance.
    ///
    /// # Errors
    /// This machine's.
    pub async fn view(&self, moments: Moments) -> Result<View, Broken> {
        let most = THUMBNAIL * moments.count() as usize;
        let Decoded { bytes, is_cut } = self.start(&Task::Glance { moments })?.all(most).await?;
        let (thumbnails, _) = bytes.as_chunks();
        let frames: Vec<_> = thumbnails.iter().map(Likeness::of).collect();
        Ok(View::new(moments, &frames, is_cut))
    }

    /// The frames of the moments with these `numbers`, which ascend, no longer than `longest_side` pixels on any side.
    ///
    /// # Errors
    /// This machine's.
    pub fn pictures(&self, moments: Moments, numbers: Vec<usize>, longest_side: u32) -> Result<Pictures, Broken> {
        let rest = numbers.len();
        Ok(Pictures { running: self.start(&Task::Pictures { moments, numbers, longest_side })?, rest })
    }

    /// Its sound from `start` on, at most for `length`: samples at [`SAMPLE_RATE`]. Nothing where there is none.
    ///
    /// # Errors
    /// This machine's.
    pub async fn sound(&self, start: Duration, length: Duration) -> Result<Decoded, Broken> {
        let samples = (length.as_secs_f64() * f64::from(SAMPLE_RATE)).ceil().min(f64::from(u32::MAX));
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "at most 32 bits")]
        let most = 2 * samples as usize;
        self.start(&Task::Sound { start, length })?.all(most).await
    }

    fn start(&self, task: &Task) -> Result<Running, Broken> {
        let file = self.file.try_clone().map_err(|error| Broken::new(&error))?;
        self.decoder.start(file, &arguments(self.container, task))
    }
}

/// Frames that are decoded while they are looked at.
pub struct Pictures {
    running: Running,
    rest: usize,
}

impl Pictures {
    /// The next one, as a BMP file; none when there is no more, or what came is no such file.
    ///
    /// # Errors
    /// This machine's.
    pub async fn next(&mut self) -> Result<Option<Vec<u8>>, Broken> {
        let Some(rest) = self.rest.checked_sub(1) else { return Ok(None) };
        self.rest = rest;
        let mut file = self.running.some(BITMAP_HEAD).await?;
        let &[b'B', b'M', a, b, c, d] = file.as_slice() else { return Ok(None) };
        let size = u32::from_le_bytes([a, b, c, d]) as usize;
        if !(BITMAP_HEAD..=MOST_PICTURE).contains(&size) {
            return Ok(None);
        }
        file.extend(self.running.some(size - BITMAP_HEAD).await?);
        Ok((file.len() == size).then_some(file))
    }
}

#[cfg(test)]
mod tests;
