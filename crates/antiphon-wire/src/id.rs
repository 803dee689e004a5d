//! Identifiers a client sees and sends back.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// The name of one interaction: `v1_` and 1 to 200 URL-safe characters (spec 03).
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct InteractionId(Box<str>);

impl InteractionId {
    /// Reads an id from the outside. `None` when it is not well-formed.
    pub fn parse(text: &str) -> Option<Self> {
        let rest = text.strip_prefix("v1_")?;
        let url_safe = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        ((1..=200).contains(&rest.len()) && rest.bytes().all(url_safe)).then(|| Self(text.into()))
    }

    /// Makes the id that stands for these bytes; 24 of them give 32 characters.
    pub fn from_bytes(bytes: &[u8]) -> Self {
        Self(format!("v1_{}", URL_SAFE_NO_PAD.encode(bytes)).into())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for InteractionId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl fmt::Debug for InteractionId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl From<InteractionId> for String {
    fn from(id: InteractionId) -> Self {
        id.0.into()
    }
}

impl TryFrom<String> for InteractionId {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        Self::parse(&text).ok_or_else(|| format!("`{text}` is not an interaction id"))
    }
}

/// The token by which a client resumes after an event (spec 04, `event_id`).
///
/// Opaque outside: it holds the event's number and a mark of its interaction, so that
/// a token of another interaction is refused and never silently skips or repeats.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventId(String);

impl EventId {
    pub fn new(interaction: &InteractionId, seq: u64) -> Self {
        Self(URL_SAFE_NO_PAD.encode(format!("{seq}.{}", mark(interaction))))
    }

    /// The number inside a token, if the token was made for this interaction.
    pub fn seq(text: &str, interaction: &InteractionId) -> Option<u64> {
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        let (seq, found) = std::str::from_utf8(&bytes).ok()?.split_once('.')?;
        if found != mark(interaction) {
            return None;
        }
        seq.parse().ok()
    }

    pub fn into_string(self) -> String {
        self.0
    }
}

fn mark(interaction: &InteractionId) -> String {
    let digest = Sha256::digest(interaction.as_str());
    format!("{:02x}{:02x}{:02x}", digest[0], digest[1], digest[2])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_v1_and_url_safe() {
        for good in ["v1_a", "v1_ChdQ-_9", &format!("v1_{}", "x".repeat(200))] {
            assert!(InteractionId::parse(good).is_some(), "{good}");
        }
        for bad in ["", "v1_", "v2_abc", "v1_a b", "v1_ä", "v1_a/b", &format!("v1_{}", "x".repeat(201))] {
            assert!(InteractionId::parse(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn an_event_id_belongs_to_its_interaction() {
        let one = InteractionId::from_bytes(&[1; 24]);
        let other = InteractionId::from_bytes(&[2; 24]);
        let token = EventId::new(&one, 7).into_string();
        assert_eq!(EventId::seq(&token, &one), Some(7));
        assert_eq!(EventId::seq(&token, &other), None);
        assert_eq!(EventId::seq("MQ", &one), None);
        assert_eq!(EventId::seq("§", &one), None);
    }
}
