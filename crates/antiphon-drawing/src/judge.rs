//! Whether a drawing is worth showing at once: one with little on it is asked for again, a blank one is never shown.

use std::collections::{HashMap, HashSet};

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

/// Holds a painting of a drawing against what a picture is.
pub(crate) fn judge(drawing: &Drawing, painting: &Pixmap, standard: Standard) -> Result<(), Lack> {
    let (least_colours, least_shapes) = (standard.least_colours(), standard.least_shapes());
    if drawing.shapes() < least_shapes {
        return Err(Lack::Shapes(drawing.shapes(), least_shapes));
    }
    let mut counts: HashMap<[u8; 3], usize> = HashMap::new();
    for pixel in painting.pixels() {
        *counts.entry([pixel.red(), pixel.green(), pixel.blue()]).or_default() += 1;
    }
    let least = (painting.pixels().len() as f64 * LEAST_PART).max(1.0);
    let enough = |count: usize| count as f64 >= least;
    // What is nearly the same colour is the same.
    let near = |colour: [u8; 3]| colour.map(|part| part >> 4);
    let colours = match standard {
        // Each shade of a sky is on too little of it, so that a sky of shades stands for none.
        Standard::Rich => {
            let seen = counts.into_iter().filter(|(_, count)| enough(*count));
            seen.map(|(colour, _)| near(colour)).collect::<HashSet<_>>().len()
        }
        Standard::Plain => {
            let mut all: HashMap<[u8; 3], usize> = HashMap::new();
            for (colour, count) in counts {
                *all.entry(near(colour)).or_default() += count;
            }
            all.values().filter(|count| enough(**count)).count()
        }
    };
    if colours < least_colours { Err(Lack::Colours(colours, least_colours)) } else { Ok(()) }
}
