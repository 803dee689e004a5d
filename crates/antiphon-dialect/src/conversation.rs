//! A conversation before a template has written it, and after.

use serde_json::{Map, Value};

/// What is said to the model, in order.
#[derive(Clone, Debug, PartialEq)]
pub struct Conversation {
    /// The system instruction; `None` leaves the template its own default.
    pub system: Option<String>,
    /// The functions that the model may call, as it is told of them.
    pub tools: Vec<Tool>,
    /// The text of the JSON Schema that the final answer must follow. The model is told
    /// of it in the system turn.
    pub answer_schema: Option<String>,
    /// `Some(false)` asks the template not to think (`enable_thinking`).
    pub thinking: Option<bool>,
    /// At least one message of the user. A conversation that ends with a message of the
    /// model is one whose answer has begun: it is rendered so that the model goes on
    /// with it.
    pub messages: Vec<Message>,
    /// The date a template may print, `YYYY-MM-DD`. It belongs to the conversation and
    /// not to the clock: a prompt whose date changes has no prefix in common with itself.
    pub today: String,
}

/// A function as it is declared to the model. All of it is untrusted.
#[derive(Clone, Debug, PartialEq)]
pub struct Tool {
    /// Its name.
    pub name: String,
    /// What it does.
    pub description: Option<String>,
    /// The JSON Schema of its arguments, an object.
    pub parameters: Value,
    /// The same, normalised for llguidance's `%json`. The model is not shown it; the form
    /// in which it is told to call depends on it, as do the grammar and the parser.
    pub enforced: Value,
}

/// What one side said.
#[derive(Clone, Debug, PartialEq)]
pub enum Message {
    /// The person, or the program that asks. The parts follow one another without a separator.
    User(Vec<Part>),
    /// The model that answers.
    Model(ModelTurn),
    /// What a function that the model called gave back.
    Tool(ToolResult),
}

/// One message of the model. What it generated as tokens (text and calls alike) is in
/// `content`, and `calls` is empty then.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ModelTurn {
    /// What it thought. Models read it again only while they work on the same request.
    pub reasoning: Option<String>,
    /// What it said; the parts follow one another without a separator.
    pub content: Vec<Part>,
    /// The functions it called afterwards.
    pub calls: Vec<Call>,
}

/// A call that the model made earlier.
#[derive(Clone, Debug, PartialEq)]
pub struct Call {
    /// The call's id, to which a result refers.
    pub id: String,
    /// The function's name.
    pub name: String,
    /// The arguments it was called with.
    pub arguments: Map<String, Value>,
}

/// The result of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToolResult {
    /// The id of the call.
    pub id: String,
    /// The name of the function that was called.
    pub name: String,
    /// What it gave back: untrusted.
    pub text: String,
    /// Whether it failed; the model is told.
    pub is_error: bool,
}

/// A piece of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// Text of any origin: untrusted.
    Text(String),
    /// What this very model generated, as its exact token ids and without the token that
    /// ended the generation.
    Tokens(Vec<u32>),
    /// Something to look at or to listen to, by its place among all that the caller has.
    Media(usize),
}

/// A piece of a prompt. Each is tokenised alone, so that equal segments are equal tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Segment {
    /// Words of the template, or of this crate: special tokens in them are meant.
    Control(String),
    /// Content: tokenised without looking for special tokens.
    Data(String),
    /// Content that is tokens already.
    Tokens(Vec<u32>),
    /// Content that is neither, as [`Part::Media`].
    Media(usize),
}

impl Message {
    /// What a person said in words alone.
    #[must_use]
    pub fn user(text: impl Into<String>) -> Self {
        Self::User(vec![Part::Text(text.into())])
    }
}

impl From<&Part> for Segment {
    fn from(part: &Part) -> Self {
        match part {
            Part::Text(text) => Self::Data(text.clone()),
            Part::Tokens(tokens) => Self::Tokens(tokens.clone()),
            Part::Media(number) => Self::Media(*number),
        }
    }
}
