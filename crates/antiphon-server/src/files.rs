//! `/{version}/files` (spec 01, "Files"): what was uploaded, for two
//! days, and whole environments.

use antiphon_engine::Caller;
use antiphon_files::{Download, Listing};
use antiphon_wire::File;
use axum::extract::{Path, State};
use axum::http::header::{CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::environments;
use crate::error::ApiError;
use crate::page::Page;
use crate::router::Server;
use crate::upload::Base;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct FileList {
    files: Vec<File>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_page_token: Option<String>,
}

#[derive(Deserialize)]
pub(crate) struct FileSegment {
    file: String,
}

pub(crate) async fn list_files(
    State(server): State<Server>,
    Extension(caller): Extension<Caller>,
    base: Base,
    page: Page,
) -> Result<Json<FileList>, ApiError> {
    let token = page.token.as_deref();
    let Listing { items, next } = server.files.files(caller.project, token, page.size, &base.resources()).await?;
    Ok(Json(FileList { files: items, next_page_token: next }))
}

pub(crate) async fn get_file(
    State(server): State<Server>,
    Extension(caller): Extension<Caller>,
    base: Base,
    Path(FileSegment { file }): Path<FileSegment>,
) -> Result<Response, ApiError> {
    if let Some(file) = file.strip_suffix(":download") {
        if let Some(environment) = file.strip_prefix("environment-") {
            return environments::snapshot(&server, caller, environment).await;
        }
        let Download { mime_type, bytes } = server.files.download(caller.project, file).await?;
        // What a model has made is no page of this server.
        let headers = [(CONTENT_TYPE, mime_type.as_str()), (X_CONTENT_TYPE_OPTIONS, "nosniff")];
        return Ok((headers, bytes).into_response());
    }
    Ok(Json(server.files.file(caller.project, &file, &base.resources()).await?).into_response())
}

pub(crate) async fn delete_file(
    State(server): State<Server>,
    Extension(caller): Extension<Caller>,
    Path(FileSegment { file }): Path<FileSegment>,
) -> Result<Json<Value>, ApiError> {
    server.files.delete_file(caller.project, &file).await?;
    Ok(Json(json!({})))
}
