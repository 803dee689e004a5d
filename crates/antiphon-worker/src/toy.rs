//! A deterministic decoder for tests and for people who test against workers.
//!
//! Its vocabulary is the 256 bytes and a few special tokens. What it says next depends
//! on the tokens cached for the sequence and on nothing else, and it refuses every row
//! that does not continue what is cached. So a scheduler that mixes up sequences, loses
//! a token or exceeds the cache is found out by a failure or by another text.

use std::fmt;
use std::sync::Arc;

use crate::decoder::{DecodeError, Decoder, Row};
use crate::protocol::{ModelCard, Token};
use crate::sampler::scramble;
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
    cache: Vec<Vec<Token>>,
    /// Of the last batch, by row.
    logits: Vec<Option<Vec<f32>>>,
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
                description: "says the same nonsense every time".to_owned(),
            },
            vocabulary: Arc::new(Letters),
            cells,
            batch_size,
            cache: vec![Vec::new(); sequences as usize],
            logits: Vec::new(),
        }
    }

    fn cached(&mut self, sequence: u32) -> Result<&mut Vec<Token>, DecodeError> {
        let count = self.cache.len();
        self.cache
            .get_mut(sequence as usize)
            .ok_or_else(|| DecodeError::Broken(format!("sequence {sequence} is not below {count}")))
    }
}

impl fmt::Debug for Toy {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Toy").field("card", &self.card).field("cache", &self.cache).finish_non_exhaustive()
    }
}

/// The 256 bytes and [`SPECIALS`].
struct Letters;

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
            let cached = self.cached(row.sequence)?;
            if cached.len() != row.position as usize {
                return Err(DecodeError::Broken(format!(
                    "row {index} at position {} does not continue the {} tokens of sequence {}",
                    row.position,
                    cached.len(),
                    row.sequence
                )));
            }
            cached.push(row.token);
            let logits = row.logits.then(|| next(cached));
            self.logits.push(logits);
        }
        let used: usize = self.cache.iter().map(Vec::len).sum();
        if used > self.cells as usize {
            return Err(DecodeError::Broken(format!("{used} tokens cached in {} cells", self.cells)));
        }
        Ok(())
    }

    fn logits(&self, row: usize) -> &[f32] {
        self.logits[row].as_deref().unwrap_or_else(|| panic!("row {row} was decoded without logits"))
    }

    fn forget(&mut self, sequence: u32, from: u32) -> bool {
        self.cached(sequence).map(|cached| cached.truncate(from as usize)).is_ok()
    }

    fn copy(&mut self, from: u32, to: u32, up_to: u32) -> bool {
        let Ok(prefix) =
            self.cached(from).map(|cached| cached.iter().take(up_to as usize).copied().collect::<Vec<_>>())
        else {
            return false;
        };
        self.cached(to).is_ok_and(|cached| {
            cached.is_empty() && prefix.len() == up_to as usize && {
                *cached = prefix;
                true
            }
        })
    }
}

/// Mostly letters and spaces, whole characters, sometimes a thought, in the end an end.
fn next(cached: &[Token]) -> Vec<f32> {
    let state = cached.iter().fold(0, |state, token| scramble(state ^ u64::from(*token)));
    let completes = cached.last() == Some(&Token::from(LEAD));
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
        assert_eq!(Letters.tokenize("a<think>", true), [97, 260]);
        assert!(Letters.tokenize("a<think>", false).iter().all(|token| !Letters.is_special(*token)));
    }
}
