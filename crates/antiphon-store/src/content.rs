//! What people and models said, as it lies in the file.
//!
//! Every interaction has a key of its own, and everything said in it is sealed with that
//! key; deleting overwrites the key where it lies. SQLite's `secure_delete` alone does not
//! keep the promise that deleted bytes are gone: when a page is rebuilt after its
//! neighbours were deleted, cells that moved away stay behind as they were in the page's
//! unused part, out of reach of a later delete. Of 2,361 deleted in random order 8 were
//! still readable in the file (SQLite 3.51.3). With the key gone, such remains
//! mean nothing. The keys themselves never move (see `content_key` in the schema).
//!
//! This is for deleting, not against a thief of the file, which holds the keys too.

use antiphon_engine::{StoreError, Trace};
use chacha20poly1305::aead::Aead;
use chacha20poly1305::{KeyInit, XChaCha20Poly1305, XNonce};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::{Failed, Result, unavailable};

const KEY_BYTES: usize = 32;
const NONCE_BYTES: usize = 24;

/// What a deleted interaction's key is overwritten with.
pub(crate) const ERASED: [u8; KEY_BYTES] = [0; KEY_BYTES];

#[derive(Clone)]
pub(crate) struct ContentKey {
    cipher: XChaCha20Poly1305,
}

/// An event's or a step's body and tokens, encoded and not yet sealed.
pub(crate) struct Encoded {
    body: Vec<u8>,
    trace: Option<Vec<u8>>,
}

/// The same, sealed: the columns `body` and `trace`.
pub(crate) struct Sealed {
    pub(crate) body: Vec<u8>,
    pub(crate) trace: Option<Vec<u8>>,
}

impl ContentKey {
    /// A new key, and the bytes to keep it by.
    pub(crate) fn generate() -> Result<(Self, [u8; KEY_BYTES])> {
        let mut secret = [0; KEY_BYTES];
        fill_random(&mut secret)?;
        Ok((Self { cipher: XChaCha20Poly1305::new(&secret.into()) }, secret))
    }

    pub(crate) fn from_secret(secret: &[u8]) -> Result<Self> {
        match XChaCha20Poly1305::new_from_slice(secret) {
            Ok(cipher) => Ok(Self { cipher }),
            Err(_) => Err(corrupt("a content key", &format!("expected {KEY_BYTES} bytes, got {}", secret.len()))),
        }
    }

    /// The nonce and then the sealed bytes.
    pub(crate) fn seal(&self, plain: &[u8]) -> Result<Vec<u8>> {
        let mut nonce = [0; NONCE_BYTES];
        fill_random(&mut nonce)?;
        let sealed = self.cipher.encrypt(&XNonce::from(nonce), plain);
        let sealed = sealed.map_err(|error| unavailable("cannot seal content", &error))?;
        Ok([nonce.as_slice(), sealed.as_slice()].concat())
    }

    pub(crate) fn open(&self, sealed: &[u8]) -> Result<Vec<u8>> {
        let Some((nonce, sealed)) = sealed.split_first_chunk::<NONCE_BYTES>() else {
            return Err(corrupt("sealed content", &format!("it has {} bytes", sealed.len())));
        };
        self.cipher
            .decrypt(&XNonce::from(*nonce), sealed)
            .map_err(|_| corrupt("sealed content", &"it is not what was written with this key"))
    }

    pub(crate) fn seal_json(&self, value: &impl Serialize) -> Result<Vec<u8>> {
        self.seal(&to_json(value)?)
    }

    pub(crate) fn open_json<T: DeserializeOwned>(&self, sealed: &[u8]) -> Result<T> {
        from_json(&self.open(sealed)?)
    }

    pub(crate) fn seal_both(&self, encoded: &Encoded) -> Result<Sealed> {
        let trace = encoded.trace.as_deref().map(|trace| self.seal(trace)).transpose()?;
        Ok(Sealed { body: self.seal(&encoded.body)?, trace })
    }

    pub(crate) fn open_trace(&self, sealed: Option<&[u8]>) -> Result<Option<Trace>> {
        sealed.map(|sealed| trace_from_bytes(&self.open(sealed)?)).transpose()
    }
}

impl Encoded {
    pub(crate) fn new(body: &impl Serialize, trace: Option<&Trace>) -> Result<Self> {
        Ok(Self { body: to_json(body)?, trace: trace.map(trace_to_bytes).transpose()? })
    }
}

pub(crate) fn fill_random(bytes: &mut [u8]) -> Result<()> {
    getrandom::fill(bytes).map_err(|error| unavailable("the system gives no random bytes", &error))
}

pub(crate) fn to_json(value: &impl Serialize) -> Result<Vec<u8>> {
    serde_json::to_vec(value).map_err(|error| corrupt("JSON to be stored", &error))
}

/// Reads JSON that this store wrote, so without a limit on how deep it nests: the
/// request was limited when it came, and nests a little deeper as steps than as it came.
pub(crate) fn from_json<T: DeserializeOwned>(bytes: &[u8]) -> Result<T> {
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    reader.disable_recursion_limit();
    // The error's own words may hold what was said; its place cannot.
    T::deserialize(&mut reader).map_err(|error| {
        corrupt("stored JSON", &format!("it is not of its kind at line {} column {}", error.line(), error.column()))
    })
}

/// The fingerprint's length, the fingerprint, then the tokens; all numbers are 32-bit
/// little-endian.
fn trace_to_bytes(trace: &Trace) -> Result<Vec<u8>> {
    let length = u32::try_from(trace.fingerprint.len()).map_err(|error| corrupt("a trace to be stored", &error))?;
    let mut bytes = Vec::with_capacity(4 + trace.fingerprint.len() + 4 * trace.tokens.len());
    bytes.extend(length.to_le_bytes());
    bytes.extend(trace.fingerprint.as_bytes());
    bytes.extend(trace.tokens.iter().flat_map(|token| token.to_le_bytes()));
    Ok(bytes)
}

fn trace_from_bytes(bytes: &[u8]) -> Result<Trace> {
    let parts = || {
        let (length, rest) = bytes.split_first_chunk::<4>()?;
        let (fingerprint, tokens) = rest.split_at_checked(usize::try_from(u32::from_le_bytes(*length)).ok()?)?;
        let (tokens, []) = tokens.as_chunks::<4>() else { return None };
        let fingerprint = String::from_utf8(fingerprint.to_vec()).ok()?;
        Some(Trace { fingerprint, tokens: tokens.iter().map(|token| u32::from_le_bytes(*token)).collect() })
    };
    parts().ok_or_else(|| corrupt("a stored trace", &format!("its {} bytes are not of its form", bytes.len())))
}

pub(crate) fn corrupt(what: &str, why: &dyn std::fmt::Display) -> Failed {
    Failed(StoreError::Corrupt(format!("{what}: {why}")))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn traces_come_back_as_they_were(fingerprint in ".*", tokens in proptest::collection::vec(any::<u32>(), 0..50)) {
            let trace = Trace { fingerprint, tokens };
            let bytes = trace_to_bytes(&trace).unwrap();
            prop_assert_eq!(trace_from_bytes(&bytes).unwrap(), trace);
        }

        #[test]
        fn bytes_that_are_no_trace_are_an_error_and_no_panic(bytes in proptest::collection::vec(any::<u8>(), 0..50)) {
            let _ = trace_from_bytes(&bytes);
        }
    }

    #[test]
    fn only_its_own_key_opens_content() {
        let (key, secret) = ContentKey::generate().unwrap();
        let sealed = key.seal(b"planted").unwrap();
        assert!(!sealed.windows(7).any(|window| window == b"planted"));
        assert_eq!(ContentKey::from_secret(&secret).unwrap().open(&sealed).unwrap(), b"planted");
        assert!(matches!(ContentKey::from_secret(&ERASED).unwrap().open(&sealed), Err(Failed(StoreError::Corrupt(_)))));
        assert!(matches!(key.open(&sealed[..10]), Err(Failed(StoreError::Corrupt(_)))));
    }

    #[test]
    fn deep_json_is_read_again_and_its_errors_hold_nothing_of_it() {
        let deep = format!("{}{}", "[".repeat(200), "]".repeat(200));
        assert!(from_json::<serde_json::Value>(deep.as_bytes()).is_ok());
        let Err(Failed(error)) = from_json::<antiphon_wire::Status>(br#""planted""#) else { panic!("no status") };
        assert!(!error.to_string().contains("planted"), "{error}");
    }
}
