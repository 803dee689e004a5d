//! What a model must be able to do.
//!
//! A decoder computes and remembers; it decides nothing. It has one owner on one thread.
//! Its cache has a fixed number of cells, one for each token of each sequence; sequences
//! are known by small numbers, and there are more of them than slots, so that
//! conversations keep their place while nobody talks.

use std::sync::Arc;

use crate::protocol::{ModelCard, Token};
use crate::transcript::Impression;
use crate::vocabulary::Vocabulary;

/// One token to compute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    pub token: Token,
    /// How many tokens of this sequence are before it, but where there are media: these count as
    /// their [`Impression::positions`].
    pub position: u32,
    /// Below [`Decoder::sequences`].
    pub sequence: u32,
    /// Whether [`Decoder::logits`] will be asked for this row; at most once per sequence
    /// and batch.
    pub logits: bool,
}

/// Why a batch was not computed. The sequences in it must be forgotten.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// This batch failed; another may not.
    #[error("the model refused a batch: {0}")]
    Refused(String),
    /// Nothing will work any more.
    #[error("the model broke: {0}")]
    Broken(String),
}

/// A model with its cache.
pub trait Decoder {
    fn card(&self) -> &ModelCard;

    /// Tokens that the cache can hold over all sequences.
    fn cells(&self) -> u32;

    /// How many sequences the cache tells apart; at least as many as slots.
    fn sequences(&self) -> u32;

    /// The most rows a batch may have; more would end the process.
    fn batch_size(&self) -> usize;

    /// What the model reads and writes.
    fn vocabulary(&self) -> &Arc<dyn Vocabulary>;

    /// Computes the rows and appends them to their sequences. Rows of one sequence are
    /// in order, and each continues what is cached.
    ///
    /// # Errors
    /// If nothing was computed, or not all.
    fn decode(&mut self, batch: &[Row]) -> Result<(), DecodeError>;

    /// Computes a medium from what the vocabulary has made of it, and appends it to a sequence whose next position is
    /// `position`.
    ///
    /// # Errors
    /// If it was not computed, or not whole.
    fn decode_medium(&mut self, _medium: &Impression, _sequence: u32, _position: u32) -> Result<(), DecodeError> {
        Err(DecodeError::Refused("it takes no media".to_owned()))
    }

    /// How likely each token is next, for the row with this index in the last batch.
    /// As many values as the vocabulary has tokens. Panics for a row without `logits`.
    fn logits(&self, row: usize) -> &[f32];

    /// Removes a sequence's tokens from position `from` on. `false` if the model cannot
    /// go back to there: then nothing changed. From 0 it always can.
    fn forget(&mut self, sequence: u32, from: u32) -> bool;

    /// Gives the empty sequence `to` what `from` has before position `up_to`. `false` if the
    /// model cannot: then nothing changed.
    fn copy(&mut self, from: u32, to: u32, up_to: u32) -> bool;
}
