//! `antiphon-llama`: one model in llama.cpp, served to `antiphon` over stdin and stdout.
//!
//! A process of its own, because C++ can end the process it lives in. It ends when its
//! stdin does.

mod bench;
mod clearing;
mod llama;
mod spinning;

use std::env;
use std::io::Write;
use std::num::NonZeroUsize;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{self, ExitCode};
use std::thread::available_parallelism;

use antiphon_worker::protocol::{FrameError, Message, write_frame};
use antiphon_worker::{Settings, serve};
use clap::{Parser, Subcommand, ValueEnum};

use llama::{Llama, Options};

/// Runs one model in llama.cpp.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Answer framed requests on stdin with framed messages on stdout
    Serve {
        #[command(flatten)]
        model: Model,
        /// How many runs advance at the same time
        #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=64))]
        slots: u32,
        /// Test aid: abort after so many chunks
        #[arg(long, hide = true)]
        crash_after_chunks: Option<u64>,
    },
    /// Write a model again with other weights
    Quantize {
        input: PathBuf,
        output: PathBuf,
        #[arg(long = "type", value_enum, default_value_t = Weights::Q8_0)]
        weights: Weights,
    },
    /// Measure prompt and generation speed: a bare decode loop beside the scheduler
    Bench {
        #[command(flatten)]
        model: Model,
        /// Streams at the same time; several numbers are measured one after another
        #[arg(long, value_delimiter = ',', default_value = "1,4,8", value_parser = clap::value_parser!(u32).range(1..=64))]
        streams: Vec<u32>,
        /// Prompt tokens of each stream
        #[arg(long, default_value_t = 512, value_parser = clap::value_parser!(u32).range(2..=65_536))]
        prompt: u32,
        /// Generated tokens of each stream
        #[arg(long, default_value_t = 128, value_parser = clap::value_parser!(u32).range(1..=65_536))]
        output: u32,
        /// Measurements of each, interleaved; the medians are reported
        #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=99))]
        repeats: u32,
        /// Generate once more under a grammar, and measure what that costs
        #[arg(long)]
        constrained: bool,
        /// Measure what each line of stdin asks for instead, with as many streams at most
        #[arg(long, conflicts_with_all = ["prompt", "output", "repeats", "constrained"])]
        asked: bool,
    },
}

#[derive(clap::Args)]
struct Model {
    /// The GGUF file
    #[arg(long = "model")]
    path: PathBuf,
    /// The GGUF file of its projector (`mmproj`), with which it takes pictures or sounds
    #[arg(long)]
    projector: Option<PathBuf>,
    /// Replaces the file's name
    #[arg(long)]
    name: Option<String>,
    /// Tokens that all conversations have together in the cache
    #[arg(long, default_value_t = 32_768, value_parser = clap::value_parser!(u32).range(256..=1_048_576))]
    context: u32,
    /// CPU threads; all by default
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=512))]
    threads: Option<u32>,
    /// Compute attention in one fused pass: faster for long prompts and many conversations at once, slower where few
    /// tokens follow a long past
    #[arg(long)]
    fused_attention: bool,
}

impl Model {
    fn options(self, slots: u32) -> Options {
        Options {
            path: self.path,
            projector: self.projector,
            name: self.name,
            context: self.context,
            slots,
            threads: self.threads.unwrap_or_else(all_threads),
            fused_attention: self.fused_attention,
        }
    }
}

#[derive(Clone, Copy, ValueEnum)]
enum Weights {
    /// 8 bits, as precise as needed and the quickest prompts on CPUs
    #[value(name = "q8_0")]
    Q8_0,
}

fn main() -> ExitCode {
    tune();
    let result = match Arguments::parse().command {
        Command::Serve { model, slots, crash_after_chunks } => run(&model.options(slots), crash_after_chunks),
        Command::Quantize { input, output, weights: Weights::Q8_0 } => {
            llama::quantize(&input, &output, all_threads()).map_err(Into::into)
        }
        Command::Bench { model, streams, prompt, output, repeats, constrained, asked } => {
            let options = model.options(streams.iter().copied().max().unwrap_or(1));
            if asked {
                bench::answer(&options)
            } else {
                bench::run(&options, &bench::Workload { streams, prompt, output, repeats, constrained })
            }
        }
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(&error.to_string());
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options, crash_after_chunks: Option<u64>) -> Result<(), Box<dyn std::error::Error>> {
    let decoder = match Llama::load(options) {
        Ok(decoder) => decoder,
        Err(error) => {
            let message = error.to_string();
            // A server that is gone knows how it ended.
            let _ = write_frame(&mut std::io::stdout(), &Message::Unservable { message });
            return Err(error.into());
        }
    };
    let settings = Settings::of(&decoder);
    let mut chunks = 0;
    let crash = move |message: &Message| {
        if let (Some(limit), Message::Chunk { .. }) = (crash_after_chunks, message) {
            chunks += 1;
            if chunks >= limit {
                process::abort();
            }
        }
    };
    Ok(serve(decoder, settings, std::io::stdin(), std::io::stdout(), hang_up, crash)?)
}

/// Nobody listens any more: whatever is being computed is of no use.
fn hang_up(end: Result<(), FrameError>) {
    match end {
        Ok(()) => llama::leave(0),
        Err(error) => {
            say(&error.to_string());
            llama::leave(1)
        }
    }
}

/// Starts this executable again, in place, with the environment that its engine needs:
/// its thread library reads it before `main`.
fn tune() {
    const BACKTRACES: &str = "GGML_NO_BACKTRACE";
    if env::var_os(BACKTRACES).is_some() {
        return;
    }
    let Ok(executable) = env::current_exe() else { return };
    let mut again = process::Command::new(executable);
    again.args(env::args_os().skip(1));
    // The engine's `abort` would start a debugger.
    again.env(BACKTRACES, "1");
    if env::var_os(spinning::VARIABLE).is_none() && env::var_os("OMP_WAIT_POLICY").is_none() {
        again.env(spinning::VARIABLE, spinning::LONG);
    }
    // Returns only if it fails, and then all works but for these two.
    say(&format!("cannot start with a tuned environment: {}", again.exec()));
}

fn all_threads() -> u32 {
    available_parallelism().map_or(1, NonZeroUsize::get) as u32
}

fn say(message: &str) {
    // With stderr closed there is nobody to tell.
    let _ = writeln!(std::io::stderr(), "antiphon-llama: {message}");
}
