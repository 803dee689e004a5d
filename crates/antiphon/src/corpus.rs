//! `antiphon corpus`: folders whose documents can be searched, beside a running server.

use std::path::PathBuf;
use std::sync::Arc;

use antiphon_search::{Corpus, CorpusError};
use clap::{Args, Subcommand};
use indicatif::{ProgressBar, ProgressStyle};

use crate::data::DataFolder;
use crate::{Failed, paths, print, say, tools};

#[derive(Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Bring the documents of a folder up to date with its files.
    Add {
        #[command(flatten)]
        place: Place,
        folder: PathBuf,
    },
    /// List the folders.
    List {
        #[command(flatten)]
        place: Place,
    },
    /// Forget a folder's documents; its files stay.
    Rm {
        #[command(flatten)]
        place: Place,
        folder: PathBuf,
    },
}

#[derive(Args)]
struct Place {
    /// Where the store is; `$XDG_DATA_HOME/antiphon` unless given.
    #[arg(long, env = "ANTIPHON_DATA_DIR")]
    data_dir: Option<PathBuf>,
}

pub(crate) async fn run(arguments: Arguments) -> Result<(), Failed> {
    match arguments.command {
        Command::Add { place, folder } => add(place, folder).await,
        Command::List { place } => {
            print("documents\tfolder");
            for folder in open(place).await?.folders().await.map_err(failed)? {
                print(&format!("{}\t{}", folder.documents, folder.path.display()));
            }
            Ok(())
        }
        Command::Rm { place, folder } => {
            let folder = std::path::absolute(&folder).map_err(|error| Failed::new(error.to_string()))?;
            let count = open(place).await?.remove_folder(&folder).await.map_err(failed)?;
            say(&format!("{count} documents are forgotten."));
            Ok(())
        }
    }
}

async fn add(place: Place, folder: PathBuf) -> Result<(), Failed> {
    let corpus = open(place).await?;
    let bar = ProgressBar::new(0);
    if let Ok(style) = ProgressStyle::with_template("{bar:30} {pos}/{len} {msg}") {
        bar.set_style(style);
    }
    let shown = bar.clone();
    let report = corpus
        .add_folder(folder, move |progress| {
            shown.set_length(progress.of as u64);
            shown.set_position(progress.file as u64);
            shown.set_message(progress.path.display().to_string());
        })
        .await;
    bar.finish_and_clear();
    let report = report.map_err(failed)?;
    for skipped in &report.skipped {
        say(&format!("left out: {}: {}", skipped.path.display(), skipped.reason));
    }
    print(&format!(
        "{} added, {} updated, {} unchanged, {} removed, {} left out",
        report.added, report.updated, report.unchanged, report.removed, report.skipped_in_all
    ));
    Ok(())
}

async fn open(place: Place) -> Result<Corpus, Failed> {
    let data = DataFolder::open(paths::data_folder(place.data_dir)?)?;
    let corpus = Corpus::open(data.path().join(tools::CORPUS)).await.map_err(failed)?;
    Ok(corpus.with_extractor(Arc::new(tools::extracted)))
}

#[expect(clippy::needless_pass_by_value, reason = "it is the end of the error")]
fn failed(error: CorpusError) -> Failed {
    Failed::new(error.to_string())
}
