//! The store on SQLite: one writer, a few readers, one file.

use std::fs::{DirBuilder, File, OpenOptions};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::Path;

use antiphon_engine::{
    Append, Claim, Event, Fence, KeyRecord, NewInteraction, PastStep, ProjectId, Store, StoreError, Stored,
};
use antiphon_wire::InteractionId;
use async_trait::async_trait;
use jiff::Timestamp;

use crate::accept::Accepted;
use crate::error::{Result, unavailable};
use crate::log::EncodedAppend;
use crate::migrate::{self, MIGRATIONS};
use crate::readers::Readers;
use crate::writer::{FaultHook, Purpose, Writer};
use crate::{chain, connection, erase, key, run};

#[derive(Clone, Default)]
pub struct StoreOptions {
    /// For tests of crashes: called around the commits of accepts and appends.
    pub fault: Option<FaultHook>,
}

/// The database `antiphon.db` of a data folder.
///
/// Times are kept to the millisecond. Dropping it waits for the writes that were asked
/// for and closes the file. Must be used inside a tokio runtime.
pub struct SqliteStore {
    readers: Readers,
    // Dropped last, so that the last connection is the one that may write.
    writer: Writer,
}

impl SqliteStore {
    /// Opens the database of a data folder; makes folder and database when they are not
    /// there, readable by their owner alone, and migrates an older database after copying
    /// it.
    ///
    /// # Errors
    /// `Unavailable` when the files cannot be written, lie on a network, or are of a newer
    /// version; `Corrupt` when they are no database of this program.
    pub fn open(dir: &Path, options: StoreOptions) -> Result<Self, StoreError> {
        Ok(Self::open_files(dir, options)?)
    }

    fn open_files(dir: &Path, options: StoreOptions) -> Result<Self> {
        let failed = |error: std::io::Error| unavailable(&format!("the data folder `{}`", dir.display()), &error);
        DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(failed)?;
        refuse_network(dir)?;
        let file = dir.join("antiphon.db");
        OpenOptions::new().append(true).create(true).mode(0o600).open(&file).map_err(failed)?;
        let mut connection = connection::writing(&file)?;
        migrate::migrate(&mut connection, &file, MIGRATIONS)?;
        // A new database is durable only together with its name in the folder.
        File::open(dir).and_then(|dir| dir.sync_all()).map_err(failed)?;
        let readers = Readers::open(&file)?;
        Ok(Self { readers, writer: Writer::start(connection, file, options.fault)? })
    }

    /// How many durable commits this store has made; fewer than writes when writes came
    /// together.
    pub fn commits(&self) -> u64 {
        self.writer.commits()
    }
}

/// The write-ahead log needs memory shared by all who have the file open, which a
/// network file system cannot give.
fn refuse_network(dir: &Path) -> Result<()> {
    /// NFS, SMB, CIFS, SMB2, 9P and AFS, by the magic numbers of `statfs(2)`.
    const NETWORK: [u32; 6] = [0x6969, 0x517b, 0xff53_4d42, 0xfe53_4d42, 0x0102_1997, 0x5346_414f];
    let found = rustix::fs::statfs(dir).map_err(|error| unavailable("the data folder's file system", &error))?;
    // The number is 32 bits wide, whatever type this platform gives it.
    if NETWORK.iter().any(|magic| i64::from(*magic) == (found.f_type as i64 & 0xffff_ffff)) {
        return Err(StoreError::Unavailable(format!(
            "the data folder `{}` lies on a network file system; the database needs a local disk",
            dir.display()
        ))
        .into());
    }
    Ok(())
}

#[async_trait]
impl Store for SqliteStore {
    async fn accept(&self, new: NewInteraction) -> Result<Fence, StoreError> {
        let accepted = Accepted::new(new)?;
        self.writer.write(Purpose::Log, move |connection| accepted.write(connection)).await
    }

    async fn append(&self, id: &InteractionId, fence: Fence, append: Append) -> Result<(), StoreError> {
        let id = id.clone();
        let append = EncodedAppend::new(&append)?;
        self.writer.write(Purpose::Log, move |connection| append.write(connection, &id, fence)).await
    }

    async fn interaction(&self, project: ProjectId, id: &InteractionId) -> Result<Stored, StoreError> {
        let id = id.clone();
        self.readers.read(move |connection| run::interaction(connection, project, &id)).await
    }

    async fn events(&self, project: ProjectId, id: &InteractionId) -> Result<Vec<Event>, StoreError> {
        let id = id.clone();
        self.readers.read(move |connection| run::events(connection, project, &id)).await
    }

    async fn history(&self, project: ProjectId, last: &InteractionId) -> Result<Vec<PastStep>, StoreError> {
        let last = last.clone();
        self.readers.read(move |connection| chain::history(connection, project, &last)).await
    }

    async fn delete(&self, project: ProjectId, id: &InteractionId) -> Result<(), StoreError> {
        let id = id.clone();
        self.writer.write(Purpose::Erasure, move |connection| erase::delete(connection, project, &id)).await
    }

    async fn claim_all(&self, owner: &str, lease_until: Timestamp) -> Result<Vec<Claim>, StoreError> {
        let owner = owner.to_owned();
        self.writer.write(Purpose::Record, move |connection| run::claim_all(connection, &owner, lease_until)).await
    }

    async fn renew(&self, owner: &str, lease_until: Timestamp) -> Result<(), StoreError> {
        let owner = owner.to_owned();
        self.writer.write(Purpose::Record, move |connection| run::renew(connection, &owner, lease_until)).await
    }

    async fn sweep(&self, now: Timestamp, most: usize) -> Result<usize, StoreError> {
        // Emptying the log for nothing would cost every writer a checkpoint.
        if !self.readers.read(move |connection| erase::any_expired(connection, now)).await? {
            return Ok(0);
        }
        self.writer.write(Purpose::Erasure, move |connection| erase::sweep(connection, now, most)).await
    }

    async fn check(&self) -> Result<(), StoreError> {
        // The version as it is, which SQLite writes all the same.
        let write = |connection: &rusqlite::Connection| {
            Ok(connection.pragma_update(None, "user_version", migrate::version(connection)?)?)
        };
        self.writer.write(Purpose::Record, write).await
    }

    async fn project(&self, name: &str) -> Result<ProjectId, StoreError> {
        let name = name.to_owned();
        self.writer.write(Purpose::Record, move |connection| key::project(connection, &name)).await
    }

    async fn add_key(&self, key: KeyRecord) -> Result<(), StoreError> {
        self.writer.write(Purpose::Record, move |connection| key::add(connection, &key)).await
    }

    async fn key(&self, id: &str) -> Result<KeyRecord, StoreError> {
        let id = id.to_owned();
        self.readers.read(move |connection| key::find(connection, &id)).await
    }

    async fn keys(&self) -> Result<Vec<KeyRecord>, StoreError> {
        self.readers.read(key::all).await
    }

    async fn revoke_key(&self, id: &str, at: Timestamp) -> Result<(), StoreError> {
        let id = id.to_owned();
        self.writer.write(Purpose::Record, move |connection| key::revoke(connection, &id, at)).await
    }
}
