//! What the operator lets environments reach. What of it an environment does reach is its own, and
//! in its row.

use antiphon_credentials::Credentials;
use antiphon_wire::{Error, Network};

/// What environments may be given for a network.
#[derive(Clone, Debug, Default)]
pub struct NetworkPolicy {
    /// What a new one has whose request says nothing of it.
    pub default: Network,
    /// Whether one may reach any host: `*`, or everything below a top-level name.
    pub any_host: bool,
    /// Those that an allowlist and variables can name; none of them without.
    pub credentials: Option<Credentials>,
    /// Why none can have a network here, if so.
    pub unavailable: Option<String>,
}

impl NetworkPolicy {
    /// Whether an environment may have this: as a request asks for it at `path`, or as it was given
    /// before, under another policy.
    ///
    /// # Errors
    /// `invalid_request` by the name of what may not be asked for, `failed_precondition` when there
    /// are no networks.
    pub(crate) fn check(&self, network: &Network, path: &str) -> Result<(), Error> {
        if let (Network::Allowlist(_), Some(why)) = (network, &self.unavailable) {
            return Err(Error::precondition(format!(
                "`{path}.allowlist`: programs reach no network on this server: {why}"
            )));
        }
        // The operator's default is no more than what everybody gets.
        if *network == self.default {
            return Ok(());
        }
        for (at, allowed) in network.allowed().iter().enumerate() {
            let path = format!("{path}.allowlist[{at}]");
            if allowed.domain.is_open() && !self.any_host {
                let message = format!(
                    "`{}` is nearly any host, which the operator has not allowed (`environments.allow_any_host`)",
                    allowed.domain
                );
                return Err(Error::invalid(&format!("{path}.domain"), message));
            }
            if allowed.credential.is_some() && self.credentials.is_none() {
                let message = "this server has no credentials";
                return Err(Error::invalid(&format!("{path}.credential"), message));
            }
        }
        Ok(())
    }
}
