//! A server without HTTP: an engine with the real tools, in a folder of its own.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use antiphon_agents::Agents;
use antiphon_credentials::{Credentials, CredentialsOptions};
use antiphon_egress::Egress;
use antiphon_engine::{
    Ambient, Caller, Engine, EngineParts, Handle, Models, ProjectId, RunLimits, Seal, Served, Store,
};
use antiphon_environments::{EnvironmentLimits, Environments, EnvironmentsOptions, NetworkPolicy, Repositories};
use antiphon_fetch::{FetchOptions, Fetcher, Lookup, Purpose, Rewrite, SystemLookup};
use antiphon_files::{FileLimits, Files, FilesOptions};
use antiphon_mcp::{McpOptions, McpServers, StdioSpec};
use antiphon_sandbox::{Limits, Options, Sandbox, Tier};
use antiphon_search::Provider;
use antiphon_testkit::{FixedAmbient, FixedPerceiver, MemoryStore};
use antiphon_tools::{Git, Tools};
use antiphon_wire::{Agent, CreateEnvironment, CreateInteraction, EnvironmentId, Error, Interaction, WorkspacePath};
use jiff::SignedDuration;
use serde_json::{Value, json};

use crate::obedient::Obedient;

pub(crate) const PROJECT: ProjectId = ProjectId(1);
pub(crate) const OTHER: ProjectId = ProjectId(2);

pub(crate) struct Site {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) credentials: Credentials,
    pub(crate) environments: Environments,
    pub(crate) agents: Agents,
    pub(crate) files: Files,
    pub(crate) model: Obedient,
    pub(crate) engine: Engine,
}

/// What there is around a server for its tools.
#[derive(Default)]
pub(crate) struct Surroundings {
    pub(crate) providers: Vec<Arc<dyn Provider>>,
    /// Where pages are fetched instead.
    pub(crate) rewrites: Vec<Rewrite>,
    pub(crate) processes: BTreeMap<String, StdioSpec>,
}

impl Site {
    pub(crate) async fn new() -> Self {
        Self::within(Limits::default()).await
    }

    /// One whose programs may do so much.
    pub(crate) async fn within(programs: Limits) -> Self {
        Self::connected(programs, EnvironmentLimits::default(), None).await
    }

    /// One whose programs reach what this leads to, where they can be given a network.
    pub(crate) async fn connected(programs: Limits, limits: EnvironmentLimits, egress: Option<Egress>) -> Self {
        Self::open(programs, limits, egress, Surroundings::default()).await
    }

    /// One whose tools find this.
    pub(crate) async fn amid(surroundings: Surroundings) -> Self {
        Self::open(Limits::default(), EnvironmentLimits::default(), None, surroundings).await
    }

    async fn open(
        programs: Limits,
        limits: EnvironmentLimits,
        egress: Option<Egress>,
        surroundings: Surroundings,
    ) -> Self {
        // Programs of a server that is root run as other users, who have to pass.
        let folder = tempfile::tempdir_in("/tmp").unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let at = |name: &str| folder.path().join(name);
        let ambient: Arc<dyn Ambient> = Arc::new(FixedAmbient::default());
        let options = Options { helper: helper(), folder: at("sandboxes"), minimum: Tier::Landlock, uids: None };
        let sandbox = Sandbox::probe(&options).unwrap();
        let egress = egress.filter(|_| sandbox.has_networks());
        let git = |egress: &Egress| Git::new(sandbox.clone(), egress.clone(), programs.clone());
        let repositories = egress.as_ref().map(git).map(|git| Arc::new(git) as Arc<dyn Repositories>);
        let options = CredentialsOptions { folder: at("credentials"), most: 10, ambient: Arc::clone(&ambient) };
        let credentials = Credentials::open(options).await.unwrap();
        let network = match egress {
            Some(_) => NetworkPolicy { credentials: Some(credentials.clone()), ..NetworkPolicy::default() },
            None => NetworkPolicy { unavailable: Some("the test gives none".to_owned()), ..NetworkPolicy::default() },
        };
        let environments = EnvironmentsOptions {
            folder: at("environments"),
            workspaces: at("workspaces"),
            limits,
            network,
            has_own_roots: sandbox.has_own_roots(),
            repositories,
            ambient: Arc::clone(&ambient),
        };
        let environments = Environments::open(environments).await.unwrap();
        let files = FilesOptions {
            folder: at("files"),
            store: None,
            limits: FileLimits::default(),
            ambient: Arc::clone(&ambient),
            environments: environments.clone(),
        };
        let agents = Agents::open(&at("agents.sqlite"), 10).await.unwrap();
        let lookup: Arc<dyn Lookup> = Arc::new(SystemLookup);
        let Surroundings { providers, rewrites, processes } = surroundings;
        let fetching = FetchOptions { rewrites, robots: false, ..FetchOptions::default() };
        let fetcher = Fetcher::new(fetching, &lookup).unwrap();
        let files = Files::open(files).await.unwrap();
        let tools = Tools {
            providers,
            language: None,
            mcp: McpServers::new(McpOptions::new(fetcher.client(Purpose::Mcp), |_| Err("closed".to_owned()))),
            fetcher,
            sandbox: Ok(sandbox),
            limits: programs,
            environments: environments.clone(),
            agents: agents.clone(),
            egress,
            files: files.clone(),
            processes,
        };
        let model = Obedient::default();
        let engine = Engine::new(EngineParts {
            store: Arc::new(MemoryStore::default()) as Arc<dyn Store>,
            models: Models::new(vec![Arc::new(Served::new("obedient", Arc::new(model.clone()), 4096, 8))], false),
            tools: Arc::new(tools),
            perceiver: Arc::new(FixedPerceiver::default()),
            ambient,
            seal: Seal::new([1; 32]),
            limits: antiphon_engine::Limits {
                default_output_tokens: 64,
                retention: SignedDuration::from_hours(24),
                run: RunLimits::default(),
                agent: RunLimits { turns: 40, calls: 40, ..RunLimits::default() },
            },
        });
        Self { folder, credentials, environments, agents, files, model, engine }
    }

    /// An environment with these texts in it.
    pub(crate) async fn environment(&self, project: ProjectId, files: &[(&str, &str)]) -> EnvironmentId {
        let request = CreateEnvironment::read(json!({ "sources": sources(files) })).unwrap();
        self.environments.create(project, request).await.unwrap().id
    }

    /// The folder that an environment's programs work in.
    pub(crate) fn workspace(&self, id: &EnvironmentId) -> PathBuf {
        self.folder.path().join("workspaces").join(id.as_str()).join("workspace")
    }

    pub(crate) async fn define(&self, fields: Value) {
        let mut body = json!({"id": "worker", "base_agent": "antigravity-preview-05-2026"});
        body.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        self.agents.create(PROJECT, &Agent::read(body).unwrap()).await.unwrap();
    }

    /// Begins an interaction in the background.
    pub(crate) async fn begin(&self, fields: Value) -> Handle {
        let mut body = json!({"agent": "worker", "input": "Begin.", "background": true});
        body.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        let request = CreateInteraction::read(body).unwrap();
        self.engine.create(Caller { project: PROJECT }, request).await.unwrap().handle
    }

    /// Runs an interaction to its end.
    pub(crate) async fn run(&self, fields: Value) -> Result<Interaction, Error> {
        self.run_as(PROJECT, fields).await
    }

    pub(crate) async fn run_as(&self, project: ProjectId, fields: Value) -> Result<Interaction, Error> {
        let mut body = json!({"agent": "worker", "input": "Begin."});
        body.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        self.interact(project, body).await
    }

    /// Asks the model itself, without an agent.
    pub(crate) async fn ask(&self, input: Value, tools: Value) -> Interaction {
        let body = json!({"model": "obedient", "input": input, "tools": tools});
        self.interact(PROJECT, body).await.unwrap()
    }

    async fn interact(&self, project: ProjectId, body: Value) -> Result<Interaction, Error> {
        let request = CreateInteraction::read(body).unwrap();
        let created = self.engine.create(Caller { project }, request).await?;
        Ok(created.handle.finished().await)
    }

    /// The paths of what is in an environment.
    pub(crate) async fn paths(&self, id: &EnvironmentId) -> Vec<String> {
        let top = WorkspacePath::default();
        let listed = self.environments.files(PROJECT, id, &top, true, None, 1000).await.unwrap();
        listed.items.into_iter().map(|file| file.path).collect()
    }
}

pub(crate) fn sources(files: &[(&str, &str)]) -> Value {
    let source = |(target, content): &(&str, &str)| json!({"type": "inline", "target": target, "content": content});
    files.iter().map(source).collect()
}

/// A line that the model obeys.
pub(crate) fn order(name: &str, arguments: Value) -> String {
    format!("DO {}", json!({"name": name, "arguments": arguments}))
}

/// Built beside the tests, as of the whole workspace it is.
fn helper() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let helper = test.parent().and_then(Path::parent).unwrap().join("antiphon-sandbox-init");
    assert!(helper.is_file(), "`cargo build -p antiphon-sandbox` makes `{}` first", helper.display());
    helper
}
