//! What the bytes of a video are, told by how they begin.
//!
//! The decoder gets the name of one kind of file and never guesses: what it would guess includes lists of other files,
//! which name what it should open next.

/// Kinds of files that frames are decoded from, by their media types.
pub const SUPPORTED: &str = "video/mp4, video/quicktime, video/3gpp, video/webm, video/x-matroska, video/avi, \
     video/x-flv, video/mpeg, video/mp2t, video/x-ms-wmv, video/ogg";

/// A kind of file that holds frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Container {
    /// MP4, QuickTime, 3GPP.
    Boxes,
    /// Matroska and WebM.
    Matroska,
    Avi,
    Flash,
    /// MPEG, as on discs.
    ProgramStream,
    /// MPEG, as it is broadcast.
    TransportStream,
    /// Windows Media.
    Asf,
    Ogg,
}

impl Container {
    /// None when a file that begins with these bytes is of no kind that is decoded; 564 of them tell.
    pub fn of(bytes: &[u8]) -> Option<Self> {
        let at = |offset: usize, mark: &[u8]| bytes.get(offset..).is_some_and(|rest| rest.starts_with(mark));
        if at(0, b"\x1a\x45\xdf\xa3") {
            Some(Self::Matroska)
        } else if at(0, b"RIFF") && at(8, b"AVI ") {
            Some(Self::Avi)
        } else if at(0, b"FLV\x01") {
            Some(Self::Flash)
        } else if at(0, b"\0\0\x01\xba") {
            Some(Self::ProgramStream)
        } else if at(0, b"\x30\x26\xb2\x75\x8e\x66\xcf\x11") {
            Some(Self::Asf)
        } else if at(0, b"OggS") {
            Some(Self::Ogg)
        } else if at(4, b"ftyp") || is_quicktime(bytes) {
            Some(Self::Boxes)
        } else if is_transport_stream(bytes) {
            Some(Self::TransportStream)
        } else {
            None
        }
    }

    /// As the media type of a file of which no more is known.
    pub const fn mime_type(self) -> &'static str {
        match self {
            Self::Boxes => "video/mp4",
            Self::Matroska => "video/webm",
            Self::Avi => "video/avi",
            Self::Flash => "video/x-flv",
            Self::ProgramStream => "video/mpeg",
            Self::TransportStream => "video/mp2t",
            Self::Asf => "video/x-ms-wmv",
            Self::Ogg => "video/ogg",
        }
    }

    /// `ffmpeg`'s name of it.
    pub(crate) const fn demuxer(self) -> &'static str {
        match self {
            Self::Boxes => "mov",
            Self::Matroska => "matroska",
            Self::Avi => "avi",
            Self::Flash => "flv",
            Self::ProgramStream => "mpeg",
            Self::TransportStream => "mpegts",
            Self::Asf => "asf",
            Self::Ogg => "ogg",
        }
    }
}

/// Whether it begins with a box of QuickTime before there was `ftyp`. A text may have such a word there, but not a
/// length before it.
fn is_quicktime(bytes: &[u8]) -> bool {
    // A text that begins so is no video: its letters would be a larger number.
    const MOST: u32 = 1 << 28;
    let Some((length, rest)) = bytes.split_first_chunk().map(|(length, rest)| (u32::from_be_bytes(*length), rest))
    else {
        return false;
    };
    let is_box = [b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot"].iter().any(|name| rest.starts_with(*name));
    // 1 is a length that follows, 0 the rest of the file.
    is_box && (length <= 1 || (8..MOST).contains(&length))
}

/// Whether it begins with packets of a fixed length, each with its mark, no fault and a payload or what adapts it.
fn is_transport_stream(bytes: &[u8]) -> bool {
    const PACKET: usize = 188;
    (0..3).all(|packet| {
        let head = bytes.get(packet * PACKET..).and_then(|rest| rest.first_chunk::<4>());
        head.is_some_and(|head| head[0] == 0x47 && head[1] & 0x80 == 0 && head[3] & 0x30 != 0)
    })
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;

    #[test]
    fn how_a_file_begins_tells_its_kind() {
        let check = |bytes: &[u8], expected| assert_eq!(Container::of(bytes), expected, "{:?}", bytes.escape_ascii());
        check(b"\0\0\0\x18ftypisom", Some(Container::Boxes));
        check(b"\0\0\0\x08wide\0\0\0\x08mdat", Some(Container::Boxes));
        check(b"\0\0\0\0mdat", Some(Container::Boxes));
        check(b"\x1a\x45\xdf\xa3", Some(Container::Matroska));
        check(b"RIFF\0\0\0\0AVI LIST", Some(Container::Avi));
        check(b"FLV\x01\x05", Some(Container::Flash));
        check(b"\0\0\x01\xba", Some(Container::ProgramStream));
        check(b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", Some(Container::Asf));
        check(b"OggS", Some(Container::Ogg));
        let packet = [b"\x47\x40\0\x10".as_slice(), &[0xff; 184]].concat();
        check(&packet.repeat(3), Some(Container::TransportStream));
    }

    #[test]
    fn lists_of_files_texts_and_pictures_are_none() {
        let text = [b"G".as_slice(), &[b'a'; 187]].concat().repeat(3);
        for bytes in [
            b"#EXTM3U\n#EXT-X-TARGETDURATION:1\nfile:///etc/passwd".as_slice(),
            b"ffconcat version 1.0\nfile /etc/passwd",
            b"<?xml version=\"1.0\"?><MPD/>",
            b"\xff\xd8\xff\xe0",
            b"GIF89a",
            b"RIFF\0\0\0\0WAVE",
            b"The free market",
            b"\x47\x40\0\x10",
            b"",
            // Its packets would have faults.
            &text.iter().map(|byte| byte | 0x80).collect::<Vec<_>>(),
        ] {
            assert_eq!(Container::of(bytes), None, "{:?}", bytes.escape_ascii());
        }
    }
}
