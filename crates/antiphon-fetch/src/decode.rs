//! Compressed bodies. A small body that becomes a huge one is stopped while it grows.

use std::io::{self, Read};

use crate::error::{Failure, FetchError};

/// Decoded between two chances for others to run, and for time to be up.
const STEP: usize = 64 << 10;
/// Below it the ratio says nothing: a page of one repeated word is no attack.
const SMALL: usize = 1 << 20;
/// RFC 9659: what a decoder of HTTP has to provide, and no more.
const ZSTD_WINDOW: u64 = 8 << 20;

/// What is asked for.
pub(crate) const ACCEPTED: &str = "gzip, br, zstd";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Coding {
    Identity,
    Gzip,
    Deflate,
    Brotli,
    Zstd,
}

impl Coding {
    /// Of all headers `content-encoding` together. Codings inside one another, and unknown ones,
    /// are refused.
    pub(crate) fn read<'a>(headers: impl Iterator<Item = &'a [u8]>) -> Option<Self> {
        let mut coding = Self::Identity;
        for header in headers {
            for name in std::str::from_utf8(header).ok()?.split(',') {
                let next = match name.trim().to_ascii_lowercase().as_str() {
                    "" | "identity" => continue,
                    "gzip" | "x-gzip" => Self::Gzip,
                    "deflate" => Self::Deflate,
                    "br" => Self::Brotli,
                    "zstd" => Self::Zstd,
                    _ => return None,
                };
                if coding != Self::Identity {
                    return None;
                }
                coding = next;
            }
        }
        Some(coding)
    }
}

/// The body as it was before its coding.
pub(crate) async fn decode(coding: Coding, sent: Vec<u8>, limit: usize, ratio: usize) -> Result<Vec<u8>, FetchError> {
    let broken = || FetchError::Unreachable(Failure::Broken);
    let mut reader: Box<dyn Read + Send> = match coding {
        Coding::Identity => return Ok(sent),
        Coding::Gzip => Box::new(flate2::read::MultiGzDecoder::new(io::Cursor::new(&sent))),
        // "deflate" means zlib's format (RFC 9110, 8.4.1.2); some send it bare.
        Coding::Deflate if sent.first().is_some_and(|first| first & 0x0f == 8) => {
            Box::new(flate2::read::ZlibDecoder::new(io::Cursor::new(&sent)))
        }
        Coding::Deflate => Box::new(flate2::read::DeflateDecoder::new(io::Cursor::new(&sent))),
        // The mark of windows up to a gigabyte, which no coding of HTTP has (RFC 7932, 9.1).
        Coding::Brotli if sent.first().is_some_and(|first| first & 0x7f == 0x11) => return Err(broken()),
        Coding::Brotli => Box::new(brotli_decompressor::Decompressor::new(io::Cursor::new(&sent), STEP)),
        Coding::Zstd => {
            let frame = io::Cursor::new(sent.as_slice());
            let decoder = ruzstd::decoding::StreamingDecoder::new_with_max_window_size(frame, ZSTD_WINDOW);
            Box::new(decoder.map_err(|_| broken())?)
        }
    };
    let mut decoded = Vec::new();
    let mut step = vec![0; STEP];
    loop {
        let read = reader.read(&mut step).map_err(|_| broken())?;
        if read == 0 {
            return Ok(decoded);
        }
        decoded.extend_from_slice(&step[..read]);
        let is_bomb = decoded.len() > SMALL && decoded.len() / sent.len().max(1) > ratio;
        if decoded.len() > limit || is_bomb {
            return Err(FetchError::Size { limit });
        }
        tokio::task::yield_now().await;
    }
}
