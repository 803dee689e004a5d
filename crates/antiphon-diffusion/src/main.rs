//! `antiphon-diffusion`: one picture by a diffusion model in stable-diffusion.cpp, for `antiphon`.
//!
//! A process for each picture. The engine cannot be told to stop, can end the process it lives in,
//! and needs gigabytes that are of use to others between two pictures; loading takes a moment
//! against the steps. The order comes on stdin, what is to be told goes to stdout, framed as the
//! messages of every worker. The process ends when its stdin does.

mod engine;
mod png;

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::num::NonZeroUsize;
use std::process::ExitCode;
use std::thread::{self, available_parallelism};

use antiphon_worker::picture::{Order, Told};
use antiphon_worker::protocol::{FrameError, read_frame, write_frame};
use clap::{Parser, Subcommand};
use rustix::process::{Resource, Rlimit, setrlimit};

use engine::{EngineError, Weights};

/// The engine reads prompts with a recursion as deep as they are long.
const STACK: usize = 64 << 20;

/// Makes a picture with a diffusion model.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Answer one framed order on stdin with framed messages on stdout
    Make {
        #[command(flatten)]
        weights: Weights,
        /// CPU threads; all by default
        #[arg(long, value_parser = clap::value_parser!(u32).range(1..=512))]
        threads: Option<u32>,
        /// Test aid: abort after so many steps
        #[arg(long, hide = true)]
        crash_after_steps: Option<u32>,
    },
}

#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("the process cannot bound itself: {0}")]
    Unbound(#[from] rustix::io::Errno),
    #[error("a thread cannot be started: {0}")]
    Thread(#[from] std::io::Error),
    #[error("{0}")]
    Frame(#[from] FrameError),
    #[error("there was no order")]
    NoOrder,
    #[error("{0}")]
    Refused(String),
    #[error("{0}")]
    Engine(#[from] EngineError),
}

fn main() -> ExitCode {
    let Command::Make { weights, threads, crash_after_steps } = Arguments::parse().command;
    let threads = threads.unwrap_or_else(|| available_parallelism().map_or(1, NonZeroUsize::get) as u32);
    match run(weights, threads, crash_after_steps) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // With stderr closed there is nobody to tell.
            let _ = writeln!(std::io::stderr(), "antiphon-diffusion: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Carries out the one order. That there is no picture is said, too.
fn run(weights: Weights, threads: u32, crash_after_steps: Option<u32>) -> Result<(), Failure> {
    bound()?;
    let mut output = take_stdout()?;
    let order: Order = read_frame(&mut std::io::stdin())?.ok_or(Failure::NoOrder)?;
    thread::Builder::new().name("stdin".to_owned()).spawn(hang_up)?;
    let mut steps = output.try_clone()?;
    let work = thread::Builder::new().name("engine".to_owned()).stack_size(STACK).spawn(move || {
        let of = order.steps_taken();
        let mut step = |done| {
            if crash_after_steps.is_some_and(|limit| done >= limit) {
                std::process::abort();
            }
            // One that listens no more closes stdin as well.
            let _ = write_frame(&mut steps, &Told::Step { done, of });
        };
        carry_out(&weights, threads, &order, &mut step)
    })?;
    let told = match work.join() {
        Ok(Ok(picture)) => Told::Picture { picture },
        Ok(Err(error)) => Told::Failed { message: error.to_string() },
        Err(_) => Told::Failed { message: "the engine's thread has panicked".to_owned() },
    };
    Ok(write_frame(&mut output, &told)?)
}

/// The picture that was ordered, as PNG in base64.
fn carry_out(weights: &Weights, threads: u32, order: &Order, step: &mut dyn FnMut(u32)) -> Result<String, Failure> {
    order.check().map_err(Failure::Refused)?;
    let beginning = order.beginning.as_ref().map(|beginning| png::decode(&beginning.picture)).transpose();
    let mut beginning = beginning.map_err(Failure::Refused)?;
    let made = engine::make(weights, threads, order, beginning.as_mut(), step)?;
    png::encode(made, order.width, order.height).map_err(Failure::Refused)
}

/// Leaves no image of its memory when it dies: prompts and pictures are in it.
fn bound() -> rustix::io::Result<()> {
    setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) })
}

/// The pipe to the server. What the engine prints goes to stderr from now on.
fn take_stdout() -> rustix::io::Result<File> {
    let output = rustix::io::dup(std::io::stdout())?;
    rustix::stdio::dup2_stdout(std::io::stderr())?;
    Ok(File::from(output))
}

/// Waits for the end of stdin: nobody wants the picture any more.
fn hang_up() {
    let mut rest = [0; 64];
    while std::io::stdin().read(&mut rest).is_ok_and(|read| read > 0) {}
    engine::leave(0);
}
