//! Which of several addresses a call goes to.
//!
//! Addresses are put in order by rendezvous hashing of the conversation's beginning, so
//! that its turns find the prefix that an address has cached, and losing an address moves
//! only its own conversations. A busy address is passed over (consistent hashing with
//! bounded loads, Mirrokni et al. 2018), and one that fails is left out for a while.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use antiphon_engine::{Message, ModelRequest, text_of};
use sha2::{Digest as _, Sha256};
use tokio::time::Instant;

/// How much busier than the mean an address may be.
const LOAD_FACTOR: f64 = 1.25;

/// So many failures in a row and an address is left out.
const FAILURES: u32 = 3;

const FIRST_EJECTION: Duration = Duration::from_secs(1);
const LONGEST_EJECTION: Duration = Duration::from_secs(60);

/// What the requests of one conversation have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Affinity([u8; 32]);

impl Affinity {
    /// The conversation's beginning: whether the server or the client keeps it, every later
    /// turn begins so too.
    pub(crate) fn of(request: &ModelRequest) -> Self {
        let mut hash = Sha256::new();
        let first = request.messages.iter().find_map(|message| match message {
            Message::User(parts) => Some(text_of(parts)),
            Message::Model(_) | Message::Result(_) => None,
        });
        for part in [Some(&request.scope), request.system_instruction.as_ref(), first.as_ref()] {
            let part = part.map_or("", String::as_str);
            hash.update(part.len().to_le_bytes());
            hash.update(part);
        }
        Self(hash.finalize().into())
    }

    /// A name for it that tells nothing of it.
    pub(crate) fn name(self) -> String {
        self.0[..16].iter().map(|byte| format!("{byte:02x}")).collect()
    }

    fn weight(self, url: &str) -> u64 {
        let hash = Sha256::new().chain_update(self.0).chain_update(url).finalize();
        hash.iter().take(8).fold(0, |weight, byte| weight << 8 | u64::from(*byte))
    }
}

#[derive(Clone)]
pub(crate) struct Replicas {
    all: Arc<Mutex<Vec<Replica>>>,
}

struct Replica {
    url: String,
    in_flight: usize,
    failures: u32,
    ejection: Option<Ejection>,
}

struct Ejection {
    until: Instant,
    lasts: Duration,
    /// Somebody is finding out whether it is back.
    probed: bool,
}

impl Replicas {
    /// `urls` without a slash at the end; at least one.
    pub(crate) fn new(urls: Vec<String>) -> Self {
        let all = urls.into_iter().map(|url| Replica { url, in_flight: 0, failures: 0, ejection: None });
        Self { all: Arc::new(Mutex::new(all.collect())) }
    }

    /// Whether an address is not left out.
    pub(crate) fn is_ready(&self) -> bool {
        let now = Instant::now();
        self.lock().iter().any(|replica| replica.is_open(now))
    }

    /// The address for a call; those in `tried` come last.
    pub(crate) fn choose(&self, affinity: Affinity, tried: &[usize]) -> Lease {
        let now = Instant::now();
        let mut all = self.lock();
        let mut order: Vec<usize> = (0..all.len()).collect();
        order.sort_by_key(|at| std::cmp::Reverse(affinity.weight(&all[*at].url)));
        let open: Vec<usize> = order.iter().copied().filter(|at| all[*at].is_open(now)).collect();
        let fresh: Vec<usize> = open.iter().copied().filter(|at| !tried.contains(at)).collect();
        let candidates = if fresh.is_empty() { &open } else { &fresh };
        let in_flight: usize = open.iter().map(|at| all[*at].in_flight).sum();
        let bound = (LOAD_FACTOR * (in_flight + 1) as f64 / open.len().max(1) as f64).ceil() as usize;
        let has_room = |at: &&usize| all[**at].in_flight < bound;
        let soonest = || {
            let until = |at: &usize| all[*at].ejection.as_ref().map(|ejection| ejection.until);
            order.iter().copied().min_by_key(until).unwrap_or_default()
        };
        let chosen = candidates.iter().find(has_room).or(candidates.first()).copied().unwrap_or_else(soonest);
        let replica = &mut all[chosen];
        replica.in_flight += 1;
        if let Some(ejection) = &mut replica.ejection {
            ejection.probed = true;
        }
        Lease { replicas: self.clone(), at: chosen, url: replica.url.clone() }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Replica>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Replica {
    fn is_open(&self, now: Instant) -> bool {
        self.ejection.as_ref().is_none_or(|ejection| ejection.until <= now && !ejection.probed)
    }
}

/// A call's use of an address, until it is dropped.
pub(crate) struct Lease {
    replicas: Replicas,
    pub(crate) at: usize,
    pub(crate) url: String,
}

impl Lease {
    /// The address answers.
    pub(crate) fn succeeded(&self) {
        let replica = &mut self.replicas.lock()[self.at];
        replica.failures = 0;
        replica.ejection = None;
    }

    /// The address does not do its work; `refused`: nobody is even listening there.
    pub(crate) fn failed(&self, refused: bool) {
        let replica = &mut self.replicas.lock()[self.at];
        replica.failures += 1;
        let lasts = match &replica.ejection {
            Some(ejection) => (ejection.lasts * 2).min(LONGEST_EJECTION),
            None if refused || replica.failures >= FAILURES => FIRST_EJECTION,
            None => return,
        };
        replica.ejection = Some(Ejection { until: Instant::now() + lasts, lasts, probed: false });
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let replica = &mut self.replicas.lock()[self.at];
        replica.in_flight -= 1;
        // A probe that found out nothing leaves it to the next.
        if let Some(ejection) = &mut replica.ejection {
            ejection.probed = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn replicas(count: usize) -> Replicas {
        Replicas::new((0..count).map(|at| format!("http://10.0.0.{at}/v1")).collect())
    }

    fn affinity(number: u64) -> Affinity {
        Affinity(Sha256::digest(number.to_le_bytes()).into())
    }

    proptest! {
        #[test]
        fn losing_an_address_moves_only_its_own_conversations(count in 2usize..8, lost in 0usize..8, key: u64) {
            let lost = lost % count;
            let all = replicas(count);
            let before = all.choose(affinity(key), &[]).at;
            all.choose(affinity(key), &(0..count).filter(|at| *at != lost).collect::<Vec<_>>()).failed(true);
            let after = all.choose(affinity(key), &[]).at;
            prop_assert!(after != lost);
            prop_assert!(before == lost || after == before);
        }

        #[test]
        fn no_address_is_much_busier_than_the_mean(count in 1usize..6, keys in proptest::collection::vec(0u64..3, 1..60)) {
            let all = replicas(count);
            let mut leases = Vec::new();
            for key in keys {
                leases.push(all.choose(affinity(key), &[]));
                let busiest = all.lock().iter().map(|replica| replica.in_flight).max().unwrap();
                let bound = (LOAD_FACTOR * leases.len() as f64 / count as f64).ceil() as usize;
                prop_assert!(busiest <= bound, "{busiest} of {} on {count}", leases.len());
            }
            drop(leases);
            prop_assert!(all.lock().iter().all(|replica| replica.in_flight == 0));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_address_that_fails_is_left_out_longer_each_time_and_probed_by_one_call() {
        let all = replicas(2);
        let first = all.choose(affinity(1), &[]).at;
        for _ in 0..FAILURES {
            all.choose(affinity(1), &[]).failed(false);
        }
        assert_ne!(all.choose(affinity(1), &[]).at, first);
        tokio::time::advance(FIRST_EJECTION).await;
        let probe = all.choose(affinity(1), &[]);
        assert_eq!(probe.at, first);
        assert_ne!(all.choose(affinity(1), &[]).at, first, "one call finds out");
        probe.failed(false);
        drop(probe);
        tokio::time::advance(FIRST_EJECTION).await;
        assert_ne!(all.choose(affinity(1), &[]).at, first, "the second time is longer");
        tokio::time::advance(FIRST_EJECTION).await;
        let probe = all.choose(affinity(1), &[]);
        assert_eq!(probe.at, first);
        probe.succeeded();
        assert!(all.lock()[first].ejection.is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn when_all_are_left_out_the_one_that_was_first_is_asked() {
        let all = replicas(2);
        let first = all.choose(affinity(1), &[]);
        first.failed(true);
        let first = first.at;
        tokio::time::advance(Duration::from_millis(10)).await;
        all.choose(affinity(1), &[]).failed(true);
        assert!(!all.is_ready());
        assert_eq!(all.choose(affinity(1), &[]).at, first);
    }
}
