//! `docs/backends.md`: what becomes of each field of a request at each kind of backend, found
//! out by sending it.
//!
//! A field is *carried* when the request that reaches the service differs from one without it.
//! One that makes no difference there must be named below with what this server does itself:
//! else it was dropped in silence, and this test fails.

use std::fmt::Write as _;
use std::path::Path;
use std::sync::{Arc, Mutex};

use antiphon_backends::{Script, Scripted};
use antiphon_engine::{
    Caller, Engine, EngineParts, Limits, MediaKind, Models, ProjectId, RunLimits, Seal, Served, Store,
};
use antiphon_testkit::{FixedAmbient, FixedPerceiver, FixedTools, MemoryStore};
use antiphon_upstream::{
    Capabilities, Flavor, ImagesFlavor, ProtocolKind, SchemaSupport, Timeouts, Upstream, UpstreamOptions,
};
use antiphon_wire::{CreateInteraction, REQUEST_FIELDS};
use jiff::SignedDuration;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

/// What this server does itself, so that a service need not know: the start of a path, a part
/// of the sample, and how.
const HERE: &[(&str, &str, &str)] = &[
    ("model", "", "chosen here"),
    ("previous_interaction_id", "", "the conversation is kept here"),
    ("store", "", "kept here"),
    ("background", "", "run here"),
    ("stream", "", "streamed from the log"),
    ("service_tier", "", "the queue here"),
    ("safety_settings", "", "nothing is blocked here; a service may have filters of its own"),
    ("labels", "", "kept here"),
    ("response_modalities", "", "text is all there is"),
    ("response_format", "\"text/plain\"", "plain text is the default"),
    ("response_format", "[{\"type\":\"text\"}]", "plain text is the default"),
    ("response_mime_type", "\"text/plain\"", "plain text is the default"),
    ("generation_config.stop_sequences", "", "cut here"),
    ("generation_config.thinking_level", "", "a ceiling, met by not asking for thought"),
    ("generation_config.thinking_summaries", "", "shown or left out here"),
    ("generation_config.tool_choice", "\"auto\"", "`auto` is the default"),
];

/// The same for models that answer with pictures.
const HERE_FOR_PICTURES: &[(&str, &str, &str)] = &[
    ("response_format", "\"uri\"", "kept here as a file"),
    ("response_modalities", "", "a hint: words come where the service has them"),
    ("generation_config.tool_choice", "", "no function is called"),
];

/// The model is offered a function in place of the tool.
const RUN_HERE: &str = "run here";

const CALLER: Caller = Caller { project: ProjectId(1) };

/// Takes requests, keeps their bodies and refuses them.
struct Service {
    address: String,
    bodies: Arc<Mutex<Vec<Value>>>,
}

impl Service {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let bodies = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&bodies);
        #[expect(clippy::disallowed_methods, reason = "it ends with the test's runtime")]
        tokio::spawn(async move {
            while let Ok((mut connection, _)) = listener.accept().await {
                let mut received = Vec::new();
                let body = loop {
                    if let Some(body) = whole_body(&received) {
                        break body;
                    }
                    assert!(connection.read_buf(&mut received).await.unwrap() > 0);
                };
                kept.lock().unwrap().push(body);
                let answer = "HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-length: 2\r\n\r\n{}";
                connection.write_all(answer.as_bytes()).await.unwrap();
            }
        });
        Self { address, bodies }
    }

    fn last(&self) -> Option<Value> {
        self.bodies.lock().unwrap().pop()
    }
}

fn whole_body(received: &[u8]) -> Option<Value> {
    let head = received.windows(4).position(|end| end == b"\r\n\r\n")? + 4;
    let fields = String::from_utf8_lossy(&received[..head]).to_ascii_lowercase();
    let length: usize = fields.lines().find_map(|line| line.strip_prefix("content-length: "))?.parse().unwrap();
    let body = received.get(head..head + length)?;
    // What is no JSON is a form.
    Some(serde_json::from_slice(body).unwrap_or_else(|_| Value::from(String::from_utf8_lossy(body))))
}

/// A kind of backend, and the service behind it, if there is one.
pub(crate) struct Column {
    pub(crate) name: &'static str,
    here: Vec<(&'static str, &'static str, &'static str)>,
    engine: Engine,
    service: Option<Service>,
}

fn engine(served: Served) -> Engine {
    Engine::new(EngineParts {
        store: Arc::new(MemoryStore::default()) as Arc<dyn Store>,
        models: Models::new(vec![Arc::new(served)], false),
        tools: Arc::new(FixedTools::default()),
        perceiver: Arc::new(FixedPerceiver::default()),
        ambient: Arc::new(FixedAmbient::new(SignedDuration::ZERO, 1)),
        seal: Seal::new([7; 32]),
        limits: Limits {
            default_output_tokens: 100,
            retention: SignedDuration::from_hours(24),
            run: RunLimits::default(),
            agent: RunLimits::default(),
        },
    })
}

pub(crate) async fn upstream(name: &'static str, protocol: ProtocolKind, draws: bool) -> Column {
    let service = Service::start().await;
    let options = UpstreamOptions {
        name: name.to_owned(),
        protocol,
        urls: vec![format!("http://{}/v1", service.address)],
        model: "m".to_owned(),
        key: None,
        headers: Vec::new(),
        session_header: None,
        capabilities: Capabilities {
            schema: SchemaSupport::Enforced,
            media: vec![MediaKind::Image, MediaKind::Audio, MediaKind::Video, MediaKind::Document],
            draws,
            ..Capabilities::default()
        },
        timeouts: Timeouts::default(),
        concurrency: 1,
        attempts: 1,
    };
    let backend = Upstream::new(options).unwrap();
    let here = if draws { [HERE_FOR_PICTURES, HERE].concat() } else { HERE.to_vec() };
    Column { name, here, engine: engine(Served::new(name, Arc::new(backend), 32_768, 64)), service: Some(service) }
}

fn local() -> Column {
    let script = Script::parse("[[reply]]\nchunks = [\"ok\"]\n").unwrap();
    let served = Served::new("scripted", Arc::new(Scripted::new(script).unwrap()), 32_768, 64);
    Column { name: "llama, scripted", here: HERE.to_vec(), engine: engine(served), service: None }
}

impl Column {
    /// What reached the service (nothing behind a local model), or the code of the refusal.
    pub(crate) async fn send(&self, body: Value) -> Result<Option<Value>, String> {
        self.try_send(body).await.map_err(|error| error.code.as_str().to_owned())
    }

    /// As [`Column::send`], with the whole refusal.
    pub(crate) async fn try_send(&self, mut body: Value) -> Result<Option<Value>, antiphon_wire::Error> {
        if body.get("previous_interaction_id").is_some() {
            let first = CreateInteraction::read(json!({"model": "gemini-3.5-flash", "input": "Hello"})).unwrap();
            let created = self.engine.create(CALLER, first).await.unwrap();
            created.handle.finished().await;
            body["previous_interaction_id"] = json!(created.handle.id().to_string());
            body["input"] = json!("And then?");
        }
        let request = CreateInteraction::read(body)?;
        let created = self.engine.create(CALLER, request).await?;
        created.handle.finished().await;
        Ok(self.reached())
    }

    /// What reached the service last, once.
    pub(crate) fn reached(&self) -> Option<Value> {
        self.service.as_ref().and_then(Service::last)
    }

    async fn cell(&self, path: &str, sample: &str) -> String {
        let plain = self.send(json!({"model": "gemini-3.5-flash", "input": "Hello"})).await.unwrap();
        let fits = |(start, part, _): &&(&str, &str, &str)| path.starts_with(start) && sample.contains(part);
        let of_client = sample.starts_with("[{\"type\":\"function\"") || sample.contains("\"client\"");
        let here = self.here.iter().find(fits).map(|(_, _, how)| *how);
        match self.send(body(path, serde_json::from_str(sample).unwrap())).await {
            Err(code) => format!("refused: `{code}`"),
            Ok(None) => "honoured".to_owned(),
            Ok(_) if path == "model" || path == "previous_interaction_id" => here.unwrap().to_owned(),
            Ok(sent) if sent != plain && (path == "agent" || path == "tools" && !of_client) => RUN_HERE.to_owned(),
            Ok(sent) if sent != plain => "carried".to_owned(),
            Ok(_) if path == "input" => "carried".to_owned(),
            Ok(_) => here.unwrap_or_else(|| panic!("{}: `{path}` is dropped in silence", self.name)).to_owned(),
        }
    }
}

fn body(path: &str, sample: Value) -> Value {
    let mut body = json!({"model": "gemini-3.5-flash", "input": "Hello"});
    let top = path.split(['.', '[']).next().unwrap();
    if top == "agent" {
        body.as_object_mut().unwrap().remove("model");
    }
    match path.strip_prefix("generation_config.") {
        // The path of a refused part of a value begins with the value's own.
        Some(name) => body["generation_config"] = json!({ name.split('.').next().unwrap(): sample }),
        None => body[top] = sample,
    }
    if path.starts_with("generation_config.tool_choice") {
        // A choice among none is refused whatever the backend.
        body["tools"] = json!([{"type": "function", "name": "f"}, {"type": "function", "name": "g"}]);
    }
    body
}

#[tokio::test]
async fn the_documented_treatment_of_every_field_is_the_real_one() {
    let columns = [
        upstream("openai", ProtocolKind::Chat(Flavor::OpenAi), false).await,
        upstream("openai_responses", ProtocolKind::Responses, false).await,
        upstream("anthropic", ProtocolKind::Anthropic, false).await,
        upstream("gemini", ProtocolKind::Gemini, false).await,
        upstream("gemini_interactions", ProtocolKind::Interactions, false).await,
        local(),
    ];
    let pictures = [
        upstream("openai_images", ProtocolKind::Images(ImagesFlavor::OpenAi), true).await,
        upstream("gemini", ProtocolKind::Gemini, true).await,
        upstream("gemini_interactions", ProtocolKind::Interactions, true).await,
    ];
    // Where the runner says that the sources are now.
    let package = std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
    let path = Path::new(&package).join("../../docs/backends.md");
    let document = std::fs::read_to_string(&path).unwrap();
    let mut printed = document.clone();
    for (part, columns) in [("table", &columns[..]), ("pictures", &pictures[..])] {
        let (begin, end) = (format!("<!-- {part}:begin -->\n"), format!("<!-- {part}:end -->"));
        let (head, rest) = printed.split_once(&begin).unwrap();
        let (_, tail) = rest.split_once(&end).unwrap();
        printed = format!("{head}{begin}{}{end}{tail}", table(columns).await);
    }
    if printed != document {
        std::fs::write(&path, printed).unwrap();
        panic!("docs/backends.md was out of date and has been printed anew; commit it");
    }
}

/// What becomes of each field at each of these kinds of backends.
async fn table(columns: &[Column]) -> String {
    let mut table = String::from("| Field | Sample |");
    for column in columns {
        write!(table, " {} |", column.name).unwrap();
    }
    table.push_str("\n|---|---|");
    table.push_str(&"---|".repeat(columns.len()));
    table.push('\n');
    for field in REQUEST_FIELDS {
        write!(table, "| `{}` | `{}` |", field.path, field.sample).unwrap();
        for column in columns {
            write!(table, " {} |", column.cell(field.path, field.sample).await).unwrap();
        }
        table.push('\n');
    }
    table
}
