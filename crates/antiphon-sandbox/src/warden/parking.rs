//! One sandbox with a fresh workspace that waits for the next program, so that a program waits only for itself.
//!
//! Entering a control group on an idle machine takes the kernel 13 ms, and making the namespaces 10 more.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

use super::prepare::{Parked, park};
use crate::program::Workspace;
use crate::sandbox::Parts;

#[derive(Debug, Default)]
pub(crate) struct Parking {
    space: Mutex<Space>,
    changed: Condvar,
    thread: Mutex<Option<JoinHandle<()>>>,
}

#[derive(Debug, Default)]
enum Space {
    #[default]
    Empty,
    /// One is being set up; whether somebody waits for it.
    Coming {
        is_awaited: bool,
    },
    Taken(Box<Parked>),
    /// Nobody will ask any more.
    Closed,
}

/// The one that waits, or is about to; else a new one. Another is set up for the next program.
pub(super) fn take(parts: &Arc<Parts>) -> Result<Parked, String> {
    let parked = parts.parking.leave();
    refill(parts);
    match parked.filter(Parked::is_alive) {
        Some(parked) => Ok(parked),
        None => park(parts, &Workspace::Fresh, None),
    }
}

/// Sets one up on a thread of its own, if none is there or coming.
fn refill(parts: &Arc<Parts>) {
    if !parts.parking.announce() {
        return;
    }
    let theirs = Arc::clone(parts);
    let started = thread::Builder::new().name("sandbox-parker".to_owned()).spawn(move || {
        theirs.parking.arrive(match park(&theirs, &Workspace::Fresh, None) {
            Ok(parked) => Space::Taken(Box::new(parked)),
            Err(reason) => {
                tracing::warn!(reason, "no sandbox can be set up in advance");
                Space::Empty
            }
        });
    });
    match started {
        // The one before has ended: it was what emptied the space.
        Ok(thread) => *parts.parking.thread.lock().unwrap_or_else(PoisonError::into_inner) = Some(thread),
        Err(_) => parts.parking.arrive(Space::Empty),
    }
}

impl Parking {
    /// Whether one is to be set up now.
    fn announce(&self) -> bool {
        let mut space = self.lock();
        let is_empty = matches!(*space, Space::Empty);
        if is_empty {
            *space = Space::Coming { is_awaited: false };
        }
        is_empty
    }

    fn arrive(&self, new: Space) {
        let mut space = self.lock();
        if matches!(*space, Space::Closed) {
            // Ending it takes a moment.
            drop(space);
            drop(new);
            return;
        }
        *space = new;
        self.changed.notify_one();
    }

    /// Ends the one that waits, and waits for one that is being set up: the end of the process would tear it apart.
    pub(crate) fn close(&self) {
        let parked = std::mem::replace(&mut *self.lock(), Space::Closed);
        self.changed.notify_one();
        drop(parked);
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            // It logs what goes wrong.
            let _ = thread.join();
        }
    }

    fn leave(&self) -> Option<Parked> {
        let mut space = self.lock();
        loop {
            match std::mem::take(&mut *space) {
                Space::Taken(parked) => return Some(*parked),
                Space::Empty => return None,
                Space::Closed => {
                    *space = Space::Closed;
                    return None;
                }
                // It is on its way, and no new one would be here sooner.
                Space::Coming { is_awaited: false } => {
                    *space = Space::Coming { is_awaited: true };
                    space = self.changed.wait(space).unwrap_or_else(PoisonError::into_inner);
                    // Somebody was quicker, and the next one is coming.
                    if let Space::Coming { is_awaited } = &mut *space {
                        *is_awaited = false;
                    }
                }
                Space::Coming { is_awaited: true } => {
                    *space = Space::Coming { is_awaited: true };
                    return None;
                }
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Space> {
        self.space.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
