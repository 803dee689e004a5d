//! Tavily: a search service that answers with extracts.

use serde::Deserialize;
use serde_json::json;

use crate::provider::{Hit, Provider, Query, SearchError, distinct};
use crate::service::{Key, Service, Shown};

#[derive(Debug)]
pub struct Tavily(Service);

#[derive(Deserialize)]
struct Answer {
    results: Vec<Found>,
}

#[derive(Deserialize)]
struct Found {
    url: Option<String>,
    title: Option<String>,
    content: Option<String>,
    published_date: Option<String>,
}

impl Tavily {
    pub const URL: &str = "https://api.tavily.com";

    /// # Errors
    /// `NotConfigured` when the address or the key is none.
    pub fn new(url: &str, key: &Key) -> Result<Self, SearchError> {
        Ok(Self(Service::new(url, Some((Shown::Bearer, key)))?))
    }
}

#[async_trait::async_trait]
impl Provider for Tavily {
    fn name(&self) -> &'static str {
        "tavily"
    }

    /// The language is left to the service, which takes none.
    async fn search(&self, query: &Query) -> Result<Vec<Hit>, SearchError> {
        let body = json!({
            "query": query.text(),
            "max_results": query.count(),
            "search_depth": "basic",
            "include_answer": false,
            "include_raw_content": false,
            "include_images": false,
        });
        let answer: Answer = self.0.post(self.0.at("search"), &body).await?;
        let hits = answer.results.iter().filter_map(|found| {
            let text = found.content.as_deref().unwrap_or_default();
            let hit = Hit::of_web(found.url.as_deref()?, found.title.as_deref().unwrap_or_default(), text)?;
            Some(hit.on(found.published_date.as_deref()))
        });
        Ok(distinct(hits, query.count()))
    }
}
