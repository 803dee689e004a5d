//! What this server does itself on a model's behalf.
//!
//! A [`Toolbox`] opens what a request declares: its tools, and the environment that an agent
//! works in. Each tool is told to the model as a function and carried out by the driver. What a tool gives back is data, never
//! instruction: it is fenced, and cannot become a call or a citation.

use std::collections::BTreeSet;
use std::sync::Arc;

use antiphon_wire::{CreateInteraction, EnvironmentId, Error, ServerTool};
use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tokio::sync::mpsc;

use crate::backend::{self, Media};
use crate::store::ProjectId;

/// What a model is told of a program that printed nothing.
pub const PRINTED_NOTHING: &str = "The program printed nothing.";

/// Opens tools; one for the whole server.
#[async_trait]
pub trait Toolbox: Send + Sync {
    /// Completes a request for an agent of the project's own by its definition, so that nothing else of it is
    /// needed afterwards. Called once, before all else.
    ///
    /// # Errors
    /// When there is no such agent, or the request says what is the definition's to say.
    async fn complete(&self, _project: ProjectId, request: CreateInteraction) -> Result<CreateInteraction, Error> {
        Ok(request)
    }

    /// The functions behind the tools of the server that a request declares, in their order.
    /// What belongs to the client is left out.
    ///
    /// # Errors
    /// When one cannot be used here or now, naming its place in `tools`.
    async fn open(&self, project: ProjectId, request: &CreateInteraction) -> Result<Opened, Error>;

    /// What files of an agent's environment say to it. Called once, after the request was opened: what it gives is
    /// stored with the request.
    ///
    /// # Errors
    /// When they cannot be read now, as while another run works there.
    async fn guidance(&self, _project: ProjectId, _request: &CreateInteraction) -> Result<Option<String>, Error> {
        Ok(None)
    }

    /// Keeps a picture that a model made as a file of the project, and gives its name, as `files/…`
    /// (spec 02, `delivery`).
    ///
    /// # Errors
    /// When the project has as many files as it may, or none can be written now.
    async fn keep_picture(&self, _project: ProjectId, _picture: &Media) -> Result<String, Error> {
        Err(Error::precondition("`response_format.delivery`: this server keeps no files; expected `inline`"))
    }

    /// Removes an environment that was made for a request which was not accepted after all.
    async fn discard(&self, _project: ProjectId, _environment: &EnvironmentId) {}
}

/// What a request has opened.
#[derive(Clone, Default)]
pub struct Opened {
    pub tools: Vec<OpenTool>,
    /// What the model is told before the request's own instruction.
    pub instruction: Option<String>,
    /// The environment that the run works in.
    pub environment: Option<EnvironmentId>,
}

/// A server without tools of its own.
pub struct NoTools;

#[async_trait]
impl Toolbox for NoTools {
    async fn open(&self, _project: ProjectId, request: &CreateInteraction) -> Result<Opened, Error> {
        if request.agent.is_some() || request.environment.is_some() {
            return Err(Error::precondition("`environment`: this server has none"));
        }
        match request.tools.iter().position(|tool| tool.function().is_none()) {
            None => Ok(Opened::default()),
            Some(at) => Err(Error::precondition(format!("`tools[{at}]`: this server has no tools of its own"))),
        }
    }
}

/// One function of a tool, ready to be called.
#[derive(Clone)]
pub struct OpenTool {
    /// The kind of its steps on the wire. Without one its calls are `function_call`s that the
    /// server answers itself (spec 06, "Managed agent").
    pub kind: Option<ServerTool>,
    /// The tool's own name and its server's, where the kind has several.
    pub name: Option<String>,
    pub server_name: Option<String>,
    /// What the model is told.
    pub declaration: backend::Tool,
    /// Whether a call changes nothing, so that one that was interrupted may be made again.
    pub reads: bool,
    pub run: Arc<dyn ServerFunction>,
}

#[async_trait]
pub trait ServerFunction: Send + Sync {
    /// Carries out one call. Dropping the future ends the work.
    ///
    /// # Errors
    /// [`ToolError`]; what the model may go on with is no error but an output that says so.
    async fn call(&self, call: ToolCall) -> Result<ToolOutput, ToolError>;
}

/// One call.
pub struct ToolCall {
    pub project: ProjectId,
    /// They conform to the declaration.
    pub arguments: Map<String, Value>,
    /// About how many tokens of its result the model is told.
    pub result_tokens: usize,
    /// What the user has said, for tools that may only touch what was named there.
    pub said: Arc<str>,
    /// The addresses that tools of this run have found.
    pub found: Arc<BTreeSet<String>>,
    /// Text to be shown while the call runs; it is the beginning of the result's.
    pub live: mpsc::Sender<String>,
}

/// What came of a call.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ToolOutput {
    /// What the model reads, besides the sources.
    pub text: String,
    /// What the model may cite.
    pub sources: Vec<Found>,
    /// `result` of the step: all of it, or, where the kind's is a string, what was not shown
    /// live.
    pub result: Value,
    pub is_error: bool,
    /// What was made, for the client.
    pub pictures: Vec<Media>,
    /// How often something was looked for.
    pub searches: u64,
}

impl ToolOutput {
    /// That it did not work out, told to the model and in the step.
    pub fn failed(text: impl Into<String>, result: Value) -> Self {
        Self { text: text.into(), result, is_error: true, ..Self::default() }
    }
}

/// Services take no longer names of functions.
const LONGEST_NAME: usize = 64;

/// What a model is told that a function is called, which must be sayable to every kind of
/// model: letters, digits, `_` and `-`.
pub fn function_name(kind: ServerTool, name: Option<&str>, server_name: Option<&str>) -> String {
    match (kind, name, server_name) {
        (ServerTool::McpServerTool, Some(name), Some(server)) => {
            let plain = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '_' | '-') { c } else { '_' };
            let whole: String = format!("{server}__{name}").chars().map(plain).collect();
            if whole.len() <= LONGEST_NAME {
                return whole;
            }
            // FNV-1a: what is cut off still tells two names apart.
            let hash =
                whole.bytes().fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
            format!("{}_{hash:08x}", &whole[..LONGEST_NAME - 9])
        }
        (kind, _, _) => kind.as_str().to_owned(),
    }
}

/// Something with an address that a tool has found and read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    pub url: String,
    pub title: String,
    /// What citations call it: the name of the site (spec 05, "google_search").
    pub site: String,
    pub text: String,
    /// For documents of file search stores.
    pub file: Option<FoundIn>,
}

/// Where in a file search store something was found, as citations say it (spec 03,
/// "Annotations").
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FoundIn {
    /// The store.
    pub source: String,
    /// None in documents without pages.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub page_number: Option<u32>,
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub custom_metadata: Map<String, Value>,
}

/// Why a run cannot go on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ToolError {
    /// The server itself is broken; the text is for the log.
    #[error("{0}")]
    Broken(String),
}
