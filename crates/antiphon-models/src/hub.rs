//! Source: a file on the model hub, by ranged GETs that resume where the last one ended.
//!
//! The hub answers a file's address with a redirect to where the bytes are, and names the file's SHA-256 in that
//! first answer. Redirects are therefore followed here: to read it, and to go to `https` only.

use std::{fs::File, io::Write, sync::Arc, time::Duration};

use reqwest::{
    Client, Response, StatusCode, Url,
    header::{CONTENT_RANGE, ETAG, HeaderMap, IF_RANGE, LOCATION, RANGE},
    redirect,
};
use rustls_platform_verifier::BuilderVerifierExt;
use serde::{Deserialize, Serialize};

use crate::{
    Entry, Error,
    error::at,
    pull::{Partial, Pull},
    spec::HubFile,
};

/// An address that does not answer is given up for the next source.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Silence in the middle of an answer counts as a cut.
const READ_TIMEOUT: Duration = Duration::from_secs(30);

const REDIRECTS: usize = 5;

/// How many connections one pull may use up; each but the last was cut after it had brought something.
const CONNECTIONS: usize = 20;

/// Bytes gathered before they are handed to the disk.
const BUFFER: usize = 4 << 20;

/// The model hub, by its base address.
pub(crate) struct Hub {
    pub(crate) base: String,
}

/// What the hub said about the file when its first byte was asked for.
#[derive(Clone, Serialize, Deserialize)]
struct Promise {
    file: HubFile,
    bytes: u64,
    /// A strong validator; without one the file cannot be resumed.
    etag: Option<String>,
    sha256: Option<String>,
}

/// One answer to a GET, ready to be read.
struct Answer {
    response: Response,
    promise: Promise,
    /// Where in the file the answer's bytes begin.
    offset: u64,
}

impl Hub {
    /// Fills `partial` with `file`. Returns the SHA-256 that the hub declared, in hex, which is yet to be checked.
    ///
    /// # Errors
    /// [`Error::Fetch`] when the hub does not deliver; what has come so far is kept. Others when this machine fails.
    pub(crate) async fn fetch(
        &self,
        file: &HubFile,
        entry: Option<&Entry>,
        partial: &Partial,
        pull: &Pull<'_>,
    ) -> Result<Option<String>, Error> {
        let client = client().map_err(|reason| failed(file, reason))?;
        for _ in 0..CONNECTIONS {
            let held = partial.kept().filter(|promise: &Promise| promise.file == *file);
            if let Some(promise) = &held
                && promise.bytes == partial.len()
            {
                return Ok(promise.sha256.clone());
            }
            let resume = held.filter(|promise| promise.etag.is_some() && partial.len() < promise.bytes);
            let Some(Answer { response, promise, offset }) = self.get(&client, file, resume, partial.len()).await?
            else {
                partial.discard()?;
                continue;
            };
            if let Some(entry) = entry
                && entry.bytes != promise.bytes
            {
                partial.discard()?;
                return Err(failed(file, format!("expected {} bytes, the hub has {}", entry.bytes, promise.bytes)));
            }
            if offset == 0 {
                partial.discard()?;
                partial.keep(&promise)?;
            }
            partial.reserve(promise.bytes - offset)?;
            pull.progress.begin(&format!("{} from the hub", pull.name), Some(promise.bytes));
            pull.progress.add(offset);

            let received = receive(response, promise.bytes - offset, partial, pull).await?;
            let held = partial.len();
            if held == promise.bytes {
                return Ok(promise.sha256);
            }
            let cut = received.unwrap_or_else(|| "the connection was cut".to_owned());
            if held == offset || promise.etag.is_none() {
                return Err(failed(file, format!("{cut}, at byte {held} of {}", promise.bytes)));
            }
            tracing::info!(model = pull.name, held, "Resuming after a cut: {cut}");
        }
        Err(failed(file, format!("cut {CONNECTIONS} times")))
    }

    /// Asks for the file from byte `held` on if `resume` vouches for what is held, else from its start. `None` when
    /// the hub will not continue what is held.
    async fn get(
        &self,
        client: &Client,
        file: &HubFile,
        resume: Option<Promise>,
        held: u64,
    ) -> Result<Option<Answer>, Error> {
        let fail = |reason: String| failed(file, reason);
        let base = Url::parse(&format!("{}/", self.base.trim_end_matches('/')))
            .map_err(|error| fail(format!("the hub's address `{}` is malformed: {error}", self.base)))?;
        let mut url = base.join(&file.url_path()).map_err(|error| fail(error.to_string()))?;
        let mut sha256 = None;
        for _ in 0..=REDIRECTS {
            let mut request = client.get(url.clone());
            if let Some(Promise { etag: Some(etag), .. }) = &resume {
                request = request.header(RANGE, format!("bytes={held}-")).header(IF_RANGE, etag);
            }
            let response = request.send().await.map_err(|error| fail(explain(error)))?;
            sha256 = sha256.or_else(|| declared_sha256(response.headers()));
            let status = response.status();
            if status.is_redirection() {
                let location = text(response.headers(), LOCATION.as_str()).unwrap_or_default();
                let next = url.join(location).map_err(|error| fail(format!("redirected nowhere: {error}")))?;
                if next.scheme() != "https" && next.origin() != base.origin() {
                    return Err(fail(format!("redirected to `{}:`, expected `https:`", next.scheme())));
                }
                url = next;
                continue;
            }
            return match (status, resume) {
                (StatusCode::OK, _) => {
                    let bytes = response.content_length().ok_or_else(|| fail("its length is not told".to_owned()))?;
                    let etag = text(response.headers(), ETAG.as_str())
                        .filter(|etag| etag.starts_with('"'))
                        .map(ToOwned::to_owned);
                    let promise = Promise { file: file.clone(), bytes, etag, sha256 };
                    Ok(Some(Answer { response, promise, offset: 0 }))
                }
                (StatusCode::PARTIAL_CONTENT, Some(promise)) => {
                    let range = text(response.headers(), CONTENT_RANGE.as_str());
                    let expected = format!("bytes {held}-{}/{}", promise.bytes - 1, promise.bytes);
                    Ok((range == Some(&expected)).then_some(Answer { response, promise, offset: held }))
                }
                (StatusCode::RANGE_NOT_SATISFIABLE, Some(_)) => Ok(None),
                (status, _) => Err(fail(format!("the hub answered {status}"))),
            };
        }
        Err(fail(format!("redirected more than {REDIRECTS} times")))
    }
}

/// Appends an answer of at most `expected` bytes to `partial`. Returns why the answer ended early, where that is known.
async fn receive(
    mut response: Response,
    expected: u64,
    partial: &Partial,
    pull: &Pull<'_>,
) -> Result<Option<String>, Error> {
    let path = partial.weights();
    let file = Arc::new(File::options().append(true).create(true).open(&path).map_err(at(&path))?);
    let mut room = expected;
    loop {
        let mut buffer = Vec::with_capacity(BUFFER);
        let ended = loop {
            match response.chunk().await {
                Ok(Some(chunk)) => {
                    let chunk = &chunk[..chunk.len().min(usize::try_from(room).unwrap_or(usize::MAX))];
                    room -= chunk.len() as u64;
                    buffer.extend_from_slice(chunk);
                    pull.progress.add(chunk.len() as u64);
                    if room == 0 {
                        break Some(None);
                    }
                    if buffer.len() >= BUFFER {
                        break None;
                    }
                }
                Ok(None) => break Some(None),
                Err(error) => break Some(Some(explain(error))),
            }
        };
        let (file, path) = (Arc::clone(&file), path.clone());
        pull.blocking(move || (&*file).write_all(&buffer).map_err(at(path))).await?;
        if let Some(reason) = ended {
            return Ok(reason);
        }
    }
}

/// The one way to speak HTTP from here: rustls with ring, the system's root certificates, no redirect unseen.
fn client() -> Result<Client, String> {
    let tls = rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .and_then(BuilderVerifierExt::with_platform_verifier)
        .map_err(|error| error.to_string())?
        .with_no_client_auth();
    Client::builder()
        .tls_backend_preconfigured(tls)
        .user_agent(concat!("antiphon/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(CONNECT_TIMEOUT)
        .read_timeout(READ_TIMEOUT)
        .redirect(redirect::Policy::none())
        .build()
        .map_err(explain)
}

/// The SHA-256 of a large file, which the hub gives as its `X-Linked-Etag` or `ETag`.
fn declared_sha256(headers: &HeaderMap) -> Option<String> {
    ["x-linked-etag", ETAG.as_str()].into_iter().find_map(|name| {
        let value = text(headers, name)?.trim_matches('"').to_ascii_lowercase();
        (value.len() == 64 && value.bytes().all(|byte| byte.is_ascii_hexdigit())).then_some(value)
    })
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// The whole chain of causes, without the address: a redirected one carries a signature.
fn explain(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut reason = error.to_string();
    let mut cause = std::error::Error::source(&error);
    while let Some(error) = cause {
        reason = format!("{reason}: {error}");
        cause = error.source();
    }
    reason
}

fn failed(file: &HubFile, reason: String) -> Error {
    Error::Fetch { from: format!("hub file `{file}`"), reason }
}
