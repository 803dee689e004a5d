//! The bytes of a medium: in memory as they came, or kept elsewhere when they are many.
//!
//! Base64 of 100 MB that is parsed, copied and stored as text is in memory several times. Bytes
//! that are [`Kept`] are read piece by piece by whoever needs them, and travel as a mark meanwhile:
//! a short text that is no base64 and that nobody outside can know.

use std::fmt;
use std::io;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest as _, Sha256};

/// Longer texts of base64 are better kept elsewhere; in bytes.
pub const MOST_IN_MEMORY: usize = 256 << 10;

/// What every mark begins with. Base64 has no colon.
pub const MARK: &str = "kept:";

/// Read at one time; whole groups of base64.
const PIECE: usize = 48 << 10;

/// Bytes somewhere else than in memory. They do not change.
pub trait Kept: fmt::Debug + Send + Sync {
    /// What stands for them in text: [`MARK`] and then letters, digits and colons.
    fn mark(&self) -> &str;

    /// In bytes.
    fn size(&self) -> u64;

    /// In hexadecimal.
    fn sha256(&self) -> &str;

    /// Fills `buffer` from `offset` on; gives how much of it, which is less only at the end.
    ///
    /// # Errors
    /// When they cannot be read any more.
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize>;
}

/// The bytes of a medium. To a client they are base64 (RFC 4648 §4, padded) in any case.
#[derive(Clone, Debug)]
pub enum Data {
    /// That base64.
    Text(Arc<str>),
    Kept(Arc<dyn Kept>),
}

impl Data {
    pub fn is_empty(&self) -> bool {
        match self {
            Self::Text(text) => text.is_empty(),
            Self::Kept(kept) => kept.size() == 0,
        }
    }

    pub fn kept(&self) -> Option<&Arc<dyn Kept>> {
        match self {
            Self::Text(_) => None,
            Self::Kept(kept) => Some(kept),
        }
    }

    /// The mark that stands in place of bytes, if it is one.
    pub fn mark(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(&**text).filter(|text| text.starts_with(MARK)),
            Self::Kept(_) => None,
        }
    }

    /// How many bytes they are.
    pub fn size(&self) -> u64 {
        match self {
            Self::Text(text) => {
                let padding = text.bytes().rev().take_while(|letter| *letter == b'=').count();
                (text.len() / 4 * 3).saturating_sub(padding) as u64
            }
            Self::Kept(kept) => kept.size(),
        }
    }

    /// In hexadecimal.
    pub fn sha256(&self) -> String {
        match self {
            Self::Text(_) => hexadecimal(&Sha256::digest(self.bytes().unwrap_or_default())),
            Self::Kept(kept) => kept.sha256().to_owned(),
        }
    }

    /// The first `most` of the bytes, or all.
    ///
    /// # Errors
    /// When they cannot be read.
    pub fn head(&self, most: usize) -> io::Result<Vec<u8>> {
        match self {
            Self::Text(text) => {
                let letters = most.div_ceil(3).saturating_mul(4).min(text.len());
                let mut bytes = decoded(&text.as_bytes()[..letters])?;
                bytes.truncate(most);
                Ok(bytes)
            }
            Self::Kept(kept) => {
                let mut bytes = vec![0; most.min(usize::try_from(kept.size()).unwrap_or(most))];
                let read = kept.read_at(0, &mut bytes)?;
                bytes.truncate(read);
                Ok(bytes)
            }
        }
    }

    /// All of the bytes, in memory.
    ///
    /// # Errors
    /// When they cannot be read.
    pub fn bytes(&self) -> io::Result<Vec<u8>> {
        self.head(usize::try_from(self.size()).unwrap_or(usize::MAX))
    }

    /// Gives the bytes out in their order, piece by piece.
    ///
    /// # Errors
    /// When they cannot be read, and those of `take`.
    pub fn each_piece(&self, mut take: impl FnMut(&[u8]) -> io::Result<()>) -> io::Result<()> {
        match self {
            Self::Text(text) => text.as_bytes().chunks(PIECE / 3 * 4).try_for_each(|piece| take(&decoded(piece)?)),
            Self::Kept(kept) => {
                let (mut piece, mut offset) = (vec![0; PIECE], 0);
                loop {
                    match kept.read_at(offset, &mut piece)? {
                        0 => return Ok(()),
                        read => {
                            take(&piece[..read])?;
                            offset += read as u64;
                        }
                    }
                }
            }
        }
    }
}

/// Bytes in hexadecimal.
pub fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn decoded(letters: &[u8]) -> io::Result<Vec<u8>> {
    STANDARD.decode(letters).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
}

impl Default for Data {
    fn default() -> Self {
        Self::from("")
    }
}

impl From<&str> for Data {
    fn from(text: &str) -> Self {
        Self::Text(text.into())
    }
}

impl From<String> for Data {
    fn from(text: String) -> Self {
        Self::Text(text.into())
    }
}

impl From<Arc<dyn Kept>> for Data {
    fn from(kept: Arc<dyn Kept>) -> Self {
        Self::Kept(kept)
    }
}

impl PartialEq for Data {
    /// Of kept bytes whether they are the same ones; no two have the same mark.
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Text(one), Self::Text(other)) => one == other,
            (Self::Kept(one), Self::Kept(other)) => one.mark() == other.mark(),
            (Self::Text(_), Self::Kept(_)) | (Self::Kept(_), Self::Text(_)) => false,
        }
    }
}

/// Base64, or the mark.
impl fmt::Display for Data {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => formatter.write_str(text),
            Self::Kept(kept) => formatter.write_str(kept.mark()),
        }
    }
}

/// Base64 in any case.
impl Serialize for Data {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Text(text) => serializer.serialize_str(text),
            Self::Kept(_) => serializer.collect_str(&Base64(self)),
        }
    }
}

impl<'de> Deserialize<'de> for Data {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self::from)
    }
}

struct Base64<'a>(&'a Data);

impl fmt::Display for Base64<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut letters = String::with_capacity(PIECE / 3 * 4);
        let written = self.0.each_piece(|piece| {
            letters.clear();
            STANDARD.encode_string(piece, &mut letters);
            formatter.write_str(&letters).map_err(io::Error::other)
        });
        written.map_err(|_| fmt::Error)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[derive(Debug)]
    struct Remembered(Vec<u8>, String);

    impl Kept for Remembered {
        fn mark(&self) -> &str {
            "kept:1"
        }

        fn size(&self) -> u64 {
            self.0.len() as u64
        }

        fn sha256(&self) -> &str {
            &self.1
        }

        fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
            let rest = self.0.get(usize::try_from(offset).unwrap()..).unwrap_or_default();
            let read = rest.len().min(buffer.len());
            buffer[..read].copy_from_slice(&rest[..read]);
            Ok(read)
        }
    }

    proptest! {
        #[test]
        fn wherever_bytes_are_they_are_told_alike(
            length in prop_oneof![0..9_usize, PIECE - 3..PIECE + 3, 3 * PIECE - 2..3 * PIECE + 2],
            most in 0..200_000_usize,
        ) {
            let bytes: Vec<u8> = (0..length).map(|at| (at * 7 % 251) as u8).collect();
            let text = Data::from(STANDARD.encode(&bytes));
            let sha256 = hexadecimal(&Sha256::digest(&bytes));
            let kept = Data::Kept(Arc::new(Remembered(bytes.clone(), sha256.clone())));
            for data in [&text, &kept] {
                prop_assert_eq!(data.size(), length as u64);
                prop_assert_eq!(data.bytes().unwrap(), bytes.clone());
                prop_assert_eq!(data.head(most).unwrap(), &bytes[..most.min(length)]);
                prop_assert_eq!(data.sha256(), sha256.clone());
                let mut pieces = Vec::new();
                data.each_piece(|piece| { pieces.extend_from_slice(piece); Ok(()) }).unwrap();
                prop_assert_eq!(&pieces, &bytes);
                prop_assert_eq!(serde_json::to_value(data).unwrap(), STANDARD.encode(&bytes));
            }
            prop_assert_eq!(kept.to_string(), "kept:1");
        }
    }
}
