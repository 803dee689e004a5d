//! From the bytes of a file to what is listened to.
//!
//! The decoders are safe Rust, but for Opus, which is C: hostile bytes are decoded in a process of their own (see
//! [`crate::Listener`]). Here a decoder that panics, or that finds nothing it can use, is a fault of the bytes.

use std::io::Cursor;
use std::panic::{AssertUnwindSafe, catch_unwind};

use symphonia::core::codecs::audio::{AudioDecoder, AudioDecoderOptions};
use symphonia::core::codecs::registry::CodecRegistry;
use symphonia::core::errors::Error;
use symphonia::core::formats::probe::Hint;
use symphonia::core::formats::{FormatOptions, FormatReader, TrackType};
use symphonia::core::io::MediaSourceStream;
use symphonia::core::meta::MetadataOptions;
use symphonia_adapter_libopus::OpusDecoder;

use crate::intake::{Appetite, Intake, MOST_CHANNELS};
use crate::kind::Kind;
use crate::{Claim, Extent, Fault, Sound, bare};

/// Pieces in a row that give nothing; a sound has some at most.
const MOST_BARREN: usize = 10_000;

/// The sound in `bytes`, as one channel at 16 kHz.
///
/// Takes memory for what is decoded and time for what comes before its end; both have their bound in `extent`.
///
/// # Errors
/// A [`Fault`] of the bytes, or of what is claimed and asked beside them.
pub fn decode(bytes: &[u8], claim: &Claim, extent: Extent) -> Result<Sound, Fault> {
    let kind = Kind::of(bytes, claim.mime_type.as_deref())?;
    // Nothing outlives a panic but the fault.
    let decoded = catch_unwind(AssertUnwindSafe(|| match kind {
        Kind::Bare(bare) => bare::read(bytes, bare, claim, extent),
        _ => contained(bytes, kind, extent),
    }));
    let (samples, seconds) =
        decoded.unwrap_or_else(|_| Err(Fault::undecodable(kind.mime_type(), "its decoder gave up")))?;
    Ok(Sound { samples, seconds, mime_type: kind.mime_type() })
}

fn contained(bytes: &[u8], kind: Kind, extent: Extent) -> Result<(Vec<f32>, f64), Fault> {
    let mime_type = kind.mime_type();
    let fault = |error: Error| Fault::undecodable(mime_type, error.to_string());
    let source = MediaSourceStream::new(Box::new(Cursor::new(bytes)), Default::default());
    let mut hint = Hint::new();
    hint.with_extension(kind.extension());
    let mut reader = symphonia::default::get_probe()
        .probe(&hint, source, FormatOptions::default(), MetadataOptions::default())
        .map_err(fault)?;
    let (track, mut decoder) = decoder(reader.as_ref(), mime_type)?;

    let mut intake: Option<Intake> = None;
    let mut interleaved = Vec::new();
    let (mut sound, mut damaged, mut barren) = (0_usize, 0_usize, 0_usize);
    loop {
        let packet = match reader.next_packet() {
            Ok(Some(packet)) => packet,
            Ok(None) | Err(Error::ResetRequired) => break,
            // A file that is cut has its beginning.
            Err(_) if sound > 0 => {
                damaged += 1;
                break;
            }
            Err(error) => return Err(fault(error)),
        };
        barren += 1;
        if barren > MOST_BARREN {
            return Err(Fault::undecodable(mime_type, "too much of it is no sound"));
        }
        if packet.track_id != track {
            continue;
        }
        let buffer = match decoder.decode(&packet) {
            Ok(buffer) => buffer,
            Err(Error::DecodeError(_) | Error::IoError(_)) => {
                damaged += 1;
                continue;
            }
            Err(error) => return Err(fault(error)),
        };
        let (rate, channels) = (buffer.spec().rate(), buffer.num_planes());
        if buffer.frames() == 0 {
            continue;
        }
        barren = 0;
        sound += 1;
        if !(1..=MOST_CHANNELS).contains(&channels) {
            return Err(too_many_channels(mime_type, channels));
        }
        let intake = match &mut intake {
            Some(intake) if intake.rate() != rate => {
                return Err(Fault::undecodable(mime_type, "its sample rate changes"));
            }
            Some(intake) => intake,
            None => intake.insert(Intake::new(rate, extent)?),
        };
        buffer.copy_to_vec_interleaved(&mut interleaved);
        if intake.take(&interleaved, channels)? == Appetite::Enough {
            break;
        }
    }
    match intake {
        Some(intake) if damaged <= sound => intake.end(),
        Some(_) => Err(Fault::undecodable(mime_type, "most of it is damaged")),
        None => Err(Fault::undecodable(mime_type, "there is no sound in it")),
    }
}

/// The track to listen to, and what decodes it.
fn decoder(reader: &dyn FormatReader, mime_type: &'static str) -> Result<(u32, Box<dyn AudioDecoder>), Fault> {
    let nothing = || Fault::undecodable(mime_type, "there is no sound in it");
    let track = reader.default_track(TrackType::Audio).ok_or_else(nothing)?;
    let parameters = track.codec_params.as_ref().and_then(|parameters| parameters.audio()).ok_or_else(nothing)?;
    // Before anything is allocated for them.
    if let Some(channels) = parameters.channels.as_ref().map(|channels| channels.count())
        && !(1..=MOST_CHANNELS).contains(&channels)
    {
        return Err(too_many_channels(mime_type, channels));
    }
    let mut registry = CodecRegistry::new();
    symphonia::default::register_enabled_codecs(&mut registry);
    registry.register_audio_decoder::<OpusDecoder>();
    let made = registry.make_audio_decoder(parameters, &AudioDecoderOptions::default());
    made.map(|decoder| (track.id, decoder)).map_err(|error| Fault::undecodable(mime_type, error.to_string()))
}

fn too_many_channels(mime_type: &'static str, channels: usize) -> Fault {
    Fault::undecodable(mime_type, format!("expected 1 to {MOST_CHANNELS} channels, got {channels}"))
}
