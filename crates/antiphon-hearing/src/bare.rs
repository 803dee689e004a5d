//! Samples without a file around them, whose rate and channels stand in the request: `audio/l16` and the two laws of
//! telephony (ITU-T G.711).

use crate::intake::{Appetite, Intake, MOST_CHANNELS};
use crate::kind::Bare;
use crate::{Claim, Extent, Fault};

/// Frames that are read at a time.
const BLOCK: usize = 4096;

/// Reads them at the claimed rate, or else at what is usual: 16 kHz, and 8 kHz on the telephone.
pub(crate) fn read(bytes: &[u8], bare: Bare, claim: &Claim, extent: Extent) -> Result<(Vec<f32>, f64), Fault> {
    let rate = claim.sample_rate.or_else(|| rate_of(claim.mime_type.as_deref()?)).unwrap_or(match bare {
        Bare::Linear16 => 16_000,
        Bare::ALaw | Bare::MuLaw => 8_000,
    });
    let channels = claim.channels.unwrap_or(1) as usize;
    if !(1..=MOST_CHANNELS).contains(&channels) {
        let expected = format!("1 to {MOST_CHANNELS}");
        return Err(Fault::Field { field: "channels", expected, got: channels.to_string() });
    }
    let mut intake = Intake::new(rate, extent)?;
    let sample_bytes = if bare == Bare::Linear16 { 2 } else { 1 };
    if bytes.len() < sample_bytes * channels {
        return Err(Fault::Empty);
    }
    let is_big_endian = bare == Bare::Linear16 && is_big_endian(bytes);
    for block in bytes.chunks(BLOCK * sample_bytes * channels) {
        let samples: Vec<f32> = match bare {
            Bare::Linear16 => linear(block, is_big_endian).map(|sample| f32::from(sample) / 32_768.0).collect(),
            Bare::ALaw => block.iter().map(|&byte| f32::from(a_law(byte)) / 32_768.0).collect(),
            Bare::MuLaw => block.iter().map(|&byte| f32::from(mu_law(byte)) / 32_768.0).collect(),
        };
        if intake.take(&samples, channels)? == Appetite::Enough {
            break;
        }
    }
    intake.end()
}

/// What `audio/L16;rate=24000` says (RFC 2586).
fn rate_of(mime_type: &str) -> Option<u32> {
    mime_type.split(';').skip(1).find_map(|parameter| parameter.trim().strip_prefix("rate=")?.parse().ok())
}

fn linear(bytes: &[u8], is_big_endian: bool) -> impl Iterator<Item = i16> {
    bytes
        .as_chunks()
        .0
        .iter()
        .map(move |&pair| if is_big_endian { i16::from_be_bytes(pair) } else { i16::from_le_bytes(pair) })
}

/// RFC 2586 has the high byte first, Google's own services have it last. Read the wrong way round a wave is noise: the
/// right way is the smoother one.
fn is_big_endian(bytes: &[u8]) -> bool {
    let roughness = |is_big_endian| {
        let mut samples = linear(&bytes[..bytes.len().min(1 << 20)], is_big_endian).map(i64::from);
        let mut before = samples.next().unwrap_or_default();
        samples.map(|sample| (std::mem::replace(&mut before, sample) - sample).abs()).sum::<i64>()
    };
    roughness(true) < roughness(false)
}

/// One byte of A-law as 16 bits.
const fn a_law(byte: u8) -> i16 {
    let byte = byte ^ 0x55;
    let (exponent, mantissa) = ((byte >> 4) & 7, (byte & 15) as i16);
    let size = match exponent {
        0 => (mantissa << 4) + 8,
        exponent => ((mantissa << 4) + 0x108) << (exponent - 1),
    };
    if byte & 0x80 == 0 { -size } else { size }
}

/// One byte of µ-law as 16 bits.
const fn mu_law(byte: u8) -> i16 {
    let byte = !byte;
    let (exponent, mantissa) = ((byte >> 4) & 7, (byte & 15) as i16);
    let size = (((mantissa << 3) + 0x84) << exponent) - 0x84;
    if byte & 0x80 == 0 { size } else { -size }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_laws_give_the_values_of_the_recommendation() {
        // Ends and middles of G.711's tables, as 16 bits.
        assert_eq!([0xd5, 0x55, 0xaa, 0x2a, 0x80].map(a_law), [8, -8, 32_256, -32_256, 5_504]);
        assert_eq!([0xff, 0x7f, 0x80, 0x00, 0xf0].map(mu_law), [0, 0, 32_124, -32_124, 120]);
    }

    #[test]
    fn the_order_of_bytes_is_the_one_that_makes_a_wave() {
        let wave = |index: i32| (f64::from(index) / 9.0).sin().mul_add(9_000.0, 100.0) as i16;
        let little: Vec<u8> = (0..900).flat_map(|index| wave(index).to_le_bytes()).collect();
        let big: Vec<u8> = (0..900).flat_map(|index| wave(index).to_be_bytes()).collect();
        assert!(!is_big_endian(&little));
        assert!(is_big_endian(&big));
    }

    #[test]
    fn a_rate_may_stand_in_the_type() {
        assert_eq!(rate_of("audio/L16; codec=pcm; rate=24000"), Some(24_000));
        assert_eq!(rate_of("audio/L16;rate=fast"), None);
    }
}
