//! Whether a drawing is worth showing at once: one with little on it is asked for again, a blank one is never shown.

use std::collections::HashMap;

use resvg::tiny_skia::Pixmap;

use crate::read::Drawing;

/// The fewest colours, each on at least this part of the picture, and the fewest shapes in sight.
const LEAST_COLOURS: usize = 4;
const LEAST_PART: f64 = 0.005;
const LEAST_SHAPES: usize = 5;

/// What a drawing is held to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standard {
    /// Four colours and five shapes can be seen.
    Rich,
    /// Something can be seen: two colours, of which one may be the ground.
    Plain,
}

impl Standard {
    pub(crate) fn least_shapes(self) -> usize {
        match self {
            Self::Rich => LEAST_SHAPES,
            Self::Plain => 1,
        }
    }

    pub(crate) fn least_colours(self) -> usize {
        match self {
            Self::Rich => LEAST_COLOURS,
            Self::Plain => 2,
        }
    }
}

/// What a drawing lacks, in words for who drew it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Lack {
    #[error("only {0} shapes are in sight, at least {1} are wanted")]
    Shapes(usize, usize),
    #[error("only {0} colours can be seen, each on a small part of the picture at least; {1} are wanted")]
    Colours(usize, usize),
    #[error("its text has characters that cannot be drawn here; use Latin letters or none")]
    Letters,
}

/// Holds a small painting of a drawing against what a picture is.
pub(crate) fn judge(drawing: &Drawing, small: &Pixmap, standard: Standard) -> Result<(), Lack> {
    let (least_colours, least_shapes) = (standard.least_colours(), standard.least_shapes());
    if drawing.shapes() < least_shapes {
        return Err(Lack::Shapes(drawing.shapes(), least_shapes));
    }
    let mut counts: HashMap<[u8; 3], usize> = HashMap::new();
    for pixel in small.pixels() {
        // What is nearly the same colour is the same: edges and gradients have many.
        let near = [pixel.red() >> 4, pixel.green() >> 4, pixel.blue() >> 4];
        *counts.entry(near).or_default() += 1;
    }
    let least = (small.pixels().len() as f64 * LEAST_PART).max(1.0);
    let colours = counts.values().filter(|count| **count as f64 >= least).count();
    if colours < least_colours { Err(Lack::Colours(colours, least_colours)) } else { Ok(()) }
}
