use std::sync::{Arc, LazyLock};

use antiphon_drawing::{Drawing, Refused, Standard, View, captioned_grammar, grammar};
use llguidance::api::TopLevelGrammar;
use llguidance::toktrie::{ApproximateTokEnv, TokEnv, TokRxInfo, TokTrie};
use llguidance::{Matcher, ParserFactory};
use proptest::prelude::*;

const END: u32 = 256;

/// A vocabulary of single bytes.
static FACTORY: LazyLock<ParserFactory> = LazyLock::new(|| {
    let mut words: Vec<Vec<u8>> = (0..=u8::MAX).map(|byte| vec![byte]).collect();
    words.push([&[TokTrie::SPECIAL_TOKEN_MARKER], &b"<end>"[..]].concat());
    let tokens: TokEnv = Arc::new(ApproximateTokEnv::new(TokTrie::from(&TokRxInfo::new(END + 1, END), &words)));
    let mut factory = ParserFactory::new_simple(&tokens).unwrap();
    factory.quiet();
    factory
});

fn matcher(view: View) -> Matcher {
    matcher_of(&grammar(view, Standard::Plain, &[]))
}

fn matcher_of(rules: &str) -> Matcher {
    let grammar = format!("start: answer\n{rules}");
    let matcher = Matcher::new(FACTORY.create_parser(TopLevelGrammar::from_lark(grammar.clone())));
    assert_eq!(matcher.get_error(), None, "{grammar}");
    matcher
}

/// How much of a text is accepted, and whether it may end there.
fn accepted(text: &str) -> (&str, bool) {
    accepted_by(matcher(VIEW), text)
}

fn accepted_by(mut matcher: Matcher, text: &str) -> (&str, bool) {
    for (at, byte) in text.bytes().enumerate() {
        if matcher.try_consume_tokens(&[u32::from(byte)]).unwrap() == 0 {
            return (&text[..at], matcher.is_accepting().unwrap());
        }
    }
    (text, matcher.is_accepting().unwrap())
}

const VIEW: View = View { width: 100, height: 100 };

const GROUND: &str = "<svg>\n<rect width=\"100\" height=\"100\" fill=\"skyblue\"/>";

#[test]
fn a_drawing_has_a_ground_and_things_on_it() {
    let things = [
        "<rect x=\"1\" y=\"2.5\" width=\"30\" height=\"100\" rx=\"2\" fill=\"#00ff7f\" opacity=\"0.5\"/>",
        "<circle cx=\"1\" cy=\"2\" r=\"30\" fill=\"gold\"/>",
        "<path d=\"M10,10 L20,20 Q30,30 40,20 C1,2 3,4 5,6 Z\" fill=\"#abc\"/>",
        "<line x1=\"0\" y1=\"0\" x2=\"9\" y2=\"9\" stroke=\"red\" stroke-width=\"1.5\"/>",
        "<text x=\"9\" y=\"9\" font-size=\"6\" fill=\"white\">Olá, mar!</text>",
        "<g fill=\"yellow\"><rect x=\"1\" y=\"2\" width=\"3\" height=\"4\"/>\n<circle cx=\"1\" cy=\"2\" r=\"3\"/></g>",
        "<polyline points=\"1,2 3,4\" fill=\"none\" stroke=\"red\" stroke-width=\"9\"/>",
    ];
    let counted = |things: &[&str], count: usize| -> String {
        let thing = |(at, thing): (usize, &&str)| format!("\n<!-- {} of {count}: a thing -->\n{thing}", at + 1);
        things.iter().enumerate().map(thing).collect()
    };
    let all = counted(&things, things.len());
    let whole = format!("{GROUND}{all}\n</svg>");
    assert_eq!(accepted(&whole), (whole.as_str(), true));
    let sky = "<svg><linearGradient id=\"sky\" x2=\"0\" y2=\"1\"><stop offset=\"0\" stop-color=\"navy\"/>\
               <stop offset=\"1\" stop-color=\"coral\"/></linearGradient><rect width=\"100\" height=\"100\" fill=\"url(#sky)\"/>";
    let whole = format!("{sky}{all}</svg>");
    assert_eq!(accepted(&whole), (whole.as_str(), true));
    // As many as were planned, no fewer and no more.
    for (drawn, planned, ends) in [(2, 2, true), (2, 3, false), (1, 1, true)] {
        let drawing = format!("{GROUND}{}", counted(&things[..drawn], planned));
        let whole = format!("{drawing}</svg>");
        assert_eq!(accepted(&whole), if ends { (whole.as_str(), true) } else { (drawing.as_str(), false) });
        let more = format!("{drawing}\n<!-- {} of {planned}: more", drawn + 1);
        assert_eq!(accepted(&more).0 == more, !ends, "{more}");
    }
    // No fewer than were named; of exactly so many, all are alike.
    let named = |numbers: &[usize], drawing: &str| {
        accepted_by(matcher_of(&grammar(VIEW, Standard::Plain, numbers)), drawing).0 == drawing
    };
    let planned = |numbers: &[usize]| [2, 3, 16].map(|count| named(numbers, &format!("{GROUND}\n<!-- 1 of {count}: ")));
    let planned = [&[][..], &[3], &[2, 3], &[99]].map(planned);
    assert_eq!(planned, [[true, true, true], [false, true, true], [false, true, true], [false, false, true]]);
    let (disc, group) = (things[1], things[5]);
    for (drawn, numbers, can_be) in [
        ([disc, disc, disc], &[3], true),
        ([group, group, group], &[3], true),
        ([disc, disc, things[0]], &[3], false),
        ([disc, disc, things[4]], &[3], false),
        ([disc, disc, things[4]], &[2], true),
    ] {
        assert_eq!(named(numbers, &format!("{GROUND}{}", counted(&drawn, 3))), can_be, "{drawn:?}");
    }
    let rich = |drawing: &str| accepted_by(matcher_of(&grammar(VIEW, Standard::Rich, &[])), drawing).0 == drawing;
    assert!(rich(&format!("{GROUND}\n<!-- 1 of 5: ")) && !rich(&format!("{GROUND}\n<!-- 1 of 4: ")));
    // Four colours, whatever the things are.
    let disc = |colour: &str| format!("<circle cx=\"1\" cy=\"2\" r=\"30\" fill=\"{colour}\"/>");
    let discs = |colours: [&str; 5]| counted(&colours.map(disc).each_ref().map(String::as_str), 5);
    assert!(rich(&format!("{GROUND}{}", discs(["red", "navy", "gold", "teal", "coral"]))));
    assert!(!rich(&format!("{GROUND}{}", discs(["red", "navy", "gold", "teal", "gold"]))));
}

#[test]
fn a_caption_is_one_sentence_before_the_drawing() {
    let thing = "\n<!-- 1 of 1: a thing -->\n<circle cx=\"1\" cy=\"2\" r=\"30\" fill=\"gold\"/>";
    let drawing = format!("{GROUND}{thing}</svg>");
    let captioned = |text: &str| {
        let matcher = matcher_of(&captioned_grammar(VIEW, Standard::Plain, &[]));
        let (taken, may_end) = accepted_by(matcher, text);
        (taken.len(), may_end)
    };
    let whole = format!("A small boat, at sea.\n{drawing}");
    assert_eq!(captioned(&whole), (whole.len(), true));
    assert_eq!(captioned(&drawing), (0, false));
    let element = "A small <b";
    assert_eq!(captioned(element), (element.len() - "<b".len(), false));
}

#[test]
fn what_is_not_drawn_cannot_be_written() {
    for (text, until) in [
        ("<svg onload=\"x()\">", "<svg"),
        ("<svg><script>", "<svg><"),
        ("<svg><image", "<svg><"),
        ("Here is a drawing", ""),
    ] {
        assert_eq!(accepted(text), (until, false), "{text}");
    }
    for more in ["<use", "<script", "<image", "<filter", "<foreignObject", "<style", "<!--x", "<!DOCTYPE"] {
        let text = format!("{GROUND}\n{more}");
        assert!(accepted(&text).0.len() < text.len(), "{more}");
    }
    let href = format!(
        "{GROUND}\n<!-- 1 of 1: a wall -->\n<rect x=\"1\" y=\"1\" width=\"1\" height=\"1\" fill=\"url(http://h/)\"/>"
    );
    assert!(accepted(&href).0.ends_with("fill=\""));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn whatever_the_grammar_lets_through_is_read(seed in any::<u64>(), wide in 1u32..4, high in 1u32..4) {
        let view = View { width: 100 * wide, height: 100 * high };
        let (mut matcher, mut text, mut state) = (matcher(view), Vec::new(), seed | 1);
        while !matcher.is_stopped() {
            let mask = matcher.compute_mask().unwrap();
            let allowed: Vec<u32> = (0..=END).filter(|token| mask.is_allowed(*token)).collect();
            // Xorshift: any walk will do.
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            let token = allowed[usize::try_from(state % allowed.len() as u64).unwrap()];
            if token == END {
                break;
            }
            text.push(u8::try_from(token).unwrap());
            matcher.consume_token(token).unwrap();
        }
        let text = String::from_utf8(text).unwrap();
        match Drawing::read(&text, view) {
            Ok(drawing) => prop_assert_eq!(drawing.source(), text.trim()),
            Err(refused) => prop_assert_eq!(refused, Refused::TooMuchPaint, "{}", text),
        }
    }
}
