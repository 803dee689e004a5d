//! The text of documents.

use antiphon_engine::{Derived, Medium};
use antiphon_fetch::extract::{Bounds, ExtractError, extract, is_read};
use antiphon_wire::Error;

use crate::family::essence;

/// Of the text of one document.
const MOST_TEXT_BYTES: usize = 4 << 20;

/// # Errors
/// When no text is read of such documents, or not in the way that is asked for.
pub(crate) fn check(medium: &Medium, mime_type: &str) -> Result<(), Error> {
    let essence = essence(mime_type);
    if !is_read(&essence) || essence == "application/pdf" {
        let message = format!("documents of type `{essence}` are not read here; expected text, HTML, CSV, JSON or XML");
        return Err(Error::invalid("mime_type", message));
    }
    let Some(processing) = &medium.options.processing else { return Ok(()) };
    if processing.page_options.is_some() {
        return Err(Error::invalid("processing.page_options", format!("`{essence}` has no pages")));
    }
    if processing.spreadsheet_options.is_some() {
        return Err(Error::invalid("processing.spreadsheet_options", format!("`{essence}` is no spreadsheet")));
    }
    Ok(())
}

pub(crate) async fn read(medium: &Medium) -> Result<Derived, Error> {
    let (bytes, mime_type) = (medium.bytes(), medium.mime_type.clone());
    let read = tokio::task::spawn_blocking(move || {
        let charset = mime_type.split(';').skip(1).find_map(|part| {
            let (name, value) = part.split_once('=')?;
            name.trim().eq_ignore_ascii_case("charset").then(|| value.trim().trim_matches('"').to_owned())
        });
        let bounds = Bounds { input_bytes: bytes.len(), output_bytes: MOST_TEXT_BYTES, ..Bounds::default() };
        extract(&bytes, &essence(&mime_type), charset.as_deref(), &bounds)
    });
    let document = match read.await {
        Ok(Ok(document)) => document,
        Ok(Err(error @ (ExtractError::TooLarge(_) | ExtractError::Encrypted))) => {
            return Err(Error::invalid("data", error.to_string()));
        }
        Ok(Err(error @ ExtractError::Unsupported(_))) => return Err(Error::invalid("mime_type", error.to_string())),
        Ok(Err(ExtractError::Unreadable)) | Err(_) => {
            return Err(Error::invalid("data", "the document could not be processed within limits"));
        }
    };
    let title = document.title.filter(|title| !title.is_empty()).map(|title| format!("{title}\n\n"));
    let mut text = title.unwrap_or_default() + &document.text;
    if text.trim().is_empty() {
        text = "(There is no text in it.)".to_owned();
    }
    Ok(Derived { text, tools: vec!["text".to_owned()], truncated: document.is_cut, ..Derived::default() })
}
