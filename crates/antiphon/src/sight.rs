//! `antiphon look`: the bytes of a picture in, what is seen in it out, in a process that bounds itself.
//!
//! The server starts it for every picture. What a file does to its decoder ends here, and the networks' memory is given
//! back when it ends.

use std::io::{Read as _, Write as _};
use std::panic::catch_unwind;
use std::path::PathBuf;
use std::process::ExitCode;

use antiphon_sight::{Eye, FAULT, Limits, MOST_BYTES, Paths, Resolution, decode};
use clap::Args;
use rustix::process::{Resource, Rlimit, setrlimit};

/// In seconds that it computes, on all processors.
const TIME: u64 = 120;

/// In bytes of its own: the picture as it came, decoded, and the networks at work.
const MEMORY: u64 = 1536 << 20;

/// Its input, output and errors, and one file of a network at a time.
const MOST_FILES: u64 = 16;

#[derive(Args)]
pub(crate) struct Arguments {
    /// The folder of the networks that read.
    #[arg(long)]
    reading: PathBuf,
    /// The folder of the network that names things; without it nothing is named.
    #[arg(long)]
    labels: Option<PathBuf>,
    /// `low`, `medium`, `high` or `ultra_high`.
    #[arg(long, default_value = "medium")]
    resolution: Resolution,
    /// What the bytes are said to be.
    #[arg(long = "type")]
    claimed: Option<String>,
}

/// Writes what is seen as JSON, or with the code [`FAULT`] what is wrong with the picture.
pub(crate) fn run(arguments: &Arguments) -> ExitCode {
    if bound().is_err() {
        return ExitCode::FAILURE;
    }
    let mut bytes = Vec::new();
    if std::io::stdin().take(MOST_BYTES).read_to_end(&mut bytes).is_err() {
        return ExitCode::FAILURE;
    }
    let (output, code) = match decode(&bytes, arguments.claimed.as_deref(), &Limits::default()) {
        Err(fault) => (fault.to_string().into_bytes(), ExitCode::from(FAULT)),
        Ok(picture) => {
            drop(bytes);
            let seen = catch_unwind(|| {
                let eye = Eye::load(&Paths::of_bundles(&arguments.reading, arguments.labels.as_deref()))?;
                eye.look(&picture, arguments.resolution)
            });
            match seen.map(|seen| seen.map(|seen| serde_json::to_vec(&seen))) {
                Ok(Ok(Ok(seen))) => (seen, ExitCode::SUCCESS),
                Ok(Ok(Err(error))) => (error.to_string().into_bytes(), ExitCode::FAILURE),
                Ok(Err(broken)) => (broken.to_string().into_bytes(), ExitCode::FAILURE),
                Err(_) => (b"a network gave up".to_vec(), ExitCode::FAILURE),
            }
        }
    };
    match std::io::stdout().write_all(&output) {
        Ok(()) => code,
        Err(_) => ExitCode::FAILURE,
    }
}

/// Gives up all that looking does not need.
fn bound() -> rustix::io::Result<()> {
    let at_most = |most: u64| Rlimit { current: Some(most), maximum: Some(most) };
    setrlimit(Resource::Core, at_most(0))?;
    setrlimit(Resource::Cpu, at_most(TIME))?;
    setrlimit(Resource::Data, at_most(MEMORY))?;
    setrlimit(Resource::Nofile, at_most(MOST_FILES))?;
    setrlimit(Resource::Fsize, at_most(0))
}
