//! How one model wants its conversation written, and how it writes its answer.
//!
//! Pure: no async, no IO, no clock, no C++. A [`ChatTemplate`] is compiled from the
//! template of a model and knows the model's dialect:
//!
//! * [`ChatTemplate::render`] writes a [`Conversation`] as [`Segment`]s. Only the words of
//!   the template and of this crate become [`Segment::Control`]; content never passes
//!   through the template, so data cannot become control.
//! * [`ChatTemplate::constraint`] says what an answer may look like: calls of functions in
//!   the model's own form, with arguments that conform, and an answer of a schema.
//! * [`ChatTemplate::parser`] reads the generated text as it comes and tells thought,
//!   visible text and calls apart.

mod call;
mod conversation;
mod format;
mod grammar;
mod jinja;
mod object;
mod output;
mod parameter;
mod reasoning;
mod sentinel;
mod stop;
mod tagged;
mod template;
mod trigger;

pub use conversation::{Call, Conversation, Message, ModelTurn, Part, Segment, Tool, ToolResult};
pub use grammar::{Callable, Calls, Constraint};
pub use output::{Output, OutputParser};
pub use stop::Stops;
pub use template::{ChatTemplate, TemplateError};
