//! MediaWiki: Wikipedia, and every other wiki with the TextExtracts extension.
//!
//! A search finds the pages. Then their introductions are asked for together, and the best
//! pages whole, one by one, since the extension gives no more than one whole page at once;
//! of those the parts that answer the query are kept.

use std::collections::HashMap;

use futures_util::future::{join, join_all};
use serde::Deserialize;

use crate::provider::{Hit, Provider, Query, SearchError, SearchErrorKind, distinct, is_language, web_address};
use crate::service::Service;
use crate::{chunk, html, passage, plain, words};

/// Longer queries are refused by Wikipedia's search.
const MOST_QUERY_CHARACTERS: usize = 300;
/// How many pages are read whole.
const WHOLE_PAGES: usize = 3;
/// Kept of a page that was read whole.
const MOST_CHARACTERS: usize = 4000;
const CHARACTERS_PER_TOKEN: usize = 4;
/// With less an introduction would leave nothing for what was asked.
const ROOM_FOR_INTRODUCTION: usize = 2000;

#[derive(Debug)]
pub struct MediaWiki {
    /// One for each language; the first is asked when the query wants none of them.
    services: Vec<(String, Service)>,
}

#[derive(Deserialize)]
struct Answer {
    query: Option<Answered>,
    error: Option<Problem>,
}

#[derive(Deserialize)]
struct Problem {
    code: String,
    #[serde(default)]
    info: String,
}

#[derive(Deserialize, Default)]
struct Answered {
    general: Option<General>,
    #[serde(default)]
    search: Vec<Found>,
    #[serde(default)]
    pages: Vec<Page>,
}

#[derive(Deserialize)]
struct General {
    sitename: String,
}

#[derive(Deserialize)]
struct Found {
    pageid: u64,
    title: String,
    #[serde(default)]
    snippet: String,
}

#[derive(Deserialize)]
struct Page {
    pageid: Option<u64>,
    extract: Option<String>,
    #[serde(rename = "canonicalurl")]
    url: Option<String>,
}

impl MediaWiki {
    pub const URL: &str = "https://{language}.wikipedia.org/w/api.php";

    /// The address of `api.php`, in which `{language}` stands for one of `languages`. A
    /// query is sent to the wiki of its language if that is one of them, or to the first.
    ///
    /// # Errors
    /// `NotConfigured` when the address is none, or a language.
    pub fn new(url: &str, languages: &[&str]) -> Result<Self, SearchError> {
        let wrong = |detail: String| SearchError::new(SearchErrorKind::NotConfigured, detail);
        if languages.is_empty() {
            return Err(wrong("no language of the wiki is given".to_owned()));
        }
        let service = |language: &&str| {
            if !is_language(language) {
                return Err(wrong(format!(
                    "`{}` is no language, expected one such as `en`",
                    plain::line(language, 20)
                )));
            }
            Ok(((*language).to_owned(), Service::new(&url.replace("{language}", language), None)?))
        };
        Ok(Self { services: languages.iter().map(service).collect::<Result<_, _>>()? })
    }

    fn service(&self, language: Option<&str>) -> Option<&Service> {
        let first = language.unwrap_or_default().split('-').next();
        let wanted = self.services.iter().find(|(known, _)| Some(known.as_str()) == first);
        wanted.or(self.services.first()).map(|(_, service)| service)
    }
}

#[async_trait::async_trait]
impl Provider for MediaWiki {
    fn name(&self) -> &'static str {
        "mediawiki"
    }

    async fn search(&self, query: &Query) -> Result<Vec<Hit>, SearchError> {
        let Some(service) = self.service(query.language()) else { return Ok(Vec::new()) };
        let mut found = find(service, query.text(), query.count()).await?;
        let terms = words::terms(query.text());
        let wanted = words::terms_with(&terms, query.question());
        if found.search.is_empty() && terms.len() > 1 {
            // The wiki wants every word of a question on the page.
            found = find(service, &terms.join(" OR "), query.count()).await?;
        }
        if found.search.is_empty() {
            return Ok(Vec::new());
        }
        let most = MOST_CHARACTERS.min(CHARACTERS_PER_TOKEN * query.budget() / query.count());
        let whole = found.search.iter().take(WHOLE_PAGES).map(|page| read_whole(service, page.pageid));
        let (introductions, whole) = join(introductions(service, &found.search), join_all(whole)).await;
        let introductions = introductions?;
        let whole: HashMap<u64, String> = whole.into_iter().flatten().collect();
        let site = found.general.map(|general| plain::line(&general.sitename, 100)).filter(|name| !name.is_empty());
        let hits = found.search.iter().filter_map(|page| {
            let (url, introduction) = introductions.get(&page.pageid)?;
            let text = match whole.get(&page.pageid) {
                Some(article) => answering(article, &wanted, most),
                None if !introduction.is_empty() => introduction.clone(),
                None => html::snippet(&page.snippet),
            };
            // What was read is plain text; only a snippet is marked up.
            let hit = Hit::of_web(url, &page.title, "")?;
            let text = plain::cut(plain::clean(&text).trim(), most).to_owned();
            let site = site.clone().unwrap_or_else(|| hit.site.clone());
            Some(Hit { site, text, ..hit })
        });
        Ok(distinct(hits, query.count()))
    }
}

async fn ask(service: &Service, pairs: &[(&str, &str)]) -> Result<Answered, SearchError> {
    let common = [("action", "query"), ("format", "json"), ("formatversion", "2")];
    let answer: Answer = service.get(service.at(""), &[&common, pairs].concat()).await?;
    match answer {
        Answer { error: Some(problem), .. } => {
            let busy = matches!(problem.code.as_str(), "maxlag" | "readonly") || problem.code.starts_with("internal_");
            let kind = if busy { SearchErrorKind::Unavailable } else { SearchErrorKind::Refused };
            let said = format!("{}: {}", problem.code, problem.info);
            Err(SearchError::new(kind, service.redacted(&said)))
        }
        // A query that asked for nothing that exists has no answer at all.
        Answer { query, error: None } => Ok(query.unwrap_or_default()),
    }
}

async fn find(service: &Service, text: &str, count: usize) -> Result<Answered, SearchError> {
    let pairs = [
        ("list", "search"),
        ("srsearch", plain::cut(text, MOST_QUERY_CHARACTERS)),
        ("srlimit", &count.to_string()),
        ("srprop", "snippet"),
        ("meta", "siteinfo"),
        ("siprop", "general"),
    ];
    let mut found = ask(service, &pairs).await?;
    found.search.truncate(count);
    Ok(found)
}

/// Address and introduction of each page.
async fn introductions(service: &Service, found: &[Found]) -> Result<HashMap<u64, (String, String)>, SearchError> {
    let ids = found.iter().map(|page| page.pageid.to_string()).collect::<Vec<_>>().join("|");
    let pairs = [
        ("pageids", ids.as_str()),
        ("prop", "info|extracts"),
        ("inprop", "url"),
        ("exintro", "1"),
        ("explaintext", "1"),
        ("exlimit", "max"),
    ];
    let answered = ask(service, &pairs).await?;
    let pages = answered.pages.into_iter().filter_map(|page| {
        web_address(page.url.as_deref()?)?;
        Some((page.pageid?, (page.url?, page.extract.unwrap_or_default())))
    });
    Ok(pages.collect())
}

/// None when it cannot be had: the introduction does, too.
async fn read_whole(service: &Service, id: u64) -> Option<(u64, String)> {
    let id_text = id.to_string();
    let pairs =
        [("pageids", id_text.as_str()), ("prop", "extracts"), ("explaintext", "1"), ("exsectionformat", "wiki")];
    let answered = ask(service, &pairs).await.ok()?;
    let text = answered.pages.into_iter().find(|page| page.pageid == Some(id))?.extract?;
    let text = headings(&plain::clean(&text));
    (!text.trim().is_empty()).then_some((id, text))
}

/// `== Heights ==` as Markdown has it.
fn headings(text: &str) -> String {
    let mut written = String::with_capacity(text.len());
    for line in text.split_inclusive('\n') {
        let level = line.bytes().take_while(|byte| *byte == b'=').count();
        let inner = line.trim_end().trim_matches('=').trim();
        if (2..=6).contains(&level) && line.trim_end().ends_with("==") && !inner.is_empty() {
            written.extend(std::iter::repeat_n('#', level));
            written.push(' ');
            written.push_str(inner);
            written.push('\n');
        } else {
            written.push_str(line);
        }
    }
    written
}

/// The introduction, and the parts of an article that have the query's words; in little room those alone.
fn answering(article: &str, terms: &[String], most: usize) -> String {
    let chunks = chunk::chunks(article, &chunk::Chunking::default());
    let lengths: Vec<_> = chunks.iter().map(|chunk| chunk.characters).collect();
    let mut ranked = words::ranked(chunks.iter().map(|chunk| &article[chunk.start..chunk.end]), terms);
    // What the page is about is said at its beginning, which alone makes sense of the rest.
    if most >= ROOM_FOR_INTRODUCTION || ranked.is_empty() {
        ranked.retain(|at| *at != 0);
        ranked.insert(0, 0);
    }
    let room = most.saturating_sub(passage::NOTES).max(most / 2);
    let ranges = passage::choose(&lengths, &ranked, room);
    passage::text(
        article.chars().count(),
        ranges.iter().map(|range| {
            let (first, last) = (&chunks[range.start], &chunks[range.end - 1]);
            let text = &article[first.start..last.end];
            // The best part alone may be more than there is room for.
            (first.heading.as_str(), &text[passage::excerpt(text, terms, room)])
        }),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headings_of_a_wiki_become_those_of_markdown() {
        let wiki = "Intro.\n\n== Heights ==\nHigh.\n=== In metres ===\n== \na == b ==\n";
        assert_eq!(headings(wiki), "Intro.\n\n## Heights\nHigh.\n### In metres\n== \na == b ==\n");
    }
}
