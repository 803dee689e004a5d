//! What programs can leave in a workspace, and what must not come of it.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::os::unix::net::UnixListener;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};

use antiphon_wire::{Code, WorkspacePath};
use pretty_assertions::assert_eq;
use rustix::fs::{CWD, FileType, Mode, RenameFlags};
use serde_json::json;

use crate::support::{PROJECT, Site, collect};

const HOST: &[u8] = b"bytes of the host";

/// A file outside of every workspace.
fn host() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("secret"), HOST).unwrap();
    folder
}

fn has_host_bytes(bytes: &[u8]) -> bool {
    bytes.windows(HOST.len()).any(|window| window == HOST)
}

#[tokio::test]
async fn no_link_is_followed() {
    let site = Site::new().await;
    let host = host();
    let id = site.create(json!({})).await;
    let workspace = site.workspace(&id);
    symlink(host.path().join("secret"), workspace.join("file")).unwrap();
    symlink(host.path(), workspace.join("folder")).unwrap();
    symlink("../../../..", workspace.join("up")).unwrap();
    symlink("/proc/self/root", workspace.join("magic")).unwrap();
    symlink("loop", workspace.join("loop")).unwrap();
    for path in ["file", "folder", "up", "magic", "loop"] {
        assert_eq!(site.download(&id, path).await.unwrap_err().code, Code::FailedPrecondition, "{path}");
        assert_eq!(site.paths(&id, path, true).await, [path]);
    }
    let below = format!("magic{}", host.path().join("secret").display());
    for path in ["folder/secret", "up/etc/passwd", &below] {
        assert_eq!(site.download(&id, path).await.unwrap_err().code, Code::NotFound, "{path}");
        let path = WorkspacePath::parse(path).unwrap();
        let listed = site.environments.files(PROJECT, &id, &path, true, None, 10).await;
        assert_eq!(listed.unwrap_err().code, Code::NotFound, "{path}");
    }
    assert_eq!(site.paths(&id, "", true).await, ["file", "folder", "loop", "magic", "up"]);
    let snapshot = collect(site.environments.snapshot(PROJECT, &id).await.unwrap()).await;
    assert!(!has_host_bytes(&snapshot));
    let copy = site.fork(&id).await;
    assert_eq!(fs::read_link(site.workspace(&copy).join("file")).unwrap(), host.path().join("secret"));
    assert_eq!(site.environments.get(PROJECT, &copy).await.unwrap().file_count, 0);

    // Nothing is written through one, either: the link itself is replaced, or it is in the way.
    for path in ["folder/new", "up/new", "magic/new"] {
        let refused = site.upload(&id, path, b"mine", (true, false)).await.unwrap_err();
        assert_eq!(refused.code, Code::FailedPrecondition, "{path}");
    }
    assert_eq!(site.upload(&id, "file", b"mine", (false, false)).await.unwrap_err().code, Code::FailedPrecondition);
    site.upload(&id, "file", b"mine", (true, false)).await.unwrap();
    assert_eq!(site.download(&id, "file").await.unwrap(), b"mine");
    assert_eq!(fs::read(host.path().join("secret")).unwrap(), HOST);
    assert_eq!(fs::read_dir(host.path()).unwrap().count(), 1);

    site.environments.delete(PROJECT, &id).await.unwrap();
    assert_eq!(fs::read(host.path().join("secret")).unwrap(), HOST);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_folder_that_becomes_a_link_shows_nothing_of_the_host() {
    let site = Site::new().await;
    let host = host();
    let id = site.create(json!({})).await;
    let workspace = site.workspace(&id);
    fs::create_dir(workspace.join("folder")).unwrap();
    fs::write(workspace.join("folder/secret"), "mine").unwrap();
    symlink(host.path(), workspace.join("link")).unwrap();
    let is_over = AtomicBool::new(false);
    let (one, other) = (workspace.join("folder"), workspace.join("link"));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !is_over.load(Ordering::Relaxed) {
                rustix::fs::renameat_with(CWD, &one, CWD, &other, RenameFlags::EXCHANGE).unwrap();
            }
        });
        let reading = async {
            let (mut read, mut refused) = (0, 0);
            while read < 100 || refused < 100 {
                match site.download(&id, "folder/secret").await {
                    Ok(bytes) => {
                        assert_eq!(bytes, b"mine");
                        read += 1;
                    }
                    Err(error) => {
                        assert_eq!(error.code, Code::NotFound);
                        refused += 1;
                    }
                }
                let snapshot = collect(site.environments.snapshot(PROJECT, &id).await.unwrap()).await;
                assert!(!has_host_bytes(&snapshot));
            }
        };
        // Also when the reading fails.
        let _over = Over(&is_over);
        tokio::task::block_in_place(|| tokio::runtime::Handle::current().block_on(reading));
    });
}

struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[tokio::test]
async fn nothing_waits_for_what_is_no_file() {
    let site = Site::new().await;
    let id = site.create(json!({"sources": [{"type": "inline", "target": "file", "content": "x"}]})).await;
    let workspace = site.workspace(&id);
    rustix::fs::mknodat(CWD, workspace.join("fifo"), FileType::Fifo, Mode::RWXU, 0).unwrap();
    let _socket = UnixListener::bind(workspace.join("socket")).unwrap();
    for path in ["fifo", "socket"] {
        assert_eq!(site.download(&id, path).await.unwrap_err().code, Code::FailedPrecondition, "{path}");
    }
    assert_eq!(site.paths(&id, "", true).await, ["file"]);
    let snapshot = collect(site.environments.snapshot(PROJECT, &id).await.unwrap()).await;
    assert_eq!(tar_names(&snapshot), ["file"]);
    let copy = site.fork(&id).await;
    assert_eq!(site.paths(&copy, "", true).await, ["file"]);
    site.upload(&id, "fifo", b"mine", (true, false)).await.unwrap();
    assert_eq!(site.download(&id, "fifo").await.unwrap(), b"mine");
    site.environments.delete(PROJECT, &id).await.unwrap();
}

fn tar_names(archive: &[u8]) -> Vec<String> {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), archive).unwrap();
    let listed = Command::new("tar").arg("-tf").arg(file.path()).output().unwrap();
    assert!(listed.status.success());
    String::from_utf8(listed.stdout).unwrap().lines().map(str::to_owned).collect()
}

#[tokio::test]
async fn folders_of_any_depth_and_closed_ones_can_be_deleted() {
    let site = Site::new().await;
    let id = site.create(json!({})).await;
    let mut place = rustix::fs::open(site.workspace(&id), rustix::fs::OFlags::DIRECTORY, Mode::empty()).unwrap();
    for _ in 0..2000 {
        rustix::fs::mkdirat(&place, "d", Mode::RWXU).unwrap();
        place = rustix::fs::openat(&place, "d", rustix::fs::OFlags::DIRECTORY, Mode::empty()).unwrap();
    }
    fs::create_dir(site.workspace(&id).join("closed")).unwrap();
    fs::set_permissions(site.workspace(&id).join("closed"), fs::Permissions::from_mode(0o000)).unwrap();
    // Lists show what they can; what must be whole is refused.
    let listed = site.paths(&id, "", true).await;
    assert!(listed.len() > 100 && listed.len() < 200, "{}", listed.len());
    assert_eq!(site.environments.fork(PROJECT, &id).await.unwrap_err().code, Code::FailedPrecondition);
    let close = || fs::set_permissions(site.workspace(&id), fs::Permissions::from_mode(0o000)).unwrap();
    close();
    assert_eq!(site.paths(&id, "", true).await, listed);
    close();
    site.environments.delete(PROJECT, &id).await.unwrap();
    assert!(!site.home(&id).exists());
}

#[tokio::test]
async fn a_file_of_holes_is_no_endless_snapshot() {
    let site = Site::new().await;
    let id = site.create(json!({})).await;
    fs::File::create(site.workspace(&id).join("holes")).unwrap().set_len(1 << 40).unwrap();
    assert_eq!(site.environments.snapshot(PROJECT, &id).await.unwrap_err().code, Code::FailedPrecondition);
    let copy = site.fork(&id).await;
    assert_eq!(fs::metadata(site.workspace(&copy).join("holes")).unwrap().len(), 1 << 40);
}

#[tokio::test]
async fn names_of_any_bytes_are_shown() {
    let site = Site::new().await;
    let id = site.create(json!({})).await;
    let name = std::os::unix::ffi::OsStringExt::from_vec(b"\xff\n\x1b[31m".to_vec());
    let name: std::ffi::OsString = name;
    fs::write(site.workspace(&id).join(&name), "x").unwrap();
    assert_eq!(site.paths(&id, "", true).await, ["\u{fffd}\n\u{1b}[31m"]);
    let copy = site.fork(&id).await;
    assert!(site.workspace(&copy).join(&name).exists());
    collect(site.environments.snapshot(PROJECT, &id).await.unwrap()).await;
}
