//! The run of one interaction, from a request that was understood to the last event of
//! its log.
//!
//! The engine names no HTTP, SQL or process type: models, storage, time and chance come
//! through the traits [`Backend`], [`Store`] and [`Ambient`]. Read in this order:
//!
//! 1. [`engine`](Engine): accept, look up, cancel, delete, recover.
//! 2. `prompt`: steps of the conversation to one [`ModelRequest`] (pure).
//! 3. `media`: what becomes of media that the model does not take.
//! 4. `admission`: whose turn it is.
//! 5. `run`: the driver, the only loop; it carries out what `phase` decides (pure).
//! 6. `assemble`: what the model says to events of the API (pure).
//! 7. `journal`: numbers events, makes them durable, then shows them.

mod admission;
mod ambient;
mod assemble;
mod backend;
mod context;
mod engine;
mod guidance;
mod handle;
mod journal;
mod media;
mod models;
mod output;
mod phase;
mod prompt;
mod resumption;
mod run;
mod seal;
mod store;
mod tell;
mod tool;

pub use ambient::{Ambient, wire_time};
pub use antiphon_schema::Schema;
pub use backend::{
    Backend, BackendError, Call, CallResult, Calls, DRAWN, FinishReason, Media, MediaKind, Message, ModelEvent,
    ModelRequest, ModelStream, ModelTurn, Part, Prepared, PreparedMedium, Research, Resume, Said, Signature, Thought,
    Tool, WantedPicture, text_of,
};
pub use engine::{Caller, Created, Engine, EngineParts, Limits, RunLimits};
pub use handle::Handle;
pub use journal::Followed;
pub use media::{
    Accepted, Derived, Fetched, Medium, NoPerceiver, Perceiver, Readers, Reception, Route, media_told, not_taken,
};
pub use models::{Models, Served};
pub use seal::Seal;
pub use store::{
    Append, Claim, ClosedStep, Event, Fence, KeyRecord, NewInteraction, Outcome, PastStep, ProjectId, Store,
    StoreError, Stored, Trace,
};
pub use tell::FOUND;
pub use tool::{
    Found, FoundIn, NoTools, OpenTool, Opened, PRINTED_NOTHING, ServerFunction, ToolCall, ToolError, ToolOutput,
    Toolbox, function_name,
};
