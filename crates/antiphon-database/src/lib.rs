//! A small SQLite database in a file of its own: one connection, transactions that are durable when they return, and
//! nothing left of what was deleted. The log of interactions is none of them: it has many readers, and is in
//! `antiphon-store`.

use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use rusqlite::{Connection, Transaction, TransactionBehavior};

/// Every call may wait for the disk.
#[derive(Debug)]
pub struct Database {
    connection: Mutex<Connection>,
}

impl Database {
    /// Opens a file, which is made when it is not there. Migrations are SQL; those that the file has not been through
    /// yet are carried out, all or none. The first makes what there is at first, and none is ever changed.
    ///
    /// # Errors
    /// When it cannot be read or written, or has been through more migrations than these.
    pub fn open(file: &Path, migrations: &[&str]) -> io::Result<Self> {
        // Others may pass the folder, and SQLite would let them read.
        OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(file)?;
        let (connection, version) = connect(file, migrations).map_err(io::Error::other)?;
        if version > migrations.len() {
            let message = format!("`{}` is of version {version}, not {}", file.display(), migrations.len());
            return Err(io::Error::other(message));
        }
        Ok(Self { connection: Mutex::new(connection) })
    }

    /// The connection, for one statement, or for reading.
    pub fn lock(&self) -> MutexGuard<'_, Connection> {
        self.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One transaction: all of it, durably, or nothing.
    ///
    /// # Errors
    /// Those of the work, and SQLite's.
    pub fn change<T, E: From<rusqlite::Error>>(
        &self,
        work: impl FnOnce(&Transaction<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        let mut connection = self.lock();
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let changed = work(&transaction)?;
        transaction.commit()?;
        Ok(changed)
    }

    /// Leaves nothing in the log of what was erased from the pages.
    ///
    /// # Errors
    /// SQLite's.
    pub fn forget(&self) -> rusqlite::Result<()> {
        self.lock().query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
    }
}

/// The connection, and how many migrations the file had been through.
fn connect(file: &Path, migrations: &[&str]) -> rusqlite::Result<(Connection, usize)> {
    let mut connection = Connection::open(file)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "secure_delete", "ON")?;
    // No temporary files: they would outlive what is deleted.
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    connection.pragma_update(None, "foreign_keys", "ON")?;
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let version: u32 = transaction.pragma_query_value(None, "user_version", |row| row.get(0))?;
    let version = version as usize;
    for migration in migrations.iter().skip(version) {
        transaction.execute_batch(migration)?;
    }
    if version < migrations.len() {
        transaction.pragma_update(None, "user_version", migrations.len() as u32)?;
    }
    transaction.commit()?;
    Ok((connection, version))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use pretty_assertions::assert_eq;

    use super::*;

    const FIRST: &str = "CREATE TABLE note(text TEXT NOT NULL) STRICT;";
    const SECOND: &str = "ALTER TABLE note ADD COLUMN author TEXT NOT NULL DEFAULT 'nobody';";

    fn notes(database: &Database, column: &str) -> Vec<String> {
        let connection = database.lock();
        let mut statement = connection.prepare(&format!("SELECT {column} FROM note")).unwrap();
        statement.query_map([], |row| row.get(0)).unwrap().collect::<rusqlite::Result<_>>().unwrap()
    }

    fn note(database: &Database, text: &str) -> rusqlite::Result<()> {
        database.change(|change| change.execute("INSERT INTO note(text) VALUES(?)", [text]).map(|_| ()))
    }

    #[test]
    fn a_file_goes_through_each_migration_once() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("notes.sqlite");
        let database = Database::open(&file, &[FIRST]).unwrap();
        note(&database, "kept").unwrap();
        drop(database);
        for _ in 0..2 {
            let database = Database::open(&file, &[FIRST, SECOND]).unwrap();
            assert_eq!(
                (notes(&database, "text"), notes(&database, "author")),
                (vec!["kept".into()], vec!["nobody".into()])
            );
        }
        let newer = Database::open(&file, &[FIRST]).unwrap_err().to_string();
        assert!(newer.contains("is of version 2, not 1"), "{newer}");
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn a_migration_that_fails_changes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("notes.sqlite");
        drop(Database::open(&file, &[FIRST]).unwrap());
        let broken = format!("{SECOND} CREATE TABLE note(text TEXT) STRICT;");
        assert!(Database::open(&file, &[FIRST, &broken]).is_err());
        note(&Database::open(&file, &[FIRST]).unwrap(), "kept").unwrap();
    }

    #[test]
    fn a_change_that_fails_is_none_and_what_is_forgotten_is_in_no_file() {
        let folder = tempfile::tempdir().unwrap();
        let database = Database::open(&folder.path().join("notes.sqlite"), &[FIRST]).unwrap();
        let failed: rusqlite::Result<()> = database.change(|change| {
            change.execute("INSERT INTO note(text) VALUES('half')", [])?;
            Err(rusqlite::Error::InvalidQuery)
        });
        assert!(failed.is_err());
        assert_eq!(notes(&database, "text"), [""; 0]);

        note(&database, "the secret of the heron").unwrap();
        let holds = || {
            let files =
                std::fs::read_dir(folder.path()).unwrap().map(|entry| std::fs::read(entry.unwrap().path()).unwrap());
            files.into_iter().any(|bytes| bytes.windows(16).any(|part| part == b"secret of the he"))
        };
        assert!(holds());
        database.change(|change| change.execute("DELETE FROM note", [])).unwrap();
        database.forget().unwrap();
        assert!(!holds());
    }
}
