//! SearXNG: a metasearch engine that people run themselves.
//!
//! Its settings have to list `json` under `search.formats`; it answers 403 otherwise.

use serde::Deserialize;

use crate::provider::{Hit, Provider, Query, SearchError, SearchErrorKind, distinct};
use crate::service::Service;

#[derive(Debug)]
pub struct Searxng(Service);

#[derive(Deserialize)]
struct Answer {
    results: Vec<Found>,
}

#[derive(Deserialize)]
struct Found {
    url: Option<String>,
    title: Option<String>,
    content: Option<String>,
    #[serde(rename = "publishedDate")]
    published: Option<String>,
}

impl Searxng {
    /// At the address of the instance, as `http://127.0.0.1:8080`.
    ///
    /// # Errors
    /// `NotConfigured` when the address is none.
    pub fn new(url: &str) -> Result<Self, SearchError> {
        Ok(Self(Service::new(url, None)?))
    }
}

#[async_trait::async_trait]
impl Provider for Searxng {
    fn name(&self) -> &'static str {
        "searxng"
    }

    async fn search(&self, query: &Query) -> Result<Vec<Hit>, SearchError> {
        let language = query.language().unwrap_or("all");
        let pairs = [("q", query.text()), ("format", "json"), ("language", language)];
        let answer = self.0.get::<Answer>(self.0.at("search"), &pairs).await.map_err(|error| {
            if error.kind == SearchErrorKind::Refused {
                let hint = "does the instance list `json` under `search.formats`?";
                return SearchError::new(error.kind, format!("{} ({hint})", error.detail()));
            }
            error
        })?;
        let hits = answer.results.iter().filter_map(|found| {
            let text = found.content.as_deref().unwrap_or_default();
            let hit = Hit::of_web(found.url.as_deref()?, found.title.as_deref().unwrap_or_default(), text)?;
            Some(hit.on(found.published.as_deref()))
        });
        Ok(distinct(hits, query.count()))
    }
}
