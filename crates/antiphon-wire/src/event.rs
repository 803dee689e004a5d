//! The events of an interaction (spec 04).

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::content::Content;
use crate::error::Failure;
use crate::id::InteractionId;
use crate::interaction::Interaction;
use crate::media::MediaContent;
use crate::server_tool::{ServerTool, call_type, result_type};
use crate::status::Status;
use crate::usage::Usage;

/// One event, told apart by `event_type`. `index` counts the generated steps from 0.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event_type")]
pub enum InteractionEvent {
    #[serde(rename = "interaction.created")]
    Created { interaction: Box<Interaction> },
    #[serde(rename = "interaction.status_update")]
    StatusUpdate(StatusUpdate),
    #[serde(rename = "step.start")]
    StepStart(StepStart),
    #[serde(rename = "step.delta")]
    StepDelta(StepDeltaEvent),
    #[serde(rename = "step.stop")]
    StepStop(StepStop),
    #[serde(rename = "interaction.completed")]
    Completed { interaction: Box<Interaction> },
    #[serde(rename = "error")]
    Error(ErrorEvent),
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StatusUpdate {
    pub interaction_id: InteractionId,
    pub status: Status,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StepStart {
    pub index: usize,
    pub step: StepHead,
}

/// The bare head of a step that starts; deltas fill it (spec 04, "Shape per step").
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum StepHead {
    ModelOutput,
    Thought,
    /// `arguments` is empty here.
    FunctionCall {
        id: String,
        name: String,
        #[serde(default)]
        arguments: Map<String, Value>,
    },
    /// What came of a function that the server carried out (spec 06, "Managed agent").
    FunctionResult {
        call_id: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        name: Option<String>,
        /// Empty here.
        #[serde(default)]
        result: String,
    },
    ProcessingCall {
        id: String,
    },
    ProcessingResult {
        call_id: String,
    },
    #[serde(untagged)]
    ServerCall(ServerCallHead),
    #[serde(untagged)]
    ServerResult(ServerResultHead),
}

/// The head of a call that the server carries out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerCallHead {
    #[serde(rename = "type", with = "call_type")]
    pub tool: ServerTool,
    pub id: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server_name: Option<String>,
    /// Empty here.
    #[serde(default)]
    pub arguments: Map<String, Value>,
}

/// The head of what comes of such a call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerResultHead {
    #[serde(rename = "type", with = "result_type")]
    pub tool: ServerTool,
    pub call_id: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server_name: Option<String>,
    /// Empty here: an empty string, or an empty list.
    #[serde(default)]
    pub result: Value,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StepDeltaEvent {
    pub index: usize,
    pub delta: StepDelta,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StepStop {
    pub index: usize,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usage: Option<Usage>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ErrorEvent {
    pub error: Failure,
}

/// What a delta adds to its step (spec 04, "Delta types").
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum StepDelta {
    /// Text of a `model_output`.
    Text { text: String },
    /// A part of the summary of a `thought`.
    ThoughtSummary { content: Content },
    /// The signature of a `thought`; its last delta.
    ThoughtSignature { signature: String },
    /// A fragment of the JSON text of a call's arguments.
    ArgumentsDelta { arguments: String },
    /// Annotations on the text of a `model_output`; offsets are UTF-8 bytes of all of it.
    TextAnnotationDelta { annotations: Vec<Value> },
    /// A whole picture of a `model_output`.
    Image(MediaContent),
    /// All of a `function_result`.
    FunctionResult {
        result: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        name: Option<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        is_error: Option<bool>,
    },
    /// All of a `processing_result`.
    ProcessingResult {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        signature: Option<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        x_media: Option<Value>,
    },
    #[serde(untagged)]
    ServerCall(ServerCallDelta),
    #[serde(untagged)]
    ServerResult(ServerResultDelta),
}

/// All of a call that the server carries out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ServerCallDelta {
    #[serde(rename = "type", with = "call_type")]
    pub tool: ServerTool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server_name: Option<String>,
    pub arguments: Map<String, Value>,
}

/// What comes of such a call, or, while it runs, a piece of its text.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ServerResultDelta {
    #[serde(rename = "type", with = "result_type")]
    pub tool: ServerTool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server_name: Option<String>,
    pub result: Value,
    /// Said with the last piece.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub is_error: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signature: Option<String>,
}

impl InteractionEvent {
    /// The value of `event_type`, which is also the SSE event name.
    pub fn event_type(&self) -> &'static str {
        match self {
            Self::Created { .. } => "interaction.created",
            Self::StatusUpdate(_) => "interaction.status_update",
            Self::StepStart(_) => "step.start",
            Self::StepDelta(_) => "step.delta",
            Self::StepStop(_) => "step.stop",
            Self::Completed { .. } => "interaction.completed",
            Self::Error(_) => "error",
        }
    }

    /// Whether it belongs to a generated step.
    pub fn is_of_a_step(&self) -> bool {
        match self {
            Self::StepStart(_) | Self::StepDelta(_) | Self::StepStop(_) => true,
            Self::Created { .. } | Self::StatusUpdate(_) | Self::Completed { .. } | Self::Error(_) => false,
        }
    }
}
