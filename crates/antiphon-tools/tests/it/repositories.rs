//! Repositories as sources: what comes of good ones, and what hostile ones and their servers cannot do.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use antiphon_environments::EnvironmentLimits;
use antiphon_sandbox::Limits;
use antiphon_wire::{Code, CreateEnvironment, EnvironmentChoice, EnvironmentId, Error, Status, WorkspacePath};
use pretty_assertions::assert_eq;
use serde_json::{Value, json};

use crate::git::{GitServer, SECRET, is_held};
use crate::site::{OTHER, PROJECT, Site, order};

struct World {
    server: GitServer,
    site: Site,
}

impl World {
    async fn new() -> Option<Self> {
        Self::within(EnvironmentLimits::default()).await
    }

    /// None in tier 2, where it is said that there are no repositories.
    async fn within(limits: EnvironmentLimits) -> Option<Self> {
        let server = GitServer::start().await;
        let site = Site::connected(Limits::default(), limits, Some(server.egress(None))).await;
        let world = Self { server, site };
        let probe = world.create(json!([repository("nothing")])).await.unwrap_err();
        if probe.code == Code::FailedPrecondition {
            let told = "`sources[0].source`: repositories are not fetched on this server: ";
            assert!(probe.message.starts_with(told), "{probe}");
            return None;
        }
        world.server.seen.lock().unwrap().clear();
        Some(world)
    }

    async fn create(&self, sources: Value) -> Result<EnvironmentId, Error> {
        self.create_with(json!({ "sources": sources })).await
    }

    async fn create_with(&self, request: Value) -> Result<EnvironmentId, Error> {
        let request = CreateEnvironment::read(request).unwrap();
        self.site.environments.create(PROJECT, request).await.map(|made| made.id)
    }

    /// That a repository cannot be had, and has left nothing.
    async fn refused(&self, name: &str, code: Code, why: &str) {
        let error = self.create(json!([inline("a.txt"), repository(name)])).await.unwrap_err();
        let told = format!("`sources[1].source`: `https://git.test/{name}` cannot be had: ");
        assert!(error.code == code && error.message.starts_with(&told), "{error}");
        assert!(error.message.contains(why), "{error}");
        assert_eq!(self.homes(), Vec::<PathBuf>::new(), "{name}");
        assert_eq!(self.site.environments.list(PROJECT, None, 10).await.unwrap().items.len(), 0);
    }

    /// Folders of environments, also of halves.
    fn homes(&self) -> Vec<PathBuf> {
        let workspaces = self.site.folder.path().join("workspaces");
        let entries = fs::read_dir(workspaces).unwrap().map(|entry| entry.unwrap().path());
        entries.filter(|path| path.is_dir()).collect()
    }

    async fn read(&self, id: &EnvironmentId, path: &str) -> Result<String, Error> {
        let path = WorkspacePath::parse(path).unwrap();
        self.site.environments.download(PROJECT, id, &path).await?;
        Ok(fs::read_to_string(self.site.workspace(id).join(path.as_path())).unwrap())
    }

    async fn mime_type(&self, id: &EnvironmentId, path: &str) -> String {
        let path = WorkspacePath::parse(path).unwrap();
        let listed = self.site.environments.files(PROJECT, id, &path, false, None, 10).await.unwrap();
        listed.items[0].mime_type.clone()
    }
}

fn repository(name: &str) -> Value {
    json!({"type": "repository", "source": format!("https://git.test/{name}")})
}

fn inline(target: &str) -> Value {
    json!({"type": "inline", "target": target, "content": "inline"})
}

fn bash(code: &str) -> String {
    order("code_execution", json!({"language": "bash", "code": code}))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repository_is_a_folder_with_its_last_commit() {
    let Some(world) = World::new().await else { return };
    let heron = world.server.repository("heron.git");
    heron.write("README.md", "old words").commit("first");
    heron.write("README.md", "The heron waits.").write("src/wait.sh", "echo waited").commit("second");
    let id = world
        .create(json!([inline("notes.txt"), {"type": "repository", "source": "https://git.test/heron.git",
            "target": "/workspace/birds/heron"}]))
        .await
        .unwrap();
    assert_eq!(world.read(&id, "birds/heron/README.md").await.unwrap(), "The heron waits.");
    assert!(!is_held(&world.site.workspace(&id), "old words"), "one commit comes, and no more");
    let shown = serde_json::to_value(world.site.environments.get(PROJECT, &id).await.unwrap()).unwrap();
    assert_eq!(
        (&shown["sources"], &shown["network"]),
        (
            &json!([
                {"type": "repository", "target": "birds/heron", "source": "https://git.test/heron.git"},
                {"type": "inline", "target": "notes.txt"},
            ]),
            &json!("disabled")
        )
    );
    assert!(shown["file_count"].as_u64().unwrap() > 3, "{shown}");
    let requests = world.server.requests();
    assert!(requests.iter().all(|line| line.contains(" /heron.git/")) && !requests.is_empty(), "{requests:?}");

    // Programs have a whole repository, and still no network.
    world.site.define(json!({"tools": [{"type": "code_execution"}], "base_environment": id.as_str()})).await;
    let look = "cd birds/heron && git status --short && git log --format=%s && ls .git/hooks; bash src/wait.sh; \
                git ls-remote 2>&1 | tail -n 1; echo changed > README.md; \
                git -c user.name=Heron -c user.email=heron@birds.test commit -qam third; git log --format=%s";
    let run = world.site.run(json!({ "input": bash(look) })).await.unwrap();
    assert_eq!(run.status, Status::Completed, "{:?}", run.error);
    let steps = serde_json::to_string(&run.steps).unwrap();
    let said = ["second\\nls: cannot access '.git/hooks'", "waited\\n", "Could not resolve host", "third\\nsecond\\n"];
    for words in said {
        assert!(steps.contains(words), "{words}: {steps}");
    }
    // It was a copy that they changed.
    let copy = run.environment_id.unwrap();
    assert_eq!(world.read(&copy, "birds/heron/README.md").await.unwrap(), "changed\n");
    assert_eq!(world.read(&id, "birds/heron/README.md").await.unwrap(), "The heron waits.");
    assert_eq!(world.server.requests(), requests);
}

#[tokio::test(flavor = "multi_thread")]
async fn repositories_come_into_an_environment_that_is_there_and_with_an_agent() {
    let Some(world) = World::new().await else { return };
    world.server.repository("heron").write("a.txt", "heron").commit("first");
    world.server.repository("owl").write("a.txt", "owl").commit("first");
    let id = world.create(json!([repository("heron")])).await.unwrap();
    let update = |sources: Value| {
        let choice = json!({"type": "remote", "environment_id": id, "sources": sources});
        let EnvironmentChoice::Described(spec) = EnvironmentChoice::read(choice, "environment").unwrap() else {
            unreachable!("it is an object")
        };
        spec
    };
    let change = |sources| world.site.environments.update(PROJECT, &id, &update(sources)).await_in_place();
    change(json!([repository("owl"), inline("b.txt")])).unwrap();
    assert_eq!(world.read(&id, "owl/a.txt").await.unwrap(), "owl");

    // What is there is not replaced, and what comes with it does not come either.
    let error = change(json!([repository("heron"), inline("c.txt")])).unwrap_err();
    assert_eq!(error.code, Code::FailedPrecondition, "{error}");
    let told = "`environment.sources[0].target`: `heron` is there already, and a repository replaces nothing";
    assert_eq!(error.message, told);
    let error = change(json!([inline("c.txt"), repository("nobody")])).unwrap_err();
    assert!(error.message.starts_with("`environment.sources[1].source`: `https://git.test/nobody` cannot"), "{error}");
    let top = world.site.environments.files(PROJECT, &id, &WorkspacePath::default(), false, None, 10).await.unwrap();
    assert_eq!(top.items.iter().map(|file| file.path.as_str()).collect::<Vec<_>>(), ["b.txt", "heron", "owl"]);
    assert_eq!(fs::read_dir(world.site.workspace(&id).parent().unwrap()).unwrap().count(), 1);

    let base = json!({"type": "remote", "sources": [repository("heron")]});
    world.site.define(json!({"base_environment": base})).await;
    let own = json!({"type": "remote", "sources": [repository("owl")]});
    let run = world.site.run(json!({ "environment": own })).await.unwrap();
    let place = run.environment_id.unwrap();
    assert_eq!(world.read(&place, "heron/a.txt").await.unwrap(), "heron");
    assert_eq!(world.read(&place, "owl/a.txt").await.unwrap(), "owl");
    // A definition and a request can want two things of one place.
    let inside = json!({"type": "remote", "sources": [inline("heron/b.txt")]});
    let error = world.site.run(json!({ "environment": inside })).await.unwrap_err();
    let told = "`environment.sources[0].target`: `heron/b.txt` is in the way of another source's `heron`";
    assert_eq!((error.code, error.message.as_str()), (Code::InvalidRequest, told));
    let theirs = world.site.run_as(OTHER, json!({"environment": id.as_str()})).await.unwrap_err();
    assert_eq!(theirs.code, Code::NotFound);
}

/// Awaits where a test is not written for it.
trait InPlace: Future + Sized {
    fn await_in_place(self) -> Self::Output {
        tokio::task::block_in_place(|| tokio::runtime::Handle::current().block_on(self))
    }
}

impl<F: Future> InPlace for F {}

#[tokio::test(flavor = "multi_thread")]
async fn links_lead_nowhere_and_nothing_of_a_repository_is_run() {
    let Some(world) = World::new().await else { return };
    let host = world.site.folder.path().join("host.txt");
    fs::write(&host, "words of the host").unwrap();
    world.server.repository("sub").write("a.txt", "sub").commit("first");
    let hostile = world.server.repository("hostile");
    hostile
        .write("file.txt", "plain")
        .link("absolute", host.to_str().unwrap())
        .link("up", "../../../../host.txt")
        .link("folder", "../../../..")
        .link("hooks", ".git/hooks")
        .link("inside", "file.txt")
        .write(
            ".gitmodules",
            "[submodule \"sub\"]\n\tpath = sub\n\turl = https://git.test/sub\n\tupdate = !touch ran\n",
        )
        .write(".gitattributes", "*.bin filter=lfs diff=lfs merge=lfs\n*.txt filter=run\n")
        .write(".gitconfig", "[filter \"run\"]\n\tsmudge = touch ran\n[core]\n\tfsmonitor = touch ran\n")
        .write(".lfsconfig", "[lfs]\n\turl = https://git.test/lfs\n")
        .write("large.bin", "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 5\n")
        .write("post-checkout", "#!/bin/sh\ntouch ran\n");
    hostile.commit("hostile");
    hostile.git(&["update-index", "--add", "--cacheinfo", "160000,0123456789012345678901234567890123456789,sub"], "");
    hostile.git(&["commit", "--quiet", "--message", "with a submodule"], "");

    let id = world.create(json!([repository("hostile")])).await.unwrap();
    for link in ["absolute", "up", "folder", "hooks", "inside"] {
        let path = format!("hostile/{link}");
        assert_eq!(world.mime_type(&id, &path).await, "inode/symlink");
        assert_eq!(world.read(&id, &path).await.unwrap_err().code, Code::FailedPrecondition, "{path}");
        let below = world.read(&id, &format!("{path}/host.txt")).await.unwrap_err();
        assert_eq!(below.code, Code::NotFound, "{path}");
    }
    assert_eq!(world.read(&id, "hostile/file.txt").await.unwrap(), "plain");
    assert!(world.read(&id, "hostile/large.bin").await.unwrap().starts_with("version https://git-lfs"));
    let workspace = world.site.workspace(&id);
    assert_eq!(fs::read_dir(workspace.join("hostile/sub")).unwrap().count(), 0, "a submodule is not fetched");
    assert!(!workspace.join("hostile/ran").exists() && !workspace.join("ran").exists());
    assert!(!workspace.join("hostile/.git/hooks").exists());
    assert!(world.server.requests().iter().all(|line| line.contains(" /hostile/")), "{:?}", world.server.requests());
    assert!(!is_held(&workspace, "words of the host"));

    // A copy and an agent find the same, and nothing is placed through a link.
    let copy = world.create_with(json!({"from_environment": id})).await.unwrap();
    assert_eq!(fs::read_link(world.site.workspace(&copy).join("hostile/absolute")).unwrap(), host);
    let read = ["hostile/absolute", "hostile/up", "hostile/folder/host.txt"]
        .map(|path| order("read_file", json!({ "path": path })))
        .join("\n");
    world.site.define(json!({"tools": [{"type": "code_execution"}], "base_environment": copy.as_str()})).await;
    let run = world.site.run(json!({"input": format!("{read}\n{}", bash("cat hostile/absolute hostile/up"))})).await;
    assert!(!serde_json::to_string(&run.unwrap().steps).unwrap().contains("words of the host"));
    let spec = json!({"environment": {"type": "remote", "environment_id": copy,
        "sources": [inline("hostile/folder/planted.txt")]}});
    assert_eq!(world.site.run(spec).await.unwrap_err().code, Code::FailedPrecondition);
    assert_eq!(fs::read_to_string(&host).unwrap(), "words of the host");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tree_that_reaches_into_the_repository_itself_is_refused() {
    let Some(world) = World::new().await else { return };
    for (name, path) in [("inner", ".git"), ("inner-case", ".GIT"), ("upward", "..")] {
        let hostile = world.server.repository(name);
        let hook = hostile.git(&["hash-object", "-w", "--stdin"], "#!/bin/sh\ntouch ran\n");
        let hooks = hostile.git(&["mktree"], &format!("100755 blob {hook}\tpost-checkout\n"));
        let below = hostile.git(&["mktree"], &format!("040000 tree {hooks}\thooks\n"));
        hostile.commit_tree(&hostile.git(&["mktree"], &format!("040000 tree {below}\t{path}\n")));
        world.refused(name, Code::InvalidRequest, "`git` says: ").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_too_large_is_ended_and_leaves_nothing() {
    let limits = EnvironmentLimits { bytes: 8 << 20, entries: 500, ..EnvironmentLimits::default() };
    let Some(world) = World::within(limits).await else { return };
    // Small on the way, and large once it is there.
    world.server.repository("zeros").write("zeros", vec![0; 64 << 20]).commit("first");
    world.refused("zeros", Code::ContentTooLarge, "more than 8").await;
    let mut noise = vec![0_u8; 12 << 20];
    fill(&mut noise);
    world.server.repository("random").write("random", noise).commit("first");
    world.refused("random", Code::ContentTooLarge, "more than 8").await;
    let many = world.server.repository("many");
    for at in 0..2000 {
        many.write(&format!("{}/{at}", at % 7), "x");
    }
    many.commit("first");
    world.refused("many", Code::ContentTooLarge, "files and folders").await;
    let deep = world.server.repository("deep");
    deep.write(&format!("{}x", "a/".repeat(300)), "x").commit("first");
    world.refused("deep", Code::ContentTooLarge, "").await;

    // What fits beside the others comes, and only that.
    world.server.repository("fits").write("a.txt", "x").commit("first");
    world.create(json!([repository("fits")])).await.unwrap();
}

/// Bytes that cannot be packed, the same every time.
fn fill(bytes: &mut [u8]) {
    let mut state = 88_172_645_463_325_252_u64;
    for byte in bytes {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        *byte = state.to_le_bytes()[3];
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_there_or_leads_elsewhere_is_refused() {
    let Some(world) = World::new().await else { return };
    world.refused("nobody", Code::InvalidRequest, "not found").await;
    world.refused("away", Code::InvalidRequest, "`inner.test` is not allowed").await;
    world.refused("down", Code::InvalidRequest, "Protocol \"http\" ").await;
    world.refused("file", Code::InvalidRequest, "Protocol \"file\" ").await;
    world.refused("noise", Code::InvalidRequest, "`git` says: ").await;
    // What is in a private network reads as what is nowhere.
    let told = |host: &str| {
        let source = json!([{"type": "repository", "source": format!("https://{host}/heron")}]);
        let error = world.create(source).await_in_place().unwrap_err();
        error.message.replace(host, "HOST")
    };
    assert_eq!(told("inner.test"), told("nowhere.test"));
    assert!(told("inner.test").ends_with("it has no public address that could be reached"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_proves_somebody_goes_to_the_server_and_nowhere_else() {
    let Some(world) = World::new().await else { return };
    world.server.repository("private").write("a.txt", "private words").commit("first");
    world.refused("private", Code::InvalidRequest, "as `transform` or `credential`").await;
    world.server.seen.lock().unwrap().clear();
    let request = |domain: &str| {
        let allowlist = json!([{"domain": domain, "transform": {"Authorization": SECRET}}]);
        json!({"sources": [repository("private")], "network": {"allowlist": allowlist}})
    };
    world.create_with(request("other.test")).await.unwrap_err();
    assert!(!world.server.requests().iter().any(|line| line.ends_with("+secret")), "it is for another host");
    world.server.seen.lock().unwrap().clear();
    let id = world.create_with(request("git.test")).await.unwrap();
    assert_eq!(world.read(&id, "private/a.txt").await.unwrap(), "private words");
    let requests = world.server.requests();
    assert!(requests.iter().all(|line| line.ends_with("+secret")) && !requests.is_empty(), "{requests:?}");
    assert!(!is_held(&world.site.workspace(&id), SECRET.strip_prefix("Bearer ").unwrap()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_server_is_given_up() {
    let limits = EnvironmentLimits { fetching: Duration::from_secs(3), ..EnvironmentLimits::default() };
    let Some(mut world) = World::within(limits).await else { return };
    let told = "the repositories of one request have 3 s together";
    world.refused("silent", Code::InvalidRequest, told).await;
    assert_eq!([world.server.silent.recv().await, world.server.silent.recv().await], [Some("came"), Some("went")]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_leaves_ends_what_is_fetched_for_it() {
    let Some(mut world) = World::new().await else { return };
    let request = CreateEnvironment::read(json!({"sources": [repository("silent")]})).unwrap();
    let (environments, came) = (world.site.environments.clone(), &mut world.server.silent);
    tokio::select! {
        made = environments.create(PROJECT, request) => panic!("{made:?}"),
        word = came.recv() => assert_eq!(word, Some("came")),
    }
    assert_eq!(world.server.silent.recv().await, Some("went"));
    while !world.homes().is_empty() {
        tokio::task::yield_now().await;
    }
    // Nobody waits for it any more, so the next one has its turn.
    world.server.repository("heron").write("a.txt", "heron").commit("first");
    world.create(json!([repository("heron")])).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn there_are_no_repositories_where_there_is_no_network() {
    let site = Site::connected(Limits::default(), EnvironmentLimits::default(), None).await;
    let request = CreateEnvironment::read(json!({"sources": [inline("a"), repository("heron")]})).unwrap();
    let error = site.environments.create(PROJECT, request).await.unwrap_err();
    let told = "`sources[1].source`: repositories are not fetched on this server: the test gives none";
    assert_eq!((error.code, error.message.as_str()), (Code::FailedPrecondition, told));
    site.define(json!({"base_environment": {"type": "remote", "sources": [repository("heron")]}})).await;
    let error = site.run(json!({})).await.unwrap_err();
    let told = "`base_environment.sources[0].source`: repositories are not fetched on this server: the test gives none";
    assert_eq!((error.code, error.message.as_str()), (Code::FailedPrecondition, told));
    assert!(!Path::exists(&site.folder.path().join("workspaces")));
}
