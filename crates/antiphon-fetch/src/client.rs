//! HTTP clients: one for each purpose, whose connections go nowhere but where they may.

use std::sync::Arc;

use reqwest::{Client, ClientBuilder, redirect, retry};
use rustls_platform_verifier::BuilderVerifierExt as _;

use crate::gate::Gate;
use crate::options::{FetchOptions, Purpose};
use crate::resolver::{GuardedResolver, Lookup};

/// The machine has no usable TLS.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no HTTP client: {0}")]
pub struct ClientError(String);

pub(crate) struct Clients {
    page: Client,
    media: Client,
    mcp: Client,
    webhook: Client,
    token: Client,
    /// For what the operator rewrote.
    pub(crate) local: Client,
}

impl Clients {
    pub(crate) fn new(options: &FetchOptions, gate: &Arc<Gate>, lookup: &Arc<dyn Lookup>) -> Result<Self, ClientError> {
        let failed = |error: &dyn std::fmt::Display| ClientError(error.to_string());
        let tls = rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .and_then(|builder| builder.with_platform_verifier())
            .map_err(|error| failed(&error))?
            .with_no_client_auth();
        let guarded = |purpose| {
            let resolver = GuardedResolver { purpose, gate: Arc::clone(gate), lookup: Arc::clone(lookup) };
            let client = builder(options, tls.clone()).dns_resolver(Arc::new(resolver)).build();
            client.map_err(|error| failed(&error))
        };
        Ok(Self {
            page: guarded(Purpose::Page)?,
            media: guarded(Purpose::Media)?,
            mcp: guarded(Purpose::Mcp)?,
            webhook: guarded(Purpose::Webhook)?,
            token: guarded(Purpose::Token)?,
            local: builder(options, tls.clone()).build().map_err(|error| failed(&error))?,
        })
    }

    pub(crate) fn guarded(&self, purpose: Purpose) -> &Client {
        match purpose {
            Purpose::Page => &self.page,
            Purpose::Media => &self.media,
            Purpose::Mcp => &self.mcp,
            Purpose::Webhook => &self.webhook,
            Purpose::Token => &self.token,
        }
    }
}

/// Nothing around the process decides where a client goes, and nothing is kept between requests
/// but connections. Bodies are decoded by us, where they are counted.
fn builder(options: &FetchOptions, tls: rustls::ClientConfig) -> ClientBuilder {
    Client::builder()
        .tls_backend_preconfigured(tls)
        .user_agent(&options.user_agent)
        .connect_timeout(options.limits.connect)
        .redirect(redirect::Policy::none())
        .retry(retry::never())
        .referer(false)
        .no_proxy()
        .tcp_nodelay(true)
}
