//! Pages of lists, as classic resources have them (spec 01, "Pagination").

use antiphon_wire::Error;
use axum::extract::{FromRequestParts, Query};
use axum::http::request::Parts;
use serde::Deserialize;

use crate::error::ApiError;

/// Default and maximum size of a page.
const PAGE_SIZE: usize = 50;
const MOST_PAGE_SIZE: usize = 1000;

/// The page that a query asks for.
pub(crate) struct Page {
    pub(crate) size: usize,
    /// Of the page before; what it holds is the list's own matter.
    pub(crate) token: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PageQuery {
    page_size: Option<String>,
    page_token: Option<String>,
}

impl<S: Send + Sync> FromRequestParts<S> for Page {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let query = Query::<PageQuery>::from_request_parts(parts, state).await;
        let Query(query) =
            query.map_err(|_| Error::invalid("query", "expected `pageSize` and `pageToken` at most once each"))?;
        let size = match query.page_size.as_deref() {
            None | Some("" | "0") => PAGE_SIZE,
            Some(text) => match text.parse() {
                Ok(size) => MOST_PAGE_SIZE.min(size),
                Err(_) => return Err(Error::invalid("pageSize", format!("expected 1 to {MOST_PAGE_SIZE}")).into()),
            },
        };
        Ok(Self { size, token: query.page_token.filter(|token| !token.is_empty()) })
    }
}
