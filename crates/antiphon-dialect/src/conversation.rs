//! A conversation before a template has written it, and after.

/// What is said to the model, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conversation {
    /// The system instruction; `None` leaves the template its own default.
    pub system: Option<String>,
    /// At least one message. A conversation that ends with a message of the model is
    /// one whose answer has begun: it is rendered so that the model goes on with it.
    pub messages: Vec<Message>,
    /// The date a template may print, `YYYY-MM-DD`. It belongs to the conversation and
    /// not to the clock: a prompt whose date changes has no prefix in common with itself.
    pub today: String,
}

/// What one side said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Who said it.
    pub role: Role,
    /// What was said; the parts follow one another without a separator.
    pub content: Vec<Part>,
}

/// The two sides of a conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The person, or the program that asks.
    User,
    /// The model that answers.
    Model,
}

/// A piece of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// Text of any origin: untrusted.
    Text(String),
    /// What this very model generated, as its exact token ids and without the token that
    /// ended the generation. Only in a message of the model.
    Tokens(Vec<u32>),
}

/// A piece of a prompt. Each is tokenised alone, so that equal segments are equal tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Segment {
    /// Words of the template: special tokens in them are meant.
    Control(String),
    /// Content: tokenised without looking for special tokens.
    Data(String),
    /// Content that is tokens already.
    Tokens(Vec<u32>),
}
