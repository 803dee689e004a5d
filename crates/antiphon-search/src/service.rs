//! Requests to a search service and back: one try, and everything bounded.

use std::error::Error as _;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderName, HeaderValue};
use reqwest::{Client, RequestBuilder, Response, Url, redirect};
use rustls_platform_verifier::BuilderVerifierExt as _;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::plain;
use crate::provider::{SearchError, SearchErrorKind};

const CONNECT: Duration = Duration::from_secs(5);
const WHOLE: Duration = Duration::from_secs(10);
/// A long article has a few hundred kilobytes.
const MOST_ANSWER_BYTES: usize = 2 << 20;
/// Of what a service says instead of an answer.
const MOST_EXCUSE_CHARACTERS: usize = 300;

/// The operator's key for a service. It is shown nowhere.
#[derive(Clone)]
pub struct Key(String);

impl Key {
    pub fn new(key: impl Into<String>) -> Self {
        Self(key.into())
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Key(…)")
    }
}

/// How a service wants to be shown its key.
pub(crate) enum Shown {
    Bearer,
    Header(&'static str),
}

pub(crate) struct Service {
    client: Client,
    base: Url,
    header: Option<(HeaderName, HeaderValue)>,
    key: Option<Key>,
}

impl Service {
    /// For an address that the operator gave.
    pub(crate) fn new(url: &str, key: Option<(Shown, &Key)>) -> Result<Self, SearchError> {
        let header = key.as_ref().map(|(shown, key)| header(shown, key)).transpose()?;
        Ok(Self { client: client()?, base: base(url)?, header, key: key.map(|(_, key)| key.clone()) })
    }

    /// The base address with a path below it, or itself.
    pub(crate) fn at(&self, path: &str) -> Url {
        let mut url = self.base.clone();
        if !path.is_empty() {
            url.set_path(&format!("{}/{path}", self.base.path().trim_end_matches('/')));
        }
        url
    }

    pub(crate) async fn get<T: DeserializeOwned>(
        &self,
        mut url: Url,
        pairs: &[(&str, &str)],
    ) -> Result<T, SearchError> {
        url.query_pairs_mut().extend_pairs(pairs);
        self.ask(self.client.get(url)).await
    }

    pub(crate) async fn post<T: DeserializeOwned>(&self, url: Url, body: &Value) -> Result<T, SearchError> {
        self.ask(self.client.post(url).header(CONTENT_TYPE, "application/json").body(body.to_string())).await
    }

    async fn ask<T: DeserializeOwned>(&self, request: RequestBuilder) -> Result<T, SearchError> {
        let request = request.header(ACCEPT, "application/json");
        let request = match &self.header {
            Some((name, value)) => request.header(name, value),
            None => request,
        };
        let response = request.send().await.map_err(|error| unreached(&error))?;
        let status = response.status().as_u16();
        if status != 200 {
            let said = read(response).await.unwrap_or_default();
            return Err(self.excuse(status, &String::from_utf8_lossy(&said)));
        }
        let body = read(response).await?;
        serde_json::from_slice(&body).map_err(|error| {
            // It quotes what it does not expect.
            let detail = format!("the answer does not fit: {}", self.redacted(&error.to_string()));
            SearchError::new(SearchErrorKind::Garbage, detail)
        })
    }

    fn excuse(&self, status: u16, said: &str) -> SearchError {
        let kind = match status {
            400..=499 => SearchErrorKind::Refused,
            500..=599 => SearchErrorKind::Unavailable,
            _ => SearchErrorKind::Garbage,
        };
        SearchError::new(kind, format!("status {status}: {}", self.redacted(said)))
    }

    /// What a service said, without the key that it may repeat.
    pub(crate) fn redacted(&self, said: &str) -> String {
        let said = match &self.key {
            Some(key) => said.replace(&key.0, "…"),
            None => said.to_owned(),
        };
        plain::line(&said, MOST_EXCUSE_CHARACTERS)
    }
}

impl fmt::Debug for Service {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Service").field("base", &self.base.as_str()).finish_non_exhaustive()
    }
}

async fn read(response: Response) -> Result<Vec<u8>, SearchError> {
    let (mut body, mut pieces) = (Vec::new(), response.bytes_stream());
    while let Some(piece) = pieces.next().await {
        body.extend_from_slice(&piece.map_err(|error| unreached(&error))?);
        if body.len() > MOST_ANSWER_BYTES {
            let detail = format!("the answer has more than {MOST_ANSWER_BYTES} bytes");
            return Err(SearchError::new(SearchErrorKind::Garbage, detail));
        }
    }
    Ok(body)
}

/// Only the innermost cause: what is around it repeats the address, and with it the query.
fn unreached(error: &reqwest::Error) -> SearchError {
    let mut cause = error.source();
    while let Some(inner) = cause.and_then(|cause| cause.source()) {
        cause = Some(inner);
    }
    let detail = match cause {
        _ if error.is_timeout() => "no answer came in time".to_owned(),
        Some(cause) => cause.to_string(),
        None => "the connection failed".to_owned(),
    };
    SearchError::new(SearchErrorKind::Unavailable, detail)
}

fn not_configured(detail: impl Into<String>) -> SearchError {
    SearchError::new(SearchErrorKind::NotConfigured, detail)
}

fn header(shown: &Shown, key: &Key) -> Result<(HeaderName, HeaderValue), SearchError> {
    let wrong = || not_configured("the key is empty or cannot stand in a header");
    if key.0.is_empty() {
        return Err(wrong());
    }
    let (name, value) = match shown {
        Shown::Bearer => ("authorization", format!("Bearer {}", key.0)),
        Shown::Header(name) => (*name, key.0.clone()),
    };
    let mut value = HeaderValue::from_str(&value).map_err(|_| wrong())?;
    value.set_sensitive(true);
    Ok((HeaderName::from_static(name), value))
}

fn base(url: &str) -> Result<Url, SearchError> {
    let wrong = |why: &str| not_configured(format!("the address of the service is none: {why}"));
    let parsed = Url::parse(url).map_err(|error| wrong(&error.to_string()))?;
    if !matches!(parsed.scheme(), "http" | "https") || !parsed.has_host() {
        return Err(wrong("expected http:// or https:// and a host"));
    }
    if !parsed.username().is_empty() || parsed.password().is_some() {
        return Err(wrong("it holds a password"));
    }
    if parsed.query().is_some() || parsed.fragment().is_some() {
        return Err(wrong("expected no query"));
    }
    Ok(parsed)
}

/// For addresses that the operator gave. Nothing around the process decides where it goes.
fn client() -> Result<Client, SearchError> {
    let failed = |error: &dyn fmt::Display| not_configured(format!("no TLS: {error}"));
    let tls = rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .and_then(|builder| builder.with_platform_verifier())
        .map_err(|error| failed(&error))?
        .with_no_client_auth();
    Client::builder()
        .tls_backend_preconfigured(tls)
        .user_agent(concat!("antiphon/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(CONNECT)
        .timeout(WHOLE)
        .redirect(redirect::Policy::none())
        .no_proxy()
        .build()
        .map_err(|error| failed(&error))
}
