//! A program that has a network: it reaches what listens at its one port, and nothing else.

use std::collections::BTreeMap;
use std::io;
use std::net::{SocketAddr, TcpListener as Canary};
use std::sync::Arc;

use antiphon_egress::{Egress, EgressLimits, EgressOptions, Passage, Roots};
use antiphon_engine::ProjectId;
use antiphon_fetch::{Answer, Lookup};
use antiphon_sandbox::{End, Finished, Frame, Language, Limits, Network, Program, Reason, Tier};
use antiphon_wire::{AllowedHost, Domain, Host};
use pretty_assertions::assert_eq;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use crate::cases::Case;
use crate::ground::Ground;

pub(crate) const CASES: &[Case] = &[
    ("a_network_is_one_port_that_somebody_outside_listens_at", one_port),
    ("e13_the_way_out_of_a_sandbox_gives_the_verdicts_of_the_proxy", verdicts),
    ("without_a_network_there_is_no_port_and_no_word_of_one", without),
];

struct Nobody;

impl Lookup for Nobody {
    fn addresses(&self, _: &str) -> Answer {
        Box::pin(async { Err(io::ErrorKind::NotFound.into()) })
    }
}

/// A passage to a server of the test's, under two names.
fn passage(to: SocketAddr, allowed: Vec<AllowedHost>) -> Passage {
    let place = |name: &str, port| (Host::parse(name).unwrap(), port);
    let closed = SocketAddr::from(([127, 0, 0, 1], 1));
    let rewrites =
        BTreeMap::from([(place("a.test", 80), to), (place("evil.test", 80), to), (place("b.test", 443), closed)]);
    let options = EgressOptions {
        lookup: Arc::new(Nobody),
        networks: Vec::new(),
        rewrites,
        roots: Roots::Only(Vec::new()),
        trusted: Vec::new(),
        secrets: None,
        limits: EgressLimits::default(),
        dialed: None,
    };
    Egress::new(options).unwrap().open(ProjectId(1), allowed, BTreeMap::default()).unwrap()
}

/// Runs a program whose connections a passage takes, and gives what it wrote.
async fn run(ground: &Ground, passage: &Passage, source: &str) -> (String, Finished) {
    let (network, mut listeners) = Network::new(passage.trusted());
    let program = Program::new(Language::Python, source).unwrap().network(network);
    let mut running = ground.sandbox.run(program, Limits::default()).unwrap();
    let serving = async {
        let listener = listeners.recv().await.unwrap();
        passage.serve(TcpListener::from_std(listener).unwrap()).await;
    };
    let mut written = String::new();
    let reading = async {
        while let Some(frame) = running.next().await {
            if let Frame::Output { text, .. } = frame {
                written.push_str(&text);
            }
        }
    };
    tokio::select! {
        () = serving => panic!("the proxy has ended"),
        () = reading => {}
    }
    (written, running.finish().await)
}

fn block_on<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

/// Elsewhere than in tier 1 a program with a network is not run, and it is said why.
fn is_refused(ground: &Ground) -> bool {
    assert_eq!(ground.sandbox.has_networks(), ground.tier == Tier::Bwrap);
    if ground.sandbox.has_networks() {
        return false;
    }
    let (network, _listeners) = Network::new(Vec::new());
    let program = Program::new(Language::Bash, "echo it runs").unwrap().network(network);
    let outcome = ground.run(program, Limits::default());
    assert_eq!(outcome.exit.reason, Reason::Failed(format!("in {} programs have no network", ground.tier)));
    assert_eq!(outcome.stdout, "");
    true
}

fn one_port(ground: &Ground) {
    if is_refused(ground) {
        return;
    }
    let canary = Canary::bind("127.0.0.1:0").unwrap();
    canary.set_nonblocking(true).unwrap();
    let port = canary.local_addr().unwrap().port();
    let source = format!(
        r#"
import os, socket, urllib.parse
place = urllib.parse.urlsplit(os.environ["HTTP_PROXY"])
assert os.environ["https_proxy"] == os.environ["HTTP_PROXY"] and "127.0.0.1" in os.environ["NO_PROXY"]
stream = socket.create_connection((place.hostname, place.port))
stream.sendall(b"hello from inside\n")
print(stream.makefile().readline().strip(), flush=True)
for port in [{port}, place.port + 1, 80, 443]:
    try:
        socket.create_connection(("127.0.0.1", port)).close()
        print("reached", port)
    except OSError:
        pass
try:
    other = socket.socket()
    other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    other.bind((place.hostname, place.port))
    print("the port can be taken")
except OSError:
    pass
print(open(os.environ["SSL_CERT_FILE"]).read().strip())
try:
    open(os.environ["SSL_CERT_FILE"], "w")
    print("the certificates can be written")
except OSError:
    print("end")
"#
    );
    block_on(async {
        let (network, mut listeners) = Network::new(b"certificates".to_vec());
        let program = Program::new(Language::Python, source).unwrap().network(network);
        let running = ground.sandbox.run(program, Limits::default()).unwrap();
        let listener = TcpListener::from_std(listeners.recv().await.unwrap()).unwrap();
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut said = [0; 18];
        stream.read_exact(&mut said).await.unwrap();
        assert_eq!(&said, b"hello from inside\n");
        stream.write_all(b"hello from outside\n").await.unwrap();
        let outcome = tokio::task::spawn_blocking(move || crate::ground::outcome(running)).await.unwrap();
        assert_eq!(outcome.stdout, "hello from outside\ncertificates\nend\n", "{outcome:?}");
        assert_eq!(canary.accept().map(|_| ()).map_err(|error| error.kind()), Err(io::ErrorKind::WouldBlock));
    });
}

fn verdicts(ground: &Ground) {
    if is_refused(ground) {
        return;
    }
    let source = r#"
import urllib.error, urllib.request
def ask(url):
    try:
        print(urllib.request.urlopen(url, timeout=20).read().decode().strip())
    except urllib.error.HTTPError as error:
        print(error.code, error.reason)
    except urllib.error.URLError as error:
        print(error.reason)
ask("http://a.test/")
ask("http://evil.test/")
ask("https://evil.test/")
ask("http://127.0.0.2/")
ask("http://a.test:8080/")
ask("https://b.test/")
"#;
    block_on(async {
        let server = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut b = AllowedHost::new(Domain::parse("b.test").unwrap());
        b.transform.insert("x-key".to_owned(), "secret".to_owned());
        let a = AllowedHost::new(Domain::parse("a.test").unwrap());
        let passage = passage(server.local_addr().unwrap(), vec![a, b]);
        let answering = async {
            loop {
                let (mut stream, _) = server.accept().await.unwrap();
                let mut head = vec![0; 4096];
                let length = stream.read(&mut head).await.unwrap();
                assert!(head[..length].starts_with(b"GET / HTTP/1.1\r\n"), "{head:?}");
                stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nheron").await.unwrap();
            }
        };
        let (written, finished) = tokio::select! {
            () = answering => unreachable!(),
            ran = run(ground, &passage, source) => ran,
        };
        let not_listed = "403 `evil.test` is not allowed: the environment's `network.allowlist` does not name it";
        let expected = [
            "heron",
            not_listed,
            &format!("Tunnel connection failed: {not_listed}"),
            "403 the host is not allowed: the environment's `network.allowlist` allows names of hosts, and no addresses",
            "403 port 8080 is not allowed: an environment's `network` has port 80 for http and 443 for https",
            // Its TLS ended at the proxy, whose certificate the program trusts; behind it nobody answers.
            "502 `b.test` cannot be reached",
        ];
        assert_eq!(written.lines().collect::<Vec<_>>(), expected);
        assert_eq!((&finished.exit().reason, finished.exit().end), (&Reason::Exited, End::Code(0)));
        assert!(passage.refused().iter().any(|words| words.contains("`evil.test`")));
    });
}

fn without(ground: &Ground) {
    let source = "
import os, socket
print([name for name in os.environ if 'proxy' in name.lower() or 'CERT' in name])
try:
    socket.create_connection(('127.0.0.1', 3128))
    print('reached')
except OSError:
    print('nothing there')
print(os.path.exists('/etc/ssl'))
";
    let outcome = ground.run(Program::new(Language::Python, source).unwrap(), Limits::default());
    assert!(outcome.stdout.starts_with("[]\nnothing there\n"), "{outcome:?}");
    if ground.has_view() {
        assert_eq!(outcome.stdout, "[]\nnothing there\nFalse\n");
    }
}
