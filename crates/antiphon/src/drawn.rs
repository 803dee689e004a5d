//! `antiphon show-drawing`: what a picture was made of, for those who measure drawings.
//!
//! A drawing travels sealed in the signature of the thought before its picture. Whoever has the data
//! folder may read it.

use std::io::Read as _;
use std::path::PathBuf;

use antiphon_engine::ProjectId;
use clap::Args;

use crate::data::DataFolder;
use crate::{Failed, paths, print};

/// Longer signatures hold no drawing.
const MOST_INPUT: u64 = 128 << 10;

#[derive(Args)]
pub(crate) struct Arguments {
    /// Where the store is; `$XDG_DATA_HOME/antiphon` unless given.
    #[arg(long, env = "ANTIPHON_DATA_DIR")]
    data_dir: Option<PathBuf>,
    /// The number of the project that it was drawn for.
    #[arg(long, default_value_t = 1)]
    project: i64,
}

/// Reads a signature from the input and prints the drawing in it.
pub(crate) fn run(arguments: Arguments) -> Result<(), Failed> {
    let data = DataFolder::open(paths::data_folder(arguments.data_dir)?)?;
    let mut signature = String::new();
    let read = std::io::stdin().take(MOST_INPUT).read_to_string(&mut signature);
    read.map_err(|error| Failed::new(format!("the signature cannot be read: {error}")))?;
    let drawing = data.seal().drawing(ProjectId(arguments.project), signature.trim());
    let drawing = drawing.ok_or_else(|| Failed::new("no drawing of this project is sealed in this signature"))?;
    print(&drawing);
    Ok(())
}
