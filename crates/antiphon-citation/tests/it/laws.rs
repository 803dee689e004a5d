//! For every answer: pieces do not matter, spans are spans, and markers are gone for good.

use antiphon_citation::{Citation, Cited, Citer, Source};
use proptest::prelude::*;

use crate::text::source;

fn sources() -> Vec<Source> {
    vec![
        source(1, "The final", "Spain did not lose. São Paulo has 12 parks 🐕. Spain won 2–1 in 2010."),
        source(2, "", "e\u{301} é, Dr. Smith. U.S. Senate of 2010. 日本は勝った。"),
        source(12, "São Paulo", ""),
    ]
}

fn read(citer: &mut Citer, pieces: &[&str]) -> Cited {
    let mut all = Cited::default();
    for piece in pieces.iter().map(|piece| Some(*piece)).chain([None]) {
        let cited = match piece {
            Some(piece) => citer.push(piece),
            None => citer.finish(),
        };
        all.text.push_str(&cited.text);
        for found in cited.citations {
            assert!(found.end <= all.text.len(), "a citation before its text was shown");
            all.citations.push(found);
        }
    }
    all
}

/// Answers full of what matters: markers, their parts, code, ends of sentences, multi-byte text.
fn answers() -> impl Strategy<Value = String> {
    let part = prop_oneof![
        4 => prop::sample::select(vec![
            "Spain won 2–1", "in 2010", "São Paulo 🐕", "has 12 parks", "e\u{301}", "Dr.", "e.g.", "U.S.", "3.5", "日本は勝った。", "the", "A", "did not",
        ]).prop_map(str::to_owned),
        3 => prop::sample::select(vec![
            "⟦1⟧", "⟦1,2⟧", "⟦ 12 ⟧", "⟦9⟧", "[1]", "[1, 2]", "[9]", "(source 1)", "[Source 2]", "(⟦1⟧)", "[1](x)",
        ]).prop_map(str::to_owned),
        3 => prop::sample::select(vec![
            "⟦", "⟧", "[", "]", "(", ")", "1", "2", ",", "-", "source", "Sou", "rce ", "and", "\u{301}", "\\",
        ]).prop_map(str::to_owned),
        4 => prop::sample::select(vec![
            " ", " ", " ", "  ", ".", ". ", "! ", "?", "\n", "\n\n", "\n- ", "\n1. ", "\n# ", "| ", "…", ":", "\"", "*", "\u{a0}",
        ]).prop_map(str::to_owned),
        1 => prop::sample::select(vec!["`", "``", "\n```\n", "```", "\n~~~", "~"]).prop_map(str::to_owned),
        1 => any::<String>(),
        1 => any::<char>().prop_map(String::from),
    ];
    prop::collection::vec(part, 0..30).prop_map(|parts| parts.concat())
}

/// The answer cut at arbitrary places.
fn cut<'a>(answer: &'a str, cuts: &[prop::sample::Index]) -> Vec<&'a str> {
    let mut places: Vec<_> = cuts.iter().map(|cut| answer.floor_char_boundary(cut.index(answer.len() + 1))).collect();
    places.extend([0, answer.len()]);
    places.sort_unstable();
    places.windows(2).map(|ends| &answer[ends[0]..ends[1]]).collect()
}

/// Whether a rare marker is shown, by a reading of its own.
fn shows_a_marker(text: &str) -> bool {
    text.split('⟦').skip(1).filter_map(|rest| rest.split_once('⟧')).any(|(inner, _)| {
        let plain =
            inner.chars().all(|next| next.is_ascii_digit() || next.is_whitespace() || matches!(next, ',' | ';'));
        let numbers = inner.split([',', ';']).map(str::trim);
        plain
            && inner.len() < 50
            && numbers.clone().all(|number| (1..=6).contains(&number.len()) && !number.contains(' '))
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn pieces_do_not_matter(answer in answers(), cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..20)) {
        let mut citer = Citer::new(sources());
        let whole = read(&mut citer, &[&answer]);
        let dropped = citer.dropped();
        prop_assert_eq!(&read(&mut citer, &cut(&answer, &cuts)), &whole);
        prop_assert_eq!(citer.dropped(), 2 * dropped);
        let characters: Vec<_> = answer.split_inclusive(|_| true).collect();
        prop_assert_eq!(&read(&mut citer, &characters), &whole);
    }

    #[test]
    fn spans_are_stretches_of_the_shown_text(answer in answers()) {
        let Cited { text, citations } = read(&mut Citer::new(sources()), &[&answer]);
        let mut last = 0;
        for Citation { start, end, source } in citations {
            prop_assert!(start < end && end <= text.len());
            prop_assert!(text.is_char_boundary(start) && text.is_char_boundary(end));
            prop_assert_eq!(text[start..end].trim(), &text[start..end]);
            prop_assert!(!text[start..end].contains("\n\n"));
            prop_assert!(!text[start..end].split("! ").skip(1).any(|rest| rest.starts_with(char::is_uppercase)));
            prop_assert!([1, 2, 12].contains(&source));
            // In the order of the text.
            prop_assert!(last <= start);
            last = start;
        }
    }

    #[test]
    fn no_marker_is_shown_and_none_is_left(answer in answers()) {
        let answer = answer.replace(['`', '~'], "");
        let mut citer = Citer::new(sources());
        let shown = read(&mut citer, &[&answer]).text;
        prop_assert!(!shows_a_marker(&shown), "{}", shown);
    }

    #[test]
    fn clean_text_stays_as_it_is(answer in answers()) {
        let mut citer = Citer::new(sources());
        let shown = read(&mut citer, &[&answer]).text;
        prop_assert_eq!(&read(&mut citer, &[&shown]).text, &shown);
    }

    #[test]
    fn text_without_brackets_is_not_touched(answer in answers()) {
        let answer = answer.replace(['⟦', '⟧', '[', '('], "");
        prop_assert_eq!(read(&mut Citer::new(sources()), &[&answer]).text, answer);
    }

    #[test]
    fn any_text_and_any_source(answer in any::<String>(), text in answers(), title in any::<String>()) {
        let mut citer = Citer::new([source(1, &title, &text), source(2, &answer, &answer)]);
        read(&mut citer, &[&answer, &text, &answer]);
    }

    #[test]
    fn little_is_held_back(answer in answers()) {
        let mut citer = Citer::new(sources());
        let (mut pushed, mut shown) = (String::new(), 0);
        for next in answer.chars() {
            let text = citer.push(next.encode_utf8(&mut [0; 4])).text;
            shown += text.len();
            pushed.push(next);
            // What was pushed and not shown was a marker, white space around it, or is held back.
            let markers = pushed.matches(['⟦', '[', '(']).count();
            prop_assert!(pushed.len() - shown <= 160 + 160 * markers);
        }
    }
}
