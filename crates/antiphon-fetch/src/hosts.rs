//! How many requests one host gets at a time.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

pub(crate) struct Hosts {
    at_a_time: usize,
    semaphores: Mutex<HashMap<String, Arc<Semaphore>>>,
}

impl Hosts {
    pub(crate) fn new(at_a_time: usize) -> Self {
        Self { at_a_time: at_a_time.max(1), semaphores: Mutex::default() }
    }

    /// Waits for a turn at a host.
    pub(crate) async fn turn(&self, host: &str) -> Option<OwnedSemaphorePermit> {
        let semaphore = {
            let mut semaphores = self.semaphores.lock().unwrap_or_else(PoisonError::into_inner);
            // Hosts that nobody waits for or talks to: nobody else holds theirs.
            semaphores.retain(|_, semaphore| Arc::strong_count(semaphore) > 1);
            Arc::clone(semaphores.entry(host.to_owned()).or_insert_with(|| Arc::new(Semaphore::new(self.at_a_time))))
        };
        semaphore.acquire_owned().await.ok()
    }
}
