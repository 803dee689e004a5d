//! The heads of steps: what a step begins with, and whether another began in the same way.

use antiphon_wire::{ServerCallHead, StepHead};
use serde_json::Map;

use super::Mint;
use crate::tool::OpenTool;

/// What a step is to begin with.
pub(super) enum Opening {
    Thought,
    ModelOutput,
    /// A call of this function.
    Call(String),
}

impl Opening {
    /// Whether the open step is already what is wanted.
    pub(super) fn continues(&self, head: &StepHead) -> bool {
        match self {
            Self::Thought => *head == StepHead::Thought,
            Self::ModelOutput => *head == StepHead::ModelOutput,
            Self::Call(_) => false,
        }
    }

    /// Whether a logged step began in the same way; `tool` is the server's behind a call.
    pub(super) fn repeats(&self, tool: Option<&OpenTool>, head: &StepHead) -> bool {
        match (self, tool, head) {
            (Self::Call(wanted), tool, StepHead::FunctionCall { name, .. }) => {
                wanted == name && tool.is_none_or(|tool| tool.kind.is_none())
            }
            (Self::Call(_), Some(tool), StepHead::ServerCall(head)) => is_of(tool, head),
            (Self::Call(_), _, _) => false,
            (Self::Thought | Self::ModelOutput, _, _) => self.continues(head),
        }
    }

    pub(super) fn head(self, tool: Option<&OpenTool>, mint: &impl Mint) -> StepHead {
        match (self, tool.and_then(|tool| Some((tool, tool.kind?)))) {
            (Self::Thought, _) => StepHead::Thought,
            (Self::ModelOutput, _) => StepHead::ModelOutput,
            (Self::Call(name), None) => StepHead::FunctionCall { id: mint.call_id(), name, arguments: Map::new() },
            (Self::Call(_), Some((tool, kind))) => StepHead::ServerCall(ServerCallHead {
                tool: kind,
                id: mint.call_id(),
                name: tool.name.clone(),
                server_name: tool.server_name.clone(),
                arguments: Map::new(),
            }),
        }
    }
}

/// Whether a head is of this tool.
pub(super) fn is_of(tool: &OpenTool, head: &ServerCallHead) -> bool {
    tool.kind == Some(head.tool) && tool.name == head.name && tool.server_name == head.server_name
}

pub(super) fn is_call(head: &StepHead) -> bool {
    matches!(head, StepHead::FunctionCall { .. } | StepHead::ServerCall(_))
}
