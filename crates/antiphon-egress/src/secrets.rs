//! What credentials become: headers, made while a request passes.

use antiphon_engine::ProjectId;
use antiphon_wire::Host;
use async_trait::async_trait;
use hyper::header::{HeaderName, HeaderValue};

/// The credentials of projects. Their secrets are asked for with each request, so that one that
/// was changed or revoked is so with the next; none is kept here.
#[async_trait]
pub trait Secrets: Send + Sync {
    /// The header that a credential of a project is for a host. Whatever header of this name a
    /// program sends itself is replaced.
    ///
    /// # Errors
    /// Why the credential is not for this host, or for nobody.
    async fn header(
        &self,
        project: ProjectId,
        credential: &str,
        host: &Host,
    ) -> Result<(HeaderName, HeaderValue), SecretRefused>;
}

/// Why a credential is not used. The program reads it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SecretRefused {
    #[error("it does not exist")]
    Absent,
    #[error("it was revoked")]
    Revoked,
    #[error("it is not for this host")]
    NotForHost,
    #[error("credentials of its type are not used by this server yet")]
    Unsupported,
    /// As when a service that gives out tokens does not.
    #[error("it is not available at the moment")]
    Unavailable,
}
