//! Every route on one page, and what happens to every request before it gets there.

use std::sync::Arc;

use antiphon_agents::Agents;
use antiphon_credentials::Credentials;
use antiphon_engine::Engine;
use antiphon_environments::Environments;
use antiphon_files::Files;
use antiphon_triggers::Triggers;
use antiphon_wire::{Code, Error};
use axum::Router;
use axum::extract::Request;
use axum::http::Uri;
use axum::middleware::{Next, from_fn, from_fn_with_state, map_request};
use axum::response::Response;
use axum::routing::{get, post, put};
use tower_http::catch_panic::CatchPanicLayer;

use crate::auth::{KeyRing, authenticate};
use crate::body::{BodyGate, linger};
use crate::error::{ApiError, answer_panic, classic_errors};
use crate::keys::KeyMaker;
use crate::{access, agents, credentials, environments, files, health, interactions, models, stores, triggers, upload};

/// What the operator decides about the HTTP face.
pub struct Options {
    pub keys: KeyMaker,
    /// What projects keep.
    pub files: Files,
    /// Where their agents work.
    pub environments: Environments,
    /// Those that their projects define.
    pub agents: Agents,
    /// What they prove themselves with elsewhere.
    pub credentials: Credentials,
    /// What begins by itself.
    pub triggers: Triggers,
    pub limits: Limits,
}

/// Bounds on what clients can make the server hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The longest body of one request, in bytes; a longer one is 413.
    pub body_bytes: u32,
    /// All bodies that are being received at one time, in bytes; at least `body_bytes`.
    pub body_bytes_in_flight: usize,
    /// Open connections; more wait to be accepted.
    pub connections: usize,
}

impl Default for Limits {
    fn default() -> Self {
        // Below the usual limit of 1,024 open files, which the store needs some of.
        Self { body_bytes: 100 << 20, body_bytes_in_flight: 512 << 20, connections: 768 }
    }
}

/// What every handler may need.
#[derive(Clone)]
pub(crate) struct Server {
    pub(crate) engine: Engine,
    pub(crate) files: Files,
    pub(crate) environments: Environments,
    pub(crate) agents: Agents,
    pub(crate) credentials: Credentials,
    pub(crate) triggers: Triggers,
    pub(crate) keys: Arc<KeyRing>,
    pub(crate) bodies: Arc<BodyGate>,
}

/// The whole service, without its connections.
pub fn router(engine: Engine, options: Options) -> Router {
    let server = Server {
        keys: Arc::new(KeyRing::new(Arc::clone(engine.store()), options.keys)),
        bodies: Arc::new(BodyGate::new(&options.limits)),
        engine,
        files: options.files,
        environments: options.environments,
        agents: options.agents,
        credentials: options.credentials,
        triggers: options.triggers,
    };
    let authenticated = from_fn_with_state(server.clone(), authenticate);

    let interactions = Router::new()
        .route("/{version}/interactions", post(interactions::create_interaction))
        .route(
            "/{version}/interactions/{id}",
            get(interactions::get_interaction).delete(interactions::delete_interaction),
        )
        .route("/{version}/interactions/{id}/cancel", post(interactions::cancel_interaction))
        .route_layer(authenticated.clone())
        .route_layer(from_fn(require_version));
    let agents = Router::new()
        .route("/{version}/agents", get(agents::list_agents).post(agents::create_agent))
        .route("/{version}/agents/{id}", get(agents::get_agent).delete(agents::delete_agent))
        .route_layer(authenticated.clone())
        .route_layer(from_fn(require_version));
    let environments = Router::new()
        .route("/{version}/environments", get(environments::list_environments).post(environments::create_environment))
        .route(
            "/{version}/environments/{environment}",
            get(environments::get_environment).delete(environments::delete_environment),
        )
        .route("/{version}/environments/{environment}/files", get(environments::get_files))
        .route("/{version}/environments/{environment}/files/", get(environments::get_files))
        .route("/{version}/environments/{environment}/files/{*path}", get(environments::get_files))
        // An archive may be unpacked at the top.
        .route("/upload/{version}/environments/{environment}/files/", put(environments::begin_upload))
        .route("/upload/{version}/environments/{environment}/files/{*path}", put(environments::begin_upload))
        .route_layer(authenticated.clone())
        .route_layer(from_fn(require_version));
    let credentials = Router::new()
        .route("/{version}/credentials", get(credentials::list_credentials).post(credentials::create_credential))
        .route(
            "/{version}/credentials/{credential}",
            get(credentials::get_credential)
                .patch(credentials::update_credential)
                .delete(credentials::delete_credential),
        )
        .route_layer(authenticated.clone())
        .route_layer(from_fn(require_version));
    let triggers = Router::new()
        .route("/{version}/triggers", get(triggers::list_triggers).post(triggers::create_trigger))
        .route(
            "/{version}/triggers/{trigger}",
            get(triggers::get_trigger).patch(triggers::update_trigger).delete(triggers::delete_trigger),
        )
        .route("/{version}/triggers/{trigger}/executions", get(triggers::list_executions).post(triggers::run_trigger))
        .route_layer(authenticated.clone())
        .route_layer(from_fn(require_version));
    let models = Router::new()
        .route("/{version}/models", get(models::list_models))
        .route("/{version}/models/{id}", get(models::get_model))
        .route_layer(authenticated.clone())
        .route_layer(from_fn(require_version))
        .route_layer(from_fn(classic_errors));
    let kept = Router::new()
        .route("/{version}/files", get(files::list_files))
        .route("/{version}/files/{file}", get(files::get_file).delete(files::delete_file))
        .route("/upload/{version}/files", post(upload::begin_file))
        .route("/{version}/fileSearchStores", get(stores::list_stores).post(stores::create_store))
        .route(
            "/{version}/fileSearchStores/{store}",
            get(stores::get_store).delete(stores::delete_store).post(stores::act_on_store),
        )
        .route("/upload/{version}/fileSearchStores/{store}", post(upload::begin_document))
        .route("/{version}/fileSearchStores/{store}/documents", get(stores::list_documents))
        .route(
            "/{version}/fileSearchStores/{store}/documents/{document}",
            get(stores::get_document).delete(stores::delete_document),
        )
        .route("/{version}/fileSearchStores/{store}/upload/operations/{operation}", get(stores::get_upload_operation))
        .route("/{version}/fileSearchStores/{store}/operations/{operation}", get(stores::get_import_operation))
        .route_layer(authenticated)
        // Whoever knows the address may send pieces.
        .route("/upload/{version}/content", post(upload::receive).put(upload::receive))
        .route_layer(from_fn(require_version))
        .route_layer(from_fn(classic_errors));
    let routes = Router::new()
        .route("/", get(health::welcome))
        .route("/healthz", get(health::healthz))
        .route("/readyz", get(health::readyz))
        .merge(interactions)
        .merge(agents)
        .merge(environments)
        .merge(credentials)
        .merge(triggers)
        .merge(models)
        .merge(kept)
        .fallback(unknown_path)
        .method_not_allowed_fallback(method_not_allowed)
        .with_state(server.clone());

    // A layer of the router that routes would run after routing; the path must be put
    // right before it.
    Router::new()
        .fallback_service(routes)
        .layer(map_request(single_leading_slash))
        .layer(CatchPanicLayer::custom(answer_panic))
        .layer(from_fn_with_state(server.clone(), linger))
        .layer(from_fn_with_state(server, access::record))
}

/// A base URL that ends in a slash makes SDKs ask for `//v1/interactions`.
async fn single_leading_slash(mut request: Request) -> Request {
    let Some(target) = request.uri().path_and_query() else { return request };
    let trimmed = target.as_str().trim_start_matches('/');
    if target.as_str().len() - trimmed.len() > 1
        && let Ok(uri) = format!("/{trimmed}").parse::<Uri>()
    {
        *request.uri_mut() = uri;
    }
    request
}

/// Behaviour does not depend on the version, but the segment has to be one (spec 00 §1).
async fn require_version(request: Request, next: Next) -> Result<Response, ApiError> {
    let path = request.uri().path();
    match path.split('/').skip(1).find(|segment| *segment != "upload") {
        Some(version) if is_version(version) => Ok(next.run(request).await),
        Some(_) | None => Err(no_such_path(path)),
    }
}

/// Whether the segment matches `^v[0-9]+[a-z0-9]*$`.
fn is_version(segment: &str) -> bool {
    segment.strip_prefix('v').is_some_and(|rest| {
        rest.starts_with(|c: char| c.is_ascii_digit())
            && rest.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
    })
}

async fn unknown_path(uri: Uri) -> ApiError {
    no_such_path(uri.path())
}

fn no_such_path(path: &str) -> ApiError {
    let path: String = path.chars().take(100).collect();
    Error::not_found(format!(
        "there is nothing at `{path}`; this server has `interactions`, `agents`, `environments`, `credentials`, \
         `triggers`, `models`, `files` and `fileSearchStores` below `/{{version}}`"
    ))
    .into()
}

async fn method_not_allowed(request: Request) -> ApiError {
    let message = format!("`{}` is not a method of this path; the `Allow` header lists those it has", request.method());
    Error::new(Code::MethodNotAllowed, message).into()
}

#[cfg(test)]
mod tests {
    use super::is_version;

    #[test]
    fn a_version_is_v_a_number_and_a_suffix() {
        for good in ["v1", "v1beta", "v1alpha", "v1beta1", "v2", "v10x9"] {
            assert!(is_version(good), "{good}");
        }
        for bad in ["", "v", "1", "V1", "vbeta", "v1Beta", "v1-beta", "v1.1", "models", "vé1"] {
            assert!(!is_version(bad), "{bad}");
        }
    }
}
