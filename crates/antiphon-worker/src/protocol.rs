//! The messages between the server and a model worker, and how they are framed.
//!
//! A frame is the length of its body, a `u32` in little-endian order, and then the body,
//! one message as JSON. JSON because the messages are few (one small chunk per token and
//! stream) and can be read in a trace. [`encode`] and [`FrameDecoder`] touch no pipe, so
//! asynchronous callers use the same code as [`read_frame`] and [`write_frame`].

use std::io::{self, Read, Write};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// An entry of a model's vocabulary.
pub type Token = u32;

/// The longest body a frame may have, in bytes.
pub const MAX_FRAME: usize = 64 << 20;

/// What the server asks of a worker.
///
/// `id` is the server's own and must be unique among its unfinished requests.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Request {
    /// Answered at once, also while others generate, by [`Message::Prepared`], or by
    /// [`Message::Refused`] if the constraint cannot be used.
    Prepare { id: u64, segments: Vec<Segment>, constraint: Option<Constraint> },
    /// Answered by [`Message::Started`], [`Message::Chunk`]s and one of
    /// [`Message::Finished`] and [`Message::Failed`], or by [`Message::Refused`] alone.
    Generate(Generate),
    /// Ends a generation. It says nothing more, unless it already ended by itself.
    Cancel { id: u64 },
}

/// A part of a prompt, by how far it is trusted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Segment {
    /// Text of the chat template: names of special tokens in it become these tokens.
    Control(String),
    /// Anybody's text: it never becomes a special token, whatever it says.
    Data(String),
    /// Tokens that this model generated or read earlier.
    Tokens(Vec<Token>),
}

/// What a run may say and nothing else.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Constraint {
    /// In the Lark dialect of llguidance; begins with the rule `start`. It may use the rules
    /// `marker_0`, `marker_1` and so on, which the worker defines.
    pub grammar: String,
    /// What `marker_0`, `marker_1`, … are: the control token with this text, or the text itself
    /// where the vocabulary has no such token.
    pub markers: Vec<String>,
}

/// One run of the model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Generate {
    pub id: u64,
    /// Whose run it is. Cached prefixes are shared inside one scope only.
    pub scope: String,
    /// At least one token.
    pub prompt: Vec<Token>,
    /// What this run had already emitted in an earlier life. These tokens count against
    /// `max_tokens`, and their text is sent first, as one chunk without tokens.
    pub resume: Vec<Token>,
    /// At least 1. Clipped to what the context leaves beside the prompt.
    pub max_tokens: u32,
    pub sampling: Sampling,
    /// Texts of special tokens that [`Message::Chunk::text`] shall show, such as
    /// `<think>`. All other special tokens give no text.
    pub markers: Vec<String>,
    /// Covers everything from the first generated token on, `resume` included.
    pub constraint: Option<Constraint>,
}

/// How the next token is chosen. The filters apply in the hosted service's order:
/// `top_k`, `top_p`, `min_p`, and `temperature` on what they leave.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sampling {
    /// 0 takes the likeliest token.
    pub temperature: f32,
    /// The mass, in (0, 1], that the likeliest tokens kept have together.
    pub top_p: f32,
    /// How many of the likeliest tokens are kept; 0 keeps all.
    pub top_k: u32,
    /// A kept token has at least this share of the likeliest one's probability; 0 keeps
    /// all.
    pub min_p: f32,
    /// Above 1, tokens among the last `repeat_window` become less likely; 1 is off.
    pub repeat_penalty: f32,
    /// In tokens, of prompt and output together.
    pub repeat_window: u32,
    /// What chance is drawn from: equal seeds draw equally at equal positions.
    pub seed: u64,
}

impl Sampling {
    /// Always the likeliest token.
    pub const GREEDY: Self =
        Self { temperature: 0.0, top_p: 1.0, top_k: 0, min_p: 0.0, repeat_penalty: 1.0, repeat_window: 0, seed: 0 };
}

/// What a worker says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Message {
    /// The model is loaded. The first message, sent once.
    Ready(ModelCard),
    /// The tokens of the prompt; its constraint can be used.
    Prepared {
        id: u64,
        tokens: Vec<Token>,
    },
    /// The constraint cannot be used, and why: the fault of whoever gave it.
    Refused {
        id: u64,
        message: String,
    },
    /// The prompt is being read.
    Started {
        id: u64,
        /// How many of the prompt's tokens were not computed again.
        cached: u32,
    },
    Chunk {
        id: u64,
        /// Newly generated; end-of-generation tokens are not among them.
        tokens: Vec<Token>,
        /// Whole characters. Empty while a character's bytes are incomplete.
        text: String,
    },
    Finished {
        id: u64,
        reason: FinishReason,
    },
    Failed {
        id: u64,
        message: String,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FinishReason {
    /// The model ended its answer, or its constraint left nothing to add.
    End,
    /// `max_tokens` or the context is used up.
    Length,
    /// The model repeated itself without end and was stopped.
    Repetition,
}

/// What a worker's model is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ModelCard {
    pub name: String,
    /// Equal for equal weights and tokenizer: tokens of one model mean nothing to another.
    pub fingerprint: String,
    /// The most tokens that one run may have, prompt and output together.
    pub context: u32,
    /// How many runs advance at the same time.
    pub slots: u32,
    /// The model's own Jinja template.
    pub chat_template: Option<String>,
    /// Text of the token that begins a sequence; empty if the model has none.
    pub bos: String,
    /// Text of the token that ends a sequence; empty if the model has none.
    pub eos: String,
    pub parameters: u64,
    /// For people.
    pub description: String,
}

/// Why no message came. Never quotes the body: it may hold a prompt.
#[derive(Debug, thiserror::Error)]
pub enum FrameError {
    #[error("a frame has {0} bytes, at most {MAX_FRAME} are allowed")]
    TooLong(usize),
    #[error("a frame of {length} bytes holds no valid message ({category:?} error at byte {column})")]
    Malformed { length: usize, category: serde_json::error::Category, column: usize },
    #[error("the pipe ended inside a frame")]
    Cut,
    #[error("the pipe failed: {0}")]
    Pipe(#[from] io::Error),
}

/// The frame of one message.
///
/// # Errors
/// [`FrameError::TooLong`] if the body would be longer than [`MAX_FRAME`].
pub fn encode<T: Serialize>(message: &T) -> Result<Vec<u8>, FrameError> {
    let mut frame = vec![0; 4];
    serde_json::to_writer(&mut frame, message).map_err(|error| malformed(&error, 0))?;
    let length = checked_length(frame.len() - 4)?;
    frame[..4].copy_from_slice(&length.to_le_bytes());
    Ok(frame)
}

/// Writes one frame and flushes.
///
/// # Errors
/// As [`encode`], and [`FrameError::Pipe`] if the pipe fails.
pub fn write_frame<T: Serialize>(writer: &mut impl Write, message: &T) -> Result<(), FrameError> {
    writer.write_all(&encode(message)?)?;
    Ok(writer.flush()?)
}

/// Reads one frame; `None` at the end of the pipe.
///
/// # Errors
/// Any [`FrameError`]. The pipe is of no use after one.
pub fn read_frame<T: DeserializeOwned>(reader: &mut impl Read) -> Result<Option<T>, FrameError> {
    let mut header = Vec::with_capacity(4);
    reader.by_ref().take(4).read_to_end(&mut header)?;
    if header.is_empty() {
        return Ok(None);
    }
    let header = <[u8; 4]>::try_from(header).map_err(|_| FrameError::Cut)?;
    let length = length_of(header)?;
    let mut body = Vec::new();
    reader.take(length as u64).read_to_end(&mut body)?;
    if body.len() < length {
        return Err(FrameError::Cut);
    }
    parse(&body).map(Some)
}

/// Finds messages in bytes that come in pieces of any size.
#[derive(Debug, Default)]
pub struct FrameDecoder {
    buffer: Vec<u8>,
    /// How much of `buffer` has been read already.
    start: usize,
}

impl FrameDecoder {
    /// Takes the next bytes of the pipe.
    pub fn feed(&mut self, bytes: &[u8]) {
        self.buffer.drain(..self.start);
        self.start = 0;
        self.buffer.extend_from_slice(bytes);
    }

    /// The next message, or `None` until more bytes are fed.
    ///
    /// # Errors
    /// [`FrameError::TooLong`] and [`FrameError::Malformed`]. The pipe is of no use after
    /// one.
    pub fn next_message<T: DeserializeOwned>(&mut self) -> Result<Option<T>, FrameError> {
        let Some((header, rest)) = self.buffer[self.start..].split_first_chunk::<4>() else { return Ok(None) };
        let length = length_of(*header)?;
        let Some(body) = rest.get(..length) else { return Ok(None) };
        let message = parse(body)?;
        self.start += 4 + length;
        Ok(Some(message))
    }

    /// Whether the bytes fed so far end between two frames, as they must where a pipe
    /// ends.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.start == self.buffer.len()
    }
}

fn checked_length(length: usize) -> Result<u32, FrameError> {
    if length > MAX_FRAME {
        return Err(FrameError::TooLong(length));
    }
    u32::try_from(length).map_err(|_| FrameError::TooLong(length))
}

fn length_of(header: [u8; 4]) -> Result<usize, FrameError> {
    let length = u32::from_le_bytes(header) as usize;
    checked_length(length)?;
    Ok(length)
}

fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, FrameError> {
    serde_json::from_slice(body).map_err(|error| malformed(&error, body.len()))
}

fn malformed(error: &serde_json::Error, length: usize) -> FrameError {
    FrameError::Malformed { length, category: error.classify(), column: error.column() }
}

#[cfg(test)]
mod tests;
