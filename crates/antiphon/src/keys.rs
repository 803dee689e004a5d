//! `antiphon keys`: works on the database beside a running server, which notices within
//! a second.

use std::path::PathBuf;
use std::sync::Arc;

use antiphon_engine::{Ambient, Store, StoreError};
use antiphon_store::SqliteStore;
use clap::{Args, Subcommand};

use crate::ambient::Machine;
use crate::data::DataFolder;
use crate::{Failed, paths, print, say};

#[derive(Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Make a key and print it; it cannot be shown again.
    Create {
        #[command(flatten)]
        place: Place,
        /// What the key is for, shown in lists.
        #[arg(long)]
        name: String,
        /// Whose interactions it reaches.
        #[arg(long, default_value = "default")]
        project: String,
    },
    /// List all keys, without their secrets.
    List {
        #[command(flatten)]
        place: Place,
    },
    /// Revoke the key with this public id.
    Revoke {
        #[command(flatten)]
        place: Place,
        id: String,
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
        Command::Create { place, name, project } => {
            let (data, store) = open(place)?;
            print(&create(&data, &*store, &name, &project).await?);
        }
        Command::List { place } => {
            let (_, store) = open(place)?;
            print("id\tproject\tname\tcreated\trevoked");
            for key in store.keys().await.map_err(failed)? {
                let revoked = key.revoked.map_or_else(|| "-".to_owned(), |time| format!("{time:.0}"));
                print(&format!("{}\t{}\t{}\t{:.0}\t{revoked}", key.id, key.project_name, key.name, key.created));
            }
        }
        Command::Revoke { place, id } => {
            let (_, store) = open(place)?;
            store.revoke_key(&id, Machine.now()).await.map_err(|error| match error {
                StoreError::NotFound => Failed::new(format!("there is no key `{id}`; `antiphon keys list` shows all")),
                other => failed(other),
            })?;
            say(&format!("Key {id} is revoked."));
        }
    }
    Ok(())
}

/// Makes a key, keeps its hash and returns its text.
pub(crate) async fn create(data: &DataFolder, store: &dyn Store, name: &str, project: &str) -> Result<String, Failed> {
    for (what, value) in [("name", name), ("project", project)] {
        if value.is_empty() || value.len() > 100 || value.chars().any(char::is_control) {
            return Err(Failed::new(format!("--{what}: expected 1 to 100 printable characters")));
        }
    }
    let project_id = store.project(project).await.map_err(failed)?;
    let key = data.key_maker().make(&Machine, project_id, project, name);
    store.add_key(key.record).await.map_err(failed)?;
    Ok(key.text)
}

fn open(place: Place) -> Result<(DataFolder, Arc<dyn Store>), Failed> {
    let data = DataFolder::open(paths::data_folder(place.data_dir)?)?;
    let store = SqliteStore::open(data.path(), antiphon_store::StoreOptions::default()).map_err(failed)?;
    Ok((data, Arc::new(store)))
}

#[expect(clippy::needless_pass_by_value, reason = "it is the end of the error")]
fn failed(error: StoreError) -> Failed {
    Failed::new(error.to_string())
}
