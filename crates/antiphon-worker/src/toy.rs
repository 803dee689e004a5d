//! A deterministic decoder for tests and for people who test against workers.
//!
//! Its vocabulary is the 256 bytes and a few special tokens. What it says next depends
//! on the tokens cached for the sequence and on nothing else, and it refuses every row
//! that does not continue what is cached. So a scheduler that mixes up sequences, loses
//! a token or exceeds the cache is found out by a failure or by another text. On demand it
//! takes pictures, which move positions by their longer side alone.

use std::fmt;
use std::sync::Arc;

use crate::decoder::{DecodeError, Decoder, Row};
use crate::protocol::{ModelCard, Shape, Token};
use crate::sampler::scramble;
use crate::transcript::Impression;
use crate::vocabulary::Vocabulary;

/// Texts of the tokens after the 256 bytes.
const SPECIALS: [&str; 6] = ["<s>", "</s>", "<|im_start|>", "<|im_end|>", "<think>", "</think>"];

const VOCABULARY: usize = 256 + SPECIALS.len();

/// The first byte of a two-byte character, which the toy sometimes begins and always
/// completes.
const LEAD: u8 = 0xC3;

const CHAT_TEMPLATE: &str = "{% for message in messages %}<|im_start|>{{ message.role }}\n\
     {{ message.content }}<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}";

/// See the head of this file.
#[derive(Clone)]
pub struct Toy {
    card: ModelCard,
    vocabulary: Arc<dyn Vocabulary>,
    cells: u32,
    batch_size: usize,
    /// What each sequence has cached.
    cache: Vec<Vec<Cached>>,
    /// Of the last batch, by row.
    logits: Vec<Option<Vec<f32>>>,
}

/// A token, or a picture whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Cached {
    /// The token, or what tells the picture apart.
    content: u64,
    cells: usize,
    position: u32,
    /// The position of what follows.
    next: u32,
}

impl Toy {
    /// A toy whose cache holds `cells` tokens in `sequences` sequences, `slots` of which
    /// may run at the same time. A batch has at most `batch_size` rows.
    #[must_use]
    pub fn new(cells: u32, slots: u32, sequences: u32, batch_size: usize) -> Self {
        Self {
            card: ModelCard {
                name: "toy".to_owned(),
                fingerprint: "toy".to_owned(),
                context: cells,
                slots,
                chat_template: Some(CHAT_TEMPLATE.to_owned()),
                bos: SPECIALS[0].to_owned(),
                eos: SPECIALS[1].to_owned(),
                parameters: 0,
                images: false,
                sample_rate: None,
                description: "says the same nonsense every time".to_owned(),
            },
            vocabulary: Arc::new(Letters { images: false }),
            cells,
            batch_size,
            cache: vec![Vec::new(); sequences as usize],
            logits: Vec::new(),
        }
    }

    /// One that takes pictures.
    #[must_use]
    pub fn seeing(mut self) -> Self {
        self.card.images = true;
        self.vocabulary = Arc::new(Letters { images: true });
        self
    }

    fn cached(&mut self, sequence: u32) -> Result<&mut Vec<Cached>, DecodeError> {
        let count = self.cache.len();
        self.cache
            .get_mut(sequence as usize)
            .ok_or_else(|| DecodeError::Broken(format!("sequence {sequence} is not below {count}")))
    }

    /// Appends to a sequence, where that continues it.
    fn append(&mut self, sequence: u32, new: Cached) -> Result<&[Cached], DecodeError> {
        let cached = self.cached(sequence)?;
        let next = cached.last().map_or(0, |last| last.next);
        if next != new.position {
            let position = new.position;
            let message =
                format!("position {position} of sequence {sequence} does not continue what ends before {next}");
            return Err(DecodeError::Broken(message));
        }
        cached.push(new);
        Ok(cached)
    }

    fn check_cells(&self) -> Result<(), DecodeError> {
        let used: usize = self.cache.iter().flatten().map(|cached| cached.cells).sum();
        if used > self.cells as usize {
            return Err(DecodeError::Broken(format!("{used} cells are used of {}", self.cells)));
        }
        Ok(())
    }
}

impl fmt::Debug for Toy {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Toy").field("card", &self.card).field("cache", &self.cache).finish_non_exhaustive()
    }
}

/// The 256 bytes and [`SPECIALS`].
struct Letters {
    images: bool,
}

impl Vocabulary for Letters {
    fn size(&self) -> u32 {
        VOCABULARY as u32
    }

    fn tokenize(&self, text: &str, special: bool) -> Vec<Token> {
        let mut tokens = Vec::new();
        let mut rest = text.as_bytes();
        while let Some((byte, after)) = rest.split_first() {
            let named = (256..).zip(SPECIALS).find(|(_, name)| special && rest.starts_with(name.as_bytes()));
            let token = match named {
                Some((token, name)) => {
                    rest = &rest[name.len()..];
                    token
                }
                None => {
                    rest = after;
                    Token::from(*byte)
                }
            };
            tokens.push(token);
        }
        tokens
    }

    fn piece(&self, token: Token, show_special: bool) -> Vec<u8> {
        match u8::try_from(token) {
            Ok(byte) => vec![byte],
            Err(_) if show_special => SPECIALS[token as usize - 256].as_bytes().to_vec(),
            Err(_) => Vec::new(),
        }
    }

    fn is_special(&self, token: Token) -> bool {
        token >= 256
    }

    fn is_end(&self, token: Token) -> bool {
        token == 257 || token == 259
    }

    fn read_medium(&self, shape: Shape, data: &[u8]) -> Result<Impression, String> {
        match shape {
            Shape::Image { width, height } if self.images => {
                let seen = data.iter().fold(1, |state, byte| scramble(state ^ u64::from(*byte)));
                // One more to begin it and one to end it.
                let (cells, positions) = ((width * height + 2) as usize, width.max(height) + 2);
                Ok(Impression { cells, positions, content: Arc::new(seen) })
            }
            Shape::Image { .. } => Err("the model takes no pictures".to_owned()),
            Shape::Audio { .. } => Err("the model takes no sounds".to_owned()),
        }
    }
}

impl Decoder for Toy {
    fn card(&self) -> &ModelCard {
        &self.card
    }

    fn cells(&self) -> u32 {
        self.cells
    }

    fn sequences(&self) -> u32 {
        self.cache.len() as u32
    }

    fn batch_size(&self) -> usize {
        self.batch_size
    }

    fn vocabulary(&self) -> &Arc<dyn Vocabulary> {
        &self.vocabulary
    }

    fn decode(&mut self, batch: &[Row]) -> Result<(), DecodeError> {
        if batch.is_empty() || batch.len() > self.batch_size {
            return Err(DecodeError::Broken(format!("{} rows, expected 1 to {}", batch.len(), self.batch_size)));
        }
        self.logits.clear();
        for (index, row) in batch.iter().enumerate() {
            if row.token as usize >= VOCABULARY {
                return Err(DecodeError::Broken(format!("row {index}: no token {}", row.token)));
            }
            let new =
                Cached { content: u64::from(row.token), cells: 1, position: row.position, next: row.position + 1 };
            let cached = self.append(row.sequence, new)?;
            let logits = row.logits.then(|| next(cached));
            self.logits.push(logits);
        }
        self.check_cells()
    }

    fn decode_medium(&mut self, medium: &Impression, sequence: u32, position: u32) -> Result<(), DecodeError> {
        let Some(seen) = medium.content.downcast_ref::<u64>() else {
            return Err(DecodeError::Broken("there is nothing to compute a picture from".to_owned()));
        };
        // No token is as large.
        let content = seen | 1 << 63;
        let new = Cached { content, cells: medium.cells, position, next: position + medium.positions };
        self.append(sequence, new)?;
        self.check_cells()
    }

    fn logits(&self, row: usize) -> &[f32] {
        self.logits[row].as_deref().unwrap_or_else(|| panic!("row {row} was decoded without logits"))
    }

    fn forget(&mut self, sequence: u32, from: u32) -> bool {
        let Ok(cached) = self.cached(sequence) else { return false };
        if cached.iter().any(|it| it.position < from && from < it.next) {
            return false;
        }
        cached.retain(|it| it.position < from);
        true
    }

    fn copy(&mut self, from: u32, to: u32, up_to: u32) -> bool {
        let before = |cached: &mut Vec<Cached>| {
            let prefix: Vec<_> = cached.iter().take_while(|it| it.next <= up_to).copied().collect();
            prefix.last().is_some_and(|last| last.next == up_to).then_some(prefix)
        };
        let Ok(Some(prefix)) = self.cached(from).map(before) else { return false };
        self.cached(to).is_ok_and(|cached| {
            cached.is_empty() && {
                *cached = prefix;
                true
            }
        })
    }
}

/// Mostly letters and spaces, whole characters, sometimes a thought, in the end an end.
fn next(cached: &[Cached]) -> Vec<f32> {
    let state = cached.iter().fold(0, |state, it| scramble(state ^ it.content));
    let completes = cached.last().is_some_and(|last| last.content == u64::from(LEAD));
    (0..VOCABULARY as Token)
        .map(|token| {
            let plausible = match u8::try_from(token) {
                Ok(byte) if completes => (0xA0..=0xBF).contains(&byte),
                Ok(byte) => byte.is_ascii_lowercase() || byte == b' ' || byte == LEAD,
                Err(_) => !completes && token >= 259,
            };
            let noise = (scramble(state ^ u64::from(token)) >> 40) as f32 / (1u32 << 24) as f32;
            if plausible { 8.0 * noise } else { -8.0 - 8.0 * noise }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LETTERS: Letters = Letters { images: false };

    fn row(token: Token, position: u32, sequence: u32) -> Row {
        Row { token, position, sequence, logits: true }
    }

    #[test]
    fn the_next_token_depends_on_the_cached_tokens_alone() {
        let mut one = Toy::new(16, 1, 2, 4);
        one.decode(&[row(65, 0, 0), row(66, 1, 0)]).unwrap();
        let mut other = Toy::new(99, 2, 4, 2);
        other.decode(&[row(65, 0, 3)]).unwrap();
        other.decode(&[row(7, 0, 1), row(66, 1, 3)]).unwrap();
        assert_eq!(one.logits(1), other.logits(1));
    }

    #[test]
    fn rows_that_do_not_continue_the_cache_are_refused() {
        let mut toy = Toy::new(4, 1, 2, 8);
        assert!(toy.decode(&[row(65, 1, 0)]).is_err());
        assert!(toy.decode(&[row(65, 0, 2)]).is_err());
        assert!(toy.decode(&[]).is_err());
        assert!(toy.decode(&[row(65, 0, 0), row(65, 1, 0), row(65, 0, 1), row(65, 1, 1), row(65, 2, 1)]).is_err());
    }

    #[test]
    fn data_never_becomes_a_special_token() {
        assert_eq!(LETTERS.tokenize("a<think>", true), [97, 260]);
        assert!(LETTERS.tokenize("a<think>", false).iter().all(|token| !LETTERS.is_special(*token)));
    }
}
