//! What an environment's programs reach (spec 06, "Environments": `network`).

use std::collections::BTreeMap;
use std::fmt;

use serde::{Serialize, Serializer};
use serde_json::{Value, json};

use super::host::Domain;
use crate::error::Error;
use crate::fields::{Fields, describe, excerpt};

const MOST_HOSTS: usize = 128;
const MOST_HEADERS: usize = 16;
const MOST_HEADER_BYTES: usize = 8 << 10;

/// Headers that are about the connection, the length or the host of a request, and are no one's to
/// put into it.
const NOT_PUT: [&str; 13] = [
    "connection",
    "content-length",
    "expect",
    "host",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "via",
];

/// What is shown in the place of a header's value.
const HIDDEN: &str = "[hidden]";

/// What an environment's programs reach. It is serialised as it is shown: without the values of
/// headers, which are often secret.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Network {
    #[default]
    Disabled,
    /// One entry at least; each domain is in one entry.
    Allowlist(Vec<AllowedHost>),
}

/// An entry of an allowlist.
#[derive(Clone, PartialEq, Eq)]
pub struct AllowedHost {
    pub domain: Domain,
    /// Headers that requests to it get, by their names in lower case.
    pub transform: BTreeMap<String, String>,
    /// The id of a credential whose secret requests to it get.
    pub credential: Option<String>,
}

impl Network {
    /// Reads `network`; `path` is where it stands.
    ///
    /// # Errors
    /// `invalid_request` and `parameter_unknown`, naming the field.
    pub fn read(value: Value, path: &str) -> Result<Self, Error> {
        let mut fields = match value {
            Value::String(text) if text == "disabled" => return Ok(Self::Disabled),
            Value::Object(_) => Fields::new(value, path)?,
            other => {
                let message = format!("expected `disabled` or an object with `allowlist`, got {}", describe(&other));
                return Err(Error::invalid(path, message));
            }
        };
        let entries = match fields.take("allowlist") {
            None => Vec::new(),
            Some(Value::String(text)) if text == "disabled" => Vec::new(),
            Some(Value::Array(entries)) => entries,
            Some(other) => return Err(fields.mismatch("allowlist", "`disabled` or a list of entries", &other)),
        };
        let path = fields.path_of("allowlist");
        fields.finish()?;
        if entries.len() > MOST_HOSTS {
            return Err(Error::invalid(&path, format!("expected at most {MOST_HOSTS} entries, got {}", entries.len())));
        }
        let mut allowed: Vec<AllowedHost> = Vec::new();
        for (at, entry) in entries.into_iter().enumerate() {
            let path = format!("{path}[{at}]");
            let entry = AllowedHost::read(entry, &path)?;
            if allowed.iter().any(|earlier| earlier.domain == entry.domain) {
                let message = format!("`{}` has an entry already", entry.domain);
                return Err(Error::invalid(&format!("{path}.domain"), message));
            }
            allowed.push(entry);
        }
        Ok(if allowed.is_empty() { Self::Disabled } else { Self::Allowlist(allowed) })
    }

    pub(super) fn read_field(fields: &mut Fields) -> Result<Option<Self>, Error> {
        fields.take("network").map(|value| Self::read(value, &fields.path_of("network"))).transpose()
    }

    /// The entries; none when nothing is reached.
    pub fn allowed(&self) -> &[AllowedHost] {
        match self {
            Self::Disabled => &[],
            Self::Allowlist(allowed) => allowed,
        }
    }

    /// As a request writes it, with everything in it.
    pub fn to_wire(&self) -> Value {
        self.write(|value| value)
    }

    fn write(&self, shown: impl Fn(&str) -> &str) -> Value {
        let entry = |allowed: &AllowedHost| {
            let mut entry = json!({"domain": allowed.domain.to_string()});
            if !allowed.transform.is_empty() {
                let headers = allowed.transform.iter().map(|(name, value)| (name.clone(), shown(value).into()));
                entry["transform"] = Value::Object(headers.collect());
            }
            if let Some(credential) = &allowed.credential {
                entry["credential"] = credential.as_str().into();
            }
            entry
        };
        match self {
            Self::Disabled => "disabled".into(),
            Self::Allowlist(allowed) => json!({"allowlist": allowed.iter().map(entry).collect::<Vec<_>>()}),
        }
    }
}

impl Serialize for Network {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.write(|_| HIDDEN).serialize(serializer)
    }
}

impl AllowedHost {
    /// Allowed, and no more.
    pub fn new(domain: Domain) -> Self {
        Self { domain, transform: BTreeMap::new(), credential: None }
    }

    /// Whether something is put into requests to it.
    pub fn changes_requests(&self) -> bool {
        !self.transform.is_empty() || self.credential.is_some()
    }

    fn read(value: Value, path: &str) -> Result<Self, Error> {
        let mut fields = Fields::new(value, path)?;
        let text = fields.text("domain")?;
        let domain = Domain::parse(&text).ok_or_else(|| {
            let message = format!(
                "expected the name of a host, `*.` and a name, or `*`; an address is no name; got `{}`",
                excerpt(&text)
            );
            Error::invalid(&fields.path_of("domain"), message)
        })?;
        let transform = read_transform(&mut fields)?;
        let credential = fields.string("credential")?;
        let is_id = |id: &String| {
            (1..=64).contains(&id.len())
                && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
        };
        if credential.as_ref().is_some_and(|id| !is_id(id)) {
            let message = "expected the id of a credential: 1 to 64 letters, digits, `-`, `_` and `.`";
            return Err(Error::invalid(&fields.path_of("credential"), message));
        }
        fields.finish()?;
        Ok(Self { domain, transform, credential })
    }
}

impl fmt::Debug for AllowedHost {
    /// Without the values of headers.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("AllowedHost")
            .field("domain", &self.domain)
            .field("transform", &self.transform.keys())
            .field("credential", &self.credential)
            .finish()
    }
}

/// A map of headers, or a list of such maps.
fn read_transform(fields: &mut Fields) -> Result<BTreeMap<String, String>, Error> {
    let path = fields.path_of("transform");
    let maps = match fields.take("transform") {
        None => Vec::new(),
        Some(Value::Object(map)) => vec![(path.clone(), Value::Object(map))],
        Some(Value::Array(maps)) if maps.len() <= MOST_HEADERS => {
            maps.into_iter().enumerate().map(|(at, map)| (format!("{path}[{at}]"), map)).collect()
        }
        Some(other) => {
            let expected = format!("an object of headers, or a list of at most {MOST_HEADERS} of them");
            return Err(fields.mismatch("transform", &expected, &other));
        }
    };
    let mut headers = BTreeMap::new();
    for (path, map) in maps {
        let Value::Object(map) = map else {
            return Err(Error::invalid(&path, format!("expected an object of headers, got {}", describe(&map))));
        };
        for (name, value) in map {
            let path = format!("{path}.{}", excerpt(&name));
            let (name, value) = read_header(&name, value, &path)?;
            if headers.insert(name, value).is_some() {
                return Err(Error::invalid(&path, "the header came twice"));
            }
        }
    }
    let bytes: usize = headers.iter().map(|(name, value)| name.len() + value.len()).sum();
    if headers.len() > MOST_HEADERS || bytes > MOST_HEADER_BYTES {
        let message = format!("expected at most {MOST_HEADERS} headers with {MOST_HEADER_BYTES} bytes in all");
        return Err(Error::invalid(&path, message));
    }
    Ok(headers)
}

fn read_header(name: &str, value: Value, path: &str) -> Result<(String, String), Error> {
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    if name.is_empty() || name.len() > 128 || !name.bytes().all(is_token) {
        return Err(Error::invalid(path, "expected the name of a header"));
    }
    let name = name.to_ascii_lowercase();
    if NOT_PUT.contains(&name.as_str()) {
        return Err(Error::invalid(path, "this header is the connection's own"));
    }
    let Value::String(value) = value else {
        return Err(Error::invalid(path, format!("expected a string, got {}", describe(&value))));
    };
    let is_plain = value.bytes().all(|byte| (b' '..=b'~').contains(&byte)) && value.trim() == value;
    if !is_plain {
        // Not what it is: it may be secret.
        return Err(Error::invalid(path, "expected printable ASCII without spaces at its ends"));
    }
    if value == HIDDEN {
        return Err(Error::invalid(path, "expected the value of the header; it is not kept from before"));
    }
    Ok((name, value))
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;

    #[expect(clippy::needless_pass_by_value, reason = "it is written where it is used")]
    fn refused(entry: Value, path: &str) {
        let list = json!({"allowlist": [{"domain": "first.test"}, entry]});
        let error = Network::read(list, "network").unwrap_err();
        assert!(error.message.starts_with(&format!("`network.allowlist[1]{path}`: ")), "{entry}: {}", error.message);
    }

    #[test]
    fn what_is_read_is_written_as_it_means() {
        let check = |value: Value, expected: Value| {
            let network = Network::read(value, "network").unwrap();
            assert_eq!(network.to_wire(), expected);
            assert_eq!(Network::read(network.to_wire(), "network").unwrap(), network);
        };
        for nothing in [json!("disabled"), json!({"allowlist": "disabled"}), json!({"allowlist": []}), json!({})] {
            check(nothing, json!("disabled"));
        }
        let two = json!({"allowlist": [{"domain": "A.test."}, {"domain": "*.B\u{fc}cher.test"}]});
        check(two, json!({"allowlist": [{"domain": "a.test"}, {"domain": "*.xn--bcher-kva.test"}]}));
        let entry = json!({"domain": "*", "transform": {"x-a": "1", "x-b": "2"}, "credential": "c"});
        check(json!({"allowlist": [entry]}), json!({"allowlist": [entry]}));
        let list = json!([{"X-A": "1"}, {"x-b": "2"}, {}]);
        check(
            json!({"allowlist": [{"domain": "a.test", "transform": list, "credential": null}]}),
            json!({"allowlist": [{"domain": "a.test", "transform": {"x-a": "1", "x-b": "2"}}]}),
        );
    }

    #[test]
    fn values_of_headers_are_not_shown() {
        let value = json!({"allowlist": [{"domain": "a.test", "transform": {"x-key": "secret"}}]});
        let network = Network::read(value, "network").unwrap();
        let shown = serde_json::to_value(&network).unwrap();
        assert_eq!(shown, json!({"allowlist": [{"domain": "a.test", "transform": {"x-key": "[hidden]"}}]}));
        assert!(!format!("{network:?}").contains("secret"));
        // Sent back as it was shown, it would become the header's value.
        assert!(Network::read(shown, "network").is_err());
    }

    #[test]
    fn entries_are_refused_by_their_path() {
        for domain in
            ["", "127.0.0.1", "[::1]", "0x7f.1", "http://a.test", "a.test/b", "a.test:443", "a.*", "**", "*.", "a b"]
        {
            refused(json!({ "domain": domain }), ".domain");
        }
        for entry in [json!({}), json!({"domain": 1}), json!({"domain": "FIRST.test"})] {
            refused(entry, ".domain");
        }
        refused(json!("a.test"), "");
        refused(json!({"domain": "a.test", "port": 80}), ".port");
        for id in ["", "a b", "a/b", &"x".repeat(65)] {
            refused(json!({"domain": "a.test", "credential": id}), ".credential");
        }
        let header = |name: &str, value: Value| json!({"domain": "a.test", "transform": {name: value}});
        for name in
            ["Host", "content-length", "Transfer-Encoding", "Connection", "proxy-authorization", "a b", "a:b", "a\r\nb"]
        {
            refused(header(name, json!("x")), &format!(".transform.{name}"));
        }
        refused(header("", json!("x")), ".transform.");
        for value in
            [json!("a\r\nb"), json!("a\nHost: b"), json!("a\0"), json!(" a"), json!("\u{e9}"), json!(1), json!(null)]
        {
            refused(header("x", value), ".transform.x");
        }
        refused(json!({"domain": "a.test", "transform": "x"}), ".transform");
        refused(json!({"domain": "a.test", "transform": ["x"]}), ".transform[0]");
        refused(json!({"domain": "a.test", "transform": [{"x": "1"}, {"X": "2"}]}), ".transform[1].X");
        refused(header("x", json!("y".repeat(8 << 10))), ".transform");
        let many: Vec<_> = (0..129).map(|at| json!({"domain": format!("a{at}.test")})).collect();
        let error = Network::read(json!({"allowlist": many}), "network").unwrap_err();
        assert!(error.message.starts_with("`network.allowlist`: expected at most 128 entries"), "{}", error.message);
        for (value, path) in [
            (json!("enabled"), "network"),
            (json!(true), "network"),
            (json!({"allowlist": "all"}), "network.allowlist"),
            (json!({"allow": []}), "network.allow"),
        ] {
            let error = Network::read(value, "network").unwrap_err();
            assert!(error.message.starts_with(&format!("`{path}`: ")), "{}", error.message);
        }
    }
}
