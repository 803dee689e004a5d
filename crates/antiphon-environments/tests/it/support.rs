//! A folder, a clock in the hands of the test, and the few words that tests need.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{Read as _, Seek as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use antiphon_credentials::{Credentials, CredentialsOptions};
use antiphon_engine::{Ambient, ProjectId};
use antiphon_environments::{
    ByteStream, EnvironmentLimits, Environments, EnvironmentsOptions, FaultHook, NetworkPolicy, Repositories, Upload,
};
use antiphon_testkit::FixedAmbient;
use antiphon_wire::{CreateEnvironment, EnvironmentFile, EnvironmentId, Error, WorkspacePath};
use futures_util::TryStreamExt as _;
use serde_json::{Value, json};
use tempfile::TempDir;

pub(crate) const PROJECT: ProjectId = ProjectId(1);
pub(crate) const OTHER: ProjectId = ProjectId(2);

pub(crate) struct Site {
    pub(crate) folder: TempDir,
    pub(crate) clock: Arc<FixedAmbient>,
    pub(crate) environments: Environments,
    limits: EnvironmentLimits,
}

impl Site {
    pub(crate) async fn new() -> Self {
        Self::within(EnvironmentLimits::default()).await
    }

    pub(crate) async fn within(limits: EnvironmentLimits) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock = Arc::new(FixedAmbient::default());
        let environments = open(folder.path(), limits, &clock).await;
        Self { folder, clock, environments, limits }
    }

    /// One that can fetch.
    pub(crate) async fn fetching(limits: EnvironmentLimits, repositories: Arc<dyn Repositories>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock = Arc::new(FixedAmbient::default());
        let network = NetworkPolicy::default();
        let environments = open_with(network, Some(repositories), folder.path(), limits, &clock, None).await;
        Self { folder, clock, environments, limits }
    }

    /// One where a test is told how far files are on their way in.
    pub(crate) async fn watched(hook: FaultHook) -> Self {
        let (folder, limits) = (tempfile::tempdir().unwrap(), EnvironmentLimits::default());
        let clock = Arc::new(FixedAmbient::default());
        let network = NetworkPolicy::default();
        let environments = open_with(network, None, folder.path(), limits, &clock, Some(hook)).await;
        Self { folder, clock, environments, limits }
    }

    /// As if the server had died and was started again.
    pub(crate) async fn restart(&mut self) {
        self.restart_under(NetworkPolicy::default()).await;
    }

    /// As [`Site::restart`], by an operator with another policy.
    pub(crate) async fn restart_under(&mut self, network: NetworkPolicy) {
        let other = tempfile::tempdir().unwrap();
        // The lock has to be free before it is taken again.
        drop(std::mem::replace(&mut self.environments, open(other.path(), self.limits, &self.clock).await));
        self.environments = open_under(network, self.folder.path(), self.limits, &self.clock).await;
    }

    /// The credentials of its projects; [`Site::restart_under`] makes them known.
    pub(crate) async fn credentials(&self) -> Credentials {
        let folder = self.folder.path().join("credentials");
        let ambient = Arc::clone(&self.clock) as Arc<dyn Ambient>;
        Credentials::open(CredentialsOptions { folder, most: 10, ambient }).await.unwrap()
    }

    /// Goes on with what is on the disk at this moment, as if the server had been killed.
    pub(crate) async fn die(&mut self) {
        let copy = tempfile::tempdir().unwrap();
        let from = self.folder.path().join("environments");
        let copied = Command::new("cp").arg("-a").arg(from).arg(copy.path()).status().unwrap();
        assert!(copied.success());
        self.environments = open(copy.path(), self.limits, &self.clock).await;
        self.folder = copy;
    }

    pub(crate) async fn create(&self, request: Value) -> EnvironmentId {
        self.environments.create(PROJECT, CreateEnvironment::read(request).unwrap()).await.unwrap().id
    }

    pub(crate) async fn fork(&self, from: &EnvironmentId) -> EnvironmentId {
        self.create(json!({"from_environment": from})).await
    }

    pub(crate) fn home(&self, id: &EnvironmentId) -> PathBuf {
        self.folder.path().join("environments").join(id.as_str())
    }

    pub(crate) fn workspace(&self, id: &EnvironmentId) -> PathBuf {
        self.home(id).join("workspace")
    }

    pub(crate) async fn upload(
        &self,
        id: &EnvironmentId,
        path: &str,
        bytes: &[u8],
        how: (bool, bool),
    ) -> Result<Vec<EnvironmentFile>, Error> {
        let (overwrite, extract) = how;
        let upload = Upload { path: WorkspacePath::parse(path).unwrap(), overwrite, extract };
        self.environments.upload(PROJECT, id, &upload, file(bytes)).await
    }

    pub(crate) async fn download(&self, id: &EnvironmentId, path: &str) -> Result<Vec<u8>, Error> {
        let path = WorkspacePath::parse(path).unwrap();
        let download = self.environments.download(PROJECT, id, &path).await?;
        let bytes = collect(download.bytes).await;
        assert_eq!(bytes.len() as u64, download.size);
        Ok(bytes)
    }

    /// The paths of a listing.
    pub(crate) async fn paths(&self, id: &EnvironmentId, path: &str, recursive: bool) -> Vec<String> {
        let path = WorkspacePath::parse(path).unwrap();
        let listed = self.environments.files(PROJECT, id, &path, recursive, None, 1000).await.unwrap();
        listed.items.into_iter().map(|file| file.path).collect()
    }

    /// How many files of the site hold these words.
    pub(crate) fn holding(&self, words: &str) -> usize {
        let mut folders = vec![self.folder.path().to_owned()];
        let mut count = 0;
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let entry = entry.unwrap();
                if entry.file_type().unwrap().is_dir() {
                    folders.push(entry.path());
                } else if entry.file_type().unwrap().is_file() {
                    let bytes = fs::read(entry.path()).unwrap();
                    count += usize::from(bytes.windows(words.len()).any(|found| found == words.as_bytes()));
                }
            }
        }
        count
    }
}

async fn open(folder: &Path, limits: EnvironmentLimits, clock: &Arc<FixedAmbient>) -> Environments {
    open_under(NetworkPolicy::default(), folder, limits, clock).await
}

async fn open_under(
    network: NetworkPolicy,
    folder: &Path,
    limits: EnvironmentLimits,
    clock: &Arc<FixedAmbient>,
) -> Environments {
    open_with(network, None, folder, limits, clock, None).await
}

async fn open_with(
    network: NetworkPolicy,
    repositories: Option<Arc<dyn Repositories>>,
    folder: &Path,
    limits: EnvironmentLimits,
    clock: &Arc<FixedAmbient>,
    fault: Option<FaultHook>,
) -> Environments {
    let ambient = Arc::clone(clock) as Arc<dyn Ambient>;
    let folder = folder.join("environments");
    let options = EnvironmentsOptions {
        workspaces: folder.clone(),
        folder,
        limits,
        network,
        has_own_roots: true,
        repositories,
        ambient,
    };
    Environments::open_with_faults(options, fault).await.unwrap()
}

pub(crate) fn file(bytes: &[u8]) -> File {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(bytes).unwrap();
    file.rewind().unwrap();
    file
}

pub(crate) async fn collect(stream: ByteStream) -> Vec<u8> {
    stream
        .try_fold(Vec::new(), |mut all, piece| async move {
            all.extend_from_slice(&piece);
            Ok(all)
        })
        .await
        .unwrap()
}

/// Every path below a folder, with what is there: its kind and mode, and its content or target.
pub(crate) fn tree(top: &Path) -> BTreeMap<String, (char, u32, Vec<u8>)> {
    let mut found = BTreeMap::new();
    let mut folders = vec![top.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let about = fs::symlink_metadata(&path).unwrap();
            let name = path.strip_prefix(top).unwrap().to_str().unwrap().to_owned();
            let mode = about.permissions().mode() & 0o7777;
            let kind = about.file_type();
            if kind.is_dir() {
                folders.push(path);
                found.insert(name, ('d', mode, Vec::new()));
            } else if kind.is_symlink() {
                let target = fs::read_link(&path).unwrap().into_os_string().into_encoded_bytes();
                found.insert(name, ('l', 0, target));
            } else if kind.is_file() {
                let mut bytes = Vec::new();
                File::open(&path).unwrap().read_to_end(&mut bytes).unwrap();
                found.insert(name, ('f', mode, bytes));
            } else {
                found.insert(name, ('?', mode, Vec::new()));
            }
        }
    }
    found
}
