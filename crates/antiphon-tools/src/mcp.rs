//! `mcp_server`: every tool of a server as a function of its own.

use std::collections::BTreeMap;
use std::sync::Arc;

use antiphon_engine::{
    OpenTool, ProjectId, Schema, ServerFunction, Tool, ToolCall, ToolError, ToolOutput, function_name,
};
use antiphon_mcp::{
    AllowedTools, CallMode, McpServer, McpServers, McpTool, ServerSpec, StdioSpec, text_for_model, wire_result,
};
use antiphon_wire::{ServerTool, ToolMode};
use async_trait::async_trait;
use serde_json::json;
use tracing::warn;

/// Of one result, in characters; the engine cuts to the model's own budget.
const TOLD_CHARACTERS: usize = 64 << 10;

struct Function {
    server: Arc<McpServer>,
    tool: String,
}

/// Connects to a server and lists what of it may be used.
///
/// # Errors
/// A text for the caller.
pub(crate) async fn open(
    servers: &McpServers,
    processes: &BTreeMap<String, StdioSpec>,
    project: ProjectId,
    declared: &antiphon_wire::McpServer,
) -> Result<Vec<OpenTool>, String> {
    let allowed_tools: Vec<_> = declared.allowed_tools.iter().flatten().map(allowed).collect();
    let opened = match (&declared.url, processes.get(&declared.name)) {
        (Some(url), _) => {
            let spec = ServerSpec {
                name: declared.name.clone(),
                url: url.clone(),
                headers: declared.headers.clone(),
                allowed_tools,
            };
            servers.open(&format!("project-{}", project.0), spec).await
        }
        (None, Some(process)) => servers.start(StdioSpec { allowed_tools, ..process.clone() }).await,
        (None, None) => {
            return Err(format!("expected `url`: no server `{}` is configured here", declared.name));
        }
    };
    let server = opened.map(Arc::new).map_err(|error| {
        warn!(server = error.server(), detail = error.detail(), "An MCP server cannot be used");
        error.to_string()
    })?;
    let listed = |name: &String| server.tools().iter().any(|tool| tool.name == *name);
    let names = declared.allowed_tools.iter().flatten().filter_map(|entry| entry.tools.as_ref()).flatten();
    if let Some(name) = names.into_iter().find(|name| !listed(name)) {
        return Err(format!("`allowed_tools`: the MCP server `{}` has no tool `{name}`", declared.name));
    }
    Ok(server.tools().iter().filter_map(|tool| function(&server, tool)).collect())
}

fn allowed(entry: &antiphon_wire::AllowedTools) -> AllowedTools {
    let mode = match entry.mode {
        ToolMode::Auto => CallMode::Auto,
        ToolMode::Any => CallMode::Any,
        ToolMode::None => CallMode::None,
        ToolMode::Validated => CallMode::Validated,
    };
    AllowedTools { mode, tools: entry.tools.clone() }
}

fn function(server: &Arc<McpServer>, tool: &McpTool) -> Option<OpenTool> {
    let kind = ServerTool::McpServerTool;
    // The server checks its arguments itself: what cannot be promised here is left to it.
    let parameters = Schema::read(tool.input_schema.clone())
        .ok()
        .filter(Schema::allows_only_objects)
        .or_else(|| Schema::read(json!({"type": "object"})).ok())?;
    Some(OpenTool {
        kind: Some(kind),
        name: Some(tool.name.clone()),
        server_name: Some(server.name().to_owned()),
        declaration: Tool {
            name: function_name(kind, Some(&tool.name), Some(server.name())),
            description: Some(tool.description.clone()).filter(|text| !text.is_empty()),
            parameters,
        },
        reads: tool.read_only,
        run: Arc::new(Function { server: Arc::clone(server), tool: tool.name.clone() }),
    })
}

#[async_trait]
impl ServerFunction for Function {
    async fn call(&self, call: ToolCall) -> Result<ToolOutput, ToolError> {
        match self.server.call(&self.tool, call.arguments).await {
            Ok(result) => Ok(ToolOutput {
                text: text_for_model(&result, TOLD_CHARACTERS),
                result: wire_result(&result),
                is_error: result.is_error,
                ..ToolOutput::default()
            }),
            Err(error) => {
                warn!(server = error.server(), detail = error.detail(), "A call of an MCP server failed");
                Ok(ToolOutput::failed(error.to_string(), json!([{"type": "text", "text": error.to_string()}])))
            }
        }
    }
}
