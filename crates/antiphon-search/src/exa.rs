//! Exa: a search service that answers with the text of the pages.

use serde::Deserialize;
use serde_json::json;

use crate::provider::{Hit, Provider, Query, SearchError, distinct};
use crate::service::{Key, Service, Shown};

/// Of each page: the longest that several hits in one result can use.
const MOST_CHARACTERS: usize = 2000;

#[derive(Debug)]
pub struct Exa(Service);

#[derive(Deserialize)]
struct Answer {
    results: Vec<Found>,
}

#[derive(Deserialize)]
struct Found {
    url: Option<String>,
    title: Option<String>,
    text: Option<String>,
    #[serde(rename = "publishedDate")]
    published: Option<String>,
}

impl Exa {
    pub const URL: &str = "https://api.exa.ai";

    /// # Errors
    /// `NotConfigured` when the address or the key is none.
    pub fn new(url: &str, key: &Key) -> Result<Self, SearchError> {
        Ok(Self(Service::new(url, Some((Shown::Header("x-api-key"), key)))?))
    }
}

#[async_trait::async_trait]
impl Provider for Exa {
    fn name(&self) -> &'static str {
        "exa"
    }

    /// The language is left to the service, which takes none.
    async fn search(&self, query: &Query) -> Result<Vec<Hit>, SearchError> {
        let body = json!({
            "query": query.text(),
            "numResults": query.count(),
            "type": "auto",
            "contents": {"text": {"maxCharacters": MOST_CHARACTERS}},
        });
        let answer: Answer = self.0.post(self.0.at("search"), &body).await?;
        let hits = answer.results.iter().filter_map(|found| {
            let text = found.text.as_deref().unwrap_or_default();
            let hit = Hit::of_web(found.url.as_deref()?, found.title.as_deref().unwrap_or_default(), text)?;
            Some(hit.on(found.published.as_deref()))
        });
        Ok(distinct(hits, query.count()))
    }
}
