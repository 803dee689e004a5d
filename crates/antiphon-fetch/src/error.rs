//! Why nothing was fetched, and how little of it is told.
//!
//! Whoever gives addresses must not learn from the answers what listens where in our own
//! network: refused by us, refused by the host, filtered, silent and unknown all read alike.
//! The variants are for our own log and for the status of a result.

use crate::sniff::MimeError;

/// Of a refused, filtered, silent or unknown address.
const NOT_FETCHED: &str = "the address could not be fetched";

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FetchError {
    /// By policy, before anything was sent there.
    #[error("{NOT_FETCHED}")]
    Refused(Refusal),
    #[error("{NOT_FETCHED}")]
    Unreachable(Failure),
    /// The host answered with something else than success.
    #[error("the answer's HTTP status is {0}")]
    Status(u16),
    #[error("the content is larger than {limit} bytes")]
    Size { limit: usize },
    #[error("{0}")]
    Type(#[from] MimeError),
    #[error("one request can name {limit} addresses at most")]
    TooMany { limit: usize },
}

impl FetchError {
    /// Whether the address itself is to blame, as `unsafe` in the status of a result.
    pub fn is_unsafe(&self) -> bool {
        match self {
            Self::Refused(refusal) => match refusal {
                Refusal::Malformed
                | Refusal::Scheme
                | Refusal::UserInfo
                | Refusal::Port
                | Refusal::Own
                | Refusal::Address
                | Refusal::Downgrade => true,
                Refusal::Robots | Refusal::Redirects => false,
            },
            Self::Unreachable(_) | Self::Status(_) | Self::Size { .. } | Self::Type(_) | Self::TooMany { .. } => false,
        }
    }
}

/// What of an address is not allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{NOT_FETCHED}")]
pub enum Refusal {
    /// No address, or one that two readers would read differently.
    Malformed,
    /// Neither `http` nor `https`.
    Scheme,
    /// It holds a name or a password.
    UserInfo,
    Port,
    /// It leads back to this server.
    Own,
    /// Its host is, or resolves to, no public address.
    Address,
    /// A redirect from `https` to `http`.
    Downgrade,
    /// More redirects than allowed, or a circle of them.
    Redirects,
    /// The host asks programs to leave it alone.
    Robots,
}

/// Where a fetch ended that was allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// No such name, no connection, or no TLS.
    Connection,
    /// No answer, or the rest of it did not come, in time.
    Timeout,
    /// What came is not HTTP, broke off, or does not decode.
    Broken,
}
