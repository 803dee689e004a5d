//! `/{version}/models`: what `client.models` of the SDKs lists. A classic resource, so
//! its names are in camelCase and its errors in the classic shape. `x_media` is ours: so clients know before they send a
//! medium whether the model takes it, or who reads it instead.

use std::collections::BTreeMap;

use antiphon_engine::{Engine, MediaKind, Reception, Served};
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
    /// By the kind: what becomes of media that it is sent.
    #[serde(rename = "x_media")]
    x_media: BTreeMap<&'static str, ReceptionShown>,
}

/// As `x_media` of a `processing_result` has it.
#[derive(Serialize)]
struct ReceptionShown {
    /// `native`, `perceive` or `reject`.
    route: &'static str,
    /// The names of what reads them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tools: Vec<String>,
    /// What of them is not read, or why none is.
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<String>,
}

impl From<Reception> for ReceptionShown {
    fn from(reception: Reception) -> Self {
        match reception {
            Reception::Native => Self { route: "native", tools: Vec::new(), note: None },
            Reception::Perceive(readers) => Self { route: "perceive", tools: readers.tools, note: readers.note },
            Reception::Reject(error) => Self { route: "reject", tools: Vec::new(), note: Some(error.message) },
        }
    }
}

impl Model {
    fn named(name: &str, served: &Served, engine: &Engine) -> Self {
        Self {
            name: format!("models/{name}"),
            display_name: served.name.clone(),
            description: served.description.clone(),
            input_token_limit: served.context,
            output_token_limit: served.output_limit,
            supported_generation_methods: ["createInteraction"],
            x_media: BTreeMap::from(MediaKind::ALL.map(|kind| (kind.as_str(), engine.reception(served, kind).into()))),
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
        models: rest.iter().take(size).map(|served| Model::named(&served.name, served, &server.engine)).collect(),
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
    Ok(Json(Model::named(&id, &served, &server.engine)))
}
