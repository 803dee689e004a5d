//! What a model reads and writes.
//!
//! Apart from the decoder, which is busy for a whole batch at a time: whoever only wants to
//! know the tokens of a text does not wait for it.

use crate::protocol::{Place, Segment, Shape, Token};
use crate::transcript::Impression;

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

    /// What the model makes of a medium with these bytes.
    ///
    /// # Errors
    /// If the model takes none such, or cannot make anything of this one.
    fn read_medium(&self, _shape: Shape, _data: &[u8]) -> Result<Impression, String> {
        Err("the model takes no media".to_owned())
    }

    /// The tokens of a prompt, special ones out of [`Segment::Control`] only, and where its media are.
    ///
    /// # Errors
    /// Of a medium, as [`Vocabulary::read_medium`].
    fn read(&self, segments: &[Segment]) -> Result<(Vec<Token>, Vec<Place>), String> {
        let (mut tokens, mut media) = (Vec::new(), Vec::new());
        for segment in segments {
            match segment {
                Segment::Control(text) => tokens.extend(self.tokenize(text, true)),
                Segment::Data(text) => tokens.extend(self.tokenize(text, false)),
                Segment::Tokens(known) => tokens.extend(known),
                Segment::Media(shape) => {
                    shape.check()?;
                    // What it takes is the same whatever is seen on it.
                    let blank = self.read_medium(*shape, &vec![0; shape.bytes()])?;
                    media.push(Place { at: tokens.len(), tokens: blank.cells });
                }
            }
        }
        Ok((tokens, media))
    }
}
