//! `file_search`: passages of the documents in file search stores.

use std::collections::HashSet;
use std::sync::Arc;

use antiphon_engine::{Found, FoundIn, OpenTool, ProjectId, ServerFunction, ToolCall, ToolError, ToolOutput};
use antiphon_files::{Files, Filter, Passage, Search};
use antiphon_wire::{Code, Error, FileSearch, ServerTool};
use async_trait::async_trait;
use futures_util::future::join_all;
use serde_json::json;

use crate::{declaration, queries};

/// Passages unless the request says otherwise: as many as fit into a result.
const PASSAGES: u32 = 5;

struct Stores {
    files: Files,
    names: Vec<String>,
    filter: Option<Filter>,
    count: usize,
}

/// # Errors
/// `not_found` for a store that is not the project's, `invalid_request` for what is no filter;
/// `path` is where the tool stands.
pub(crate) async fn open(
    files: &Files,
    project: ProjectId,
    declared: &FileSearch,
    path: &str,
) -> Result<OpenTool, Error> {
    let names = &declared.file_search_store_names;
    files.check_stores(project, names).await.map_err(|(at, error)| {
        Error::new(error.code, format!("`{path}.file_search_store_names[{at}]`: {}", error.message))
    })?;
    let filter = declared.metadata_filter.as_deref().map(Filter::parse).transpose();
    let filter = filter.map_err(|error| Error::invalid(&format!("{path}.metadata_filter"), error.to_string()))?;
    let parameters = queries::parameters("What to look for, in a few words each, as the documents would say it");
    let description = "Searches the user's documents. Use it whenever the answer may stand in them.";
    Ok(OpenTool {
        kind: Some(ServerTool::FileSearch),
        name: None,
        server_name: None,
        declaration: declaration("file_search", description, parameters)?,
        reads: true,
        run: Arc::new(Stores {
            files: files.clone(),
            names: names.clone(),
            filter,
            count: declared.top_k.unwrap_or(PASSAGES) as usize,
        }),
    })
}

#[async_trait]
impl ServerFunction for Stores {
    async fn call(&self, call: ToolCall) -> Result<ToolOutput, ToolError> {
        let searches = queries::of(&call).into_iter().map(|query| {
            let search = Search {
                stores: self.names.clone(),
                filter: self.filter.clone(),
                text: query.to_owned(),
                question: queries::question(&call).to_owned(),
                count: self.count,
            };
            self.files.search(call.project, search)
        });
        let found: Result<Vec<_>, Error> = join_all(searches).await.into_iter().collect();
        // What was found is told to the model alone (spec 03, "Steps").
        let result = json!([]);
        match found {
            Ok(found) => {
                let sources = merged(&found, self.count);
                let text =
                    if sources.is_empty() { "Nothing was found in the documents.".to_owned() } else { String::new() };
                Ok(ToolOutput { text, sources, result, ..ToolOutput::default() })
            }
            Err(error) if error.code == Code::NotFound => Ok(ToolOutput::failed(
                "The documents are not there any more. Say that you could not search them.",
                result,
            )),
            Err(error) => {
                Ok(ToolOutput::failed(format!("The search failed: {error}. Say that you could not search."), result))
            }
        }
    }
}

/// The best of each query in turn, each passage once.
fn merged(found: &[Vec<Passage>], count: usize) -> Vec<Found> {
    let longest = found.iter().map(Vec::len).max().unwrap_or_default();
    let mut seen = HashSet::new();
    let by_rank = (0..longest).flat_map(|rank| found.iter().filter_map(move |passages| passages.get(rank)));
    by_rank
        .filter(|passage| seen.insert((passage.document.as_str(), passage.text.as_str())))
        .take(count)
        .map(|passage| Found {
            url: passage.document.clone(),
            title: passage.display_name.clone(),
            site: String::new(),
            text: passage.text.trim().to_owned(),
            file: Some(FoundIn {
                source: passage.store.clone(),
                page_number: passage.page,
                custom_metadata: passage
                    .metadata
                    .iter()
                    .filter_map(|(key, value)| Some((key.clone(), serde_json::to_value(value).ok()?)))
                    .collect(),
            }),
        })
        .collect()
}
