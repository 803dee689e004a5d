//! The messages between the server and a model worker, and how they are framed.
//!
//! A frame is the length of its body, a `u32` in little-endian order, and then the body,
//! one message as JSON. JSON because the messages are few (one small chunk per token and
//! stream) and can be read in a trace. [`encode`] and [`FrameDecoder`] touch no pipe, so
//! asynchronous callers use the same code as [`read_frame`] and [`write_frame`].

use std::io::{self, Read, Write};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

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
    /// [`Message::Refused`] if the constraint or a medium cannot be used.
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
    /// A picture or a sound. How many tokens it takes follows from its shape.
    Media(Shape),
}

/// How large a picture or a sound is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Shape {
    /// In pixels.
    Image { width: u32, height: u32 },
    /// In one channel, at [`ModelCard::sample_rate`].
    Audio { samples: u32 },
}

/// The longest side of a picture, in pixels.
pub const LONGEST_SIDE: u32 = 4096;

/// The most samples of a sound: ten minutes at 16 kHz.
pub const MOST_SAMPLES: u32 = 10 * 60 * 16_000;

/// The most bytes that the media of one prompt may have together: as text they fit into a frame, with room for the rest.
pub const MOST_MEDIA_BYTES: usize = 44 << 20;

impl Shape {
    /// How many bytes a medium of this shape has.
    #[must_use]
    pub fn bytes(self) -> usize {
        match self {
            Self::Image { width, height } => (width as usize).saturating_mul(height as usize).saturating_mul(3),
            Self::Audio { samples } => (samples as usize).saturating_mul(size_of::<f32>()),
        }
    }

    /// # Errors
    /// What was expected and what came, if nothing can have this shape.
    pub fn check(self) -> Result<(), String> {
        let sides = 1..=LONGEST_SIDE;
        match self {
            Self::Image { width, height } if !sides.contains(&width) || !sides.contains(&height) => {
                Err(format!("expected a picture with sides of 1 to {LONGEST_SIDE}, got {width} by {height}"))
            }
            Self::Audio { samples } if !(1..=MOST_SAMPLES).contains(&samples) => {
                Err(format!("expected a sound of 1 to {MOST_SAMPLES} samples, got {samples}"))
            }
            Self::Image { .. } | Self::Audio { .. } => Ok(()),
        }
    }
}

/// A picture or a sound in a prompt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Medium {
    /// How many of the prompt's tokens are before it.
    pub at: usize,
    pub shape: Shape,
    /// Of a picture rows of red, green and blue, a byte each; of a sound samples as `f32` in little-endian order.
    #[serde(serialize_with = "to_base64", deserialize_with = "of_base64")]
    pub data: Vec<u8>,
}

/// Where a medium is in a prompt that was measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// As [`Medium::at`].
    pub at: usize,
    /// How many tokens it takes, those that begin and end it included.
    pub tokens: usize,
}

fn to_base64<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&STANDARD.encode(bytes))
}

fn of_base64<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
    let text = String::deserialize(deserializer)?;
    STANDARD.decode(text).map_err(D::Error::custom)
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
    /// What stands between them, in order. None is last: what follows from it is asked of a token.
    pub media: Vec<Medium>,
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
    /// The model cannot be served, and why: said in place of [`Message::Ready`], and nothing after it.
    Unservable {
        message: String,
    },
    /// The tokens of the prompt and the places of its media; its constraint can be used.
    Prepared {
        id: u64,
        tokens: Vec<Token>,
        media: Vec<Place>,
    },
    /// The constraint or a medium cannot be used, and why: the fault of whoever gave it.
    Refused {
        id: u64,
        what: Refused,
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

/// What of a request cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Refused {
    Constraint,
    Media,
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
    /// Whether prompts may hold pictures.
    pub images: bool,
    /// Samples a second of the sounds that prompts may hold; none where they may not.
    pub sample_rate: Option<u32>,
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
