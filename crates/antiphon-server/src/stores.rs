//! `/{version}/fileSearchStores` and what is below (spec 01, "File search stores"): each
//! handler is one call of the files.

use antiphon_engine::Caller;
use antiphon_files::{Listing, OperationKind};
use antiphon_wire::{CreateFileSearchStore, Document, Error, FileSearchStore, ImportFile, Operation};
use axum::extract::{Path, Query, State};
use axum::{Extension, Json};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::body::ClassicBody;
use crate::error::ApiError;
use crate::page::{Page, flag};
use crate::router::Server;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct StoreList {
    file_search_stores: Vec<FileSearchStore>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_page_token: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct DocumentList {
    documents: Vec<Document>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_page_token: Option<String>,
}

/// What a path names; other segments are not looked at.
#[derive(Deserialize)]
pub(crate) struct Names {
    store: String,
    #[serde(default)]
    document: String,
    #[serde(default)]
    operation: String,
}

#[derive(Deserialize)]
pub(crate) struct ForceQuery {
    force: Option<String>,
}

impl ForceQuery {
    fn read(self) -> Result<bool, Error> {
        flag("force", self.force.as_deref())
    }
}

pub(crate) async fn create_store(
    State(server): State<Server>,
    Extension(caller): Extension<Caller>,
    ClassicBody(body): ClassicBody,
) -> Result<Json<FileSearchStore>, ApiError> {
    let request = CreateFileSearchStore::read(body)?;
    Ok(Json(server.files.create_store(caller.project, request).await?))
}

pub(crate) async fn list_stores(
    State(server): State<Server>,
    Extension(caller): Extension<Caller>,
    page: Page,
) -> Result<Json<StoreList>, ApiError> {
    let Listing { items, next } = server.files.stores(caller.project, page.token.as_deref(), page.size).await?;
    Ok(Json(StoreList { file_search_stores: items, next_page_token: next }))
}

pub(crate) async fn get_store(
    State(server): State<Server>,
    Extension(caller): Extension<Caller>,
    Path(names): Path<Names>,
) -> Result<Json<FileSearchStore>, ApiError> {
    Ok(Json(server.files.store(caller.project, &names.store).await?))
}

pub(crate) async fn delete_store(
    State(server): State<Server>,
    Extension(caller): Extension<Caller>,
    Path(names): Path<Names>,
    Query(force): Query<ForceQuery>,
) -> Result<Json<Value>, ApiError> {
    server.files.delete_store(caller.project, &names.store, force.read()?).await?;
    Ok(Json(json!({})))
}

/// `POST …/{store}:importFile`.
pub(crate) async fn act_on_store(
    State(server): State<Server>,
    Extension(caller): Extension<Caller>,
    Path(names): Path<Names>,
    ClassicBody(body): ClassicBody,
) -> Result<Json<Operation>, ApiError> {
    let Some(store) = names.store.strip_suffix(":importFile") else {
        return Err(
            Error::not_found("a store has `:importFile`, and `:uploadToFileSearchStore` below `/upload`").into()
        );
    };
    let request = ImportFile::read(body)?;
    Ok(Json(server.files.import_file(caller.project, store, request).await?))
}

pub(crate) async fn list_documents(
    State(server): State<Server>,
    Extension(caller): Extension<Caller>,
    Path(names): Path<Names>,
    page: Page,
) -> Result<Json<DocumentList>, ApiError> {
    let found = server.files.documents(caller.project, &names.store, page.token.as_deref(), page.size).await?;
    Ok(Json(DocumentList { documents: found.items, next_page_token: found.next }))
}

pub(crate) async fn get_document(
    State(server): State<Server>,
    Extension(caller): Extension<Caller>,
    Path(names): Path<Names>,
) -> Result<Json<Document>, ApiError> {
    Ok(Json(server.files.document(caller.project, &names.store, &names.document).await?))
}

pub(crate) async fn delete_document(
    State(server): State<Server>,
    Extension(caller): Extension<Caller>,
    Path(names): Path<Names>,
    Query(force): Query<ForceQuery>,
) -> Result<Json<Value>, ApiError> {
    server.files.delete_document(caller.project, &names.store, &names.document, force.read()?).await?;
    Ok(Json(json!({})))
}

pub(crate) async fn get_upload_operation(
    State(server): State<Server>,
    Extension(caller): Extension<Caller>,
    Path(names): Path<Names>,
) -> Result<Json<Operation>, ApiError> {
    let Names { store, operation, .. } = names;
    Ok(Json(server.files.operation(caller.project, &store, OperationKind::Upload, &operation).await?))
}

pub(crate) async fn get_import_operation(
    State(server): State<Server>,
    Extension(caller): Extension<Caller>,
    Path(names): Path<Names>,
) -> Result<Json<Operation>, ApiError> {
    let Names { store, operation, .. } = names;
    Ok(Json(server.files.operation(caller.project, &store, OperationKind::Import, &operation).await?))
}
