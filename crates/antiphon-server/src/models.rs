//! `/{version}/models`: what `client.models` of the SDKs lists. A classic resource, so
//! its names are in camelCase and its errors in the classic shape.

use antiphon_engine::Served;
use antiphon_wire::Error;
use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use serde::{Deserialize, Serialize};

use crate::error::ApiError;
use crate::page::Page;
use crate::router::Server;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Model {
    /// `models/` and the name.
    name: String,
    display_name: String,
    description: String,
    input_token_limit: u64,
    output_token_limit: u64,
    supported_generation_methods: [&'static str; 1],
}

impl Model {
    fn named(name: &str, served: &Served) -> Self {
        Self {
            name: format!("models/{name}"),
            display_name: served.name.clone(),
            description: served.description.clone(),
            input_token_limit: served.context,
            output_token_limit: served.output_limit,
            supported_generation_methods: ["createInteraction"],
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ModelList {
    models: Vec<Model>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_page_token: Option<String>,
}

pub(crate) async fn list_models(State(server): State<Server>, page: Page) -> Result<Json<ModelList>, ApiError> {
    let size = page.size;
    // The token is the name of the next page's first model.
    let served = server.engine.models().list();
    let start = match page.token.as_deref() {
        None => 0,
        Some(token) => served
            .iter()
            .position(|served| served.name == token)
            .ok_or_else(|| Error::invalid("pageToken", "expected a `nextPageToken` of this list"))?,
    };
    let rest = &served[start..];
    Ok(Json(ModelList {
        models: rest.iter().take(size).map(|served| Model::named(&served.name, served)).collect(),
        next_page_token: rest.get(size).map(|served| served.name.clone()),
    }))
}

#[derive(Deserialize)]
pub(crate) struct ModelSegment {
    id: String,
}

/// A name that is an alias shows the model that serves it, under the asked name.
pub(crate) async fn get_model(
    State(server): State<Server>,
    path: Result<Path<ModelSegment>, PathRejection>,
) -> Result<Json<Model>, ApiError> {
    let Path(ModelSegment { id }) = path.map_err(|_| Error::not_found("no model has this name"))?;
    let served = server.engine.models().find(&id)?;
    Ok(Json(Model::named(&id, &served)))
}
