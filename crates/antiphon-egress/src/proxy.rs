//! Connections of programs: one request each, or one tunnel. What is not allowed is answered in
//! words.

use std::convert::Infallible;
use std::future::Future;
use std::io::{self, Cursor};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use antiphon_wire::Host;
use bytes::Bytes;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::ext::ReasonPhrase;
use hyper::header::{CONNECTION, CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::upgrade::OnUpgrade;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, join, split};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tracing::debug;

use crate::egress::Passage;
use crate::forward;
use crate::meter::Metered;
use crate::refusal::Refusal;
use crate::request::{check_head, connected, targeted};
use crate::rules::Way;
use crate::swap;
use crate::tunnel::{self, Tunnel};

pub(crate) type Body = BoxBody<Bytes, hyper::Error>;

/// Of a request's head; twice what usual servers take.
const MOST_HEAD_BYTES: usize = 16 << 10;

/// After an error that is not a connection's own, as when descriptors have run out.
const PAUSE: Duration = Duration::from_millis(100);

pub(crate) async fn serve(passage: &Passage, listener: &TcpListener) {
    let mut connections = JoinSet::new();
    loop {
        let Ok(permit) = Arc::clone(&passage.inner.permits).acquire_owned().await else { return };
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                debug!(%error, "A connection of a program cannot be taken");
                sleep(PAUSE).await;
                continue;
            }
        };
        while connections.try_join_next().is_some() {}
        let passage = passage.clone();
        connections.spawn(async move {
            let _permit = permit;
            // However it ends: the program sees that it has.
            let _ = timeout(passage.inner.shared.limits.connection, connection(&passage, stream)).await;
        });
    }
}

async fn connection(passage: &Passage, stream: TcpStream) {
    let stream = Metered::new(stream, &passage.inner.meter);
    let opened = Mutex::new(None);
    exchange(passage, stream, |request| answer(passage, &opened, request)).await;
    let opened = opened.lock().unwrap_or_else(PoisonError::into_inner).take();
    if let Some(Opened { upgrade, host, tunnel }) = opened
        && let Err(error) = Box::pin(tunnel::run(passage, &host, tunnel, upgrade)).await
    {
        debug!(%error, "A connection of a program has broken off");
    }
}

/// A `CONNECT` that was allowed.
struct Opened {
    upgrade: OnUpgrade,
    host: Host,
    tunnel: Tunnel,
}

async fn answer(
    passage: &Passage,
    opened: &Mutex<Option<Opened>>,
    mut request: Request<Incoming>,
) -> Result<Response<Body>, Refusal> {
    let (rules, dialer) = (passage.rules(), &passage.inner.shared.dialer);
    if request.method() != Method::CONNECT {
        let (host, port) = targeted(request.uri(), request.headers())?;
        rules.judge(Way::Plain, &host, port)?;
        if !swap::swaps(passage, &host).await?.is_empty() {
            return Err(Refusal::Plain { host });
        }
        let addresses = dialer.resolve(&host, port).await?;
        return Ok(forward::unchanged(passage, &host, &addresses, request).await);
    }
    let (host, port) = connected(request.uri())?;
    let changes_requests = rules.judge(Way::Tls, &host, port)?.changes_requests();
    let ends_here = !swap::swaps(passage, &host).await?.is_empty() || changes_requests;
    let addresses = dialer.resolve(&host, port).await?;
    let tunnel = if ends_here {
        Tunnel::Ends(addresses)
    } else {
        match dialer.connect(&addresses).await {
            Ok(stream) => Tunnel::Passes(stream),
            Err(_) => return Ok(unreachable(&host)),
        }
    };
    let upgrade = hyper::upgrade::on(&mut request);
    *opened.lock().unwrap_or_else(PoisonError::into_inner) = Some(Opened { upgrade, host, tunnel });
    Ok(Response::new(Full::default().map_err(|never| match never {}).boxed()))
}

/// Answers the one request of a connection. There is one only, so that its head can be looked at
/// before the HTTP library has decided what of it counts.
pub(crate) async fn exchange<S, F, A>(passage: &Passage, mut stream: S, respond: F)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    F: Fn(Request<Incoming>) -> A,
    A: Future<Output = Result<Response<Body>, Refusal>>,
{
    let limits = &passage.inner.shared.limits;
    let Ok(Ok(head)) = timeout(limits.head, read_head(&mut stream)).await else { return };
    let checked = check_head(&head);
    let service = service_fn(|request| {
        // Neither of the two is run before it is wanted.
        let answer = checked.clone().map(|()| respond(request));
        async move {
            let answer = match answer {
                Ok(answer) => answer.await,
                Err(refusal) => Err(refusal),
            };
            Ok::<_, Infallible>(answer.unwrap_or_else(|refusal| refuse(passage, &refusal)))
        }
    });
    let serving = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.head)
        .max_buf_size(MOST_HEAD_BYTES)
        .serve_connection(TokioIo::new(preceded(head, stream)), service)
        .with_upgrades();
    if let Err(error) = serving.await {
        debug!(%error, "A request of a program has broken off");
    }
}

/// Up to the first empty line, and what came with it.
async fn read_head(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Vec<u8>> {
    let mut head = Vec::new();
    let mut piece = [0; 4096];
    loop {
        let length = stream.read(&mut piece).await?;
        if length == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let seen = head.len().saturating_sub(3);
        head.extend_from_slice(&piece[..length]);
        let news = &head[seen..];
        let ends = news.windows(3).any(|bytes| bytes == b"\n\r\n") || news.windows(2).any(|bytes| bytes == b"\n\n");
        if ends || head.len() >= MOST_HEAD_BYTES {
            return Ok(head);
        }
    }
}

/// A stream of which something was read already.
pub(crate) fn preceded<S: AsyncRead + AsyncWrite>(bytes: Vec<u8>, stream: S) -> impl AsyncRead + AsyncWrite + Unpin {
    let (read, write) = split(stream);
    join(Cursor::new(bytes).chain(read), write)
}

fn refuse(passage: &Passage, refusal: &Refusal) -> Response<Body> {
    let status = refusal.status();
    // What is malformed is told to whoever wrote it, and is no matter of what is allowed.
    if status != StatusCode::BAD_REQUEST {
        passage.note(refusal);
    }
    say(status, refusal.to_string())
}

pub(crate) fn unreachable(host: &Host) -> Response<Body> {
    say(StatusCode::BAD_GATEWAY, format!("`{host}` cannot be reached"))
}

/// The words are the reason as well: of an answer to `CONNECT`, most clients show nothing else.
fn say(status: StatusCode, words: String) -> Response<Body> {
    let reason = ReasonPhrase::try_from(words.clone());
    let body = Full::from(words + "\n").map_err(|never| match never {}).boxed();
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    headers.insert(CONNECTION, HeaderValue::from_static("close"));
    if let Ok(reason) = reason {
        response.extensions_mut().insert(reason);
    }
    response
}
