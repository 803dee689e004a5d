//! `antiphon config`: whether a configuration is right, and what it comes to.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use crate::config::{self, Config};
use crate::{Failed, print};

#[derive(Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Say what is wrong with the configuration, if anything is.
    Check(From),
    /// Print the configuration as the server would use it. Secrets are named, not shown.
    Print(From),
}

#[derive(Args)]
struct From {
    /// The configuration file.
    #[arg(long, env = "ANTIPHON_CONFIG")]
    config: Option<PathBuf>,
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), Failed> {
    let (Command::Check(from) | Command::Print(from)) = &arguments.command;
    let mut config = Config::read(from.config.as_deref(), std::env::vars())?;
    match &arguments.command {
        Command::Check(_) => print(&format!("the configuration is right: {} models", config.models.len())),
        Command::Print(_) => {
            config.server.listen.get_or_insert_with(|| config::DEFAULT_LISTEN.to_owned());
            config.models.iter_mut().for_each(config::Model::fill_in);
            let text = toml::to_string(&config).map_err(|error| Failed::new(error.to_string()))?;
            print(text.trim_end());
        }
    }
    Ok(())
}
