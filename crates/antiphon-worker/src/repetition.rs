//! When a model that repeats itself is stopped.
//!
//! Small models fall into loops and would fill the context with them. A run is stopped
//! once its last [`WINDOW`] tokens are one block of at most [`LONGEST`] tokens over and
//! over, hence at least four times. Prose and code never are; a table of that many equal
//! cells would be, and is worth the loss.

use crate::protocol::Token;

/// How many tokens must be periodic.
const WINDOW: usize = 256;

/// The longest block whose repetition is noticed.
const LONGEST: usize = 64;

#[derive(Debug)]
pub(crate) struct RepetitionGuard {
    /// The last `LONGEST` tokens, oldest overwritten first.
    recent: [Token; LONGEST],
    count: usize,
    /// At `period - 1`: how many of the latest tokens equal the one a period before them.
    matches: [usize; LONGEST],
}

impl RepetitionGuard {
    pub(crate) fn new() -> Self {
        Self { recent: [0; LONGEST], count: 0, matches: [0; LONGEST] }
    }

    /// Takes the next generated token; `true` if the run shall stop after it.
    pub(crate) fn repeats(&mut self, token: Token) -> bool {
        let mut repeats = false;
        for period in 1..=LONGEST.min(self.count) {
            let matches = &mut self.matches[period - 1];
            if self.recent[(self.count - period) % LONGEST] == token {
                *matches += 1;
                repeats |= *matches + period >= WINDOW;
            } else {
                *matches = 0;
            }
        }
        self.recent[self.count % LONGEST] = token;
        self.count += 1;
        repeats
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The rule, read off the definition.
    fn is_periodic(tokens: &[Token]) -> bool {
        let Some(start) = tokens.len().checked_sub(WINDOW) else { return false };
        let window = &tokens[start..];
        (1..=LONGEST).any(|period| window[period..] == window[..WINDOW - period])
    }

    proptest! {
        #[test]
        fn it_fires_exactly_where_the_last_tokens_are_periodic(
            parts in prop::collection::vec((prop::collection::vec(0..3u32, 1..80), 1..300usize), 1..4),
        ) {
            let tokens: Vec<Token> =
                parts.iter().flat_map(|(block, count)| block.iter().copied().cycle().take(*count)).collect();
            let mut guard = RepetitionGuard::new();
            for end in 0..tokens.len() {
                prop_assert_eq!(guard.repeats(tokens[end]), is_periodic(&tokens[..=end]));
            }
        }

        #[test]
        fn it_lets_random_text_pass(tokens in prop::collection::vec(0..50u32, 0..1000)) {
            let mut guard = RepetitionGuard::new();
            prop_assert!(!tokens.iter().any(|token| guard.repeats(*token)));
        }
    }

    #[test]
    fn counting_upwards_is_no_repetition() {
        let mut guard = RepetitionGuard::new();
        let lines = (0..500u32).flat_map(|number| [7, 7, 7, number / 10, number % 10 + 100, 8]);
        assert!(!lines.into_iter().any(|token| guard.repeats(token)));
    }
}
