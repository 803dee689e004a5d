//! What an operator decides about MCP.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use reqwest::{Client, Url};

/// Whether an address may be dialled; the reason is for the log alone.
pub type AddressCheck = Arc<dyn Fn(&Url) -> Result<(), String> + Send + Sync>;

#[derive(Clone)]
pub struct McpOptions {
    /// It must not follow redirects, which would carry headers elsewhere, and have no proxy of its own.
    pub client: Client,
    /// Asked before every request.
    pub check: AddressCheck,
    pub timeouts: Timeouts,
    pub bounds: Bounds,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// How long a server may be silent about how it speaks before it is taken for an older one. At
    /// most nine seconds; a process has always ten.
    pub discovery: Duration,
    /// Connecting and listing the tools.
    pub open: Duration,
    /// Of a call, without an answer or a sign of progress.
    pub idle: Duration,
    /// Of a call in all.
    pub call: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Of all that a server sends in answer to one request.
    pub answer_bytes: usize,
    pub tools: usize,
    pub pages: usize,
    /// Of all declarations of a server.
    pub listing_bytes: usize,
    /// Of one tool's schema; a tool with a larger one is left out.
    pub schema_bytes: usize,
    /// A description is cut here.
    pub description_characters: usize,
    /// Parts of one result.
    pub parts: usize,
    /// Of one text in a result, and of the structured content.
    pub text_bytes: usize,
    /// Of one image, recording or file in a result.
    pub media_bytes: usize,
    /// How many servers' listings are remembered.
    pub listings: usize,
    pub listing_life: Duration,
}

impl McpOptions {
    pub fn new(client: Client, check: impl Fn(&Url) -> Result<(), String> + Send + Sync + 'static) -> Self {
        Self { client, check: Arc::new(check), timeouts: Timeouts::default(), bounds: Bounds::default() }
    }
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            discovery: Duration::from_secs(5),
            open: Duration::from_secs(20),
            idle: Duration::from_secs(60),
            call: Duration::from_secs(300),
        }
    }
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            answer_bytes: 16 << 20,
            tools: 256,
            pages: 64,
            listing_bytes: 1 << 20,
            schema_bytes: 64 << 10,
            description_characters: 4_096,
            parts: 256,
            text_bytes: 1 << 20,
            media_bytes: 8 << 20,
            listings: 256,
            listing_life: Duration::from_mins(5),
        }
    }
}

impl fmt::Debug for McpOptions {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("McpOptions")
            .field("timeouts", &self.timeouts)
            .field("bounds", &self.bounds)
            .finish_non_exhaustive()
    }
}
