//! The machine's own clock and chance.

use antiphon_engine::Ambient;
use jiff::Timestamp;

pub(crate) struct Machine;

impl Ambient for Machine {
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }

    #[expect(clippy::expect_used, reason = "a machine without chance can make no keys and no ids")]
    fn fill_random(&self, bytes: &mut [u8]) {
        getrandom::fill(bytes).expect("the operating system gives random bytes");
    }
}
