//! What a sequence has read and said: tokens, and pictures and sounds among them.
//!
//! A medium is no token. The model computes it from what its projector made of it, whole, and
//! keeps it in cells of the cache as it keeps tokens; so it takes as many places here. How far it
//! moves the position of what follows is another matter: models that see in two dimensions count
//! rows and columns.
//!
//! A part of a medium means nothing. What two transcripts have in common therefore ends before
//! one that they do not have both, the same bytes in the same shape.

use std::any::Any;
use std::fmt;
use std::iter;
use std::sync::Arc;

use sha2::{Digest as _, Sha256};

use crate::protocol::{MOST_MEDIA_BYTES, Medium, Shape, Token};
use crate::vocabulary::Vocabulary;

/// In the place of a token where a medium is. No vocabulary is as large.
const NO_TOKEN: Token = Token::MAX;

/// What a model makes of a medium, which it computes at once.
#[derive(Clone)]
pub struct Impression {
    /// How many cells of the cache it takes, for what begins and ends it too; at least one.
    pub cells: usize,
    /// By how much the position of what follows is greater than its own.
    pub positions: u32,
    /// What its decoder computes it from.
    pub content: Arc<dyn Any + Send + Sync>,
}

impl fmt::Debug for Impression {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { cells, positions, content: _ } = self;
        formatter.debug_struct("Impression").field("cells", cells).field("positions", positions).finish_non_exhaustive()
    }
}

/// See the head of this file.
#[derive(Debug, Default)]
pub(crate) struct Transcript {
    tokens: Vec<Token>,
    /// In order.
    media: Vec<Placed>,
}

/// A medium, and where it is.
#[derive(Debug)]
struct Placed {
    start: usize,
    end: usize,
    /// By how much the position at its end is greater than that at its start.
    positions: u32,
    /// Of its bytes and its shape.
    hash: [u8; 32],
    /// None once it is computed.
    impression: Option<Impression>,
}

impl Placed {
    fn is_same(&self, other: &Self) -> bool {
        (self.start, self.end, self.hash) == (other.start, other.end, other.hash)
    }
}

impl Transcript {
    /// The prompt `tokens` with media among them.
    ///
    /// # Errors
    /// If a medium is not as it says, is where nothing can be, or none that the model takes.
    pub(crate) fn new(tokens: &[Token], media: &[Medium], vocabulary: &dyn Vocabulary) -> Result<Self, String> {
        let bytes: usize = media.iter().map(|medium| medium.data.len()).sum();
        if bytes > MOST_MEDIA_BYTES {
            return Err(format!("`media`: expected at most {MOST_MEDIA_BYTES} bytes, got {bytes}"));
        }
        let mut transcript = Self::default();
        let mut read = 0;
        for (number, Medium { at, shape, data }) in media.iter().enumerate() {
            let wrong = |why: &str| format!("`media[{number}]`: {why}");
            let before = tokens.get(read..*at).ok_or_else(|| wrong("expected media in order, each before a token"))?;
            if *at == tokens.len() {
                return Err(wrong("expected a token after it"));
            }
            shape.check().map_err(|why| wrong(&why))?;
            if data.len() != shape.bytes() {
                return Err(wrong(&format!("expected {} bytes, got {}", shape.bytes(), data.len())));
            }
            transcript.extend(before);
            read = *at;
            let impression = vocabulary.read_medium(*shape, data).map_err(|why| wrong(&why))?;
            let start = transcript.len();
            let end = start + impression.cells;
            transcript.tokens.resize(end, NO_TOKEN);
            transcript.media.push(Placed {
                start,
                end,
                positions: impression.positions,
                hash: hash(*shape, data),
                impression: Some(impression),
            });
        }
        transcript.extend(&tokens[read..]);
        Ok(transcript)
    }

    pub(crate) fn extend(&mut self, tokens: &[Token]) {
        self.tokens.extend(tokens);
    }

    /// In cells of the cache.
    pub(crate) fn len(&self) -> usize {
        self.tokens.len()
    }

    /// The tokens among the last `count` places.
    pub(crate) fn latest(&self, count: usize) -> impl Iterator<Item = Token> {
        let from = self.tokens.len().saturating_sub(count);
        self.tokens[from..].iter().copied().filter(|token| *token != NO_TOKEN)
    }

    /// The tokens from `at` on, at most `most` and none behind a medium; with the positions of each.
    pub(crate) fn tokens_at(&self, at: usize, most: usize) -> impl Iterator<Item = (Token, u32)> {
        let next = self.media.iter().find(|placed| placed.start >= at).map_or(self.tokens.len(), |next| next.start);
        let end = next.min(at.saturating_add(most));
        (self.position(at)..).zip(&self.tokens[at..end]).map(|(position, token)| (*token, position))
    }

    /// The medium that begins at `at` and is still to be computed, and where it ends.
    pub(crate) fn medium_at(&self, at: usize) -> Option<(&Impression, usize)> {
        let placed = self.media.iter().find(|placed| placed.start == at)?;
        Some((placed.impression.as_ref()?, placed.end))
    }

    /// The position of what is at `at`, which is not inside of a medium.
    pub(crate) fn position(&self, at: usize) -> u32 {
        let before = self.media.iter().take_while(|placed| placed.end <= at);
        let (cells, positions) = before.fold((0, 0), |(cells, positions), placed| {
            (cells + placed.end - placed.start, positions + placed.positions)
        });
        (at - cells) as u32 + positions
    }

    /// How many places the first `length` of this and all of `other` begin with in common.
    pub(crate) fn common(&self, length: usize, other: &Self) -> usize {
        let both = self.tokens[..length].iter().zip(&other.tokens);
        let same = both.take_while(|(left, right)| left == right).count();
        let begun = self.media.iter().take_while(|placed| placed.start < same);
        let others = other.media.iter().map(Some).chain(iter::repeat(None));
        let mut pairs = begun.zip(others);
        let odd = pairs.find(|(own, other)| own.end > same || !other.is_some_and(|other| own.is_same(other)));
        odd.map_or(same, |(placed, _)| placed.start)
    }

    /// Keeps the first `length` places, where no medium is cut.
    pub(crate) fn keep(&mut self, length: usize) {
        self.tokens.truncate(length);
        self.media.retain(|placed| placed.end <= length);
        self.computed(length);
    }

    /// Gives up what media before `length` were computed from: it takes megabytes.
    pub(crate) fn computed(&mut self, length: usize) {
        for placed in self.media.iter_mut().filter(|placed| placed.end <= length) {
            placed.impression = None;
        }
    }
}

/// What tells a medium from every other.
fn hash(shape: Shape, data: &[u8]) -> [u8; 32] {
    let mut hash = Sha256::new();
    let (kind, sides) = match shape {
        Shape::Image { width, height } => (0, [width, height]),
        Shape::Audio { samples } => (1, [samples, 0]),
    };
    hash.update([kind]);
    sides.iter().for_each(|side| hash.update(side.to_le_bytes()));
    hash.update(data);
    hash.finalize().into()
}
