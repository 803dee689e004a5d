//! What an environment's programs reach (spec 06, "Environments": `network`).

use std::collections::BTreeMap;
use std::fmt;

use super::host::Domain;

/// An entry of an allowlist.
#[derive(Clone, PartialEq, Eq)]
pub struct AllowedHost {
    pub domain: Domain,
    /// Headers that requests to it get, by their names in lower case.
    pub transform: BTreeMap<String, String>,
    /// The id of a credential whose secret requests to it get.
    pub credential: Option<String>,
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
