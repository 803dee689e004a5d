//! Where a test of crashes ends this process: at a place that it passes, the N-th time.

use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use antiphon_environments::FaultPoint as InEnvironments;
use antiphon_store::FaultPoint as InStore;

#[derive(Clone, Copy, Debug)]
pub(crate) struct Fault {
    place: Place,
    time: u32,
}

#[derive(Clone, Copy, Debug)]
enum Place {
    Store(InStore),
    Environments(InEnvironments),
}

const PLACES: [(&str, Place); 13] = [
    ("before-commit", Place::Store(InStore::BeforeCommit)),
    ("after-commit", Place::Store(InStore::AfterCommit)),
    ("staged", Place::Environments(InEnvironments::Staged)),
    ("committed", Place::Environments(InEnvironments::Committed)),
    ("moved", Place::Environments(InEnvironments::Moved)),
    ("placed", Place::Environments(InEnvironments::Placed)),
    ("packing", Place::Environments(InEnvironments::Packing)),
    ("packed", Place::Environments(InEnvironments::Packed)),
    ("kept", Place::Environments(InEnvironments::Kept)),
    ("discarded", Place::Environments(InEnvironments::Discarded)),
    ("unpacking", Place::Environments(InEnvironments::Unpacking)),
    ("unpacked", Place::Environments(InEnvironments::Unpacked)),
    ("woken", Place::Environments(InEnvironments::Woken)),
];

impl FromStr for Fault {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let fault = text.split_once(':').and_then(|(name, time)| {
            let (_, place) = PLACES.into_iter().find(|(known, _)| *known == name)?;
            Some(Self { place, time: time.parse().ok()? })
        });
        fault.ok_or_else(|| {
            let known: Vec<_> = PLACES.iter().map(|(name, _)| format!("`{name}:N`")).collect();
            format!("expected one of {}, got `{text}`", known.join(", "))
        })
    }
}

impl Fault {
    pub(crate) fn of_store(self) -> Option<antiphon_store::FaultHook> {
        let Place::Store(place) = self.place else { return None };
        let passed = Passed::new(self.time);
        Some(Arc::new(move |point| passed.pass(point == place)))
    }

    pub(crate) fn of_environments(self) -> Option<antiphon_environments::FaultHook> {
        let Place::Environments(place) = self.place else { return None };
        let passed = Passed::new(self.time);
        Some(Arc::new(move |point| passed.pass(point == place)))
    }
}

/// How often the place has been passed.
struct Passed {
    times: AtomicU32,
    last: u32,
}

impl Passed {
    fn new(last: u32) -> Self {
        Self { times: AtomicU32::new(0), last }
    }

    fn pass(&self, is_here: bool) {
        if is_here && self.times.fetch_add(1, Ordering::Relaxed) + 1 == self.last {
            std::process::abort();
        }
    }
}
