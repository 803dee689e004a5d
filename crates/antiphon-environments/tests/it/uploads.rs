//! Files that come in and go out, and lists of them.

use std::fs;
use std::os::unix::fs::symlink;

use antiphon_environments::{EnvironmentLimits, Upload};
use antiphon_wire::{Code, EnvironmentFileKind, WorkspacePath};
use pretty_assertions::assert_eq;
use serde_json::json;

use crate::support::{PROJECT, Site, collect, tree};

const PLAIN: (bool, bool) = (false, false);
const OVERWRITE: (bool, bool) = (true, false);

#[tokio::test]
async fn a_file_goes_in_and_out() {
    let site = Site::new().await;
    let id = site.create(json!({})).await;
    let bytes: Vec<u8> = (0..300_000_u32).map(|at| at as u8).collect();
    let placed = site.upload(&id, "src/sub dir/data.csv", &bytes, PLAIN).await.unwrap();
    assert_eq!(placed.len(), 1);
    let shown = &placed[0];
    assert_eq!((shown.name.as_str(), shown.path.as_str()), ("data.csv", "src/sub dir/data.csv"));
    assert_eq!((shown.kind, shown.size_bytes), (EnvironmentFileKind::File, 300_000));
    assert_eq!(shown.mime_type, "text/csv");
    assert_eq!(site.download(&id, "src/sub dir/data.csv").await.unwrap(), bytes);
    let environment = site.environments.get(PROJECT, &id).await.unwrap();
    assert_eq!((environment.file_count, environment.size_bytes), (1, 300_000));
    site.upload(&id, "empty", b"", PLAIN).await.unwrap();
    assert_eq!(site.download(&id, "empty").await.unwrap(), b"");
}

#[tokio::test]
async fn nothing_is_replaced_unless_it_is_said() {
    let site = Site::new().await;
    let id = site.create(json!({})).await;
    site.upload(&id, "a/b", b"one", PLAIN).await.unwrap();
    for (path, how) in [("a/b", PLAIN), ("a", PLAIN), ("a", OVERWRITE), ("a/b/c", PLAIN), ("a/b/c", OVERWRITE)] {
        let refused = site.upload(&id, path, b"two", how).await.unwrap_err();
        assert_eq!(refused.code, Code::FailedPrecondition, "{path}");
        assert_eq!(site.download(&id, "a/b").await.unwrap(), b"one");
    }
    site.upload(&id, "a/b", b"two", OVERWRITE).await.unwrap();
    assert_eq!(site.download(&id, "a/b").await.unwrap(), b"two");
    assert_eq!(site.upload(&id, "", b"x", OVERWRITE).await.unwrap_err().code, Code::InvalidRequest);
    assert_eq!(site.paths(&id, "", true).await, ["a", "a/b"]);
    assert_eq!(fs::read_dir(site.home(&id)).unwrap().count(), 1, "nothing is left beside the workspace");
}

#[tokio::test]
async fn a_workspace_that_is_full_takes_no_more() {
    let limits = EnvironmentLimits { bytes: 100_000, entries: 4, ..EnvironmentLimits::default() };
    let site = Site::within(limits).await;
    let id = site.create(json!({})).await;
    let large = site.upload(&id, "large", &[1; 100_001], PLAIN).await.unwrap_err();
    assert_eq!(large.code, Code::ContentTooLarge);
    site.upload(&id, "a", &[1; 60_000], PLAIN).await.unwrap();
    let full = site.upload(&id, "b", &[1; 60_000], PLAIN).await.unwrap_err();
    assert_eq!(full.code, Code::FailedPrecondition);
    let many = site.upload(&id, "c/d/e/f", b"", PLAIN).await.unwrap_err();
    assert_eq!(many.code, Code::FailedPrecondition);
    assert_eq!(site.paths(&id, "", true).await, ["a"]);
}

#[tokio::test]
async fn a_folder_is_listed_in_pages_and_a_file_alone() {
    let site = Site::new().await;
    let id = site.create(json!({})).await;
    for path in ["b/2", "b/1", "b.txt", "a/x/deep/file", "a/y", "c"] {
        site.upload(&id, path, b"x", PLAIN).await.unwrap();
    }
    symlink("/etc/passwd", site.workspace(&id).join("d")).unwrap();
    let whole =
        ["a", "a/x", "a/x/deep", "a/x/deep/file", "a/y", "b", "b/1", "b/2", "b.txt", "c", "d"].map(str::to_owned);
    assert_eq!(site.paths(&id, "", true).await, whole);
    assert_eq!(site.paths(&id, "", false).await, ["a", "b", "b.txt", "c", "d"]);
    assert_eq!(site.paths(&id, "a", false).await, ["a/x", "a/y"]);
    assert_eq!(site.paths(&id, "a/y", true).await, ["a/y"]);
    assert_eq!(site.paths(&id, "d", true).await, ["d"]);
    for size in 1..12 {
        let mut listed = Vec::new();
        let mut token: Option<String> = None;
        loop {
            let top = WorkspacePath::default();
            let page = site.environments.files(PROJECT, &id, &top, true, token.as_deref(), size).await.unwrap();
            assert!(page.items.len() <= size);
            listed.extend(page.items.into_iter().map(|file| file.path));
            token = page.next;
            if token.is_none() {
                break;
            }
        }
        assert_eq!(listed, whole, "in pages of {size}");
    }
    let missing = WorkspacePath::parse("a/none").unwrap();
    let error = site.environments.files(PROJECT, &id, &missing, true, None, 10).await.unwrap_err();
    assert_eq!(error.code, Code::NotFound);
    let error = site.environments.files(PROJECT, &id, &missing, true, Some("?"), 10).await.unwrap_err();
    assert_eq!(error.code, Code::InvalidRequest);
}

#[tokio::test]
async fn a_snapshot_has_everything_as_it_is() {
    let site = Site::new().await;
    let id = site.create(json!({})).await;
    site.upload(&id, "src/main.py", b"print(42)", PLAIN).await.unwrap();
    let long = format!("{}/{}", "l".repeat(120), "n".repeat(120));
    site.upload(&id, &long, &[9; 100_000], PLAIN).await.unwrap();
    fs::create_dir(site.workspace(&id).join("empty")).unwrap();
    symlink("/etc/passwd", site.workspace(&id).join("leads out")).unwrap();
    symlink("t".repeat(200), site.workspace(&id).join("far")).unwrap();
    let archive = collect(site.environments.snapshot(PROJECT, &id).await.unwrap()).await;
    let folder = tempfile::tempdir().unwrap();
    let packed = folder.path().join("snapshot.tar");
    fs::write(&packed, archive).unwrap();
    let unpacked = folder.path().join("unpacked");
    fs::create_dir(&unpacked).unwrap();
    let tar = std::process::Command::new("tar").arg("-xpf").arg(&packed).arg("-C").arg(&unpacked).status().unwrap();
    assert!(tar.success());
    assert!(tree(&unpacked) == tree(&site.workspace(&id)));
}

#[tokio::test]
async fn what_was_committed_is_brought_in_by_the_next_start() {
    let mut site = Site::new().await;
    let id = site.create(json!({"sources": [{"type": "inline", "target": "a/old", "content": "old"}]})).await;
    // The server died while it moved files in, and while another's were written.
    let home = site.home(&id);
    fs::create_dir_all(home.join("committed/a/b")).unwrap();
    fs::write(home.join("committed/a/b/c"), "new").unwrap();
    fs::write(home.join("committed/a/old"), "newer").unwrap();
    fs::create_dir_all(home.join("staged")).unwrap();
    fs::write(home.join("staged/half"), "the stork").unwrap();
    site.restart().await;
    assert_eq!(site.paths(&id, "", true).await, ["a", "a/b", "a/b/c", "a/old"]);
    assert_eq!(site.download(&id, "a/old").await.unwrap(), b"newer");
    assert_eq!(site.holding("the stork"), 0);
    assert_eq!(fs::read_dir(home).unwrap().count(), 1);
}

#[tokio::test]
async fn an_upload_is_refused_before_its_bytes_come() {
    let site = Site::new().await;
    let id = site.create(json!({"sources": [{"type": "inline", "target": "a", "content": "x"}]})).await;
    let check = async |path: &str, overwrite, extract| {
        let upload = Upload { path: WorkspacePath::parse(path).unwrap(), overwrite, extract };
        site.environments.check_upload(PROJECT, &id, &upload).await.map_err(|error| error.code)
    };
    assert_eq!(check("a", false, false).await, Err(Code::FailedPrecondition));
    assert_eq!(check("", true, false).await, Err(Code::InvalidRequest));
    for (path, overwrite, extract) in [("a", true, false), ("b", false, false), ("", false, true)] {
        assert_eq!(check(path, overwrite, extract).await, Ok(()));
    }
}
