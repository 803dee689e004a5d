//! How environments begin, are shown, expire and end.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};

use antiphon_environments::{EnvironmentLimits, Environments, EnvironmentsOptions, NetworkPolicy};
use antiphon_wire::{Code, CreateEnvironment, EnvironmentChoice, EnvironmentId, EnvironmentStatus};
use jiff::SignedDuration;
use pretty_assertions::assert_eq;
use serde_json::{Value, json};

use crate::support::{OTHER, PROJECT, Site, tree};

fn heron() -> Value {
    json!({"sources": [{"type": "inline", "content": "the heron waits", "target": "birds/heron.txt"}]})
}

async fn choose(site: &Site, choice: Value) -> Result<EnvironmentId, Code> {
    let choice = EnvironmentChoice::read(choice, "environment").unwrap();
    site.environments.choose(PROJECT, &choice).await.map_err(|error| error.code)
}

#[tokio::test]
async fn an_environment_is_made_with_its_sources_and_shown() {
    let site = Site::new().await;
    let id = site.create(heron()).await;
    assert!(id.as_str().len() == 28 && id.as_str().starts_with("env_"), "{id}");
    let shown = site.environments.get(PROJECT, &id).await.unwrap();
    assert_eq!(
        serde_json::to_value(shown).unwrap(),
        json!({"id": id, "environment_id": id, "type": "remote", "status": "active", "network": "disabled",
            "created": "2026-06-09T12:01:25Z", "updated": "2026-06-09T12:01:25Z",
            "last_accessed": "2026-06-09T12:01:25Z", "file_count": 1, "size_bytes": 15,
            "sources": [{"type": "inline", "target": "birds/heron.txt"}]})
    );
    assert_eq!(site.download(&id, "birds/heron.txt").await.unwrap(), b"the heron waits");
    assert_eq!(site.paths(&id, "", true).await, ["birds", "birds/heron.txt"]);
    assert_eq!(fs::metadata(site.workspace(&id)).unwrap().permissions().mode() & 0o777, 0o700);
}

#[tokio::test]
async fn nothing_of_one_project_is_there_for_another() {
    let site = Site::new().await;
    let id = site.create(heron()).await;
    let path = &Default::default();
    let environments = &site.environments;
    let copy = CreateEnvironment { from_environment: Some(id.clone()), ..Default::default() };
    let codes = [
        environments.get(OTHER, &id).await.map(|_| ()),
        environments.delete(OTHER, &id).await,
        environments.lease(OTHER, &id).await.map(|_| ()),
        environments.create(OTHER, copy).await.map(|_| ()),
        environments.choose(OTHER, &EnvironmentChoice::Existing(id.clone())).await.map(|_| ()),
        environments.files(OTHER, &id, path, true, None, 10).await.map(|_| ()),
        environments.download(OTHER, &id, path).await.map(|_| ()),
        environments.snapshot(OTHER, &id).await.map(|_| ()),
    ]
    .map(|result| result.unwrap_err().code);
    assert_eq!(codes, [Code::NotFound; 8]);
    assert_eq!(environments.list(OTHER, None, 10).await.unwrap().items, []);
    assert_eq!(environments.list(PROJECT, None, 10).await.unwrap().items.len(), 1);
}

#[tokio::test]
async fn a_copy_is_identical_and_its_own() {
    let site = Site::new().await;
    let id = site.create(heron()).await;
    let workspace = site.workspace(&id);
    fs::write(workspace.join("run.sh"), "echo").unwrap();
    fs::set_permissions(workspace.join("run.sh"), fs::Permissions::from_mode(0o750)).unwrap();
    fs::write(workspace.join("read-only"), vec![7; 300_000]).unwrap();
    fs::set_permissions(workspace.join("read-only"), fs::Permissions::from_mode(0o440)).unwrap();
    symlink("/etc/passwd", workspace.join("leads out")).unwrap();
    symlink("./birds/../birds", workspace.join("within")).unwrap();
    fs::create_dir_all(workspace.join("closed/empty")).unwrap();
    fs::set_permissions(workspace.join("closed"), fs::Permissions::from_mode(0o500)).unwrap();
    let holes = fs::File::create(workspace.join("holes")).unwrap();
    holes.set_len(1 << 26).unwrap();
    rustix_write(&holes, 1 << 25);

    let copy = site.fork(&id).await;
    let (one, other) = (tree(&workspace), tree(&site.workspace(&copy)));
    assert_eq!(one.keys().collect::<Vec<_>>(), other.keys().collect::<Vec<_>>());
    assert!(one == other, "contents, modes or links differ");
    let times = |id: &EnvironmentId| fs::metadata(site.workspace(id).join("run.sh")).unwrap().modified().unwrap();
    assert_eq!(times(&id), times(&copy));
    let blocks = std::os::unix::fs::MetadataExt::blocks(&fs::metadata(site.workspace(&copy).join("holes")).unwrap());
    assert!(blocks < 4096, "{blocks} blocks: the holes were filled");
    let shown = site.environments.get(PROJECT, &copy).await.unwrap();
    assert_eq!((shown.file_count, shown.sources.len()), (4, 1));

    fs::write(site.workspace(&copy).join("birds/heron.txt"), "it flies").unwrap();
    site.environments.delete(PROJECT, &copy).await.unwrap();
    assert_eq!(site.download(&id, "birds/heron.txt").await.unwrap(), b"the heron waits");
    // And so is what a restart left of it.
    let mut site = site;
    site.restart().await;
    assert!(tree(&site.workspace(&id)) == one);
}

fn rustix_write(file: &fs::File, at: u64) {
    std::os::unix::fs::FileExt::write_all_at(file, b"the heron", at).unwrap();
}

#[tokio::test]
async fn an_interaction_gets_what_it_asks_for() {
    let site = Site::new().await;
    let new = choose(&site, json!("remote")).await.unwrap();
    assert_eq!(choose(&site, json!(new)).await, Ok(new.clone()));
    assert_eq!(choose(&site, json!({"type": "remote", "environment_id": new})).await, Ok(new.clone()));
    let mut described = heron();
    described["type"] = "remote".into();
    described["env"] = json!({"LEVEL": "3"});
    let other = choose(&site, described).await.unwrap();
    assert_ne!(new, other);
    let lease = site.environments.lease(PROJECT, &other).await.unwrap();
    assert_eq!(lease.workspace(), site.workspace(&other).canonicalize().unwrap());
    assert_eq!(lease.env().get("LEVEL").map(String::as_str), Some("3"));
    assert_eq!(choose(&site, json!("env_unknown")).await, Err(Code::NotFound));
    assert_eq!(choose(&site, json!({"environment_id": "env_unknown"})).await, Err(Code::NotFound));
}

#[tokio::test]
async fn a_project_has_so_many_at_most() {
    let site = Site::within(EnvironmentLimits { environments: 2, ..EnvironmentLimits::default() }).await;
    let (id, _) = (site.create(json!({})).await, site.create(json!({})).await);
    let third = site.environments.create(PROJECT, CreateEnvironment::default()).await.unwrap_err();
    assert_eq!(third.code, Code::FailedPrecondition);
    site.environments.create(OTHER, CreateEnvironment::default()).await.unwrap();
    site.environments.delete(PROJECT, &id).await.unwrap();
    site.create(json!({})).await;
    // What has expired takes no place.
    site.clock.advance(SignedDuration::from_hours(7 * 24));
    site.create(json!({})).await;
    // Nothing is left of those that were refused.
    let folders = fs::read_dir(site.folder.path().join("environments")).unwrap();
    assert_eq!(folders.filter(|entry| entry.as_ref().unwrap().file_type().unwrap().is_dir()).count(), 4);
}

#[tokio::test]
async fn pages_come_one_behind_the_other_the_latest_first() {
    let site = Site::new().await;
    let mut made = Vec::new();
    for _ in 0..5 {
        made.push(site.create(json!({})).await);
        site.clock.advance(SignedDuration::from_secs(1));
    }
    made.reverse();
    let mut listed = Vec::new();
    let mut token = None;
    loop {
        let page = site.environments.list(PROJECT, token.as_deref(), 2).await.unwrap();
        listed.extend(page.items.into_iter().map(|environment| environment.id));
        token = page.next;
        if token.is_none() {
            break;
        }
    }
    assert_eq!(listed, made);
    for wrong in ["", "x", "1", "1.", "x.env_a", "1.a/b"] {
        assert_eq!(site.environments.list(PROJECT, Some(wrong), 2).await.unwrap_err().code, Code::InvalidRequest);
    }
}

#[tokio::test]
async fn what_is_not_used_expires_and_its_bytes_are_gone() {
    // What rests is compressed, and its words are not found.
    let idle = SignedDuration::from_hours(365 * 24);
    let site = Site::within(EnvironmentLimits { idle, ..EnvironmentLimits::default() }).await;
    let (used, unused) = (site.create(heron()).await, site.create(heron()).await);
    site.clock.advance(SignedDuration::from_hours(6 * 24));
    site.download(&used, "birds/heron.txt").await.unwrap();
    site.clock.advance(SignedDuration::from_hours(24));
    // Already before somebody has swept.
    for is_swept in [false, true] {
        let shown = site.environments.get(PROJECT, &unused).await.unwrap();
        assert_eq!((shown.status, shown.file_count), (EnvironmentStatus::Expired, 0));
        assert_eq!(choose(&site, json!(unused)).await, Err(Code::NotFound));
        assert_eq!(site.download(&unused, "birds/heron.txt").await.unwrap_err().code, Code::NotFound);
        assert_eq!(site.environments.lease(PROJECT, &unused).await.unwrap_err().code, Code::NotFound);
        assert_eq!(site.environments.fork(PROJECT, &unused).await.unwrap_err().code, Code::NotFound);
        assert_eq!(site.environments.get(PROJECT, &used).await.unwrap().status, EnvironmentStatus::Active);
        assert_eq!(site.holding("the heron"), if is_swept { 1 } else { 2 });
        site.environments.sweep().await;
    }
    // It can still be deleted, and is forgotten in the end.
    site.clock.advance(SignedDuration::from_hours(61 * 24));
    site.environments.sweep().await;
    assert_eq!(site.environments.get(PROJECT, &unused).await.unwrap_err().code, Code::NotFound);
    site.environments.delete(PROJECT, &used).await.unwrap();
    assert_eq!(site.environments.get(PROJECT, &used).await.unwrap_err().code, Code::NotFound);
    assert_eq!(site.environments.delete(PROJECT, &used).await.unwrap_err().code, Code::NotFound);
}

#[tokio::test]
async fn a_longer_expiry_brings_nothing_back() {
    let mut site = Site::new().await;
    let id = site.create(heron()).await;
    site.clock.advance(SignedDuration::from_hours(7 * 24));
    site.environments.sweep().await;
    site.restart().await;
    let shown = site.environments.get(PROJECT, &id).await.unwrap();
    assert_eq!(shown.status, EnvironmentStatus::Expired);
    assert_eq!(site.holding("the heron"), 0);
}

#[tokio::test]
async fn a_deleted_environment_is_in_no_file() {
    let site = Site::new().await;
    let mut request = heron();
    request["env"] = json!({"WORD": "kingfisher"});
    let id = site.create(request).await;
    assert_eq!((site.holding("the heron"), site.holding("kingfisher") > 0), (1, true));
    site.environments.delete(PROJECT, &id).await.unwrap();
    assert_eq!((site.holding("the heron"), site.holding("kingfisher")), (0, 0));
    assert!(!site.home(&id).exists());
}

#[tokio::test]
async fn a_start_removes_what_no_row_speaks_of() {
    let mut site = Site::new().await;
    let id = site.create(heron()).await;
    // A server that died before the row, and one that died after it.
    let half = site.home(&EnvironmentId::parse("env_half").unwrap());
    fs::create_dir_all(half.join("workspace/a")).unwrap();
    fs::write(half.join("workspace/a/b"), "the stork").unwrap();
    symlink(site.workspace(&id), half.join("workspace/link")).unwrap();
    site.restart().await;
    assert!(!half.exists());
    assert_eq!(site.download(&id, "birds/heron.txt").await.unwrap(), b"the heron waits");
}

#[tokio::test]
async fn a_folder_has_one_server() {
    let site = Site::new().await;
    site.create(json!({})).await;
    let (known, workspaces) = (site.folder.path().join("environments"), site.folder.path().join("others"));
    for (folder, workspaces) in [(known.clone(), workspaces.clone()), (workspaces, known)] {
        let limits = EnvironmentLimits::default();
        let network = NetworkPolicy::default();
        let (has_own_roots, repositories, ambient) = (true, None, site.clock.clone());
        let options = EnvironmentsOptions { folder, workspaces, limits, network, has_own_roots, repositories, ambient };
        let error = Environments::open(options).await.unwrap_err();
        assert!(error.to_string().contains("another server"), "{error}");
    }
}

#[tokio::test]
async fn nothing_is_placed_where_no_program_would_find_it() {
    let site = Site::new().await;
    let (folder, workspaces) = (site.folder.path().join("others"), site.folder.path().join("workspaces"));
    let (limits, network) = (EnvironmentLimits::default(), NetworkPolicy::default());
    let (has_own_roots, repositories, ambient) = (false, None, site.clock.clone());
    let options = EnvironmentsOptions { folder, workspaces, limits, network, has_own_roots, repositories, ambient };
    let rootless = Environments::open(options).await.unwrap();
    let request = |target: &str, more: Value| {
        let mut request = json!({"sources": [{"type": "inline", "target": target, "content": "heron"}]});
        request.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        request
    };
    let create = |target: &str| rootless.create(PROJECT, CreateEnvironment::read(request(target, json!({}))).unwrap());
    let refused = create("/data/birds.csv").await.unwrap_err();
    assert_eq!(refused.code, Code::FailedPrecondition);
    assert!(refused.message.starts_with("`sources[0].target`: programs of this server have no root"), "{refused}");
    assert!(refused.message.ends_with("got `/data/birds.csv`"), "{refused}");
    let id = create("/workspace/birds.csv").await.unwrap().id;

    let choice = |more: Value| EnvironmentChoice::read(request("/data", more), "environment").unwrap();
    let refused = rootless.choose(PROJECT, &choice(json!({"type": "remote"}))).await.unwrap_err();
    assert!(refused.message.starts_with("`environment.sources[0].target`: "), "{refused}");
    let EnvironmentChoice::Described(spec) = choice(json!({"type": "remote", "environment_id": id.as_str()})) else {
        unreachable!("it is described")
    };
    let refused = rootless.update(PROJECT, &id, &spec).await.unwrap_err();
    assert!(refused.message.starts_with("`environment.sources[0].target`: "), "{refused}");
    assert_eq!(rootless.list(PROJECT, None, 10).await.unwrap().items.len(), 1);
}

#[tokio::test]
async fn a_start_leaves_alone_what_is_none_of_its_own() {
    let mut site = Site::new().await;
    site.create(json!({})).await;
    let other = site.folder.path().join("environments/photographs");
    fs::create_dir(&other).unwrap();
    site.restart().await;
    assert!(other.is_dir());
}
