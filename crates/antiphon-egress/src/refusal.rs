//! Why something is not reached, in words for whoever wrote the program.

use antiphon_wire::{CredentialId, Host};
use hyper::StatusCode;

use crate::secrets::SecretRefused;

/// What is not allowed, and by which setting. Names that do not exist and names of addresses that
/// are not public read alike, so that nobody learns from a proxy what is in the operator's network.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// What is no request, or can be read in two ways.
    #[error("this request is not passed on: {0}")]
    Malformed(&'static str),
    #[error("`{host}` is not allowed: the environment's `network.allowlist` does not name it")]
    Unlisted { host: Host },
    /// An address, or what is no name at all.
    #[error("the host is not allowed: the environment's `network.allowlist` allows names of hosts, and no addresses")]
    NoName,
    #[error("port {port} is not allowed: an environment's `network` has port 80 for http and 443 for https")]
    Port { port: u16 },
    #[error("`{host}` is not allowed: it has no public address that could be reached")]
    Address { host: Host },
    #[error(
        "`http://{host}` is not allowed: what `network.allowlist` or a credential of `env` puts into its requests is \
         sent over https alone"
    )]
    Plain { host: Host },
    /// A request on a connection for another host.
    #[error("this request is not allowed: it is for another host than its connection, which is for `{host}`")]
    OtherHost { host: Host },
    /// Of a tunnel, which is closed without a word: the only ones left would be TLS's own.
    #[error(
        "the connection to `{host}` was closed: TLS has to begin there with that host's name in the clear (SNI, no ECH)"
    )]
    Hidden { host: Host },
    #[error("`{host}` is not allowed: the `credential` in `network.allowlist` cannot be used there: {why}")]
    Credential { host: Host, why: SecretRefused },
    /// Which hosts a credential trusts is in the credential: without it, this could be one.
    #[error(
        "`{host}` is not allowed: the environment's `env` has the credential `{credential}`, of which cannot be told \
         whether it is for this host: {why}"
    )]
    Placeholder { host: Host, credential: CredentialId, why: SecretRefused },
    /// With what is put in the place of placeholders, if not before.
    #[error(
        "this request is not passed on: its {part} is longer than the {most} bytes in which placeholders are looked for"
    )]
    TooLong { part: &'static str, most: usize },
}

impl Refusal {
    pub(crate) fn status(&self) -> StatusCode {
        match self {
            Self::Malformed(_) => StatusCode::BAD_REQUEST,
            Self::TooLong { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Unlisted { .. }
            | Self::NoName
            | Self::Port { .. }
            | Self::Address { .. }
            | Self::Plain { .. }
            | Self::OtherHost { .. }
            | Self::Hidden { .. }
            | Self::Credential { .. }
            | Self::Placeholder { .. } => StatusCode::FORBIDDEN,
        }
    }
}
