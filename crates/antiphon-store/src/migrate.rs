//! From the schema that a file has to the one this program knows.
//!
//! `PRAGMA user_version` counts the migrations a file has been through. They only go
//! forward; the copy made before one is the way back.

use std::path::{Path, PathBuf};

use antiphon_engine::StoreError;
use rusqlite::{Connection, TransactionBehavior};
use tracing::info;

use crate::error::{Failed, Result, unavailable};

pub(crate) const MIGRATIONS: &[&str] =
    &[include_str!("../migrations/0001_first_slice.sql"), include_str!("../migrations/0002_media.sql")];

/// Brings the file up to date.
///
/// # Errors
/// `Unavailable` for a file of a newer version, `Corrupt` for a database that is not of
/// this program.
pub(crate) fn migrate(connection: &mut Connection, file: &Path, migrations: &[&str]) -> Result<()> {
    let found = version(connection)?;
    if found == migrations.len() {
        return Ok(());
    }
    if found == 0 {
        let tables: i64 = connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
        if tables > 0 && version(connection)? == 0 {
            return Err(StoreError::Corrupt(format!("`{}` is a database of another program", file.display())).into());
        }
    } else if found < migrations.len() {
        back_up(connection, file, found)?;
    }
    // The version is read again: another process may have been first.
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let found = version(&transaction)?;
    if found > migrations.len() {
        return Err(newer(file, found, migrations.len()));
    }
    for migration in &migrations[found..] {
        transaction.execute_batch(migration)?;
    }
    transaction.pragma_update(None, "user_version", migrations.len())?;
    transaction.commit()?;
    info!("The database is of version {} now, it was of version {found}", migrations.len());
    Ok(())
}

/// How many migrations a file has been through.
pub(crate) fn version(connection: &Connection) -> Result<usize> {
    Ok(connection.pragma_query_value(None, "user_version", |row| row.get(0))?)
}

fn newer(file: &Path, found: usize, known: usize) -> Failed {
    Failed(StoreError::Unavailable(format!(
        "`{}` was written by a newer antiphon: it is of version {found}, this program knows versions up to {known}; \
         start the newer program, or restore the copy that it made before it migrated the file",
        file.display()
    )))
}

/// Copies a file that holds data to `antiphon.db.version-N`.
fn back_up(connection: &Connection, file: &Path, found: usize) -> Result<()> {
    let copy = PathBuf::from(format!("{}.version-{found}", file.display()));
    // Left by a migration that did not come to its end.
    remove(&copy)?;
    connection.execute("VACUUM INTO ?1", [copy.to_string_lossy()])?;
    info!("The database of version {found} was copied before it is migrated");
    Ok(())
}

/// Removes every copy: they hold what is deleted from the database.
pub(crate) fn remove_copies(file: &Path, known: usize) -> Result<()> {
    (1..known).try_for_each(|version| remove(&PathBuf::from(format!("{}.version-{version}", file.display()))))
}

fn remove(file: &Path) -> Result<()> {
    match std::fs::remove_file(file) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(unavailable("a copy of an earlier version cannot be removed", &error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(dir: &Path) -> (Connection, PathBuf) {
        let file = dir.join("antiphon.db");
        (crate::connection::writing(&file).unwrap(), file)
    }

    #[test]
    fn a_file_goes_through_each_migration_once_and_is_copied_before() {
        let dir = tempfile::tempdir().unwrap();
        let (mut connection, file) = open(dir.path());
        let migrations = ["CREATE TABLE one (a TEXT)", "CREATE TABLE two (b TEXT)"];
        migrate(&mut connection, &file, &migrations[..1]).unwrap();
        connection.execute("INSERT INTO one VALUES ('kept')", []).unwrap();
        migrate(&mut connection, &file, &migrations).unwrap();
        migrate(&mut connection, &file, &migrations).unwrap();
        assert_eq!(version(&connection).unwrap(), 2);
        let copy = dir.path().join("antiphon.db.version-1");
        let kept: String =
            Connection::open(&copy).unwrap().query_row("SELECT a FROM one", [], |row| row.get(0)).unwrap();
        assert_eq!(kept, "kept");
        remove_copies(&file, 2).unwrap();
        assert!(!copy.exists());
    }

    #[test]
    fn a_failed_migration_changes_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let (mut connection, file) = open(dir.path());
        let migrations = ["CREATE TABLE one (a TEXT)", "CREATE TABLE two (b TEXT); CREATE TABLE one (a TEXT)"];
        migrate(&mut connection, &file, &migrations[..1]).unwrap();
        assert!(migrate(&mut connection, &file, &migrations).is_err());
        assert_eq!(version(&connection).unwrap(), 1);
        let tables: i64 = connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0)).unwrap();
        assert_eq!(tables, 1);
    }

    #[test]
    fn a_newer_file_and_a_foreign_one_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let (mut connection, file) = open(dir.path());
        connection.execute("CREATE TABLE foreign_one (a TEXT)", []).unwrap();
        let Err(Failed(error)) = migrate(&mut connection, &file, MIGRATIONS) else { panic!("it was taken") };
        assert!(error.to_string().contains("another program"), "{error}");

        connection.pragma_update(None, "user_version", 99).unwrap();
        let Err(Failed(error)) = migrate(&mut connection, &file, MIGRATIONS) else { panic!("it was taken") };
        let known = format!("version 99, this program knows versions up to {}", MIGRATIONS.len());
        assert!(error.to_string().contains(&known), "{error}");
    }
}
