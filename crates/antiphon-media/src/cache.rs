//! What was read before, so that conversations which come back whole do not have it read again.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use antiphon_engine::{Derived, ProjectId};

/// Bytes of text in all.
const MOST_BYTES: usize = 16 << 20;

/// Of the last media that were read, in memory. Projects do not see what others have read.
#[derive(Default)]
pub(crate) struct Cache {
    /// The latest last.
    kept: Mutex<VecDeque<(ProjectId, String, Derived)>>,
}

impl Cache {
    pub(crate) fn knows(&self, project: ProjectId, key: &str) -> bool {
        self.lock().iter().any(|(of, known, _)| *of == project && known == key)
    }

    /// The time that it took is told once.
    pub(crate) fn get(&self, project: ProjectId, key: &str) -> Option<Derived> {
        let mut kept = self.lock();
        let at = kept.iter().position(|(of, known, _)| *of == project && known == key)?;
        let mut latest = kept.remove(at)?;
        let derived = latest.2.clone();
        latest.2.seconds = 0.0;
        kept.push_back(latest);
        Some(derived)
    }

    pub(crate) fn put(&self, project: ProjectId, key: String, derived: Derived) {
        let mut kept = self.lock();
        kept.retain(|(of, known, _)| *of != project || *known != key);
        kept.push_back((project, key, derived));
        let mut bytes: usize = kept.iter().map(|(_, _, derived)| derived.text.len()).sum();
        while bytes > MOST_BYTES
            && let Some((_, _, oldest)) = kept.pop_front()
        {
            bytes -= oldest.text.len();
        }
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<(ProjectId, String, Derived)>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn derived(text: String) -> Derived {
        Derived { text, seconds: 2.0, ..Derived::default() }
    }

    #[test]
    fn what_is_known_took_its_time_once_and_is_known_to_its_project_alone() {
        let cache = Cache::default();
        let one = derived("one".to_owned());
        cache.put(ProjectId(1), "a".to_owned(), one.clone());
        assert_eq!(cache.get(ProjectId(1), "a"), Some(one.clone()));
        assert_eq!(cache.get(ProjectId(1), "a"), Some(Derived { seconds: 0.0, ..one }));
        assert_eq!((cache.get(ProjectId(2), "a"), cache.get(ProjectId(1), "b")), (None, None));
    }

    #[test]
    fn what_was_used_longest_ago_is_forgotten_first() {
        let cache = Cache::default();
        for key in ["a", "b"] {
            cache.put(ProjectId(1), key.to_owned(), derived("x".repeat(MOST_BYTES / 2)));
        }
        assert!(cache.get(ProjectId(1), "a").is_some());
        cache.put(ProjectId(1), "c".to_owned(), derived("y".to_owned()));
        assert_eq!(["a", "b", "c"].map(|key| cache.knows(ProjectId(1), key)), [true, false, true]);
    }
}
