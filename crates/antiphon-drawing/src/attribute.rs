//! The elements and attributes of a drawing, and what each attribute may say.

use std::str::FromStr as _;

use svgtypes::{Color, PathParser, PathSegment, PointsParser};

/// The most points of one shape, and the most pieces of one path.
const MOST_POINTS: usize = 200;

/// The longest value that is looked at, in bytes.
const LONGEST_VALUE: usize = 4096;

/// What an attribute holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A place: a number of the drawing's own units.
    Place,
    /// The same, not below zero.
    Length,
    /// From 0 to 1.
    Part,
    /// A colour, `none`, or a gradient of this drawing.
    Paint,
    Colour,
    Points,
    Path,
    /// What a gradient is called.
    Id,
    /// One of these words.
    Word(&'static [&'static str]),
}

use Kind::{Colour, Id, Length, Paint, Part, Path, Place, Points, Word};

/// What every shape and group may say.
const PAINTS: [(&str, Kind); 7] = [
    ("fill", Paint),
    ("stroke", Paint),
    ("stroke-width", Length),
    ("fill-opacity", Part),
    ("stroke-opacity", Part),
    ("stroke-linecap", Word(&["butt", "round", "square"])),
    ("stroke-linejoin", Word(&["miter", "round", "bevel"])),
];

/// The elements that may be in a drawing, with attributes of their own.
const ELEMENTS: [(&str, &[(&str, Kind)]); 13] = [
    ("rect", &[("x", Place), ("y", Place), ("width", Length), ("height", Length), ("rx", Length), ("ry", Length)]),
    ("circle", &[("cx", Place), ("cy", Place), ("r", Length)]),
    ("ellipse", &[("cx", Place), ("cy", Place), ("rx", Length), ("ry", Length)]),
    ("line", &[("x1", Place), ("y1", Place), ("x2", Place), ("y2", Place)]),
    ("polyline", &[("points", Points)]),
    ("polygon", &[("points", Points)]),
    ("path", &[("d", Path)]),
    (
        "text",
        &[
            ("x", Place),
            ("y", Place),
            ("font-size", Length),
            ("text-anchor", Word(&["start", "middle", "end"])),
            ("font-family", Word(&["sans-serif", "serif", "monospace"])),
        ],
    ),
    ("g", &[]),
    ("defs", &[]),
    ("linearGradient", &[("id", Id), ("x1", Place), ("y1", Place), ("x2", Place), ("y2", Place)]),
    ("stop", &[("offset", Part), ("stop-color", Colour), ("stop-opacity", Part)]),
    // In the place of the root alone.
    ("svg", &[]),
];

pub(crate) const SHAPES: [&str; 8] = ["rect", "circle", "ellipse", "line", "polyline", "polygon", "path", "text"];

/// The names of all elements that may stand inside a drawing.
pub(crate) fn is_known(element: &str) -> bool {
    element != "svg" && ELEMENTS.iter().any(|(name, _)| *name == element)
}

/// What an attribute of an element holds; none where it has no such attribute.
pub(crate) fn kind(element: &str, attribute: &str) -> Option<Kind> {
    let (_, own) = ELEMENTS.iter().find(|(name, _)| *name == element)?;
    let is_shape = SHAPES.contains(&element);
    // Of a group it would need a picture of its own.
    if is_shape && attribute == "opacity" {
        return Some(Part);
    }
    let paints: &[_] = if is_shape || element == "g" { &PAINTS } else { &[] };
    own.iter().chain(paints).find(|(name, _)| *name == attribute).map(|(_, kind)| *kind)
}

impl Kind {
    /// Whether a value is one of this kind. `reach` is how far from zero a place may be, and `gradients`
    /// are those of the drawing so far.
    pub(crate) fn takes(self, value: &str, reach: f64, gradients: &[String]) -> bool {
        if value.len() > LONGEST_VALUE {
            return false;
        }
        match self {
            Place => number(value).is_some_and(|number| number.abs() <= reach),
            Length => number(value).is_some_and(|number| (0.0..=reach).contains(&number)),
            Part => number(value).is_some_and(|number| (0.0..=1.0).contains(&number)),
            Colour => is_colour(value),
            Paint => {
                let gradient = value.strip_prefix("url(#").and_then(|rest| rest.strip_suffix(')'));
                match gradient {
                    Some(id) => gradients.iter().any(|known| known == id),
                    None => value == "none" || is_colour(value),
                }
            }
            Points => {
                let plain = value.bytes().all(|byte| b"0123456789.,+-eE \t\r\n".contains(&byte));
                plain && points(value).is_some_and(|points| points.iter().all(|at| near(*at, reach)))
            }
            Path => path(value).is_some(),
            Id => {
                (1..=32).contains(&value.len())
                    && value.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte))
                    && !gradients.iter().any(|known| known == value)
            }
            Word(words) => words.contains(&value),
        }
    }

    /// What is expected, for errors.
    pub(crate) fn wanted(self) -> String {
        match self {
            Place => "a number near the picture".to_owned(),
            Length => "a number of at most the picture's size, not below 0".to_owned(),
            Part => "a number from 0 to 1".to_owned(),
            Colour => "a colour".to_owned(),
            Paint => "a colour, `none` or a gradient that stands before it".to_owned(),
            Points => format!("at most {MOST_POINTS} points near the picture"),
            Path => format!("a path of at most {MOST_POINTS} pieces near the picture"),
            Id => "a short name that is not taken".to_owned(),
            Word(words) => format!("one of {}", words.join(", ")),
        }
    }
}

fn near((x, y): (f64, f64), reach: f64) -> bool {
    x.abs() <= reach && y.abs() <= reach
}

/// A finite number, perhaps in pixels.
pub(crate) fn number(value: &str) -> Option<f64> {
    let value = value.trim().trim_end_matches("px");
    let plain = !value.is_empty() && value.len() <= 16 && value.bytes().all(|byte| b"0123456789.+-".contains(&byte));
    value.parse().ok().filter(|number: &f64| plain && number.is_finite())
}

fn is_colour(value: &str) -> bool {
    value != "currentColor" && value.len() <= 32 && Color::from_str(value).is_ok()
}

/// The points of a polygon; none when they are too many.
pub(crate) fn points(value: &str) -> Option<Vec<(f64, f64)>> {
    let points: Vec<_> = PointsParser::from(value).take(MOST_POINTS + 1).collect();
    (points.len() <= MOST_POINTS).then_some(points)
}

/// The pieces of a path; none when it is none, or they are too many.
pub(crate) fn path(value: &str) -> Option<Vec<PathSegment>> {
    let pieces: Vec<_> = PathParser::from(value).take(MOST_POINTS + 1).collect::<Result<_, _>>().ok()?;
    (pieces.len() <= MOST_POINTS).then_some(pieces)
}
