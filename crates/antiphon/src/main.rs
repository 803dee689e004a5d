//! The executable: command line, configuration, and putting the parts together.
//!
//! Only here are the environment and the configuration read; everything below is handed
//! what it needs.

use std::io::Write as _;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

mod agents;
mod ambient;
mod client;
mod config;
mod configuration;
mod conversion;
mod corpus;
mod data;
mod diffusion;
mod drawing;
mod drawn;
mod environments;
mod fault;
mod hearing;
mod keys;
mod models;
mod opening;
mod paths;
mod proof;
mod secrets;
mod senses;
mod serve;
mod shown;
mod sight;
mod tokens;
mod tools;
mod video;

/// The Interactions API on your own machines.
#[derive(Parser)]
#[command(version, about, propagate_version = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Serve the API.
    Serve(serve::Arguments),
    /// Create, list and revoke API keys.
    Keys(keys::Arguments),
    /// Check and print the configuration.
    Config(configuration::Arguments),
    /// Pull, list and remove models.
    Models(models::Arguments),
    /// Add, list and remove folders that can be searched.
    Corpus(corpus::Arguments),
    /// Define, list and run agents of a running server.
    Agents(agents::Arguments),
    /// List environments of a running server, and move files in and out.
    Envs(environments::Arguments),
    /// Make a picture of a drawing; the server starts it.
    #[command(hide = true)]
    PaintDrawing(drawing::Arguments),
    /// Look at a picture and change its encoding; the server starts it.
    #[command(hide = true)]
    ConvertPicture(conversion::Arguments),
    /// Print the drawing that is sealed in a signature.
    #[command(hide = true)]
    ShowDrawing(drawn::Arguments),
    /// Read a document; the server starts it.
    #[command(hide = true)]
    ReadDocument,
    /// Write down what is said in a sound; the server starts it.
    #[command(hide = true)]
    Hear,
    /// Decode a video; the server starts it.
    #[command(hide = true)]
    DecodeVideo(video::Arguments),
    /// See what is in a picture; the server starts it.
    #[command(hide = true)]
    Look(sight::Arguments),
}

/// What went wrong, in words for the person at the terminal.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
struct Failed {
    message: String,
    /// How the process ends.
    code: u8,
}

impl Failed {
    fn new(message: impl Into<String>) -> Self {
        Self::with_code(message, 1)
    }

    fn with_code(message: impl Into<String>, code: u8) -> Self {
        Self { message: message.into(), code }
    }
}

fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Command::Serve(arguments) => serve::run(arguments),
        Command::Keys(arguments) => wait(keys::run(arguments)),
        Command::Config(arguments) => configuration::run(&arguments),
        Command::Models(arguments) => wait(models::run(arguments)),
        Command::Corpus(arguments) => wait(corpus::run(arguments)),
        Command::Agents(arguments) => wait(agents::run(arguments)),
        Command::Envs(arguments) => wait(environments::run(arguments)),
        Command::ShowDrawing(arguments) => drawn::run(arguments),
        // It bounds its process, in which nothing else may be.
        Command::PaintDrawing(arguments) => return drawing::run(&arguments),
        Command::ConvertPicture(arguments) => return conversion::run(&arguments),
        Command::ReadDocument => {
            return antiphon_documents::child::run().map_or(ExitCode::FAILURE, |()| ExitCode::SUCCESS);
        }
        Command::Hear => return hearing::run(),
        Command::DecodeVideo(arguments) => return video::run(&arguments),
        Command::Look(arguments) => return sight::run(&arguments),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(&format!("antiphon: {error}"));
            ExitCode::from(error.code)
        }
    }
}

#[tokio::main]
async fn wait<T>(work: impl Future<Output = T>) -> T {
    work.await
}

/// Words for a person go to standard error; results go to standard output. That nobody
/// reads them any more is no reason to stop.
fn say(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

fn print(text: &str) {
    let _ = writeln!(std::io::stdout(), "{text}");
}
