//! Lines of writing in the order in which they are read.
//!
//! Everything is measured in the frame of the page: along its writing, and down from line to line. Columns of prose are
//! read one after the other; the cells of a table, which are short, row by row.

use crate::geometry::{Point, Tilted};

/// A column is read by itself when its lines are at least so many times as long as high.
const PROSE: f32 = 8.0;

/// Lines as they stand in the frame of the page.
#[derive(Clone, Copy)]
struct Place {
    number: usize,
    left: f32,
    right: f32,
    middle: f32,
    height: f32,
}

/// Rows of lines in the order of reading: numbers of `lines`, each once. A line's direction is that
/// of its letters.
pub(crate) fn rows(lines: &[Tilted]) -> Vec<Vec<usize>> {
    let Some(along) = direction(lines) else { return Vec::new() };
    let down = along.turned();
    let places = lines.iter().enumerate().map(|(number, line)| {
        let xs = line.corners().map(|corner| corner.dot(along));
        Place {
            number,
            left: xs.into_iter().fold(f32::MAX, f32::min),
            right: xs.into_iter().fold(f32::MIN, f32::max),
            middle: line.centre.dot(down),
            height: line.height,
        }
    });
    let mut rows = Vec::new();
    divide(places.collect(), &mut rows);
    rows
}

/// In which most of the writing runs: the mean of those that are near the longest line's.
fn direction(lines: &[Tilted]) -> Option<Point> {
    let longest = lines.iter().max_by(|a, b| support(lines, a).total_cmp(&support(lines, b)))?.along;
    let near = lines.iter().filter(|line| line.along.dot(longest) > 0.9);
    let sum = near.fold(Point::default(), |sum, line| sum.plus(line.along, line.width));
    let length = sum.length();
    Some(if length > 0.0 { Point::new(sum.x / length, sum.y / length) } else { longest })
}

/// How much writing runs as `line` does.
fn support(lines: &[Tilted], line: &Tilted) -> f32 {
    lines.iter().filter(|other| other.along.dot(line.along) > 0.9).map(|other| other.width).sum()
}

/// Columns where there are some, else rows.
fn divide(places: Vec<Place>, rows: &mut Vec<Vec<usize>>) {
    if let Some((left, right)) = columns(&places) {
        divide(left, rows);
        divide(right, rows);
        return;
    }
    if let Some((above, below)) = bands(&places) {
        divide(above, rows);
        divide(below, rows);
        return;
    }
    rows.extend(in_rows(places));
}

/// Divides at an upright gap with prose on both sides.
fn columns(places: &[Place]) -> Option<(Vec<Place>, Vec<Place>)> {
    if places.len() < 4 {
        return None;
    }
    let height = median(places.iter().map(|place| place.height));
    let mut sorted = places.to_vec();
    sorted.sort_by(|a, b| a.left.total_cmp(&b.left));
    let mut end = f32::MIN;
    for at in 0..sorted.len() {
        if at >= 2 && sorted.len() - at >= 2 && sorted[at].left > end + 0.8 * height {
            let (left, right) = sorted.split_at(at);
            if is_prose(left) && is_prose(right) {
                return Some((left.to_vec(), right.to_vec()));
            }
        }
        end = end.max(sorted[at].right);
    }
    None
}

fn is_prose(column: &[Place]) -> bool {
    median(column.iter().map(|place| (place.right - place.left) / place.height.max(1.0))) >= PROSE
}

/// Divides where columns begin or end, below or above lines that run across them.
fn bands(places: &[Place]) -> Option<(Vec<Place>, Vec<Place>)> {
    let mut sorted = places.to_vec();
    sorted.sort_by(|a, b| a.middle.total_cmp(&b.middle));
    let left = sorted.iter().map(|place| place.left).fold(f32::MAX, f32::min);
    let right = sorted.iter().map(|place| place.right).fold(f32::MIN, f32::max);
    let is_wide = |place: &Place| place.right - place.left > 0.6 * (right - left);
    let mut begin = 0;
    for run in sorted.chunk_by(|a, b| is_wide(a) == is_wide(b)) {
        let end = begin + run.len();
        if run.len() < sorted.len() && !is_wide(&run[0]) && columns(run).is_some() {
            let (above, below) = sorted.split_at(if begin > 0 { begin } else { end });
            return Some((above.to_vec(), below.to_vec()));
        }
        begin = end;
    }
    None
}

/// Lines beside one another are a row, from its begin to its end.
fn in_rows(mut places: Vec<Place>) -> Vec<Vec<usize>> {
    places.sort_by(|a, b| a.middle.total_cmp(&b.middle));
    let mut rows: Vec<Vec<Place>> = Vec::new();
    for place in places {
        let row = rows.last_mut().filter(|row| {
            let middle = row.iter().map(|other| other.middle).sum::<f32>() / row.len() as f32;
            let height = row.iter().map(|other| other.height).fold(place.height, f32::min);
            // Of two that lie one upon the other, one is below.
            (place.middle - middle).abs() < 0.5 * height && !row.iter().any(|other| overlaps(&place, other))
        });
        match row {
            Some(row) => row.push(place),
            None => rows.push(vec![place]),
        }
    }
    rows.into_iter()
        .map(|mut row| {
            row.sort_by(|a, b| a.left.total_cmp(&b.left));
            row.into_iter().map(|place| place.number).collect()
        })
        .collect()
}

/// Whether two lines share more than a little of their lengths.
fn overlaps(a: &Place, b: &Place) -> bool {
    let shared = a.right.min(b.right) - a.left.max(b.left);
    shared > 0.5 * (a.right - a.left).min(b.right - b.left)
}

fn median(values: impl Iterator<Item = f32>) -> f32 {
    let mut values: Vec<_> = values.collect();
    values.sort_by(f32::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Lines of (left, top, width), 20 high, on a page that is turned around its corner.
    fn read(degrees: f32, lines: &[(f32, f32, f32)]) -> Vec<Vec<usize>> {
        let (y, x) = degrees.to_radians().sin_cos();
        let along = Point::new(x, y);
        let line = |&(left, top, width): &(f32, f32, f32)| {
            let centre = Point::default().plus(along, left + width / 2.0).plus(along.turned(), top + 10.0);
            Tilted { centre, along, width, height: 20.0 }
        };
        rows(&lines.iter().map(line).collect::<Vec<_>>())
    }

    #[test]
    fn lines_are_read_down_and_rows_from_left_to_right_however_the_page_is_turned() {
        for degrees in [0.0, 3.0, 45.0, 90.0, 177.0, 180.0, 270.0] {
            let order =
                read(degrees, &[(300.0, 2.0, 100.0), (0.0, 60.0, 200.0), (0.0, 0.0, 200.0), (0.0, 30.0, 200.0)]);
            assert_eq!(order, [vec![2, 0], vec![3], vec![1]], "{degrees}");
        }
    }

    #[test]
    fn columns_of_prose_are_read_one_after_the_other() {
        let column = |left: f32| (0..4).map(move |row| (left, 30.0 * row as f32, 300.0));
        let lines: Vec<_> = column(400.0).chain(column(0.0)).collect();
        let expected: Vec<_> = [4, 5, 6, 7, 0, 1, 2, 3].map(|number| vec![number]).into();
        assert_eq!(read(0.0, &lines), expected);

        let mut headed = lines;
        headed.push((0.0, -60.0, 700.0));
        let expected: Vec<_> = [8, 4, 5, 6, 7, 0, 1, 2, 3].map(|number| vec![number]).into();
        assert_eq!(read(0.0, &headed), expected, "below a heading over both");
    }

    #[test]
    fn the_cells_of_a_table_are_read_row_by_row() {
        let cells: Vec<_> = (0..6).map(|cell| (300.0 * (cell % 2) as f32, 30.0 * (cell / 2) as f32, 70.0)).collect();
        assert_eq!(read(0.0, &cells), [[0, 1], [2, 3], [4, 5]]);
    }

    #[test]
    fn a_bill_keeps_its_prices_beside_what_they_are_for() {
        let entries: Vec<_> =
            (0..6).flat_map(|row| [(0.0, 30.0 * row as f32, 300.0), (400.0, 30.0 * row as f32 - 2.0, 50.0)]).collect();
        let expected: Vec<_> = (0..6).map(|row| vec![2 * row, 2 * row + 1]).collect();
        assert_eq!(read(0.0, &entries), expected);
    }

    #[test]
    fn no_lines_have_no_order() {
        assert_eq!(rows(&[]), Vec::<Vec<usize>>::new());
    }

    proptest! {
        #[test]
        fn every_line_is_read_once(lines in prop::collection::vec((0.0_f32..900.0, 0.0_f32..900.0, 1.0_f32..900.0), 0..60)) {
            let mut read: Vec<_> = read(5.0, &lines).concat();
            read.sort_unstable();
            prop_assert_eq!(read, (0..lines.len()).collect::<Vec<_>>());
        }
    }
}
