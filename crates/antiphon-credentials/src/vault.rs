//! The key, and what it seals.
//!
//! The key is in a file of its own, beside the database and not in it, so that a copy of the
//! database alone tells nothing. It is read for each use: what a server does without its key is
//! then the same from its start to its end.

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::PathBuf;

use antiphon_engine::{Ambient, ProjectId};
use antiphon_wire::{CredentialConfig, CredentialId};
use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use zeroize::Zeroizing;

use crate::failure::{Failure, Outcome};

const KEY_BYTES: usize = 32;
const NONCE_BYTES: usize = 24;

/// What the key is known again by. Shorter than what any credential is bound to.
const KNOWN: &[u8] = b"known";

pub(crate) struct Vault {
    file: PathBuf,
}

/// The key as it was read, which is wiped with this.
pub(crate) struct Key(XChaCha20Poly1305);

impl Vault {
    pub(crate) fn new(file: PathBuf) -> Self {
        Self { file }
    }

    /// The key that sealed `known`.
    ///
    /// # Errors
    /// `Locked` when it is not there, is another one, or others may read it.
    pub(crate) fn key(&self, known: &[u8]) -> Outcome<Key> {
        let key = self.read()?.ok_or_else(|| self.locked("it is not there"))?;
        match key.open(KNOWN, known) {
            Some(text) if *text == KNOWN => Ok(key),
            Some(_) | None => Err(self.locked("it is not the key that the credentials are sealed with")),
        }
    }

    /// The key that nothing is sealed with yet, made if there is none, and what it is known by.
    pub(crate) fn first_key(&self, ambient: &dyn Ambient) -> Outcome<(Key, Vec<u8>)> {
        let key = match self.read()? {
            Some(key) => key,
            None => self.make(ambient)?,
        };
        let known = key.seal(KNOWN, KNOWN, ambient)?;
        Ok((key, known))
    }

    fn read(&self) -> Outcome<Option<Key>> {
        let mut file = match File::open(&self.file) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            opened => opened.map_err(|error| self.locked(&error.to_string()))?,
        };
        if file.metadata()?.mode() & 0o077 != 0 {
            return Err(self.locked("others may read it, expected the mode 0600"));
        }
        let mut bytes = Zeroizing::new([0; KEY_BYTES + 1]);
        let mut length = 0;
        while length < bytes.len() {
            match file.read(&mut bytes[length..])? {
                0 => break,
                count => length += count,
            }
        }
        if length != KEY_BYTES {
            return Err(self.locked("expected 32 bytes"));
        }
        Ok(Some(Key(XChaCha20Poly1305::new(bytes[..KEY_BYTES].into()))))
    }

    /// Writes a new key: whole, durable, and its owner's alone, or not at all.
    fn make(&self, ambient: &dyn Ambient) -> Outcome<Key> {
        let mut bytes = Zeroizing::new([0; KEY_BYTES]);
        ambient.fill_random(&mut *bytes);
        let partial = self.file.with_extension("new");
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&partial)?;
        file.write_all(&*bytes)?;
        file.sync_all()?;
        fs::rename(&partial, &self.file)?;
        if let Some(folder) = self.file.parent() {
            File::open(folder)?.sync_all()?;
        }
        Ok(Key(XChaCha20Poly1305::new((&*bytes).into())))
    }

    fn locked(&self, why: &str) -> Failure {
        Failure::Locked(format!("`{}`: {why}", self.file.display()))
    }
}

impl Key {
    /// Seals what a credential holds. What is sealed is that of this project and id alone.
    pub(crate) fn seal_config(
        &self,
        project: ProjectId,
        id: &CredentialId,
        config: &CredentialConfig,
        ambient: &dyn Ambient,
    ) -> Outcome<Vec<u8>> {
        // The error's own words could hold what was kept.
        let plain = serde_json::to_vec(config).map_err(|_| Failure::broken("a credential cannot be written"))?;
        self.seal(&bound_to(project, id), &Zeroizing::new(plain), ambient)
    }

    pub(crate) fn open_config(
        &self,
        project: ProjectId,
        id: &CredentialId,
        sealed: &[u8],
    ) -> Outcome<CredentialConfig> {
        let plain = self.open(&bound_to(project, id), sealed);
        let config = plain.and_then(|plain| serde_json::from_slice(&plain).ok());
        config.ok_or_else(|| Failure::broken(format!("the credential `{id}` is damaged")))
    }

    fn seal(&self, bound: &[u8], plain: &[u8], ambient: &dyn Ambient) -> Outcome<Vec<u8>> {
        let mut nonce = [0; NONCE_BYTES];
        ambient.fill_random(&mut nonce);
        let payload = Payload { msg: plain, aad: bound };
        let sealed = self.0.encrypt(XNonce::from_slice(&nonce), payload).map_err(Failure::broken)?;
        Ok([nonce.as_slice(), &sealed].concat())
    }

    fn open(&self, bound: &[u8], sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        let (nonce, sealed) = sealed.split_at_checked(NONCE_BYTES)?;
        let payload = Payload { msg: sealed, aad: bound };
        self.0.decrypt(XNonce::from_slice(nonce), payload).ok().map(Zeroizing::new)
    }
}

fn bound_to(project: ProjectId, id: &CredentialId) -> Vec<u8> {
    [project.0.to_le_bytes().as_slice(), id.as_str().as_bytes()].concat()
}
