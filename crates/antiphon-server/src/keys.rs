//! Keys: `antiphon_<id>_<secret><checksum>`, 10, 32 and 6 base62 characters.
//!
//! The prefix lets secret scanners find a leaked key, the id names it in lists and in
//! the store, the secret has 190 bits, and the checksum (CRC-32 of all before it) tells
//! a typing error without asking the store. Kept is HMAC-SHA-256(pepper, secret): for a
//! random secret a fast hash is as good as a slow one, and a slow one per request would
//! let anybody keep the server busy.

use antiphon_engine::{Ambient, KeyRecord, ProjectId};
use hmac::{Hmac, Mac};
use sha2::Sha256;
use subtle::ConstantTimeEq;

const PREFIX: &str = "antiphon_";
const ID_LENGTH: usize = 10;
const SECRET_LENGTH: usize = 32;
const CHECKSUM_LENGTH: usize = 6;
const BASE62: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// Makes keys and checks them. Holds the pepper: the part of the hash that is not in the
/// database, so that the database alone cannot tell whether a guess is right.
#[derive(Clone)]
pub struct KeyMaker {
    pepper: [u8; 32],
}

/// A key that was just made. `text` exists only here; nothing can show it again.
pub struct NewKey {
    /// What the client sends.
    pub text: String,
    /// What the store keeps.
    pub record: KeyRecord,
}

impl KeyMaker {
    pub fn new(pepper: [u8; 32]) -> Self {
        Self { pepper }
    }

    /// Makes a key of a project. It is valid once its record is in the store.
    pub fn make(&self, ambient: &dyn Ambient, project: ProjectId, project_name: &str, name: &str) -> NewKey {
        let id = random_base62(ambient, ID_LENGTH);
        let secret = random_base62(ambient, SECRET_LENGTH);
        let body = format!("{PREFIX}{id}_{secret}");
        let text = format!("{body}{}", checksum(&body));
        let record = KeyRecord {
            hash: self.hash(&secret),
            id,
            project,
            project_name: project_name.to_owned(),
            name: name.to_owned(),
            created: ambient.now(),
            revoked: None,
        };
        NewKey { text, record }
    }

    /// Whether the secret is the one that the record was made of, in constant time.
    pub(crate) fn proves(&self, presented: &Presented<'_>, record: &KeyRecord) -> bool {
        self.hash(presented.secret).ct_eq(&record.hash).into()
    }

    fn hash(&self, secret: &str) -> [u8; 32] {
        let Ok(mac) = Hmac::<Sha256>::new_from_slice(&self.pepper) else {
            unreachable!("HMAC takes a key of any length");
        };
        mac.chain_update(secret).finalize().into_bytes().into()
    }
}

/// A well-formed key that somebody sent; whether it is valid is not known yet.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Presented<'a> {
    pub(crate) id: &'a str,
    secret: &'a str,
}

impl<'a> Presented<'a> {
    /// `None` when the form or the checksum is wrong.
    pub(crate) fn parse(text: &'a str) -> Option<Self> {
        let (body, sum) = text.split_at_checked(text.len().checked_sub(CHECKSUM_LENGTH)?)?;
        let (id, secret) = body.strip_prefix(PREFIX)?.split_once('_')?;
        let base62 = |part: &str| part.bytes().all(|byte| byte.is_ascii_alphanumeric());
        let well_formed = id.len() == ID_LENGTH && secret.len() == SECRET_LENGTH && base62(id) && base62(secret);
        (well_formed && checksum(body) == sum).then_some(Self { id, secret })
    }
}

fn random_base62(ambient: &dyn Ambient, length: usize) -> String {
    let mut text = String::with_capacity(length);
    let mut bytes = [0; 64];
    while text.len() < length {
        ambient.fill_random(&mut bytes);
        // 248 = 4 · 62: larger bytes would make the first letters likelier.
        let digits = bytes.iter().filter(|&&byte| byte < 248).map(|&byte| char::from(BASE62[usize::from(byte % 62)]));
        text.extend(digits.take(length - text.len()));
    }
    text
}

fn checksum(body: &str) -> String {
    let mut rest = crc32(body.as_bytes()) as usize;
    let mut digits = [b'0'; CHECKSUM_LENGTH];
    for digit in digits.iter_mut().rev() {
        *digit = BASE62[rest % 62];
        rest /= 62;
    }
    digits.map(char::from).iter().collect()
}

/// CRC-32 as in ISO 3309 (reflected, polynomial 0xEDB88320).
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |crc, &byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| (crc >> 1) ^ (0xEDB8_8320 & (crc & 1).wrapping_neg()))
    })
}

#[cfg(test)]
mod tests;
