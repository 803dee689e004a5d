//! Which parts of a long text are shown, and how: whole parts around the best ones, as many
//! as there is room for, and a word where something was left out.

use std::collections::BTreeSet;
use std::ops::Range;

use crate::plain;
use crate::words;

/// Stands where text was left out between two passages.
pub(crate) const OMISSION: &str = "\n[…]\n";
/// Room for what is said about omissions, headings included.
pub(crate) const NOTES: usize = 150;

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

/// In little room this many parts are shown, each by an excerpt. Over 36 questions with the sentence that answers each,
/// in 2,000 characters, 33 of those sentences are shown so, 28 by five excerpts of the same length, and 30 when each
/// document has its share.
pub(crate) const MOST_EXCERPTS: usize = 3;

/// How many characters each excerpt has: the best one as many as the others together.
pub(crate) fn rooms(most: usize) -> [usize; MOST_EXCERPTS] {
    [most / 2, most / 4, most / 4].map(|room| room.saturating_sub(NOTES).max(room / 2))
}

/// Where in a part the whole sentences stand that are shown of it when there is room for so
/// many characters only: those that have the most of the words that are searched for, with as
/// much before as behind them. In bytes.
pub(crate) fn excerpt(part: &str, terms: &[String], most: usize) -> Range<usize> {
    if plain::cut(part, most).len() == part.len() {
        return 0..part.len();
    }
    let sentences = sentences(part);
    let mut windows: Vec<Range<usize>> = Vec::new();
    for (at, first) in sentences.iter().enumerate() {
        let rest = &part[first.start..];
        let fits = |end: &usize| plain::cut(rest, most).len() >= end - first.start;
        let last = sentences[at..].iter().map(|sentence| sentence.end).take_while(fits).last();
        // A sentence that is too long is cut.
        let end = last.unwrap_or_else(|| first.start + plain::cut_at_sentence(rest, most).len());
        if windows.last().is_none_or(|before| before.end < end) {
            windows.push(first.start..end);
        }
    }
    let scores = words::scores(windows.iter().map(|window| &part[window.clone()]), terms);
    let best = scores.iter().copied().max().filter(|score| *score > 0);
    let Some(best) = best else { return 0..plain::cut_at_sentence(part, most).len() };
    let best: Vec<_> = (0..windows.len()).filter(|at| scores[*at] == best).collect();
    windows[best[(best.len() - 1) / 2]].clone()
}

/// Sentences with the white space behind them; lines are such, too.
fn sentences(text: &str) -> Vec<Range<usize>> {
    let mut sentences = Vec::new();
    let mut start = 0;
    let ends = |at: usize, space: &str| space == "\n" || text[..at].ends_with(['.', '!', '?', '…']);
    for (at, space) in text.match_indices(['\n', ' ']) {
        let end = at + space.len();
        if ends(at, space) && !text[start..at].trim().is_empty() {
            sentences.push(start..end);
            start = end;
        }
    }
    if start < text.len() {
        sentences.push(start..text.len());
    }
    sentences
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

    #[test]
    fn an_excerpt_is_of_the_sentences_that_answer() {
        let part = "The final was in Berlin. Spain led. Palmer equalised for England. Then Spain won. It rained.";
        let check = |query, most, expected: &str| {
            assert_eq!(part[excerpt(part, &words::terms(query), most)].trim(), expected, "{query}");
        };
        check("England's goal", 30, "Palmer equalised for England.");
        check("England", 50, "Spain led. Palmer equalised for England.");
        check("nothing of it", 30, "The final was in Berlin.");
        check("Berlin", 20, "The final was in");
        check("rain", 1000, part);
    }

    proptest! {
        #[test]
        fn an_excerpt_is_short_and_has_a_word_if_any_sentence_has(
            part in "([a-d]{1,6}[. !\n]{1,2}){0,12}", query in "[a-d]{1,6}( [a-d]{1,6}){0,2}", most in 16usize..60,
        ) {
            let terms = words::terms(&query);
            let shown = &part[excerpt(&part, &terms, most)];
            prop_assert!(shown.chars().count() <= most);
            let answers = |text: &str| words::scores([text].into_iter(), &terms)[0] > 0;
            let is_cut = sentences(&part).iter().any(|sentence| sentence.len() > most);
            prop_assert!(answers(shown) || !answers(&part) || is_cut);
        }

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
