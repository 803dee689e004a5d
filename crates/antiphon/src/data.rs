//! The data folder: one database, one secret, and the key of the first start.

use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use antiphon_engine::{Ambient, Seal};
use antiphon_server::KeyMaker;
use hmac::{Hmac, Mac};
use sha2::Sha256;

use crate::Failed;
use crate::ambient::Machine;

const SECRET_BYTES: usize = 32;

/// What every user can pass to.
const SHARED: &str = "/var/lib/antiphon";

/// A data folder that exists and belongs to this user alone.
pub(crate) struct DataFolder {
    path: PathBuf,
    /// The root of every other secret of this server.
    secret: [u8; SECRET_BYTES],
}

impl DataFolder {
    /// Opens the folder, and makes it and its secret on first use.
    pub(crate) fn open(path: PathBuf) -> Result<Self, Failed> {
        let failed = |what: &str, error: std::io::Error| {
            Failed::new(format!("the data folder `{}` {what}: {error}", path.display()))
        };
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&path)
            .map_err(|error| failed("cannot be made", error))?;
        let file = path.join("secret");
        let mut secret = [0; SECRET_BYTES];
        Machine.fill_random(&mut secret);
        match write_private(&file, &secret) {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                let found = fs::read(&file).map_err(|error| failed("has a secret that cannot be read", error))?;
                secret = found.try_into().map_err(|found: Vec<u8>| {
                    Failed::new(format!("`{}` has {} bytes, expected {SECRET_BYTES}", file.display(), found.len()))
                })?;
            }
            Err(error) => return Err(failed("cannot be written", error)),
        }
        Ok(Self { path, secret })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn key_maker(&self) -> KeyMaker {
        KeyMaker::new(self.derive("api keys"))
    }

    pub(crate) fn seal(&self) -> Seal {
        Seal::new(self.derive("thought signatures"))
    }

    /// Where workspaces are: below the folder that is wanted, or in the data folder. A server that
    /// is root runs programs as other users, who do not get into a data folder, so that theirs are
    /// where they do. The name below such a folder stays when the data folder is moved.
    pub(crate) fn workspaces(&self, wanted: Option<&Path>) -> PathBuf {
        let shared = rustix::process::geteuid().is_root().then_some(Path::new(SHARED));
        let Some(folder) = wanted.or(shared) else { return self.path.join("environments") };
        let name: String = self.derive("workspaces")[..8].iter().map(|byte| format!("{byte:02x}")).collect();
        folder.join(format!("environments-{name}"))
    }

    /// The key that the first start made, so that it can be shown again.
    pub(crate) fn bootstrap_key(&self) -> Option<String> {
        let text = fs::read_to_string(self.path.join("bootstrap-key")).ok()?;
        Some(text.trim().to_owned()).filter(|text| !text.is_empty())
    }

    pub(crate) fn keep_bootstrap_key(&self, key: &str) -> Result<(), Failed> {
        let file = self.path.join("bootstrap-key");
        // A key of an earlier database is worth nothing now.
        let _ = fs::remove_file(&file);
        write_private(&file, format!("{key}\n").as_bytes())
            .map_err(|error| Failed::new(format!("`{}` cannot be written: {error}", file.display())))
    }

    /// A secret for one purpose (HMAC-SHA-256 as a key derivation).
    fn derive(&self, purpose: &str) -> [u8; 32] {
        let Ok(mac) = <Hmac<Sha256> as Mac>::new_from_slice(&self.secret) else {
            unreachable!("HMAC takes a key of any length");
        };
        mac.chain_update(purpose).finalize().into_bytes().into()
    }
}

/// Writes a new file that only its owner can read, whole or not at all.
fn write_private(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let partial = path.with_extension(format!("new-{}", std::process::id()));
    let written = (|| {
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&partial)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        // Unlike a rename, a link never replaces what another process made meanwhile.
        fs::hard_link(&partial, path)
    })();
    fs::remove_file(&partial)?;
    written
}
