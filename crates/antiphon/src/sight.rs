//! `antiphon look`: the bytes of a picture in, what is seen in it out, in a process that bounds itself.
//!
//! The server starts it for every picture, first without the networks: to find out whether it can be decoded. What a
//! file does to its decoder ends here, and the networks' memory is given back when it ends.

use std::io::{Read as _, Write as _};
use std::panic::catch_unwind;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use antiphon_sight::{Eye, FAULT, FAULT_OF_TYPE, Fault, Limits, MOST_BYTES, Paths, Picture, Resolution, check, decode};
use clap::Args;
use rustix::process::{Resource, Rlimit, setrlimit};

/// In seconds that it computes, on all processors.
const TIME: u64 = 120;

/// In bytes of its own: the picture as it came, decoded, and the networks at work.
const MEMORY: u64 = 1536 << 20;

/// The same for one that decodes and no more.
const DECODING: u64 = 8;
const DECODING_MEMORY: u64 = 512 << 20;

/// Its input, output and errors, and one file of a network at a time.
const MOST_FILES: u64 = 16;

#[derive(Args)]
pub(crate) struct Arguments {
    /// Give the decoded picture, with at most so many pixels on the longest side.
    #[arg(long, conflicts_with = "reading")]
    pixels: Option<u32>,
    /// The folder of the networks that read; without it the picture is decoded and no more.
    #[arg(long)]
    reading: Option<PathBuf>,
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

/// Writes what is seen as JSON, the pixels where they are asked for, nothing where it only checks, or with the codes [`FAULT`] and [`FAULT_OF_TYPE`] what is
/// wrong with the picture.
pub(crate) fn run(arguments: &Arguments) -> ExitCode {
    let bounded = match arguments.reading {
        Some(_) => bound(TIME, MEMORY),
        None => bound(DECODING, DECODING_MEMORY),
    };
    if bounded.is_err() {
        return ExitCode::FAILURE;
    }
    let mut bytes = Vec::new();
    if std::io::stdin().take(MOST_BYTES).read_to_end(&mut bytes).is_err() {
        return ExitCode::FAILURE;
    }
    let claimed = arguments.claimed.as_deref();
    let (output, code) = match (&arguments.reading, arguments.pixels) {
        (None, None) => match check(&bytes, claimed, &Limits::default()) {
            Ok(()) => (Vec::new(), ExitCode::SUCCESS),
            Err(fault) => refused(&fault),
        },
        (None, Some(side)) => match decode(&bytes, claimed, &Limits::default()) {
            Ok(picture) => (picture.within(side).write(), ExitCode::SUCCESS),
            Err(fault) => refused(&fault),
        },
        (Some(reading), _) => match decode(&bytes, claimed, &Limits::default()) {
            Err(fault) => refused(&fault),
            Ok(picture) => {
                drop(bytes);
                look(&picture, reading, arguments)
            }
        },
    };
    match std::io::stdout().write_all(&output) {
        Ok(()) => code,
        Err(_) => ExitCode::FAILURE,
    }
}

fn refused(fault: &Fault) -> (Vec<u8>, ExitCode) {
    let code = if fault.is_of_type() { FAULT_OF_TYPE } else { FAULT };
    (fault.to_string().into_bytes(), ExitCode::from(code))
}

fn look(picture: &Picture, reading: &Path, arguments: &Arguments) -> (Vec<u8>, ExitCode) {
    let seen = catch_unwind(|| {
        let eye = Eye::load(&Paths::of_bundles(reading, arguments.labels.as_deref()))?;
        eye.look(picture, arguments.resolution)
    });
    match seen.map(|seen| seen.map(|seen| serde_json::to_vec(&seen))) {
        Ok(Ok(Ok(seen))) => (seen, ExitCode::SUCCESS),
        Ok(Ok(Err(error))) => (error.to_string().into_bytes(), ExitCode::FAILURE),
        Ok(Err(broken)) => (broken.to_string().into_bytes(), ExitCode::FAILURE),
        Err(_) => (b"a network gave up".to_vec(), ExitCode::FAILURE),
    }
}

/// Gives up all that this does not need.
fn bound(time: u64, memory: u64) -> rustix::io::Result<()> {
    let at_most = |most: u64| Rlimit { current: Some(most), maximum: Some(most) };
    setrlimit(Resource::Core, at_most(0))?;
    setrlimit(Resource::Cpu, at_most(time))?;
    setrlimit(Resource::Data, at_most(memory))?;
    setrlimit(Resource::Nofile, at_most(MOST_FILES))?;
    setrlimit(Resource::Fsize, at_most(0))
}
