//! From likelihoods of a voice to stretches of speech.

use std::ops::Range;

use crate::voice::WINDOW;

/// Speech begins at this likelihood and goes on down to the lower one.
const BEGINS: f32 = 0.5;
const GOES_ON: f32 = 0.35;

/// In windows of 32 ms: less silence than this is within speech, and less speech than this is a click or a cough.
const SHORTEST_PAUSE: usize = 8;
const SHORTEST_SPEECH: usize = 8;

/// A stretch in which no window is this likely has been music or noise in all that was tried, unless it is this near to
/// one that has such: single words between pauses are often less likely.
const SURE: f32 = 0.7;
const NEAR: usize = 31;

/// In samples: first and last sounds of a word are quiet.
const MARGIN: usize = 3200;

/// Stretches of samples in which somebody speaks, with a margin, in order and apart.
pub(crate) fn stretches(likelihoods: &[f32], samples: usize) -> Vec<Range<usize>> {
    let mut found: Vec<Range<usize>> = Vec::new();
    let mut start = None;
    let mut voiced = 0;
    for (window, &likelihood) in likelihoods.iter().enumerate() {
        if likelihood >= BEGINS || (start.is_some() && likelihood >= GOES_ON) {
            start.get_or_insert(window);
            voiced = window + 1;
        } else if let Some(begun) = start
            && window + 1 - voiced >= SHORTEST_PAUSE
        {
            found.push(begun..voiced);
            start = None;
        }
    }
    found.extend(start.map(|start| start..voiced));
    let is_sure = |windows: &&Range<usize>| {
        windows.len() >= SHORTEST_SPEECH
            && likelihoods[windows.start..windows.end].iter().any(|&likelihood| likelihood >= SURE)
    };
    let sure: Vec<Range<usize>> = found.iter().filter(is_sure).cloned().collect();
    found
        .retain(|windows| sure.iter().any(|sure| windows.start <= sure.end + NEAR && sure.start <= windows.end + NEAR));

    let mut stretches: Vec<Range<usize>> = found
        .into_iter()
        .map(|windows| windows.start * WINDOW..(windows.end * WINDOW).min(samples))
        .filter(|stretch| !stretch.is_empty())
        .collect();
    // A pause that is too short for both margins is shared.
    for index in 0..stretches.len() {
        let before = if index == 0 { 0 } else { stretches[index - 1].end };
        stretches[index].start = stretches[index].start.saturating_sub(MARGIN).max(before);
        let next = stretches.get(index + 1).map_or(samples, |next| next.start.midpoint(stretches[index].end));
        stretches[index].end = (stretches[index].end + MARGIN).min(next);
    }
    stretches
}

#[cfg(test)]
mod tests {
    #![expect(clippy::single_range_in_vec_init, reason = "there may be one stretch of speech")]

    use proptest::prelude::*;

    use super::*;

    /// Likelihoods by run: how many windows, and how likely.
    fn of(runs: &[(usize, f32)]) -> Vec<f32> {
        runs.iter().flat_map(|&(count, likelihood)| std::iter::repeat_n(likelihood, count)).collect()
    }

    fn found(runs: &[(usize, f32)]) -> Vec<Range<usize>> {
        let likelihoods = of(runs);
        stretches(&likelihoods, likelihoods.len() * WINDOW)
    }

    #[test]
    fn speech_has_margins_and_ends_at_pauses() {
        let one = found(&[(20, 0.0), (30, 0.9), (20, 0.0)]);
        assert_eq!(one, [20 * WINDOW - MARGIN..50 * WINDOW + MARGIN]);
        assert_eq!(found(&[(20, 0.9), (7, 0.1), (20, 0.9)]), [0..47 * WINDOW], "a breath");
        let shared = found(&[(20, 0.9), (9, 0.1), (20, 0.9)]);
        assert_eq!(shared.len(), 2);
        assert_eq!(shared[0].end, shared[1].start, "a short pause is shared");
    }

    #[test]
    fn what_is_short_or_never_sure_is_no_speech() {
        assert_eq!(found(&[(50, 0.1)]), []);
        assert_eq!(found(&[(20, 0.0), (5, 0.99), (20, 0.0)]), [], "a click");
        assert_eq!(found(&[(20, 0.0), (60, 0.6), (20, 0.0)]), [], "a tune");
        assert_eq!(found(&[(20, 0.0), (9, 0.8), (5, 0.4), (9, 0.8), (20, 0.0)]).len(), 1, "a quiet syllable");
        assert_eq!(stretches(&[], 0), []);
    }

    #[test]
    fn a_single_word_near_speech_is_speech() {
        assert_eq!(found(&[(20, 0.0), (30, 0.9), (25, 0.0), (10, 0.55), (20, 0.0)]).len(), 2);
        assert_eq!(found(&[(20, 0.0), (30, 0.9), (40, 0.0), (10, 0.55), (20, 0.0)]).len(), 1, "too far away");
    }

    proptest! {
        #[test]
        fn stretches_are_in_order_apart_and_within_the_sound(
            runs in proptest::collection::vec((1_usize..40, 0.0_f32..1.0), 0..40), cut in 0_usize..WINDOW,
        ) {
            let likelihoods = of(&runs);
            let samples = (likelihoods.len() * WINDOW).saturating_sub(cut);
            let mut before = 0;
            for stretch in stretches(&likelihoods, samples) {
                prop_assert!(before <= stretch.start && stretch.start < stretch.end && stretch.end <= samples);
                before = stretch.end;
            }
        }
    }
}
