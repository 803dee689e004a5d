//! Pages that were read a moment ago, and what their hosts recognise them by.
//!
//! What one scope has read is not seen by another: how fast a page comes would tell whether
//! somebody else has read it.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use reqwest::header::{AGE, CACHE_CONTROL, ETAG, HeaderMap, HeaderName, HeaderValue, LAST_MODIFIED, SET_COOKIE, VARY};
use tokio::time::Instant;

use crate::fetcher::Fetched;

const MOST_PAGES: usize = 256;
/// Longer ones are no names of a version but a burden.
const LONGEST_VALIDATOR: usize = 512;

pub(crate) type Key = (String, String);

pub(crate) struct Cache {
    most_bytes: usize,
    most_age: Duration,
    pages: Mutex<Pages>,
}

#[derive(Default)]
struct Pages {
    kept: HashMap<Key, Page>,
    bytes: usize,
    /// Counts uses, so that the one longest unused is known.
    clock: u64,
}

struct Page {
    fetched: Fetched,
    validators: Validators,
    fresh_until: Instant,
    used: u64,
}

/// What a host knows a version of a page by.
#[derive(Debug, Clone, Default)]
pub(crate) struct Validators {
    pub(crate) etag: Option<HeaderValue>,
    pub(crate) modified: Option<HeaderValue>,
}

pub(crate) enum Cached {
    Fresh(Fetched),
    /// Still good if its host says so.
    Stale(Fetched, Validators),
}

impl Cache {
    pub(crate) fn new(most_bytes: usize, most_age: Duration) -> Self {
        Self { most_bytes, most_age, pages: Mutex::default() }
    }

    pub(crate) fn get(&self, key: &Key) -> Option<Cached> {
        let mut pages = self.pages.lock().unwrap_or_else(PoisonError::into_inner);
        pages.clock += 1;
        let now = pages.clock;
        let page = pages.kept.get_mut(key)?;
        page.used = now;
        if page.fresh_until > Instant::now() {
            return Some(Cached::Fresh(page.fetched.clone()));
        }
        Some(Cached::Stale(page.fetched.clone(), page.validators.clone()))
    }

    /// Keeps a page if its host lets us, and there is a way of using it again.
    pub(crate) fn put(&self, key: Key, fetched: &Fetched, headers: &HeaderMap) {
        let mut pages = self.pages.lock().unwrap_or_else(PoisonError::into_inner);
        pages.remove(&key);
        let size = fetched.bytes.len();
        let Some(fresh) = self.freshness(headers) else { return };
        let validators = Validators { etag: validator(headers, &ETAG), modified: validator(headers, &LAST_MODIFIED) };
        let is_usable = !fresh.is_zero() || validators.etag.is_some() || validators.modified.is_some();
        if !is_usable || size > self.most_bytes / 4 {
            return;
        }
        while pages.kept.len() >= MOST_PAGES || pages.bytes + size > self.most_bytes {
            let oldest = pages.kept.iter().min_by_key(|(_, page)| page.used).map(|(key, _)| key.clone());
            let Some(oldest) = oldest else { break };
            pages.remove(&oldest);
        }
        pages.clock += 1;
        let page =
            Page { fetched: fetched.clone(), validators, fresh_until: Instant::now() + fresh, used: pages.clock };
        pages.bytes += size;
        pages.kept.insert(key, page);
    }

    /// How long a page is good without asking; none if it is not to be kept.
    fn freshness(&self, headers: &HeaderMap) -> Option<Duration> {
        if headers.contains_key(SET_COOKIE) {
            return None;
        }
        // The same headers are sent every time, so that only what varies by more is of one use.
        if headers.get_all(VARY).iter().any(|vary| vary.as_bytes().contains(&b'*')) {
            return None;
        }
        let (mut fresh, mut asks_first) = (Duration::ZERO, false);
        for header in headers.get_all(CACHE_CONTROL) {
            for directive in header.to_str().ok()?.split(',') {
                let directive = directive.trim().to_ascii_lowercase();
                match directive.split_once('=').unwrap_or((&directive, "")) {
                    ("no-store" | "private", _) => return None,
                    ("no-cache", _) => asks_first = true,
                    ("max-age", seconds) => {
                        fresh = seconds.trim_matches('"').parse().map_or(Duration::ZERO, Duration::from_secs);
                    }
                    _ => {}
                }
            }
        }
        let age = headers.get(AGE).and_then(|age| age.to_str().ok()?.trim().parse().ok()).unwrap_or(0);
        let fresh = fresh.saturating_sub(Duration::from_secs(age)).min(self.most_age);
        Some(if asks_first { Duration::ZERO } else { fresh })
    }
}

impl Pages {
    fn remove(&mut self, key: &Key) {
        if let Some(page) = self.kept.remove(key) {
            self.bytes -= page.fetched.bytes.len();
        }
    }
}

fn validator(headers: &HeaderMap, name: &HeaderName) -> Option<HeaderValue> {
    headers.get(name).filter(|value| value.len() <= LONGEST_VALIDATOR).cloned()
}
