//! A service that speaks as much S3 as is needed, on the loopback: objects, uploads in parts, and lists of two a page.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Router;
use axum::body::{Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::http::header::{AUTHORIZATION, CONTENT_LENGTH, ETAG};
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse as _, Response};
use tokio::sync::Notify;

const MOST_BYTES: usize = 64 << 20;
const PAGE: usize = 2;

/// The key that it knows.
pub(crate) const KEY: &str = "antiphon";

#[derive(Clone)]
pub(crate) struct Lookalike {
    pub(crate) address: SocketAddr,
    /// Somebody waits for an answer who gets none.
    pub(crate) stalled: Arc<Notify>,
    state: Arc<Mutex<Kept>>,
}

#[derive(Default)]
pub(crate) struct Kept {
    /// By their keys, behind the bucket.
    pub(crate) objects: BTreeMap<String, Bytes>,
    /// Uploads that have begun, and their parts.
    pub(crate) uploads: BTreeMap<String, BTreeMap<usize, Bytes>>,
    /// Sizes of the parts and objects that came, in their order.
    pub(crate) came: Vec<usize>,
    /// No part of a greater number is taken.
    pub(crate) most_parts: Option<usize>,
    /// A part of this number gets no answer.
    pub(crate) stalls_at: Option<usize>,
    /// How often anything was asked of it.
    pub(crate) asked: usize,
    /// Objects are taken, and whoever sent them is refused.
    pub(crate) denies_what_it_took: bool,
    /// Nobody is let in.
    pub(crate) is_closed: bool,
    begun: usize,
}

impl Lookalike {
    pub(crate) async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let lookalike =
            Self { address: listener.local_addr().unwrap(), stalled: Arc::default(), state: Arc::default() };
        let router = Router::new().fallback(answer).with_state(lookalike.clone());
        #[expect(clippy::disallowed_methods, reason = "it ends with the test's runtime")]
        tokio::spawn(async move { axum::serve(listener, router).await });
        lookalike
    }

    /// What leads to it.
    pub(crate) fn variables(&self) -> Vec<(String, String)> {
        let endpoint = format!("http://{}", self.address);
        [
            ("AWS_ENDPOINT", endpoint.as_str()),
            ("AWS_ALLOW_HTTP", "true"),
            ("AWS_ACCESS_KEY_ID", KEY),
            ("AWS_SECRET_ACCESS_KEY", "secret"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .to_vec()
    }

    pub(crate) fn kept(&self) -> MutexGuard<'_, Kept> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn answer(State(lookalike): State<Lookalike>, request: Request) -> Response {
    lookalike.kept().asked += 1;
    let (head, body) = request.into_parts();
    let signed = head.headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let is_known = signed.starts_with(&format!("AWS4-HMAC-SHA256 Credential={KEY}/"));
    if !is_known || lookalike.kept().is_closed {
        return (StatusCode::FORBIDDEN, "<Error><Code>AccessDenied</Code><Was>secret</Was></Error>").into_response();
    }
    let body = to_bytes(body, MOST_BYTES).await.unwrap();
    let query: BTreeMap<_, _> = head
        .uri
        .query()
        .unwrap_or_default()
        .split('&')
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .map(|(name, value)| (name.to_owned(), value.replace("%2F", "/")))
        .collect();
    let part = query.get("partNumber").and_then(|number| number.parse().ok());
    if part.is_some() && lookalike.kept().stalls_at == part {
        lookalike.stalled.notify_one();
        return std::future::pending().await;
    }
    // The bucket is called `bucket`.
    let key = head.uri.path().trim_start_matches("/bucket").trim_start_matches('/').to_owned();
    lookalike.kept().answer(&head.method, key, &query, body)
}

impl Kept {
    fn answer(&mut self, method: &Method, key: String, query: &BTreeMap<String, String>, body: Bytes) -> Response {
        let value = |name: &str| query.get(name).cloned();
        let xml = |text: String| ([("content-type", "application/xml")], text).into_response();
        let tagged = || [(ETAG, "\"tag\"")].into_response();
        match (method.as_str(), value("uploadId")) {
            ("GET", _) if key.is_empty() => {
                xml(self.list(&value("prefix").unwrap_or_default(), value("continuation-token")))
            }
            ("GET", _) => match self.objects.get(&key) {
                Some(bytes) => ([(ETAG, "\"tag\"")], bytes.clone()).into_response(),
                None => StatusCode::NOT_FOUND.into_response(),
            },
            ("HEAD", _) => match self.objects.get(&key) {
                Some(bytes) => {
                    [(ETAG, "\"tag\"".to_owned()), (CONTENT_LENGTH, bytes.len().to_string())].into_response()
                }
                None => StatusCode::NOT_FOUND.into_response(),
            },
            ("POST", None) => {
                self.begun += 1;
                let id = format!("upload-{}", self.begun);
                self.uploads.insert(id.clone(), BTreeMap::new());
                xml(format!("<InitiateMultipartUploadResult><UploadId>{id}</UploadId></InitiateMultipartUploadResult>"))
            }
            ("PUT", Some(id)) => {
                let number = value("partNumber").and_then(|number| number.parse().ok()).unwrap_or(0);
                if self.most_parts.is_some_and(|most| number > most) {
                    return StatusCode::FORBIDDEN.into_response();
                }
                self.came.push(body.len());
                self.uploads.entry(id).or_default().insert(number, body);
                tagged()
            }
            ("PUT", None) => {
                self.came.push(body.len());
                self.objects.insert(key, body);
                if self.denies_what_it_took {
                    return StatusCode::FORBIDDEN.into_response();
                }
                tagged()
            }
            ("POST", Some(id)) => {
                let parts = self.uploads.remove(&id).unwrap_or_default();
                self.objects.insert(key, parts.into_values().collect::<Vec<_>>().concat().into());
                xml("<CompleteMultipartUploadResult><ETag>\"tag\"</ETag></CompleteMultipartUploadResult>".to_owned())
            }
            ("DELETE", Some(id)) => {
                self.uploads.remove(&id);
                StatusCode::NO_CONTENT.into_response()
            }
            ("DELETE", None) => {
                self.objects.remove(&key);
                StatusCode::NO_CONTENT.into_response()
            }
            _ => StatusCode::METHOD_NOT_ALLOWED.into_response(),
        }
    }

    /// A page of the objects behind `after`; that is also its token.
    fn list(&self, prefix: &str, after: Option<String>) -> String {
        let after = after.unwrap_or_default();
        let mut found = self.objects.iter().filter(|(key, _)| key.starts_with(prefix) && **key > after);
        let page: Vec<_> = found.by_ref().take(PAGE).collect();
        let contents: String = page
            .iter()
            .map(|(key, bytes)| {
                let size = bytes.len();
                format!(
                    "<Contents><Key>{key}</Key><Size>{size}</Size><LastModified>2026-01-01T00:00:00.000Z</LastModified>\
                     </Contents>"
                )
            })
            .collect();
        let next = page.last().filter(|_| found.next().is_some());
        let next = next.map(|(key, _)| format!("<NextContinuationToken>{key}</NextContinuationToken>"));
        format!("<ListBucketResult>{contents}{}</ListBucketResult>", next.unwrap_or_default())
    }
}
