//! Where a shape is, about: the box around it, which is never smaller than what is painted.

use svgtypes::{SimplePathSegment, SimplifyingPathParser};

use crate::attribute::{number, points};
use crate::read::View;

/// The corners of a box.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Extent {
    left: f64,
    top: f64,
    right: f64,
    bottom: f64,
}

impl Extent {
    /// `attribute` gives the values of a shape's attributes, which were checked; `text` is how many
    /// characters it shows. None when there is nothing of it.
    pub(crate) fn of(shape: &str, attribute: impl Fn(&str) -> Option<String>, text: usize) -> Option<Self> {
        let given = |name: &str| attribute(name).as_deref().and_then(number);
        let get = |name: &str| given(name).unwrap_or(0.0);
        let bare = match shape {
            "rect" => Self::around([(get("x"), get("y")), (get("x") + get("width"), get("y") + get("height"))]),
            "circle" | "ellipse" => {
                let radius = |name: &str| if shape == "circle" { get("r") } else { get(name) };
                let (x, y, rx, ry) = (get("cx"), get("cy"), radius("rx"), radius("ry"));
                Self::around([(x - rx, y - ry), (x + rx, y + ry)])
            }
            "line" => Self::around([(get("x1"), get("y1")), (get("x2"), get("y2"))]),
            "polyline" | "polygon" => Self::around(points(&attribute("points")?)?),
            "path" => Self::around(path_points(&attribute("d")?)?),
            "text" => {
                let size = given("font-size").unwrap_or(12.0);
                // Wherever it is anchored, and however wide its letters are.
                let wide = size * text as f64;
                Self::around([(get("x") - wide, get("y") - size), (get("x") + wide, get("y") + size / 2.0)])
            }
            _ => None,
        }?;
        let stroke = attribute("stroke").filter(|paint| paint != "none");
        let margin = stroke.map_or(0.0, |_| given("stroke-width").unwrap_or(1.0));
        Some(Self {
            left: bare.left - margin,
            top: bare.top - margin,
            right: bare.right + margin,
            bottom: bare.bottom + margin,
        })
    }

    fn around(points: impl IntoIterator<Item = (f64, f64)>) -> Option<Self> {
        points.into_iter().fold(None, |around: Option<Self>, (x, y)| {
            let Self { left, top, right, bottom } = around.unwrap_or(Self { left: x, top: y, right: x, bottom: y });
            Some(Self { left: left.min(x), top: top.min(y), right: right.max(x), bottom: bottom.max(y) })
        })
    }

    /// Whether no corner is farther from zero.
    pub(crate) fn is_within(self, reach: f64) -> bool {
        [self.left, self.top, self.right, self.bottom].iter().all(|corner| corner.abs() <= reach)
    }

    /// How much of it is in sight, in units of the drawing squared.
    pub(crate) fn visible(self, view: View) -> f64 {
        let width = self.right.min(view.width.into()) - self.left.max(0.0);
        let height = self.bottom.min(view.height.into()) - self.top.max(0.0);
        width.max(0.0) * height.max(0.0)
    }
}

/// The points of a path and of what steers its curves, which lie around it.
fn path_points(value: &str) -> Option<Vec<(f64, f64)>> {
    let mut points = Vec::new();
    for piece in SimplifyingPathParser::from(value) {
        match piece.ok()? {
            SimplePathSegment::MoveTo { x, y } | SimplePathSegment::LineTo { x, y } => points.push((x, y)),
            SimplePathSegment::CurveTo { x1, y1, x2, y2, x, y } => points.extend([(x1, y1), (x2, y2), (x, y)]),
            SimplePathSegment::Quadratic { x1, y1, x, y } => points.extend([(x1, y1), (x, y)]),
            SimplePathSegment::ClosePath => {}
        }
    }
    Some(points)
}
