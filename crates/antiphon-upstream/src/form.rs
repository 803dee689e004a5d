//! A request that carries files: `multipart/form-data` (RFC 7578).

use antiphon_engine::{BackendError, Media};
use bytes::Bytes;
use serde_json::Value;

/// The type of the body, and the body: the members of `fields` and then the files, each under the
/// name of its field.
///
/// # Errors
/// [`BackendError::Rejected`] when a file is no base64.
pub(crate) fn encode(fields: &Value, files: &[(&str, Media)]) -> Result<(String, Bytes), BackendError> {
    // Of 128 bits of chance: no file holds it.
    let boundary = format!("antiphon-{:032x}", fastrand::u128(..));
    let mut body = Vec::new();
    let mut part = |head: &str, content: &[u8]| {
        body.extend_from_slice(format!("--{boundary}\r\ncontent-disposition: form-data; {head}\r\n\r\n").as_bytes());
        body.extend_from_slice(content);
        body.extend_from_slice(b"\r\n");
    };
    for (name, value) in fields.as_object().into_iter().flatten() {
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        part(&format!("name=\"{name}\""), text.as_bytes());
    }
    for (at, (name, media)) in files.iter().enumerate() {
        let bytes = media
            .data
            .bytes()
            .map_err(|error| BackendError::Rejected(format!("`input`: expected pictures in base64: {error}")))?;
        let kind = media.mime_type.split('/').nth(1).unwrap_or_default();
        let ending: String = kind.chars().take_while(char::is_ascii_alphanumeric).collect();
        // Types were read as one line of plain characters.
        let head = format!("name=\"{name}\"; filename=\"picture-{at}.{ending}\"\r\ncontent-type: {}", media.mime_type);
        part(&head, &bytes);
    }
    body.extend_from_slice(format!("--{boundary}--\r\n").as_bytes());
    Ok((format!("multipart/form-data; boundary={boundary}"), body.into()))
}
