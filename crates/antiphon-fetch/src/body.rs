//! The body of an answer, taken piece by piece, so that it is never in memory as a whole.

use bytes::Bytes;
use reqwest::header::{CONTENT_ENCODING, CONTENT_TYPE};
use reqwest::{Response, Url};
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio::time::{Instant, timeout_at};

use crate::decode::{Bounds, Coding, Decoding};
use crate::error::{Failure, FetchError};
use crate::fetcher::{Answer, Arrived, wanted};
use crate::options::Purpose;
use crate::sniff::{Declared, LOOKED_AT, agreed};

/// What an answer says of its body, where that is acceptable.
pub(crate) struct Head {
    pub(crate) coding: Coding,
    pub(crate) declared: Option<Declared>,
    /// Bytes that are to come, if that is said.
    announced: Option<u64>,
}

impl Head {
    pub(crate) fn read(response: &Response, purpose: Purpose, limit: usize) -> Result<Self, FetchError> {
        let encodings = response.headers().get_all(CONTENT_ENCODING);
        let coding = Coding::read(encodings.iter().map(|value| value.as_bytes())).ok_or_else(broken)?;
        let mut types = response.headers().get_all(CONTENT_TYPE).iter();
        let declared = match (types.next(), types.next()) {
            (Some(declared), None) => declared.to_str().ok().and_then(Declared::read),
            // Two declarations are none.
            _ => None,
        };
        if let Some(declared) = &declared {
            wanted(&declared.essence, purpose)?;
        }
        let announced = response.content_length();
        if announced.is_some_and(|length| length > limit as u64) {
            return Err(FetchError::Size { limit });
        }
        Ok(Self { coding, declared, announced })
    }
}

/// What was opened. Redirects and errors of the host are not: they became a [`FetchError`].
pub struct Body {
    /// After redirects, before a rewrite.
    pub final_url: Url,
    pub status: u16,
    /// As declared and not contradicted by the first bytes, or what these look like; in lower case, without parameters.
    pub mime: String,
    /// As declared; in lower case.
    pub charset: Option<String>,
    /// What was read to tell what it is.
    start: Option<Bytes>,
    source: Source,
    limit: usize,
    left: usize,
    deadline: Instant,
    _turn: Option<OwnedSemaphorePermit>,
}

enum Source {
    Known(Option<Bytes>),
    Plain(Response),
    Coded(Response, Decoding),
}

impl Body {
    pub(crate) async fn open(
        arrived: Arrived,
        purpose: Purpose,
        bounds: Bounds,
        deadline: Instant,
    ) -> Result<Self, FetchError> {
        let limit = bounds.limit;
        let Answer { url: final_url, response, turn, .. } = match arrived {
            Arrived::Answer(answer) => answer,
            Arrived::Known(known) => {
                return Ok(Self {
                    final_url: known.final_url,
                    status: known.status,
                    mime: known.mime,
                    charset: known.charset,
                    start: None,
                    source: Source::Known(Some(known.bytes)),
                    limit,
                    left: limit,
                    deadline,
                    _turn: None,
                });
            }
        };
        let Head { coding, declared, announced } = Head::read(&response, purpose, limit)?;
        let status = response.status().as_u16();
        let source = match coding {
            Coding::Identity => Source::Plain(response),
            Coding::Gzip | Coding::Deflate | Coding::Brotli | Coding::Zstd => {
                let announced = announced.and_then(|announced| usize::try_from(announced).ok()).unwrap_or_default();
                Source::Coded(response, Decoding::begin(coding, announced, bounds))
            }
        };
        let (mime, charset, start) = (String::new(), None, None);
        let mut body =
            Self { final_url, status, mime, charset, start, source, limit, left: limit, deadline, _turn: turn };
        let mut start = Vec::new();
        while start.len() < LOOKED_AT
            && let Some(piece) = body.next().await?
        {
            start.extend_from_slice(&piece);
        }
        body.mime = agreed(declared.as_ref(), &start)?;
        wanted(&body.mime, purpose)?;
        body.charset = declared.and_then(|declared| declared.charset);
        body.start = Some(start.into());
        Ok(body)
    }

    /// What comes next, decoded; `None` at the end.
    ///
    /// # Errors
    /// When it breaks off, is longer than it may be, or its time is up.
    pub async fn piece(&mut self) -> Result<Option<Bytes>, FetchError> {
        match self.start.take() {
            Some(start) => Ok(Some(start)),
            None => self.next().await,
        }
    }

    async fn next(&mut self) -> Result<Option<Bytes>, FetchError> {
        let next = timeout_at(self.deadline, self.source.next()).await;
        let piece = next.unwrap_or(Err(FetchError::Unreachable(Failure::Timeout)))?;
        let length = piece.as_ref().map_or(0, Bytes::len);
        self.left = self.left.checked_sub(length).ok_or(FetchError::Size { limit: self.limit })?;
        Ok(piece)
    }
}

impl Source {
    async fn next(&mut self) -> Result<Option<Bytes>, FetchError> {
        match self {
            Self::Known(bytes) => Ok(bytes.take()),
            Self::Plain(response) => response.chunk().await.map_err(|_| broken()),
            Self::Coded(response, Decoding { coded, decoded }) => loop {
                tokio::select! {
                    biased;
                    piece = decoded.recv() => return piece.transpose(),
                    fed = feed(response, coded) => fed?,
                }
            },
        }
    }
}

/// Gives the decoder what comes next. There is no end to it once all has come, or once the decoder has ended.
async fn feed(response: &mut Response, coded: &mut Option<mpsc::Sender<Bytes>>) -> Result<(), FetchError> {
    let Some(sender) = coded else { return std::future::pending().await };
    let Ok(permit) = sender.reserve().await else { return std::future::pending().await };
    match response.chunk().await.map_err(|_| broken())? {
        Some(piece) => permit.send(piece),
        None => {
            drop(permit);
            *coded = None;
        }
    }
    Ok(())
}

fn broken() -> FetchError {
    FetchError::Unreachable(Failure::Broken)
}
