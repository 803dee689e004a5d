//! One fetch: hop by hop, each of them checked as if it were the first.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use reqwest::header::{
    ACCEPT, ACCEPT_ENCODING, CONNECTION, CONTENT_LENGTH, HOST, HeaderMap, HeaderName, HeaderValue, IF_MODIFIED_SINCE,
    IF_NONE_MATCH, LOCATION, PROXY_AUTHORIZATION, TE, TRANSFER_ENCODING, UPGRADE,
};
use reqwest::{Client, Response, Url};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, timeout_at};
use tracing::debug;

use crate::body::{Body, Head};
use crate::cache::{Cache, Cached, Key};
use crate::client::{ClientError, Clients};
use crate::decode::{ACCEPTED, Bounds, UNCODED, decode};
use crate::error::{Failure, FetchError, Refusal};
use crate::gate::{self, Gate, Way};
use crate::hosts::Hosts;
use crate::options::{FetchOptions, Purpose};
use crate::resolver::Lookup;
use crate::robots::{self, Remembered, Robots};
use crate::sniff::{MimeError, agreed, is_text};

/// The one way to what is behind an address that a user or a model gave.
#[derive(Clone)]
pub struct Fetcher(Arc<Inner>);

struct Inner {
    options: FetchOptions,
    gate: Arc<Gate>,
    clients: Clients,
    hosts: Hosts,
    cache: Cache,
    robots: Remembered,
}

/// What was fetched. Redirects and errors of the host are not: they became a [`FetchError`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetched {
    /// After redirects, before a rewrite.
    pub final_url: Url,
    pub status: u16,
    /// As declared and not contradicted by the bytes, or what these look like; in lower case,
    /// without parameters.
    pub mime: String,
    /// As declared; in lower case.
    pub charset: Option<String>,
    /// Decoded.
    pub bytes: Bytes,
}

/// How many addresses one request can still have fetched, and for whom it is.
#[derive(Debug)]
pub struct Allowance {
    scope: String,
    limit: usize,
    left: AtomicUsize,
}

/// An address that was checked, and what to reach it with.
#[derive(Debug, Clone)]
pub struct Target {
    /// Where requests go: elsewhere than asked for if the operator rewrote it.
    pub url: Url,
    /// It follows no redirects, keeps no cookies and dials only checked addresses. A URL whose
    /// host is an address is not resolved, hence not checked: give it no other than `url`.
    pub client: Client,
}

/// One way from an address to its content.
struct Walk<'walk> {
    purpose: Purpose,
    headers: HeaderMap,
    /// The codings that are asked for.
    codings: &'static str,
    kind: Kind<'walk>,
}

#[derive(Clone, Copy)]
enum Kind<'walk> {
    Content { scope: &'walk str },
    Robots,
}

enum Hop {
    Redirect(Url),
    Arrived(Arrived),
}

/// The end of a walk.
pub(crate) enum Arrived {
    /// What was read before, and is the same still.
    Known(Fetched),
    Answer(Answer),
}

/// An answer of which nothing was read yet.
pub(crate) struct Answer {
    pub(crate) url: Url,
    pub(crate) response: Response,
    /// Under which it is kept.
    key: Option<Key>,
    /// At its host, until all is read.
    pub(crate) turn: Option<OwnedSemaphorePermit>,
}

impl Fetcher {
    /// # Errors
    /// When the machine has no usable TLS.
    pub fn new(options: FetchOptions, lookup: &Arc<dyn Lookup>) -> Result<Self, ClientError> {
        let gate = Arc::new(Gate::new(&options));
        Ok(Self(Arc::new(Inner {
            clients: Clients::new(&options, &gate, lookup)?,
            hosts: Hosts::new(options.limits.per_host),
            cache: Cache::new(options.limits.cache_bytes, options.limits.cache_age),
            robots: Remembered::default(),
            gate,
            options,
        })))
    }

    /// For one request of a scope, such as a project. Scopes do not see what others have read.
    pub fn allowance(&self, scope: &str) -> Allowance {
        let limit = self.0.options.limits.urls;
        Allowance { scope: scope.to_owned(), limit, left: AtomicUsize::new(limit) }
    }

    /// Whether an address may be fetched, as far as it tells by itself. What its host's name
    /// resolves to is found out, and checked, when it is dialled.
    ///
    /// # Errors
    /// What of it is not allowed.
    pub fn check(&self, url: &str, purpose: Purpose) -> Result<Url, Refusal> {
        let url = gate::parse(url)?;
        self.0.gate.check(&url, purpose)?;
        Ok(url)
    }

    /// For those who speak HTTP themselves.
    ///
    /// # Errors
    /// As [`Self::check`].
    pub fn target(&self, url: &str, purpose: Purpose) -> Result<Target, Refusal> {
        Ok(match self.0.gate.check(&gate::parse(url)?, purpose)? {
            Way::Direct(url) => Target { url, client: self.0.clients.guarded(purpose).clone() },
            Way::Rewritten(url) => Target { url, client: self.0.clients.local.clone() },
        })
    }

    /// For those who speak HTTP themselves to addresses that they [`check`](Self::check) one by
    /// one: it follows no redirects, keeps no cookies and dials only what may be dialled.
    pub fn client(&self, purpose: Purpose) -> Client {
        self.0.clients.guarded(purpose).clone()
    }

    /// # Errors
    /// Why nothing was fetched.
    pub async fn fetch(&self, url: &str, purpose: Purpose, allowance: &Allowance) -> Result<Fetched, FetchError> {
        self.fetch_with(url, purpose, HeaderMap::new(), allowance).await
    }

    /// With headers of the caller, which no other host gets to see: a redirect away drops them.
    ///
    /// # Errors
    /// Why nothing was fetched.
    pub async fn fetch_with(
        &self,
        url: &str,
        purpose: Purpose,
        mut headers: HeaderMap,
        allowance: &Allowance,
    ) -> Result<Fetched, FetchError> {
        allowance.take()?;
        let limits = &self.0.options.limits;
        let deadline = Instant::now() + limits.total;
        // What frames the request is not the caller's.
        const OURS: [HeaderName; 8] =
            [ACCEPT_ENCODING, CONNECTION, CONTENT_LENGTH, HOST, PROXY_AUTHORIZATION, TE, TRANSFER_ENCODING, UPGRADE];
        for name in OURS {
            headers.remove(name);
        }
        let walk = Walk { purpose, headers, codings: ACCEPTED, kind: Kind::Content { scope: &allowance.scope } };
        let fetched = match gate::parse(url) {
            Ok(url) => {
                let walked = timeout_at(deadline, Box::pin(self.0.read(url, walk, limits.bytes))).await;
                walked.unwrap_or(Err(FetchError::Unreachable(Failure::Timeout)))
            }
            Err(refusal) => Err(refusal.into()),
        };
        if let Err(error) = &fetched {
            debug!(?purpose, ?error, "Did not fetch an address");
        }
        fetched
    }

    /// As [`Self::fetch`], for what is too long for memory: it is taken piece by piece, within the same limits and time.
    ///
    /// # Errors
    /// Why nothing was fetched, as far as its beginning tells.
    pub async fn open(&self, url: &str, purpose: Purpose, allowance: &Allowance) -> Result<Body, FetchError> {
        allowance.take()?;
        let limits = &self.0.options.limits;
        let deadline = Instant::now() + limits.total;
        let kind = Kind::Content { scope: &allowance.scope };
        let walk = Walk { purpose, headers: HeaderMap::new(), codings: UNCODED, kind };
        let bounds = Bounds { limit: limits.bytes, ratio: limits.ratio };
        let opened = match gate::parse(url) {
            Ok(url) => {
                let arrived = async { Body::open(self.0.walk(url, walk).await?, purpose, bounds, deadline).await };
                timeout_at(deadline, Box::pin(arrived)).await.unwrap_or(Err(FetchError::Unreachable(Failure::Timeout)))
            }
            Err(refusal) => Err(refusal.into()),
        };
        if let Err(error) = &opened {
            debug!(?purpose, ?error, "Did not open an address");
        }
        opened
    }
}

impl Allowance {
    fn take(&self) -> Result<(), FetchError> {
        let taken = self.left.try_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1));
        taken.map(drop).map_err(|_| FetchError::TooMany { limit: self.limit })
    }
}

impl Inner {
    /// All that is behind an address.
    async fn read(&self, url: Url, walk: Walk<'_>, most_bytes: usize) -> Result<Fetched, FetchError> {
        let purpose = walk.purpose;
        match self.walk(url, walk).await? {
            Arrived::Known(fetched) => Ok(fetched),
            Arrived::Answer(answer) => self.content(answer, purpose, most_bytes).await,
        }
    }

    async fn walk(&self, mut url: Url, mut walk: Walk<'_>) -> Result<Arrived, FetchError> {
        let mut seen = Vec::new();
        loop {
            let way = self.gate.check(&url, walk.purpose)?;
            let asks = self.options.robots && walk.purpose == Purpose::Page;
            if let (true, Kind::Content { .. }, Way::Direct(url)) = (asks, walk.kind, &way)
                && !self.robots_allow(url).await?
            {
                return Err(Refusal::Robots.into());
            }
            let next = match self.hop(&url, way, &walk).await? {
                Hop::Arrived(arrived) => return Ok(arrived),
                Hop::Redirect(next) => next,
            };
            if next.origin() != url.origin() {
                walk.headers.clear();
            }
            seen.push(std::mem::replace(&mut url, next));
            if seen.len() > self.options.limits.redirects || seen.contains(&url) {
                return Err(Refusal::Redirects.into());
            }
        }
    }

    async fn robots_allow(&self, url: &Url) -> Result<bool, FetchError> {
        let origin = url.origin().ascii_serialization();
        let robots = match self.robots.get(&origin) {
            Some(robots) => robots,
            None => {
                let robots = self.ask_robots(url).await?;
                self.robots.put(origin, robots)
            }
        };
        let path = match url.query() {
            Some(query) => format!("{}?{query}", url.path()),
            None => url.path().to_owned(),
        };
        Ok(robots.allows(&path))
    }

    async fn ask_robots(&self, url: &Url) -> Result<Robots, FetchError> {
        let at = url.join("/robots.txt").map_err(|_| Refusal::Malformed)?;
        let walk = Walk { purpose: Purpose::Page, headers: HeaderMap::new(), codings: ACCEPTED, kind: Kind::Robots };
        let agent = &self.options.user_agent;
        let program = agent.split(['/', ' ']).next().unwrap_or_default();
        Ok(match Box::pin(self.read(at, walk, robots::MOST_BYTES)).await {
            Ok(file) => Robots::read(&String::from_utf8_lossy(&file.bytes), program),
            Err(FetchError::Status(500..)) => Robots::Nothing,
            // A host that does not answer is not asked a second time.
            Err(error @ FetchError::Unreachable(_)) => return Err(error),
            Err(
                FetchError::Status(_)
                | FetchError::Refused(_)
                | FetchError::Size { .. }
                | FetchError::Type(_)
                | FetchError::TooMany { .. },
            ) => Robots::everything(),
        })
    }

    async fn hop(&self, url: &Url, way: Way, walk: &Walk<'_>) -> Result<Hop, FetchError> {
        let key = self.key(url, walk);
        let cached = key.as_ref().and_then(|key| self.cache.get(key));
        let (known, validators) = match cached {
            Some(Cached::Fresh(fetched)) => return Ok(Hop::Arrived(Arrived::Known(fetched))),
            Some(Cached::Stale(fetched, validators)) => (Some(fetched), validators),
            None => (None, Default::default()),
        };
        let turn = self.hosts.turn(url.host_str().unwrap_or_default()).await;
        let (client, at) = match way {
            Way::Direct(at) => (self.clients.guarded(walk.purpose), at),
            Way::Rewritten(at) => (&self.clients.local, at),
        };
        let mut headers = walk.headers.clone();
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static(walk.codings));
        headers.entry(ACCEPT).or_insert(accept(walk.purpose));
        let conditions = [(IF_NONE_MATCH, validators.etag), (IF_MODIFIED_SINCE, validators.modified)];
        headers.extend(conditions.into_iter().filter_map(|(name, value)| Some((name, value?))));
        let deadline = Instant::now() + self.options.limits.headers;
        let response = timeout_at(deadline, client.get(at).headers(headers).send()).await;
        let response = response.map_err(|_| FetchError::Unreachable(Failure::Timeout))?.map_err(|e| unsent(&e))?;
        match (response.status().as_u16(), known) {
            (301 | 302 | 303 | 307 | 308, _) => Ok(Hop::Redirect(redirect(url, &response)?)),
            (304, Some(fetched)) => {
                if let Some(key) = key {
                    self.cache.put(key, &fetched, response.headers());
                }
                Ok(Hop::Arrived(Arrived::Known(fetched)))
            }
            (200..=299, _) => Ok(Hop::Arrived(Arrived::Answer(Answer { url: url.clone(), response, key, turn }))),
            (status, _) => Err(FetchError::Status(status)),
        }
    }

    /// What a page is kept under; none for what is not kept.
    fn key(&self, url: &Url, walk: &Walk<'_>) -> Option<Key> {
        match (walk.purpose, walk.kind) {
            (Purpose::Page, Kind::Content { scope }) if walk.headers.is_empty() => {
                Some((scope.to_owned(), url.as_str().to_owned()))
            }
            (Purpose::Page | Purpose::Media | Purpose::Mcp | Purpose::Webhook | Purpose::Token, _) => None,
        }
    }

    async fn content(&self, answer: Answer, purpose: Purpose, limit: usize) -> Result<Fetched, FetchError> {
        let Answer { url: final_url, mut response, key, turn: _turn } = answer;
        let Head { coding, declared, .. } = Head::read(&response, purpose, limit)?;
        let (status, answered) = (response.status().as_u16(), response.headers().clone());
        let mut sent = Vec::new();
        while let Some(piece) = response.chunk().await.map_err(|_| FetchError::Unreachable(Failure::Broken))? {
            if sent.len() + piece.len() > limit {
                return Err(FetchError::Size { limit });
            }
            sent.extend_from_slice(&piece);
        }
        let bytes = decode(coding, sent, Bounds { limit, ratio: self.options.limits.ratio }).await?;
        let mime = agreed(declared.as_ref(), &bytes)?;
        wanted(&mime, purpose)?;
        let charset = declared.and_then(|declared| declared.charset);
        let fetched = Fetched { final_url, status, mime, charset, bytes: bytes.into() };
        if let (Some(key), 200) = (key, status) {
            self.cache.put(key, &fetched, &answered);
        }
        Ok(fetched)
    }
}

fn redirect(from: &Url, response: &Response) -> Result<Url, FetchError> {
    let mut locations = response.headers().get_all(LOCATION).iter();
    let (Some(location), None) = (locations.next(), locations.next()) else {
        return Err(FetchError::Status(response.status().as_u16()));
    };
    let location = std::str::from_utf8(location.as_bytes()).map_err(|_| Refusal::Malformed)?;
    Ok(gate::follow(from, location)?)
}

fn unsent(error: &reqwest::Error) -> FetchError {
    let causes = std::iter::successors(std::error::Error::source(error), |error| error.source());
    if let Some(refusal) = causes.into_iter().find_map(|cause| cause.downcast_ref::<Refusal>()) {
        return FetchError::Refused(*refusal);
    }
    FetchError::Unreachable(match (error.is_timeout(), error.is_connect()) {
        (true, _) => Failure::Timeout,
        (false, true) => Failure::Connection,
        (false, false) => Failure::Broken,
    })
}

fn accept(purpose: Purpose) -> HeaderValue {
    HeaderValue::from_static(match purpose {
        Purpose::Page => "text/html, application/xhtml+xml, text/plain;q=0.9, application/pdf;q=0.9, */*;q=0.5",
        Purpose::Media | Purpose::Mcp | Purpose::Webhook | Purpose::Token => "*/*",
    })
}

/// Whether content of a type is of any use.
pub(crate) fn wanted(essence: &str, purpose: Purpose) -> Result<(), MimeError> {
    let kind = essence.split('/').next().unwrap_or_default();
    let is_wanted = match purpose {
        Purpose::Page => is_text(essence) || kind == "image" || essence == "application/pdf",
        // What it is of use for is said by whoever reads it.
        Purpose::Media | Purpose::Mcp | Purpose::Webhook | Purpose::Token => true,
    };
    if is_wanted { Ok(()) } else { Err(MimeError::Unwanted(essence.to_owned())) }
}

impl From<Refusal> for FetchError {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}
