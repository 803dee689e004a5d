//! The body of a request on its way out: what was written, with media that are read while they go.
//!
//! Protocols write the mark of a medium that is not in memory where its base64 belongs. Here that is
//! put in its place, piece by piece, as often as the request is tried.

use std::io;
use std::sync::Arc;

use antiphon_wire::Kept;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use futures_util::stream::{self, BoxStream};
use futures_util::{StreamExt as _, TryStreamExt as _};

/// Read at one time, in whole groups of base64.
const PIECE: usize = 96 << 10;

/// A body that can be sent more than once.
#[derive(Clone)]
pub(crate) struct Sending {
    parts: Vec<Part>,
}

#[derive(Clone)]
enum Part {
    Written(Bytes),
    /// To be sent in base64.
    Kept(Arc<dyn Kept>),
}

impl Sending {
    /// What is written and no more.
    pub(crate) fn whole(written: Bytes) -> Self {
        Self { parts: vec![Part::Written(written)] }
    }

    /// `written`, with each of `kept` in place of its mark.
    pub(crate) fn new<'a>(written: String, kept: impl Iterator<Item = &'a Arc<dyn Kept>>) -> Self {
        let places = |kept: &'a Arc<dyn Kept>| written.match_indices(kept.mark()).map(move |(at, _)| (at, kept));
        let mut places: Vec<_> = kept.flat_map(places).collect();
        places.sort_by_key(|(start, _)| *start);
        // The same medium may have been said twice.
        places.dedup_by_key(|(start, _)| *start);
        let (written, mut parts, mut end) = (Bytes::from(written), Vec::new(), 0);
        for (start, kept) in places {
            parts.push(Part::Written(written.slice(end..start)));
            end = start + kept.mark().len();
            parts.push(Part::Kept(Arc::clone(kept)));
        }
        parts.push(Part::Written(written.slice(end..)));
        Self { parts }
    }

    /// In bytes.
    pub(crate) fn length(&self) -> u64 {
        let length = |part: &Part| match part {
            Part::Written(bytes) => bytes.len() as u64,
            Part::Kept(kept) => kept.size().div_ceil(3) * 4,
        };
        self.parts.iter().map(length).sum()
    }

    pub(crate) fn stream(&self) -> BoxStream<'static, io::Result<Bytes>> {
        let parts = stream::iter(self.parts.clone()).map(|part| match part {
            Part::Written(bytes) => stream::iter([Ok(bytes)]).boxed(),
            Part::Kept(kept) => stream::try_unfold((kept, 0), next).boxed(),
        });
        parts.flatten().try_filter(|bytes| std::future::ready(!bytes.is_empty())).boxed()
    }
}

/// The base64 of the next piece, and where the one after it begins.
async fn next((kept, offset): (Arc<dyn Kept>, u64)) -> io::Result<Option<(Bytes, (Arc<dyn Kept>, u64))>> {
    let read = tokio::task::spawn_blocking(move || {
        let mut piece = vec![0; PIECE];
        let read = kept.read_at(offset, &mut piece)?;
        let letters = (read > 0).then(|| STANDARD.encode(&piece[..read]));
        Ok(letters.map(|letters| (letters.into(), (kept, offset + read as u64))))
    });
    read.await.unwrap_or_else(|error| Err(io::Error::other(error)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    struct Zeros(u64, &'static str);

    impl Kept for Zeros {
        fn mark(&self) -> &str {
            self.1
        }

        fn size(&self) -> u64 {
            self.0
        }

        fn sha256(&self) -> &str {
            ""
        }

        fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
            let left = usize::try_from(self.0 - offset).unwrap().min(buffer.len());
            buffer[..left].fill(0);
            Ok(left)
        }
    }

    #[tokio::test]
    async fn media_stand_where_their_marks_stood_as_often_as_they_are_sent() {
        for (long, short) in [(0, 1), (PIECE as u64, 2), (PIECE as u64 + 1, 3), (3 * PIECE as u64 - 1, 4)] {
            let kept: [Arc<dyn Kept>; 2] = [Arc::new(Zeros(long, "kept:a")), Arc::new(Zeros(short, "kept:b"))];
            let written = r#"["x","kept:b","data:;base64,kept:a","kept:b"]"#;
            // One that was said twice is known twice.
            let sending = Sending::new(written.to_owned(), kept.iter().chain(&kept[1..]));
            let base64 = |size: u64| STANDARD.encode(vec![0; usize::try_from(size).unwrap()]);
            let expected = written.replace("kept:a", &base64(long)).replace("kept:b", &base64(short));
            for _ in 0..2 {
                let sent: Vec<Bytes> = sending.stream().try_collect().await.unwrap();
                assert!(sent.concat() == expected.as_bytes(), "{long} {short}");
                assert!(sent.iter().all(|bytes| bytes.len() <= PIECE / 3 * 4), "it goes in pieces");
            }
            assert_eq!(sending.length(), expected.len() as u64);
        }
    }
}
