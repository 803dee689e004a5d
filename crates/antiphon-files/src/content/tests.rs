use std::fs::File;

use antiphon_environments::{EnvironmentLimits, Environments, EnvironmentsOptions, NetworkPolicy};
use antiphon_testkit::FixedAmbient;
use async_trait::async_trait;
use pretty_assertions::assert_eq;
use tempfile::TempDir;
use tokio::sync::Notify;

use super::*;
use crate::{Download, FileLimits, FilesOptions};

const PROJECT: ProjectId = ProjectId(1);

/// A folder from which nothing goes before the test says so.
struct Slow {
    folder: Folder,
    begun: Arc<Notify>,
    allowed: Arc<Notify>,
}

#[async_trait]
impl Blobs for Slow {
    async fn put(&self, name: &Name, file: &Path) -> io::Result<()> {
        self.folder.put(name, file).await
    }

    async fn open(&self, name: &Name) -> io::Result<File> {
        self.folder.open(name).await
    }

    async fn remove(&self, name: &Name) -> io::Result<()> {
        self.begun.notify_one();
        self.allowed.notified().await;
        self.folder.remove(name).await
    }

    async fn list(&self) -> io::Result<Vec<Name>> {
        self.folder.list().await
    }
}

async fn open(folder: &TempDir, blobs: impl Blobs + 'static) -> Files {
    let ambient: Arc<dyn Ambient> = Arc::new(FixedAmbient::default());
    let environments = Environments::open(EnvironmentsOptions {
        folder: folder.path().join("environments"),
        workspaces: folder.path().join("workspaces"),
        limits: EnvironmentLimits::default(),
        network: NetworkPolicy::default(),
        has_own_roots: true,
        repositories: None,
        ambient: Arc::clone(&ambient),
    });
    let environments = environments.await.unwrap();
    let folder = folder.path().join("files");
    let options = FilesOptions { folder, store: None, limits: FileLimits::default(), ambient, environments };
    let mut files = Files::open(options).await.unwrap();
    Arc::get_mut(&mut files.inner).unwrap().contents.blobs = Arc::new(blobs);
    files
}

fn made() -> Download {
    Download { mime_type: "image/png".to_owned(), bytes: b"the heron waits".to_vec() }
}

#[tokio::test]
async fn who_leaves_while_bytes_are_removed_lets_nobody_else_find_them() {
    let folder = tempfile::tempdir().unwrap();
    let (begun, allowed) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let kept = Folder::new(folder.path().join("files/contents"));
    let files = open(&folder, Slow { folder: kept, begun: Arc::clone(&begun), allowed: Arc::clone(&allowed) }).await;
    let name = files.keep_generated(PROJECT, made()).await.unwrap();
    tokio::select! {
        deleted = files.delete_file(PROJECT, &name["files/".len()..]) => panic!("it has ended: {deleted:?}"),
        () = begun.notified() => {}
    }
    assert_eq!(files.inner.contents.turn_of(PROJECT).available_permits(), 0);

    allowed.notify_one();
    let again = files.keep_generated(PROJECT, made()).await.unwrap();
    assert_eq!(files.download(PROJECT, &again["files/".len()..]).await, Ok(made()));
}
