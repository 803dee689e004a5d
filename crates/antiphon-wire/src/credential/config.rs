//! What a credential of each type holds. A new one is read with nothing kept before, an update
//! with what is kept, which stands wherever the body says nothing.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{CredentialKind, Secret, object};
use crate::environment::{Domain, Host};
use crate::error::Error;
use crate::fields::{Fields, excerpt};

const LONGEST_SECRET: usize = 16 << 10;
const LONGEST_NAME: usize = 512;
const LONGEST_PREFIX: usize = 64;
const LONGEST_URL: usize = 2048;
const MOST_SCOPES: usize = 64;
const MOST_DOMAINS: usize = 64;

/// Headers that belong to the connection, and not to what is said over it (RFC 9110, 7.6.1).
const CONNECTION_HEADERS: [&str; 9] = [
    "connection",
    "content-length",
    "host",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// All that a credential holds. It is serialised to be sealed, and for nothing else.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum CredentialConfig {
    BearerToken(BearerToken),
    OAuth2(OAuth2),
    EnvironmentVariable(EnvironmentVariable),
}

/// A header of requests.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BearerToken {
    /// Printable ASCII without a space at either end.
    pub token: Secret,
    pub header_name: String,
    /// Before the token, with a space between them; nothing when it is empty.
    pub prefix: String,
}

/// What access tokens are asked for with (RFC 6749, section 6).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OAuth2 {
    pub client_id: String,
    pub client_secret: Secret,
    pub refresh_token: Secret,
    /// Begins with `https://`. It is the user's: whoever asks it does so as for any other
    /// address of a user.
    pub token_url: String,
    pub scopes: Vec<String>,
}

/// A value that programs have a placeholder of, put into their requests on the way out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnvironmentVariable {
    pub value: Secret,
    /// At least one.
    pub injection_location: BTreeSet<InjectionLocation>,
    /// In lower case: names, and `*.name` for what is below one. None where nothing was said: then
    /// it is sent to nobody.
    pub trusted_domains: Option<Vec<String>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InjectionLocation {
    Header,
    Query,
    Body,
}

impl CredentialConfig {
    pub fn kind(&self) -> CredentialKind {
        match self {
            Self::BearerToken(_) => CredentialKind::BearerToken,
            Self::OAuth2(_) => CredentialKind::OAuth2,
            Self::EnvironmentVariable(_) => CredentialKind::EnvironmentVariable,
        }
    }

    pub(super) fn read(fields: &mut Fields) -> Result<Self, Error> {
        Ok(match read_kind(fields)? {
            CredentialKind::BearerToken => Self::BearerToken(BearerToken::read(fields, None)?),
            CredentialKind::OAuth2 => Self::OAuth2(OAuth2::read(fields, None)?),
            CredentialKind::EnvironmentVariable => Self::EnvironmentVariable(EnvironmentVariable::read(fields, None)?),
        })
    }

    /// What it becomes by the body of a PATCH: fields that are not there stay as they are. `mask`
    /// is the query's `update_mask`; one that does not name exactly the fields of the body is
    /// refused.
    ///
    /// # Errors
    /// `invalid_request` and `parameter_unknown`, naming the field and never what was in it.
    pub fn updated(self, body: Value, mask: Option<&str>) -> Result<Self, Error> {
        check_mask(&body, mask)?;
        let mut fields = object(body)?;
        if read_kind(&mut fields)? != self.kind() {
            let message = format!("this credential is a `{}`, and stays one", self.kind().as_str());
            return Err(Error::invalid("type", message));
        }
        let updated = match self {
            Self::BearerToken(kept) => Self::BearerToken(BearerToken::read(&mut fields, Some(kept))?),
            Self::OAuth2(kept) => Self::OAuth2(OAuth2::read(&mut fields, Some(kept))?),
            Self::EnvironmentVariable(kept) => {
                Self::EnvironmentVariable(EnvironmentVariable::read(&mut fields, Some(kept))?)
            }
        };
        fields.finish()?;
        Ok(updated)
    }
}

fn read_kind(fields: &mut Fields) -> Result<CredentialKind, Error> {
    let name = fields.take("type");
    let found = CredentialKind::ALL.into_iter().find(|kind| name.as_ref().is_some_and(|name| name == kind.as_str()));
    found.ok_or_else(|| Error::invalid("type", "expected one of `bearer_token`, `oauth2`, `environment_variable`"))
}

fn check_mask(body: &Value, mask: Option<&str>) -> Result<(), Error> {
    let Some(mask) = mask.filter(|mask| !mask.is_empty() && *mask != "*") else { return Ok(()) };
    let names: BTreeSet<&str> = mask.split(',').map(str::trim).collect();
    let body = body.as_object().into_iter().flatten();
    let said: BTreeSet<&str> = body
        .filter(|(_, value)| !value.is_null())
        .map(|(name, _)| name.as_str())
        .filter(|name| *name != "type")
        .collect();
    if let Some(name) = names.iter().find(|name| **name != "type" && !said.contains(*name)) {
        let message = format!("it names `{}`, of which the body says nothing", excerpt(name));
        return Err(Error::invalid("update_mask", message));
    }
    if let Some(name) = said.iter().find(|name| !names.contains(*name)) {
        return Err(Error::invalid(excerpt(name), "expected in `update_mask` too, or no `update_mask`"));
    }
    Ok(())
}

impl BearerToken {
    fn read(fields: &mut Fields, kept: Option<Self>) -> Result<Self, Error> {
        let (token, header_name, prefix) =
            kept.map_or((None, None, None), |kept| (Some(kept.token), Some(kept.header_name), Some(kept.prefix)));
        let is_printable = |text: &str| text.trim() == text && text.bytes().all(|byte| (b' '..=b'~').contains(&byte));
        let is_header = |name: &str| {
            name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
                && !CONNECTION_HEADERS.contains(&name.to_ascii_lowercase().as_str())
        };
        Ok(Self {
            token: needed("token", secret(fields, "token", "printable ASCII characters", is_printable)?.or(token))?,
            header_name: text(
                fields,
                "header_name",
                1..=128,
                "characters of a header's name, not the connection's own",
                is_header,
            )?
            .or(header_name)
            .unwrap_or_else(|| "Authorization".to_owned()),
            prefix: text(fields, "prefix", 0..=LONGEST_PREFIX, "printable ASCII characters", is_printable)?
                .or(prefix)
                .unwrap_or_else(|| "Bearer".to_owned()),
        })
    }
}

impl OAuth2 {
    fn read(fields: &mut Fields, kept: Option<Self>) -> Result<Self, Error> {
        let kept = kept.map(|kept| {
            (
                Some(kept.client_id),
                Some(kept.client_secret),
                Some(kept.refresh_token),
                Some(kept.token_url),
                kept.scopes,
            )
        });
        let (client_id, client_secret, refresh_token, token_url, scopes) = kept.unwrap_or_default();
        const EXPECTED: &str = "characters without control characters";
        let is_said = |text: &str| !text.contains(char::is_control);
        let is_url = |text: &str| {
            text.strip_prefix("https://").is_some_and(|rest| !rest.is_empty() && !rest.starts_with('/'))
                && text.bytes().all(|byte| byte.is_ascii_graphic())
        };
        let id = text(fields, "client_id", 1..=LONGEST_NAME, EXPECTED, is_said)?.or(client_id);
        let url =
            text(fields, "token_url", 1..=LONGEST_URL, "characters of an address that begins with `https://`", is_url)?;
        Ok(Self {
            client_id: needed("client_id", id)?,
            client_secret: needed(
                "client_secret",
                secret(fields, "client_secret", EXPECTED, is_said)?.or(client_secret),
            )?,
            refresh_token: needed(
                "refresh_token",
                secret(fields, "refresh_token", EXPECTED, is_said)?.or(refresh_token),
            )?,
            token_url: needed("token_url", url.or(token_url))?,
            scopes: read_scopes(fields)?.unwrap_or(scopes),
        })
    }
}

fn read_scopes(fields: &mut Fields) -> Result<Option<Vec<String>>, Error> {
    let is_scope = |text: &str| text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'"' && byte != b'\\');
    list(
        fields,
        "scopes",
        MOST_SCOPES,
        |text| ((1..=LONGEST_NAME).contains(&text.len()) && is_scope(text)).then(|| text.to_owned()),
        "a scope: 1 to 512 printable ASCII characters without spaces, `\"` and `\\`",
    )
}

impl EnvironmentVariable {
    /// Whether requests to a host may have its value.
    pub fn trusts(&self, host: &Host) -> bool {
        let domains = self.trusted_domains.iter().flatten();
        domains.filter_map(|domain| Domain::parse(domain)).any(|domain| domain.matches(host))
    }

    fn read(fields: &mut Fields, kept: Option<Self>) -> Result<Self, Error> {
        let (value, locations, domains) = kept
            .map_or((None, None, None), |kept| (Some(kept.value), Some(kept.injection_location), kept.trusted_domains));
        let value = secret(fields, "value", "characters without NUL", |text| !text.contains('\0'))?.or(value);
        let value = needed("value", value)?;
        let injection_location = needed("injection_location", read_locations(fields)?.or(locations))?;
        if injection_location.contains(&InjectionLocation::Header) && value.expose().contains(char::is_control) {
            return Err(Error::invalid("value", "expected no control characters in what goes into a header"));
        }
        let said = list(
            fields,
            "trusted_domains",
            MOST_DOMAINS,
            read_domain,
            "a name such as `api.example.com` or `*.example.com`",
        )?;
        Ok(Self { value, injection_location, trusted_domains: said.or(domains) })
    }
}

fn read_locations(fields: &mut Fields) -> Result<Option<BTreeSet<InjectionLocation>>, Error> {
    let location = |value: &Value| match value.as_str() {
        Some("header") => Some(InjectionLocation::Header),
        Some("query") => Some(InjectionLocation::Query),
        Some("body") => Some(InjectionLocation::Body),
        Some(_) | None => None,
    };
    let Some(value) = fields.take("injection_location") else { return Ok(None) };
    let locations: Option<BTreeSet<_>> = match &value {
        Value::Array(items) if items.len() <= 3 => items.iter().map(location).collect(),
        single => location(single).map(|one| BTreeSet::from([one])),
    };
    let locations = locations.filter(|locations| !locations.is_empty());
    let expected = "expected `header`, `query` or `body`, or a list of at least one of them";
    Ok(Some(locations.ok_or_else(|| Error::invalid(&fields.path_of("injection_location"), expected))?))
}

/// A name of the domain name system in lower case, or `*.` and one. No address.
fn read_domain(text: &str) -> Option<String> {
    let name = text.to_ascii_lowercase();
    let labels = name.strip_prefix("*.").unwrap_or(&name);
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    let is_name = labels.len() <= 253 && labels.split('.').all(is_label);
    // The last label of a name is no number; that of an address is.
    let is_address = labels.rsplit('.').next().is_some_and(|last| last.bytes().all(|byte| byte.is_ascii_digit()));
    (is_name && !is_address).then_some(name)
}

/// The fields are those of the body, so that a name is a path.
fn needed<T>(name: &str, value: Option<T>) -> Result<T, Error> {
    value.ok_or_else(|| Error::invalid(name, "it is needed, and nothing came"))
}

fn secret(fields: &mut Fields, name: &str, of: &str, is_good: impl Fn(&str) -> bool) -> Result<Option<Secret>, Error> {
    Ok(text(fields, name, 1..=LONGEST_SECRET, of, is_good)?.map(Secret::new))
}

/// A string of so many bytes.
fn text(
    fields: &mut Fields,
    name: &str,
    length: std::ops::RangeInclusive<usize>,
    of: &str,
    is_good: impl Fn(&str) -> bool,
) -> Result<Option<String>, Error> {
    match fields.take(name) {
        None => Ok(None),
        Some(Value::String(text)) if length.contains(&text.len()) && is_good(&text) => Ok(Some(text)),
        Some(_) => {
            let message = format!("expected a string of {} to {} {of}", length.start(), length.end());
            Err(Error::invalid(&fields.path_of(name), message))
        }
    }
}

fn list(
    fields: &mut Fields,
    name: &str,
    most: usize,
    read: impl Fn(&str) -> Option<String>,
    expected: &str,
) -> Result<Option<Vec<String>>, Error> {
    let path = fields.path_of(name);
    let items = match fields.take(name) {
        None => return Ok(None),
        Some(Value::Array(items)) if items.len() <= most => items,
        Some(_) => return Err(Error::invalid(&path, format!("expected a list of at most {most} strings"))),
    };
    let read = |(at, item): (usize, &Value)| {
        let read = item.as_str().and_then(&read);
        read.ok_or_else(|| Error::invalid(&format!("{path}[{at}]"), format!("expected {expected}")))
    };
    items.iter().enumerate().map(read).collect::<Result<_, _>>().map(Some)
}
