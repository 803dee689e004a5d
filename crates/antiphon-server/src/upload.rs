//! Uploads by the resumable protocol (spec 01, "Files"): a start with a key, then pieces to an
//! address that is the right to send them, since Python's SDK sends no key with them.

use antiphon_engine::Caller;
use antiphon_files::{Begun, Received, Target, UploadError};
use antiphon_wire::{CreateFile, Error, UploadToFileSearchStore};
use axum::extract::{FromRequestParts, Path, Query, State};
use axum::http::request::Parts;
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderValue};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use serde::Deserialize;
use serde_json::json;

use crate::body::{ClassicBody, RawBody};
use crate::error::ApiError;
use crate::router::Server;

const STATUS: &str = "x-goog-upload-status";
const SIZE_RECEIVED: &str = "x-goog-upload-size-received";

/// Where this server is, as the client of a request sees it.
pub(crate) struct Base {
    /// Empty when the request does not say.
    origin: String,
    version: String,
}

impl Base {
    /// What the addresses of resources begin with.
    pub(crate) fn resources(&self) -> String {
        format!("{}/{}/", self.origin, self.version)
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Base {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, ApiError> {
        let header = |name: &str| parts.headers.get(name).and_then(|value| value.to_str().ok());
        let wrong = || Error::invalid("Host", "expected the name and port that this server was reached by");
        let origin = match header("host") {
            // Addresses are then relative to that of the request.
            None => String::new(),
            Some(host) if host.contains('@') || host.parse::<Authority>().is_err() => return Err(wrong().into()),
            // A proxy that ends TLS says so; whoever else does misleads nobody but himself.
            Some(host) if header("x-forwarded-proto") == Some("https") => format!("https://{host}"),
            Some(host) => format!("http://{host}"),
        };
        let version = parts.uri.path().split('/').find(|part| !part.is_empty() && *part != "upload");
        Ok(Self { origin, version: version.unwrap_or_default().to_owned() })
    }
}

#[derive(Deserialize)]
pub(crate) struct StoreSegment {
    store: String,
}

pub(crate) async fn begin_document(
    State(server): State<Server>,
    Extension(caller): Extension<Caller>,
    Path(StoreSegment { store }): Path<StoreSegment>,
    base: Base,
    headers: HeaderMap,
    ClassicBody(body): ClassicBody,
) -> Result<Response, ApiError> {
    let Some(store) = store.strip_suffix(":uploadToFileSearchStore") else {
        return Err(Error::not_found("documents are uploaded to `…/{store}:uploadToFileSearchStore`").into());
    };
    let request = UploadToFileSearchStore::read(body)?;
    begin(&server, caller, Target::Document { store: store.to_owned(), request }, &base, &headers).await
}

pub(crate) async fn begin_file(
    State(server): State<Server>,
    Extension(caller): Extension<Caller>,
    base: Base,
    headers: HeaderMap,
    ClassicBody(body): ClassicBody,
) -> Result<Response, ApiError> {
    begin(&server, caller, Target::File(CreateFile::read(body)?), &base, &headers).await
}

pub(crate) async fn begin(
    server: &Server,
    caller: Caller,
    target: Target,
    base: &Base,
    headers: &HeaderMap,
) -> Result<Response, ApiError> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    for (name, expected) in [("x-goog-upload-protocol", "resumable"), ("x-goog-upload-command", "start")] {
        let found = text(name).unwrap_or_default();
        if !found.eq_ignore_ascii_case(expected) {
            let message = format!("expected `{expected}`, got `{}`", found.chars().take(40).collect::<String>());
            return Err(Error::invalid(name, message).into());
        }
    }
    let size = match text("x-goog-upload-header-content-length") {
        None => None,
        Some(length) => Some(
            length
                .trim()
                .parse()
                .map_err(|_| Error::invalid("X-Goog-Upload-Header-Content-Length", "expected a number of bytes"))?,
        ),
    };
    // A name may be of any bytes.
    let file_name = headers.get("x-goog-upload-file-name").map(|name| String::from_utf8_lossy(name.as_bytes()).into());
    let begun = Begun { size, mime_type: text("x-goog-upload-header-content-type"), file_name };
    let upload_id = server.files.begin_upload(caller.project, target, begun).await?;
    let address = format!("{}/upload/{}/content?upload_id={upload_id}", base.origin, base.version);
    let mut response = Json(json!({})).into_response();
    let address = HeaderValue::from_str(&address).map_err(|_| Error::internal())?;
    response.headers_mut().insert("x-goog-upload-url", address);
    Ok(with_status(response, true, None))
}

#[derive(Deserialize)]
pub(crate) struct UploadQuery {
    upload_id: Option<String>,
}

/// What is to be done with an upload (`X-Goog-Upload-Command`).
enum Command {
    Query,
    Cancel,
    Receive { is_last: bool },
}

impl Command {
    fn read(headers: &HeaderMap) -> Result<Self, Error> {
        let text = headers.get("x-goog-upload-command").and_then(|value| value.to_str().ok()).unwrap_or_default();
        let mut words: Vec<_> = text.split(',').map(|word| word.trim().to_ascii_lowercase()).collect();
        words.sort_unstable();
        match words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
            ["query"] => Ok(Self::Query),
            ["cancel"] => Ok(Self::Cancel),
            ["upload"] => Ok(Self::Receive { is_last: false }),
            ["finalize"] | ["finalize", "upload"] => Ok(Self::Receive { is_last: true }),
            _ => {
                let message = "expected `upload`, `upload, finalize`, `finalize`, `query` or `cancel`";
                Err(Error::invalid("X-Goog-Upload-Command", message))
            }
        }
    }
}

/// A piece of an upload, or a question about one. Every answer says whether the upload can go
/// on: the SDKs ask again three times when it does not.
pub(crate) async fn receive(
    State(server): State<Server>,
    query: Query<UploadQuery>,
    base: Base,
    headers: HeaderMap,
    body: RawBody,
) -> Response {
    // A base URL may have got a slash behind it.
    let upload_id = query.0.upload_id.unwrap_or_default().trim_end_matches('/').to_owned();
    let (answer, is_active, received) = match take(&server, &upload_id, &base, &headers, body).await {
        Ok(Received::Active(size)) => (Json(json!({})).into_response(), true, Some(size)),
        Ok(Received::Cancelled) => (Json(json!({})).into_response(), false, None),
        Ok(Received::Document(operation)) => (Json(operation).into_response(), false, None),
        Ok(Received::File(file)) => (Json(json!({"file": file})).into_response(), false, None),
        Ok(Received::Environment(files)) => (Json(json!({"files": files})).into_response(), false, None),
        Err(UploadError { error, is_active, received }) => (ApiError::from(error).into_response(), is_active, received),
    };
    with_status(answer, is_active, received)
}

async fn take(
    server: &Server,
    upload_id: &str,
    base: &Base,
    headers: &HeaderMap,
    body: RawBody,
) -> Result<Received, UploadError> {
    // Nothing is read for those who do not know an upload.
    let size = server.files.upload_size(upload_id).await?;
    let refused = |error| UploadError::refused(error, Some(size));
    let is_last = match Command::read(headers).map_err(refused)? {
        Command::Query => return Ok(Received::Active(size)),
        Command::Cancel => return server.files.cancel_upload(upload_id).await,
        Command::Receive { is_last } => is_last,
    };
    let offset = headers.get("x-goog-upload-offset").and_then(|value| value.to_str().ok()?.trim().parse().ok());
    let Some(offset) = offset else {
        let message = "expected how many bytes were sent before";
        return Err(refused(Error::invalid("X-Goog-Upload-Offset", message)));
    };
    let (bytes, _memory) = body.receive(&server.bodies).await.map_err(refused)?;
    server.files.receive(upload_id, offset, bytes, is_last, &base.resources()).await
}

fn with_status(mut response: Response, is_active: bool, received: Option<u64>) -> Response {
    let status = if is_active { "active" } else { "final" };
    response.headers_mut().insert(STATUS, HeaderValue::from_static(status));
    if let Some(size) = received {
        response.headers_mut().insert(SIZE_RECEIVED, HeaderValue::from(size));
    }
    response
}
