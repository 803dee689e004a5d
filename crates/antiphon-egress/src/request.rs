//! What a request says of itself: where it wants to go, and whether all of it agrees.

use antiphon_wire::Host;
use hyper::Uri;
use hyper::header::{HOST, HeaderMap};
use hyper::http::uri::{Authority, Scheme};

use crate::refusal::Refusal;

const MOST_HEADERS: usize = 128;

/// What is refused in a request's head although the HTTP library passes it over: it would drop
/// one of two lengths, or one of two ways to tell the end.
pub(crate) fn check_head(head: &[u8]) -> Result<(), Refusal> {
    let mut headers = [httparse::EMPTY_HEADER; MOST_HEADERS];
    let mut request = httparse::Request::new(&mut headers);
    let Ok(httparse::Status::Complete(_)) = request.parse(head) else {
        return Err(Refusal::Malformed("it is no HTTP"));
    };
    let count = |name: &str| request.headers.iter().filter(|header| header.name.eq_ignore_ascii_case(name)).count();
    let (lengths, encodings) = (count("content-length"), count("transfer-encoding"));
    match (count("host"), lengths, encodings) {
        (2.., _, _) => Err(Refusal::Malformed("it has more than one `Host`")),
        (_, 2.., _) => Err(Refusal::Malformed("it has more than one `Content-Length`")),
        (_, _, 2..) => Err(Refusal::Malformed("it has more than one `Transfer-Encoding`")),
        (_, 1, 1) => Err(Refusal::Malformed("it has a `Content-Length` and a `Transfer-Encoding`")),
        (0 | 1, 0 | 1, 0 | 1) => Ok(()),
    }
}

/// The host and port that a `CONNECT` names.
pub(crate) fn connected(uri: &Uri) -> Result<(Host, u16), Refusal> {
    let authority = uri.authority().ok_or(Refusal::Malformed("`CONNECT` names no host"))?;
    let port = authority.port_u16().ok_or(Refusal::Malformed("`CONNECT` names no port"))?;
    Ok((host_of(authority)?, port))
}

/// The host and port of a request to a proxy: its target names them, and its `Host` the same.
pub(crate) fn targeted(uri: &Uri, headers: &HeaderMap) -> Result<(Host, u16), Refusal> {
    let (Some(scheme), Some(authority)) = (uri.scheme(), uri.authority()) else {
        return Err(Refusal::Malformed("its target is no whole address, as `http://host/path`"));
    };
    if *scheme != Scheme::HTTP {
        return Err(Refusal::Malformed("its address is not of `http`; `https` goes by `CONNECT`"));
    }
    let target = (host_of(authority)?, authority.port_u16().unwrap_or(80));
    if named(headers, 80)? != target {
        return Err(Refusal::Malformed("its `Host` is not that of its address"));
    }
    Ok(target)
}

/// Whether a request on a connection for one host is for that host.
pub(crate) fn is_for(host: &Host, uri: &Uri, headers: &HeaderMap) -> Result<(), Refusal> {
    let other = || Refusal::OtherHost { host: host.clone() };
    if named(headers, 443)? != (host.clone(), 443) {
        return Err(other());
    }
    match uri.authority() {
        None => Ok(()),
        Some(authority) if uri.scheme() == Some(&Scheme::HTTPS) => {
            let same = host_of(authority)? == *host && authority.port_u16().unwrap_or(443) == 443;
            if same { Ok(()) } else { Err(other()) }
        }
        Some(_) => Err(other()),
    }
}

/// What the one `Host` names.
fn named(headers: &HeaderMap, usual_port: u16) -> Result<(Host, u16), Refusal> {
    let mut values = headers.get_all(HOST).iter();
    let (Some(value), None) = (values.next(), values.next()) else {
        return Err(Refusal::Malformed("it has not exactly one `Host`"));
    };
    let authority =
        Authority::try_from(value.as_bytes()).map_err(|_| Refusal::Malformed("its `Host` names no host"))?;
    Ok((host_of(&authority)?, authority.port_u16().unwrap_or(usual_port)))
}

fn host_of(authority: &Authority) -> Result<Host, Refusal> {
    let plain = match authority.port() {
        None => authority.host().to_owned(),
        Some(port) => format!("{}:{}", authority.host(), port.as_str()),
    };
    // With a name and a password, or a port that is none.
    if authority.as_str() != plain {
        return Err(Refusal::Malformed("it names its host in an unusual way"));
    }
    Host::parse(authority.host()).ok_or(Refusal::NoName)
}
