//! `/{version}/environments` and the files below (spec 01, "Environments").

use antiphon_engine::Caller;
use antiphon_environments::{ByteStream, Listing, Upload};
use antiphon_files::Target;
use antiphon_wire::{CreateEnvironment, Environment, EnvironmentFile, EnvironmentId, Error, WorkspacePath};
use axum::body::Body;
use axum::extract::{FromRequestParts, Path, Query, State};
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use percent_encoding::percent_decode_str;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::body::ClassicBody;
use crate::error::ApiError;
use crate::page::{Page, flag};
use crate::router::Server;
use crate::upload::{Base, begin};

#[derive(Serialize)]
pub(crate) struct EnvironmentList {
    environments: Vec<Environment>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_page_token: Option<String>,
}

#[derive(Serialize)]
pub(crate) struct EnvironmentFileList {
    files: Vec<EnvironmentFile>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_page_token: Option<String>,
}

#[derive(Deserialize)]
pub(crate) struct Names {
    environment: String,
}

impl Names {
    /// What is no id is the id of nothing.
    fn id(&self) -> Result<EnvironmentId, Error> {
        id_of(&self.environment)
    }
}

fn id_of(text: &str) -> Result<EnvironmentId, Error> {
    EnvironmentId::parse(text).ok_or_else(|| {
        Error::not_found(format!("`environments/{}` not found", text.chars().take(64).collect::<String>()))
    })
}

/// A place in the workspace of an environment. Each segment of the address is a name, whatever
/// it is encoded as: none can turn into several, or into a way up.
pub(crate) struct Place {
    environment: EnvironmentId,
    path: WorkspacePath,
}

impl<S: Send + Sync> FromRequestParts<S> for Place {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, ApiError> {
        let place = parts.uri.path().split_once("/environments/").and_then(|(_, rest)| rest.split_once("/files"));
        let Some((environment, path)) = place else { return Err(Error::internal().into()) };
        let wrong = |why: &str| Error::invalid("path", why);
        let path = path.strip_prefix('/').unwrap_or(path);
        let names =
            path.strip_suffix('/').unwrap_or(path).split('/').map(|name| percent_decode_str(name).decode_utf8());
        let names = names.collect::<Result<Vec<_>, _>>().map_err(|_| wrong("expected names in UTF-8"))?;
        let path = WorkspacePath::of(names.iter().map(AsRef::as_ref)).map_err(|why| wrong(&why))?;
        Ok(Self { environment: id_of(environment)?, path })
    }
}

#[derive(Deserialize)]
pub(crate) struct FilesQuery {
    alt: Option<String>,
    recursive: Option<String>,
}

#[derive(Deserialize)]
pub(crate) struct UploadQuery {
    overwrite: Option<String>,
    extract: Option<String>,
}

pub(crate) async fn create_environment(
    State(server): State<Server>,
    Extension(caller): Extension<Caller>,
    ClassicBody(body): ClassicBody,
) -> Result<Json<Environment>, ApiError> {
    let request = CreateEnvironment::read(body)?;
    Ok(Json(server.environments.create(caller.project, request).await?))
}

pub(crate) async fn list_environments(
    State(server): State<Server>,
    Extension(caller): Extension<Caller>,
    page: Page,
) -> Result<Json<EnvironmentList>, ApiError> {
    let Listing { items, next } = server.environments.list(caller.project, page.token.as_deref(), page.size).await?;
    Ok(Json(EnvironmentList { environments: items, next_page_token: next }))
}

pub(crate) async fn get_environment(
    State(server): State<Server>,
    Extension(caller): Extension<Caller>,
    Path(names): Path<Names>,
) -> Result<Json<Environment>, ApiError> {
    Ok(Json(server.environments.get(caller.project, &names.id()?).await?))
}

pub(crate) async fn delete_environment(
    State(server): State<Server>,
    Extension(caller): Extension<Caller>,
    Path(names): Path<Names>,
) -> Result<Json<Value>, ApiError> {
    server.environments.delete(caller.project, &names.id()?).await?;
    Ok(Json(json!({})))
}

/// What is in a folder, or, with `alt=media`, the bytes of a file.
pub(crate) async fn get_files(
    State(server): State<Server>,
    Extension(caller): Extension<Caller>,
    Place { environment, path }: Place,
    Query(query): Query<FilesQuery>,
    page: Page,
) -> Result<Response, ApiError> {
    let project = caller.project;
    match query.alt.as_deref() {
        Some("media") => {
            let download = server.environments.download(project, &environment, &path).await?;
            return Ok(bytes("application/octet-stream", Some(download.size), download.bytes));
        }
        None | Some("" | "json") => {}
        Some(_) => return Err(Error::invalid("alt", "expected `media` or `json`").into()),
    }
    let recursive = flag("recursive", query.recursive.as_deref())?;
    let token = page.token.as_deref();
    let listed = server.environments.files(project, &environment, &path, recursive, token, page.size).await?;
    Ok(Json(EnvironmentFileList { files: listed.items, next_page_token: listed.next }).into_response())
}

pub(crate) async fn begin_upload(
    State(server): State<Server>,
    Extension(caller): Extension<Caller>,
    Place { environment, path }: Place,
    Query(query): Query<UploadQuery>,
    base: Base,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let upload = Upload {
        path,
        overwrite: flag("overwrite", query.overwrite.as_deref())?,
        extract: flag("extract", query.extract.as_deref())?,
    };
    begin(&server, caller, Target::Environment { environment, upload }, &base, &headers).await
}

/// The whole workspace, as `files/environment-{id}:download`.
pub(crate) async fn snapshot(server: &Server, caller: Caller, environment: &str) -> Result<Response, ApiError> {
    let archive = server.environments.snapshot(caller.project, &id_of(environment)?).await?;
    Ok(bytes("application/x-tar", None, archive))
}

/// Bytes that programs wrote: no browser is to take them for a page of this server.
fn bytes(kind: &'static str, size: Option<u64>, bytes: ByteStream) -> Response {
    let mut response = Response::new(Body::from_stream(bytes));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if let Some(size) = size {
        headers.insert(CONTENT_LENGTH, HeaderValue::from(size));
    }
    response
}
