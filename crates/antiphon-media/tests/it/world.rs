//! Files in a folder, and one host that a rewrite leads to.

use std::sync::Arc;
use std::time::Duration;

use antiphon_documents::Reader;
use antiphon_documents::confined::Program;
use antiphon_engine::{Ambient, MediaKind, Medium, ProjectId};
use antiphon_environments::{EnvironmentLimits, Environments, EnvironmentsOptions, NetworkPolicy};
use antiphon_fetch::{FetchOptions, Fetcher, Limits, Lookup, Rewrite, SystemLookup};
use antiphon_files::{Begun, FileLimits, Files, FilesOptions, Received, Target};
use antiphon_media::{Means, Senses, SensesOptions};
use antiphon_sight::Checker;
use antiphon_testkit::FixedAmbient;
use antiphon_wire::{CreateFile, MediaOptions};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

pub(crate) const PROJECT: ProjectId = ProjectId(1);

/// What the host sends at most to those who ask here.
pub(crate) const MOST_BYTES: usize = 10_000;

pub(crate) struct World {
    pub(crate) senses: Senses,
    pub(crate) files: Files,
    _folder: TempDir,
}

impl World {
    pub(crate) async fn new() -> Self {
        Self::with(SensesOptions::default()).await
    }

    pub(crate) async fn with(options: SensesOptions) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let ambient: Arc<dyn Ambient> = Arc::new(FixedAmbient::default());
        let environments = Environments::open(EnvironmentsOptions {
            folder: folder.path().join("environments"),
            workspaces: folder.path().join("workspaces"),
            limits: EnvironmentLimits::default(),
            network: NetworkPolicy::default(),
            has_own_roots: true,
            repositories: None,
            ambient: Arc::clone(&ambient),
        });
        let environments = environments.await.unwrap();
        let place = folder.path().join("files");
        let files = FilesOptions { folder: place, store: None, limits: FileLimits::default(), ambient, environments };
        let files = Files::open(files).await.unwrap();
        let lookup: Arc<dyn Lookup> = Arc::new(SystemLookup);
        let host = format!("http://127.0.0.1:{}/", host().await);
        let fetch = FetchOptions {
            rewrites: vec![
                Rewrite::new("https://media.example/", &host).unwrap(),
                Rewrite::new("http://media.example/", &host).unwrap(),
            ],
            limits: Limits { bytes: MOST_BYTES, ..Limits::default() },
            ..FetchOptions::default()
        };
        let fetcher = Fetcher::new(fetch, &lookup).unwrap();
        let pictures = Checker { program: "/nowhere".into() };
        let means = Means { documents: reader(), pictures, eyes: None, ears: None, decoder: None };
        Self { senses: Senses::new(options, means, fetcher, files.clone()), files, _folder: folder }
    }

    /// Keeps a file of a project; the answer is its name.
    pub(crate) async fn keep(&self, project: ProjectId, mime_type: &str, bytes: &[u8]) -> String {
        let request = CreateFile::read(json!({"file": {"mimeType": mime_type}})).unwrap();
        let upload = self.files.begin_upload(project, Target::File(request), Begun::default()).await.unwrap();
        match self.files.receive(&upload, 0, bytes.to_vec(), true, "http://box/v1beta/").await.unwrap() {
            Received::File(file) => file.name,
            other => panic!("expected a file, got {other:?}"),
        }
    }
}

/// The example of this package that Cargo builds beside the tests.
fn reader() -> Reader {
    let test = std::env::current_exe().unwrap();
    let executable = test.parent().unwrap().parent().unwrap().join("examples/antiphon-media-reader");
    // A machine that is busy with other tests is slow.
    Reader::new(Program { executable, arguments: Vec::new() }).within(Duration::from_secs(60))
}

/// A host that sends `/words.txt`, one file without a type, and things that nobody wants.
async fn host() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    #[expect(clippy::disallowed_methods, reason = "it ends with the test's runtime")]
    tokio::spawn(async move {
        while let Ok((mut connection, _)) = listener.accept().await {
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") && connection.read_buf(&mut head).await.is_ok_and(|read| read > 0) {}
            let head = String::from_utf8_lossy(&head).into_owned();
            let (status, more, body) = match head.split(' ').nth(1).unwrap_or_default() {
                "/words.txt" => (200, "content-type: text/plain; charset=iso-8859-1\r\n", b"S\xe3o".to_vec()),
                "/untyped" => (200, "", b"just words".to_vec()),
                "/large" => (200, "content-type: text/plain\r\n", vec![b'x'; MOST_BYTES + 1]),
                "/lying" => (200, "content-type: image/png\r\n", b"<html>".to_vec()),
                "/inward" => (302, "location: http://127.0.0.1:1/\r\n", Vec::new()),
                "/around" => (302, "location: /around\r\n", Vec::new()),
                _ => (404, "", Vec::new()),
            };
            let head =
                format!("HTTP/1.1 {status} X\r\nconnection: close\r\ncontent-length: {}\r\n{more}\r\n", body.len());
            // The client may leave at any time.
            let _ = connection.write_all(&[head.as_bytes(), &body].concat()).await;
            let _ = connection.shutdown().await;
        }
    });
    port
}

pub(crate) fn medium(kind: MediaKind, mime_type: &str, bytes: &[u8]) -> Medium {
    Medium {
        project: PROJECT,
        kind,
        data: STANDARD.encode(bytes).into(),
        mime_type: mime_type.to_owned(),
        options: MediaOptions::default(),
    }
}

/// As [`medium`], of a document with these `processing` options.
pub(crate) fn processed(mime_type: &str, bytes: &[u8], mut processing: Value) -> Medium {
    processing["type"] = json!("static");
    let options: MediaOptions = serde_json::from_value(json!({ "processing": processing })).unwrap();
    Medium { options, ..medium(MediaKind::Document, mime_type, bytes) }
}
