//! One request to its host, over a connection of its own, and the answer back.

use std::io;

use antiphon_wire::Host;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper::header::{
    CONNECTION, EXPECT, HOST, HeaderMap, HeaderName, HeaderValue, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, TE, TRAILER,
    TRANSFER_ENCODING, UPGRADE,
};
use hyper::{Method, Request, Response, Uri, Version};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tracing::debug;

use crate::dial::Addresses;
use crate::egress::Passage;
use crate::proxy::{Body, unreachable};
use crate::refusal::Refusal;
use crate::request::is_for;
use crate::secrets::SecretRefused;
use crate::swap;

/// What is between two neighbours and not between the ends (RFC 9110, 7.6.1), and what hyper
/// answers itself.
const OF_THE_CONNECTION: [HeaderName; 8] =
    [CONNECTION, EXPECT, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, TE, TRAILER, TRANSFER_ENCODING, UPGRADE];
const OF_THE_CONNECTION_TOO: [&str; 2] = ["keep-alive", "proxy-connection"];

/// Sends a request as it is, in the clear.
pub(crate) async fn unchanged(
    passage: &Passage,
    host: &Host,
    addresses: &Addresses,
    request: Request<Incoming>,
) -> Response<Body> {
    let sent = match passage.inner.shared.dialer.connect(addresses).await {
        Ok(stream) => send(stream, readied(host, request).map(BodyExt::boxed)).await,
        Err(error) => Err(error),
    };
    told(host, sent)
}

/// Sends a request by TLS, with what the allowlist puts into it, and with values in the place of
/// placeholders.
///
/// # Errors
/// It is for another host, or for none that is allowed by now; its credential is not given, or it
/// is too long.
pub(crate) async fn changed(
    passage: &Passage,
    host: &Host,
    addresses: &Addresses,
    request: Request<Incoming>,
) -> Result<Response<Body>, Refusal> {
    if request.method() == Method::CONNECT {
        return Err(Refusal::Malformed("it is a `CONNECT` in a tunnel"));
    }
    is_for(host, request.uri(), request.headers())?;
    let put = headers_for(passage, host).await?;
    let swaps = swap::swaps(passage, host).await?;
    let mut request = swap::swapped(&swaps, readied(host, request)).await?;
    for (name, value) in put {
        // In the place of all that the program may have sent by this name.
        request.headers_mut().insert(name, value);
    }
    let shared = &passage.inner.shared;
    let connecting = async {
        let stream = shared.dialer.connect(addresses).await?;
        let name = ServerName::try_from(host.as_str().to_owned()).map_err(io::Error::other)?;
        let connecting = TlsConnector::from(shared.tls.clone()).connect(name, stream);
        let stream = timeout(shared.limits.head, connecting).await??;
        send(stream, request).await
    };
    Ok(told(host, connecting.await))
}

async fn headers_for(passage: &Passage, host: &Host) -> Result<Vec<(HeaderName, HeaderValue)>, Refusal> {
    let rules = passage.rules();
    let allowed = rules.find(host).ok_or_else(|| Refusal::Unlisted { host: host.clone() })?;
    let mut put = Vec::new();
    for (name, value) in &allowed.transform {
        let header = HeaderName::try_from(name).ok().zip(HeaderValue::try_from(value).ok());
        let (name, mut value) = header.ok_or(Refusal::Malformed("`transform` has a header that is none"))?;
        value.set_sensitive(true);
        put.push((name, value));
    }
    if let Some(credential) = &allowed.credential {
        let header = match &passage.inner.shared.secrets {
            None => Err(SecretRefused::Unavailable),
            Some(secrets) => secrets.header(passage.inner.project, credential, host).await,
        };
        put.push(header.map_err(|why| Refusal::Credential { host: host.clone(), why })?);
    }
    Ok(put)
}

/// A request as its host is to see it.
fn readied(host: &Host, request: Request<Incoming>) -> Request<Incoming> {
    let (mut parts, body) = request.into_parts();
    strip(&mut parts.headers);
    if let Ok(host) = HeaderValue::try_from(host.as_str()) {
        parts.headers.insert(HOST, host);
    }
    parts.uri = parts.uri.into_parts().path_and_query.map(Uri::from).unwrap_or_default();
    parts.version = Version::HTTP_11;
    Request::from_parts(parts, body)
}

async fn send<S>(stream: S, request: Request<Body>) -> io::Result<Response<Body>>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(io::Error::other)?;
    // It goes with the answer's body.
    let mut task = JoinSet::new();
    task.spawn(connection);
    let response = sender.send_request(request).await.map_err(io::Error::other)?;
    let (mut parts, body) = response.into_parts();
    strip(&mut parts.headers);
    parts.headers.insert(CONNECTION, HeaderValue::from_static("close"));
    parts.version = Version::HTTP_11;
    let body = body.map_frame(move |frame| {
        let _ = &task;
        frame
    });
    Ok(Response::from_parts(parts, body.boxed()))
}

fn told(host: &Host, sent: io::Result<Response<Body>>) -> Response<Body> {
    sent.unwrap_or_else(|error| {
        debug!(%host, %error, "A host that is allowed does not answer");
        unreachable(host)
    })
}

fn strip(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = headers
        .get_all(CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| HeaderName::try_from(name.trim()).ok())
        .collect();
    for name in named.iter().chain(&OF_THE_CONNECTION) {
        headers.remove(name);
    }
    for name in OF_THE_CONNECTION_TOO {
        headers.remove(name);
    }
}
