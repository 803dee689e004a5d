//! The Interactions API as it stands on the wire: requests, the interaction, its
//! steps, its events and its errors.
//!
//! Pure: no async, no IO, no clock. Everything else in the project depends on this
//! crate and this crate depends on nothing of the project.
//!
//! * A request is read by [`CreateInteraction::read`], which honours or refuses every
//!   field by its JSON path.
//! * An answer is a fold ([`EventFold`]) of the numbered events of one interaction.

mod agent;
mod content;
mod credential;
mod custom_agent;
mod data;
mod environment;
mod error;
mod event;
mod fields;
mod file;
mod file_search;
mod fold;
mod format;
mod generation;
mod id;
mod image;
mod interaction;
mod media;
mod processing;
mod request;
mod server_tool;
mod sse;
mod status;
mod step;
mod tool;
mod trigger;
mod usage;

pub use agent::{AGENTS, AgentConfig, RESEARCHERS, ResearchConfig};
pub use content::{Content, TextContent};
pub use credential::{
    BearerToken, CREDENTIAL_FIELDS, CreateCredential, Credential, CredentialConfig, CredentialId, CredentialKind,
    CredentialList, CredentialStatus, EnvironmentVariable, InjectionLocation, OAuth2, Secret,
};
pub use custom_agent::{AGENT_FIELDS, Agent};
pub use data::{Data, Kept, MARK, MOST_IN_MEMORY, hexadecimal};
pub use environment::{
    AllowedHost, CreateEnvironment, Domain, ENVIRONMENT_FIELDS, Environment, EnvironmentChoice, EnvironmentFile,
    EnvironmentFileKind, EnvironmentId, EnvironmentSpec, EnvironmentStatus, Host, Network, RepositoryAddress,
    ShownSource, Source, SourceContent, Variable, WorkspacePath,
};
pub use error::{Code, Error, ErrorBody, Failure};
pub use event::{
    ErrorEvent, InteractionEvent, ServerCallDelta, ServerCallHead, ServerResultDelta, ServerResultHead, StatusUpdate,
    StepDelta, StepDeltaEvent, StepHead, StepStart, StepStop,
};
pub use file::{CreateFile, File};
pub use file_search::{
    CreateFileSearchStore, CustomMetadata, CustomValue, Document, DocumentAdded, DocumentConfig, FileSearchStore,
    ImportFile, Operation, UploadToFileSearchStore, WhiteSpaceConfig,
};
pub use fold::EventFold;
pub use format::{AnswerSchema, Output};
pub use generation::{GenerationConfig, ThinkingLevel, ThinkingSummaries};
pub use id::{EventId, InteractionId};
pub use image::{AspectRatio, Delivery, ImageConfig, ImageFormat, ImageSize, ImageType};
pub use interaction::Interaction;
pub use media::{
    MediaContent, MediaOptions, Offset, PageLayer, PageOptions, Processing, Resolution, SheetLayer, SpreadsheetOptions,
    VideoLayer, not_base64,
};
pub use processing::{Perceived, ProcessingCallStep, ProcessingResultStep};
pub use request::{CreateInteraction, REQUEST_FIELDS, RequestField, ServiceTier, Treatment};
pub use server_tool::{ServerCallStep, ServerResultStep, ServerTool};
pub use sse::{SseDecoder, encode_comment, encode_done, encode_event};
pub use status::Status;
pub use step::{FunctionCallStep, FunctionResult, FunctionResultStep, MessageStep, Step, ThoughtStep};
pub use tool::{AllowedTools, FileSearch, Function, MOST_DECLARED, McpServer, Tool, ToolChoice, ToolMode, ToolSearch};
pub use trigger::{
    CreateTrigger, ExecutionStatus, TRIGGER_FIELDS, Trigger, TriggerExecution, TriggerExecutionId,
    TriggerExecutionList, TriggerId, TriggerList, TriggerStatus, UpdateTrigger, shown_interaction,
};
pub use usage::{GroundingToolCount, Modality, ModalityTokens, Usage};
