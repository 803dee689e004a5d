//! `url_context`: the text of pages whose addresses the user has named or a tool has found.

use std::sync::Arc;

use antiphon_engine::{Found, OpenTool, ServerFunction, ToolCall, ToolError, ToolOutput};
use antiphon_fetch::extract::{Bounds, extract};
use antiphon_fetch::{Allowance, FetchError, Fetcher, Purpose};
use antiphon_wire::{Error, ServerTool};
use async_trait::async_trait;
use futures_util::future::join_all;
use serde_json::{Value, json};
use tracing::info;

use crate::declaration;

const MOST_URLS: usize = 5;

struct Pages {
    fetcher: Fetcher,
}

pub(crate) fn open(fetcher: Fetcher) -> Result<OpenTool, Error> {
    let parameters = json!({
        "type": "object",
        "properties": {
            "urls": {
                "type": "array",
                "items": {"type": "string", "minLength": 1, "maxLength": 2000},
                "minItems": 1,
                "maxItems": MOST_URLS,
                "description": "Addresses that stand in the conversation",
            },
        },
        "required": ["urls"],
        "additionalProperties": false,
    });
    Ok(OpenTool {
        kind: Some(ServerTool::UrlContext),
        name: None,
        server_name: None,
        declaration: declaration("url_context", "Reads pages by their addresses.", parameters)?,
        reads: true,
        run: Arc::new(Pages { fetcher }),
    })
}

/// What became of one address.
struct Page {
    url: String,
    /// Of spec 03: `success`, `error`, `paywall`, `unsafe`.
    status: &'static str,
    found: Result<Found, String>,
}

#[async_trait]
impl ServerFunction for Pages {
    async fn call(&self, call: ToolCall) -> Result<ToolOutput, ToolError> {
        let urls: Vec<&str> = call
            .arguments
            .get("urls")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect();
        let allowance = self.fetcher.allowance(&format!("project-{}", call.project.0));
        let pages = join_all(urls.into_iter().map(|url| self.page(url, &call, &allowance))).await;
        let mut output = ToolOutput::default();
        let mut told = Vec::new();
        let mut result = Vec::new();
        for page in pages {
            result.push(json!({"url": page.url, "status": page.status}));
            match page.found {
                Ok(found) => output.sources.push(found),
                Err(why) => told.push(format!("{}: {why}.", page.url)),
            }
        }
        output.is_error = output.sources.is_empty();
        output.result = Value::Array(result);
        output.text = told.join("\n");
        Ok(output)
    }
}

impl Pages {
    async fn page(&self, url: &str, call: &ToolCall, allowance: &Allowance) -> Page {
        let page = |status, found| Page { url: url.to_owned(), status, found };
        if !is_named(url, &call.said) && !call.found.contains(url) {
            return page("unsafe", Err("this address stands nowhere in the conversation".to_owned()));
        }
        match self.fetcher.fetch(url, Purpose::Page, allowance).await {
            Ok(fetched) => match read(fetched).await {
                Ok(found) => page("success", Ok(Found { url: url.to_owned(), ..found })),
                Err(why) => page("error", Err(why)),
            },
            Err(error) => {
                info!(%error, cause = ?error, "A page could not be fetched");
                let status = match error {
                    FetchError::Status(401..=403) => "paywall",
                    ref error if error.is_unsafe() => "unsafe",
                    _ => "error",
                };
                page(status, Err(error.to_string()))
            }
        }
    }
}

/// Whether the user has named this very address: it ends where an address ends.
fn is_named(url: &str, said: &str) -> bool {
    let ends = |rest: &str| {
        // What ends a sentence may stand inside of an address, too.
        let rest = rest.trim_start_matches(['.', ',', ';', ':', '!', '?']);
        let mut next = rest.chars();
        next.next().is_none_or(|next| next.is_whitespace() || "\"'<>()[]{}|`*”’»".contains(next))
    };
    said.match_indices(url).any(|(at, found)| ends(&said[at + found.len()..]))
}

/// The text of what was fetched; reading it may take a while, and may break.
async fn read(fetched: antiphon_fetch::Fetched) -> Result<Found, String> {
    let site = fetched.final_url.host_str().unwrap_or_default().trim_start_matches("www.").to_owned();
    let read = tokio::task::spawn_blocking(move || {
        extract(&fetched.bytes, &fetched.mime, fetched.charset.as_deref(), &Bounds::default())
    });
    match read.await {
        Ok(Ok(document)) => {
            let title = document.title.clone().filter(|title| !title.is_empty()).unwrap_or_else(|| site.clone());
            Ok(Found { url: String::new(), title, site, text: document.text, file: None })
        }
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err("the content cannot be read".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_address_that_stands_whole_in_the_text_is_named() {
        let check = |said: &str, expected: bool| assert_eq!(is_named("https://a.org/x", said), expected, "{said}");
        check("Read https://a.org/x, please", true);
        check("(https://a.org/x)", true);
        check("https://a.org/x", true);
        check("https://a.org/xyz", false);
        check("https://a.org/x/y and https://a.org/x?z=1", false);
        check("https://b.org/x", false);
    }
}
