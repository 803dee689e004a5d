//! Placeholders in requests, in whose place the values of credentials go out: to the hosts that a
//! credential trusts, and in the parts of a request that it names. Programs never have the values.

use std::borrow::Cow;

use antiphon_wire::{Host, InjectionLocation};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::{Body as _, Incoming};
use hyper::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderValue};
use hyper::http::uri::PathAndQuery;
use hyper::{Request, Uri};

use crate::egress::Passage;
use crate::proxy::Body;
use crate::refusal::Refusal;
use crate::secrets::{SecretRefused, Swap};

/// Of a body, before and after: it is read whole, and each connection may have one.
const MOST_BODY_BYTES: usize = 1 << 20;
/// Of one header's value, or of a query. The values of credentials are much longer than what
/// stands for them, so that a short request could become one without end.
const MOST_HEAD_BYTES: usize = 64 << 10;

/// A placeholder, and what it becomes.
pub(crate) struct Swapped<'a> {
    placeholder: &'a str,
    swap: Swap,
}

/// What placeholders of a passage become for a host.
///
/// # Errors
/// A credential cannot be asked whether it trusts this host.
pub(crate) async fn swaps<'a>(passage: &'a Passage, host: &Host) -> Result<Vec<Swapped<'a>>, Refusal> {
    let mut swaps = Vec::new();
    for (placeholder, credential) in &passage.inner.placeholders {
        let swap = match &passage.inner.shared.secrets {
            None => Err(SecretRefused::Unavailable),
            Some(secrets) => secrets.swap(passage.inner.project, credential, host).await,
        };
        let refused = |why| Refusal::Placeholder { host: host.clone(), credential: credential.clone(), why };
        swaps.extend(swap.map_err(refused)?.map(|swap| Swapped { placeholder, swap }));
    }
    Ok(swaps)
}

/// A request with values in the place of placeholders.
///
/// # Errors
/// It is too long to be looked through, or becomes too long.
pub(crate) async fn swapped(swaps: &[Swapped<'_>], request: Request<Incoming>) -> Result<Request<Body>, Refusal> {
    let (mut parts, body) = request.into_parts();
    let of = |location| swaps.iter().filter(move |swapped| swapped.swap.locations.contains(&location));
    for swapped in of(InjectionLocation::Header) {
        swapped.put_into_headers(&mut parts.headers)?;
    }
    for swapped in of(InjectionLocation::Query) {
        parts.uri = swapped.put_into_query(&parts.uri)?;
    }
    if of(InjectionLocation::Body).next().is_none() || body.is_end_stream() {
        return Ok(Request::from_parts(parts, body.boxed()));
    }
    let too_long = || Refusal::TooLong { part: "body", most: MOST_BODY_BYTES };
    let body = Limited::new(body, MOST_BODY_BYTES).collect().await.map_err(|error| {
        if error.is::<hyper::Error>() { Refusal::Malformed("its body has broken off") } else { too_long() }
    })?;
    let (form, mut bytes) = (Form::of(&parts.headers), body.to_bytes().to_vec());
    for Swapped { placeholder, swap } in of(InjectionLocation::Body) {
        let value = form.written(swap.value.expose());
        if let Some(changed) = replaced(&bytes, placeholder, value.as_bytes(), MOST_BODY_BYTES, "body")? {
            bytes = changed;
        }
    }
    // It is that of these bytes, which the HTTP library says.
    parts.headers.remove(CONTENT_LENGTH);
    let body = Full::new(Bytes::from(bytes)).map_err(|never| match never {}).boxed();
    Ok(Request::from_parts(parts, body))
}

impl Swapped<'_> {
    fn put_into_headers(&self, headers: &mut HeaderMap) -> Result<(), Refusal> {
        for value in headers.values_mut() {
            let Some(bytes) = self.of_header(value.as_bytes())? else { continue };
            let mut swapped = HeaderValue::from_bytes(&bytes)
                .map_err(|_| Refusal::Malformed("the value of a credential is none of a header"))?;
            swapped.set_sensitive(true);
            *value = swapped;
        }
        Ok(())
    }

    /// Also in the name and the password of `Basic`, which are encoded.
    fn of_header(&self, value: &[u8]) -> Result<Option<Vec<u8>>, Refusal> {
        let of = |bytes: &[u8]| {
            replaced(bytes, self.placeholder, self.swap.value.expose().as_bytes(), MOST_HEAD_BYTES, "header")
        };
        if let Some((scheme, encoded)) = value.split_at_checked("Basic ".len())
            && scheme.eq_ignore_ascii_case(b"Basic ")
            && let Ok(plain) = STANDARD.decode(encoded.trim_ascii())
        {
            return Ok(of(&plain)?.map(|plain| [b"Basic ", STANDARD.encode(plain).as_bytes()].concat()));
        }
        of(value)
    }

    fn put_into_query(&self, uri: &Uri) -> Result<Uri, Refusal> {
        let Some(query) = uri.query() else { return Ok(uri.clone()) };
        let value = Form::Encoded.written(self.swap.value.expose());
        let Some(query) = replaced(query.as_bytes(), self.placeholder, value.as_bytes(), MOST_HEAD_BYTES, "query")?
        else {
            return Ok(uri.clone());
        };
        let target = [uri.path().as_bytes(), b"?", &query].concat();
        let target = PathAndQuery::from_maybe_shared(Bytes::from(target));
        Ok(target.map_err(|_| Refusal::TooLong { part: "query", most: MOST_HEAD_BYTES })?.into())
    }
}

/// How a value has to be written, so that it is nothing but a value there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// As of a query: `application/x-www-form-urlencoded`.
    Encoded,
    Json,
    Plain,
}

impl Form {
    fn of(headers: &HeaderMap) -> Self {
        let said = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let kind = said.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        match kind.as_str() {
            "application/x-www-form-urlencoded" => Self::Encoded,
            "application/json" => Self::Json,
            _ if kind.ends_with("+json") => Self::Json,
            _ => Self::Plain,
        }
    }

    fn written(self, value: &str) -> Cow<'_, str> {
        match self {
            Self::Plain => value.into(),
            Self::Json => {
                let quoted = serde_json::Value::from(value).to_string();
                quoted[1..quoted.len() - 1].to_owned().into()
            }
            Self::Encoded => {
                let encode = |byte: u8| match byte {
                    b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => char::from(byte).to_string(),
                    _ => format!("%{byte:02X}"),
                };
                value.bytes().map(encode).collect::<String>().into()
            }
        }
    }
}

/// Some text with every placeholder replaced; none when there is none.
fn replaced(
    text: &[u8],
    placeholder: &str,
    value: &[u8],
    most: usize,
    part: &'static str,
) -> Result<Option<Vec<u8>>, Refusal> {
    let placeholder = placeholder.as_bytes();
    let next = |rest: &[u8]| rest.windows(placeholder.len()).position(|bytes| bytes == placeholder);
    let (mut rest, mut done) = (text, Vec::new());
    while let Some(at) = next(rest) {
        done.extend_from_slice(&rest[..at]);
        done.extend_from_slice(value);
        rest = &rest[at + placeholder.len()..];
        if done.len() + rest.len() > most {
            return Err(Refusal::TooLong { part, most });
        }
    }
    if rest.len() == text.len() {
        return Ok(None);
    }
    done.extend_from_slice(rest);
    Ok(Some(done))
}

#[cfg(test)]
mod tests {
    use antiphon_wire::Secret;
    use pretty_assertions::assert_eq;

    use super::*;

    const PLACEHOLDER: &str = "antiphon-placeholder-00";

    #[test]
    fn a_value_is_nothing_but_a_value_wherever_it_is_put() {
        let check = |form: Form, value: &str, expected: &str| assert_eq!(form.written(value), expected, "{form:?}");
        check(Form::Encoded, "a&b=c d/ü~", "a%26b%3Dc%20d%2F%C3%BC~");
        check(Form::Json, "a\"b\\c\nd", "a\\\"b\\\\c\\nd");
        check(Form::Plain, "a&\"", "a&\"");
        let form =
            |kind: &'static str| Form::of(&HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static(kind))]));
        assert_eq!(form("Application/JSON; charset=utf-8"), Form::Json);
        assert_eq!(form("application/ld+json"), Form::Json);
        assert_eq!(form("application/x-www-form-urlencoded"), Form::Encoded);
        assert_eq!(form("text/plain"), Form::Plain);
    }

    #[test]
    fn every_placeholder_is_replaced_and_no_request_grows_without_end() {
        let of = |text: &str, value: &str| replaced(text.as_bytes(), PLACEHOLDER, value.as_bytes(), 100, "body");
        let twice = format!("a {PLACEHOLDER}{PLACEHOLDER} b");
        assert_eq!(of(&twice, "v"), Ok(Some(b"a vv b".to_vec())));
        assert_eq!(of(PLACEHOLDER, ""), Ok(Some(Vec::new())));
        assert_eq!(of("a", "v"), Ok(None));
        assert_eq!(of("", "v"), Ok(None));
        assert_eq!(of(&PLACEHOLDER[1..], "v"), Ok(None));
        assert_eq!(of(&twice, &"v".repeat(60)), Err(Refusal::TooLong { part: "body", most: 100 }));
        // A value that is a placeholder itself is not looked into.
        assert_eq!(of(PLACEHOLDER, PLACEHOLDER), Ok(Some(PLACEHOLDER.into())));
    }

    #[test]
    fn the_password_of_basic_is_found_behind_its_encoding() {
        let locations = [InjectionLocation::Header].into();
        let swapped =
            Swapped { placeholder: PLACEHOLDER, swap: Swap { value: Secret::new("s3cret".to_owned()), locations } };
        let encoded = |text: &str| format!("Basic {}", STANDARD.encode(text));
        let found = swapped.of_header(encoded(&format!("me:{PLACEHOLDER}")).as_bytes()).unwrap();
        assert_eq!(found, Some(encoded("me:s3cret").into_bytes()));
        assert_eq!(swapped.of_header(encoded("me:other").as_bytes()), Ok(None));
        let found = swapped.of_header(format!("Bearer {PLACEHOLDER}").as_bytes()).unwrap();
        assert_eq!(found, Some(b"Bearer s3cret".to_vec()));
    }
}
