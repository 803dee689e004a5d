//! A server of repositories on loopback, under names of a public internet: `git` behind TLS, and
//! places where it does what no good server does.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};

use antiphon_egress::{CertificateDer, Egress, EgressLimits, EgressOptions, Roots, Secrets};
use antiphon_fetch::{Answer, Lookup};
use antiphon_wire::Host;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

/// What opens the private repositories.
pub(crate) const SECRET: &str = "Bearer planted-secret-0123456789";

/// `git.test`, which is there; `inner.test` is in a private network, and every other name is nowhere.
pub(crate) struct GitServer {
    folder: tempfile::TempDir,
    /// Requests: their first lines, and `+secret` where it came along.
    pub(crate) seen: Arc<Mutex<Vec<String>>>,
    /// A word for each connection that is never answered, when it comes and when it goes.
    pub(crate) silent: mpsc::UnboundedReceiver<&'static str>,
    address: SocketAddr,
    root: CertificateDer<'static>,
    root_pem: String,
    _tasks: JoinSet<()>,
}

struct Names;

impl Lookup for Names {
    fn addresses(&self, name: &str) -> Answer {
        let found: io::Result<Vec<IpAddr>> = match name {
            "inner.test" => Ok(vec!["10.0.0.1".parse().unwrap()]),
            _ => Err(io::ErrorKind::NotFound.into()),
        };
        Box::pin(async { found })
    }
}

impl GitServer {
    pub(crate) async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (config, root, root_pem) = tls();
        let (seen, (words, silent)) = (Arc::new(Mutex::new(Vec::new())), mpsc::unbounded_channel());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let mut tasks = JoinSet::new();
        let host = ServedFrom { folder: folder.path().to_owned(), seen: Arc::clone(&seen), silent: words };
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let (host, acceptor) = (host.clone(), acceptor.clone());
                connections.spawn(async move {
                    if let Ok(stream) = acceptor.accept(stream).await {
                        host.answer(stream).await;
                    }
                });
            }
        });
        Self { folder, seen, silent, address, root, root_pem, _tasks: tasks }
    }

    /// The way out that leads here, with what programs have no more than placeholders of.
    pub(crate) fn egress(&self, secrets: Option<Arc<dyn Secrets>>) -> Egress {
        let options = EgressOptions {
            lookup: Arc::new(Names),
            networks: Vec::new(),
            rewrites: BTreeMap::from([((Host::parse("git.test").unwrap(), 443), self.address)]),
            roots: Roots::Only(vec![self.root.clone()]),
            trusted: self.root_pem.clone().into_bytes(),
            secrets,
            limits: EgressLimits::default(),
            dialed: None,
        };
        Egress::new(options).unwrap()
    }

    /// Begins a repository; `private` in its name closes it to whoever does not have the secret.
    pub(crate) fn repository(&self, name: &str) -> Repository {
        let repository = Repository { folder: self.folder.path().join(name) };
        fs::create_dir(&repository.folder).unwrap();
        repository.git(&["init", "--quiet", "--initial-branch=main"], "");
        repository
    }

    pub(crate) fn requests(&self) -> Vec<String> {
        self.seen.lock().unwrap().clone()
    }
}

/// A repository as its owner has it.
pub(crate) struct Repository {
    folder: PathBuf,
}

impl Repository {
    pub(crate) fn write(&self, path: &str, content: impl AsRef<[u8]>) -> &Self {
        let path = self.folder.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
        self
    }

    pub(crate) fn link(&self, path: &str, target: &str) -> &Self {
        symlink(target, self.folder.join(path)).unwrap();
        self
    }

    /// What is there now.
    pub(crate) fn commit(&self, message: &str) -> &Self {
        self.git(&["add", "--all", "--force"], "");
        self.git(&["commit", "--quiet", "--message", message], "");
        self
    }

    /// An entry of the next commit that no usual program would make: its mode, kind, object and path.
    pub(crate) fn commit_tree(&self, tree: &str) {
        let commit = self.git(&["commit-tree", "-m", "made by hand", tree], "");
        self.git(&["update-ref", "refs/heads/main", &commit], "");
    }

    pub(crate) fn git(&self, arguments: &[&str], input: &str) -> String {
        let mut command = Command::new("git");
        command.arg("-C").arg(&self.folder).args(["-c", "protocol.file.allow=always"]).args(arguments);
        for (name, value) in [("GIT_CONFIG_GLOBAL", "/dev/null"), ("GIT_CONFIG_NOSYSTEM", "1")] {
            command.env(name, value);
        }
        for who in ["AUTHOR", "COMMITTER"] {
            command.env(format!("GIT_{who}_NAME"), "Heron").env(format!("GIT_{who}_EMAIL"), "heron@birds.test");
        }
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        io::Write::write_all(&mut child.stdin.take().unwrap(), input.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "git {arguments:?}");
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }
}

#[derive(Clone)]
struct ServedFrom {
    folder: PathBuf,
    seen: Arc<Mutex<Vec<String>>>,
    silent: mpsc::UnboundedSender<&'static str>,
}

impl ServedFrom {
    /// One request.
    async fn answer(&self, mut stream: impl AsyncRead + AsyncWrite + Unpin) {
        let Some(request) = Request::read(&mut stream).await else { return };
        let has_secret = request.header("authorization") == Some(SECRET);
        let seen = format!("{} {}{}", request.method, request.path, if has_secret { " +secret" } else { "" });
        self.seen.lock().unwrap().push(seen);
        let answer = match request.path.split('/').nth(1).unwrap_or_default() {
            "silent" => {
                let _ = self.silent.send("came");
                // Until the other side goes.
                let _ = stream.read(&mut [0; 1]).await;
                let _ = self.silent.send("went");
                return;
            }
            "away" => moved("https://inner.test/heron/info/refs?service=git-upload-pack"),
            "down" => moved("http://git.test/heron/info/refs?service=git-upload-pack"),
            "file" => moved("file:///etc/passwd"),
            "noise" => b"HTTP/1.1 200 OK\r\nContent-Type: application/x-git-upload-pack-advertisement\r\n\
                         Content-Length: 12\r\n\r\n001e# servic\x1b"
                .to_vec(),
            name if name.contains("private") && !has_secret => {
                b"HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic realm=\"birds\"\r\nContent-Length: 0\r\n\r\n"
                    .to_vec()
            }
            _ => self.git(&request).await,
        };
        let _ = stream.write_all(&answer).await;
        let _ = stream.shutdown().await;
    }

    /// What `git` itself answers, as a web server asks it (CGI).
    async fn git(&self, request: &Request) -> Vec<u8> {
        let mut command = tokio::process::Command::new("git");
        let header = |name: &str| request.header(name).unwrap_or_default().to_owned();
        command
            .arg("http-backend")
            .env("GIT_PROJECT_ROOT", &self.folder)
            .env("GIT_HTTP_EXPORT_ALL", "1")
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("REQUEST_METHOD", &request.method)
            .env("PATH_INFO", &request.path)
            .env("QUERY_STRING", &request.query)
            .env("CONTENT_TYPE", header("content-type"))
            .env("HTTP_CONTENT_ENCODING", header("content-encoding"))
            .env("HTTP_GIT_PROTOCOL", header("git-protocol"))
            .env("CONTENT_LENGTH", request.body.len().to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        let mut input = child.stdin.take().unwrap();
        let (written, output) = tokio::join!(
            async {
                let written = input.write_all(&request.body).await;
                drop(input);
                written
            },
            child.wait_with_output()
        );
        let _ = written;
        let output = output.unwrap().stdout;
        let at = output.windows(4).position(|end| end == b"\r\n\r\n").unwrap();
        let head = String::from_utf8(output[..at].to_vec()).unwrap();
        let status = head.lines().find_map(|line| line.strip_prefix("Status: ")).unwrap_or("200 OK");
        let length = output.len() - at - 4;
        let mut answer = format!("HTTP/1.1 {status}\r\n{head}\r\nContent-Length: {length}\r\n\r\n").into_bytes();
        answer.extend_from_slice(&output[at + 4..]);
        answer
    }
}

fn moved(to: &str) -> Vec<u8> {
    format!("HTTP/1.1 302 Found\r\nLocation: {to}\r\nContent-Length: 0\r\n\r\n").into_bytes()
}

struct Request {
    method: String,
    path: String,
    query: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Request {
    async fn read(stream: &mut (impl AsyncRead + Unpin)) -> Option<Self> {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await.ok()?);
        }
        let head = String::from_utf8(head).ok()?;
        let mut lines = head.lines();
        let mut words = lines.next()?.split(' ');
        let (method, target) = (words.next()?.to_owned(), words.next()?);
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let header = |line: &str| line.split_once(": ").map(|(name, value)| (name.to_lowercase(), value.to_owned()));
        let headers = lines.filter_map(header).collect();
        let mut request = Self { method, path: path.to_owned(), query: query.to_owned(), headers, body: Vec::new() };
        let length = request.header("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
        request.body = vec![0; length];
        stream.read_exact(&mut request.body).await.ok()?;
        Some(request)
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(header, _)| header == name).map(|(_, value)| value.as_str())
    }
}

fn tls() -> (ServerConfig, CertificateDer<'static>, String) {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().unwrap();
    let root = params.self_signed(&key).unwrap();
    let issuer = Issuer::new(params, key);
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(["git.test".to_owned()]).unwrap().signed_by(&key, &issuer).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], PrivateKeyDer::Pkcs8(key.serialize_der().into()))
        .unwrap();
    (config, root.der().clone(), root.pem())
}

/// Whether any file below a folder holds these words.
pub(crate) fn is_held(folder: &Path, words: &str) -> bool {
    fs::read_dir(folder).unwrap().any(|entry| {
        let entry = entry.unwrap();
        let kind = entry.file_type().unwrap();
        let holds = |path: &Path| {
            let bytes = fs::read(path).unwrap();
            bytes.windows(words.len()).any(|found| found == words.as_bytes())
        };
        kind.is_dir() && is_held(&entry.path(), words) || kind.is_file() && holds(&entry.path())
    })
}
