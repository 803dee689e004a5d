//! Time and chance that are the same in every run.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use antiphon_engine::Ambient;
use jiff::{SignedDuration, Timestamp};

/// 2026-06-09T12:01:25Z, in seconds since 1970.
const START: i64 = 1_781_006_485;

/// Starts at 2026-06-09T12:01:25Z. Its random bytes are a fixed sequence that differs
/// from call to call and from seed to seed.
#[derive(Debug)]
pub struct FixedAmbient {
    now: Mutex<Timestamp>,
    step: SignedDuration,
    random: AtomicU64,
}

impl FixedAmbient {
    /// Each look at the time moves it on by `step`; zero lets it stand still.
    pub fn new(step: SignedDuration, seed: u64) -> Self {
        let start = Timestamp::UNIX_EPOCH.saturating_add(SignedDuration::from_secs(START));
        Self { now: Mutex::new(start.unwrap_or(Timestamp::UNIX_EPOCH)), step, random: AtomicU64::new(seed) }
    }

    /// Moves the time on.
    pub fn advance(&self, by: SignedDuration) {
        let mut now = self.lock();
        *now = later(*now, by);
    }

    fn lock(&self) -> MutexGuard<'_, Timestamp> {
        self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for FixedAmbient {
    /// Time stands still.
    fn default() -> Self {
        Self::new(SignedDuration::ZERO, 0)
    }
}

fn later(time: Timestamp, by: SignedDuration) -> Timestamp {
    time.saturating_add(by).unwrap_or(time)
}

impl Ambient for FixedAmbient {
    fn now(&self) -> Timestamp {
        let mut now = self.lock();
        let found = *now;
        *now = later(found, self.step);
        found
    }

    /// SplitMix64 over a counter.
    fn fill_random(&self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(8) {
            let mut mixed =
                self.random.fetch_add(1, Ordering::Relaxed).wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            chunk.copy_from_slice(&(mixed ^ (mixed >> 31)).to_le_bytes()[..chunk.len()]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_starts_where_it_is_said_and_moves_by_its_step() {
        let ambient = FixedAmbient::new(SignedDuration::from_millis(5), 0);
        assert_eq!(ambient.now().to_string(), "2026-06-09T12:01:25Z");
        assert_eq!(ambient.now().to_string(), "2026-06-09T12:01:25.005Z");
        ambient.advance(SignedDuration::from_secs(1));
        assert_eq!(ambient.now().to_string(), "2026-06-09T12:01:26.01Z");
        let still = FixedAmbient::default();
        assert_eq!(still.now(), still.now());
    }

    #[test]
    fn chance_repeats_with_its_seed_and_never_within_it() {
        let draw = |ambient: &FixedAmbient| {
            let mut bytes = [0; 24];
            ambient.fill_random(&mut bytes);
            bytes
        };
        let one = FixedAmbient::default();
        let other = FixedAmbient::default();
        let first = draw(&one);
        assert_eq!(first, draw(&other));
        assert_ne!(first, draw(&one));
        assert_ne!(first, draw(&FixedAmbient::new(SignedDuration::ZERO, 1000)));
    }
}
