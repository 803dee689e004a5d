//! Which parts of a long text are shown, and how: whole parts around the best ones, as many
//! as there is room for, and a word where something was left out.

use std::collections::BTreeSet;
use std::ops::Range;

/// Stands where text was left out between two passages.
pub(crate) const OMISSION: &str = "\n[…]\n";
/// Room for what is said about omissions, headings included.
pub(crate) const NOTES: usize = 300;

/// Ranges of parts, in order, of at most so many characters; the best part is among them even
/// if it is longer.
pub(crate) fn choose(lengths: &[usize], ranked: &[usize], most: usize) -> Vec<Range<usize>> {
    let Some(&best) = ranked.first() else { return Vec::new() };
    let mut left = most.saturating_sub(lengths[best]);
    let mut taken = BTreeSet::from([best]);
    for &part in &ranked[1..] {
        if lengths[part] <= left && taken.insert(part) {
            left -= lengths[part];
        }
    }
    // What surrounds the best part, first what follows it.
    let mut take = |part: usize| {
        if taken.contains(&part) {
            return true;
        }
        let fits = lengths.get(part).is_some_and(|length| *length <= left);
        if fits {
            left -= lengths[part];
            taken.insert(part);
        }
        fits
    };
    let (mut low, mut high) = (best, best);
    loop {
        let up = high + 1 < lengths.len() && take(high + 1);
        high += usize::from(up);
        let down = low > 0 && take(low - 1);
        low -= usize::from(down);
        if !up && !down {
            break;
        }
    }
    let mut ranges: Vec<Range<usize>> = Vec::new();
    for part in taken {
        match ranges.last_mut() {
            Some(range) if range.end == part => range.end = part + 1,
            _ => ranges.push(part..part + 1),
        }
    }
    ranges
}

/// The passages of a text of so many characters, each with its heading, and how much was left
/// out. Between the words about omissions there is nothing but pieces of the text.
pub(crate) fn text<'a>(whole: usize, passages: impl Iterator<Item = (&'a str, &'a str)>) -> String {
    let mut written = String::new();
    let mut shown = 0;
    for (heading, passage) in passages {
        shown += passage.chars().count();
        if !written.is_empty() {
            written.push_str(OMISSION);
        }
        if !heading.is_empty() && !passage.contains(heading) {
            written.push_str(heading);
            written.push_str(OMISSION);
        }
        written.push_str(passage.trim_matches(['\n', '\u{c}']));
    }
    if shown < whole {
        written.push_str(&format!("\n[… {} characters left out]", whole - shown));
    }
    written
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_best_parts_and_what_is_around_the_best() {
        let check = |lengths: &[usize], ranked: &[usize], most, expected: &[(usize, usize)]| {
            let chosen: Vec<_> =
                choose(lengths, ranked, most).into_iter().map(|range| (range.start, range.end)).collect();
            assert_eq!(chosen, expected);
        };
        check(&[10; 6], &[4, 1], 20, &[(1, 2), (4, 5)]);
        check(&[10; 6], &[4, 1], 30, &[(1, 2), (4, 6)]);
        check(&[10; 6], &[4, 1], 40, &[(1, 2), (3, 6)]);
        check(&[10; 6], &[4, 1], 1000, &[(0, 6)]);
        check(&[10; 3], &[2], 5, &[(2, 3)]);
        check(&[], &[], 5, &[]);
    }

    #[test]
    fn omissions_are_said() {
        let passages = [("", "one"), ("Head", "two")];
        assert_eq!(text(20, passages.into_iter()), "one\n[…]\nHead\n[…]\ntwo\n[… 14 characters left out]");
        assert_eq!(text(3, [("", "one")].into_iter()), "one");
    }

    proptest! {
        #[test]
        fn ranges_fit_and_are_apart(
            lengths in prop::collection::vec(1usize..50, 1..20),
            picks in prop::collection::vec(any::<prop::sample::Index>(), 1..6),
            most in 0usize..300,
        ) {
            let ranked: Vec<_> = picks.iter().map(|pick| pick.index(lengths.len())).collect();
            let ranges = choose(&lengths, &ranked, most);
            let total: usize = ranges.iter().flat_map(Clone::clone).map(|part| lengths[part]).sum();
            prop_assert!(total <= most.max(lengths[ranked[0]]));
            prop_assert!(ranges.iter().any(|range| range.contains(&ranked[0])));
            prop_assert!(ranges.windows(2).all(|pair| pair[0].end < pair[1].start));
        }
    }
}
