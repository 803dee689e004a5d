//! Where model output comes from.
//!
//! * [`Llama`]: a model in a supervised worker process on this machine.
//! * [`Scripted`]: deterministic replies, events and faults from a file, for people who
//!   test programs against this server. Never a default.
//! * [`Artist`]: pictures that a model of any of these draws.
//! * [`Diffusion`]: pictures of a diffusion model in a process of their own on this machine.
//! * [`Researcher`]: reports that one of them writes, question by question.
//! * [`Inspected`]: pictures that come from elsewhere.
//!
//! The first two give the raw text of the model to `answer`, so that reasoning and stop
//! sequences are treated alike.

mod answer;
mod artist;
mod blocks;
mod diffusion;
mod inspected;
mod llama;
mod researcher;
mod said;
mod scripted;

pub use artist::{Artist, FAULT, Painter};
pub use diffusion::{Diffusion, DiffusionOptions};
pub use inspected::Inspected;
pub use llama::{Llama, LlamaOptions, Opened, Opener, Projector, SAMPLE_RATE};
pub use researcher::Researcher;
pub use scripted::{Script, ScriptError, Scripted};

/// For models whose file has no template: turns as plain lines.
pub(crate) const PLAIN_TEMPLATE: &str = "{% for message in messages %}{{ message.role }}: {{ message.content }}\n{% endfor %}\
    {% if add_generation_prompt %}assistant: {% endif %}";
