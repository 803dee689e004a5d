//! `antiphon hear`: the bytes of a sound in, what is said in it out, in a process that bounds itself.
//!
//! The server starts it for every sound. What a file does to its decoder ends here, and the networks' memory is given
//! back when it ends.

use std::io::{BufReader, stdin, stdout};
use std::process::ExitCode;

use antiphon_hearing::{Order, serve};
use rustix::process::{Resource, Rlimit, setrlimit};

/// For decoding, in seconds that it computes.
const DECODING: u64 = 20;

/// For listening, beside all cores of two for as long as the sound may be.
const LISTENING: u64 = 120;

/// In bytes of its own: an hour of samples and a decoder, and with the networks.
const DECODING_MEMORY: u64 = 448 << 20;
const LISTENING_MEMORY: u64 = 1 << 30;

/// Its input, output and errors, and one file of the model at a time.
const MOST_FILES: u64 = 16;

/// Writes what it hears, or what is wrong.
pub(crate) fn run() -> ExitCode {
    match serve(BufReader::new(stdin().lock()), stdout().lock(), bound) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

/// Gives up all that the order does not need.
fn bound(order: &Order) -> std::io::Result<()> {
    let (time, memory) = match order.listen {
        None => (DECODING, DECODING_MEMORY),
        Some(_) => (LISTENING + 2 * order.extent.longest.as_secs(), LISTENING_MEMORY),
    };
    let at_most = |most: u64| Rlimit { current: Some(most), maximum: Some(most) };
    setrlimit(Resource::Core, at_most(0))?;
    setrlimit(Resource::Cpu, at_most(time))?;
    setrlimit(Resource::Data, at_most(memory))?;
    setrlimit(Resource::Nofile, at_most(MOST_FILES))?;
    setrlimit(Resource::Fsize, at_most(0))?;
    Ok(())
}
