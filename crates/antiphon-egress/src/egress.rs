//! The egress of one server, and the passages that it opens: one for each run that works in an
//! environment with an allowlist.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::mem;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use antiphon_engine::ProjectId;
use antiphon_fetch::{Lookup, Network};
use antiphon_wire::{AllowedHost, CredentialId, Host};
use rustls::pki_types::CertificateDer;
use rustls::{ClientConfig, RootCertStore};
use rustls_platform_verifier::BuilderVerifierExt as _;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

use crate::authority::Authority;
use crate::dial::{Dialed, Dialer};
use crate::meter::Meter;
use crate::proxy;
use crate::refusal::Refusal;
use crate::rules::Rules;
use crate::secrets::Secrets;

/// Of what was refused, so much is remembered for whoever asks.
const MOST_REFUSALS: usize = 8;

/// How much one passage may be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EgressLimits {
    /// At a time; more wait.
    pub connections: usize,
    /// Of all connections, both ways.
    pub bytes: u64,
    /// Until a host answers a connection, or a name is resolved.
    pub connect: Duration,
    /// Until a request's head, or the beginning of TLS, is there.
    pub head: Duration,
    /// Of one connection, whatever it is used for.
    pub connection: Duration,
}

impl Default for EgressLimits {
    fn default() -> Self {
        Self {
            connections: 64,
            bytes: 1 << 30,
            connect: Duration::from_secs(5),
            head: Duration::from_secs(10),
            connection: Duration::from_secs(600),
        }
    }
}

/// Whom hosts have to be known by, where TLS to them begins here.
#[derive(Clone, Debug)]
pub enum Roots {
    /// The authorities that the machine trusts.
    Platform,
    /// These, and no others.
    Only(Vec<CertificateDer<'static>>),
}

pub struct EgressOptions {
    pub lookup: Arc<dyn Lookup>,
    /// What else than the public internet may be reached.
    pub networks: Vec<Network>,
    /// Where hosts are dialled instead, for tests and mirrors. The operator's word: the place is
    /// not checked. The allowlist decides on the host as ever.
    pub rewrites: BTreeMap<(Host, u16), SocketAddr>,
    pub roots: Roots,
    /// The authorities that programs are to trust, as PEM.
    pub trusted: Vec<u8>,
    /// None: no credential can be used.
    pub secrets: Option<Arc<dyn Secrets>>,
    pub limits: EgressLimits,
    /// For tests.
    pub dialed: Option<Dialed>,
}

/// Why there is no egress.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("programs cannot reach a network: {0}")]
pub struct EgressError(String);

impl EgressError {
    pub(crate) fn new(error: &dyn fmt::Display) -> Self {
        Self(error.to_string())
    }
}

/// A handle; its clones are handles to the same.
#[derive(Clone)]
pub struct Egress {
    shared: Arc<Shared>,
}

pub(crate) struct Shared {
    pub(crate) dialer: Dialer,
    pub(crate) tls: Arc<ClientConfig>,
    trusted: Vec<u8>,
    pub(crate) secrets: Option<Arc<dyn Secrets>>,
    pub(crate) limits: EgressLimits,
}

/// What the programs of one run may reach. A handle; its clones are handles to the same.
#[derive(Clone)]
pub struct Passage {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) shared: Arc<Shared>,
    pub(crate) project: ProjectId,
    rules: RwLock<Arc<Rules>>,
    pub(crate) placeholders: BTreeMap<String, CredentialId>,
    pub(crate) authority: Authority,
    pub(crate) permits: Arc<Semaphore>,
    pub(crate) meter: Arc<Meter>,
    refused: Mutex<BTreeSet<String>>,
}

impl Egress {
    /// # Errors
    /// The machine has no usable TLS.
    pub fn new(options: EgressOptions) -> Result<Self, EgressError> {
        let EgressOptions { lookup, networks, rewrites, roots, trusted, secrets, limits, dialed } = options;
        let builder = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| EgressError::new(&error))?;
        let builder = match roots {
            Roots::Platform => builder.with_platform_verifier().map_err(|error| EgressError::new(&error))?,
            Roots::Only(certificates) => {
                let mut store = RootCertStore::empty();
                store.add_parsable_certificates(certificates);
                builder.with_root_certificates(store)
            }
        };
        let mut tls = builder.with_no_client_auth();
        tls.alpn_protocols = vec![b"http/1.1".to_vec()];
        let dialer = Dialer { lookup, networks, rewrites, dialed, connect: limits.connect };
        Ok(Self { shared: Arc::new(Shared { dialer, tls: Arc::new(tls), trusted, secrets, limits }) })
    }

    /// A passage for a run of a project, with an authority of its own. `placeholders`: what its
    /// programs have in the place of a credential's value.
    ///
    /// # Errors
    /// The machine makes no keys.
    pub fn open(
        &self,
        project: ProjectId,
        allowed: Vec<AllowedHost>,
        placeholders: BTreeMap<String, CredentialId>,
    ) -> Result<Passage, EgressError> {
        let limits = &self.shared.limits;
        let inner = Inner {
            shared: Arc::clone(&self.shared),
            project,
            rules: RwLock::new(Arc::new(Rules::new(allowed))),
            placeholders,
            authority: Authority::new()?,
            permits: Arc::new(Semaphore::new(limits.connections)),
            meter: Meter::new(limits.bytes),
            refused: Mutex::default(),
        };
        Ok(Passage { inner: Arc::new(inner) })
    }
}

impl Passage {
    /// Replaces the allowlist, for connections that come from now on.
    pub fn allow(&self, allowed: Vec<AllowedHost>) {
        *self.inner.rules.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(Rules::new(allowed));
    }

    /// The certificate that programs have to trust, as PEM. None while TLS passes untouched.
    pub fn certificate(&self) -> Option<&str> {
        let ends_somewhere = self.rules().end_tls() || !self.inner.placeholders.is_empty();
        ends_somewhere.then(|| self.inner.authority.pem())
    }

    /// All that programs are to trust, as PEM: what the operator says, and that certificate.
    pub fn trusted(&self) -> Vec<u8> {
        let mut trusted = self.inner.shared.trusted.clone();
        if let Some(own) = self.certificate() {
            trusted.extend_from_slice(b"\n");
            trusted.extend_from_slice(own.as_bytes());
        }
        trusted
    }

    /// Takes the connections of programs, which are ended when this future is dropped.
    pub async fn serve(&self, listener: TcpListener) {
        proxy::serve(self, &listener).await;
    }

    /// Some of what was refused since this was last asked, in words.
    pub fn refused(&self) -> Vec<String> {
        let refused = mem::take(&mut *self.inner.refused.lock().unwrap_or_else(PoisonError::into_inner));
        refused.into_iter().collect()
    }

    pub(crate) fn rules(&self) -> Arc<Rules> {
        Arc::clone(&self.inner.rules.read().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn note(&self, refusal: &Refusal) {
        let mut refused = self.inner.refused.lock().unwrap_or_else(PoisonError::into_inner);
        if refused.len() < MOST_REFUSALS {
            refused.insert(refusal.to_string());
        }
    }
}

impl fmt::Debug for Egress {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Egress").field("limits", &self.shared.limits).finish_non_exhaustive()
    }
}

impl fmt::Debug for Passage {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Passage").field("project", &self.inner.project).finish_non_exhaustive()
    }
}
