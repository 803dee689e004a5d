//! `/{version}/triggers` and their executions (spec 01, "Triggers"): each handler is one call of
//! the triggers.

use antiphon_engine::Caller;
use antiphon_wire::{
    CreateTrigger, Error, Trigger, TriggerExecution, TriggerExecutionList, TriggerId, TriggerList, UpdateTrigger,
};
use axum::extract::{Path, Query, State};
use axum::{Extension, Json};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::body::JsonBody;
use crate::error::ApiError;
use crate::page::Page;
use crate::router::Server;

#[derive(Deserialize)]
pub(crate) struct Names {
    trigger: String,
}

impl Names {
    /// What is no id is the id of nothing.
    fn id(&self) -> Result<TriggerId, Error> {
        TriggerId::parse(&self.trigger).ok_or_else(|| Error::not_found("no trigger has this id"))
    }
}

#[derive(Deserialize)]
pub(crate) struct ListQuery {
    filter: Option<String>,
}

pub(crate) async fn create_trigger(
    State(server): State<Server>,
    Extension(caller): Extension<Caller>,
    JsonBody(body): JsonBody,
) -> Result<Json<Trigger>, ApiError> {
    let request = CreateTrigger::read(body)?;
    Ok(Json(server.triggers.create(caller.project, request).await?))
}

pub(crate) async fn list_triggers(
    State(server): State<Server>,
    Extension(caller): Extension<Caller>,
    Query(query): Query<ListQuery>,
    page: Page,
) -> Result<Json<TriggerList>, ApiError> {
    let (filter, token) = (query.filter.as_deref(), page.token.as_deref());
    Ok(Json(server.triggers.list(caller.project, filter, token, page.size).await?))
}

pub(crate) async fn get_trigger(
    State(server): State<Server>,
    Extension(caller): Extension<Caller>,
    Path(names): Path<Names>,
) -> Result<Json<Trigger>, ApiError> {
    Ok(Json(server.triggers.get(caller.project, &names.id()?).await?))
}

pub(crate) async fn update_trigger(
    State(server): State<Server>,
    Extension(caller): Extension<Caller>,
    Path(names): Path<Names>,
    JsonBody(body): JsonBody,
) -> Result<Json<Trigger>, ApiError> {
    let (id, changes) = (names.id()?, UpdateTrigger::read(body)?);
    Ok(Json(server.triggers.update(caller.project, &id, changes).await?))
}

pub(crate) async fn delete_trigger(
    State(server): State<Server>,
    Extension(caller): Extension<Caller>,
    Path(names): Path<Names>,
) -> Result<Json<Value>, ApiError> {
    server.triggers.delete(caller.project, &names.id()?).await?;
    Ok(Json(json!({})))
}

pub(crate) async fn run_trigger(
    State(server): State<Server>,
    Extension(caller): Extension<Caller>,
    Path(names): Path<Names>,
) -> Result<Json<TriggerExecution>, ApiError> {
    Ok(Json(server.triggers.run_now(caller.project, &names.id()?).await?))
}

pub(crate) async fn list_executions(
    State(server): State<Server>,
    Extension(caller): Extension<Caller>,
    Path(names): Path<Names>,
    page: Page,
) -> Result<Json<TriggerExecutionList>, ApiError> {
    Ok(Json(server.triggers.executions(caller.project, &names.id()?, page.token.as_deref(), page.size).await?))
}
