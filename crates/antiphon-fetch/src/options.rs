//! What an operator decides about fetching.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use reqwest::Url;

use crate::address::Network;

/// What an address is wanted for. What an operator opens for one opens no other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Purpose {
    /// A page whose text a model reads.
    Page,
    /// A picture, sound, film or document of a request.
    Media,
    /// A server of tools.
    Mcp,
    /// Where word is sent when something has happened.
    Webhook,
    /// Where access tokens are given out.
    Token,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FetchOptions {
    /// Absent purposes have nothing but the public internet, at ports 80 and 443.
    pub openings: BTreeMap<Purpose, Opening>,
    pub rewrites: Vec<Rewrite>,
    pub own: Own,
    pub user_agent: String,
    /// Whether a page is left alone when its host's `robots.txt` asks for it.
    pub robots: bool,
    pub limits: Limits,
}

/// What one purpose may reach beside the public internet.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Opening {
    pub networks: Vec<Network>,
    /// Beside 80 and 443.
    pub ports: Vec<u16>,
}

/// Addresses that begin so are fetched elsewhere, for tests and mirrors. The operator's word:
/// neither the place nor its port is checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rewrite {
    pub(crate) from: Url,
    pub(crate) to: Url,
}

/// What is no rewrite.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` begins no address; expected `http://` or `https://`, a host, a path, and neither password nor query")]
pub struct RewriteError(String);

impl Rewrite {
    /// # Errors
    /// When one of the two cannot begin an address.
    pub fn new(from: &str, to: &str) -> Result<Self, RewriteError> {
        Ok(Self { from: beginning(from)?, to: beginning(to)? })
    }

    /// Where the address is fetched instead, when it begins so. Whole parts of a path count:
    /// `https://host/a` does not begin `https://host/ab`.
    pub(crate) fn apply(&self, url: &Url) -> Option<Url> {
        if url.origin() != self.from.origin() {
            return None;
        }
        let rest = url.path().strip_prefix(self.from.path().trim_end_matches('/'))?;
        if !rest.is_empty() && !rest.starts_with('/') {
            return None;
        }
        let mut to = self.to.clone();
        to.set_path(&format!("{}{rest}", self.to.path().trim_end_matches('/')));
        to.set_query(url.query());
        Some(to)
    }
}

fn beginning(text: &str) -> Result<Url, RewriteError> {
    let wrong = || RewriteError(text.to_owned());
    let url = Url::parse(text).map_err(|_| wrong())?;
    let is_plain = matches!(url.scheme(), "http" | "https")
        && url.username().is_empty()
        && url.password().is_none()
        && url.query().is_none()
        && url.fragment().is_none();
    if is_plain { Ok(url) } else { Err(wrong()) }
}

/// This server, which nobody reaches through itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Own {
    /// The names it is known by.
    pub hosts: Vec<String>,
    /// Refused whatever an opening says.
    pub addresses: Vec<IpAddr>,
    /// Where it listens. On 80 and 443, which everybody else has too, loopback is refused instead.
    pub port: Option<u16>,
}

/// How much one fetch may be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Of a body, decoded; and as sent.
    pub bytes: usize,
    /// How many times larger than sent a body may be, once it is past a megabyte.
    pub ratio: usize,
    pub redirects: usize,
    pub connect: Duration,
    pub headers: Duration,
    pub total: Duration,
    /// Requests to one host at a time.
    pub per_host: usize,
    /// Addresses in one request.
    pub urls: usize,
    /// Pages that are kept, in bytes.
    pub cache_bytes: usize,
    /// The longest that a page is taken as fresh, whatever its host says.
    pub cache_age: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            bytes: 10 << 20,
            ratio: 200,
            redirects: 5,
            connect: Duration::from_secs(5),
            headers: Duration::from_secs(10),
            total: Duration::from_secs(30),
            per_host: 2,
            urls: 20,
            cache_bytes: 32 << 20,
            cache_age: Duration::from_secs(60 * 60),
        }
    }
}

impl Default for FetchOptions {
    fn default() -> Self {
        Self {
            openings: BTreeMap::new(),
            rewrites: Vec::new(),
            own: Own::default(),
            user_agent: concat!("antiphon/", env!("CARGO_PKG_VERSION")).to_owned(),
            robots: true,
            limits: Limits::default(),
        }
    }
}
