//! Decoded samples on their way to what is listened to: one channel, 16 kHz, only the part that was asked for, and
//! never more of it than is allowed.

use std::time::Duration;

use rubato::audioadapter_buffers::direct::SequentialSlice;
use rubato::{Fft, FixedSync, Indexing, Resampler as _};

use crate::{Extent, Fault, RATE};

/// Sample rates that sound has.
pub(crate) const RATES: std::ops::RangeInclusive<u32> = 4_000..=192_000;

/// More than these are no recording of a room.
pub(crate) const MOST_CHANNELS: usize = 8;

/// In frames; a resampler rounds it to what suits its rates.
const BLOCK: usize = 4096;

/// Louder than anything that samples can say; what lies beyond is damage.
const LOUDEST: f32 = 4.0;

/// Takes the frames of one sound in their order.
pub(crate) struct Intake {
    rate: u32,
    /// Frames that have come, wanted or not.
    frames: u64,
    /// The first one wanted, and the first one not wanted any more.
    wanted: std::ops::Range<u64>,
    /// The first one that is too much.
    limit: u64,
    extent: Extent,
    /// One channel at the sound's own rate, until there is a block of it.
    waiting: Vec<f32>,
    resampler: Option<Fft<f32>>,
    /// Samples at the beginning that are the resampler's delay.
    delay: usize,
    samples: Vec<f32>,
}

/// Whether more is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Appetite {
    More,
    Enough,
}

impl Intake {
    /// # Errors
    /// [`Fault::Field`] for a rate that sound does not have, or a part that ends before it begins.
    pub(crate) fn new(rate: u32, extent: Extent) -> Result<Self, Fault> {
        if !RATES.contains(&rate) {
            let expected = format!("{} to {} Hz", RATES.start(), RATES.end());
            return Err(Fault::Field { field: "sample_rate", expected, got: rate.to_string() });
        }
        let (start, end) = (extent.start.unwrap_or_default(), extent.end.unwrap_or(Duration::MAX));
        if end <= start {
            let expected = format!("more than start_offset, {} seconds", start.as_secs_f64());
            return Err(Fault::Field { field: "end_offset", expected, got: end.as_secs_f64().to_string() });
        }
        let resampler = if rate == RATE {
            None
        } else {
            let made = Fft::new(rate as usize, RATE as usize, BLOCK, 1, FixedSync::Input);
            Some(made.map_err(|error| Fault::undecodable("audio", error.to_string()))?)
        };
        let frames = |time: Duration| (time.as_secs_f64() * f64::from(rate)).round() as u64;
        let wanted = frames(start)..frames(end);
        Ok(Self {
            rate,
            frames: 0,
            limit: wanted.start.saturating_add(frames(extent.longest)),
            wanted,
            extent,
            waiting: Vec::new(),
            delay: resampler.as_ref().map_or(0, |resampler| resampler.output_delay()),
            resampler,
            samples: Vec::new(),
        })
    }

    pub(crate) const fn rate(&self) -> u32 {
        self.rate
    }

    /// Takes frames of `channels` samples each.
    ///
    /// # Errors
    /// [`Fault::TooLong`] when more is wanted than is allowed; [`Fault::Undecodable`] when it cannot be resampled.
    pub(crate) fn take(&mut self, interleaved: &[f32], channels: usize) -> Result<Appetite, Fault> {
        for frame in interleaved.chunks_exact(channels.max(1)) {
            let number = self.frames;
            self.frames += 1;
            if number < self.wanted.start {
                continue;
            }
            if number >= self.wanted.end {
                return Ok(Appetite::Enough);
            }
            if number >= self.limit {
                return Err(Fault::TooLong { longest: self.extent.longest.as_secs() });
            }
            let mixed = frame.iter().sum::<f32>() / frame.len() as f32;
            self.waiting.push(if mixed.is_finite() { mixed.clamp(-LOUDEST, LOUDEST) } else { 0.0 });
        }
        self.resample(false)?;
        Ok(Appetite::More)
    }

    /// The samples at 16 kHz, and how long the sound is as far as it was taken, in seconds.
    ///
    /// # Errors
    /// [`Fault::Field`] when the sound ends before the wanted part of it begins.
    pub(crate) fn end(mut self) -> Result<(Vec<f32>, f64), Fault> {
        let seconds = self.frames as f64 / f64::from(self.rate);
        if self.frames > 0 && self.frames <= self.wanted.start {
            let expected = format!("less than the {seconds:.3} seconds of the audio");
            let got = self.extent.start.unwrap_or_default().as_secs_f64().to_string();
            return Err(Fault::Field { field: "start_offset", expected, got });
        }
        self.resample(true)?;
        Ok((self.samples, seconds))
    }

    /// Moves whole blocks on, or at the end all there is.
    fn resample(&mut self, is_end: bool) -> Result<(), Fault> {
        let Some(resampler) = &mut self.resampler else {
            self.samples.append(&mut self.waiting);
            return Ok(());
        };
        let failed = |error: &dyn std::fmt::Display| Fault::undecodable("audio", error.to_string());
        // After the last frame silence goes in, until all that is in the resampler has come out.
        let kept = self.frames.min(self.wanted.end).saturating_sub(self.wanted.start);
        let wanted = (kept as f64 * f64::from(RATE) / f64::from(self.rate)).ceil() as usize;
        let mut from = 0;
        loop {
            let needed = resampler.input_frames_next();
            let rest = self.waiting.len() - from;
            if rest < needed && !(is_end && self.samples.len() < wanted) {
                break;
            }
            let some = rest.min(needed);
            let mut block = vec![0.0; needed];
            block[..some].copy_from_slice(&self.waiting[from..from + some]);
            let input = SequentialSlice::new(&block, 1, needed).map_err(|error| failed(&error))?;
            let indexing = Indexing::new().partial_len(some);
            let output = resampler.process(&input, Some(&indexing)).map_err(|error| failed(&error))?.take_data();
            let skipped = self.delay.min(output.len());
            self.delay -= skipped;
            self.samples.extend_from_slice(&output[skipped..]);
            from += some;
        }
        self.waiting.drain(..from);
        if is_end {
            self.samples.truncate(wanted);
        }
        Ok(())
    }
}
