//! Tools of the server that need nothing outside: a search that always finds the same, and
//! programs that are their own output.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use antiphon_engine::{
    Found, FoundIn, Media, MediaKind, OpenTool, Opened, ProjectId, Schema, ServerFunction, Tool, ToolCall, ToolError,
    ToolOutput, Toolbox,
};
use antiphon_wire::{AGENTS, Agent, CreateInteraction, EnvironmentId, Error, RESEARCHERS, ServerTool, ToolSearch};
use async_trait::async_trait;
use serde_json::{Value, json};
use tokio::sync::Notify;

/// A toolbox for tests.
///
/// * `google_search` finds two pages about a final. The query `broken` breaks the tool,
///   `nothing` fails.
/// * `url_context` reads an address that was said or found, and no other.
/// * `code_execution` prints its code, line by line, live. A line `wait` waits for
///   [`FixedTools::go_on`], `picture` makes a picture, `raise` ends it with an error.
/// * `file_search` finds a page of a document about Rome.
/// * An MCP server has the tool `echo`.
/// * Agents have `keep`, which keeps a note in their environment, `place`; those of the project are what
///   [`FixedTools::define`] says, and files say what [`FixedTools::guide`] does.
#[derive(Clone, Default)]
pub struct FixedTools {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    ran: Mutex<Vec<String>>,
    gate: Notify,
    /// How often they cannot be opened yet.
    away: AtomicU32,
    /// How many environments were removed again.
    discarded: AtomicU32,
    agents: Mutex<BTreeMap<String, Agent>>,
    guidance: Mutex<Option<Result<String, Error>>>,
}

impl FixedTools {
    /// The arguments of every call that was carried out, in the order of their beginnings.
    pub fn ran(&self) -> Vec<String> {
        self.lock().clone()
    }

    /// Lets a program that waits go on; or the next one, if none does yet.
    pub fn go_on(&self) {
        self.shared.gate.notify_one();
    }

    /// They cannot be opened so many times.
    pub fn stay_away(&self, times: u32) {
        self.shared.away.store(times, Ordering::Relaxed);
    }

    /// Makes an agent of the project.
    pub fn define(&self, agent: Agent) {
        self.shared.agents.lock().unwrap_or_else(PoisonError::into_inner).insert(agent.id.clone(), agent);
    }

    /// Deletes an agent of the project.
    pub fn forget(&self, id: &str) {
        self.shared.agents.lock().unwrap_or_else(PoisonError::into_inner).remove(id);
    }

    /// What files say from now on, or why they cannot be read.
    pub fn guide(&self, guidance: Result<String, Error>) {
        *self.shared.guidance.lock().unwrap_or_else(PoisonError::into_inner) = Some(guidance);
    }

    /// How many environments of refused requests were removed again.
    pub fn discarded(&self) -> u32 {
        self.shared.discarded.load(Ordering::Relaxed)
    }

    fn lock(&self) -> MutexGuard<'_, Vec<String>> {
        self.shared.ran.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The tool of agents.
    fn keep(&self) -> Option<OpenTool> {
        let parameters = json!({"type": "object", "properties": {"note": {"type": "string"}}, "required": ["note"]});
        Some(OpenTool {
            kind: None,
            declaration: Tool {
                name: "keep".to_owned(),
                description: None,
                parameters: Schema::read(parameters).ok()?,
            },
            name: None,
            server_name: None,
            reads: false,
            run: Arc::new(Fixed { tools: self.clone(), kind: None, declared: Vec::new() }),
        })
    }

    fn open_one(&self, kind: ServerTool, server: Option<&str>, declared: &[antiphon_wire::Tool]) -> Option<OpenTool> {
        let (reads, properties) = match kind {
            ServerTool::GoogleSearch => (true, json!({"queries": {"type": "array", "items": {"type": "string"}}})),
            ServerTool::UrlContext => (true, json!({"urls": {"type": "array", "items": {"type": "string"}}})),
            ServerTool::CodeExecution => (false, json!({"code": {"type": "string"}, "language": {"type": "string"}})),
            ServerTool::FileSearch => (true, json!({"queries": {"type": "array", "items": {"type": "string"}}})),
            ServerTool::McpServerTool => (false, json!({"text": {"type": "string"}})),
            ServerTool::ToolSearch => (true, json!({"function_names": {"type": "array", "items": {"type": "string"}}})),
        };
        let name = server.map(|_| "echo".to_owned());
        let server_name = server.map(str::to_owned);
        let parameters = json!({"type": "object", "properties": properties, "additionalProperties": false});
        Some(OpenTool {
            kind: Some(kind),
            declaration: Tool {
                name: antiphon_engine::function_name(kind, name.as_deref(), server_name.as_deref()),
                description: None,
                parameters: Schema::read(parameters).ok()?,
            },
            name,
            server_name,
            reads,
            run: Arc::new(Fixed { tools: self.clone(), kind: Some(kind), declared: declared.to_vec() }),
        })
    }
}

#[async_trait]
impl Toolbox for FixedTools {
    async fn complete(&self, _project: ProjectId, request: CreateInteraction) -> Result<CreateInteraction, Error> {
        let Some(name) = request.agent.as_deref().filter(|name| !AGENTS.contains(name) && !RESEARCHERS.contains(name))
        else {
            return Ok(request);
        };
        let agent = self.shared.agents.lock().unwrap_or_else(PoisonError::into_inner).get(name).cloned();
        agent.ok_or_else(|| Error::not_found("`agent`: it is not there"))?.complete(request)
    }

    async fn guidance(&self, _project: ProjectId, request: &CreateInteraction) -> Result<Option<String>, Error> {
        match request.agent {
            None => Ok(None),
            Some(_) => self.shared.guidance.lock().unwrap_or_else(PoisonError::into_inner).clone().transpose(),
        }
    }

    async fn open(&self, _project: ProjectId, request: &CreateInteraction) -> Result<Opened, Error> {
        let tools = &request.tools;
        if self.shared.away.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |times| times.checked_sub(1)).is_ok() {
            return Err(Error::precondition("`tools[0]`: it is away"));
        }
        let opened = tools.iter().filter_map(|tool| match tool {
            antiphon_wire::Tool::Function(_) | antiphon_wire::Tool::ToolSearch(ToolSearch::Client(_)) => None,
            antiphon_wire::Tool::ToolSearch(_) => self.open_one(ServerTool::ToolSearch, None, tools),
            antiphon_wire::Tool::GoogleSearch {} => self.open_one(ServerTool::GoogleSearch, None, tools),
            antiphon_wire::Tool::UrlContext {} => self.open_one(ServerTool::UrlContext, None, tools),
            antiphon_wire::Tool::CodeExecution {} => self.open_one(ServerTool::CodeExecution, None, tools),
            antiphon_wire::Tool::FileSearch(_) => self.open_one(ServerTool::FileSearch, None, tools),
            antiphon_wire::Tool::McpServer(server) => {
                self.open_one(ServerTool::McpServerTool, Some(&server.name), tools)
            }
        });
        if request.agent.is_none() || request.research().is_some() {
            return Ok(Opened { tools: opened.collect(), ..Opened::default() });
        }
        Ok(Opened {
            tools: opened.chain(self.keep()).collect(),
            instruction: Some("You are an agent.".to_owned()),
            environment: EnvironmentId::parse("place"),
        })
    }

    async fn discard(&self, _project: ProjectId, _environment: &EnvironmentId) {
        self.shared.discarded.fetch_add(1, Ordering::Relaxed);
    }
}

struct Fixed {
    tools: FixedTools,
    /// None: it keeps notes.
    kind: Option<ServerTool>,
    /// By the request.
    declared: Vec<antiphon_wire::Tool>,
}

#[async_trait]
impl ServerFunction for Fixed {
    async fn call(&self, call: ToolCall) -> Result<ToolOutput, ToolError> {
        let arguments = Value::Object(call.arguments.clone());
        self.tools.lock().push(arguments.to_string());
        let Some(kind) = self.kind else {
            let text = format!("Kept: {}", arguments["note"].as_str().unwrap_or_default());
            return Ok(ToolOutput { text, ..ToolOutput::default() });
        };
        match kind {
            ServerTool::GoogleSearch => search(&arguments),
            ServerTool::UrlContext => Ok(read(&call, &arguments)),
            ServerTool::CodeExecution => Ok(self.program(&call, arguments["code"].as_str().unwrap_or_default()).await),
            ServerTool::FileSearch => Ok(files()),
            ServerTool::McpServerTool => {
                let text = arguments["text"].as_str().unwrap_or_default().to_owned();
                Ok(ToolOutput { result: json!([{"type": "text", "text": text}]), text, ..ToolOutput::default() })
            }
            ServerTool::ToolSearch => {
                let wanted = arguments["function_names"].as_array().map(Vec::as_slice).unwrap_or_default();
                let is_wanted = |tool: &&antiphon_wire::Tool| {
                    tool.function().is_some_and(|function| wanted.iter().any(|name| *name == function.name))
                };
                let result = self.declared.iter().filter(is_wanted).map(|tool| json!(tool)).collect();
                Ok(ToolOutput { text: "Loaded.".to_owned(), result, ..ToolOutput::default() })
            }
        }
    }
}

fn search(arguments: &Value) -> Result<ToolOutput, ToolError> {
    let queries = arguments["queries"].as_array().map(Vec::as_slice).unwrap_or_default();
    let result = json!([{"search_suggestions": "<div></div>"}]);
    if queries.iter().any(|query| query == "broken") {
        return Err(ToolError::Broken("the search is broken".to_owned()));
    }
    if queries.iter().any(|query| query == "nothing") {
        return Ok(ToolOutput::failed("The search is not there.", result));
    }
    let found = |url: &str, title: &str, text: &str| Found {
        url: url.to_owned(),
        title: title.to_owned(),
        site: "example.org".to_owned(),
        text: text.to_owned(),
        file: None,
    };
    Ok(ToolOutput {
        sources: vec![
            found("https://example.org/final", "The final", "Spain won the final against England in Berlin."),
            found("https://example.org/scorers", "Scorers", "Oyarzabal scored the last goal of the final."),
        ],
        result,
        searches: queries.len() as u64,
        ..ToolOutput::default()
    })
}

fn files() -> ToolOutput {
    let file = FoundIn {
        source: "fileSearchStores/guides".to_owned(),
        page_number: Some(3),
        custom_metadata: json!({"year": 2024}).as_object().cloned().unwrap_or_default(),
    };
    let found = Found {
        url: "fileSearchStores/guides/documents/rome".to_owned(),
        title: "rome.pdf".to_owned(),
        site: String::new(),
        text: "The Colosseum in Rome was opened by Titus in the year 80.".to_owned(),
        file: Some(file),
    };
    ToolOutput { sources: vec![found], result: json!([]), ..ToolOutput::default() }
}

fn read(call: &ToolCall, arguments: &Value) -> ToolOutput {
    let urls: Vec<_> = arguments["urls"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let allowed = |url: &&str| call.said.contains(*url) || call.found.contains(*url);
    let page = |url: &str| Found {
        url: url.to_owned(),
        title: "A page".to_owned(),
        site: String::new(),
        text: "It rains in Rome.".to_owned(),
        file: None,
    };
    let status = |url: &&str| if allowed(url) { "success" } else { "unsafe" };
    ToolOutput {
        sources: urls.iter().copied().filter(allowed).map(page).collect(),
        result: urls.iter().map(|url| json!({"url": url, "status": status(url)})).collect(),
        is_error: !urls.iter().any(allowed),
        ..ToolOutput::default()
    }
}

impl Fixed {
    async fn program(&self, call: &ToolCall, code: &str) -> ToolOutput {
        let mut output = ToolOutput { result: json!(""), ..ToolOutput::default() };
        for line in code.lines() {
            match line {
                "wait" => self.tools.shared.gate.notified().await,
                "picture" => output.pictures.push(Media::new(MediaKind::Image, "image/png", "aGk=".into())),
                "raise" => output.is_error = true,
                line => {
                    let text = format!("{line}\n");
                    output.text.push_str(&text);
                    // Nobody is there to see it.
                    let _ = call.live.send(text).await;
                }
            }
        }
        output
    }
}
