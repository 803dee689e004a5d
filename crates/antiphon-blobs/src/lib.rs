//! Bytes that are called by their hash, so that equal ones are kept once, and where they are kept.
//!
//! * `name`: what they are called.
//! * `folder`: a folder of this machine.
//! * `remote`: an object store (S3, Google Cloud Storage, Azure Blob Storage); `address`: which one, and how it is
//!   reached; `failure`: what is told when it fails.
//!
//! Who keeps bytes and who removes them have to agree on the moment: nothing here counts who needs them.

mod address;
mod failure;
mod folder;
mod name;
mod remote;

use std::fs::File;
use std::io;
use std::path::Path;

use async_trait::async_trait;

pub use address::{Address, AddressError};
pub use folder::Folder;
pub use name::Name;
pub use remote::Remote;

/// A place for bytes.
#[async_trait]
pub trait Blobs: Send + Sync {
    /// Keeps the bytes of a file on the disk of this server, which nobody changes until the file is removed. When this
    /// returns they are durable, and before they are there whole or not at all. Those that are there stay.
    ///
    /// # Errors
    /// When they cannot be written.
    async fn put(&self, name: &Name, file: &Path) -> io::Result<()>;

    /// The bytes, in a file that stays readable whatever becomes of them.
    ///
    /// # Errors
    /// [`io::ErrorKind::NotFound`] when there are none of this name; [`io::ErrorKind::InvalidData`] when what is there
    /// is something else.
    async fn open(&self, name: &Name) -> io::Result<File>;

    /// When this returns they are gone. Those that are not there are gone already.
    ///
    /// # Errors
    /// When they cannot be removed.
    async fn remove(&self, name: &Name) -> io::Result<()>;

    /// All that are kept, in no order.
    ///
    /// # Errors
    /// When they cannot be listed.
    async fn list(&self) -> io::Result<Vec<Name>>;
}

/// Does what the disk may hold up away from the threads that serve everybody.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> io::Result<T> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| Err(io::Error::other(error)))
}
