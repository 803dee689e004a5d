//! `/{version}/models`: what `client.models` of the SDKs lists. A classic resource, so
//! its names are in camelCase and its errors in the classic shape.

use antiphon_engine::Served;
use antiphon_wire::Error;
use axum::Json;
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use serde::{Deserialize, Serialize};

use crate::error::ApiError;
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

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Page {
    page_size: Option<String>,
    page_token: Option<String>,
}

/// Default and maximum size of a page (spec 01, "Pagination").
const PAGE_SIZE: usize = 50;
const MOST_PAGE_SIZE: usize = 1000;

pub(crate) async fn list_models(
    State(server): State<Server>,
    page: Result<Query<Page>, QueryRejection>,
) -> Result<Json<ModelList>, ApiError> {
    let Query(page) =
        page.map_err(|_| Error::invalid("query", "expected `pageSize` and `pageToken` at most once each"))?;
    let size = match page.page_size.as_deref() {
        None | Some("" | "0") => PAGE_SIZE,
        Some(text) => match text.parse() {
            Ok(size) => MOST_PAGE_SIZE.min(size),
            Err(_) => return Err(Error::invalid("pageSize", format!("expected 1 to {MOST_PAGE_SIZE}")).into()),
        },
    };
    // The token is the name of the next page's first model.
    let served = server.engine.models().list();
    let start = match page.page_token.as_deref() {
        None | Some("") => 0,
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
