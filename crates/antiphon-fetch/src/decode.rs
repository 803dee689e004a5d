//! Compressed bodies. A small body that becomes a huge one is stopped while it grows.

use std::io::{self, BufRead, BufReader, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use tokio::sync::mpsc;

use crate::error::{Failure, FetchError};

/// Decoded between two chances for others to run, and for time to be up.
const STEP: usize = 64 << 10;
/// Below it the ratio says nothing: a page of one repeated word is no attack.
const SMALL: usize = 1 << 20;
/// RFC 9659: what a decoder of HTTP has to provide, and no more.
const ZSTD_WINDOW: u64 = 8 << 20;

/// What is asked for.
pub(crate) const ACCEPTED: &str = "gzip, br, zstd";

/// What is asked for where a body is taken as it comes: media are compressed already.
pub(crate) const UNCODED: &str = "identity";

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

/// How much a body may become.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    /// Bytes, as sent and decoded.
    pub(crate) limit: usize,
    /// How many times larger than sent.
    pub(crate) ratio: usize,
}

impl Bounds {
    /// # Errors
    /// When `decoded` bytes of `sent` ones are too many.
    fn check(self, sent: usize, decoded: usize) -> Result<(), FetchError> {
        let is_bomb = decoded > SMALL && decoded / sent.max(1) > self.ratio;
        if sent > self.limit || decoded > self.limit || is_bomb {
            return Err(FetchError::Size { limit: self.limit });
        }
        Ok(())
    }
}

/// The body as it was before its coding.
pub(crate) async fn decode(coding: Coding, sent: Vec<u8>, bounds: Bounds) -> Result<Vec<u8>, FetchError> {
    if coding == Coding::Identity {
        return Ok(sent);
    }
    let mut reader = reader(coding, io::Cursor::new(&sent))?;
    let mut decoded = Vec::new();
    let mut step = vec![0; STEP];
    loop {
        let read = reader.read(&mut step).map_err(|_| broken())?;
        if read == 0 {
            return Ok(decoded);
        }
        decoded.extend_from_slice(&step[..read]);
        bounds.check(sent.len(), decoded.len())?;
        tokio::task::yield_now().await;
    }
}

/// A body that is decoded while it comes, on a thread of its own.
pub(crate) struct Decoding {
    /// Takes what comes; none once all has come.
    pub(crate) coded: Option<mpsc::Sender<Bytes>>,
    pub(crate) decoded: mpsc::Receiver<Result<Bytes, FetchError>>,
}

/// Pieces that wait at each end of the thread.
const WAITING: usize = 2;

impl Decoding {
    /// `announced` is how many bytes are to come, if that is said. Dropping it ends the thread.
    pub(crate) fn begin(coding: Coding, announced: usize, bounds: Bounds) -> Self {
        let (coded, coming) = mpsc::channel(WAITING);
        let (done, decoded) = mpsc::channel(WAITING);
        tokio::task::spawn_blocking(move || {
            if let Err(error) = decode_all(coding, coming, announced, bounds, &done) {
                // Nobody has to be there to hear it.
                let _ = done.blocking_send(Err(error));
            }
        });
        Self { coded: Some(coded), decoded }
    }
}

fn decode_all(
    coding: Coding,
    coming: mpsc::Receiver<Bytes>,
    announced: usize,
    bounds: Bounds,
    done: &mpsc::Sender<Result<Bytes, FetchError>>,
) -> Result<(), FetchError> {
    let came = Arc::new(AtomicUsize::new(0));
    let coming = Coming { coming, piece: Bytes::new(), came: Arc::clone(&came) };
    let mut reader = reader(coding, BufReader::new(coming))?;
    let mut decoded = 0;
    loop {
        let mut step = vec![0; STEP];
        let read = reader.read(&mut step).map_err(|_| broken())?;
        decoded += read;
        bounds.check(came.load(Ordering::Relaxed).max(announced), decoded)?;
        step.truncate(read);
        if read == 0 || done.blocking_send(Ok(step.into())).is_err() {
            return Ok(());
        }
    }
}

/// Reads what is sent into a channel; its end is the end.
struct Coming {
    coming: mpsc::Receiver<Bytes>,
    piece: Bytes,
    /// Bytes that have come.
    came: Arc<AtomicUsize>,
}

impl Read for Coming {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.piece.is_empty() {
            let Some(piece) = self.coming.blocking_recv() else { return Ok(0) };
            self.came.fetch_add(piece.len(), Ordering::Relaxed);
            self.piece = piece;
        }
        let taken = self.piece.split_to(self.piece.len().min(buffer.len()));
        buffer[..taken.len()].copy_from_slice(&taken);
        Ok(taken.len())
    }
}

/// What decodes a body while it is read.
fn reader<'a>(coding: Coding, mut body: impl BufRead + Send + 'a) -> Result<Box<dyn Read + Send + 'a>, FetchError> {
    let first = body.fill_buf().map_err(|_| broken())?.first().copied();
    Ok(match coding {
        Coding::Identity => Box::new(body),
        Coding::Gzip => Box::new(flate2::bufread::MultiGzDecoder::new(body)),
        // "deflate" means zlib's format (RFC 9110, 8.4.1.2); some send it bare.
        Coding::Deflate if first.is_some_and(|first| first & 0x0f == 8) => {
            Box::new(flate2::bufread::ZlibDecoder::new(body))
        }
        Coding::Deflate => Box::new(flate2::bufread::DeflateDecoder::new(body)),
        // The mark of windows up to a gigabyte, which no coding of HTTP has (RFC 7932, 9.1).
        Coding::Brotli if first.is_some_and(|first| first & 0x7f == 0x11) => return Err(broken()),
        Coding::Brotli => Box::new(brotli_decompressor::Decompressor::new(body, STEP)),
        Coding::Zstd => {
            let decoder = ruzstd::decoding::StreamingDecoder::new_with_max_window_size(body, ZSTD_WINDOW);
            Box::new(decoder.map_err(|_| broken())?)
        }
    })
}

fn broken() -> FetchError {
    FetchError::Unreachable(Failure::Broken)
}
