//! What is behind the address that a request gives: a file of the project, or something on the
//! public internet.

use antiphon_engine::{Fetched, ProjectId};
use antiphon_fetch::{FetchError, Purpose, Url};
use antiphon_wire::{Code, Data, Error, MOST_IN_MEMORY};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use tracing::info;

use crate::source::unreadable;
use crate::{MOST_BYTES, Senses};

pub(crate) async fn fetch(senses: &Senses, project: ProjectId, uri: &str) -> Result<Fetched, Error> {
    if let Some(name) = file_name(uri) {
        let (mime_type, data) = senses.files.content(project, &name, MOST_BYTES).await.map_err(of_uri)?;
        return Ok(Fetched { data, mime_type });
    }
    let wrong = |why: &str| Error::invalid("uri", why);
    let Some((scheme, _)) = uri.split_once("://") else {
        return Err(wrong("expected an `https` address or the name of a file, as `files/…`"));
    };
    match scheme.to_ascii_lowercase().as_str() {
        "https" => {}
        "http" if senses.options.http => {}
        "http" => return Err(wrong("expected an `https` address; this server fetches nothing over plain `http`")),
        _ => return Err(wrong("expected an `https` address or the name of a file, as `files/…`")),
    }
    let allowance = senses.fetcher.allowance(&format!("project-{}", project.0));
    let fetched = senses.fetcher.fetch(uri, Purpose::Media, &allowance).await.map_err(|error| {
        info!(%error, cause = ?error, "A medium could not be fetched");
        Error::invalid("uri", format!("cannot fetch content from the provided URL: {}", class(&error)))
    })?;
    let mime_type = match &fetched.charset {
        Some(charset) => format!("{}; charset={charset}", fetched.mime),
        None => fetched.mime.clone(),
    };
    Ok(Fetched { data: kept(senses, fetched.bytes).await?, mime_type })
}

/// Many bytes go to disk; so long they are in memory.
async fn kept(senses: &Senses, bytes: Bytes) -> Result<Data, Error> {
    let files = senses.files.clone();
    let kept = tokio::task::spawn_blocking(move || -> std::io::Result<Data> {
        if bytes.len() <= MOST_IN_MEMORY {
            return Ok(Data::from(STANDARD.encode(&bytes)));
        }
        let mut spool = files.spool()?;
        spool.write(&bytes)?;
        Ok(spool.end().into())
    });
    kept.await.map_err(std::io::Error::other).flatten().map_err(|error| unreadable(&error))
}

/// How much of a failure is told: nothing of what listens where in our own network.
fn class(error: &FetchError) -> String {
    match error {
        FetchError::Refused(_) | FetchError::Unreachable(_) => "it cannot be reached, or may not be".to_owned(),
        FetchError::Status(_) | FetchError::Size { .. } | FetchError::Type(_) | FetchError::TooMany { .. } => {
            error.to_string()
        }
    }
}

/// The file that a name or a full address of this API's names.
fn file_name(uri: &str) -> Option<String> {
    if uri.starts_with("files/") {
        return Some(uri.to_owned());
    }
    let url = Url::parse(uri).ok().filter(|url| matches!(url.scheme(), "http" | "https"))?;
    let mut segments = url.path_segments()?;
    let (version, files, id) = (segments.next()?, segments.next()?, segments.next()?);
    let is_file = matches!(version, "v1" | "v1beta" | "v1alpha") && files == "files" && segments.next().is_none();
    is_file.then(|| format!("files/{id}"))
}

/// A file's error, as one of the address: the request is wrong and not the API's own path.
fn of_uri(error: Error) -> Error {
    match error.code {
        Code::NotFound | Code::ContentTooLarge => Error::invalid("uri", error.message),
        _ => error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_known_by_their_names_and_by_their_addresses() {
        for (uri, name) in [
            ("files/a-b", Some("files/a-b")),
            ("https://host:8080/v1beta/files/a-b", Some("files/a-b")),
            ("http://127.0.0.1:8080/v1/files/a-b?alt=json", Some("files/a-b")),
            ("https://host/v1beta/files/a/b", None),
            ("https://host/files/a", None),
            ("https://host/v2/files/a", None),
            ("gs://v1beta/files/a", None),
            ("file:///etc/passwd", None),
        ] {
            assert_eq!(file_name(uri).as_deref(), name, "{uri}");
        }
    }
}
