//! Who is asking: the key of a request, and the project behind it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use antiphon_engine::{Caller, KeyRecord, Store, StoreError};
use antiphon_wire::{Code, Error};
use axum::extract::{Query, Request, State};
use axum::http::header::AUTHORIZATION;
use axum::middleware::Next;
use axum::response::Response;
use serde::Deserialize;
use tokio::time::Instant;

use crate::error::ApiError;
use crate::keys::{KeyMaker, Presented};
use crate::router::Server;

/// Lets a request with a valid key pass and tells the handler its [`Caller`]. Nothing of
/// the body has been read yet.
pub(crate) async fn authenticate(
    State(server): State<Server>,
    mut request: Request,
    next: Next,
) -> Result<Response, ApiError> {
    let Some(key) = key_of(&request) else {
        return Err(refuse("the API key is missing"));
    };
    let caller = server.keys.caller(&key).await?;
    request.extensions_mut().insert(caller);
    Ok(next.run(request).await)
}

fn refuse(what: &str) -> ApiError {
    let message = format!(
        "{what}: send a key of this server as the header `x-goog-api-key: KEY`, as `Authorization: Bearer KEY` \
         or as the query parameter `key=KEY`; `antiphon keys create` makes one"
    );
    Error::new(Code::Authentication, message).into()
}

#[derive(Deserialize)]
struct KeyQuery {
    key: Option<String>,
}

/// The first key that the request carries (spec 00 §3).
fn key_of(request: &Request) -> Option<String> {
    let header = |name: &str| request.headers().get(name).and_then(|value| value.to_str().ok()).map(str::trim);
    let bearer = || {
        let (scheme, key) = header(AUTHORIZATION.as_str())?.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| key.trim().to_owned())
    };
    let query = || Query::<KeyQuery>::try_from_uri(request.uri()).ok()?.0.key;
    let some = |key: &String| !key.is_empty();
    header("x-goog-api-key")
        .map(str::to_owned)
        .filter(some)
        .or_else(|| bearer().filter(some))
        .or_else(|| query().filter(some))
}

/// The keys of the store, remembered for a moment.
///
/// The command line adds and revokes keys in the same database, beside the server. So
/// nothing is remembered for longer than [`FRESH`], neither a key nor its absence, and
/// one key costs one read a second however often it is used.
pub(crate) struct KeyRing {
    store: Arc<dyn Store>,
    maker: KeyMaker,
    known: Mutex<HashMap<String, Known>>,
}

struct Known {
    record: Option<Arc<KeyRecord>>,
    read_at: Instant,
}

const FRESH: Duration = Duration::from_secs(1);

/// Ids remembered at one time; anybody can make up well-formed ones.
const MOST_KNOWN: usize = 10_000;

impl KeyRing {
    pub(crate) fn new(store: Arc<dyn Store>, maker: KeyMaker) -> Self {
        Self { store, maker, known: Mutex::default() }
    }

    /// # Errors
    /// `authentication` for anything but a valid, unrevoked key; `service_unavailable`
    /// when the keys cannot be read.
    pub(crate) async fn caller(&self, key: &str) -> Result<Caller, ApiError> {
        let invalid = || refuse("the API key is not valid");
        let presented = Presented::parse(key).ok_or_else(invalid)?;
        let record = self.record(presented.id).await?.ok_or_else(invalid)?;
        if record.revoked.is_some() || !self.maker.proves(&presented, &record) {
            return Err(invalid());
        }
        Ok(Caller { project: record.project })
    }

    async fn record(&self, id: &str) -> Result<Option<Arc<KeyRecord>>, ApiError> {
        // Taken before the read: what changes during it is seen a second later at most.
        let read_at = Instant::now();
        if let Some(known) = self.known.lock().unwrap_or_else(PoisonError::into_inner).get(id)
            && read_at.duration_since(known.read_at) < FRESH
        {
            return Ok(known.record.clone());
        }
        let record = match self.store.key(id).await {
            Ok(record) => Some(Arc::new(record)),
            Err(StoreError::NotFound) => None,
            Err(error @ (StoreError::Conflict(_) | StoreError::Unavailable(_) | StoreError::Corrupt(_))) => {
                tracing::error!(%error, "The keys cannot be read");
                let message = "the server cannot read its keys now; its log has the cause";
                return Err(Error::new(Code::ServiceUnavailable, message).into());
            }
        };
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= MOST_KNOWN {
            known.retain(|_, known| read_at.duration_since(known.read_at) < FRESH);
        }
        if known.len() < MOST_KNOWN {
            known.insert(id.to_owned(), Known { record: record.clone(), read_at });
        }
        Ok(record)
    }
}
