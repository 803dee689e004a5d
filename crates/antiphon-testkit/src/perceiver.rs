//! A perceiver that needs nothing outside: the text of a medium is its bytes.

use std::sync::{Arc, Mutex, PoisonError};

use antiphon_engine::{Accepted, Derived, Fetched, MediaKind, Medium, Perceiver, ProjectId, Route, not_taken};
use antiphon_wire::Error;
use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tokio::sync::Notify;

/// A perceiver for tests.
///
/// * It reads every kind but video.
/// * Bytes that begin with `broken` are refused when they are looked at, those with `lost` when
///   they are read, and those with `wait` are read once [`FixedPerceiver::go_on`] was called.
/// * `https://example.com/…` has the last part of its path as its content; there is nothing else.
#[derive(Clone, Default)]
pub struct FixedPerceiver {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    read: Mutex<Vec<String>>,
    gate: Notify,
}

impl FixedPerceiver {
    /// What was read so far, to its end.
    pub fn read(&self) -> Vec<String> {
        self.shared.read.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Lets a medium that waits be read; or the next one, if none does yet.
    pub fn go_on(&self) {
        self.shared.gate.notify_one();
    }
}

fn text(medium: &Medium) -> String {
    String::from_utf8_lossy(&medium.data.bytes().unwrap_or_default()).into_owned()
}

#[async_trait]
impl Perceiver for FixedPerceiver {
    async fn fetch(&self, _project: ProjectId, _kind: MediaKind, uri: &str) -> Result<Fetched, Error> {
        let Some(path) = uri.strip_prefix("https://example.com/") else {
            return Err(Error::invalid("uri", "cannot fetch content from the provided URL"));
        };
        let content = path.rsplit('/').next().unwrap_or_default();
        Ok(Fetched { data: STANDARD.encode(content).into(), mime_type: String::new() })
    }

    async fn accept(&self, medium: &Medium, route: Route) -> Result<Accepted, Error> {
        if text(medium).starts_with("broken") {
            return Err(Error::invalid("data", format!("{} data could not be decoded", medium.kind.as_str())));
        }
        if route == Route::Perceive && medium.kind == MediaKind::Video {
            return Err(not_taken(medium.kind));
        }
        let sniffed = || format!("{}/plain", medium.kind.as_str());
        let declared = Some(medium.mime_type.clone()).filter(|declared| !declared.is_empty());
        Ok(Accepted { mime_type: declared.unwrap_or_else(sniffed) })
    }

    async fn perceive(&self, medium: &Medium) -> Result<Derived, Error> {
        let text = text(medium);
        if text.starts_with("wait") {
            self.shared.gate.notified().await;
        }
        if text.starts_with("lost") {
            return Err(Error::invalid("data", "it could not be processed within limits"));
        }
        self.shared.read.lock().unwrap_or_else(PoisonError::into_inner).push(text.clone());
        Ok(Derived { text, tools: vec!["eyes".to_owned()], seconds: 0.5, ..Derived::default() })
    }
}
