//! `google_search`: what the operator's providers find for a model's queries.

use std::collections::HashSet;
use std::sync::Arc;

use antiphon_engine::{Found, OpenTool, ServerFunction, ToolCall, ToolError, ToolOutput};
use antiphon_search::{Hit, Provider, Query, SearchError, suggestions};
use antiphon_wire::{Error, ServerTool};
use async_trait::async_trait;
use futures_util::future::join_all;
use serde_json::json;
use tracing::warn;

use crate::{declaration, queries};

/// More sources than this tell a small model less.
const MOST_SOURCES: usize = 5;
/// With fewer tokens a source says nothing.
const LEAST_OF_SOURCE: usize = 200;
/// Of a result that is no source: how to cite, and the head of each source.
const TOKENS_OF_INSTRUCTION: usize = 120;
const TOKENS_OF_HEAD: usize = 30;

struct Search {
    providers: Vec<Arc<dyn Provider>>,
    language: Option<String>,
}

pub(crate) fn open(providers: Vec<Arc<dyn Provider>>, language: Option<String>) -> Result<OpenTool, Error> {
    let parameters = queries::parameters("What to search for, in a few words each");
    let description =
        "Searches for facts and recent events. Use it whenever the answer depends on facts that you may not know.";
    Ok(OpenTool {
        kind: Some(ServerTool::GoogleSearch),
        name: None,
        server_name: None,
        declaration: declaration("google_search", description, parameters)?,
        reads: true,
        run: Arc::new(Search { providers, language }),
    })
}

#[async_trait]
impl ServerFunction for Search {
    async fn call(&self, call: ToolCall) -> Result<ToolOutput, ToolError> {
        let queries = queries::of(&call);
        let result = json!([{"search_suggestions": suggestions(queries.iter().copied())}]);
        let searches = queries.len() as u64;
        let budget = call.result_tokens.saturating_sub(TOKENS_OF_INSTRUCTION) / queries.len().max(1);
        let question = queries::question(&call);
        let found = join_all(queries.iter().map(|query| self.search(query, question, budget))).await;
        let failed = found.iter().all(Result::is_err);
        if let Some(error) = found.iter().find_map(|found| found.as_ref().err()).filter(|_| failed) {
            let text = format!("The search failed: {error}. Say that you could not search.");
            return Ok(ToolOutput { searches, ..ToolOutput::failed(text, result) });
        }
        let found: Vec<_> = found.into_iter().flatten().collect();
        let sources = merged(&found);
        let text = if sources.is_empty() { "Nothing was found.".to_owned() } else { String::new() };
        Ok(ToolOutput { text, sources, result, searches, ..ToolOutput::default() })
    }
}

impl Search {
    /// What the first provider finds that finds anything, in about so many tokens.
    ///
    /// # Errors
    /// When none found anything and one failed.
    async fn search(&self, query: &str, question: &str, budget: usize) -> Result<Vec<Hit>, SearchError> {
        let count = (budget / LEAST_OF_SOURCE).clamp(1, MOST_SOURCES);
        let mut query =
            Query::new(query).to_answer(question).of(count).within(budget.saturating_sub(count * TOKENS_OF_HEAD));
        if let Some(language) = &self.language {
            query = query.in_language(language);
        }
        let mut failed = None;
        for provider in &self.providers {
            match provider.search(&query).await {
                Ok(hits) if !hits.is_empty() => return Ok(hits),
                Ok(_) => {}
                Err(error) => {
                    warn!(provider = provider.name(), detail = error.detail(), "A search failed");
                    failed.get_or_insert(error);
                }
            }
        }
        failed.map_or(Ok(Vec::new()), Err)
    }
}

/// The best of each query in turn, each page once.
fn merged(found: &[Vec<Hit>]) -> Vec<Found> {
    let longest = found.iter().map(Vec::len).max().unwrap_or_default();
    let mut seen = HashSet::new();
    let by_rank = (0..longest).flat_map(|rank| found.iter().filter_map(move |hits| hits.get(rank)));
    by_rank
        .filter(|hit| seen.insert(hit.url.as_str()))
        .take(MOST_SOURCES)
        .map(|hit| Found {
            url: hit.url.clone(),
            title: hit.title.clone(),
            site: hit.site.clone(),
            text: hit.text.clone(),
            file: None,
        })
        .collect()
}
