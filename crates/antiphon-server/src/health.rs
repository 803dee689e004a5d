//! What needs no key: whether the server lives, whether it can work, what it is.

use antiphon_wire::{Code, Error};
use axum::Json;
use axum::extract::State;
use serde_json::{Value, json};

use crate::error::ApiError;
use crate::router::Server;

/// For people who open the address in a browser.
pub(crate) async fn welcome() -> Json<Value> {
    Json(json!({
        "name": "antiphon",
        "version": env!("CARGO_PKG_VERSION"),
        "about": "The Gemini Interactions API on your own machine. Set GOOGLE_GEMINI_BASE_URL to this address and GEMINI_API_KEY to a key from `antiphon keys create`.",
        "paths": ["/v1beta/interactions", "/v1beta/models", "/healthz", "/readyz"],
    }))
}

/// The process answers.
pub(crate) async fn healthz() -> Json<Value> {
    Json(json!({"status": "alive"}))
}

/// A request that came now would be served: not draining, the store takes writes, the
/// default model is there.
pub(crate) async fn readyz(State(server): State<Server>) -> Result<Json<Value>, ApiError> {
    let unavailable = |message: String| Error::new(Code::ServiceUnavailable, message);
    if server.engine.closing().is_cancelled() {
        return Err(unavailable("the server is shutting down".to_owned()).into());
    }
    server.engine.ready().await.map_err(|error| unavailable(error.message))?;
    Ok(Json(json!({"status": "ready"})))
}
