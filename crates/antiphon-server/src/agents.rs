//! `/{version}/agents` (spec 01, "Agents").

use antiphon_engine::Caller;
use antiphon_wire::{Agent, EnvironmentChoice, EnvironmentStatus, Error};
use axum::extract::{Path, State};
use axum::{Extension, Json};
use serde::Serialize;
use serde_json::{Value, json};

use crate::body::ClassicBody;
use crate::error::ApiError;
use crate::page::Page;
use crate::router::Server;

#[derive(Serialize)]
pub(crate) struct AgentList {
    agents: Vec<Agent>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_page_token: Option<String>,
}

pub(crate) async fn create_agent(
    State(server): State<Server>,
    Extension(caller): Extension<Caller>,
    ClassicBody(body): ClassicBody,
) -> Result<Json<Agent>, ApiError> {
    let agent = Agent::read(body)?;
    // A run would find out, and whoever runs it may be somebody else.
    if let Some(id) = agent.base_environment.as_ref().and_then(EnvironmentChoice::existing) {
        let found = server.environments.get(caller.project, id).await?;
        if found.status != EnvironmentStatus::Active {
            return Err(Error::not_found(format!("`base_environment`: `environments/{id}` has expired")).into());
        }
    }
    server.agents.create(caller.project, &agent).await?;
    Ok(Json(agent))
}

pub(crate) async fn list_agents(
    State(server): State<Server>,
    Extension(caller): Extension<Caller>,
    page: Page,
) -> Result<Json<AgentList>, ApiError> {
    let listed = server.agents.list(caller.project, page.token.as_deref(), page.size).await?;
    Ok(Json(AgentList { agents: listed.items, next_page_token: listed.next }))
}

pub(crate) async fn get_agent(
    State(server): State<Server>,
    Extension(caller): Extension<Caller>,
    Path((_version, id)): Path<(String, String)>,
) -> Result<Json<Agent>, ApiError> {
    Ok(Json(server.agents.get(caller.project, &id).await?))
}

pub(crate) async fn delete_agent(
    State(server): State<Server>,
    Extension(caller): Extension<Caller>,
    Path((_version, id)): Path<(String, String)>,
) -> Result<Json<Value>, ApiError> {
    server.agents.delete(caller.project, &id).await?;
    Ok(Json(json!({})))
}
