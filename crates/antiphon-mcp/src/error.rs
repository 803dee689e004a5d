//! What goes wrong with a server, in words that may be shown and in words for the log.

use std::fmt;

/// Of a server's own words in an error.
const MOST_WORDS: usize = 500;

/// Its `Display` may be shown to the caller and to the model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct McpError {
    pub kind: McpErrorKind,
    server: String,
    detail: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum McpErrorKind {
    /// The declaration cannot be honoured: the field, what was expected and what came.
    Invalid(String),
    /// The address may not be dialled.
    Forbidden,
    /// Nobody answers there, or the connection broke.
    Unreachable,
    /// The HTTP status with which the server turned us away.
    Refused(u16),
    /// What came is not MCP, or something that no client like this one can do.
    Protocol,
    /// A call took too long.
    Timeout,
    TooLarge,
    UnknownTool(String),
    /// The server answered with an error of the protocol, in these words.
    Failed {
        code: i32,
        message: String,
    },
}

impl McpError {
    pub(crate) fn new(server: &str, kind: McpErrorKind, detail: impl Into<String>) -> Self {
        Self { kind, server: server.to_owned(), detail: cut(&detail.into(), MOST_WORDS) }
    }

    pub(crate) fn invalid(server: &str, why: impl Into<String>) -> Self {
        Self::new(server, McpErrorKind::Invalid(why.into()), "")
    }

    pub(crate) fn unknown_tool(server: &str, tool: &str) -> Self {
        Self::new(server, McpErrorKind::UnknownTool(cut(tool, 128)), "")
    }

    /// The name of the server, as it was declared.
    pub fn server(&self) -> &str {
        &self.server
    }

    /// For the log alone: it may tell of addresses. Values of headers are not in it.
    pub fn detail(&self) -> &str {
        &self.detail
    }
}

impl fmt::Display for McpError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let server = &self.server;
        match &self.kind {
            McpErrorKind::Invalid(why) => write!(formatter, "the MCP server `{server}` cannot be used: {why}"),
            // One text, so that nobody learns what listens on networks that are none of theirs.
            McpErrorKind::Forbidden | McpErrorKind::Unreachable => {
                write!(formatter, "the MCP server `{server}` cannot be reached")
            }
            McpErrorKind::Refused(status @ (401 | 403)) => {
                write!(formatter, "the MCP server `{server}` answered with HTTP status {status}: check its `headers`")
            }
            McpErrorKind::Refused(status) => {
                write!(formatter, "the MCP server `{server}` answered with HTTP status {status}")
            }
            McpErrorKind::Protocol => write!(formatter, "the MCP server `{server}` does not answer as MCP says"),
            McpErrorKind::Timeout => write!(formatter, "the MCP server `{server}` did not answer in time"),
            McpErrorKind::TooLarge => write!(formatter, "what the MCP server `{server}` answered is too large"),
            McpErrorKind::UnknownTool(tool) => write!(formatter, "the MCP server `{server}` has no tool `{tool}`"),
            McpErrorKind::Failed { message, .. } => {
                write!(formatter, "the MCP server `{server}` answered with an error: {message}")
            }
        }
    }
}

impl std::error::Error for McpError {}

/// The values of a server's headers, to be taken out of whatever is said about it.
#[derive(Clone, Default)]
pub(crate) struct Secrets(Vec<String>);

impl Secrets {
    pub(crate) fn of<'a>(values: impl Iterator<Item = &'a str>) -> Self {
        let mut secrets: Vec<_> = values
            // A token is as secret without the `Bearer` before it.
            .flat_map(|value| std::iter::once(value).chain(value.split_whitespace()))
            // Shorter ones are no secrets, and would tear words apart.
            .filter(|secret| secret.len() >= 6 && !secret.eq_ignore_ascii_case("bearer"))
            .map(str::to_owned)
            .collect();
        secrets.sort_unstable_by_key(|secret| std::cmp::Reverse(secret.len()));
        secrets.dedup();
        Self(secrets)
    }

    /// The text without secrets, and not longer than a log line bears.
    pub(crate) fn redacted(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for secret in &self.0 {
            if text.contains(secret.as_str()) {
                text = text.replace(secret.as_str(), "…");
            }
        }
        cut(&text, MOST_WORDS)
    }
}

impl fmt::Debug for Secrets {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Secrets")
    }
}

/// The beginning of a text, with an ellipsis where it was cut.
pub(crate) fn cut(text: &str, most_characters: usize) -> String {
    match text.char_indices().nth(most_characters) {
        None => text.to_owned(),
        Some(_) => text.chars().take(most_characters.saturating_sub(1)).chain(['…']).collect(),
    }
}
