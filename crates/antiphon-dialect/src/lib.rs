//! How one model wants its conversation written, and how it writes its answer.
//!
//! Pure: no async, no IO, no clock, no C++. Two directions:
//!
//! * [`ChatTemplate`] writes a [`Conversation`] as [`Segment`]s. Only the template's own
//!   words become [`Segment::Control`]; content never passes through the template, so
//!   data cannot become control.
//! * [`OutputParser`] reads the generated text as it comes and tells thought from
//!   visible text, by the [`Reasoning`] markers of the template.

mod conversation;
mod jinja;
mod output;
mod reasoning;
mod stop;
mod template;

pub use conversation::{Conversation, Message, Part, Role, Segment};
pub use output::{Output, OutputParser};
pub use reasoning::Reasoning;
pub use template::{ChatTemplate, TemplateError};
