//! Pieces that fit into what Whisper hears at once, and that end where nobody speaks.
//!
//! A cut through a word loses it on both sides, so that a piece ends at a pause, and speech without a pause where it is
//! least likely.

use std::ops::Range;

use crate::RATE;
use crate::voice::WINDOW;

/// In samples; Whisper hears 30 s at once.
pub(crate) const LONGEST: usize = 28 * RATE as usize;

/// A pause this long ends a piece: what is within one costs time and invites inventions.
const LONGEST_PAUSE: usize = 2 * RATE as usize;

/// The first piece of the speech from the sample `from` on: stretches together for as long as that fits, and then up to
/// the longest pause in the second half of them. `None` when nobody speaks any more.
pub(crate) fn piece(stretches: &[Range<usize>], likelihoods: &[f32], from: usize) -> Option<Range<usize>> {
    let mut ahead =
        stretches.iter().filter(|stretch| stretch.end > from).map(|stretch| stretch.start.max(from)..stretch.end);
    let Range { start, mut end } = ahead.next()?;
    if end - start > LONGEST {
        return Some(start..quietest(start, likelihoods));
    }
    let (mut longest, mut cut) = (0, None);
    for next in ahead {
        let pause = next.start - end;
        if pause > LONGEST_PAUSE {
            break;
        }
        if end - start >= LONGEST / 2 && pause >= longest {
            (longest, cut) = (pause, Some(end));
        }
        if next.end - start > LONGEST {
            return Some(start..cut.unwrap_or(end));
        }
        end = next.end;
    }
    Some(start..end)
}

/// Where speech without a pause is least likely speech, in the second half of the longest piece from `start` on.
fn quietest(start: usize, likelihoods: &[f32]) -> usize {
    let windows = (start + LONGEST / 2).div_ceil(WINDOW)..(start + LONGEST) / WINDOW;
    let quietest = windows.min_by(|&a, &b| {
        let likelihood = |window: usize| likelihoods.get(window).copied().unwrap_or_default();
        // The last of equal ones leaves the least for later.
        likelihood(a).total_cmp(&likelihood(b)).then(b.cmp(&a))
    });
    quietest.map_or(start + LONGEST, |window| window * WINDOW)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::single_range_in_vec_init, reason = "there may be one stretch of speech")]

    use proptest::prelude::*;

    use super::*;

    const SECOND: usize = RATE as usize;

    fn pieces(stretches: &[Range<usize>], likelihoods: &[f32]) -> Vec<Range<usize>> {
        let after = |from: usize| piece(stretches, likelihoods, from);
        std::iter::successors(after(0), |piece| after(piece.end)).collect()
    }

    #[test]
    fn stretches_go_together_until_a_long_pause_or_the_longest_piece() {
        let check = |stretches: &[Range<usize>], expected: &[Range<usize>]| {
            let scaled = |ranges: &[Range<usize>]| -> Vec<_> {
                ranges.iter().map(|range| range.start * SECOND..range.end * SECOND).collect()
            };
            assert_eq!(pieces(&scaled(stretches), &[]), scaled(expected));
        };
        check(&[1..5, 6..9], &[1..9]);
        check(&[1..5, 9..12], &[1..5, 9..12]);
        check(&[0..20, 21..40], &[0..20, 21..40]);
        check(&[0..10, 11..20, 21..28], &[0..28]);
        check(&[0..10, 10..16, 18..24, 25..27, 27..40], &[0..16, 18..40]);
        check(&[0..5, 7..14, 14..20, 20..40], &[0..20, 20..40]);
    }

    #[test]
    fn what_was_not_written_of_a_piece_goes_with_what_follows() {
        let stretches = [0..20 * SECOND, 21 * SECOND..40 * SECOND];
        assert_eq!(piece(&stretches, &[], 18 * SECOND), Some(18 * SECOND..40 * SECOND));
        assert_eq!(piece(&stretches, &[], 20 * SECOND), Some(21 * SECOND..40 * SECOND));
        assert_eq!(piece(&stretches, &[], 40 * SECOND), None);
    }

    #[test]
    fn speech_without_a_pause_is_cut_where_it_is_least_likely() {
        let mut likelihoods = vec![0.9; 60 * SECOND / WINDOW];
        likelihoods[20 * SECOND / WINDOW] = 0.4;
        let cut = 20 * SECOND / WINDOW * WINDOW;
        assert_eq!(pieces(&[0..40 * SECOND], &likelihoods), [0..cut, cut..40 * SECOND]);
    }

    proptest! {
        #[test]
        fn pieces_hold_all_speech_and_are_never_too_long(
            lengths in proptest::collection::vec((0_usize..60_000, 1_usize..1_200_000), 0..20),
            likelihoods in proptest::collection::vec(0.0_f32..1.0, 0..2000),
        ) {
            let mut at = 0;
            let stretches: Vec<_> = lengths
                .iter()
                .map(|&(pause, length)| {
                    let start = at + pause;
                    at = start + length;
                    start..at
                })
                .collect();
            let pieces = pieces(&stretches, &likelihoods);
            prop_assert!(pieces.iter().all(|piece| !piece.is_empty() && piece.len() <= LONGEST));
            prop_assert!(pieces.is_sorted_by(|a, b| a.end <= b.start));
            let inside: usize = stretches.iter().map(|stretch| {
                pieces.iter().map(|piece| {
                    stretch.end.min(piece.end).saturating_sub(stretch.start.max(piece.start))
                }).sum::<usize>()
            }).sum();
            prop_assert_eq!(inside, stretches.iter().map(Range::len).sum::<usize>());
        }
    }
}
