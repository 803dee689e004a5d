//! A server with two projects and a model in the hands of the test, and clients of it.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;

use antiphon_agents::Agents;
use antiphon_credentials::{Credentials, CredentialsOptions};
use antiphon_engine::{
    Ambient, Engine, EngineParts, Limits as EngineLimits, Models, NoPerceiver, RunLimits, Seal, Served, Store,
};
use antiphon_environments::{EnvironmentLimits, Environments, EnvironmentsOptions, NetworkPolicy};
use antiphon_files::{FileLimits, Files, FilesOptions};
use antiphon_server::{KeyMaker, Limits, NewKey, Options, router, serve};
use antiphon_testkit::{FixedAmbient, FixedTools, MemoryStore};
use antiphon_triggers::{Triggers, TriggersOptions};
use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Request, Response, StatusCode};
use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use jiff::SignedDuration;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use crate::puppet::Puppet;

pub(crate) const BODY_LIMIT: u32 = 64 << 10;

pub(crate) struct TestServer {
    pub(crate) engine: Engine,
    pub(crate) store: Arc<MemoryStore>,
    pub(crate) router: Router,
    /// Of project `default`, and of another project.
    pub(crate) key: String,
    pub(crate) other_key: String,
    files: Files,
    pub(crate) environments: Environments,
    agents: Agents,
    pub(crate) credentials: Credentials,
    pub(crate) triggers: Triggers,
    pub(crate) folder: TempDir,
}

impl TestServer {
    pub(crate) async fn with(model: Puppet) -> Self {
        let store = Arc::new(MemoryStore::default());
        let ambient: Arc<dyn Ambient> = Arc::new(FixedAmbient::default());
        let mut served = Served::new("puppet", Arc::new(model), 4096, 64);
        served.description = "Says what the test makes it say".to_owned();
        served.output_limit = 1024;
        let second = Served::new("second", Arc::new(Puppet::Says(&["2"])), 2048, 64);
        let engine = Engine::new(EngineParts {
            store: Arc::clone(&store) as Arc<dyn Store>,
            models: Models::new(vec![Arc::new(served), Arc::new(second)], false),
            tools: Arc::new(FixedTools::default()),
            perceiver: Arc::new(NoPerceiver),
            ambient: Arc::clone(&ambient),
            seal: Seal::new([1; 32]),
            limits: EngineLimits {
                default_output_tokens: 64,
                retention: SignedDuration::from_hours(24),
                run: RunLimits::default(),
                agent: RunLimits::default(),
            },
        });
        let maker = maker();
        let mut keys = Vec::new();
        for project in ["default", "other"] {
            let id = store.project(project).await.unwrap();
            let NewKey { text, record } = maker.make(&*ambient, id, project, "test");
            store.add_key(record).await.unwrap();
            keys.push(text);
        }
        let [key, other_key] = keys.try_into().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let limits = FileLimits { stores: 3, documents: 4, file_bytes: 4096, uploads: 3, ..FileLimits::default() };
        let environments = EnvironmentsOptions {
            folder: folder.path().join("environments"),
            workspaces: folder.path().join("workspaces"),
            limits: EnvironmentLimits { environments: 8, ..EnvironmentLimits::default() },
            network: NetworkPolicy::default(),
            has_own_roots: true,
            repositories: None,
            ambient: Arc::clone(&ambient),
        };
        let environments = Environments::open(environments).await.unwrap();
        let credentials = CredentialsOptions {
            folder: folder.path().join("credentials"),
            most: CredentialsOptions::MOST,
            ambient: Arc::clone(&ambient),
        };
        let credentials = Credentials::open(credentials).await.unwrap();
        let place = folder.path().join("files");
        let files = FilesOptions { folder: place, store: None, limits, ambient, environments: environments.clone() };
        let files = Files::open(files).await.unwrap();
        let agents = Agents::open(&folder.path().join("agents.sqlite"), 8).await.unwrap();
        let triggers = TriggersOptions {
            folder: folder.path().join("triggers"),
            most: TriggersOptions::MOST,
            engine: engine.clone(),
            environments: environments.clone(),
        };
        let triggers = Triggers::open(triggers).await.unwrap();
        let router = router(engine.clone(), options(&files, &environments, &agents, &credentials, &triggers));
        Self { router, engine, store, key, other_key, files, environments, agents, credentials, triggers, folder }
    }

    /// One request with the key of project `default`, answered without a connection.
    pub(crate) async fn ask(&self, method: &str, target: &str, body: impl Into<Body>) -> Answer {
        self.ask_as(&self.key, method, target, body).await
    }

    pub(crate) async fn ask_as(&self, key: &str, method: &str, target: &str, body: impl Into<Body>) -> Answer {
        let request = Request::builder().method(method).uri(target).header("x-goog-api-key", key);
        self.send(request.body(body.into()).unwrap()).await
    }

    pub(crate) async fn send(&self, request: Request<Body>) -> Answer {
        Answer::of(self.respond(request).await).await
    }

    pub(crate) async fn respond(&self, request: Request<Body>) -> Response<Body> {
        let answered: Result<_, Infallible> = self.router.clone().oneshot(request).await;
        answered.unwrap()
    }

    /// Makes an interaction and gives its answer.
    pub(crate) async fn create(&self, fields: Value) -> Answer {
        self.ask("POST", "/v1/interactions", create_body(fields)).await
    }

    /// Listens on a free port of the loopback.
    pub(crate) async fn listen(&self) -> Listening {
        self.listen_with(self.options()).await
    }

    pub(crate) fn options(&self) -> Options {
        options(&self.files, &self.environments, &self.agents, &self.credentials, &self.triggers)
    }

    pub(crate) async fn listen_with(&self, options: Options) -> Listening {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shutdown = CancellationToken::new();
        let mut tasks = JoinSet::new();
        tasks.spawn(serve(listener, self.engine.clone(), options, shutdown.clone()));
        Listening { address, shutdown, key: self.key.clone(), tasks }
    }
}

pub(crate) fn maker() -> KeyMaker {
    KeyMaker::new([9; 32])
}

fn options(
    files: &Files,
    environments: &Environments,
    agents: &Agents,
    credentials: &Credentials,
    triggers: &Triggers,
) -> Options {
    Options {
        keys: maker(),
        files: files.clone(),
        environments: environments.clone(),
        agents: agents.clone(),
        credentials: credentials.clone(),
        triggers: triggers.clone(),
        limits: Limits { body_bytes: BODY_LIMIT, ..Limits::default() },
    }
}

/// A create request: defaults, overridden by `fields`.
pub(crate) fn create_body(fields: Value) -> String {
    let mut body = json!({"model": "gemini-3.5-flash", "input": "Hello"});
    let Value::Object(fields) = fields else { panic!("expected an object") };
    body.as_object_mut().unwrap().extend(fields);
    body.to_string()
}

pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Answer {
    pub(crate) async fn of<B: http_body_util::BodyExt<Error: std::fmt::Debug>>(response: Response<B>) -> Self {
        let (parts, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        Self { status: parts.status, headers: parts.headers, body }
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    pub(crate) fn json(&self) -> Value {
        assert_eq!(self.header("content-type"), "application/json");
        serde_json::from_slice(&self.body).unwrap()
    }

    pub(crate) fn id(&self) -> String {
        self.json()["id"].as_str().unwrap().to_owned()
    }

    /// Status and `error.code`, the two things a client branches on.
    pub(crate) fn error(&self) -> (u16, String) {
        let json = self.json();
        assert!(json["error"]["message"].as_str().is_some_and(|message| !message.is_empty()), "{json}");
        (self.status.as_u16(), json["error"]["code"].as_str().unwrap().to_owned())
    }

    pub(crate) fn message(&self) -> String {
        self.json()["error"]["message"].as_str().unwrap().to_owned()
    }

    pub(crate) fn events(&self) -> Vec<Value> {
        events(std::str::from_utf8(&self.body).unwrap())
    }
}

/// The events of a stream that has its trailer.
pub(crate) fn events(text: &str) -> Vec<Value> {
    let events = text.strip_suffix("event: done\ndata: [DONE]\n\n").unwrap();
    events_so_far(events)
}

/// The whole events of a stream that was cut or is still open.
pub(crate) fn events_so_far(text: &str) -> Vec<Value> {
    let data = text.lines().filter_map(|line| line.strip_prefix("data: "));
    data.map(|data| serde_json::from_str(data).unwrap()).collect()
}

/// A server behind a listener. Dropping it stops its tasks.
pub(crate) struct Listening {
    pub(crate) address: SocketAddr,
    pub(crate) shutdown: CancellationToken,
    key: String,
    pub(crate) tasks: JoinSet<()>,
}

impl Listening {
    /// Sends a request over a connection of its own. The connection lives as long as the
    /// returned [`Client`].
    pub(crate) async fn ask(&self, method: &str, target: &str, body: String) -> (Client, Response<Incoming>) {
        let (client, mut sender) = self.connect().await;
        let request = Request::builder()
            .method(method)
            .uri(target)
            .header("host", self.address.to_string())
            .header("x-goog-api-key", &self.key)
            .body(body)
            .unwrap();
        let response = sender.send_request(request).await.unwrap();
        (client, response)
    }

    pub(crate) async fn connect(&self) -> (Client, http1::SendRequest<String>) {
        let stream = TcpStream::connect(self.address).await.unwrap();
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            // A server that cuts the connection is seen by the body of the answer.
            let _ = connection.await;
        });
        (Client { _tasks: tasks }, sender)
    }

    /// Waits until the server has drained.
    pub(crate) async fn stopped(mut self) {
        self.tasks.join_next().await.unwrap().unwrap();
    }
}

/// Keeps a connection open; dropping it hangs up.
pub(crate) struct Client {
    _tasks: JoinSet<()>,
}

/// The body so far, up to where it contains `until`.
pub(crate) async fn read_until(body: &mut Incoming, until: &str) -> String {
    let mut text = String::new();
    while !text.contains(until) {
        let frame = body.frame().await.unwrap_or_else(|| panic!("no {until} in {text}")).unwrap();
        text.push_str(std::str::from_utf8(frame.data_ref().unwrap()).unwrap());
    }
    text
}
