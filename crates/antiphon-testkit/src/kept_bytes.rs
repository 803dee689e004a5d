//! Bytes that are kept elsewhere, as a test has them.

use std::io;
use std::sync::Arc;

use antiphon_wire::{Data, Kept, MARK};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// A [`Kept`] that remembers its bytes.
#[derive(Debug)]
pub struct KeptBytes {
    mark: String,
    sha256: String,
    bytes: Vec<u8>,
}

impl KeptBytes {
    /// `name` tells it from others of the test.
    pub fn data(name: &str, bytes: Vec<u8>) -> Data {
        let sha256 = Data::from(STANDARD.encode(&bytes)).sha256();
        Data::Kept(Arc::new(Self { mark: format!("{MARK}{name}"), sha256, bytes }))
    }
}

impl Kept for KeptBytes {
    fn mark(&self) -> &str {
        &self.mark
    }

    fn size(&self) -> u64 {
        self.bytes.len() as u64
    }

    fn sha256(&self) -> &str {
        &self.sha256
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let rest = self.bytes.get(usize::try_from(offset).map_err(io::Error::other)?..).unwrap_or_default();
        let read = rest.len().min(buffer.len());
        buffer[..read].copy_from_slice(&rest[..read]);
        Ok(read)
    }
}
