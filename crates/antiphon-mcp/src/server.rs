//! Servers as a run uses them: opened once, then called.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rmcp::model::ErrorCode;
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};
use tokio::sync::OnceCell;
use tokio::time::{Instant, timeout};
use tracing::debug;

use crate::connection::{Connection, Lifecycle, Target};
use crate::error::{McpError, McpErrorKind};
use crate::options::McpOptions;
use crate::remembered::Remembered;
use crate::result::McpResult;
use crate::spec::{AllowedTools, HttpTarget, ServerSpec, StdioSpec, check_name, is_allowed};
use crate::tool::McpTool;

/// Servers change how they speak only when they are replaced.
const LIFECYCLE_LIFE: Duration = Duration::from_hours(1);

/// Opens servers, and remembers how they speak and what they declare.
#[derive(Clone)]
pub struct McpServers(Arc<Shared>);

struct Shared {
    options: McpOptions,
    listings: Mutex<Remembered<ListingKey, Arc<[McpTool]>>>,
    lifecycles: Mutex<Remembered<String, Lifecycle>>,
}

/// A digest, so that no header is kept.
type ListingKey = [u8; 32];

/// One server. Dropping it ends its connection, and its process.
pub struct McpServer {
    name: String,
    tools: Vec<McpTool>,
    target: Target,
    listing: Option<ListingKey>,
    shared: Arc<Shared>,
    connection: Mutex<Arc<OnceCell<Connection>>>,
}

impl McpServers {
    pub fn new(options: McpOptions) -> Self {
        let most = options.bounds.listings;
        Self(Arc::new(Shared {
            listings: Mutex::new(Remembered::new(most, options.bounds.listing_life)),
            lifecycles: Mutex::new(Remembered::new(most, LIFECYCLE_LIFE)),
            options,
        }))
    }

    /// Opens a server that a request names. What it declared to the same project, address and
    /// headers a moment ago is not asked for again; then the connection is made by the first call.
    ///
    /// # Errors
    /// When the declaration cannot be honoured or the server does not list its tools.
    pub async fn open(&self, project: &str, spec: ServerSpec) -> Result<McpServer, McpError> {
        let target = HttpTarget::read(&spec)?;
        (self.0.options.check)(&target.url)
            .map_err(|why| McpError::new(&spec.name, McpErrorKind::Forbidden, target.secrets.redacted(&why)))?;
        let key = listing_key(project, &target);
        self.open_target(spec.name, Target::Http(target), Some(key), &spec.allowed_tools).await
    }

    /// Starts a server that the operator configured. Its listing holds as long as the server is open.
    ///
    /// # Errors
    /// When it cannot be started or does not list its tools.
    pub async fn start(&self, spec: StdioSpec) -> Result<McpServer, McpError> {
        check_name(&spec.name)?;
        let (name, allowed) = (spec.name.clone(), spec.allowed_tools.clone());
        self.open_target(name, Target::Stdio(spec), None, &allowed).await
    }

    async fn open_target(
        &self,
        name: String,
        target: Target,
        listing: Option<ListingKey>,
        allowed: &[AllowedTools],
    ) -> Result<McpServer, McpError> {
        let remembered = listing.and_then(|key| lock(&self.0.listings).get(&key, Instant::now()));
        let connection = OnceCell::new();
        let tools = match remembered {
            Some(tools) => tools,
            None => {
                let opening = async {
                    let opened = self.0.connect(&name, &target).await?;
                    let tools: Arc<[_]> = opened.list(&self.0.options).await?.into();
                    Ok((opened, tools))
                };
                let (opened, tools) = in_time(&name, self.0.options.timeouts.open, opening).await?;
                if let Some(key) = listing {
                    lock(&self.0.listings).insert(key, Arc::clone(&tools), Instant::now());
                }
                // The cell is new, so there is room.
                let _ = connection.set(opened);
                tools
            }
        };
        let tools = tools.iter().filter(|tool| is_allowed(allowed, &tool.name)).cloned().collect();
        let connection = Mutex::new(Arc::new(connection));
        Ok(McpServer { name, tools, target, listing, shared: Arc::clone(&self.0), connection })
    }
}

impl Shared {
    /// Connects in the way that is remembered, and in others as long as the server answers that
    /// it understands something else.
    async fn connect(&self, name: &str, target: &Target) -> Result<Connection, McpError> {
        let address = target.address();
        let known = lock(&self.lifecycles).get(&address, Instant::now());
        // Finding out fails with those who know discovery and yet speak only as before.
        let mut ways = known.map(Some).into_iter().chain([None, Some(Lifecycle::Legacy)]).peekable();
        let mut way = ways.next().flatten();
        loop {
            match Connection::open(name, target, way, &self.options).await {
                Ok((connection, lifecycle)) => {
                    lock(&self.lifecycles).insert(address, lifecycle, Instant::now());
                    return Ok(connection);
                }
                Err(error) if ways.peek().is_some() && may_speak_otherwise(&error.kind) => {
                    debug!(server = name, ?way, detail = error.detail(), "An MCP server was not understood");
                    lock(&self.lifecycles).forget(&address);
                    way = ways.next().flatten();
                }
                Err(error) => return Err(error),
            }
        }
    }
}

impl McpServer {
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The tools that may be called, in the server's order.
    pub fn tools(&self) -> &[McpTool] {
        &self.tools
    }

    /// Calls a tool. Dropping the call cancels it at the server.
    ///
    /// # Errors
    /// When there is no answer of the tool. That a tool itself failed is in its result.
    pub async fn call(&self, tool: &str, arguments: Map<String, Value>) -> Result<McpResult, McpError> {
        if !self.tools.iter().any(|declared| declared.name == tool) {
            return Err(McpError::unknown_tool(&self.name, tool));
        }
        let cell = self.cell();
        let options = &self.shared.options;
        let connecting = cell.get_or_try_init(|| self.shared.connect(&self.name, &self.target));
        let connection = in_time(&self.name, options.timeouts.open, connecting).await?;
        let result = connection.call(tool, arguments, options).await;
        if let (Err(error), Some(key)) = (&result, &self.listing)
            && may_have_vanished(&error.kind)
        {
            lock(&self.shared.listings).forget(key);
        }
        result
    }

    /// The connection, or room for a new one when the last is dead.
    fn cell(&self) -> Arc<OnceCell<Connection>> {
        let mut current = lock(&self.connection);
        if current.get().is_some_and(Connection::is_closed) {
            *current = Arc::default();
        }
        Arc::clone(&current)
    }
}

impl std::fmt::Debug for McpServer {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("McpServer")
            .field("name", &self.name)
            .field("tools", &self.tools)
            .finish_non_exhaustive()
    }
}

/// Opening says the same whether nobody answers or nothing is said.
async fn in_time<T>(
    name: &str,
    most: Duration,
    doing: impl Future<Output = Result<T, McpError>>,
) -> Result<T, McpError> {
    let late = || McpError::new(name, McpErrorKind::Unreachable, "it was not open in time");
    timeout(most, doing).await.unwrap_or_else(|_| Err(late()))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn may_speak_otherwise(kind: &McpErrorKind) -> bool {
    match kind {
        McpErrorKind::Protocol | McpErrorKind::Failed { .. } => true,
        McpErrorKind::Refused(status) => matches!(status, 400..=499) && !matches!(status, 401 | 403 | 407 | 429),
        McpErrorKind::Invalid(_)
        | McpErrorKind::Forbidden
        | McpErrorKind::Unreachable
        | McpErrorKind::Timeout
        | McpErrorKind::TooLarge
        | McpErrorKind::UnknownTool(_) => false,
    }
}

/// Servers say so in one of these ways; they mean other things by them, too, and then the listing
/// is asked for once more than needed.
fn may_have_vanished(kind: &McpErrorKind) -> bool {
    let codes = [ErrorCode::METHOD_NOT_FOUND.0, ErrorCode::INVALID_PARAMS.0];
    matches!(kind, McpErrorKind::Failed { code, .. } if codes.contains(code))
}

fn listing_key(project: &str, target: &HttpTarget) -> ListingKey {
    let mut digest = Sha256::new();
    let mut add = |bytes: &[u8]| {
        digest.update((bytes.len() as u64).to_le_bytes());
        digest.update(bytes);
    };
    add(project.as_bytes());
    add(target.url.as_str().as_bytes());
    for (name, value) in &target.headers {
        add(name.as_str().as_bytes());
        add(value.as_bytes());
    }
    digest.finalize().into()
}
