//! `antiphon decode-video`: the bytes of a video in, frames or sound out, in a process that bounds itself.
//!
//! The server starts it for everything that it wants of a video. It becomes `ffmpeg`, which keeps the bounds: a process
//! that only started one would have to watch it, and would leave it behind when it is killed.

use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Command, ExitCode};

use antiphon_video::BROKEN;
use clap::Args;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

mod walls;

/// In seconds that it computes.
const TIME: u64 = 120;

/// In bytes that it may address, its libraries among them.
const MEMORY: u64 = 2 << 30;

/// The libraries are opened one after the other.
const MOST_FILES: u64 = 64;

/// Of all processes and threads of this user, which the kernel counts together.
const MOST_PROCESSES: u64 = 4096;

#[derive(Args)]
pub(crate) struct Arguments {
    /// Where `ffmpeg` is.
    ffmpeg: PathBuf,
    /// What it is told.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<String>,
}

/// Returns only when it cannot become `ffmpeg`, with the code [`BROKEN`].
pub(crate) fn run(arguments: &Arguments) -> ExitCode {
    if bound().is_ok() && walls::raise(&arguments.ffmpeg).is_ok() {
        let _ = Command::new(&arguments.ffmpeg).args(&arguments.arguments).env_clear().exec();
    }
    ExitCode::from(BROKEN)
}

/// Gives up all that decoding does not need: it writes to what is open already and to no file.
fn bound() -> rustix::io::Result<()> {
    let at_most = |resource, most: u64| {
        // What is bounded more tightly stays so.
        let most = getrlimit(resource).maximum.map_or(most, |maximum| maximum.min(most));
        setrlimit(resource, Rlimit { current: Some(most), maximum: Some(most) })
    };
    at_most(Resource::Core, 0)?;
    at_most(Resource::Cpu, TIME)?;
    at_most(Resource::As, MEMORY)?;
    at_most(Resource::Nofile, MOST_FILES)?;
    at_most(Resource::Nproc, MOST_PROCESSES)?;
    at_most(Resource::Fsize, 0)
}
