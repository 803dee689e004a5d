//! What the engine may not take for itself: the time, and chance.
//!
//! Everything that differs between two runs of the same program comes through here, so
//! that a test can fix it.

use jiff::Timestamp;

pub trait Ambient: Send + Sync {
    fn now(&self) -> Timestamp;

    /// Fills the buffer with bytes nobody can guess.
    fn fill_random(&self, bytes: &mut [u8]);
}

/// RFC 3339 in UTC with whole seconds, as the API writes times (spec 03).
pub fn wire_time(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}
