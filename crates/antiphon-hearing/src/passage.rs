//! What was written of one piece: its tokens as stretches of text with times, and whether they are believed.

use crate::vocabulary::{TIMES, Vocabulary, time};

/// Written of one piece, in order.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Passage {
    /// Texts between moments.
    pub(crate) tokens: Vec<usize>,
    /// The sum of the logarithms of how likely each token was.
    pub(crate) sureness: f32,
    /// How likely it is that nothing was said, between 0 and 1.
    pub(crate) silence: f32,
}

/// A stretch of text, in seconds from the beginning of its piece.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Stretch {
    pub(crate) start: f64,
    pub(crate) end: f64,
    pub(crate) text: String,
}

/// Less sure than this, per token, and more likely silence than this: both of OpenAI's bounds for a text that was
/// invented.
const LEAST_SURE: f32 = -1.0;
const MOST_SILENT: f32 = 0.6;

/// Less sure than this it is no text of what was said, whatever it is.
const NEVER_SURE: f32 = -1.8;

/// Tokens that repeat together are this many at most.
const LONGEST_PERIOD: usize = 32;

impl Passage {
    /// Whether it can be what was said.
    pub(crate) fn is_believed(&self) -> bool {
        let sureness = self.sureness / self.tokens.len().max(1) as f32;
        sureness >= LEAST_SURE || (self.silence <= MOST_SILENT && sureness >= NEVER_SURE)
    }

    /// The texts in it that are not empty, of a piece of so many seconds.
    pub(crate) fn stretches(&self, vocabulary: &Vocabulary, seconds: f64) -> Vec<Stretch> {
        let mut stretches = Vec::new();
        let (mut start, mut from) = (0.0, 0);
        for (at, &token) in self.tokens.iter().chain([&TIMES.end]).enumerate() {
            // One beyond the last moment stands for the end of the piece.
            let Some(moment) = time(token).or((token == TIMES.end).then_some(seconds)) else { continue };
            let text = vocabulary.text(&self.tokens[from..at]).trim().to_owned();
            if !text.is_empty() {
                stretches.push(Stretch { start: f64::min(start, seconds), end: moment.min(seconds), text });
            }
            (start, from) = (moment, at + 1);
        }
        stretches
    }

    /// Where the text says that it ends, in seconds; `None` when it does not say.
    pub(crate) fn end(&self) -> Option<f64> {
        self.tokens.last().and_then(|&token| time(token))
    }

    /// Takes back what has begun to repeat without end, but for its first time. Whether there was such.
    pub(crate) fn unloop(&mut self) -> bool {
        let text: Vec<usize> = (0..self.tokens.len()).filter(|&at| !TIMES.contains(&self.tokens[at])).collect();
        let token = |at: usize| self.tokens[text[at]];
        let is_loop = |period: usize| {
            // Somebody may well say a word a few times.
            let times = if period < 4 { 8 } else { 4 };
            let length = period * times;
            let from = text.len().checked_sub(length)?;
            (from..text.len() - period).all(|at| token(at) == token(at + period)).then(|| from + period)
        };
        let Some(kept) = (1..=LONGEST_PERIOD).find_map(is_loop) else { return false };
        let kept = text[kept - 1] + 1;
        self.sureness *= kept as f32 / self.tokens.len() as f32;
        self.tokens.truncate(kept);
        true
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn passage(tokens: &[usize]) -> Passage {
        Passage { tokens: tokens.to_vec(), ..Passage::default() }
    }

    #[test]
    fn texts_lie_between_their_moments() {
        let vocabulary = Vocabulary::of(&["Ġa", "Ġb", "Ġ"]);
        let at = |seconds: usize| TIMES.start + seconds * 50;
        let stretches = passage(&[at(0), 0, 1, at(2), at(3), 2, at(4), at(4), 1]).stretches(&vocabulary, 9.5);
        let expected = [(0.0, 2.0, "a b"), (4.0, 9.5, "b")];
        let expected = expected.map(|(start, end, text)| Stretch { start, end, text: text.to_owned() });
        assert_eq!(stretches, expected);
        assert_eq!(passage(&[at(0), 0, at(20)]).stretches(&vocabulary, 9.5)[0].end, 9.5, "within the piece");
        assert_eq!(passage(&[]).stretches(&vocabulary, 9.5), []);
        assert_eq!(passage(&[at(0), 0, at(2)]).end(), Some(2.0));
        assert_eq!(passage(&[at(0), 0]).end(), None);
    }

    #[test]
    fn what_is_unsure_and_likely_silence_is_not_believed() {
        let believed =
            |sureness: f32, silence| Passage { tokens: vec![0; 10], sureness: sureness * 10.0, silence }.is_believed();
        assert!(believed(-0.3, 0.9));
        assert!(believed(-1.2, 0.1));
        assert!(!believed(-1.2, 0.9));
        assert!(!believed(-2.5, 0.0));
    }

    #[test]
    fn a_loop_is_taken_back_but_for_its_first_time() {
        let at = TIMES.start;
        let mut looped = passage(&[&[at, 1, 2][..], &[3; 8]].concat());
        assert!(looped.unloop());
        assert_eq!(looped.tokens, [at, 1, 2, 3]);
        let mut phrases = passage(&[at, 5, 6, 7, 8, at + 1, at + 1].repeat(4));
        assert!(phrases.unloop(), "with moments between");
        assert_eq!(phrases.tokens, [at, 5, 6, 7, 8]);
        let mut emphasis = passage(&[at, 4, 4, 4, 4, 4, 4, 4]);
        assert!(!emphasis.unloop());
    }

    proptest! {
        #[test]
        fn taking_back_ends(tokens in proptest::collection::vec(0_usize..3, 0..80)) {
            let mut passage = passage(&tokens);
            while passage.unloop() {
                prop_assert!(tokens.starts_with(&passage.tokens));
            }
        }
    }
}
