//! What credentials become: headers, and what programs have placeholders of, while a request passes.

use std::collections::BTreeSet;

use antiphon_engine::ProjectId;
use antiphon_wire::{CredentialId, Host, InjectionLocation, Secret};
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

    /// What goes into requests to a host in the place of a credential's placeholder. None: the
    /// credential is not for this host, to which the placeholder means nothing.
    ///
    /// # Errors
    /// Why it cannot be told whether the credential is for this host.
    async fn swap(
        &self,
        project: ProjectId,
        credential: &CredentialId,
        host: &Host,
    ) -> Result<Option<Swap>, SecretRefused>;
}

/// A value, and where in a request it may be.
#[derive(Clone, Debug)]
pub struct Swap {
    pub value: Secret,
    pub locations: BTreeSet<InjectionLocation>,
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
    #[error("credentials of its type are not used so")]
    Unsupported,
    /// As when a service that gives out tokens does not.
    #[error("it is not available at the moment")]
    Unavailable,
}
