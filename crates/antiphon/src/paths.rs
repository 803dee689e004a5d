//! Where things are on this machine, by the XDG base directory specification.

use std::env;
use std::path::{Path, PathBuf};

use crate::Failed;

/// `$XDG_DATA_HOME/antiphon`: the store, keys and secrets.
pub(crate) fn data_folder(chosen: Option<PathBuf>) -> Result<PathBuf, Failed> {
    chosen.map_or_else(|| home_folder("XDG_DATA_HOME", ".local/share"), Ok)
}

/// `$XDG_CACHE_HOME/antiphon/models`: what can be pulled again.
pub(crate) fn models_folder(chosen: Option<PathBuf>) -> Result<PathBuf, Failed> {
    chosen.map_or_else(|| Ok(home_folder("XDG_CACHE_HOME", ".cache")?.join("models")), Ok)
}

fn home_folder(variable: &str, below_home: &str) -> Result<PathBuf, Failed> {
    let given = env::var_os(variable).map(PathBuf::from).filter(|path| path.is_absolute());
    let base = match given {
        Some(path) => path,
        None => match env::var_os("HOME") {
            Some(home) => Path::new(&home).join(below_home),
            None => return Err(Failed::new(format!("neither `{variable}` nor `HOME` is set"))),
        },
    };
    Ok(base.join("antiphon"))
}

/// The worker executable: given, or beside this one.
pub(crate) fn worker(chosen: Option<PathBuf>) -> Option<PathBuf> {
    chosen.or_else(|| Some(env::current_exe().ok()?.parent()?.join("antiphon-llama")))
}

/// An executable of this project that lies beside this one.
pub(crate) fn beside(name: &str) -> Option<PathBuf> {
    let path = env::current_exe().ok()?.parent()?.join(name);
    path.is_file().then_some(path)
}
