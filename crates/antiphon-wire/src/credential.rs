//! Credentials: what agents' programs and requests prove themselves with elsewhere (spec 06,
//! "Credentials"). How each type is read is in `config`.
//!
//! No error here says what came: it may be the secret, or a part of it, in the wrong field.

mod config;
mod secret;

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::error::Error;
use crate::fields::Fields;
use crate::request::{RequestField, honoured, refused};

pub use config::{BearerToken, CredentialConfig, EnvironmentVariable, InjectionLocation, OAuth2};
pub use secret::Secret;

/// The name of one credential, chosen by who makes it: 1 to 63 letters, digits, `_` and `-`, of
/// which the first is a letter or a digit.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct CredentialId(Box<str>);

impl CredentialId {
    /// Reads an id from the outside, also as `credentials/{id}`. `None` when it is not well-formed.
    pub fn parse(text: &str) -> Option<Self> {
        let id = text.strip_prefix("credentials/").unwrap_or(text);
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        let begins_well = id.starts_with(|c: char| c.is_ascii_alphanumeric());
        (begins_well && id.len() <= 63 && id.bytes().all(is_plain)).then(|| Self(id.into()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for CredentialId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl fmt::Debug for CredentialId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl From<CredentialId> for String {
    fn from(id: CredentialId) -> Self {
        id.0.into()
    }
}

impl TryFrom<String> for CredentialId {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, &'static str> {
        Self::parse(&text).ok_or("not a credential's id")
    }
}

/// `POST /credentials`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CreateCredential {
    pub id: CredentialId,
    pub config: CredentialConfig,
}

impl CreateCredential {
    /// # Errors
    /// `invalid_request` and `parameter_unknown`, naming the field and never what was in it.
    pub fn read(body: Value) -> Result<Self, Error> {
        let mut fields = object(body)?;
        let id = fields.take("id").as_ref().and_then(Value::as_str).and_then(CredentialId::parse);
        let id = id.ok_or_else(|| {
            Error::invalid("id", "expected 1 to 63 letters, digits, `_` and `-`, the first a letter or a digit")
        })?;
        let config = CredentialConfig::read(&mut fields)?;
        fields.finish()?;
        Ok(Self { id, config })
    }
}

/// The body, whose text [`Fields::new`] would repeat were it no object.
fn object(body: Value) -> Result<Fields, Error> {
    if !body.is_object() {
        return Err(Error::invalid("body", "expected an object"));
    }
    Fields::new(body, "")
}

/// A credential as it is shown: nothing of what it holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Credential {
    pub id: CredentialId,
    #[serde(rename = "type")]
    pub kind: CredentialKind,
    pub status: CredentialStatus,
    /// RFC 3339 in UTC, whole seconds; so is the next.
    pub create_time: String,
    pub update_time: String,
}

/// A page of a project's credentials.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CredentialList {
    pub credentials: Vec<Credential>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_page_token: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CredentialKind {
    BearerToken,
    #[serde(rename = "oauth2")]
    OAuth2,
    EnvironmentVariable,
}

impl CredentialKind {
    pub(crate) const ALL: [Self; 3] = [Self::BearerToken, Self::OAuth2, Self::EnvironmentVariable];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::BearerToken => "bearer_token",
            Self::OAuth2 => "oauth2",
            Self::EnvironmentVariable => "environment_variable",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CredentialStatus {
    Active,
    /// The service that it is for does not take it any more; an update makes it active again.
    Revoked,
}

/// Every field of `POST /credentials` and its treatment today, each with a whole body;
/// `docs/api-coverage.md` is printed from it, and a test walks it.
pub const CREDENTIAL_FIELDS: &[RequestField] = &[
    honoured("token", r#"{"type":"bearer_token","id":"a","token":"t"}"#, "sealed, and never shown"),
    honoured(
        "header_name",
        r#"{"type":"bearer_token","id":"a","token":"t","header_name":"X-Key"}"#,
        "`Authorization` unless given",
    ),
    honoured("prefix", r#"{"type":"bearer_token","id":"a","token":"t","prefix":""}"#, "`Bearer` unless given"),
    refused(
        "header_name",
        r#"{"type":"bearer_token","id":"a","token":"t","header_name":"Host"}"#,
        "the connection's own",
    ),
    refused("token", r#"{"type":"bearer_token","id":"a","token":"t\n"}"#, "would end a header"),
    honoured(
        "client_id",
        r#"{"type":"oauth2","id":"a","client_id":"c","client_secret":"s","refresh_token":"r","token_url":"https://example.com/token","scopes":["x"]}"#,
        "an access token is asked for at the `token_url`",
    ),
    refused(
        "token_url",
        r#"{"type":"oauth2","id":"a","client_id":"c","client_secret":"s","refresh_token":"r","token_url":"http://example.com/token"}"#,
        "secrets travel sealed",
    ),
    honoured(
        "value",
        r#"{"type":"environment_variable","id":"a","value":"v","injection_location":["header","query"],"trusted_domains":["*.example.com"]}"#,
        "sealed, and never shown",
    ),
    honoured(
        "injection_location",
        r#"{"type":"environment_variable","id":"a","value":"v","injection_location":"body"}"#,
        "one or a list",
    ),
    refused("injection_location", r#"{"type":"environment_variable","id":"a","value":"v"}"#, "at least one"),
    refused(
        "trusted_domains[0]",
        r#"{"type":"environment_variable","id":"a","value":"v","injection_location":"body","trusted_domains":["*"]}"#,
        "names, or `*.` and a name",
    ),
    refused("type", r#"{"type":"password","id":"a"}"#, ""),
    refused("id", r#"{"type":"bearer_token","token":"t"}"#, "chosen by the caller"),
    refused("status", r#"{"type":"bearer_token","id":"a","token":"t","status":"revoked"}"#, "`parameter_unknown`"),
];

#[cfg(test)]
mod tests;
