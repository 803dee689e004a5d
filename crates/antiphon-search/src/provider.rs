//! Whatever can be searched: the trait, a query, a hit, an error.

use std::fmt;

use reqwest::Url;

use crate::{html, plain};

/// Services refuse longer ones; Brave's limit is the smallest.
const MOST_QUERY_CHARACTERS: usize = 400;
const MOST_HITS: usize = 20;
pub(crate) const MOST_TITLE_CHARACTERS: usize = 300;
pub(crate) const MOST_URL_BYTES: usize = 2048;
/// Of one hit: as much as a whole result may have on the default model.
pub(crate) const MOST_HIT_CHARACTERS: usize = 8000;

/// A place where text can be searched for.
#[async_trait::async_trait]
pub trait Provider: Send + Sync {
    /// What it is called in logs.
    fn name(&self) -> &'static str;

    /// The best hits, best first; none is no error.
    async fn search(&self, query: &Query) -> Result<Vec<Hit>, SearchError>;
}

/// What is searched for. Whatever was written, it is one bounded line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query {
    text: String,
    question: String,
    language: Option<String>,
    count: usize,
    budget: usize,
}

impl Query {
    /// For five hits in any language, of 2,000 tokens; the text is cut at 400 characters.
    pub fn new(text: &str) -> Self {
        Self {
            text: plain::line(text, MOST_QUERY_CHARACTERS),
            question: String::new(),
            language: None,
            count: 5,
            budget: 2000,
        }
    }

    /// For whose sake it is made, as the user said it; cut at 400 characters. What is shown of a page is chosen by these words, too, since small models search for what they believe the answer to be. No
    /// service is told them.
    #[must_use]
    pub fn to_answer(self, question: &str) -> Self {
        Self { question: plain::line(question, MOST_QUERY_CHARACTERS), ..self }
    }

    /// As `en` or `pt-BR`; what is no such tag is no wish.
    #[must_use]
    pub fn in_language(self, tag: &str) -> Self {
        Self { language: is_language(tag).then(|| tag.to_owned()), ..self }
    }

    /// How many hits, from 1 to 20.
    #[must_use]
    pub fn of(self, count: usize) -> Self {
        Self { count: count.clamp(1, MOST_HITS), ..self }
    }

    /// How much text is wanted of all hits together, in tokens of four characters. Providers that choose what they
    /// give of a page choose as much; the others give what they have.
    #[must_use]
    pub fn within(self, tokens: usize) -> Self {
        Self { budget: tokens, ..self }
    }

    pub fn budget(&self) -> usize {
        self.budget
    }

    pub fn text(&self) -> &str {
        &self.text
    }

    /// By whose words the passages are chosen beside those of the query; may be empty.
    pub fn question(&self) -> &str {
        &self.question
    }

    pub fn language(&self) -> Option<&str> {
        self.language.as_deref()
    }

    pub fn count(&self) -> usize {
        self.count
    }
}

/// Two or three letters, perhaps with a script or a region.
pub(crate) fn is_language(tag: &str) -> bool {
    let mut parts = tag.split('-');
    let first = parts.next().unwrap_or_default();
    (2..=3).contains(&first.len())
        && first.bytes().all(|byte| byte.is_ascii_lowercase())
        && tag.len() <= 16
        && parts.all(|part| (2..=8).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_alphanumeric()))
}

/// One page or document that was found. All of it is plain text, and bounded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hit {
    pub url: String,
    pub title: String,
    /// The name of the site, which citations show.
    pub site: String,
    /// An extract or a snippet.
    pub text: String,
    /// The day, as `2026-03-01`.
    pub published: Option<String>,
}

impl Hit {
    /// A hit of a web search. None if its address is not one of the web.
    pub(crate) fn of_web(url: &str, title: &str, text: &str) -> Option<Self> {
        let url = web_address(url)?;
        let site = site(&url);
        let title = plain::line(&html::snippet(title), MOST_TITLE_CHARACTERS);
        let text = plain::cut(plain::clean(&html::snippet(text)).trim(), MOST_HIT_CHARACTERS).to_owned();
        let title = if title.is_empty() { site.clone() } else { title };
        Some(Self { url: url.into(), title, site, text, published: None })
    }

    pub(crate) fn on(self, date: Option<&str>) -> Self {
        Self { published: date.and_then(day), ..self }
    }
}

/// The first `count` hits, none of them twice.
pub(crate) fn distinct(hits: impl Iterator<Item = Hit>, count: usize) -> Vec<Hit> {
    let mut seen = std::collections::HashSet::new();
    hits.filter(|hit| seen.insert(hit.url.clone())).take(count).collect()
}

pub(crate) fn web_address(url: &str) -> Option<Url> {
    let url = Url::parse(url.trim()).ok().filter(|url| url.as_str().len() <= MOST_URL_BYTES)?;
    let is_open = url.username().is_empty() && url.password().is_none();
    (matches!(url.scheme(), "http" | "https") && url.has_host() && is_open).then_some(url)
}

/// The name of the host as people write it.
pub(crate) fn site(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    host.strip_prefix("www.").unwrap_or(host).to_owned()
}

/// The day at the beginning of a date in ISO 8601.
pub(crate) fn day(date: &str) -> Option<String> {
    let day = date.trim().get(..10)?;
    let fits = day
        .bytes()
        .enumerate()
        .all(|(at, byte)| if matches!(at, 4 | 7) { byte == b'-' } else { byte.is_ascii_digit() });
    let number = |range: std::ops::Range<usize>| day.get(range).and_then(|digits| digits.parse::<u8>().ok());
    let is_day = matches!(number(5..7), Some(1..=12)) && matches!(number(8..10), Some(1..=31));
    (fits && is_day).then(|| day.to_owned())
}

/// A search that failed. Its `Display` can be shown to a model; what happened is in
/// [`SearchError::detail`], for the log. Keys are in neither.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SearchError {
    pub kind: SearchErrorKind,
    detail: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SearchErrorKind {
    /// No service, or not what it needs.
    NotConfigured,
    /// It was not reached, was too slow or failed.
    Unavailable,
    /// It answered that it will not: the key, the quota, the query.
    Refused,
    /// It answered something that is no answer.
    Garbage,
}

impl SearchError {
    pub fn new(kind: SearchErrorKind, detail: impl Into<String>) -> Self {
        Self { kind, detail: detail.into() }
    }

    /// What happened, for the log.
    pub fn detail(&self) -> &str {
        &self.detail
    }
}

impl fmt::Display for SearchError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self.kind {
            SearchErrorKind::NotConfigured => "no search service is configured",
            SearchErrorKind::Unavailable => "the search service could not be reached",
            SearchErrorKind::Refused => "the search service refused the search",
            SearchErrorKind::Garbage => "the search service gave an answer that cannot be read",
        })
    }
}

impl std::error::Error for SearchError {}
