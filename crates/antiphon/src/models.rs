//! `antiphon models`: what is installed, and how it gets there.

use std::path::PathBuf;
use std::sync::Mutex;

use antiphon_models::{Library, Progress};
use clap::{Args, Subcommand};
use indicatif::{ProgressBar, ProgressStyle};

use crate::{Failed, paths, print, say};

#[derive(Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Install a model: a name of the catalogue, `hf:OWNER/REPO/FILE.gguf` or `.safetensors`, or a path.
    Pull {
        #[command(flatten)]
        place: Place,
        model: String,
    },
    /// List installed models, and those of the catalogue that could be.
    List {
        #[command(flatten)]
        place: Place,
    },
    /// Remove an installed model.
    Rm {
        #[command(flatten)]
        place: Place,
        model: String,
    },
}

#[derive(Args)]
pub(crate) struct Place {
    /// Where models are; `$XDG_CACHE_HOME/antiphon/models` unless given.
    #[arg(long, env = "ANTIPHON_MODELS_DIR")]
    pub(crate) models_dir: Option<PathBuf>,
    /// The worker's executable; beside this one unless given.
    #[arg(long, env = "ANTIPHON_WORKER")]
    pub(crate) worker: Option<PathBuf>,
}

impl Place {
    pub(crate) fn library(&self) -> Result<Library, Failed> {
        let folder = paths::models_folder(self.models_dir.clone())?;
        Library::open(folder, paths::worker(self.worker.clone())).map_err(failed)
    }
}

pub(crate) async fn run(arguments: Arguments) -> Result<(), Failed> {
    match arguments.command {
        Command::Pull { place, model } => {
            let (library, bar) = (place.library()?, Bar::default());
            if let Some(bundle) = library.bundles().iter().find(|bundle| bundle.name == model) {
                let pulled = library.pull_bundle(&model, &bar).await;
                bar.end();
                pulled.map_err(failed)?;
                say(&format!("`{model}` is installed ({}).", megabytes(bundle.bytes())));
                return Ok(());
            }
            let pulled = library.pull(&model, &bar).await;
            bar.end();
            let installed = pulled.map_err(failed)?;
            say(&format!("`{}` is installed ({}).", installed.name, megabytes(installed.bytes)));
        }
        Command::List { place } => {
            let library = place.library()?;
            let installed = library.list().map_err(failed)?;
            for model in &installed {
                print(&format!("{}\tinstalled\t{}\t{}", model.name, megabytes(model.bytes), model.path.display()));
            }
            for entry in library.catalogue() {
                if installed.iter().all(|model| model.name != entry.name) {
                    print(&format!("{}\tavailable\t{}\t{}", entry.name, megabytes(entry.bytes), entry.description));
                }
            }
            for bundle in library.bundles() {
                let size = megabytes(bundle.bytes());
                match library.bundle(&bundle.name) {
                    Ok(folder) => print(&format!("{}\tinstalled\t{size}\t{}", bundle.name, folder.display())),
                    Err(_) => print(&format!("{}\tavailable\t{size}\t{}", bundle.name, bundle.description)),
                }
            }
        }
        Command::Rm { place, model } => {
            place.library()?.remove(&model).map_err(failed)?;
            say(&format!("`{model}` is removed."));
        }
    }
    Ok(())
}

fn megabytes(bytes: u64) -> String {
    format!("{} MB", bytes.div_ceil(1_000_000))
}

#[expect(clippy::needless_pass_by_value, reason = "it is the end of the error")]
fn failed(error: antiphon_models::Error) -> Failed {
    Failed::new(error.to_string())
}

/// A progress bar on the terminal; lines of text where there is none.
#[derive(Default)]
struct Bar {
    current: Mutex<Option<ProgressBar>>,
}

impl Bar {
    fn end(&self) {
        if let Some(bar) = self.lock().take() {
            bar.finish_and_clear();
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<ProgressBar>> {
        self.current.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Progress for Bar {
    fn begin(&self, label: &str, total: Option<u64>) {
        self.end();
        let bar = match total {
            Some(total) => {
                let style =
                    ProgressStyle::with_template("{msg} [{bar:30}] {bytes}/{total_bytes} {bytes_per_sec} {eta}");
                ProgressBar::new(total).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
            }
            None => ProgressBar::new_spinner(),
        };
        bar.set_message(label.to_owned());
        if bar.is_hidden() {
            say(label);
        }
        *self.lock() = Some(bar);
    }

    fn add(&self, bytes: u64) {
        if let Some(bar) = &*self.lock() {
            bar.inc(bytes);
        }
    }

    fn note(&self, text: &str) {
        match &*self.lock() {
            Some(bar) if !bar.is_hidden() => bar.println(text),
            Some(_) | None => say(text),
        }
    }
}
