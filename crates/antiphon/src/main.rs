//! The executable: command line, configuration, and putting the parts together.
//!
//! Only here are the environment and the configuration read; everything below is handed
//! what it needs.

use std::io::Write as _;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

mod ambient;
mod config;
mod configuration;
mod corpus;
mod data;
mod drawing;
mod hearing;
mod keys;
mod models;
mod paths;
mod proof;
mod secrets;
mod senses;
mod serve;
mod sight;
mod tools;

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
    /// Make a picture of a drawing; the server starts it.
    #[command(hide = true)]
    PaintDrawing(drawing::Arguments),
    /// Read a document; the server starts it.
    #[command(hide = true)]
    ReadDocument,
    /// Write down what is said in a sound; the server starts it.
    #[command(hide = true)]
    Hear,
    /// See what is in a picture; the server starts it.
    #[command(hide = true)]
    Look(sight::Arguments),
}

/// What went wrong, in words for the person at the terminal.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Failed(String);

impl Failed {
    fn new(message: impl Into<String>) -> Self {
        Self(message.into())
    }
}

fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Command::Serve(arguments) => wait(serve::run(arguments)),
        Command::Keys(arguments) => wait(keys::run(arguments)),
        Command::Config(arguments) => configuration::run(&arguments),
        Command::Models(arguments) => wait(models::run(arguments)),
        Command::Corpus(arguments) => wait(corpus::run(arguments)),
        // It bounds its process, in which nothing else may be.
        Command::PaintDrawing(arguments) => return drawing::run(&arguments),
        Command::ReadDocument => {
            return antiphon_documents::child::run().map_or(ExitCode::FAILURE, |()| ExitCode::SUCCESS);
        }
        Command::Hear => return hearing::run(),
        Command::Look(arguments) => return sight::run(&arguments),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(&format!("antiphon: {error}"));
            ExitCode::FAILURE
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
