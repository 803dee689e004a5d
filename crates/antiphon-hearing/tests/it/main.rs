//! Bytes of sounds: those that are heard, and hostile ones.
//!
//! The fixtures are 0.6 s of a tone of 440 Hz (`ffmpeg -f lavfi -i sine=440`), in each kind of file.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod decoding;
mod hostile;

use std::path::PathBuf;

use antiphon_hearing::{Claim, Extent, Fault, Sound, decode};

fn fixture(name: &str) -> Vec<u8> {
    // Where the runner says that the sources are now.
    let package = std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
    std::fs::read(PathBuf::from(package).join("fixtures").join(name)).unwrap()
}

fn claim(mime_type: &str) -> Claim {
    Claim { mime_type: Some(mime_type.to_owned()), ..Claim::default() }
}

fn decoded(bytes: &[u8], mime_type: &str) -> Result<Sound, Fault> {
    decode(bytes, &claim(mime_type), Extent::default())
}

/// A wave file of 16 bits around `data`, whose head says what is given.
fn wave(rate: u32, channels: u16, said: u32, data: &[u8]) -> Vec<u8> {
    let mut bytes = b"RIFF".to_vec();
    bytes.extend(said.saturating_add(36).to_le_bytes());
    bytes.extend(b"WAVEfmt \x10\0\0\0\x01\0");
    bytes.extend(channels.to_le_bytes());
    bytes.extend(rate.to_le_bytes());
    bytes.extend(rate.wrapping_mul(u32::from(channels) * 2).to_le_bytes());
    bytes.extend(channels.wrapping_mul(2).to_le_bytes());
    bytes.extend(b"\x10\0data");
    bytes.extend(said.to_le_bytes());
    bytes.extend(data);
    bytes
}

/// So many samples of a tone, of 16 bits.
fn tone(samples: u32, rate: u32, hertz: f64) -> Vec<u8> {
    let value = |index| (f64::from(index) * hertz * std::f64::consts::TAU / f64::from(rate)).sin() * 12_000.0;
    (0..samples).flat_map(|index| (value(index) as i16).to_le_bytes()).collect()
}

/// How many times a second the samples rise through zero.
fn pitch(samples: &[f32]) -> f64 {
    let rises = samples.windows(2).filter(|pair| pair[0] < 0.0 && pair[1] >= 0.0).count();
    rises as f64 * f64::from(antiphon_hearing::RATE) / samples.len() as f64
}
