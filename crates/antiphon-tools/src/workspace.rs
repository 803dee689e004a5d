//! The tools for the files of an environment. They show as `function_call`s that have their
//! `function_result` already (spec 06, "Managed agent"), and work inside the sandbox.

use std::sync::Arc;

use antiphon_engine::{OpenTool, ServerFunction, ToolCall, ToolError, ToolOutput};
use antiphon_sandbox::{FileTool, Limits, Sandbox};
use antiphon_wire::Error;
use async_trait::async_trait;
use serde_json::Value;

use crate::declaration;
use crate::workplace::Workplace;

struct InPlace {
    tool: FileTool,
    sandbox: Sandbox,
    limits: Limits,
    place: Arc<Workplace>,
}

/// All of them, for one environment.
pub(crate) fn open(sandbox: &Sandbox, limits: &Limits, place: &Arc<Workplace>) -> Result<Vec<OpenTool>, Error> {
    let open = |tool: FileTool| {
        let (sandbox, limits, place) = (sandbox.clone(), limits.clone(), Arc::clone(place));
        Ok(OpenTool {
            kind: None,
            name: None,
            server_name: None,
            declaration: declaration(tool.name(), tool.description(), tool.parameters())?,
            reads: tool.only_reads(),
            run: Arc::new(InPlace { tool, sandbox, limits, place }),
        })
    };
    FileTool::ALL.into_iter().map(open).collect()
}

#[async_trait]
impl ServerFunction for InPlace {
    async fn call(&self, call: ToolCall) -> Result<ToolOutput, ToolError> {
        let operation = self.tool.operation(&call.arguments);
        let (operation, place) = match (operation, self.place.enter().await) {
            (Ok(operation), Ok(place)) => (operation, place),
            (Err(why), _) | (_, Err(why)) => return Ok(ToolOutput::failed(why, Value::Null)),
        };
        let reply = self.sandbox.file(operation, place.folder().to_owned(), self.limits.clone()).await;
        let reply = reply.map_err(|error| ToolError::Broken(format!("the sandbox: {error}")))?;
        Ok(ToolOutput { text: reply.text, is_error: reply.is_error, ..ToolOutput::default() })
    }
}
