//! The tools that the server carries out, as the engine calls them.
//!
//! Each file makes functions for the model out of one crate that does the work and knows
//! nothing of models: `search` of `antiphon-search`, `pages` of `antiphon-fetch`, `code` of
//! `antiphon-sandbox`, `files` of `antiphon-files`, `mcp` of `antiphon-mcp`. `functions` looks
//! through the request itself; `queries` is what the tools that search have in common. An
//! `agent` has a `workplace`, where `code` works too, the tools of `workspace` for its files, and
//! the `guidance` that it finds there; `repositories` are fetched into it.

mod agent;
mod code;
mod files;
mod functions;
mod guidance;
mod mcp;
mod pages;
mod queries;
mod repositories;
mod search;
mod workplace;
mod workspace;

use std::collections::BTreeMap;
use std::sync::Arc;

use antiphon_agents::Agents;
use antiphon_egress::Egress;
use antiphon_engine::{Media, OpenTool, Opened, ProjectId, Schema, Toolbox};
use antiphon_environments::Environments;
use antiphon_fetch::Fetcher;
use antiphon_files::{Download, Files};
use antiphon_mcp::{McpServers, StdioSpec};
use antiphon_sandbox::{Limits, Sandbox};
use antiphon_search::Provider;
use antiphon_wire::{
    AGENTS, CreateInteraction, EnvironmentChoice, EnvironmentId, Error, RESEARCHERS, Tool, ToolSearch,
};
use async_trait::async_trait;
use serde_json::Value;
use tracing::warn;

use crate::workplace::Workplace;

pub use crate::repositories::Git;

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
    pub environments: Environments,
    pub agents: Agents,
    /// None: programs reach no network.
    pub egress: Option<Egress>,
    pub files: Files,
    pub mcp: McpServers,
    /// Processes that requests may name, by their names.
    pub processes: BTreeMap<String, StdioSpec>,
}

#[async_trait]
impl Toolbox for Tools {
    async fn complete(&self, project: ProjectId, request: CreateInteraction) -> Result<CreateInteraction, Error> {
        let Some(name) = request.agent.as_deref().filter(|name| !is_own(name)) else { return Ok(request) };
        match self.agents.get(project, name).await {
            Ok(agent) => agent.complete(request),
            Err(error) => Err(Error::new(error.code, format!("`agent`: {}", error.message))),
        }
    }

    async fn open(&self, project: ProjectId, request: &CreateInteraction) -> Result<Opened, Error> {
        let agent = request.working_agent();
        if let Some(name) = agent.filter(|name| !is_own(name)) {
            return Err(Error::not_found(format!("`agent`: agent `{name}` not found")));
        }
        let defaults;
        let declared = match agent {
            Some(name) if request.tools.is_empty() => {
                let has_search = !self.providers.is_empty();
                defaults = if RESEARCHERS.contains(&name) {
                    agent::research_tools(has_search)?
                } else {
                    agent::default_tools(has_search)
                };
                &defaults
            }
            _ => &request.tools,
        };
        if request.environment.is_some()
            && let Err(why) = &self.sandbox
        {
            return Err(Error::precondition(format!("`environment`: there is no sandbox on this server: {why}")));
        }
        let (programs, others): (Vec<_>, Vec<_>) =
            declared.iter().enumerate().partition(|(_, tool)| matches!(tool, Tool::CodeExecution {}));
        let mut opened = Vec::new();
        for (at, tool) in others {
            opened.push((at, self.open_one(project, request, at, tool, None).await?));
        }
        // After what may be refused: it changes something.
        let place = match &request.environment {
            None => None,
            Some(choice) => {
                let opened = Workplace::open(&self.environments, self.egress.as_ref(), project, choice).await?;
                Some(Arc::new(opened))
            }
        };
        for (at, tool) in programs {
            opened.push((at, self.open_one(project, request, at, tool, place.as_ref()).await?));
        }
        opened.sort_by_key(|(at, _)| *at);
        let mut tools: Vec<_> = opened.into_iter().flat_map(|(_, tools)| tools).collect();
        if let (Some(_), Some(place), Ok(sandbox)) = (agent, &place, &self.sandbox) {
            tools.extend(workspace::open(sandbox, &self.limits, place)?);
        }
        Ok(Opened {
            tools,
            instruction: agent.filter(|name| AGENTS.contains(name)).map(|_| {
                let reach = place.as_ref().map_or_else(|| "There is no network.".to_owned(), |place| place.reach());
                agent::instruction(&reach)
            }),
            environment: place.map(|place| place.id().clone()),
        })
    }

    async fn guidance(&self, project: ProjectId, request: &CreateInteraction) -> Result<Option<String>, Error> {
        match (request.working_agent(), &request.environment, &self.sandbox) {
            (Some(_), Some(EnvironmentChoice::Existing(id)), Ok(sandbox)) => {
                guidance::read(&self.environments, sandbox, &self.limits, project, id).await
            }
            _ => Ok(None),
        }
    }

    async fn keep_picture(&self, project: ProjectId, picture: &Media) -> Result<String, Error> {
        let bytes = picture.data.bytes().map_err(|error| {
            warn!(%error, "A picture that was to be kept is no base64");
            Error::internal()
        })?;
        self.files.keep_generated(project, Download { mime_type: picture.mime_type.clone(), bytes }).await
    }

    async fn discard(&self, project: ProjectId, environment: &EnvironmentId) {
        if let Err(error) = self.environments.delete(project, environment).await {
            warn!(%error, "An environment of a refused request cannot be removed");
        }
    }
}

impl Tools {
    /// The functions of a declared tool.
    async fn open_one(
        &self,
        project: ProjectId,
        request: &CreateInteraction,
        at: usize,
        tool: &Tool,
        place: Option<&Arc<Workplace>>,
    ) -> Result<Vec<OpenTool>, Error> {
        Ok(match tool {
            Tool::Function(_) | Tool::ToolSearch(ToolSearch::Client(_)) => Vec::new(),
            Tool::ToolSearch(ToolSearch::Server {}) => functions::open(request)?.into_iter().collect(),
            Tool::GoogleSearch {} if self.providers.is_empty() => {
                return Err(unavailable(at, "no search is configured on this server"));
            }
            Tool::GoogleSearch {} => vec![search::open(self.providers.clone(), self.language.clone())?],
            Tool::UrlContext {} => vec![pages::open(self.fetcher.clone())?],
            Tool::CodeExecution {} => match &self.sandbox {
                Ok(sandbox) => vec![code::open(sandbox.clone(), self.limits.clone(), place.cloned())?],
                Err(why) => return Err(unavailable(at, &format!("programs are not run on this server: {why}"))),
            },
            Tool::FileSearch(declared) => {
                vec![files::open(&self.files, project, declared, &format!("tools[{at}]")).await?]
            }
            Tool::McpServer(server) => {
                let found = mcp::open(&self.mcp, &self.processes, project, server).await;
                found.map_err(|why| unavailable(at, &why))?
            }
        })
    }
}

/// Whether an agent is the server's.
fn is_own(name: &str) -> bool {
    AGENTS.contains(&name) || RESEARCHERS.contains(&name)
}

fn unavailable(at: usize, why: &str) -> Error {
    Error::precondition(format!("`tools[{at}]`: {why}"))
}

/// What a model is told of one function.
fn declaration(name: &str, description: &str, parameters: Value) -> Result<antiphon_engine::Tool, Error> {
    let parameters = Schema::read(parameters).map_err(|_| Error::internal())?;
    Ok(antiphon_engine::Tool { name: name.to_owned(), description: Some(description.to_owned()), parameters })
}
