//! Points, and tilted rectangles around them.

use serde::{Deserialize, Serialize};

/// In pixels, from the upper left corner.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Point {
    pub x: f32,
    pub y: f32,
}

impl Point {
    pub(crate) const fn new(x: f32, y: f32) -> Self {
        Self { x, y }
    }

    pub(crate) fn dot(self, other: Self) -> f32 {
        self.x * other.x + self.y * other.y
    }

    /// A quarter of a turn on, clockwise as one sees it.
    pub(crate) const fn turned(self) -> Self {
        Self::new(-self.y, self.x)
    }

    pub(crate) fn plus(self, direction: Self, length: f32) -> Self {
        Self::new(self.x + direction.x * length, self.y + direction.y * length)
    }

    fn minus(self, other: Self) -> Self {
        Self::new(self.x - other.x, self.y - other.y)
    }

    pub(crate) fn length(self) -> f32 {
        self.x.hypot(self.y)
    }
}

/// A rectangle that may be tilted.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Tilted {
    pub(crate) centre: Point,
    /// Of length 1, along its width.
    pub(crate) along: Point,
    pub(crate) width: f32,
    pub(crate) height: f32,
}

impl Tilted {
    /// The smallest one around `points`; `None` around nothing.
    ///
    /// It has an edge in common with the points' hull, so that each of those edges is tried.
    pub(crate) fn around(points: Vec<Point>) -> Option<Self> {
        let hull = hull(points);
        let first = *hull.first()?;
        let mut smallest: Option<Self> = None;
        for (number, &corner) in hull.iter().enumerate() {
            let edge = hull[(number + 1) % hull.len()].minus(corner);
            let length = edge.length();
            let along = if length > 0.0 { Point::new(edge.x / length, edge.y / length) } else { Point::new(1.0, 0.0) };
            let rectangle = Self::in_direction(&hull, first, along);
            if smallest.is_none_or(|smallest| rectangle.area() < smallest.area()) {
                smallest = Some(rectangle);
            }
        }
        smallest
    }

    /// The one around `points` whose width runs `along`. Measured from `origin`, where floats are finest.
    fn in_direction(points: &[Point], origin: Point, along: Point) -> Self {
        let down = along.turned();
        let (mut left, mut right, mut top, mut bottom) = (f32::MAX, f32::MIN, f32::MAX, f32::MIN);
        for point in points {
            let point = point.minus(origin);
            let (x, y) = (point.dot(along), point.dot(down));
            (left, right) = (left.min(x), right.max(x));
            (top, bottom) = (top.min(y), bottom.max(y));
        }
        let centre = origin.plus(along, f32::midpoint(left, right)).plus(down, f32::midpoint(top, bottom));
        Self { centre, along, width: right - left, height: bottom - top }
    }

    pub(crate) fn area(&self) -> f32 {
        self.width * self.height
    }

    /// The same with its edges `distance` further out.
    pub(crate) fn grown(self, distance: f32) -> Self {
        Self { width: self.width + 2.0 * distance, height: self.height + 2.0 * distance, ..self }
    }

    /// The same on a picture that is so many times as wide and as high.
    ///
    /// Where both differ it stays a rectangle, with its middle line where that belongs.
    pub(crate) fn scaled(self, x: f32, y: f32) -> Self {
        let along = Point::new(self.along.x * x, self.along.y * y);
        let down = self.along.turned();
        let down = Point::new(down.x * x, down.y * y);
        let stretched = along.length();
        Self {
            centre: Point::new(self.centre.x * x, self.centre.y * y),
            along: Point::new(along.x / stretched, along.y / stretched),
            width: self.width * stretched,
            height: self.height * down.length(),
        }
    }

    /// The same rectangle, begun at its next corner: what ran down now runs along.
    pub(crate) fn turned(self) -> Self {
        Self { along: self.along.turned(), width: self.height, height: self.width, ..self }
    }

    /// The same rectangle, seen by someone who stands on their head.
    pub(crate) fn upside_down(self) -> Self {
        Self { along: Point::new(-self.along.x, -self.along.y), ..self }
    }

    /// The same rectangle, with its width along the writing that it may hold: along its longer side, which runs to
    /// the right, or down where it is steep.
    pub(crate) fn along_writing(self) -> Self {
        // Single letters are often a little higher than wide.
        let mut writing = if self.height > 1.5 * self.width { self.turned() } else { self };
        if writing.width < 1.5 * writing.height && writing.along.x.abs() < writing.along.y.abs() {
            writing = writing.turned();
        }
        let is_steep = writing.along.x.abs() < writing.along.y.abs();
        let leads_back = if is_steep { writing.along.y < 0.0 } else { writing.along.x < 0.0 };
        if leads_back { writing.upside_down() } else { writing }
    }

    /// From its upper left corner, in the order of the clock.
    pub(crate) fn corners(&self) -> [Point; 4] {
        let down = self.along.turned();
        let corner =
            |x: f32, y: f32| self.centre.plus(self.along, x * self.width / 2.0).plus(down, y * self.height / 2.0);
        [corner(-1.0, -1.0), corner(1.0, -1.0), corner(1.0, 1.0), corner(-1.0, 1.0)]
    }

    /// Whether `point` is in it, or at most `slack` outside.
    #[cfg(test)]
    pub(crate) fn holds(&self, point: Point, slack: f32) -> bool {
        let from = point.minus(self.centre);
        from.dot(self.along).abs() <= self.width / 2.0 + slack
            && from.dot(self.along.turned()).abs() <= self.height / 2.0 + slack
    }
}

/// The corners of the smallest convex shape around `points`, in the order of the clock; of points on one line its ends.
fn hull(mut points: Vec<Point>) -> Vec<Point> {
    points.retain(|point| point.x.is_finite() && point.y.is_finite());
    points.sort_by(|a, b| a.x.total_cmp(&b.x).then(a.y.total_cmp(&b.y)));
    points.dedup();
    if points.len() < 3 {
        return points;
    }
    let mut hull: Vec<Point> = Vec::new();
    let mut side = |points: &mut dyn Iterator<Item = Point>| {
        let begin = hull.len();
        for point in points {
            while hull.len() >= begin + 2 && turn(hull[hull.len() - 2], hull[hull.len() - 1], point) <= 0.0 {
                hull.pop();
            }
            hull.push(point);
        }
        // It is the first of the other side.
        hull.pop();
    };
    side(&mut points.iter().copied());
    side(&mut points.iter().rev().copied());
    hull
}

/// Above 0 when the way from `a` over `b` to `c` turns clockwise, as one sees it.
fn turn(a: Point, b: Point, c: Point) -> f64 {
    let (abx, aby) = (f64::from(b.x) - f64::from(a.x), f64::from(b.y) - f64::from(a.y));
    let (acx, acy) = (f64::from(c.x) - f64::from(a.x), f64::from(c.y) - f64::from(a.y));
    abx * acy - aby * acx
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn points() -> impl Strategy<Value = Vec<Point>> {
        let point = |most: i32| (0..most, 0..most).prop_map(|(x, y)| Point::new(x as f32, y as f32));
        let line = (0..1600_i32, 0..1600_i32, 1..4_i32, 50..1600_i32).prop_map(|(left, top, high, wide)| {
            let pixel = |x: i32, y: i32| Point::new((left + x) as f32, (top + y) as f32);
            (0..wide).flat_map(|x| (0..high).map(move |y| pixel(x, y))).collect()
        });
        prop_oneof![
            prop::collection::vec(point(1600), 1..200),
            prop::collection::vec(point(4), 1..20),
            // Long, thin and upright: a line of writing.
            line,
        ]
    }

    proptest! {
        #[test]
        fn the_rectangle_holds_every_point(points in points()) {
            let rectangle = Tilted::around(points.clone()).unwrap();
            for &point in &points {
                prop_assert!(rectangle.holds(point, 0.01), "{point:?} is outside of {rectangle:?}");
            }
        }

        #[test]
        fn no_rectangle_of_another_direction_is_smaller(points in points(), degrees in 0.0_f32..180.0) {
            let smallest = Tilted::around(points.clone()).unwrap();
            let (y, x) = degrees.to_radians().sin_cos();
            let other = Tilted::in_direction(&points, points[0], Point::new(x, y));
            prop_assert!(smallest.area() <= other.area() * 1.001 + 1.0, "{smallest:?} and {other:?}");
        }

        #[test]
        fn a_rectangle_is_found_again_however_it_is_tilted(
            // Wider than high by so much that there is no doubt in which direction it is written.
            degrees in 0.0_f32..180.0, width in 30.0_f32..800.0, height in 2.0_f32..19.0,
        ) {
            let (y, x) = degrees.to_radians().sin_cos();
            let drawn = Tilted { centre: Point::new(700.0, 700.0), along: Point::new(x, y), width, height };
            let found = Tilted::around(drawn.corners().to_vec()).unwrap().along_writing();
            prop_assert!((found.width - width).abs() < 0.1 && (found.height - height).abs() < 0.1, "{found:?}");
            prop_assert!(found.along.dot(drawn.along).abs() > 0.999);
            for (a, b) in [(found, drawn), (drawn, found)] {
                prop_assert!(a.corners().into_iter().all(|corner| b.holds(corner, 0.5)));
            }
        }

        #[test]
        fn growing_and_turning_keep_what_was_inside(points in points(), distance in 0.0_f32..50.0) {
            let rectangle = Tilted::around(points.clone()).unwrap();
            for other in [rectangle.grown(distance), rectangle.turned(), rectangle.upside_down(), rectangle.along_writing()] {
                prop_assert!(points.iter().all(|&point| other.holds(point, 0.01)));
            }
        }
    }

    #[test]
    fn nothing_has_no_rectangle() {
        assert_eq!(Tilted::around(Vec::new()), None);
        assert_eq!(Tilted::around(vec![Point::new(f32::NAN, 1.0)]), None);
    }

    #[test]
    fn writing_runs_to_the_right_or_down() {
        let corners = |points: [(f32, f32); 4]| {
            Tilted::around(points.into_iter().map(|(x, y)| Point::new(x, y)).collect()).unwrap().along_writing()
        };
        let flat = corners([(0.0, 0.0), (100.0, 0.0), (100.0, 10.0), (0.0, 10.0)]);
        assert_eq!((flat.along, flat.width, flat.height), (Point::new(1.0, 0.0), 100.0, 10.0));
        let steep = corners([(0.0, 0.0), (10.0, 0.0), (10.0, 100.0), (0.0, 100.0)]);
        assert_eq!((steep.along, steep.width, steep.height), (Point::new(0.0, 1.0), 100.0, 10.0));
        let letter = corners([(0.0, 0.0), (10.0, 0.0), (10.0, 12.0), (0.0, 12.0)]);
        assert_eq!((letter.along, letter.width, letter.height), (Point::new(1.0, 0.0), 10.0, 12.0));
    }
}
