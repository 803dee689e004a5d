//! `/{version}/credentials` (spec 01, "Credentials"): each handler is one call of the credentials.

use antiphon_engine::Caller;
use antiphon_wire::{CreateCredential, Credential, CredentialId, CredentialList, Error};
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
    credential: String,
}

impl Names {
    /// What is no id is the id of nothing.
    fn id(&self) -> Result<CredentialId, Error> {
        CredentialId::parse(&self.credential).ok_or_else(|| Error::not_found("no credential has this id"))
    }
}

#[derive(Deserialize)]
pub(crate) struct UpdateQuery {
    update_mask: Option<String>,
}

pub(crate) async fn create_credential(
    State(server): State<Server>,
    Extension(caller): Extension<Caller>,
    JsonBody(body): JsonBody,
) -> Result<Json<Credential>, ApiError> {
    let request = CreateCredential::read(body)?;
    Ok(Json(server.credentials.create(caller.project, request).await?))
}

pub(crate) async fn list_credentials(
    State(server): State<Server>,
    Extension(caller): Extension<Caller>,
    page: Page,
) -> Result<Json<CredentialList>, ApiError> {
    Ok(Json(server.credentials.list(caller.project, page.token.as_deref(), page.size).await?))
}

pub(crate) async fn get_credential(
    State(server): State<Server>,
    Extension(caller): Extension<Caller>,
    Path(names): Path<Names>,
) -> Result<Json<Credential>, ApiError> {
    Ok(Json(server.credentials.get(caller.project, &names.id()?).await?))
}

pub(crate) async fn update_credential(
    State(server): State<Server>,
    Extension(caller): Extension<Caller>,
    Path(names): Path<Names>,
    Query(query): Query<UpdateQuery>,
    JsonBody(body): JsonBody,
) -> Result<Json<Credential>, ApiError> {
    let mask = query.update_mask.as_deref();
    Ok(Json(server.credentials.update(caller.project, &names.id()?, body, mask).await?))
}

pub(crate) async fn delete_credential(
    State(server): State<Server>,
    Extension(caller): Extension<Caller>,
    Path(names): Path<Names>,
) -> Result<Json<Value>, ApiError> {
    server.credentials.delete(caller.project, &names.id()?).await?;
    Ok(Json(json!({})))
}
