//! What is no sound, or lies about itself, is refused in words that its sender understands, and costs little.

use std::time::Duration;

use antiphon_hearing::{Claim, Extent, Fault, decode};
use pretty_assertions::assert_eq;
use proptest::prelude::*;

use crate::{claim, decoded, fixture, tone, wave};

fn refused(bytes: &[u8], mime_type: &str) -> String {
    decoded(bytes, mime_type).unwrap_err().to_string()
}

#[test]
fn what_is_no_sound_is_refused_by_name() {
    assert_eq!(refused(b"", "audio/wav"), "audio data is empty");
    assert_eq!(
        refused(b"%PDF-1.7 ...", "audio/mpeg"),
        "audio data is application/pdf, but its mime_type is audio/mpeg"
    );
    let supported = "audio/wav, audio/mp3, audio/mpeg, audio/aiff, audio/aac, audio/ogg, audio/opus, audio/flac, \
         audio/m4a, audio/mp4, audio/webm, audio/l16, audio/alaw, audio/mulaw";
    assert_eq!(
        refused(b"#!AMR\n...", "audio/amr"),
        format!("mime_type: `audio/amr` is not supported; expected one of {supported}")
    );
    let unnamed = decode(&[7; 100], &Claim::default(), Extent::default()).unwrap_err().to_string();
    assert_eq!(unnamed, format!("audio data is of no known type; expected one of {supported}"));
    for mime_type in ["audio/wav", "audio/mpeg", "audio/mp4", "audio/flac", "audio/ogg", "audio/webm", "audio/aac"] {
        let message = refused(&[0x42; 5_000], mime_type);
        assert!(message.starts_with(&format!("audio data could not be decoded as {mime_type}: ")), "{message}");
    }
}

#[test]
fn a_file_that_is_cut_gives_its_beginning_or_a_fault() {
    for (file, mime_type) in [
        ("tone.wav", "audio/wav"),
        ("tone.aiff", "audio/aiff"),
        ("tone.mp3", "audio/mpeg"),
        ("tone.m4a", "audio/mp4"),
        ("tone.aac", "audio/aac"),
        ("tone.ogg", "audio/ogg"),
        ("tone.opus", "audio/ogg"),
        ("tone.webm", "audio/webm"),
        ("tone.flac", "audio/flac"),
    ] {
        let whole = fixture(file);
        for part in [4, 12, 40, 100, whole.len() / 2, whole.len() - 1] {
            match decoded(&whole[..part], mime_type) {
                Ok(sound) => assert!(sound.seconds < 0.72, "{file} cut after {part}"),
                Err(Fault::Undecodable { mime_type: named, .. }) => assert_eq!(named, mime_type),
                Err(fault) => panic!("{file} cut after {part}: {fault}"),
            }
        }
    }
}

#[test]
fn a_head_that_lies_is_not_believed() {
    let data = tone(1_600, 16_000, 400.0);
    // Says 4 GB, has a tenth of a second.
    let sound = decoded(&wave(16_000, 1, u32::MAX, &data), "audio/wav").unwrap();
    assert_eq!(sound.samples.len(), 1_600);
    let no_channels = refused(&wave(16_000, 0, 3_200, &data), "audio/wav");
    assert!(no_channels.starts_with("audio data could not be decoded as audio/wav: "), "{no_channels}");
    let many = refused(&wave(16_000, 2_000, 4_000, &[0; 4_000]), "audio/wav");
    assert!(many.starts_with("audio data could not be decoded as audio/wav: "), "{many}");
    assert_eq!(refused(&wave(1, 1, 3_200, &data), "audio/wav"), "sample_rate: expected 4000 to 192000 Hz, got 1");
    let fast = refused(&wave(4_000_000_000, 1, 3_200, &data), "audio/wav");
    assert_eq!(fast, "sample_rate: expected 4000 to 192000 Hz, got 4000000000");
    assert!(
        refused(&wave(0, 1, 3_200, &data), "audio/wav").contains("expected 4000 to 192000 Hz, got 0") || {
            let message = refused(&wave(0, 1, 3_200, &data), "audio/wav");
            message.starts_with("audio data could not be decoded as audio/wav: ")
        }
    );
    let empty = refused(&wave(16_000, 1, 0, &[]), "audio/wav");
    assert_eq!(empty, "audio data could not be decoded as audio/wav: there is no sound in it");
}

#[test]
fn samples_that_are_no_numbers_are_silence() {
    let mut bytes = wave(16_000, 1, 4_000, &[]);
    // 32-bit floating point.
    bytes[20..22].copy_from_slice(&3_u16.to_le_bytes());
    bytes[28..32].copy_from_slice(&64_000_u32.to_le_bytes());
    bytes[32..36].copy_from_slice(&[4, 0, 32, 0]);
    bytes.extend(
        [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 1e30, 0.25]
            .repeat(200)
            .iter()
            .flat_map(|value| value.to_le_bytes()),
    );
    let sound = decoded(&bytes, "audio/wav").unwrap();
    assert_eq!(sound.samples.len(), 1_000);
    assert!(sound.samples.iter().all(|sample| sample.is_finite() && sample.abs() <= 4.0));
    assert_eq!(sound.samples[4], 0.25);
}

#[test]
fn an_hour_of_silence_in_a_small_file_is_stopped_at_the_limit() {
    // Each frame says of a block of samples that they are all the same.
    let bytes = silent_flac(3600);
    assert!(bytes.len() < 200_000, "{}", bytes.len());
    let extent = Extent { longest: Duration::from_secs(60), ..Extent::default() };
    let refused = decode(&bytes, &claim("audio/flac"), extent).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "audio is longer than the 60 seconds that are allowed; ask for a part with start_offset and end_offset"
    );
}

#[test]
fn what_stands_beside_the_bytes_is_bounded_too() {
    let check = |claim: Claim, expected: &str| {
        assert_eq!(decode(&[0; 4_000], &claim, Extent::default()).unwrap_err().to_string(), expected);
    };
    let linear = || claim("audio/l16");
    check(Claim { channels: Some(0), ..linear() }, "channels: expected 1 to 8, got 0");
    check(Claim { channels: Some(u32::MAX), ..linear() }, "channels: expected 1 to 8, got 4294967295");
    check(Claim { sample_rate: Some(3_999), ..linear() }, "sample_rate: expected 4000 to 192000 Hz, got 3999");
}

/// Silence of so many seconds at 16 kHz: blocks of 4096 samples, each said to be all the same.
fn silent_flac(seconds: u64) -> Vec<u8> {
    const BLOCK: u64 = 4096;
    let mut bytes = b"fLaC\x80\0\0\x22".to_vec();
    bytes.extend([(BLOCK as u16).to_be_bytes(), (BLOCK as u16).to_be_bytes()].concat());
    bytes.extend([0; 6]);
    // 20 bits of rate, 3 of channels less one, 5 of bits less one, 36 of samples.
    let packed: u64 = 16_000 << 44 | 15 << 36 | (seconds * 16_000);
    bytes.extend(packed.to_be_bytes());
    bytes.extend([0; 16]);
    for number in 0..seconds * 16_000 / BLOCK {
        let mut frame = vec![0xff, 0xf8, 0xc5, 0x08];
        // The number as UTF-8 would have it.
        let number = u32::try_from(number).unwrap();
        frame.extend(char::from_u32(number).unwrap().to_string().bytes());
        frame.push(crc8(&frame));
        frame.extend([0, 0, 0]);
        frame.extend(crc16(&frame).to_be_bytes());
        bytes.extend(frame);
    }
    bytes
}

fn crc8(bytes: &[u8]) -> u8 {
    bytes
        .iter()
        .fold(0, |sum, byte| (0..8).fold(sum ^ byte, |sum, _| sum << 1 ^ if sum & 0x80 == 0 { 0 } else { 0x07 }))
}

fn crc16(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0, |sum, byte| {
        (0..8).fold(sum ^ u16::from(*byte) << 8, |sum, _| sum << 1 ^ if sum & 0x8000 == 0 { 0 } else { 0x8005 })
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn damage_anywhere_gives_a_sound_or_a_fault(
        file in prop::sample::select(vec!["tone.mp3", "tone.m4a", "tone.ogg", "tone.opus", "tone.webm", "tone.flac", "tone.wav"]),
        places in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..20),
    ) {
        let mut bytes = fixture(file);
        for (place, value) in places {
            let place = place.index(bytes.len());
            bytes[place] = value;
        }
        let extent = Extent { longest: Duration::from_secs(30), ..Extent::default() };
        match decode(&bytes, &claim("audio/mpeg"), extent) {
            Ok(sound) => prop_assert!(sound.samples.iter().all(|sample| sample.is_finite())),
            Err(fault) => prop_assert!(fault.to_string().len() < 600),
        }
    }
}
