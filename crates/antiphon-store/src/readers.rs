//! The connections that only read.
//!
//! Each read is one transaction on the blocking threads of the runtime, begun after it
//! was asked for, so it sees every write that was acknowledged before.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use antiphon_engine::StoreError;
use rusqlite::Connection;
use tokio::sync::Semaphore;

use crate::connection;
use crate::error::Result;

/// More would wait for the same cores.
const CONNECTIONS: usize = 4;

pub(crate) struct Readers {
    idle: Arc<Mutex<Vec<Connection>>>,
    permits: Arc<Semaphore>,
}

impl Readers {
    pub(crate) fn open(file: &Path) -> Result<Self> {
        let idle = (0..CONNECTIONS).map(|_| connection::reading(file)).collect::<Result<Vec<_>>>()?;
        Ok(Self { idle: Arc::new(Mutex::new(idle)), permits: Arc::new(Semaphore::new(CONNECTIONS)) })
    }

    pub(crate) async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        let gone = || StoreError::Unavailable("the connections for reading are gone".to_owned());
        let permit = Arc::clone(&self.permits).acquire_owned().await.map_err(|_| gone())?;
        let idle = Arc::clone(&self.idle);
        let read = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            let Some(connection) = idle.lock().unwrap_or_else(PoisonError::into_inner).pop() else {
                return Err(gone());
            };
            let result = read(&connection, work);
            idle.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
            Ok(result?)
        });
        read.await.map_err(|_| gone())?
    }
}

/// A transaction even for one statement after another: a delete in between must not show.
fn read<T>(connection: &Connection, work: impl FnOnce(&Connection) -> Result<T>) -> Result<T> {
    let transaction = connection.unchecked_transaction()?;
    work(&transaction)
}
