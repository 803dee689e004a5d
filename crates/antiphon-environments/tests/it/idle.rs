//! Environments that nobody uses rest, and are afterwards what they were.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{FileExt as _, MetadataExt as _, PermissionsExt as _, symlink};
use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

use antiphon_wire::{Code, EnvironmentId, EnvironmentSpec, EnvironmentStatus};
use jiff::SignedDuration;
use pretty_assertions::assert_eq;
use serde_json::json;

use crate::support::{PROJECT, Site, collect, tree};

const LONG: SignedDuration = SignedDuration::from_mins(15);

/// An environment with everything in it that a program can make.
async fn filled(site: &Site) -> EnvironmentId {
    let id = site.create(json!({"env": {"LEVEL": "3"}})).await;
    let top = site.workspace(&id);
    site.upload(&id, "birds/heron.txt", b"the heron waits", (false, false)).await.unwrap();
    let mode = |path: &str, mode: u32| fs::set_permissions(top.join(path), fs::Permissions::from_mode(mode)).unwrap();
    fs::write(top.join("run.sh"), "echo").unwrap();
    mode("run.sh", 0o750);
    fs::write(top.join("empty"), "").unwrap();
    fs::write(top.join("random"), (0..200_000_u32).map(|at| at.wrapping_mul(at) as u8).collect::<Vec<_>>()).unwrap();
    symlink("/etc/passwd", top.join("leads out")).unwrap();
    symlink("./birds/..//birds/.", top.join("within")).unwrap();
    symlink("x/".repeat(400), top.join("long")).unwrap();
    fs::create_dir_all(top.join("closed/empty")).unwrap();
    fs::create_dir_all(top.join("deep/".repeat(60))).unwrap();
    let bytes = OsStr::from_bytes(b"not \xff UTF-8\nat all");
    fs::write(top.join(bytes), "named").unwrap();
    rustix::fs::mknodat(
        rustix::fs::CWD,
        top.join("queue"),
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::from_raw_mode(0o620),
        0,
    )
    .unwrap();
    let holes = fs::File::create(top.join("holes")).unwrap();
    holes.set_len((1 << 20) + 7).unwrap();
    holes.write_all_at(b"the heron", 1 << 19).unwrap();
    let long_ago = UNIX_EPOCH - Duration::new(86_400, 250_000_001);
    fs::File::open(top.join("run.sh")).unwrap().set_modified(long_ago).unwrap();
    mode("closed", 0o500);
    id
}

/// When each thing of a tree was changed, to the nanosecond.
fn times(top: &Path) -> Vec<(String, i64, i64)> {
    let time = |name: &String| {
        let about = fs::symlink_metadata(top.join(name)).unwrap();
        (name.clone(), about.mtime(), about.mtime_nsec())
    };
    // Names of other bytes are not found by what is shown of them.
    ["run.sh", "birds", "birds/heron.txt", "closed", "queue", "leads out", "holes"]
        .map(str::to_owned)
        .iter()
        .map(time)
        .collect()
}

fn bytes_of(top: &Path) -> Vec<(Vec<u8>, u32, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(top).unwrap() {
        let entry = entry.unwrap();
        let about = fs::symlink_metadata(entry.path()).unwrap();
        let content = if about.is_file() { fs::read(entry.path()).unwrap() } else { Vec::new() };
        found.push((entry.file_name().as_bytes().to_owned(), about.permissions().mode(), content));
    }
    found.sort();
    found
}

fn rests(site: &Site, id: &EnvironmentId) -> bool {
    let names = fs::read_dir(site.home(id)).unwrap().map(|entry| entry.unwrap().file_name());
    let names: Vec<_> = names.collect();
    assert_eq!(names.len(), 1, "{names:?}");
    names[0] == "resting.tar.gz"
}

/// Nobody has it any more.
async fn settled(site: &Site, id: &EnvironmentId) {
    site.environments.update(PROJECT, id, &EnvironmentSpec::default()).await.unwrap();
}

#[tokio::test]
async fn an_idle_environment_rests_and_is_what_it_was_every_time() {
    let mut site = Site::new().await;
    let id = filled(&site).await;
    let (bytes, changed) = (bytes_of(&site.workspace(&id)), times(&site.workspace(&id)));
    let shown = site.environments.get(PROJECT, &id).await.unwrap();
    for round in 0..2 {
        site.clock.advance(LONG - SignedDuration::from_secs(1));
        site.environments.sweep().await;
        assert!(!rests(&site, &id), "{round}: not before its time");
        site.clock.advance(SignedDuration::from_secs(1));
        site.environments.sweep().await;
        assert!(rests(&site, &id), "{round}");
        assert!(fs::metadata(site.home(&id).join("resting.tar.gz")).unwrap().len() < 1 << 19, "holes are not kept");
        let resting = site.environments.get(PROJECT, &id).await.unwrap();
        assert_eq!((resting.status, resting.file_count), (EnvironmentStatus::Active, shown.file_count));
        site.restart().await;
        assert!(rests(&site, &id), "{round}: a restart wakes nobody");

        assert_eq!(site.download(&id, "birds/heron.txt").await.unwrap(), b"the heron waits");
        assert!(!rests(&site, &id));
        assert!(bytes_of(&site.workspace(&id)) == bytes, "{round}: contents, modes or names differ");
        assert_eq!(times(&site.workspace(&id)), changed, "{round}");
        let link = |name: &str| fs::read_link(site.workspace(&id).join(name)).unwrap();
        assert_eq!(link("within").as_os_str(), "./birds/..//birds/.");
        assert_eq!(link("long").as_os_str().len(), 800);
        let blocks = fs::metadata(site.workspace(&id).join("holes")).unwrap().blocks();
        assert!(blocks < 1024, "{blocks} blocks: the holes were filled");
        let closed = fs::metadata(site.workspace(&id).join("closed")).unwrap();
        assert_eq!(closed.permissions().mode() & 0o777, 0o500);
        assert!(site.workspace(&id).join("deep/".repeat(60)).is_dir());
    }
    let lease = site.environments.lease(PROJECT, &id).await.unwrap();
    assert_eq!(lease.env().get("LEVEL").map(String::as_str), Some("3"));
}

#[tokio::test]
async fn whoever_uses_it_wakes_it() {
    let site = Site::new().await;
    let id = site.create(json!({})).await;
    site.upload(&id, "a/b", b"one", (false, false)).await.unwrap();
    let before = tree(&site.workspace(&id));
    for way in 0..6 {
        site.clock.advance(LONG);
        site.environments.sweep().await;
        assert!(rests(&site, &id), "{way}");
        match way {
            0 => drop(site.environments.lease(PROJECT, &id).await.unwrap()),
            1 => assert_eq!(site.paths(&id, "", true).await, ["a", "a/b"]),
            2 => assert!(!collect(site.environments.snapshot(PROJECT, &id).await.unwrap()).await.is_empty()),
            3 => {
                let copy = site.fork(&id).await;
                assert!(tree(&site.workspace(&copy)) == before);
                site.environments.delete(PROJECT, &copy).await.unwrap();
            }
            4 => assert_eq!(site.download(&id, "a/b").await.unwrap(), b"one"),
            _ => drop(site.upload(&id, "c", b"two", (false, false)).await.unwrap()),
        }
        settled(&site, &id).await;
        assert!(site.workspace(&id).join("a/b").is_file(), "{way}");
    }
    assert_eq!(site.paths(&id, "", true).await, ["a", "a/b", "c"]);
}

#[tokio::test]
async fn who_is_at_it_keeps_it_awake() {
    let site = Site::new().await;
    let id = site.create(json!({})).await;
    site.upload(&id, "large", &[7; 4 << 20], (false, false)).await.unwrap();
    let stream = site.environments.snapshot(PROJECT, &id).await.unwrap();
    site.clock.advance(LONG * 2);
    site.environments.sweep().await;
    assert!(!rests(&site, &id), "its snapshot is still being read");
    assert!(collect(stream).await.len() > 4 << 20);
    let lease = site.environments.lease(PROJECT, &id).await.unwrap();
    site.clock.advance(LONG * 2);
    site.environments.sweep().await;
    assert!(lease.workspace().is_dir());
    assert!(!rests(&site, &id), "a run has it");
}

#[tokio::test]
async fn a_damaged_archive_is_said_and_kept() {
    let site = Site::new().await;
    let id = site.create(json!({})).await;
    site.upload(&id, "a", &[1; 10_000], (false, false)).await.unwrap();
    site.clock.advance(LONG);
    site.environments.sweep().await;
    let archive = site.home(&id).join("resting.tar.gz");
    let good = fs::read(&archive).unwrap();
    for damaged in [&good[..good.len() / 2], &good[..good.len() - 1], b"", b"no archive"] {
        fs::write(&archive, damaged).unwrap();
        let said = site.download(&id, "a").await.unwrap_err();
        assert_eq!(said.code, Code::ServiceUnavailable);
        assert!(rests(&site, &id), "nothing is made of it");
        assert_eq!(fs::read(&archive).unwrap(), damaged);
    }
    fs::write(&archive, good).unwrap();
    assert_eq!(site.download(&id, "a").await.unwrap(), [1; 10_000]);
}

#[tokio::test]
async fn one_at_rest_expires_and_is_deleted_as_any_other() {
    let site = Site::new().await;
    let (expiring, deleted) = (site.create(json!({})).await, site.create(json!({})).await);
    for id in [&expiring, &deleted] {
        site.upload(id, "a", b"the heron waits", (false, false)).await.unwrap();
    }
    site.clock.advance(LONG);
    site.environments.sweep().await;
    assert!(rests(&site, &expiring) && rests(&site, &deleted));
    site.environments.delete(PROJECT, &deleted).await.unwrap();
    assert!(!site.home(&deleted).exists());
    site.clock.advance(SignedDuration::from_hours(7 * 24));
    site.environments.sweep().await;
    assert!(!site.home(&expiring).exists());
    assert_eq!(site.environments.get(PROJECT, &expiring).await.unwrap().status, EnvironmentStatus::Expired);
    assert_eq!(site.download(&expiring, "a").await.unwrap_err().code, Code::NotFound);
}
