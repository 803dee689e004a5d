//! From the bytes of a file to the text that is searched.
//!
//! What cannot be read whole is refused: a document that is found by its first half alone
//! would be a silent loss.

use antiphon_fetch::extract::{self, Bounds, ExtractError};
use antiphon_wire::Error;

/// Of the text of one document, as the corpus keeps it.
const MOST_TEXT_BYTES: usize = 20 << 20;
const MOST_PAGES: usize = 5000;

/// A kind of content, as `text/plain`, and how its text is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Kind {
    pub(crate) mime: String,
    charset: Option<String>,
}

impl Kind {
    /// Reads `text/plain; charset=utf-8`.
    ///
    /// # Errors
    /// `invalid_request` when there is no text in such files, or not for this server.
    pub(crate) fn searchable(text: &str) -> Result<Self, Error> {
        let mut parts = text.split(';');
        let mime = parts.next().unwrap_or_default().trim().to_ascii_lowercase();
        if !extract::is_read(&mime) {
            let shown: String = mime.chars().take(100).collect();
            let message = format!("expected text, HTML or PDF, got `{shown}`, of which this server reads no text");
            return Err(Error::invalid("mimeType", message));
        }
        let charset = parts.find_map(|part| {
            let (name, value) = part.split_once('=')?;
            name.trim().eq_ignore_ascii_case("charset").then(|| value.trim().trim_matches('"').to_owned())
        });
        Ok(Self { mime, charset })
    }
}

/// The text, with a form feed at the end of each page. It takes a while, and so a thread that
/// may be blocked.
///
/// # Errors
/// `invalid_request` when there is no text, or more than can be kept.
pub(crate) fn read(bytes: &[u8], kind: &Kind) -> Result<String, Error> {
    let bounds = Bounds { input_bytes: bytes.len(), output_bytes: MOST_TEXT_BYTES, pages: MOST_PAGES };
    let wrong = |message: &str| Error::invalid("file", message);
    let document = match extract::extract(bytes, &kind.mime, kind.charset.as_deref(), &bounds) {
        Ok(document) => document,
        // Its own size is not the matter: what is packed in it would be larger than any bound.
        Err(ExtractError::TooLarge(_)) => return Err(wrong("what is packed in the document is too large to be read")),
        Err(error) => return Err(wrong(&error.to_string())),
    };
    if document.is_cut {
        let message = "it is too long to be read whole; expected at most 20 MiB of text, and of a PDF at most 5,000 \
                       pages and about 500,000 characters";
        return Err(wrong(message));
    }
    if document.text.trim().is_empty() {
        return Err(wrong("there is no text in it"));
    }
    Ok(document.paged())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_read_as_it_says_it_is_written() {
        let latin = Kind::searchable("Text/Plain; Charset=\"iso-8859-1\"").unwrap();
        assert_eq!(read(b"S\xe3o Paulo", &latin).unwrap().trim(), "São Paulo");
        assert_eq!(
            read(b"<p>one</p><p>two</p>", &Kind::searchable("text/html").unwrap()).unwrap().trim(),
            "one\n\ntwo"
        );
    }

    #[test]
    fn what_has_no_text_is_refused() {
        let error = Kind::searchable("image/png").unwrap_err();
        assert!(error.message.contains("`mimeType`") && error.message.contains("image/png"), "{}", error.message);
        let check = |bytes: &[u8], mime: &str, expected: &str| {
            assert_eq!(read(bytes, &Kind::searchable(mime).unwrap()).unwrap_err().message, expected);
        };
        check(b" \n", "text/plain", "`file`: there is no text in it");
        check(b"no pdf", "application/pdf", "`file`: the PDF cannot be read");
    }
}
