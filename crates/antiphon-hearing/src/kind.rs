//! What the bytes of a sound are: told by how they begin; by their claimed type only where that shows nothing.

use crate::Fault;

/// The types that a request may name.
pub(crate) const SUPPORTED: &str = "audio/wav, audio/mp3, audio/mpeg, audio/aiff, audio/aac, audio/ogg, audio/opus, \
     audio/flac, audio/m4a, audio/mp4, audio/webm, audio/l16, audio/alaw, audio/mulaw";

/// How sound is kept in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Wav,
    Mpeg,
    Aac,
    Aiff,
    Ogg,
    Flac,
    Mp4,
    Webm,
    /// Samples and nothing else.
    Bare(Bare),
}

/// Samples of which the bytes do not say how often and how many at a time they come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bare {
    Linear16,
    ALaw,
    MuLaw,
}

impl Kind {
    /// # Errors
    /// [`Fault::Empty`], [`Fault::Unknown`], [`Fault::Unsupported`] and [`Fault::Mismatch`].
    pub(crate) fn of(bytes: &[u8], claimed: Option<&str>) -> Result<Self, Fault> {
        if bytes.is_empty() {
            return Err(Fault::Empty);
        }
        let named = claimed.map(|claimed| (claimed, Self::named(claimed)));
        if let (Some((claimed, _)), Some(found)) = (named, foreign(bytes)) {
            return Err(Fault::Mismatch { claimed: claimed.to_owned(), found });
        }
        match (begins(bytes), named) {
            // Two bytes of samples may look like a frame of MPEG.
            (Some(Self::Mpeg | Self::Aac), Some((_, Some(bare @ Self::Bare(_))))) => Ok(bare),
            (Some(kind), _) | (None, Some((_, Some(kind)))) => Ok(kind),
            (None, Some((claimed, None))) => Err(Fault::Unsupported { claimed: claimed.to_owned() }),
            (None, None) => Err(Fault::Unknown),
        }
    }

    /// The kind of a media type; its parameters and the case of its letters do not matter.
    fn named(mime_type: &str) -> Option<Self> {
        let name = mime_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        match name.strip_prefix("audio/").or_else(|| name.strip_prefix("video/"))? {
            "wav" | "wave" | "x-wav" | "vnd.wave" => Some(Self::Wav),
            "mp3" | "mpeg" | "mpeg3" | "x-mp3" | "mpga" => Some(Self::Mpeg),
            "aac" | "aacp" | "x-aac" => Some(Self::Aac),
            "aiff" | "x-aiff" | "aif" => Some(Self::Aiff),
            "ogg" | "opus" | "ogg_opus" | "vorbis" => Some(Self::Ogg),
            "flac" | "x-flac" => Some(Self::Flac),
            "m4a" | "mp4" | "x-m4a" | "quicktime" => Some(Self::Mp4),
            "webm" | "x-matroska" => Some(Self::Webm),
            "l16" | "pcm" => Some(Self::Bare(Bare::Linear16)),
            "alaw" | "pcma" => Some(Self::Bare(Bare::ALaw)),
            "mulaw" | "pcmu" | "basic" => Some(Self::Bare(Bare::MuLaw)),
            _ => None,
        }
    }

    /// The media type that errors and reports call it by.
    pub(crate) const fn mime_type(self) -> &'static str {
        match self {
            Self::Wav => "audio/wav",
            Self::Mpeg => "audio/mpeg",
            Self::Aac => "audio/aac",
            Self::Aiff => "audio/aiff",
            Self::Ogg => "audio/ogg",
            Self::Flac => "audio/flac",
            Self::Mp4 => "audio/mp4",
            Self::Webm => "audio/webm",
            Self::Bare(Bare::Linear16) => "audio/l16",
            Self::Bare(Bare::ALaw) => "audio/alaw",
            Self::Bare(Bare::MuLaw) => "audio/mulaw",
        }
    }

    /// Of files of this kind; helps where several begin alike.
    pub(crate) const fn extension(self) -> &'static str {
        match self {
            Self::Wav => "wav",
            Self::Mpeg => "mp3",
            Self::Aac => "aac",
            Self::Aiff => "aiff",
            Self::Ogg => "ogg",
            Self::Flac => "flac",
            Self::Mp4 => "m4a",
            Self::Webm => "webm",
            Self::Bare(_) => "raw",
        }
    }
}

fn begins(bytes: &[u8]) -> Option<Kind> {
    let at = |from: usize, expected: &[u8]| bytes.get(from..).is_some_and(|rest| rest.starts_with(expected));
    match bytes {
        _ if at(0, b"RIFF") && at(8, b"WAVE") => Some(Kind::Wav),
        _ if at(0, b"FORM") && (at(8, b"AIFF") || at(8, b"AIFC")) => Some(Kind::Aiff),
        _ if at(0, b"fLaC") => Some(Kind::Flac),
        _ if at(0, b"OggS") => Some(Kind::Ogg),
        _ if at(4, b"ftyp") => Some(Kind::Mp4),
        _ if at(0, &[0x1a, 0x45, 0xdf, 0xa3]) => Some(Kind::Webm),
        _ if at(0, b"ID3") => Some(Kind::Mpeg),
        // A frame's sync word; ADTS is the one whose layer is 0.
        [0xff, second, ..] if second & 0xf6 == 0xf0 => Some(Kind::Aac),
        [0xff, second, ..] if second & 0xe0 == 0xe0 && second & 0x06 != 0 => Some(Kind::Mpeg),
        _ => None,
    }
}

/// Of what else it is the beginning.
fn foreign(bytes: &[u8]) -> Option<&'static str> {
    const BEGINNINGS: [(&[u8], &str); 9] = [
        (b"%PDF-", "application/pdf"),
        (b"\x89PNG\r\n", "image/png"),
        (b"\xff\xd8\xff", "image/jpeg"),
        (b"GIF8", "image/gif"),
        (b"PK\x03\x04", "application/zip"),
        (b"\x1f\x8b", "application/gzip"),
        (b"<!DOCTYPE", "text/html"),
        (b"<html", "text/html"),
        (b"<?xml", "text/xml"),
    ];
    BEGINNINGS.iter().find(|(beginning, _)| bytes.starts_with(beginning)).map(|(_, name)| *name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_it_begins_counts_more_than_what_it_is_called() {
        let check = |bytes: &[u8], claimed, expected| assert_eq!(Kind::of(bytes, claimed), expected, "{claimed:?}");
        check(b"RIFF....WAVE", Some("audio/mp3"), Ok(Kind::Wav));
        check(b"RIFF....WAVE", None, Ok(Kind::Wav));
        check(b"\xff\xfb\x90\x00", None, Ok(Kind::Mpeg));
        check(b"\xff\xf1\x50\x80", None, Ok(Kind::Aac));
        check(b"\xff\xfb\x00\x00", Some("audio/L16;rate=8000"), Ok(Kind::Bare(Bare::Linear16)));
        check(b"....ftypM4A ", Some("audio/x-m4a"), Ok(Kind::Mp4));
        check(b"garbage", Some("Audio/MP3; a=b"), Ok(Kind::Mpeg));
        check(b"garbage", Some("audio/amr"), Err(Fault::Unsupported { claimed: "audio/amr".to_owned() }));
        check(b"garbage", None, Err(Fault::Unknown));
        check(b"", Some("audio/wav"), Err(Fault::Empty));
        let found = "application/pdf";
        check(b"%PDF-1.7", Some("audio/wav"), Err(Fault::Mismatch { claimed: "audio/wav".to_owned(), found }));
    }
}
