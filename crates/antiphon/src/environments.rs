//! `antiphon envs`: the environments of a running server, and what is in them.

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use antiphon_wire::WorkspacePath;
use clap::{Args, Subcommand};
use reqwest::{Method, Response};
use serde_json::{Value, json};

use crate::client::{Client, Reach, cut};
use crate::{Failed, say, shown};

#[derive(Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// List the environments.
    List {
        #[command(flatten)]
        reach: Reach,
        /// Print JSON in place of a table.
        #[arg(long)]
        json: bool,
    },
    /// List what is in an environment.
    Files {
        #[command(flatten)]
        reach: Reach,
        environment: String,
        /// A folder or a file; the whole workspace unless given.
        #[arg(value_parser = WorkspacePath::parse_seen, default_value = "")]
        path: WorkspacePath,
        /// Everything below, too.
        #[arg(long, short)]
        recursive: bool,
        /// Print JSON in place of a table.
        #[arg(long)]
        json: bool,
    },
    /// Get a file out of an environment.
    Get {
        #[command(flatten)]
        reach: Reach,
        environment: String,
        #[arg(value_parser = WorkspacePath::parse_seen)]
        path: WorkspacePath,
        /// Where it goes; `-` is standard output. Its own name in this folder unless given.
        file: Option<PathBuf>,
    },
    /// Put a file into an environment.
    Put {
        #[command(flatten)]
        reach: Reach,
        environment: String,
        /// The file here.
        file: PathBuf,
        /// Its place there; its own name at the top unless given. For an archive a folder.
        #[arg(value_parser = WorkspacePath::parse_seen)]
        path: Option<WorkspacePath>,
        /// Replace files that are there.
        #[arg(long)]
        overwrite: bool,
        /// Unpack it: tar, tar.gz or zip.
        #[arg(long)]
        extract: bool,
        /// Print JSON in place of a table.
        #[arg(long)]
        json: bool,
    },
    /// Get the whole workspace of an environment as a tar archive.
    Snapshot {
        #[command(flatten)]
        reach: Reach,
        environment: String,
        /// Where it goes; `-` is standard output. `ENVIRONMENT.tar` unless given.
        file: Option<PathBuf>,
    },
    /// Delete environments and everything in them.
    Rm {
        #[command(flatten)]
        reach: Reach,
        #[arg(required = true)]
        environments: Vec<String>,
    },
}

pub(crate) async fn run(arguments: Arguments) -> Result<(), Failed> {
    match arguments.command {
        Command::List { reach, json } => {
            let client = reach.client()?;
            let found = client.list(client.address(&["environments"]), "environments").await?;
            if json {
                shown::json(&json!({ "environments": found }));
            } else {
                show(
                    &["id", "status", "files", "bytes", "last used"],
                    &found,
                    &["id", "status", "file_count", "size_bytes", "last_accessed"],
                );
            }
            Ok(())
        }
        Command::Files { reach, environment, path, recursive, json } => {
            let client = reach.client()?;
            let mut url = client.file_address(&environment, &path);
            if recursive {
                url.query_pairs_mut().append_pair("recursive", "true");
            }
            let files = client.list(url, "files").await?;
            if json {
                shown::json(&json!({ "files": files }));
            } else {
                show_files(&files);
            }
            Ok(())
        }
        Command::Get { reach, environment, path, file } => {
            let Some(name) = Path::new(path.as_str()).file_name() else {
                return Err(Failed::new("expected the path of a file; `antiphon envs snapshot` gets everything"));
            };
            let file = file.unwrap_or_else(|| PathBuf::from(name));
            let client = reach.client()?;
            let mut url = client.file_address(&environment, &path);
            url.query_pairs_mut().append_pair("alt", "media");
            keep(client.open(Method::GET, url, None).await?, &file).await
        }
        Command::Put { reach, environment, file, path, overwrite, extract, json } => {
            let put = put(&reach.client()?, &environment, &file, path, overwrite, extract).await?;
            if json {
                shown::json(&put);
            } else if let Value::Array(files) = &put["files"] {
                show_files(files);
            }
            Ok(())
        }
        Command::Snapshot { reach, environment, file } => {
            let client = reach.client()?;
            let mut url = client.address(&["files", &format!("environment-{environment}:download")]);
            url.query_pairs_mut().append_pair("alt", "media");
            // Asked first: a name that the server does not know makes no file here.
            let archive = client.open(Method::GET, url, None).await?;
            keep(archive, &file.unwrap_or_else(|| PathBuf::from(format!("{environment}.tar")))).await
        }
        Command::Rm { reach, environments } => {
            let client = reach.client()?;
            for environment in &environments {
                client.ask(Method::DELETE, client.address(&["environments", environment]), None).await?;
                say(&format!("Environment {environment} is deleted."));
            }
            Ok(())
        }
    }
}

async fn put(
    client: &Client,
    environment: &str,
    file: &Path,
    path: Option<WorkspacePath>,
    overwrite: bool,
    extract: bool,
) -> Result<Value, Failed> {
    let cannot = |why: &dyn std::fmt::Display| Failed::new(format!("`{}` cannot be read: {why}", file.display()));
    let path = match path {
        Some(path) => path,
        None if extract => WorkspacePath::default(),
        None => {
            let name = file.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            WorkspacePath::parse(name).map_err(Failed::new)?
        }
    };
    let opened = File::open(file).map_err(|error| cannot(&error))?;
    if opened.metadata().map_err(|error| cannot(&error))?.is_dir() {
        return Err(cannot(&"it is a folder; `--extract` takes an archive of one"));
    }
    let flags = [("overwrite", overwrite), ("extract", extract)];
    let flags: Vec<_> = flags.into_iter().filter(|(_, is_set)| *is_set).map(|(name, _)| name).collect();
    client.upload(environment, &path, &flags, opened).await
}

fn show_files(files: &[Value]) {
    show(&["type", "bytes", "modified", "path"], files, &["type", "size_bytes", "modified", "path"]);
}

fn show(names: &[&str], entries: &[Value], fields: &[&str]) {
    let row = |entry: &Value| fields.iter().map(|field| shown::cell(&entry[field])).collect();
    shown::table(names, &entries.iter().map(row).collect::<Vec<_>>());
}

/// Writes what comes to a new file, whole or not at all, or to standard output.
async fn keep(mut response: Response, file: &Path) -> Result<(), Failed> {
    let cannot = |error: std::io::Error| Failed::new(format!("`{}` cannot be written: {error}", file.display()));
    if file == Path::new("-") {
        let mut output = std::io::stdout().lock();
        while let Some(piece) = response.chunk().await.map_err(|_| cut())? {
            output.write_all(&piece).map_err(cannot)?;
        }
        return output.flush().map_err(cannot);
    }
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
    let mut partial = tempfile::Builder::new().prefix(".antiphon-").tempfile_in(folder).map_err(cannot)?;
    while let Some(piece) = response.chunk().await.map_err(|_| cut())? {
        partial.write_all(&piece).map_err(cannot)?;
    }
    partial.as_file().sync_all().map_err(cannot)?;
    partial.persist_noclobber(file).map_err(|error| cannot(error.error))?;
    say(&format!("`{}` is written.", file.display()));
    Ok(())
}
