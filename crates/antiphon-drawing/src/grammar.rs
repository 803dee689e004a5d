//! What a model may write, as rules of llguidance's Lark.
//!
//! It is narrower than what is read: attributes have one order, numbers few digits, and there is
//! a note before each thing and a ground that covers everything, since a drawing of about 500 tokens has none to lose.
//! Notes count: who writes `1 of 4` has planned four things, and after the fourth there is no more. The names of all
//! rules begin with `answer`.

use std::fmt::Write as _;

use crate::judge::Standard;
use crate::read::View;

/// The most things on the ground, a group counting as one.
const MOST_THINGS: usize = 16;

/// What several things can all be.
const KINDS: [&str; 6] = ["rect", "circle", "ellipse", "polygon", "path", "group"];

/// The shapes of a group.
const GROUPED: (usize, usize) = (2, 6);

/// Colours by name that models like, in families that nobody takes for one another; any other can be written as a number.
const FAMILIES: [&[&str]; 4] = [
    &[
        "red",
        "darkred",
        "crimson",
        "tomato",
        "coral",
        "orange",
        "darkorange",
        "hotpink",
        "salmon",
        "brown",
        "sienna",
        "magenta",
    ],
    &["black", "gray", "blue", "darkblue", "navy", "midnightblue", "royalblue", "steelblue", "indigo", "purple"],
    &["white", "silver", "gold", "yellow", "khaki", "tan", "beige", "pink", "violet", "lightblue", "skyblue"],
    &["green", "darkgreen", "limegreen", "lime", "olive", "teal", "cyan"],
];

/// As [`grammar`], with a sentence of words before the drawing.
pub fn captioned_grammar(view: View, standard: Standard, named: &[usize]) -> String {
    let drawing = grammar(view, standard, named).replacen("answer:", "answer_drawing:", 1);
    // Words that begin no element.
    format!(
        "answer: ANSWER_CAPTION \"\\n\" answer_drawing\n{drawing}ANSWER_CAPTION: /[A-ZÀ-Þ][0-9A-Za-zÀ-ÿ ,;:'-]{{8,120}}\\./\n"
    )
}

/// Rules of which `answer` is one `<svg>` that [`Drawing::read`](crate::Drawing::read) understands.
/// It has no size of its own: `view` is that. There are as many things as the standard wants, and as the largest of the
/// numbers that were `named`; who plans exactly as many as were named draws things of one kind. Where the standard wants
/// more than two colours, each thing has one of another family than those before it.
pub fn grammar(view: View, standard: Standard, named: &[usize]) -> String {
    let View { width, height } = view;
    let (least_grouped, most_grouped) = GROUPED;
    let whole = format!(r#"<rect width=\"{width}\" height=\"{height}\" fill=\""#);
    let mut rules = String::new();
    let mut rule = |name: &str, body: &str| {
        // A string cannot hold that it cannot be written.
        let _ = writeln!(rules, "{name}: {body}");
    };
    let families = if standard.least_colours() > 2 { &FAMILIES[..standard.least_colours()] } else { &[] };
    let least = named.iter().copied().fold(standard.least_shapes(), usize::max).min(MOST_THINGS);
    let things = |count: usize| match named.contains(&count) {
        true => KINDS.map(|kind| things(count, &format!("alike_{kind}"), families.len().max(1))).join(" | "),
        false => things(count, "thing", families.len().max(1)),
    };
    let things: Vec<_> = (least..=MOST_THINGS).map(things).collect();
    rule("answer", &format!(r#""<svg>" "\n"? answer_ground ({}) "\n"? "</svg>""#, things.join(" | ")));
    rule("answer_ground", &format!(r#"answer_sky "{whole}url(#sky)\"/>" | "{whole}" ANSWER_COLOUR "\"/>""#));
    rule("answer_sky", r#""<linearGradient id=\"sky\" x2=\"0\" y2=\"1\">" answer_stop{2,3} "</linearGradient>" "\n"?"#);
    rule("answer_stop", r#""<stop offset=\"" ANSWER_PART "\" stop-color=\"" ANSWER_COLOUR "\"/>""#);
    rule("answer_opacity", r#"" opacity=\"" ANSWER_PART "\"""#);
    rule("answer_shape", "answer_rect | answer_circle | answer_ellipse | answer_polygon | answer_path");
    let element = |name: &str, attributes: &[&str]| {
        let attributes = attributes.iter().map(|name| format!(r#"" {name}=\"" ANSWER_NUMBER "\"""#));
        format!(r#""<{name}" {}"#, attributes.collect::<Vec<_>>().join(" "))
    };
    rule(
        "answer_rect",
        &format!("{} {}", element("rect", &["x", "y", "width", "height"]), r#"(" rx=\"" ANSWER_NUMBER "\"")?"#),
    );
    rule("answer_circle", &element("circle", &["cx", "cy", "r"]));
    rule("answer_ellipse", &element("ellipse", &["cx", "cy", "rx", "ry"]));
    rule("answer_polygon", r#""<polygon points=\"" ANSWER_PAIR (" " ANSWER_PAIR){2,9} "\"""#);
    rule("answer_path", r#""<path d=\"M" ANSWER_PAIR answer_move{2,8} " Z\"""#);
    rule(
        "answer_move",
        r#"" L" ANSWER_PAIR | " Q" ANSWER_PAIR " " ANSWER_PAIR | " C" ANSWER_PAIR " " ANSWER_PAIR " " ANSWER_PAIR"#,
    );
    let line = element("line", &["x1", "y1", "x2", "y2"]);
    let polyline = r#""<polyline points=\"" ANSWER_PAIR (" " ANSWER_PAIR){1,9} "\" fill=\"none\"""#;
    let text = element("text", &["x", "y", "font-size"]);
    for family in 0..families.len().max(1) {
        let colour = format!("ANSWER_COLOUR_{family}");
        rule(
            &format!("answer_thing_{family}"),
            &format!(
                r#"ANSWER_NOTE "-->\n" (answer_painted_{family} | answer_stroked_{family} | answer_text_{family} | answer_group_{family})"#
            ),
        );
        let grouped = format!(r#"("\n"? answer_shape "/>"){{{least_grouped},{most_grouped}}}"#);
        rule(&format!("answer_group_{family}"), &format!(r#""<g fill=\"" {colour} "\">" {grouped} "\n"? "</g>""#));
        for kind in KINDS {
            let one = match kind {
                "group" => format!("answer_group_{family}"),
                shape => format!(r#"answer_{shape} " fill=\"" {colour} "\"" answer_opacity? "/>""#),
            };
            rule(&format!("answer_alike_{kind}_{family}"), &format!(r#"ANSWER_NOTE "-->\n" {one}"#));
        }
        rule(
            &format!("answer_painted_{family}"),
            &format!(r#"answer_shape " fill=\"" {colour} "\"" answer_opacity? "/>""#),
        );
        rule(
            &format!("answer_stroked_{family}"),
            &format!(r#"({line} | {polyline}) " stroke=\"" {colour} "\" stroke-width=\"" ANSWER_THIN "\"/>""#),
        );
        rule(&format!("answer_text_{family}"), &format!(r#"{text} " fill=\"" {colour} "\">" ANSWER_WORDS "</text>""#));
        let names = families.get(family).map_or_else(any_colour, |names| names.join("|"));
        rule(&colour, &format!("/{names}/"));
    }
    // None is farther than what is read.
    rule("ANSWER_NUMBER", r"/[0-3]?[0-9]{1,2}(\.[0-9])?/");
    rule("ANSWER_PAIR", r"/[0-3]?[0-9]{1,2}(\.[0-9])?,[0-3]?[0-9]{1,2}(\.[0-9])?/");
    rule("ANSWER_THIN", r"/[0-9](\.[0-9])?|1[0-9]/");
    rule("ANSWER_PART", r"/0(\.[0-9]{1,2})?|1/");
    // What says first what it draws draws it better, and finds it again in a later turn.
    rule("ANSWER_NOTE", "/[a-z ]{2,24}/");
    rule("ANSWER_WORDS", "/[0-9A-Za-zÀ-ÿ .,!?'-]{1,24}/");
    rule("ANSWER_COLOUR", &format!("/{}/", any_colour()));
    rules
}

/// So many things of a rule, counted, of so many families in turn.
fn things(count: usize, rule: &str, families: usize) -> String {
    let thing = |number: usize| format!(r#""\n<!-- {number} of {count}: " answer_{rule}_{}"#, (number - 1) % families);
    (1..=count).map(thing).collect::<Vec<_>>().join(" ")
}

fn any_colour() -> String {
    format!("#[0-9a-fA-F]{{6}}|#[0-9a-fA-F]{{3}}|{}", FAMILIES.concat().join("|"))
}
