//! Thought signatures: sealed state that a client carries without reading it.
//!
//! A signature holds the hidden reasoning and what its model wants back with it,
//! encrypted with the server's own key and bound to the project, so that stateless
//! clients can bring it back (spec 03, "Signatures"). Signatures from elsewhere tell
//! nothing here; they go to backends that may know them.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};

use serde::{Deserialize, Serialize};

use crate::ambient::Ambient;
use crate::backend::{DRAWN, Signature, Thought};
use crate::store::ProjectId;
use crate::tool::FoundIn;

const NONCE_BYTES: usize = 24;

pub struct Seal {
    cipher: XChaCha20Poly1305,
}

impl Seal {
    /// `key` is the server's own, random and for this purpose alone.
    pub fn new(key: [u8; 32]) -> Self {
        Self { cipher: XChaCha20Poly1305::new(&key.into()) }
    }

    /// The signature that carries this thought: base64, never empty.
    pub(crate) fn sign(&self, project: ProjectId, thought: &Thought, ambient: &dyn Ambient) -> String {
        let message = match &thought.signature {
            // A client may have it from there, and may take it there.
            Some(Signature { origin: None, value }) if !value.is_empty() => return value.clone(),
            None if !thought.text.starts_with(SIGNED) => thought.text.clone(),
            signature => {
                let (origin, value) =
                    signature.as_ref().map_or((None, ""), |own| (own.origin.as_deref(), own.value.as_str()));
                let signed =
                    Signed { text: Cow::Borrowed(&thought.text), origin: origin.map(Into::into), value: value.into() };
                format!("{SIGNED}{}", serde_json::to_string(&signed).unwrap_or_default())
            }
        };
        self.seal(project, &message, ambient)
    }

    /// What the model was told of a tool's result, sealed.
    pub(crate) fn sign_told(&self, project: ProjectId, told: &Told, ambient: &dyn Ambient) -> String {
        let told = serde_json::to_string(told).unwrap_or_default();
        self.seal(project, &format!("{SIGNED}{told}"), ambient)
    }

    /// What [`Seal::sign_told`] sealed for this project.
    pub(crate) fn open_told(&self, project: ProjectId, signature: &str) -> Option<Told> {
        serde_json::from_str(self.unseal(project, signature)?.strip_prefix(SIGNED)?).ok()
    }

    /// What the picture behind a thought was made of, if it was drawn for this project.
    pub fn drawing(&self, project: ProjectId, signature: &str) -> Option<String> {
        let own = self.open(project, signature).signature?;
        (own.origin.as_deref() == Some(DRAWN)).then_some(own.value)
    }

    /// What the model was told of a medium, sealed.
    pub(crate) fn sign_perceived(&self, project: ProjectId, perceived: &Perceived, ambient: &dyn Ambient) -> String {
        let perceived = serde_json::to_string(perceived).unwrap_or_default();
        self.seal(project, &format!("{SIGNED}{perceived}"), ambient)
    }

    /// What [`Seal::sign_perceived`] sealed for this project.
    pub(crate) fn open_perceived(&self, project: ProjectId, signature: &str) -> Option<Perceived> {
        serde_json::from_str(self.unseal(project, signature)?.strip_prefix(SIGNED)?).ok()
    }

    fn seal(&self, project: ProjectId, message: &str, ambient: &dyn Ambient) -> String {
        let mut nonce = [0; NONCE_BYTES];
        ambient.fill_random(&mut nonce);
        let payload = Payload { msg: message.as_bytes(), aad: &project.0.to_le_bytes() };
        let mut sealed = nonce.to_vec();
        // The only error of this cipher is a message of more than 256 GiB.
        sealed.extend(self.cipher.encrypt(XNonce::from_slice(&nonce), payload).unwrap_or_default());
        STANDARD.encode(sealed)
    }

    /// The thought behind a signature: what this server sealed for this project, or one of
    /// which only the signature is known.
    pub(crate) fn open(&self, project: ProjectId, signature: &str) -> Thought {
        let Some(message) = self.unseal(project, signature) else {
            let foreign = Signature { origin: None, value: signature.to_owned() };
            return Thought { text: String::new(), signature: Some(foreign) };
        };
        let Some(signed) = message.strip_prefix(SIGNED) else {
            return Thought { text: message, signature: None };
        };
        let Ok(signed) = serde_json::from_str::<Signed<'_>>(signed) else { return Thought::default() };
        let signature = signed
            .origin
            .map(|origin| Signature { origin: Some(origin.into_owned()), value: signed.value.into_owned() });
        Thought { text: signed.text.into_owned(), signature }
    }

    fn unseal(&self, project: ProjectId, signature: &str) -> Option<String> {
        let sealed = STANDARD.decode(signature).ok()?;
        let (nonce, message) = sealed.split_at_checked(NONCE_BYTES)?;
        let payload = Payload { msg: message, aad: &project.0.to_le_bytes() };
        String::from_utf8(self.cipher.decrypt(XNonce::from_slice(nonce), payload).ok()?).ok()
    }
}

/// What a model was told of the result of a tool, which the step does not show.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Told {
    /// The whole text, sources included.
    pub(crate) told: String,
    /// The sources in it, by their numbers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) sources: Vec<ToldSource>,
}

/// Where a source's text stands is what is kept of it: the text is in [`Told::told`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ToldSource {
    pub(crate) number: u32,
    pub(crate) url: String,
    pub(crate) title: String,
    pub(crate) site: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) file: Option<FoundIn>,
    /// Bytes of [`Told::told`].
    pub(crate) start: usize,
    pub(crate) end: usize,
}

/// What a model was told of a medium that it does not take.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Perceived {
    /// Of the medium and of how it is to be read.
    pub(crate) key: String,
    pub(crate) told: String,
}

/// What a sealed message begins with that holds more than words.
const SIGNED: char = '\0';

#[derive(Serialize, Deserialize)]
struct Signed<'a> {
    text: Cow<'a, str>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    origin: Option<Cow<'a, str>>,
    #[serde(default)]
    value: Cow<'a, str>,
}
