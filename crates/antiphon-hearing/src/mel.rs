//! What Whisper is shown of a sound: how strong each of 80 bands is, 100 times a second, as a logarithm.
//!
//! The parameters are those that the network was trained with: windows of 25 ms every 10 ms, bands of equal width on
//! Slaney's mel scale (linear below 1 kHz, logarithmic above) and of equal area.

use std::f64::consts::PI;
use std::sync::Arc;

use realfft::{RealFftPlanner, RealToComplex};

use crate::RATE;

/// Bands.
pub(crate) const BANDS: usize = 80;

/// Samples from one frame to the next.
pub(crate) const HOP: usize = 160;

/// Samples that one frame is of.
const WINDOW: usize = 400;

/// Frequencies that come of a window.
const BINS: usize = WINDOW / 2 + 1;

/// Weaker than this is silence.
const FLOOR: f32 = 1e-10;

pub(crate) struct Mel {
    window: Vec<f32>,
    /// For each band, the first bin that it holds and how much of each.
    filters: Vec<(usize, Vec<f32>)>,
    transform: Arc<dyn RealToComplex<f32>>,
}

impl Mel {
    pub(crate) fn new() -> Self {
        let hann = |index| 0.5 - 0.5 * (2.0 * PI * f64::from(index) / WINDOW as f64).cos();
        Self {
            window: (0..WINDOW as u32).map(|index| hann(index) as f32).collect(),
            filters: (0..BANDS).map(filter).collect(),
            transform: RealFftPlanner::new().plan_fft_forward(WINDOW),
        }
    }

    /// The frames of `samples` and of the silence behind them, `frames` in all, one after another.
    pub(crate) fn of(&self, samples: &[f32], frames: usize) -> Vec<f32> {
        let mut features = vec![FLOOR; frames * BANDS];
        let (mut input, mut output) = (self.transform.make_input_vec(), self.transform.make_output_vec());
        let mut scratch = self.transform.make_scratch_vec();
        for (frame, bands) in features.chunks_exact_mut(BANDS).enumerate() {
            // Its middle is where the frame is; beyond the beginning the sound is mirrored.
            let start = (frame * HOP) as isize - (WINDOW / 2) as isize;
            if start >= samples.len() as isize {
                break;
            }
            for (offset, (value, weight)) in input.iter_mut().zip(&self.window).enumerate() {
                let at = (start + offset as isize).unsigned_abs();
                *value = samples.get(at).copied().unwrap_or_default() * weight;
            }
            if self.transform.process_with_scratch(&mut input, &mut output, &mut scratch).is_err() {
                continue;
            }
            for (band, (first, weights)) in bands.iter_mut().zip(&self.filters) {
                let power = output[*first..].iter().zip(weights).map(|(bin, weight)| bin.norm_sqr() * weight);
                *band = power.sum::<f32>().max(FLOOR);
            }
        }
        let mut loudest = f32::MIN;
        for value in &mut features {
            *value = value.log10();
            loudest = loudest.max(*value);
        }
        for value in &mut features {
            *value = (value.max(loudest - 8.0) + 4.0) / 4.0;
        }
        features
    }
}

/// The triangle of one band, over the bins.
fn filter(band: usize) -> (usize, Vec<f32>) {
    let edge = |number: usize| hertz(mels(f64::from(RATE) / 2.0) * number as f64 / (BANDS + 1) as f64);
    let (low, middle, high) = (edge(band), edge(band + 1), edge(band + 2));
    let weight = |bin: usize| {
        let frequency = bin as f64 * f64::from(RATE) / WINDOW as f64;
        let slope = ((frequency - low) / (middle - low)).min((high - frequency) / (high - middle));
        (slope.max(0.0) * 2.0 / (high - low)) as f32
    };
    let first = (0..BINS).find(|&bin| weight(bin) > 0.0).unwrap_or(0);
    (first, (first..BINS).map(weight).take_while(|&weight| weight > 0.0).collect())
}

/// Where the scale becomes logarithmic: 1 kHz, 15 mels, 27 mels for a factor of 6.4.
const BEND: (f64, f64) = (1000.0, 15.0);

fn mels(hertz: f64) -> f64 {
    if hertz < BEND.0 { hertz * BEND.1 / BEND.0 } else { (hertz / BEND.0).ln().mul_add(27.0 / 6.4_f64.ln(), BEND.1) }
}

fn hertz(mels: f64) -> f64 {
    if mels < BEND.1 { mels * BEND.0 / BEND.1 } else { BEND.0 * ((mels - BEND.1) * 6.4_f64.ln() / 27.0).exp() }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Values of the table that OpenAI publishes with the network.
    #[test]
    fn the_bands_are_those_that_the_network_was_trained_with() {
        let value = |band: usize, bin: usize| {
            let (first, weights) = filter(band);
            bin.checked_sub(first).and_then(|at| weights.get(at)).copied().unwrap_or_default()
        };
        for (band, bin, expected) in EXPECTED {
            assert!((value(band, bin) - expected).abs() < 1e-6, "{band} {bin}: {} and {expected}", value(band, bin));
        }
        let (first, weights) = filter(79);
        assert_eq!((first, weights.len()), (186, 14));
    }

    /// Band, bin, weight.
    const EXPECTED: [(usize, usize, f32); 10] = [
        (0, 1, 2.486_259_5e-2),
        (0, 2, 0.0),
        (1, 2, 2.287_177_2e-2),
        (10, 10, 1.990_821_8e-2),
        (20, 20, 1.389_039_4e-2),
        (24, 25, 0.0),
        (40, 43, 1.473_557e-2),
        (60, 96, 7.978_491_5e-4),
        (70, 139, 2.288_057_7e-3),
        (79, 195, 2.243_795_2e-3),
    ];

    #[test]
    fn a_tone_is_in_its_band_and_silence_is_the_floor() {
        let mel = Mel::new();
        let tone: Vec<f32> =
            (0..16_000).map(|index| (f64::from(index) * 2.0 * PI * 1000.0 / 16_000.0).sin() as f32).collect();
        let features = mel.of(&tone, 200);
        let loudest = |frame: usize| {
            let bands = &features[frame * BANDS..(frame + 1) * BANDS];
            (0..BANDS).max_by(|&a, &b| bands[a].total_cmp(&bands[b]))
        };
        let expected = (0..BANDS).min_by(|&a, &b| {
            let distance = |band: usize| (mels(1000.0) - mels(8000.0) * (band + 1) as f64 / 81.0).abs();
            distance(a).total_cmp(&distance(b))
        });
        assert_eq!(loudest(50), expected);
        let floor = features.iter().copied().fold(f32::MAX, f32::min);
        assert!(features[150 * BANDS..].iter().all(|&value| value == floor), "8 decades below the loudest");
        let highest = features.iter().copied().fold(f32::MIN, f32::max);
        assert!((highest - floor - 2.0).abs() < 1e-6);
    }
}
