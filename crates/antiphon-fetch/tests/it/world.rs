//! A small internet: names and their addresses as a test says, and hosts on the loopback that
//! every public address leads to. The policy stands before that, and is under test.

use std::collections::{BTreeMap, HashMap};
use std::future::ready;
use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use antiphon_fetch::{Answer, FetchError, FetchOptions, Fetched, Fetcher, Lookup, Opening, Purpose};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

pub(crate) const PUBLIC: &str = "93.184.215.14";

pub(crate) const PURPOSES: [Purpose; 5] =
    [Purpose::Page, Purpose::Media, Purpose::Mcp, Purpose::Webhook, Purpose::Token];

/// What a host does with a connection, in turn; after the last it closes.
#[derive(Debug, Clone)]
pub(crate) enum Does {
    Sends(Vec<u8>),
    /// Sends it again and again until the client leaves.
    Repeats(Vec<u8>),
    /// Says nothing until the client leaves.
    Hangs,
    /// Waits for all others that wait here.
    Meets(Arc<tokio::sync::Barrier>),
}

pub(crate) fn answers(status: u16, head: &str, body: impl AsRef<[u8]>) -> Vec<Does> {
    let body = body.as_ref();
    let head = format!("HTTP/1.1 {status} X\r\nconnection: close\r\ncontent-length: {}\r\n{head}\r\n", body.len());
    vec![Does::Sends([head.as_bytes(), body].concat())]
}

pub(crate) fn html(body: &str) -> Vec<Does> {
    answers(200, "content-type: text/html\r\n", body)
}

pub(crate) fn leads_to(location: &str) -> Vec<Does> {
    answers(302, &format!("location: {location}\r\n"), "")
}

pub(crate) struct Host {
    pub(crate) port: u16,
    heads: Arc<Mutex<Vec<String>>>,
    at_a_time: Arc<Crowd>,
}

#[derive(Default)]
struct Crowd {
    now: AtomicUsize,
    most: AtomicUsize,
    sent: AtomicUsize,
}

impl Host {
    /// Does what `script` says for the head of each request.
    pub(crate) async fn start(script: impl Fn(&str) -> Vec<Does> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let host = Self { port, heads: Arc::default(), at_a_time: Arc::default() };
        let (heads, crowd, script) = (Arc::clone(&host.heads), Arc::clone(&host.at_a_time), Arc::new(script));
        #[expect(clippy::disallowed_methods, reason = "it ends with the test's runtime")]
        tokio::spawn(async move {
            while let Ok((connection, _)) = listener.accept().await {
                let (heads, crowd, script) = (Arc::clone(&heads), Arc::clone(&crowd), Arc::clone(&script));
                #[expect(clippy::disallowed_methods, reason = "it ends with the test's runtime")]
                tokio::spawn(async move {
                    // The client may leave at any time.
                    let _ = serve(connection, &heads, &crowd, &*script).await;
                });
            }
        });
        host
    }

    /// Serves each path with what stands for it, and 404 elsewhere.
    pub(crate) async fn with(pages: &[(&'static str, Vec<Does>)]) -> Self {
        let pages: HashMap<_, _> = pages.iter().cloned().collect();
        Self::start(move |head| {
            let path = head.split(' ').nth(1).unwrap_or_default();
            pages.get(path).cloned().unwrap_or_else(|| answers(404, "", ""))
        })
        .await
    }

    pub(crate) fn heads(&self) -> Vec<String> {
        self.heads.lock().unwrap().clone()
    }

    /// Request lines so far.
    pub(crate) fn paths(&self) -> Vec<String> {
        self.heads().iter().map(|head| head.split(' ').nth(1).unwrap_or_default().to_owned()).collect()
    }

    /// The most requests that were served together.
    pub(crate) fn most_at_a_time(&self) -> usize {
        self.at_a_time.most.load(Ordering::SeqCst)
    }

    pub(crate) fn bytes_sent(&self) -> usize {
        self.at_a_time.sent.load(Ordering::SeqCst)
    }
}

async fn serve(
    mut connection: TcpStream,
    heads: &Mutex<Vec<String>>,
    crowd: &Crowd,
    script: &(dyn Fn(&str) -> Vec<Does> + Send + Sync),
) -> io::Result<()> {
    let mut received = Vec::new();
    let head = loop {
        if let Some(end) = received.windows(4).position(|window| window == b"\r\n\r\n") {
            break String::from_utf8_lossy(&received[..end]).into_owned();
        }
        if connection.read_buf(&mut received).await? == 0 {
            return Ok(());
        }
    };
    let now = crowd.now.fetch_add(1, Ordering::SeqCst) + 1;
    crowd.most.fetch_max(now, Ordering::SeqCst);
    let script = script(&head);
    heads.lock().unwrap().push(head);
    let done = play(&mut connection, script, crowd).await;
    crowd.now.fetch_sub(1, Ordering::SeqCst);
    connection.shutdown().await?;
    done
}

async fn play(connection: &mut TcpStream, script: Vec<Does>, crowd: &Crowd) -> io::Result<()> {
    for does in script {
        match does {
            Does::Sends(bytes) => {
                connection.write_all(&bytes).await?;
                crowd.sent.fetch_add(bytes.len(), Ordering::SeqCst);
            }
            Does::Repeats(bytes) => loop {
                connection.write_all(&bytes).await?;
                crowd.sent.fetch_add(bytes.len(), Ordering::SeqCst);
            },
            Does::Hangs => {
                let mut rest = Vec::new();
                connection.read_to_end(&mut rest).await?;
            }
            Does::Meets(barrier) => {
                barrier.wait().await;
            }
        }
    }
    Ok(())
}

/// Names, and what is asked of them.
#[derive(Default)]
pub(crate) struct Names {
    /// Answers in turn; the last again and again.
    answers: Mutex<HashMap<String, Vec<Vec<IpAddr>>>>,
    asked: Mutex<Vec<String>>,
    dialled: Mutex<Vec<IpAddr>>,
}

impl Names {
    pub(crate) fn new(names: &[(&str, &[&[&str]])]) -> Arc<Self> {
        let address = |text: &&str| text.parse().unwrap();
        let answers = names
            .iter()
            .map(|(name, answers)| {
                ((*name).to_owned(), answers.iter().map(|answer| answer.iter().map(address).collect()).collect())
            })
            .collect();
        Arc::new(Self { answers: Mutex::new(answers), ..Self::default() })
    }

    pub(crate) fn of(names: impl Iterator<Item = (String, Vec<Vec<IpAddr>>)>) -> Arc<Self> {
        Arc::new(Self { answers: Mutex::new(names.collect()), ..Self::default() })
    }

    pub(crate) fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }

    /// The addresses that connections went to, as far as the policy knows.
    pub(crate) fn dialled(&self) -> Vec<IpAddr> {
        self.dialled.lock().unwrap().clone()
    }
}

impl Lookup for Names {
    fn addresses(&self, name: &str) -> Answer {
        self.asked.lock().unwrap().push(name.to_owned());
        let mut answers = self.answers.lock().unwrap();
        let found = match answers.get_mut(name) {
            Some(turns) if turns.len() > 1 => Ok(turns.remove(0)),
            Some(turns) => Ok(turns.first().cloned().unwrap_or_default()),
            None => Err(io::Error::from(io::ErrorKind::NotFound)),
        };
        Box::pin(ready(found))
    }

    fn dialled(&self, checked: IpAddr) -> IpAddr {
        self.dialled.lock().unwrap().push(checked);
        Ipv4Addr::LOCALHOST.into()
    }
}

/// Nothing but ports is opened, and nobody is asked for manners.
pub(crate) fn options(ports: &[u16]) -> FetchOptions {
    let opening = Opening { networks: Vec::new(), ports: ports.to_vec() };
    let openings: BTreeMap<_, _> = PURPOSES.iter().map(|purpose| (*purpose, opening.clone())).collect();
    FetchOptions { openings, robots: false, ..FetchOptions::default() }
}

pub(crate) fn fetcher(options: FetchOptions, names: &Arc<Names>) -> Fetcher {
    Fetcher::new(options, &(Arc::clone(names) as Arc<dyn Lookup>)).unwrap()
}

/// Fetches from one host, known as `site.com`.
pub(crate) async fn fetch_from(host: &Host, path: &str) -> Result<Fetched, FetchError> {
    let names = Names::new(&[("site.com", &[&[PUBLIC]])]);
    let fetcher = fetcher(options(&[host.port]), &names);
    let allowance = fetcher.allowance("test");
    fetcher.fetch(&format!("http://site.com:{}{path}", host.port), Purpose::Page, &allowance).await
}
