//! Which token may come next: those rules that Whisper was trained under and does not always keep to by itself.
//!
//! Moments stand before and after each stretch of text and never go back; text begins with a moment near the start;
//! where all moments together are likelier than any text, a moment comes.

use std::path::Path;

use serde::Deserialize;

use crate::Broken;
use crate::vocabulary::{END, TIMELESS, TIMES, TOKENS};

/// The first moment is at most this many steps of 20 ms in: what is said begins with the piece.
const LATEST_BEGINNING: usize = 50;

/// Tokens that are never wanted.
#[derive(Deserialize)]
pub(crate) struct Rules {
    /// Sounds and signs that are not said, and words of command.
    #[serde(rename = "suppress_ids")]
    never: Vec<usize>,
    /// Those with which no text begins.
    #[serde(rename = "suppress_ids_begin")]
    not_first: Vec<usize>,
}

impl Rules {
    /// # Errors
    /// [`Broken`] when the file is not the network's settings.
    pub(crate) fn load(path: &Path) -> Result<Self, Broken> {
        let text = std::fs::read(path).map_err(|error| Broken::weights(path, &error))?;
        serde_json::from_slice(&text).map_err(|error| Broken::weights(path, &error))
    }

    /// The likeliest token that may follow `written`, and the logarithm of its likelihood among those that may.
    /// `odds` is how likely each token is, as logarithms up to a constant; what may not come is struck out in it.
    pub(crate) fn next(&self, odds: &mut [f32], written: &[usize]) -> (usize, f32) {
        let is_time = |token: &usize| TIMES.contains(token);
        let mut strike = |tokens: std::ops::Range<usize>| odds[tokens].fill(f32::NEG_INFINITY);
        self.never.iter().filter(|&&token| token < TOKENS).for_each(|&token| strike(token..token + 1));
        strike(TIMELESS..TIMELESS + 1);
        match written {
            [] => {
                self.not_first.iter().filter(|&&token| token < TOKENS).for_each(|&token| strike(token..token + 1));
                strike(0..TIMES.start);
                strike(TIMES.start + LATEST_BEGINNING + 1..TOKENS);
            }
            // The end of one stretch is where the next one begins, or all ends.
            [.., before, last] if is_time(last) && !is_time(before) => strike(0..END),
            [.., last] if is_time(last) => strike(TIMES),
            [..] => {}
        }
        if let Some(at) = written.iter().rposition(is_time) {
            // Text lies after its beginning; what begins where the last one ended does not.
            let follows_text = at + 1 == written.len() && at > 0 && !is_time(&written[at - 1]);
            strike(TIMES.start..written[at] + usize::from(!follows_text));
        }

        let most = |odds: &[f32]| odds.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let together = |odds: &[f32], most: f32| {
            if most == f32::NEG_INFINITY {
                most
            } else {
                most + odds.iter().map(|odd| (odd - most).exp()).sum::<f32>().ln()
            }
        };
        let (likeliest_time, likeliest_other) = (most(&odds[TIMES]), most(&odds[..TIMES.start]));
        if together(&odds[TIMES], likeliest_time) > likeliest_other {
            odds[..TIMES.start].fill(f32::NEG_INFINITY);
        }
        let whole = together(odds, likeliest_time.max(likeliest_other));
        let best = (0..odds.len()).max_by(|&a, &b| odds[a].total_cmp(&odds[b]).then(b.cmp(&a)));
        best.filter(|&token| odds[token] > f32::NEG_INFINITY).map_or((END, 0.0), |token| (token, odds[token] - whole))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The token that comes when those in `likely` have these odds and all others 0.
    fn next(written: &[usize], likely: &[(usize, f32)]) -> usize {
        let mut odds = vec![0.0; TOKENS];
        likely.iter().for_each(|&(token, odd)| odds[token] = odd);
        Rules { never: vec![7], not_first: vec![220, END] }.next(&mut odds, written).0
    }

    #[test]
    fn a_text_begins_with_an_early_moment() {
        assert_eq!(next(&[], &[(100, 30.0), (TIMES.start + 3, 10.0)]), TIMES.start + 3);
        assert_eq!(next(&[], &[(TIMES.start + 51, 30.0), (TIMES.start + 50, 10.0)]), TIMES.start + 50);
    }

    #[test]
    fn moments_come_in_pairs_and_never_go_back() {
        let at = |step: usize| TIMES.start + step;
        assert_eq!(next(&[at(5)], &[(at(9), 30.0), (100, 20.0)]), 100, "text follows a beginning");
        assert_eq!(next(&[at(5), 100, at(9)], &[(100, 30.0), (at(9), 20.0)]), at(9), "a beginning follows an end");
        assert_eq!(next(&[at(5), 100, at(9)], &[(100, 30.0), (END, 20.0)]), END, "or all ends");
        assert_eq!(next(&[at(5), 100], &[(at(4), 30.0), (at(6), 20.0)]), at(6));
        assert_eq!(next(&[at(5), 100], &[(at(5), 30.0), (at(6), 20.0)]), at(6), "a stretch lasts");
        assert_eq!(next(&[at(5), 100, at(9), at(9)], &[(at(12), 30.0), (100, 20.0)]), 100);
    }

    #[test]
    fn moments_that_are_likely_together_win_over_one_text() {
        let times: Vec<_> = (10..40).map(|step| (TIMES.start + step, 19.0)).collect();
        assert_eq!(next(&[TIMES.start, 100], &[times.as_slice(), &[(101, 20.0)]].concat()), TIMES.start + 10);
        assert_eq!(next(&[TIMES.start, 100], &[(TIMES.start + 10, 19.0), (101, 20.0)]), 101);
    }

    #[test]
    fn what_is_never_wanted_never_comes() {
        assert_eq!(next(&[TIMES.start, 100], &[(7, 90.0), (TIMELESS, 80.0), (101, 60.0)]), 101);
    }
}
