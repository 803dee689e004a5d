//! The running server as a client sees it: where it is, with which key, and its answers.
//!
//! What manages agents and environments goes through the API, so that it can do exactly what
//! any other client can, on this machine or from another one.

use std::io::Read;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use antiphon_wire::WorkspacePath;
use clap::Args;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use reqwest::{Method, Request, Response, Url, redirect};
use rustls_platform_verifier::BuilderVerifierExt as _;
use serde_json::Value;

use crate::{Failed, config, paths};

const VERSION: &str = "v1beta";
const CONNECT: Duration = Duration::from_secs(10);
/// Between two bytes of an answer. Streams say something every few seconds.
const SILENCE: Duration = Duration::from_secs(120);
/// Of an answer that is read whole: a page of any list is far shorter.
const LONGEST_ANSWER: usize = 64 << 20;
/// Pages of one list: with the most entries on each, more than any server keeps.
const MOST_PAGES: usize = 1000;
/// Of one piece of an upload, as the SDKs send them.
const PIECE: usize = 8 << 20;

/// Where the server is.
#[derive(Args)]
pub(crate) struct Reach {
    /// The server; otherwise `GOOGLE_GEMINI_BASE_URL`, otherwise <http://127.0.0.1:8080>.
    #[arg(long, env = "ANTIPHON_URL")]
    url: Option<String>,
    /// A key of the server; for one on this machine the key that its first start made.
    #[arg(long, env = "GEMINI_API_KEY", hide_env_values = true)]
    api_key: Option<String>,
    /// Where that key is; `$XDG_DATA_HOME/antiphon` unless given.
    #[arg(long, env = "ANTIPHON_DATA_DIR")]
    data_dir: Option<PathBuf>,
}

/// A server that can be asked.
pub(crate) struct Client {
    http: reqwest::Client,
    base: Url,
    key: HeaderValue,
}

impl Reach {
    pub(crate) fn client(self) -> Result<Client, Failed> {
        let known = || std::env::var_os("GOOGLE_GEMINI_BASE_URL").and_then(|url| url.into_string().ok());
        let url = filled(self.url)
            .or_else(|| filled(known()))
            .unwrap_or_else(|| format!("http://{}", config::DEFAULT_LISTEN));
        let base = base_of(&url)
            .ok_or_else(|| Failed::new(format!("`{url}` is not the `http` or `https` address of a server")))?;
        let key = match filled(self.api_key) {
            Some(key) => key,
            None => first_key(&base, self.data_dir)?,
        };
        let mut key =
            HeaderValue::from_str(key.trim()).map_err(|_| Failed::new("the key holds characters that no key has"))?;
        key.set_sensitive(true);
        Ok(Client { http: http()?, base, key })
    }
}

/// A variable that is set to nothing is not set.
fn filled(text: Option<String>) -> Option<String> {
    text.filter(|text| !text.trim().is_empty())
}

fn base_of(text: &str) -> Option<Url> {
    let url = Url::parse(text.trim()).ok()?;
    let is_plain = matches!(url.scheme(), "http" | "https")
        && url.has_host()
        && url.username().is_empty()
        && url.password().is_none()
        && url.query().is_none()
        && url.fragment().is_none();
    is_plain.then_some(url)
}

/// The key that the first start made. It is for this machine and told to no other.
fn first_key(base: &Url, data_dir: Option<PathBuf>) -> Result<String, Failed> {
    let missing = "no key: set `GEMINI_API_KEY`, or give `--api-key`; `antiphon keys create --name NAME` makes one";
    let host = base.host_str().unwrap_or_default();
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let is_here = host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback());
    if !is_here {
        return Err(Failed::new(missing));
    }
    let kept = std::fs::read_to_string(paths::data_folder(data_dir)?.join("bootstrap-key"));
    filled(kept.ok()).ok_or_else(|| Failed::new(missing))
}

fn http() -> Result<reqwest::Client, Failed> {
    let failed = |error: &dyn std::fmt::Display| Failed::new(format!("no TLS: {error}"));
    let tls = rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .and_then(|builder| builder.with_platform_verifier())
        .map_err(|error| failed(&error))?
        .with_no_client_auth();
    reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        .user_agent(concat!("antiphon/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(CONNECT)
        .read_timeout(SILENCE)
        .redirect(redirect::Policy::none())
        .no_proxy()
        .build()
        .map_err(|error| failed(&error))
}

impl Client {
    /// The address of a resource. Each segment is one name, whatever is in it.
    pub(crate) fn address(&self, segments: &[&str]) -> Url {
        self.below(&[VERSION], segments)
    }

    /// The address of a place in an environment; empty names the workspace itself.
    pub(crate) fn file_address(&self, environment: &str, path: &WorkspacePath) -> Url {
        self.below(&[VERSION], &in_environment(environment, path))
    }

    fn below(&self, root: &[&str], segments: &[&str]) -> Url {
        let mut url = self.base.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(root).extend(segments);
        }
        url
    }

    /// What the server answers to a request that has a JSON answer.
    pub(crate) async fn ask(&self, method: Method, url: Url, body: Option<&Value>) -> Result<Value, Failed> {
        let response = self.send(self.request(method, url, body)).await?;
        let text = whole(response).await?;
        serde_json::from_slice(&text)
            .map_err(|_| Failed::new("the server's answer is no JSON; is `--url` that of an antiphon?"))
    }

    /// The answer as it comes.
    pub(crate) async fn open(&self, method: Method, url: Url, body: Option<&Value>) -> Result<Response, Failed> {
        self.send(self.request(method, url, body)).await
    }

    /// All entries of a list, page by page.
    pub(crate) async fn list(&self, url: Url, entries: &str) -> Result<Vec<Value>, Failed> {
        let mut all = Vec::new();
        let mut token: Option<String> = None;
        for _ in 0..MOST_PAGES {
            let mut page = url.clone();
            page.query_pairs_mut().append_pair("page_size", "1000");
            if let Some(token) = &token {
                page.query_pairs_mut().append_pair("page_token", token);
            }
            let mut answer = self.ask(Method::GET, page, None).await?;
            if let Value::Array(some) = answer[entries].take() {
                all.extend(some);
            }
            match answer["next_page_token"].as_str() {
                Some(next) if !next.is_empty() => token = Some(next.to_owned()),
                Some(_) | None => return Ok(all),
            }
        }
        Err(Failed::new(format!("the list of {entries} does not end")))
    }

    /// Sends a file into an environment, piece by piece, and returns what came of it there.
    pub(crate) async fn upload(
        &self,
        environment: &str,
        path: &WorkspacePath,
        flags: &[&str],
        mut file: impl Read,
    ) -> Result<Value, Failed> {
        let mut start = self.below(&["upload", VERSION], &in_environment(environment, path));
        for flag in flags {
            start.query_pairs_mut().append_pair(flag, "true");
        }
        let mut request = self.request(Method::PUT, start, None);
        request.headers_mut().insert("x-goog-upload-protocol", HeaderValue::from_static("resumable"));
        request.headers_mut().insert("x-goog-upload-command", HeaderValue::from_static("start"));
        let begun = self.send(request).await?;
        let address = self.upload_address(begun.headers())?;
        let mut offset = 0_u64;
        loop {
            let piece = next_piece(&mut file)?;
            let is_last = piece.len() < PIECE;
            let length = piece.len() as u64;
            let mut request = self.request(Method::POST, address.clone(), None);
            let command = if is_last { "upload, finalize" } else { "upload" };
            request.headers_mut().insert("x-goog-upload-command", HeaderValue::from_static(command));
            request.headers_mut().insert("x-goog-upload-offset", HeaderValue::from(offset));
            *request.body_mut() = Some(piece.into());
            let answer = whole(self.send(request).await?).await?;
            if is_last {
                return Ok(serde_json::from_slice(&answer).unwrap_or_default());
            }
            offset += length;
        }
    }

    /// The server names itself as it was called; it is called here.
    fn upload_address(&self, headers: &HeaderMap) -> Result<Url, Failed> {
        let given = headers.get("x-goog-upload-url").and_then(|url| url.to_str().ok());
        let missing = || Failed::new("the server does not say where to upload to");
        let given = self.base.join(given.ok_or_else(missing)?).map_err(|_| missing())?;
        let mut address = self.below(&["upload", VERSION], &["content"]);
        address.set_query(given.query());
        Ok(address)
    }

    fn request(&self, method: Method, url: Url, body: Option<&Value>) -> Request {
        let mut request = Request::new(method, url);
        request.headers_mut().insert("x-goog-api-key", self.key.clone());
        if let Some(body) = body {
            request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
            *request.body_mut() = Some(body.to_string().into());
        }
        request
    }

    async fn send(&self, request: Request) -> Result<Response, Failed> {
        let response = self.http.execute(request).await.map_err(|error| {
            let why =
                if error.is_connect() { "is a server running there? `antiphon serve` starts one" } else { "no answer" };
            Failed::new(format!("`{}`: {why}", self.base))
        })?;
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let said = whole(response).await.unwrap_or_default();
        Err(Failed::new(refusal(status.as_u16(), &said)))
    }
}

/// The words of a server that refuses: `{"error":{"code","message"}}` (spec 00 §5).
fn refusal(status: u16, body: &[u8]) -> String {
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    match body["error"]["message"].as_str() {
        Some(message) => message.to_owned(),
        None => format!("the server answers with status {status} and no reason"),
    }
}

async fn whole(mut response: Response) -> Result<Vec<u8>, Failed> {
    let mut bytes = Vec::new();
    while let Some(piece) = response.chunk().await.map_err(|_| cut())? {
        if bytes.len() + piece.len() > LONGEST_ANSWER {
            return Err(Failed::new(format!("the server's answer has more than {LONGEST_ANSWER} bytes")));
        }
        bytes.extend_from_slice(&piece);
    }
    Ok(bytes)
}

pub(crate) fn cut() -> Failed {
    Failed::new("the connection ended before the answer did")
}

fn in_environment<'a>(environment: &'a str, path: &'a WorkspacePath) -> Vec<&'a str> {
    ["environments", environment, "files"].into_iter().chain(path.as_str().split('/')).collect()
}

fn next_piece(file: &mut impl Read) -> Result<Vec<u8>, Failed> {
    let mut piece = Vec::new();
    let read = file.take(PIECE as u64).read_to_end(&mut piece);
    read.map_err(|error| Failed::new(format!("the file cannot be read: {error}")))?;
    Ok(piece)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(base: &str) -> Client {
        Client { http: http().unwrap(), base: base_of(base).unwrap(), key: HeaderValue::from_static("key") }
    }

    #[test]
    fn addresses_keep_a_prefix_and_every_name_one_name() {
        let here = client("http://127.0.0.1:8080/");
        let path = WorkspacePath::parse("a b/ü?#%2f").unwrap();
        let rows = [
            (here.address(&["agents", "a/../b?c"]), "http://127.0.0.1:8080/v1beta/agents/a%2F..%2Fb%3Fc"),
            (
                here.file_address("e", &path),
                "http://127.0.0.1:8080/v1beta/environments/e/files/a%20b/%C3%BC%3F%23%252f",
            ),
            (here.file_address("e", &WorkspacePath::default()), "http://127.0.0.1:8080/v1beta/environments/e/files/"),
            (client("https://host/behind").address(&["agents"]), "https://host/behind/v1beta/agents"),
        ];
        for (address, expected) in rows {
            assert_eq!(address.as_str(), expected);
        }
    }

    #[test]
    fn an_upload_goes_to_the_server_that_was_asked() {
        let headers = HeaderMap::from_iter([(
            "x-goog-upload-url".parse().unwrap(),
            HeaderValue::from_static("http://elsewhere:1/upload/v1beta/content?upload_id=x"),
        )]);
        let address = client("http://127.0.0.1:8080").upload_address(&headers).unwrap();
        assert_eq!(address.as_str(), "http://127.0.0.1:8080/upload/v1beta/content?upload_id=x");
    }

    #[test]
    fn the_first_key_is_told_to_this_machine_alone() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("bootstrap-key"), "secret\n").unwrap();
        let rows = [
            ("http://127.0.0.1:1", true),
            ("http://localhost:1", true),
            ("http://[::1]:1", true),
            ("http://127.0.0.1.example.org", false),
            ("https://example.org", false),
            ("http://192.168.0.2:8080", false),
        ];
        for (base, is_told) in rows {
            let told = first_key(&base_of(base).unwrap(), Some(folder.path().to_owned()));
            assert_eq!(told.is_ok(), is_told, "{base}");
        }
    }

    #[test]
    fn an_address_that_is_none_of_a_server_is_refused() {
        for text in ["127.0.0.1:8080", "file:///etc", "http://a:b@host", "http://host/?q", "http://host/#f", "http://"]
        {
            assert!(base_of(text).is_none(), "{text}");
        }
    }
}
