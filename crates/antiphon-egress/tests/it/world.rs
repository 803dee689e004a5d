//! A public internet of two servers, names for it, and a passage to it.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use antiphon_egress::{CertificateDer, Egress, EgressLimits, EgressOptions, Passage, Roots, Secrets};
use antiphon_engine::ProjectId;
use antiphon_fetch::{Answer, Lookup};
use antiphon_wire::{AllowedHost, CredentialId, Domain};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::client::TlsStream;
use tokio_rustls::{TlsAcceptor, TlsConnector};

pub(crate) const PUBLIC: &str = "93.184.216.34";

/// What the servers have seen.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    /// Heads of requests, as they came, with the bodies that had a length.
    pub(crate) requests: Mutex<Vec<String>>,
    /// Of what came by TLS, before anything was read.
    pub(crate) tls_bytes: AtomicUsize,
    pub(crate) connections: AtomicUsize,
    /// Where something was dialled.
    pub(crate) dialed: Mutex<Vec<SocketAddr>>,
    now: AtomicUsize,
    pub(crate) most_at_once: AtomicUsize,
}

/// Answers each name in turn with the next of its lists, and the last one from then on.
#[derive(Debug, Default)]
pub(crate) struct Names {
    pub(crate) known: Mutex<BTreeMap<String, Vec<Vec<IpAddr>>>>,
    pub(crate) asked: Mutex<Vec<String>>,
}

impl Lookup for Names {
    fn addresses(&self, name: &str) -> Answer {
        self.asked.lock().unwrap().push(name.to_owned());
        let mut known = self.known.lock().unwrap();
        let found = match known.get_mut(name) {
            None => Err(io::ErrorKind::NotFound.into()),
            Some(lists) if lists.len() > 1 => Ok(lists.remove(0)),
            Some(lists) => Ok(lists[0].clone()),
        };
        Box::pin(async move { found })
    }
}

pub(crate) struct World {
    pub(crate) seen: Arc<Seen>,
    pub(crate) names: Arc<Names>,
    pub(crate) passage: Passage,
    proxy: SocketAddr,
    root: CertificateDer<'static>,
    _tasks: JoinSet<()>,
}

#[derive(Default)]
pub(crate) struct Wanted {
    pub(crate) allowed: Vec<AllowedHost>,
    pub(crate) limits: EgressLimits,
    pub(crate) secrets: Option<Arc<dyn Secrets>>,
    pub(crate) placeholders: BTreeMap<String, CredentialId>,
    /// Places that are dialled whatever the name.
    pub(crate) rewrites: Vec<(&'static str, u16)>,
}

pub(crate) fn allowed(domain: &str) -> AllowedHost {
    AllowedHost::new(Domain::parse(domain).unwrap())
}

pub(crate) fn with_header(domain: &str, name: &str, value: &str) -> AllowedHost {
    let mut allowed = allowed(domain);
    allowed.transform.insert(name.to_owned(), value.to_owned());
    allowed
}

impl World {
    pub(crate) async fn of(domains: &[&str]) -> Self {
        Self::new(Wanted { allowed: domains.iter().map(|domain| allowed(domain)).collect(), ..Wanted::default() }).await
    }

    pub(crate) async fn new(wanted: Wanted) -> Self {
        let seen = Arc::new(Seen::default());
        let (config, root) = host_tls();
        let mut tasks = JoinSet::new();
        let plain = server(&mut tasks, &seen, None).await;
        let secure = server(&mut tasks, &seen, Some(config)).await;
        let names = Arc::new(Names::default());
        for name in ["a.test", "b.test", "x.a.test", "y.x.a.test", "ax.test", "evil.test", "xn--bcher-kva.test"] {
            names.known.lock().unwrap().insert(name.to_owned(), vec![vec![PUBLIC.parse().unwrap()]]);
        }
        let noting = Arc::clone(&seen);
        let dialed = move |checked: SocketAddr| {
            noting.dialed.lock().unwrap().push(checked);
            if checked.port() == 443 { secure } else { plain }
        };
        let place = |port| if port == 443 { secure } else { plain };
        let rewrites = wanted.rewrites.into_iter();
        let rewrites = rewrites.map(|(name, port)| ((antiphon_wire::Host::parse(name).unwrap(), port), place(port)));
        let egress = Egress::new(EgressOptions {
            lookup: Arc::<Names>::clone(&names),
            networks: Vec::new(),
            rewrites: rewrites.collect(),
            roots: Roots::Only(vec![root.clone()]),
            trusted: Vec::new(),
            secrets: wanted.secrets,
            limits: wanted.limits,
            dialed: Some(Arc::new(dialed)),
        })
        .unwrap();
        let passage = egress.open(ProjectId(7), wanted.allowed, wanted.placeholders).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let proxy = listener.local_addr().unwrap();
        let serving = passage.clone();
        tasks.spawn(async move { serving.serve(listener).await });
        Self { seen, names, passage, proxy, root, _tasks: tasks }
    }

    pub(crate) async fn new_with(allowed: AllowedHost) -> Self {
        Self::new(Wanted { allowed: vec![allowed], ..Wanted::default() }).await
    }

    pub(crate) fn root_bytes(&self) -> Vec<u8> {
        self.root.to_vec()
    }

    pub(crate) async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.proxy).await.unwrap()
    }

    /// Everything that comes back for these bytes.
    pub(crate) async fn ask(&self, bytes: &str) -> String {
        let mut stream = self.connect().await;
        stream.write_all(bytes.as_bytes()).await.unwrap();
        rest(&mut stream).await
    }

    /// A request for an address, as clients send it to a proxy.
    pub(crate) async fn get(&self, host: &str) -> String {
        self.ask(&format!("GET http://{host}/ HTTP/1.1\r\nHost: {host}\r\n\r\n")).await
    }

    /// A tunnel, or what was said instead.
    pub(crate) async fn tunnel(&self, to: &str) -> Result<TcpStream, String> {
        let mut stream = self.connect().await;
        stream.write_all(format!("CONNECT {to} HTTP/1.1\r\nHost: {to}\r\n\r\n").as_bytes()).await.unwrap();
        let head = head(&mut stream).await;
        if head.starts_with("HTTP/1.1 200 ") { Ok(stream) } else { Err(head + &rest(&mut stream).await) }
    }

    /// TLS with a host behind a tunnel: by the host's own certificate, or by that of the passage.
    pub(crate) async fn secure(&self, to: &str, name: &str) -> io::Result<TlsStream<TcpStream>> {
        let root = match self.passage.certificate() {
            None => self.root.clone(),
            Some(pem) => CertificateDer::from_pem_slice(pem.as_bytes()).unwrap(),
        };
        let tunnel = self.tunnel(to).await.map_err(io::Error::other)?;
        TlsConnector::from(Arc::new(client_tls(root))).connect(server_name(name), tunnel).await
    }

    /// What comes back for these bytes by TLS.
    pub(crate) async fn ask_securely(&self, host: &str, bytes: &str) -> String {
        let mut stream = self.secure(&format!("{host}:443"), host).await.unwrap();
        stream.write_all(bytes.as_bytes()).await.unwrap();
        rest(&mut stream).await
    }

    pub(crate) fn requests(&self) -> Vec<String> {
        self.seen.requests.lock().unwrap().clone()
    }
}

pub(crate) fn client_tls(root: CertificateDer<'static>) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    roots.add(root).unwrap();
    ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth()
}

pub(crate) fn server_name(name: &str) -> ServerName<'static> {
    name.to_owned().try_into().unwrap()
}

/// What a host of the public internet has, and who vouches for it.
fn host_tls() -> (ServerConfig, CertificateDer<'static>) {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().unwrap();
    let root = params.self_signed(&key).unwrap();
    let issuer = Issuer::new(params, key);
    let key = KeyPair::generate().unwrap();
    let names = ["a.test", "b.test", "x.a.test"].map(str::to_owned);
    let certificate = CertificateParams::new(names).unwrap().signed_by(&key, &issuer).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], PrivateKeyDer::Pkcs8(key.serialize_der().into()))
        .unwrap();
    (config, root.der().clone())
}

async fn server(tasks: &mut JoinSet<()>, seen: &Arc<Seen>, tls: Option<ServerConfig>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let acceptor = tls.map(|config| TlsAcceptor::from(Arc::new(config)));
    let seen = Arc::clone(seen);
    tasks.spawn(async move {
        let mut connections = JoinSet::new();
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let (seen, acceptor) = (Arc::clone(&seen), acceptor.clone());
            connections.spawn(async move {
                seen.connections.fetch_add(1, Ordering::SeqCst);
                match acceptor {
                    None => host(&seen, stream).await,
                    Some(acceptor) => {
                        seen.tls_bytes.fetch_add(stream.peek(&mut [0; 1]).await.unwrap_or(0), Ordering::SeqCst);
                        if let Ok(stream) = acceptor.accept(stream).await {
                            host(&seen, stream).await;
                        }
                    }
                }
            });
        }
    });
    address
}

/// Answers one request with what it was.
async fn host(seen: &Seen, mut stream: impl AsyncRead + AsyncWrite + Unpin) {
    let mut request = head(&mut stream).await;
    let lower = request.to_ascii_lowercase();
    if let Some(length) = lower.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok()) {
        let mut body = vec![0; length];
        stream.read_exact(&mut body).await.unwrap();
        request.push_str(&String::from_utf8(body).unwrap());
    }
    seen.requests.lock().unwrap().push(request.clone());
    let now = seen.now.fetch_add(1, Ordering::SeqCst) + 1;
    seen.most_at_once.fetch_max(now, Ordering::SeqCst);
    let answer = if request.contains(" /elsewhere ") {
        "HTTP/1.1 302 Found\r\nLocation: http://evil.test/\r\nContent-Length: 0\r\n\r\n".to_owned()
    } else if request.contains(" /large ") {
        format!("HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n{}", "x".repeat(1_000_000))
    } else {
        format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{request}", request.len())
    };
    if request.contains(" /slow ") {
        // Until whoever else may come has come.
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
    }
    seen.now.fetch_sub(1, Ordering::SeqCst);
    let _ = stream.write_all(answer.as_bytes()).await;
    let _ = stream.shutdown().await;
}

pub(crate) async fn head(stream: &mut (impl AsyncRead + Unpin)) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(_) => break,
        }
    }
    String::from_utf8(head).unwrap()
}

pub(crate) async fn rest(stream: &mut (impl AsyncRead + Unpin)) -> String {
    let mut rest = Vec::new();
    // It may be broken off; what came until then counts.
    let _ = stream.read_to_end(&mut rest).await;
    String::from_utf8_lossy(&rest).into_owned()
}
