//! A few answers, remembered for a while.

use std::collections::HashMap;
use std::hash::Hash;
use std::time::Duration;

use tokio::time::Instant;

/// Holds at most so many values; the one that was not asked for longest makes room.
pub(crate) struct Remembered<K, V> {
    most: usize,
    life: Duration,
    entries: HashMap<K, Entry<V>>,
}

struct Entry<V> {
    value: V,
    since: Instant,
    used: Instant,
}

impl<K: Clone + Eq + Hash, V: Clone> Remembered<K, V> {
    pub(crate) fn new(most: usize, life: Duration) -> Self {
        Self { most, life, entries: HashMap::new() }
    }

    pub(crate) fn get(&mut self, key: &K, now: Instant) -> Option<V> {
        let entry = self.entries.get_mut(key)?;
        if now.duration_since(entry.since) >= self.life {
            self.entries.remove(key);
            return None;
        }
        entry.used = now;
        Some(entry.value.clone())
    }

    pub(crate) fn insert(&mut self, key: K, value: V, now: Instant) {
        self.entries.retain(|_, entry| now.duration_since(entry.since) < self.life);
        if self.entries.len() >= self.most && !self.entries.contains_key(&key) {
            let oldest = self.entries.iter().min_by_key(|(_, entry)| entry.used).map(|(key, _)| key.clone());
            if let Some(oldest) = oldest {
                self.entries.remove(&oldest);
            }
        }
        if self.most > 0 {
            self.entries.insert(key, Entry { value, since: now, used: now });
        }
    }

    pub(crate) fn forget(&mut self, key: &K) {
        self.entries.remove(key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_one_not_asked_for_longest_makes_room() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut remembered = Remembered::new(2, Duration::from_secs(100));
        remembered.insert("a", 1, at(0));
        remembered.insert("b", 2, at(1));
        assert_eq!(remembered.get(&"a", at(2)), Some(1));
        remembered.insert("c", 3, at(3));
        let all = ["a", "b", "c"].map(|key| remembered.get(&key, at(4)));
        assert_eq!(all, [Some(1), None, Some(3)]);
    }

    #[test]
    fn what_is_old_is_not_said_again() {
        let start = Instant::now();
        let mut remembered = Remembered::new(2, Duration::from_secs(100));
        remembered.insert("a", 1, start);
        assert_eq!(remembered.get(&"a", start + Duration::from_secs(99)), Some(1));
        assert_eq!(remembered.get(&"a", start + Duration::from_secs(100)), None);
    }

    #[test]
    fn what_was_forgotten_is_gone() {
        let start = Instant::now();
        let mut remembered = Remembered::new(2, Duration::from_secs(100));
        remembered.insert("a", 1, start);
        remembered.forget(&"a");
        assert_eq!(remembered.get(&"a", start), None);
    }
}
