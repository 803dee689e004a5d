//! Brave: a search service with an index of its own.

use serde::Deserialize;

use crate::provider::{Hit, Provider, Query, SearchError, distinct};
use crate::service::{Key, Service, Shown};

/// The languages that Brave names as others do; it refuses a query with any other name.
const LANGUAGES: [&str; 43] = [
    "ar", "bg", "bn", "ca", "cs", "da", "de", "el", "en", "es", "et", "eu", "fi", "fr", "gl", "gu", "he", "hi", "hr",
    "hu", "is", "it", "kn", "ko", "lt", "lv", "ml", "mr", "ms", "nb", "nl", "pa", "pl", "ro", "ru", "sk", "sl", "sr",
    "sv", "ta", "te", "th", "tr",
];

#[derive(Debug)]
pub struct Brave(Service);

#[derive(Deserialize)]
struct Answer {
    web: Option<Web>,
}

#[derive(Deserialize)]
struct Web {
    results: Vec<Found>,
}

#[derive(Deserialize)]
struct Found {
    url: Option<String>,
    title: Option<String>,
    description: Option<String>,
    /// Only some subscriptions get them.
    #[serde(default)]
    extra_snippets: Vec<String>,
    page_age: Option<String>,
    profile: Option<Profile>,
}

#[derive(Deserialize)]
struct Profile {
    name: Option<String>,
}

impl Brave {
    pub const URL: &str = "https://api.search.brave.com";

    /// # Errors
    /// `NotConfigured` when the address or the key is none.
    pub fn new(url: &str, key: &Key) -> Result<Self, SearchError> {
        Ok(Self(Service::new(url, Some((Shown::Header("x-subscription-token"), key)))?))
    }
}

#[async_trait::async_trait]
impl Provider for Brave {
    fn name(&self) -> &'static str {
        "brave"
    }

    async fn search(&self, query: &Query) -> Result<Vec<Hit>, SearchError> {
        let count = query.count().to_string();
        let mut pairs =
            vec![("q", query.text()), ("count", &count), ("text_decorations", "false"), ("result_filter", "web")];
        pairs.extend(query.language().and_then(language).map(|language| ("search_lang", language)));
        let answer: Answer = self.0.get(self.0.at("res/v1/web/search"), &pairs).await?;
        let found = answer.web.map(|web| web.results).unwrap_or_default();
        Ok(distinct(found.iter().filter_map(hit), query.count()))
    }
}

fn hit(found: &Found) -> Option<Hit> {
    let snippets: Vec<&str> = found
        .description
        .iter()
        .chain(&found.extra_snippets)
        .map(String::as_str)
        .filter(|text| !text.is_empty())
        .collect();
    let title = found.title.as_deref().unwrap_or_default();
    let hit = Hit::of_web(found.url.as_deref()?, title, &snippets.join("\n"))?.on(found.page_age.as_deref());
    let name = found.profile.as_ref().and_then(|profile| profile.name.as_deref());
    let site = crate::plain::line(&crate::html::snippet(name.unwrap_or_default()), 100);
    Some(if site.is_empty() { hit } else { Hit { site, ..hit } })
}

/// Brave's name of a language; none leaves the choice to it.
fn language(tag: &str) -> Option<&'static str> {
    match tag {
        "pt-PT" => Some("pt-pt"),
        "zh-TW" | "zh-Hant" => Some("zh-hant"),
        "en-GB" => Some("en-gb"),
        _ => match tag.split('-').next().unwrap_or_default() {
            "pt" => Some("pt-br"),
            "zh" => Some("zh-hans"),
            "ja" => Some("jp"),
            first => LANGUAGES.iter().copied().find(|known| *known == first),
        },
    }
}
