//! TLS that ends here: an authority that one environment's programs trust, and nobody else.

use std::sync::Arc;

use antiphon_wire::Host;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::egress::EgressError;

/// Its keys are in memory alone, and gone with it.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: CertificateDer<'static>,
    pem: String,
    /// Of every certificate that it gives out.
    key: KeyPair,
}

impl Authority {
    pub(crate) fn new() -> Result<Self, EgressError> {
        let failed = |error: rcgen::Error| EgressError::new(&error);
        let mut params = CertificateParams::default();
        params.distinguished_name = named("Antiphon, for the programs of one environment");
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let key = KeyPair::generate().map_err(failed)?;
        let certificate = params.self_signed(&key).map_err(failed)?;
        Ok(Self {
            certificate: certificate.der().clone(),
            pem: certificate.pem(),
            issuer: Issuer::new(params, key),
            key: KeyPair::generate().map_err(failed)?,
        })
    }

    pub(crate) fn pem(&self) -> &str {
        &self.pem
    }

    /// What it takes to be a host.
    pub(crate) fn server(&self, host: &Host) -> Result<Arc<ServerConfig>, EgressError> {
        let failed = |error: rcgen::Error| EgressError::new(&error);
        let mut params = CertificateParams::new([host.as_str().to_owned()]).map_err(failed)?;
        params.distinguished_name = named("Antiphon");
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        let certificate = params.signed_by(&self.key, &self.issuer).map_err(failed)?;
        let chain = vec![certificate.der().clone(), self.certificate.clone()];
        let key = PrivateKeyDer::Pkcs8(self.key.serialize_der().into());
        let mut config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, key))
            .map_err(|error| EgressError::new(&error))?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Arc::new(config))
    }
}

fn named(name: &str) -> DistinguishedName {
    let mut named = DistinguishedName::new();
    named.push(DnType::CommonName, name);
    named
}
