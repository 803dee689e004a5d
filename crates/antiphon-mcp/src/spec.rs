//! Which server is meant, and what of it may be used.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use reqwest::Url;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};

use crate::error::{McpError, Secrets};

const MOST_NAME_BYTES: usize = 64;
const MOST_URL_BYTES: usize = 2_048;
const MOST_HEADERS: usize = 64;
const MOST_HEADER_BYTES: usize = 16 << 10;

/// A server as a request names it.
#[derive(Clone)]
pub struct ServerSpec {
    /// Letters, digits, `_` and `-`.
    pub name: String,
    pub url: String,
    /// Sent with every request to this server.
    pub headers: BTreeMap<String, String>,
    pub allowed_tools: Vec<AllowedTools>,
}

/// A server that the operator configured: a process that speaks on its standard input and output.
#[derive(Clone)]
pub struct StdioSpec {
    pub name: String,
    /// Best an absolute path: there is no `PATH` unless `env` has one.
    pub command: PathBuf,
    pub args: Vec<String>,
    /// The whole environment of the process.
    pub env: BTreeMap<String, String>,
    pub allowed_tools: Vec<AllowedTools>,
}

/// Some tools of a server.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AllowedTools {
    pub mode: CallMode,
    /// None means all of the server's.
    pub tools: Option<Vec<String>>,
}

/// How the model may call them. Whether it must, or under which checks, is its caller's to see to;
/// here it only matters that `None` allows nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CallMode {
    #[default]
    Auto,
    Any,
    None,
    Validated,
}

/// A server over HTTP whose declaration was understood.
#[derive(Clone)]
pub(crate) struct HttpTarget {
    pub(crate) url: Url,
    pub(crate) headers: HeaderMap,
    pub(crate) secrets: Secrets,
}

impl HttpTarget {
    /// # Errors
    /// What the declaration must not have, by its field.
    pub(crate) fn read(spec: &ServerSpec) -> Result<Self, McpError> {
        let invalid = |why: String| McpError::invalid(shown_name(&spec.name), why);
        check_name(&spec.name)?;
        let url = read_url(&spec.url).map_err(|why| invalid(format!("`url`: {why}")))?;
        let headers = read_headers(&spec.headers).map_err(|why| invalid(format!("`headers`: {why}")))?;
        // What a query holds may be a key, too.
        let queries = url.query_pairs().map(|(_, value)| value.into_owned()).collect::<Vec<_>>();
        let values = spec.headers.values().chain(&queries).map(String::as_str);
        Ok(Self { secrets: Secrets::of(values), url, headers })
    }
}

pub(crate) fn check_name(name: &str) -> Result<(), McpError> {
    let fits = !name.is_empty()
        && name.len() <= MOST_NAME_BYTES
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'));
    if fits {
        return Ok(());
    }
    let why = format!("`name`: expected 1 to {MOST_NAME_BYTES} letters, digits, `_` or `-`");
    Err(McpError::invalid(shown_name(name), why))
}

/// A name that breaks the rules is not repeated.
fn shown_name(name: &str) -> &str {
    if name.len() <= MOST_NAME_BYTES && name.bytes().all(|byte| byte.is_ascii_graphic()) { name } else { "?" }
}

fn read_url(text: &str) -> Result<Url, String> {
    if text.len() > MOST_URL_BYTES {
        return Err(format!("expected at most {MOST_URL_BYTES} bytes, got {}", text.len()));
    }
    let mut url = Url::parse(text).map_err(|error| error.to_string())?;
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
        return Err("expected `http://` or `https://` and a host".to_owned());
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("a password belongs into `headers`".to_owned());
    }
    url.set_fragment(None);
    Ok(url)
}

fn read_headers(given: &BTreeMap<String, String>) -> Result<HeaderMap, String> {
    let bytes: usize = given.iter().map(|(name, value)| name.len() + value.len()).sum();
    if given.len() > MOST_HEADERS || bytes > MOST_HEADER_BYTES {
        return Err(format!("expected at most {MOST_HEADERS} of {MOST_HEADER_BYTES} bytes in all"));
    }
    let mut headers = HeaderMap::new();
    for (name, value) in given {
        let shown = crate::error::cut(name, 64);
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| format!("`{shown}` is no name of a header"))?;
        if is_reserved(name.as_str()) {
            return Err(format!("`{shown}` is set by the protocol and cannot be given"));
        }
        let mut value = HeaderValue::from_str(value).map_err(|_| format!("the value of `{shown}` is no header"))?;
        value.set_sensitive(true);
        if headers.insert(name, value).is_some() {
            return Err(format!("`{shown}` is given twice"));
        }
    }
    Ok(headers)
}

fn is_reserved(name: &str) -> bool {
    name.starts_with("mcp-")
        || name.starts_with("proxy-")
        || matches!(
            name,
            "accept"
                | "accept-encoding"
                | "connection"
                | "content-encoding"
                | "content-length"
                | "content-type"
                | "expect"
                | "host"
                | "keep-alive"
                | "last-event-id"
                | "te"
                | "trailer"
                | "transfer-encoding"
                | "upgrade"
        )
}

/// Whether a tool may be called: one entry that allows it is enough, and no entry allows all.
pub(crate) fn is_allowed(allowed: &[AllowedTools], tool: &str) -> bool {
    allowed.is_empty()
        || allowed.iter().any(|entry| match entry.mode {
            CallMode::None => false,
            CallMode::Auto | CallMode::Any | CallMode::Validated => {
                entry.tools.as_ref().is_none_or(|tools| tools.iter().any(|name| name == tool))
            }
        })
}

impl fmt::Debug for ServerSpec {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let host = Url::parse(&self.url).ok().and_then(|url| url.host_str().map(str::to_owned));
        formatter
            .debug_struct("ServerSpec")
            .field("name", &self.name)
            .field("host", &host)
            .field("headers", &self.headers.keys().collect::<Vec<_>>())
            .field("allowed_tools", &self.allowed_tools)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for StdioSpec {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("StdioSpec")
            .field("name", &self.name)
            .field("command", &self.command)
            .field("env", &self.env.keys().collect::<Vec<_>>())
            .field("allowed_tools", &self.allowed_tools)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_entry_that_allows_a_tool_is_enough() {
        let check = |allowed: &[AllowedTools], expected: [bool; 2]| {
            assert_eq!(["a", "b"].map(|tool| is_allowed(allowed, tool)), expected, "{allowed:?}");
        };
        let entry = |mode, tools: Option<&[&str]>| AllowedTools {
            mode,
            tools: tools.map(|tools| tools.iter().map(|&tool| tool.to_owned()).collect()),
        };
        check(&[], [true, true]);
        check(&[entry(CallMode::Auto, None)], [true, true]);
        check(&[entry(CallMode::Auto, Some(&[]))], [false, false]);
        check(&[entry(CallMode::Any, Some(&["a"]))], [true, false]);
        check(&[entry(CallMode::Validated, Some(&["a"])), entry(CallMode::Auto, Some(&["b"]))], [true, true]);
        check(&[entry(CallMode::None, None)], [false, false]);
        check(&[entry(CallMode::None, Some(&["a"]))], [false, false]);
        check(&[entry(CallMode::None, Some(&["a"])), entry(CallMode::Auto, Some(&["b"]))], [false, true]);
    }
}
