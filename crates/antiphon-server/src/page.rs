//! Pages of lists, and other words of queries (spec 01, "Pagination"). Classic resources write
//! `pageSize` where others write `page_size`; either is read everywhere.

use antiphon_wire::Error;
use axum::extract::{FromRequestParts, Query};
use axum::http::request::Parts;

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

impl<S: Send + Sync> FromRequestParts<S> for Page {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let query = Query::<Vec<(String, String)>>::from_request_parts(parts, state).await;
        let Query(query) = query.map_err(|_| Error::invalid("query", "expected `name=value`, separated by `&`"))?;
        let (mut size, mut token) = (None, None);
        for (name, value) in query {
            let read = match name.as_str() {
                "pageSize" | "page_size" => &mut size,
                "pageToken" | "page_token" => &mut token,
                _ => continue,
            };
            if read.is_some() {
                return Err(Error::invalid(&name, "expected at most one").into());
            }
            *read = Some((name, value));
        }
        let size = match size {
            None => PAGE_SIZE,
            Some((_, text)) if matches!(text.as_str(), "" | "0") => PAGE_SIZE,
            Some((name, text)) => match text.parse() {
                Ok(size) => MOST_PAGE_SIZE.min(size),
                Err(_) => return Err(Error::invalid(&name, format!("expected 1 to {MOST_PAGE_SIZE}")).into()),
            },
        };
        Ok(Self { size, token: token.map(|(_, token)| token).filter(|token| !token.is_empty()) })
    }
}

/// A switch of a query. Python writes `True` where JavaScript writes `true`.
pub(crate) fn flag(name: &str, value: Option<&str>) -> Result<bool, Error> {
    match value.unwrap_or_default().to_ascii_lowercase().as_str() {
        "" | "false" => Ok(false),
        "true" => Ok(true),
        _ => Err(Error::invalid(name, "expected `true` or `false`")),
    }
}
