//! Thought signatures: sealed state that a client carries without reading it.
//!
//! A signature holds the hidden reasoning, encrypted with the server's own key and
//! bound to the project, so that stateless clients can bring it back (spec 03,
//! "Signatures"). Signatures from elsewhere are accepted and tell nothing.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};

use crate::ambient::Ambient;
use crate::store::ProjectId;

const NONCE_BYTES: usize = 24;

pub struct Seal {
    cipher: XChaCha20Poly1305,
}

impl Seal {
    /// `key` is the server's own, random and for this purpose alone.
    pub fn new(key: [u8; 32]) -> Self {
        Self { cipher: XChaCha20Poly1305::new(&key.into()) }
    }

    /// The signature that carries this reasoning: base64, never empty.
    pub(crate) fn sign(&self, project: ProjectId, reasoning: &str, ambient: &dyn Ambient) -> String {
        let mut nonce = [0; NONCE_BYTES];
        ambient.fill_random(&mut nonce);
        let payload = Payload { msg: reasoning.as_bytes(), aad: &project.0.to_le_bytes() };
        let mut sealed = nonce.to_vec();
        // The only error of this cipher is a message of more than 256 GiB.
        sealed.extend(self.cipher.encrypt(XNonce::from_slice(&nonce), payload).unwrap_or_default());
        STANDARD.encode(sealed)
    }

    /// The reasoning inside a signature that this server made for this project.
    pub(crate) fn open(&self, project: ProjectId, signature: &str) -> Option<String> {
        let sealed = STANDARD.decode(signature).ok()?;
        let (nonce, message) = sealed.split_at_checked(NONCE_BYTES)?;
        let payload = Payload { msg: message, aad: &project.0.to_le_bytes() };
        String::from_utf8(self.cipher.decrypt(XNonce::from_slice(nonce), payload).ok()?).ok()
    }
}
