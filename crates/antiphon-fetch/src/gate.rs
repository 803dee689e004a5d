//! The policy: which addresses may be fetched at all, decided without asking anybody.
//!
//! What a host's name resolves to is decided where it is dialled, in `resolver.rs`, by the
//! same [`Gate::admits`].

use std::net::IpAddr;

use reqwest::Url;

use crate::address::is_public;
use crate::error::Refusal;
use crate::options::{FetchOptions, Opening, Own, Purpose, Rewrite};

/// Longer than any that a browser keeps.
const LONGEST_URL: usize = 8 << 10;

/// Endings that no public name has (RFC 6761, 6762, 7686, 8375, 9476 and ICANN's reservation).
const PRIVATE_ENDINGS: [&str; 11] =
    ["alt", "arpa", "example", "home", "internal", "invalid", "lan", "local", "localhost", "onion", "test"];

pub(crate) struct Gate {
    openings: Vec<(Purpose, Opening)>,
    rewrites: Vec<Rewrite>,
    own: Own,
}

/// An address that may be fetched, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Way {
    /// At the host itself, once its name has been resolved to addresses that are admitted.
    Direct(Url),
    /// At the place that the operator named.
    Rewritten(Url),
}

impl Gate {
    pub(crate) fn new(options: &FetchOptions) -> Self {
        let mut own = options.own.clone();
        for host in &mut own.hosts {
            *host = plain_host(host);
        }
        let openings = options.openings.iter().map(|(purpose, opening)| (*purpose, opening.clone())).collect();
        Self { openings, rewrites: options.rewrites.clone(), own }
    }

    /// Whether a parsed address may be fetched.
    pub(crate) fn check(&self, url: &Url, purpose: Purpose) -> Result<Way, Refusal> {
        if !matches!(url.scheme(), "http" | "https") {
            return Err(Refusal::Scheme);
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(Refusal::UserInfo);
        }
        let Some(host) = url.host_str() else { return Err(Refusal::Malformed) };
        if let Some(to) = self.rewrites.iter().find_map(|rewrite| rewrite.apply(url)) {
            return Ok(Way::Rewritten(to));
        }
        if self.own.hosts.contains(&plain_host(host)) {
            return Err(Refusal::Own);
        }
        let port = url.port_or_known_default().ok_or(Refusal::Port)?;
        let is_usual = matches!(port, 80 | 443);
        if !is_usual && self.own.port == Some(port) {
            return Err(Refusal::Own);
        }
        if !is_usual && !self.opening(purpose).is_some_and(|opening| opening.ports.contains(&port)) {
            return Err(Refusal::Port);
        }
        // Names of a private network resolve to what was opened, or are refused then.
        let may_be_private = self.opening(purpose).is_some_and(|opening| !opening.networks.is_empty());
        match literal(host) {
            Some(address) => self.admits(address, purpose)?,
            None if may_be_private || has_public_form(host) => {}
            None => return Err(Refusal::Address),
        }
        Ok(Way::Direct(url.clone()))
    }

    /// Whether an address may be dialled.
    pub(crate) fn admits(&self, address: IpAddr, purpose: Purpose) -> Result<(), Refusal> {
        let shares_our_port = matches!(self.own.port, Some(80 | 443));
        if self.own.addresses.contains(&address.to_canonical())
            || (shares_our_port && (address.is_loopback() || address.is_unspecified()))
        {
            return Err(Refusal::Own);
        }
        let is_open = self
            .opening(purpose)
            .is_some_and(|opening| opening.networks.iter().any(|network| network.contains(address)));
        if is_open || is_public(address) { Ok(()) } else { Err(Refusal::Address) }
    }

    fn opening(&self, purpose: Purpose) -> Option<&Opening> {
        self.openings.iter().find(|(of, _)| *of == purpose).map(|(_, opening)| opening)
    }
}

/// Parses an address that came from outside.
pub(crate) fn parse(text: &str) -> Result<Url, Refusal> {
    let text = text.trim_matches([' ', '\n', '\r', '\t']);
    refuse_ambiguous(text)?;
    without_fragment(Url::parse(text).map_err(|_| Refusal::Malformed)?)
}

/// Where a redirect leads.
pub(crate) fn follow(from: &Url, location: &str) -> Result<Url, Refusal> {
    refuse_ambiguous(location)?;
    let to = without_fragment(from.join(location).map_err(|_| Refusal::Malformed)?)?;
    if from.scheme() == "https" && to.scheme() == "http" {
        return Err(Refusal::Downgrade);
    }
    Ok(to)
}

/// What one reader of addresses takes for the host and another for something else. The parser
/// would repair most of it without a word.
fn refuse_ambiguous(text: &str) -> Result<(), Refusal> {
    let is_odd = |character: char| character.is_whitespace() || character.is_control() || character == '\\';
    if text.len() > LONGEST_URL || text.chars().any(is_odd) {
        return Err(Refusal::Malformed);
    }
    let authority = text.split_once("//").map_or("", |(_, rest)| rest.split('/').next().unwrap_or_default());
    if authority.contains('@') {
        return Err(Refusal::UserInfo);
    }
    Ok(())
}

fn without_fragment(mut url: Url) -> Result<Url, Refusal> {
    url.set_fragment(None);
    if url.as_str().len() > LONGEST_URL { Err(Refusal::Malformed) } else { Ok(url) }
}

/// The parser has turned every spelling of an address of four bytes into the usual one.
fn literal(host: &str) -> Option<IpAddr> {
    host.trim_start_matches('[').trim_end_matches(']').parse().ok()
}

fn plain_host(host: &str) -> String {
    host.trim_end_matches('.').to_ascii_lowercase()
}

fn has_public_form(host: &str) -> bool {
    let host = plain_host(host);
    host.rsplit_once('.').is_some_and(|(name, ending)| !name.is_empty() && !PRIVATE_ENDINGS.contains(&ending))
}
