//! What a model reads and writes.
//!
//! Apart from the decoder, which is busy for a whole batch at a time: whoever only wants to
//! know the tokens of a text does not wait for it.

use crate::protocol::{Segment, Token};

/// The tokens of a model, shared by all threads.
pub trait Vocabulary: Send + Sync + 'static {
    /// How many tokens there are; all are below.
    fn size(&self) -> u32;

    /// The tokens of `text`, without any added at its ends. With `special`, names of
    /// special tokens become these tokens; without, no text becomes a token that a
    /// template could have written.
    fn tokenize(&self, text: &str, special: bool) -> Vec<Token>;

    /// The bytes of a token; special ones have none unless `show_special`.
    fn piece(&self, token: Token, show_special: bool) -> Vec<u8>;

    /// Whether the token steers the model and is not text.
    fn is_special(&self, token: Token) -> bool;

    /// Whether the model ends its answer with this token.
    fn is_end(&self, token: Token) -> bool;

    /// The tokens of a prompt, special ones out of [`Segment::Control`] only.
    fn read(&self, segments: &[Segment]) -> Vec<Token> {
        let mut tokens = Vec::new();
        for segment in segments {
            match segment {
                Segment::Control(text) => tokens.extend(self.tokenize(text, true)),
                Segment::Data(text) => tokens.extend(self.tokenize(text, false)),
                Segment::Tokens(known) => tokens.extend(known),
            }
        }
        tokens
    }
}
