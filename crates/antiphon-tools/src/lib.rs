//! The tools that the server carries out, as the engine calls them.
//!
//! Each file makes functions for the model out of one crate that does the work and knows
//! nothing of models: `search` of `antiphon-search`, `pages` of `antiphon-fetch`, `code` of
//! `antiphon-sandbox`, `files` of `antiphon-files`, `mcp` of `antiphon-mcp`. `functions` looks
//! through the request itself; `queries` is what the tools that search have in common.

mod code;
mod files;
mod functions;
mod mcp;
mod pages;
mod queries;
mod search;

use std::collections::BTreeMap;
use std::sync::Arc;

use antiphon_engine::{Opened, ProjectId, Schema, Toolbox};
use antiphon_fetch::Fetcher;
use antiphon_files::Files;
use antiphon_mcp::{McpServers, StdioSpec};
use antiphon_sandbox::{Limits, Sandbox};
use antiphon_search::Provider;
use antiphon_wire::{CreateInteraction, Error, Tool, ToolSearch};
use async_trait::async_trait;
use serde_json::Value;

/// What the operator lets models do.
pub struct Tools {
    /// Asked in their order, until one has found something. None: there is no search.
    pub providers: Vec<Arc<dyn Provider>>,
    /// As `en`; for providers that have several.
    pub language: Option<String>,
    pub fetcher: Fetcher,
    /// Or why programs are not run.
    pub sandbox: Result<Sandbox, String>,
    pub limits: Limits,
    pub files: Files,
    pub mcp: McpServers,
    /// Processes that requests may name, by their names.
    pub processes: BTreeMap<String, StdioSpec>,
}

#[async_trait]
impl Toolbox for Tools {
    async fn open(&self, project: ProjectId, request: &CreateInteraction) -> Result<Opened, Error> {
        if request.agent.is_some() {
            return Err(Error::precondition("`agent`: agents are not run by this server yet"));
        }
        if request.environment.is_some() {
            return Err(Error::precondition("`environment`: this server has no environments yet"));
        }
        let mut opened = Vec::new();
        for (at, tool) in request.tools.iter().enumerate() {
            match tool {
                Tool::Function(_) | Tool::ToolSearch(ToolSearch::Client(_)) => {}
                Tool::ToolSearch(ToolSearch::Server {}) => opened.extend(functions::open(request)?),
                Tool::GoogleSearch {} if self.providers.is_empty() => {
                    return Err(unavailable(at, "no search is configured on this server"));
                }
                Tool::GoogleSearch {} => opened.push(search::open(self.providers.clone(), self.language.clone())?),
                Tool::UrlContext {} => opened.push(pages::open(self.fetcher.clone())?),
                Tool::CodeExecution {} => match &self.sandbox {
                    Ok(sandbox) => opened.push(code::open(sandbox.clone(), self.limits.clone())?),
                    Err(why) => return Err(unavailable(at, &format!("programs are not run on this server: {why}"))),
                },
                Tool::FileSearch(declared) => {
                    opened.push(files::open(&self.files, project, declared, &format!("tools[{at}]")).await?);
                }
                Tool::McpServer(server) => {
                    let found = mcp::open(&self.mcp, &self.processes, project, server).await;
                    opened.extend(found.map_err(|why| unavailable(at, &why))?);
                }
            }
        }
        Ok(Opened { tools: opened, ..Opened::default() })
    }
}

fn unavailable(at: usize, why: &str) -> Error {
    Error::precondition(format!("`tools[{at}]`: {why}"))
}

/// What a model is told of one function.
fn declaration(name: &str, description: &str, parameters: Value) -> Result<antiphon_engine::Tool, Error> {
    let parameters = Schema::read(parameters).map_err(|_| Error::internal())?;
    Ok(antiphon_engine::Tool { name: name.to_owned(), description: Some(description.to_owned()), parameters })
}
