//! Recordings and videos whose heads lie, that are longer than they seem, or that are something else.

use serde_json::{Value, json};

use super::case::{Case, noise, part, sample};

const LISTED: &str = "is not supported; expected one of audio/wav, audio/mp3, audio/mpeg, audio/aiff";

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = heads();
    cases.extend(containers());
    cases.extend(lengths());
    cases.extend(other_things());
    cases
}

fn audio(mime_type: &str, bytes: &[u8]) -> Value {
    part("audio", mime_type, bytes)
}

fn heads() -> Vec<Case> {
    let silence = vec![0; 3200];
    let refused =
        |name, mime_type: &str, bytes: &[u8], says| Case::refused(name, audio(mime_type, bytes), "data", says);
    let rate = |name, bytes: &[u8]| {
        Case::refused(name, audio("audio/wav", bytes), "sample_rate", "expected 4000 to 192000 Hz, got ")
    };
    vec![
        refused(
            "a WAV of no channels",
            "audio/wav",
            &wav(16_000, 0, 3200, &silence),
            "could not be decoded as audio/wav",
        ),
        refused(
            "a WAV of 255 channels",
            "audio/wav",
            &wav(16_000, 255, 3200, &silence),
            "could not be decoded as audio/wav",
        ),
        rate("a WAV of 1 Hz", &wav(1, 1, 3200, &silence)),
        rate("a WAV of 4 GHz", &wav(4_000_000_000, 1, 3200, &silence)),
        rate("a WAV of 0 Hz", &wav(0, 1, 3200, &silence)),
        refused("a WAV without samples", "audio/wav", &wav(16_000, 1, 0, &[]), "there is no sound in it"),
        refused(
            "a WAV whose format is 4 GB long",
            "audio/wav",
            b"RIFF\xff\xff\xff\xffWAVEfmt \xff\xff\xff\xff\x01\0\x01\0",
            "could not be decoded as audio/wav",
        ),
        refused(
            "an AIFF of noise",
            "audio/aiff",
            &[b"FORM\x7f\xff\xff\xffAIFF".as_slice(), &noise(1, 3000)].concat(),
            "could not be decoded as audio/aiff",
        ),
        refused(
            "an MP3 whose tag is 256 MB long",
            "audio/mpeg",
            b"ID3\x04\0\0\x7f\x7f\x7f\x7fTIT2",
            "could not be decoded as audio/mpeg",
        ),
        refused(
            "an MP3 of marks alone",
            "audio/mp3",
            &b"\xff\xfb\x90\x00".repeat(5000),
            "could not be decoded as audio/mpeg",
        ),
        refused(
            "an AAC of noise",
            "audio/aac",
            &[b"\xff\xf1\x50\x80".as_slice(), &noise(2, 3000)].concat(),
            "could not be decoded as audio/aac",
        ),
        refused("a FLAC of 0 Hz", "audio/flac", &flac(0, 0, 0, 0), "could not be decoded as audio/flac"),
        refused(
            "a FLAC that ends with its head",
            "audio/flac",
            &flac(44_100, 1, (1 << 36) - 1, 0),
            "could not be decoded as audio/flac",
        ),
        refused("an Opus of 255 channels", "audio/ogg", &opus(255), "could not be decoded as audio/ogg"),
        refused(
            "an Ogg cut behind its first page",
            "audio/ogg",
            &sample("crates/antiphon-hearing/fixtures/tone.ogg")[..58],
            "could not be decoded as audio/ogg",
        ),
    ]
}

fn containers() -> Vec<Case> {
    let refused =
        |name, mime_type: &str, bytes: &[u8], says| Case::refused(name, audio(mime_type, bytes), "data", says);
    let (mp4, webm) = ("could not be decoded as audio/mp4", "could not be decoded as audio/webm");
    let kind = bytes_of_box(b"ftyp", b"M4A \0\0\0\0M4A ");
    let film = |inner: &[u8]| [kind.clone(), bytes_of_box(b"moov", inner)].concat();
    // Each is as long as the file, which it is a part of.
    let within = [kind.clone(), b"\0\0\xff\xffmoov".repeat(5000)].concat();
    let endless = [kind.clone(), b"\0\0\0\0moov".repeat(5000)].concat();
    let nothing = [kind.clone(), bytes_of_box(b"free", &[]).repeat(100_000)].concat();
    let head = b"\x1a\x45\xdf\xa3\x87\x42\x82\x84webm";
    // Elements of unknown length, each within the one before.
    let deep = [head.as_slice(), &b"\x18\x53\x80\x67\x01\xff\xff\xff\xff\xff\xff\xff".repeat(20_000)].concat();
    let clusters = [
        head.as_slice(),
        b"\x18\x53\x80\x67\x01\xff\xff\xff\xff\xff\xff\xff",
        &b"\x1f\x43\xb6\x75\xff".repeat(100_000),
    ]
    .concat();
    let large = [
        head.as_slice(),
        b"\x18\x53\x80\x67\x01\xff\xff\xff\xff\xff\xff\xff\x16\x54\xae\x6b\x08\x7f\xff\xff\xff\xff\xff\xff",
    ]
    .concat();
    vec![
        refused("an MP4 whose boxes hold themselves", "audio/mp4", &within, mp4),
        refused("an MP4 whose boxes have no end", "audio/mp4", &endless, mp4),
        refused("an MP4 of a hundred thousand empty boxes", "audio/mp4", &nothing, mp4),
        refused(
            "an MP4 of a box that is 16 EB long",
            "audio/m4a",
            &[kind.as_slice(), b"\0\0\0\x01moov\xff\xff\xff\xff\xff\xff\xff\xff"].concat(),
            mp4,
        ),
        refused(
            "an MP4 of four billion pieces",
            "audio/mp4",
            &film(&bytes_of_box(b"trak", &bytes_of_box(b"stsz", &[0, 0, 0, 0, 0, 0, 0, 9, 255, 255, 255, 255]))),
            mp4,
        ),
        refused("an MP4 without tracks", "audio/mp4", &film(&bytes_of_box(b"mvhd", &[0; 100])), mp4),
        refused("a WebM that is nested without end", "audio/webm", &deep, webm),
        refused("a WebM of a hundred thousand clusters", "audio/webm", &clusters, webm),
        refused("a WebM of an element that is 16 PB long", "audio/webm", &large, webm),
    ]
}

fn lengths() -> Vec<Case> {
    let hours = silent_flac(3 * 3600);
    let mut asked = audio("audio/flac", &silent_flac(60));
    asked["processing"] = json!({"type": "static", "start_offset": "3600s"});
    vec![
        Case::refused(
            "three hours in a small FLAC",
            audio("audio/flac", &hours),
            "data",
            "audio is longer than the 1800 seconds that are allowed",
        ),
        Case::refused(
            "a part behind the end",
            asked,
            "processing.start_offset",
            "expected less than the 59.904 seconds of the audio",
        ),
    ]
}

fn other_things() -> Vec<Case> {
    let mut bare = audio("audio/l16", &[0; 3200]);
    bare["sample_rate"] = json!(1);
    vec![
        Case::refused(
            "a PDF that is called a WAV",
            audio("audio/wav", b"%PDF-1.7\n%%EOF\n"),
            "mime_type",
            "it says `audio/wav`, and the data are `application/pdf`",
        ),
        Case::refused(
            "a picture that is called an MP3",
            audio("audio/mpeg", &sample("conformance/media/pictures/small-en-1.png")),
            "mime_type",
            "the data are `image/png`",
        ),
        Case::refused("sound of a type that is not heard", audio("audio/amr", b"#!AMR\n\x3c\x91"), "mime_type", LISTED),
        Case::refused(
            "a program of MIDI",
            audio("audio/midi", b"MThd\0\0\0\x06\0\x01\0\x7f\x01\xe0"),
            "mime_type",
            LISTED,
        ),
        Case::refused("samples at 1 Hz", bare, "sample_rate", "expected 4000 to 192000 Hz, got 1"),
        Case::refused(
            "a program that is called a film",
            part("video", "video/mp4", &[b"\x7fELF\x02\x01\x01".as_slice(), &noise(3, 500)].concat()),
            "mime_type",
            "the data are `application/x-executable`",
        ),
        Case::refused(
            "an archive that is called a film",
            part("video", "video/webm", b"PK\x03\x04\x14\0"),
            "mime_type",
            "the data are `application/zip`",
        ),
    ]
}

/// A wave file of 16 bits around `data`, whose head says what is given.
fn wav(rate: u32, channels: u16, said: u32, data: &[u8]) -> Vec<u8> {
    let mut bytes = [b"RIFF".as_slice(), &said.saturating_add(36).to_le_bytes(), b"WAVEfmt \x10\0\0\0\x01\0"].concat();
    bytes.extend(channels.to_le_bytes());
    bytes.extend(rate.to_le_bytes());
    bytes.extend(rate.wrapping_mul(u32::from(channels) * 2).to_le_bytes());
    bytes.extend(channels.wrapping_mul(2).to_le_bytes());
    bytes.extend([b"\x10\0data".as_slice(), &said.to_le_bytes(), data].concat());
    bytes
}

/// A box of MP4.
fn bytes_of_box(kind: &[u8; 4], body: &[u8]) -> Vec<u8> {
    [&u32::try_from(body.len() + 8).unwrap().to_be_bytes(), kind.as_slice(), body].concat()
}

/// The first page of an Ogg file that says of itself that it is Opus.
fn opus(channels: u8) -> Vec<u8> {
    let head = [b"OpusHead\x01".as_slice(), &[channels, 0, 0, 0x80, 0xbb, 0, 0, 0, 0, 255]].concat();
    let mut page = b"OggS\0\x02\0\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0\0\0\0\0\x01".to_vec();
    page.push(u8::try_from(head.len()).unwrap());
    page.extend(head);
    let sum = page.iter().fold(0, |sum: u32, byte| {
        (0..8).fold(sum ^ u32::from(*byte) << 24, |sum, _| sum << 1 ^ if sum >> 31 == 0 { 0 } else { 0x04c1_1db7 })
    });
    page[22..26].copy_from_slice(&sum.to_le_bytes());
    page
}

/// A FLAC's head, and so many frames of 4096 samples, each of which is said to be all the same.
fn flac(rate: u64, channels: u64, samples: u64, frames: u32) -> Vec<u8> {
    let mut bytes = b"fLaC\x80\0\0\x22\x10\0\x10\0\0\0\0\0\0\0".to_vec();
    // 20 bits of rate, 3 of channels less one, 5 of bits less one, 36 of samples.
    bytes.extend((rate << 44 | channels.saturating_sub(1) << 41 | 15 << 36 | samples).to_be_bytes());
    bytes.extend([0; 16]);
    for number in 0..frames {
        let mut frame = b"\xff\xf8\xc5\x08".to_vec();
        // The number as UTF-8 would have it.
        frame.extend(char::from_u32(number).unwrap().to_string().bytes());
        let sum = frame.iter().fold(0, |sum: u8, byte| {
            (0..8).fold(sum ^ byte, |sum, _| sum << 1 ^ if sum & 0x80 == 0 { 0 } else { 0x07 })
        });
        frame.extend([sum, 0, 0, 0]);
        let sum = frame.iter().fold(0, |sum: u16, byte| {
            (0..8).fold(sum ^ u16::from(*byte) << 8, |sum, _| sum << 1 ^ if sum & 0x8000 == 0 { 0 } else { 0x8005 })
        });
        frame.extend(sum.to_be_bytes());
        bytes.extend(frame);
    }
    bytes
}

fn silent_flac(seconds: u32) -> Vec<u8> {
    let samples = u64::from(seconds) * 16_000;
    flac(16_000, 1, samples, u32::try_from(samples / 4096).unwrap())
}
