//! The regions of a map of chances where writing was found.

use std::collections::BTreeMap;

use crate::geometry::{Point, Tilted};

/// From this chance on a pixel is a part of writing.
const PIXEL: f32 = 0.3;

/// Below this mean chance a region is none.
const REGION: f32 = 0.5;

/// A pixel of the map's writing is the middle of a line: letters reach this much further out, as area by circumference.
const UNCLIP: f32 = 1.6;

/// In pixels of the map. Whatever is thinner cannot be read.
const THINNEST: f32 = 3.0;

/// More lines are not looked at; a picture of noise has thousands.
const MOST: usize = 1000;

/// Chances between 0 and 1 that a pixel is the middle part of a line of writing, row by row.
pub(crate) struct Map<'a> {
    pub(crate) width: usize,
    pub(crate) chances: &'a [f32],
}

impl Map<'_> {
    /// Rectangles around the lines of writing, in pixels of the map; the largest first, if there are too many.
    pub(crate) fn lines(&self) -> Vec<Tilted> {
        let mut regions = self.regions();
        regions.sort_by_key(|region| std::cmp::Reverse(region.len()));
        regions.truncate(MOST);
        regions.iter().filter_map(|region| self.line(region)).collect()
    }

    fn line(&self, region: &[usize]) -> Option<Tilted> {
        let mut sum = 0.0;
        // The corners of its hull are at the ends of its rows.
        let mut rows: BTreeMap<usize, (usize, usize)> = BTreeMap::new();
        for &pixel in region {
            sum += self.chances[pixel];
            let (x, y) = (pixel % self.width, pixel / self.width);
            let ends = rows.entry(y).or_insert((x, x));
            *ends = (ends.0.min(x), ends.1.max(x));
        }
        let corners = rows.into_iter().flat_map(|(y, (left, right))| {
            [(left, y), (right + 1, y), (left, y + 1), (right + 1, y + 1)].map(|(x, y)| Point::new(x as f32, y as f32))
        });
        let rectangle = Tilted::around(corners.collect())?;
        let thinnest = rectangle.width.min(rectangle.height);
        if sum / (region.len() as f32) < REGION || thinnest < THINNEST {
            return None;
        }
        Some(rectangle.grown(UNCLIP * rectangle.area() / (2.0 * (rectangle.width + rectangle.height))))
    }

    /// Pixels that touch one another, also by a corner.
    fn regions(&self) -> Vec<Vec<usize>> {
        let height = self.chances.len().checked_div(self.width).unwrap_or_default();
        let mut waits: Vec<bool> = self.chances.iter().map(|&chance| chance > PIXEL).collect();
        let mut regions = Vec::new();
        for first in 0..self.width * height {
            if !std::mem::take(&mut waits[first]) {
                continue;
            }
            let mut region = vec![first];
            let mut next = 0;
            while let Some(&pixel) = region.get(next) {
                next += 1;
                let (x, y) = (pixel % self.width, pixel / self.width);
                for row in y.saturating_sub(1)..=(y + 1).min(height - 1) {
                    for column in x.saturating_sub(1)..=(x + 1).min(self.width - 1) {
                        let neighbour = row * self.width + column;
                        if std::mem::take(&mut waits[neighbour]) {
                            region.push(neighbour);
                        }
                    }
                }
            }
            regions.push(region);
        }
        regions
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A map of which the rectangles hold a chance.
    fn lines(
        width: usize,
        height: usize,
        written: &[(std::ops::Range<usize>, std::ops::Range<usize>, f32)],
    ) -> Vec<Tilted> {
        let mut chances = vec![0.0; width * height];
        for (columns, rows, chance) in written {
            for row in rows.clone() {
                for column in columns.clone() {
                    chances[row * width + column] = *chance;
                }
            }
        }
        Map { width, chances: &chances }.lines()
    }

    #[test]
    fn a_long_flat_line_is_found_and_grows_by_its_letters() {
        let found = lines(320, 64, &[(20..300, 30..36, 0.9)]);
        let [line] = found.as_slice() else { panic!("{found:?}") };
        let out = 1.6 * 280.0 * 6.0 / (2.0 * 286.0);
        let line = line.along_writing();
        assert_eq!(line.centre, Point::new(160.0, 33.0));
        assert!(
            (line.width - 280.0 - 2.0 * out).abs() < 0.01 && (line.height - 6.0 - 2.0 * out).abs() < 0.01,
            "{line:?}"
        );
    }

    #[test]
    fn faint_and_thin_regions_are_no_lines() {
        assert_eq!(lines(100, 50, &[(10..90, 20..26, 0.4)]), []);
        assert_eq!(lines(100, 50, &[(10..90, 20..22, 0.9)]), []);
        assert_eq!(lines(100, 50, &[]), []);
        assert_eq!(Map { width: 0, chances: &[] }.lines(), []);
    }

    #[test]
    fn lines_that_do_not_touch_are_two() {
        assert_eq!(lines(100, 50, &[(0..100, 0..6, 0.9), (0..100, 7..13, 0.9)]).len(), 2);
        assert_eq!(lines(100, 50, &[(0..50, 0..6, 0.9), (50..100, 6..12, 0.9)]).len(), 1, "corners touch");
    }

    #[test]
    fn noise_is_bounded() {
        let width = 640;
        let chances: Vec<f32> =
            (0..width * width).map(|at| if at % width % 8 < 5 && at / width % 8 < 5 { 0.9 } else { 0.0 }).collect();
        assert_eq!(Map { width, chances: &chances }.lines().len(), MOST);
    }
}
