//! Every kind of sound is heard as it is, whatever it is called, and in the part that is asked for.

use std::time::Duration;

use antiphon_hearing::{Claim, Extent, Fault, RATE, decode};
use pretty_assertions::assert_eq;

use crate::{claim, decoded, fixture, pitch, tone, wave};

#[test]
fn every_kind_of_file_gives_the_same_tone() {
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
        let sound = decoded(&fixture(file), mime_type).unwrap();
        assert_eq!(sound.mime_type, mime_type, "{file}");
        // Encoders put silence around a sound.
        assert!((0.59..0.72).contains(&sound.seconds), "{file}: {} s", sound.seconds);
        assert!((sound.samples.len() as f64 / f64::from(RATE) - sound.seconds).abs() < 0.001, "{file}");
        let middle = &sound.samples[3_200..8_000];
        assert!((pitch(middle) - 440.0).abs() < 5.0, "{file}: {} Hz", pitch(middle));
        let loudest = middle.iter().copied().fold(0.0, f32::max);
        // Made stereo it is quieter.
        assert!((0.08..0.15).contains(&loudest), "{file}: {loudest}");
    }
}

#[test]
fn a_wrong_name_of_the_same_family_does_no_harm() {
    assert_eq!(decoded(&fixture("tone.flac"), "audio/mp3").unwrap().mime_type, "audio/flac");
    let unnamed = decode(&fixture("tone.mp3"), &Claim::default(), Extent::default());
    assert_eq!(unnamed.unwrap().mime_type, "audio/mpeg");
}

#[test]
fn samples_without_a_file_are_read_at_the_rate_that_is_claimed() {
    let stereo = |samples: Vec<u8>| -> Vec<u8> { samples.chunks(2).flat_map(|pair| [pair, pair].concat()).collect() };
    let linear = Claim { sample_rate: Some(24_000), channels: Some(2), ..claim("audio/l16") };
    let sound = decode(&stereo(tone(24_000, 24_000, 300.0)), &linear, Extent::default()).unwrap();
    assert_eq!((sound.seconds, sound.samples.len()), (1.0, 16_000));
    assert!((pitch(&sound.samples[800..15_200]) - 300.0).abs() < 3.0);
    let telephone = decode(&[0xd5; 4_000], &claim("audio/alaw"), Extent::default()).unwrap();
    assert_eq!((telephone.seconds, telephone.samples.len()), (0.5, 8_000));
}

#[test]
fn a_part_is_the_one_that_was_asked_for() {
    let bytes = wave(16_000, 1, 96_000, &[tone(16_000, 16_000, 200.0), tone(32_000, 16_000, 800.0)].concat());
    let part = |start: u64, end: u64| Extent {
        start: Some(Duration::from_millis(start)),
        end: Some(Duration::from_millis(end)),
        ..Extent::default()
    };
    let sound = decode(&bytes, &claim("audio/wav"), part(1_000, 2_000)).unwrap();
    assert_eq!(sound.samples.len(), 16_000);
    assert!((pitch(&sound.samples) - 800.0).abs() < 5.0);
    assert_eq!(decode(&bytes, &claim("audio/wav"), part(2_500, 9_000)).unwrap().samples.len(), 8_000);

    let field = |extent| match decode(&bytes, &claim("audio/wav"), extent) {
        Err(Fault::Field { field, expected, got }) => (field, expected, got),
        other => panic!("{other:?}"),
    };
    assert_eq!(
        field(part(5_000, 6_000)),
        ("start_offset", "less than the 3.000 seconds of the audio".to_owned(), "5".to_owned())
    );
    assert_eq!(
        field(part(2_000, 1_500)),
        ("end_offset", "more than start_offset, 2 seconds".to_owned(), "1.5".to_owned())
    );
}

#[test]
fn a_sound_that_is_too_long_is_refused_but_for_a_part() {
    let bytes = wave(16_000, 1, 96_000, &tone(48_000, 16_000, 200.0));
    let short = |end| Extent { start: None, end, longest: Duration::from_secs(2) };
    let refused = decode(&bytes, &claim("audio/wav"), short(None)).unwrap_err();
    assert_eq!(refused, Fault::TooLong { longest: 2 });
    let part = decode(&bytes, &claim("audio/wav"), short(Some(Duration::from_secs(1)))).unwrap();
    assert_eq!(part.samples.len(), 16_000);
}

#[test]
fn resampling_keeps_what_can_be_heard_and_drops_what_would_fold_back() {
    for rate in [8_000, 11_025, 22_050, 44_100, 48_000, 96_000] {
        let sound = decoded(&wave(rate, 1, rate * 2, &tone(rate, rate, 1_000.0)), "audio/wav").unwrap();
        assert_eq!(sound.samples.len(), 16_000, "{rate}");
        assert!((pitch(&sound.samples[1_600..14_400]) - 1_000.0).abs() < 3.0, "{rate}");
        // Delays are taken out: the tone is where it was, to one sample, in which it changes by 0.144 at most.
        let expected =
            |index: usize| (index as f64 * 1_000.0 * std::f64::consts::TAU / 16_000.0).sin() * 12_000.0 / 32_768.0;
        let worst =
            (4_000..12_000).map(|index| (f64::from(sound.samples[index]) - expected(index)).abs()).fold(0.0, f64::max);
        assert!(worst < 0.15, "{rate}: {worst}");
    }
    let high = decoded(&wave(48_000, 1, 96_000, &tone(48_000, 48_000, 11_000.0)), "audio/wav").unwrap();
    assert!(high.samples[1_600..14_400].iter().all(|sample| sample.abs() < 0.005));
}
