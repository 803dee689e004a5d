//! Repositories as sources, whoever fetches them: what comes is taken over as it is, whole or not at all.

use std::collections::HashMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::pin::pin;
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use antiphon_engine::ProjectId;
use antiphon_environments::{EnvironmentLimits, Fetch, Repositories};
use antiphon_wire::{Code, CreateEnvironment, EnvironmentChoice, EnvironmentId, EnvironmentSpec, Error};
use async_trait::async_trait;
use pretty_assertions::assert_eq;
use serde_json::{Value, json};
use tokio::sync::Semaphore;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::support::{PROJECT, Site, tree};

/// How many were fetched at one time, in all and of each project.
#[derive(Default)]
struct Counted {
    now: usize,
    most: usize,
    now_of: HashMap<ProjectId, usize>,
    most_of: HashMap<ProjectId, usize>,
}

impl Counted {
    fn come(&mut self, project: ProjectId) {
        self.now += 1;
        self.most = self.most.max(self.now);
        let now = self.now_of.entry(project).or_default();
        *now += 1;
        let most = self.most_of.entry(project).or_default();
        *most = (*most).max(*now);
    }

    fn go(&mut self, project: ProjectId) {
        self.now -= 1;
        *self.now_of.entry(project).or_default() -= 1;
    }
}

/// Makes of each address what its name says.
struct Fetcher {
    seen: Mutex<Vec<Fetch>>,
    counted: Mutex<Counted>,
    /// One for each that may go on.
    open: Semaphore,
    /// A word for each that waits.
    came: Mutex<Option<UnboundedSender<()>>>,
    /// What one that does not listen waits for.
    gate: Mutex<Option<mpsc::Receiver<()>>>,
}

impl Default for Fetcher {
    fn default() -> Self {
        Self {
            seen: Mutex::default(),
            counted: Mutex::default(),
            open: Semaphore::new(0),
            came: Mutex::default(),
            gate: Mutex::default(),
        }
    }
}

impl Fetcher {
    /// Words for those that wait from now on.
    fn listen(&self) -> UnboundedReceiver<()> {
        let (came, words) = unbounded_channel();
        *self.came.lock().unwrap() = Some(came);
        words
    }

    fn tell(&self) {
        if let Some(came) = &*self.came.lock().unwrap() {
            let _ = came.send(());
        }
    }
}

#[async_trait]
impl Repositories for Fetcher {
    async fn fetch(&self, fetch: Fetch) -> Result<(), Error> {
        assert_eq!(fs::read_dir(&fetch.folder).unwrap().count(), 0);
        let (name, place) = (fetch.address.name().to_owned(), fetch.folder.join(fetch.name));
        let project = fetch.project;
        self.seen.lock().unwrap().push(fetch);
        fs::create_dir(&place).unwrap();
        fs::write(place.join("half"), "half").unwrap();
        match name.as_str() {
            "large" => fs::write(place.join("large"), vec![1; 200_000]).unwrap(),
            "odd" => {
                fs::write(place.join("no \\ path \n of ours"), "odd").unwrap();
                symlink("/etc", place.join("etc")).unwrap();
                symlink("../../..", place.join("up")).unwrap();
            }
            "refused" => return Err(Error::new(Code::InvalidRequest, "it is closed today")),
            "slow" => {
                self.tell();
                std::future::pending().await
            }
            "deaf" => {
                self.tell();
                // Its thread too.
                let gate = self.gate.lock().unwrap().take().unwrap();
                let _ = gate.recv();
            }
            "deep" => fs::create_dir_all(place.join(vec!["d"; 115].join("/"))).unwrap(),
            "long" => fs::create_dir_all(place.join(vec!["d".repeat(250); 14].join("/"))).unwrap(),
            "counted" => {
                self.counted.lock().unwrap().come(project);
                self.tell();
                self.open.acquire().await.unwrap().forget();
                self.counted.lock().unwrap().go(project);
            }
            _ => {}
        }
        Ok(())
    }
}

async fn site(limits: EnvironmentLimits) -> (Site, Arc<Fetcher>) {
    let fetcher = Arc::new(Fetcher::default());
    (Site::fetching(limits, Arc::<Fetcher>::clone(&fetcher)).await, fetcher)
}

fn repository(name: &str) -> Value {
    json!({"type": "repository", "source": format!("https://git.test/{name}")})
}

fn inline(target: &str) -> Value {
    json!({"type": "inline", "target": target, "content": "inline"})
}

async fn create(site: &Site, request: Value) -> Result<EnvironmentId, Error> {
    site.environments.create(PROJECT, CreateEnvironment::read(request).unwrap()).await.map(|made| made.id)
}

async fn update(site: &Site, id: &EnvironmentId, sources: Value) -> Result<(), Error> {
    let choice = json!({"type": "remote", "environment_id": id, "sources": sources});
    let EnvironmentChoice::Described(spec) = EnvironmentChoice::read(choice, "environment").unwrap() else {
        unreachable!("it is an object")
    };
    site.environments.update(PROJECT, id, &spec).await
}

/// Folders of environments.
fn homes(site: &Site) -> usize {
    let entries = fs::read_dir(site.folder.path().join("environments")).unwrap();
    entries.filter(|entry| entry.as_ref().unwrap().path().is_dir()).count()
}

#[tokio::test]
async fn what_was_fetched_is_there_as_it_is() {
    let (mut site, fetcher) = site(EnvironmentLimits::default()).await;
    let network = json!({"allowlist": [{"domain": "git.test"}]});
    let request = json!({"sources": [repository("odd"), inline("a/b.txt")], "network": network});
    let id = create(&site, request).await.unwrap();
    update(&site, &id, json!([{"type": "repository", "source": "https://git.test/odd", "target": "a/c"}]))
        .await
        .unwrap();
    let found = tree(&site.workspace(&id).join("odd"));
    assert_eq!(found, tree(&site.workspace(&id).join("a/c")));
    assert_eq!(found.len(), 4);
    let seen: Vec<_> = fetcher.seen.lock().unwrap().clone();
    let told = |fetch: &Fetch| (fetch.project, fetch.network.allowed().len(), fetch.time <= Duration::from_secs(300));
    assert_eq!(seen.iter().map(told).collect::<Vec<_>>(), [(PROJECT, 1, true), (PROJECT, 1, true)]);
    let shown = || async { serde_json::to_value(site.environments.get(PROJECT, &id).await.unwrap().sources).unwrap() };
    let sources = json!([
        inline_shown("a/b.txt"),
        {"type": "repository", "target": "a/c", "source": "https://git.test/odd"},
        {"type": "repository", "target": "odd", "source": "https://git.test/odd"},
    ]);
    assert_eq!(shown().await, sources);
    let copy = site.fork(&id).await;
    assert_eq!(tree(&site.workspace(&copy)), tree(&site.workspace(&id)));
    site.restart().await;
    let kept = serde_json::to_value(site.environments.get(PROJECT, &copy).await.unwrap().sources).unwrap();
    assert_eq!(kept, sources);
}

fn inline_shown(target: &str) -> Value {
    json!({"type": "inline", "target": target})
}

#[tokio::test]
async fn one_that_cannot_be_had_leaves_nothing() {
    let limits =
        EnvironmentLimits { bytes: 100_000, fetching: Duration::from_millis(50), ..EnvironmentLimits::default() };
    let (site, fetcher) = site(limits).await;
    let id = create(&site, json!({"sources": [inline("kept.txt")]})).await.unwrap();
    let (before, told) = (tree(&site.home(&id)), site.environments.get(PROJECT, &id).await.unwrap());
    for (name, code, why) in [
        ("refused", Code::InvalidRequest, "`https://git.test/refused` cannot be had: it is closed today"),
        (
            "slow",
            Code::InvalidRequest,
            "`https://git.test/slow` cannot be had: it takes too long: the repositories of one request have 0.05 s",
        ),
        (
            "large",
            Code::ContentTooLarge,
            "`https://git.test/large` cannot be had: `large`: a workspace may have 100000 bytes",
        ),
    ] {
        let sources = json!([inline("a.txt"), repository("good"), repository(name)]);
        let error = create(&site, json!({ "sources": sources })).await.unwrap_err();
        assert_eq!(error.code, code, "{error}");
        assert!(error.message.starts_with(&format!("`sources[2].source`: {why}")), "{error}");
        let error = update(&site, &id, sources).await.unwrap_err();
        assert!(error.message.starts_with(&format!("`environment.sources[2].source`: {why}")), "{error}");
        assert_eq!((homes(&site), tree(&site.home(&id))), (1, before.clone()), "{name}");
    }
    assert_eq!(site.environments.get(PROJECT, &id).await.unwrap().sources, told.sources);
    let many: Vec<_> = (0..9).map(|at| repository(&format!("r{at}"))).collect();
    fetcher.seen.lock().unwrap().clear();
    let error = create(&site, json!({ "sources": many })).await.unwrap_err();
    assert_eq!(error.message, "`sources[8]`: expected at most 8 repositories, got 9");
    assert_eq!(fetcher.seen.lock().unwrap().len(), 0);
}

#[tokio::test]
async fn a_client_that_leaves_while_it_is_changed_leaves_it_as_it_was() {
    let (site, fetcher) = site(EnvironmentLimits::default()).await;
    let id = create(&site, json!({"sources": [inline("kept.txt")]})).await.unwrap();
    let before = tree(&site.home(&id));
    let (go_on, gate) = mpsc::channel();
    *fetcher.gate.lock().unwrap() = Some(gate);
    let mut came = fetcher.listen();
    for name in ["slow", "deaf"] {
        tokio::select! {
            updated = update(&site, &id, json!([inline("a.txt"), repository(name)])) => panic!("{updated:?}"),
            _ = came.recv() => {}
        }
        if name == "deaf" {
            go_on.send(()).unwrap();
        }
        // Whoever gets it next finds nobody at work there.
        let lease = site.environments.lease(PROJECT, &id).await.unwrap();
        assert_eq!(tree(&site.home(&id)), before, "{name}");
        drop(lease);
        assert_eq!(site.environments.get(PROJECT, &id).await.unwrap().sources.len(), 1);
    }
}

#[tokio::test]
async fn a_copy_with_repositories_is_none_before_they_are_there() {
    let (mut site, fetcher) = site(EnvironmentLimits::default()).await;
    let request = json!({"sources": [inline("kept.txt"), inline("b.txt")], "env": {"A": "1", "B": "2"}});
    let base = create(&site, request).await.unwrap();
    let choice = |name: &str| {
        let sources = json!([inline("b.txt"), repository(name)]);
        let choice = json!({"type": "remote", "sources": sources, "env": {"B": "3"}});
        let EnvironmentChoice::Described(spec) = EnvironmentChoice::read(choice, "environment").unwrap() else {
            unreachable!("it is an object")
        };
        EnvironmentChoice::Described(EnvironmentSpec { from_environment: Some(base.clone()), ..spec })
    };
    let id = site.environments.choose(PROJECT, &choice("good")).await.unwrap();
    let lease = site.environments.lease(PROJECT, &id).await.unwrap();
    assert_eq!(serde_json::to_value(lease.env()).unwrap(), json!({"A": "1", "B": "3"}));
    let found = tree(lease.workspace()).into_keys().collect::<Vec<_>>();
    assert_eq!(found, ["b.txt", "good", "good/half", "kept.txt"]);
    assert_eq!(site.environments.get(PROJECT, &id).await.unwrap().sources.len(), 3);
    drop(lease);
    site.environments.delete(PROJECT, &id).await.unwrap();
    let error = site.environments.choose(PROJECT, &choice("refused")).await.unwrap_err();
    assert!(error.message.starts_with("`environment.sources[1].source`: "), "{error}");
    while homes(&site) > 1 {
        tokio::task::yield_now().await;
    }

    let (environments, slow, mut came) = (site.environments.clone(), choice("slow"), fetcher.listen());
    {
        let mut choosing = pin!(environments.choose(PROJECT, &slow));
        tokio::select! {
            chosen = &mut choosing => panic!("{chosen:?}"),
            _ = came.recv() => {}
        }
        // Others may work in what was copied.
        drop(environments.lease(PROJECT, &base).await.unwrap());
        assert_eq!(environments.list(PROJECT, None, 10).await.unwrap().items.len(), 1);
        assert_eq!(homes(&site), 2);
    }
    // Its client has left.
    while homes(&site) > 1 {
        tokio::task::yield_now().await;
    }
    let mut choosing = Box::pin(environments.choose(PROJECT, &slow));
    tokio::select! {
        chosen = &mut choosing => panic!("{chosen:?}"),
        _ = came.recv() => {}
    }
    site.die().await;
    assert_eq!(homes(&site), 1);
    assert_eq!(site.environments.list(PROJECT, None, 10).await.unwrap().items.len(), 1);
}

#[tokio::test]
async fn a_few_requests_fetch_at_a_time_and_fewer_of_one_project() {
    let (site, fetcher) = site(EnvironmentLimits::default()).await;
    let mut came = fetcher.listen();
    let request = CreateEnvironment::read(json!({"sources": [repository("counted")]})).unwrap();
    // The first project asks for more than there is before anybody else does.
    let projects = [1, 1, 1, 1, 1, 1, 2, 2, 2, 3, 3, 3].map(ProjectId);
    let made = projects.map(|project| site.environments.create(project, request.clone()));
    let watch = async {
        for _ in 0..4 {
            came.recv().await.unwrap();
        }
        fetcher.open.add_permits(projects.len());
    };
    let (made, ()) = tokio::join!(futures_util::future::join_all(made), watch);
    for made in made {
        made.unwrap();
    }
    let counted = fetcher.counted.lock().unwrap();
    let most_of = |project| counted.most_of[&ProjectId(project)];
    assert_eq!((counted.most, most_of(1), most_of(2)), (4, 2, 2));
    assert!(most_of(3) <= 2);
}

#[tokio::test]
async fn whoever_waits_for_a_turn_holds_no_environment() {
    let (site, fetcher) = site(EnvironmentLimits::default()).await;
    let id = create(&site, json!({})).await.unwrap();
    let mut came = fetcher.listen();
    let slow = || create(&site, json!({"sources": [repository("slow")]}));
    let (mut one, mut other) = (pin!(slow()), pin!(slow()));
    for _ in 0..2 {
        tokio::select! {
            made = &mut one => panic!("{made:?}"),
            made = &mut other => panic!("{made:?}"),
            _ = came.recv() => {}
        }
    }
    let mut waiting = pin!(update(&site, &id, json!([repository("good")])));
    for _ in 0..20 {
        tokio::select! {
            updated = &mut waiting => panic!("{updated:?}"),
            lease = site.environments.lease_soon(PROJECT, &id) => drop(lease.unwrap()),
        }
    }
}

#[tokio::test]
async fn how_deep_a_repository_is_counts_from_the_top_of_the_workspace() {
    let (site, _) = site(EnvironmentLimits::default()).await;
    let above = vec!["a"; 20].join("/");
    let long = vec!["b".repeat(250); 2].join("/");
    for (name, target) in [("deep", format!("{above}/x")), ("long", format!("{long}/x"))] {
        let id = create(&site, json!({"sources": [repository(name)]})).await.unwrap();
        let before = tree(&site.home(&id)).len();
        let sources = json!([{"type": "repository", "source": format!("https://git.test/{name}"), "target": target}]);
        let error = create(&site, json!({ "sources": sources })).await.unwrap_err();
        assert!(error.message.starts_with("`sources[0].target`: there it would have"), "{error}");
        let error = update(&site, &id, sources).await.unwrap_err();
        assert!(error.message.starts_with("`environment.sources[0].target`: there it would have"), "{error}");
        assert_eq!(tree(&site.home(&id)).len(), before);
    }
}

#[tokio::test]
async fn what_is_there_is_not_replaced() {
    let (site, fetcher) = site(EnvironmentLimits::default()).await;
    let id = create(&site, json!({"sources": [repository("good"), inline("file"), inline("folder/a")]})).await.unwrap();
    let before = tree(&site.home(&id));
    fetcher.seen.lock().unwrap().clear();
    let to = |target: &str| json!({"type": "repository", "source": "https://git.test/new", "target": target});
    for (target, why) in [
        ("good", "`good` is there already, and a repository replaces nothing"),
        ("file", "`file` is there already, and a repository replaces nothing"),
        ("folder", "`folder` is there already, and a repository replaces nothing"),
        ("folder/a/b/c", "`folder/a` is there, and is no folder"),
    ] {
        let error = update(&site, &id, json!([inline("b"), to(target)])).await.unwrap_err();
        let told = format!("`environment.sources[1].target`: {why}");
        assert_eq!((error.code, error.message), (Code::FailedPrecondition, told));
        assert_eq!(tree(&site.home(&id)), before);
    }
    let error = update(&site, &id, json!([to("new"), inline("folder")])).await.unwrap_err();
    assert_eq!(error.code, Code::FailedPrecondition, "{error}");
    assert_eq!(fetcher.seen.lock().unwrap().len(), 0, "all that is known before anything is fetched");
    // Programs have that folder, and it is one as any other.
    update(&site, &id, json!([to("good/below")])).await.unwrap();
    assert!(site.workspace(&id).join("good/below/half").is_file());
}

#[tokio::test]
async fn what_a_server_that_died_was_fetching_is_removed() {
    let (mut site, _) = site(EnvironmentLimits::default()).await;
    let id = create(&site, json!({"sources": [repository("good")]})).await.unwrap();
    let before = tree(&site.home(&id));
    fs::create_dir_all(site.home(&id).join("fetched/repository/.git")).unwrap();
    let other = Path::new("env_halfhalfhalfhalfhalfhalf");
    fs::create_dir_all(site.folder.path().join("environments").join(other).join("fetched/repository")).unwrap();
    site.die().await;
    assert_eq!(tree(&site.home(&id)), before);
    assert_eq!(homes(&site), 1);
}
