//! What is behind the address that a request gives: a file of the project, or something on the
//! public internet.

use std::io;

use antiphon_engine::{Fetched, ProjectId};
use antiphon_fetch::{Body, FetchError, Purpose, Url};
use antiphon_wire::{Code, Data, Error, MOST_IN_MEMORY};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use tokio::sync::mpsc;
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
    let unfetched = |error: FetchError| {
        info!(%error, cause = ?error, "A medium could not be fetched");
        Error::invalid("uri", format!("cannot fetch content from the provided URL: {}", class(&error)))
    };
    let body = senses.fetcher.open(uri, Purpose::Media, &allowance).await.map_err(unfetched)?;
    let mime_type = match &body.charset {
        Some(charset) => format!("{}; charset={charset}", body.mime),
        None => body.mime.clone(),
    };
    let data = kept(senses, body).await.map_err(|why| match why {
        Unkept::Fetch(error) => unfetched(error),
        Unkept::Disk(error) => unreadable(&error),
    })?;
    Ok(Fetched { data, mime_type })
}

/// Why what was opened is not kept.
enum Unkept {
    Fetch(FetchError),
    Disk(io::Error),
}

/// Few bytes stay in memory; many go to disk while they come.
async fn kept(senses: &Senses, mut body: Body) -> Result<Data, Unkept> {
    let mut start = Vec::new();
    while let Some(piece) = body.piece().await.map_err(Unkept::Fetch)? {
        start.extend_from_slice(&piece);
        if start.len() > MOST_IN_MEMORY {
            return spooled(senses, start, body).await;
        }
    }
    Ok(Data::from(STANDARD.encode(&start)))
}

/// Pieces that wait for the disk.
const WAITING: usize = 8;

async fn spooled(senses: &Senses, start: Vec<u8>, body: Body) -> Result<Data, Unkept> {
    let (pieces, mut coming) = mpsc::channel::<Bytes>(WAITING);
    let files = senses.files.clone();
    let writing = tokio::task::spawn_blocking(move || -> io::Result<Data> {
        let mut spool = files.spool()?;
        spool.write(&start)?;
        while let Some(piece) = coming.blocking_recv() {
            spool.write(&piece)?;
        }
        Ok(spool.end().into())
    });
    let sent = send(body, pieces).await;
    let written = writing.await.map_err(io::Error::other).flatten();
    sent.map_err(Unkept::Fetch)?;
    written.map_err(Unkept::Disk)
}

async fn send(mut body: Body, pieces: mpsc::Sender<Bytes>) -> Result<(), FetchError> {
    while let Some(piece) = body.piece().await? {
        // A disk that takes no more says why with its end.
        if pieces.send(piece).await.is_err() {
            break;
        }
    }
    Ok(())
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
