//! A tilted rectangle of a picture as a picture of its own, upright.

use image::{Rgb, RgbImage};

use crate::geometry::{Point, Tilted};

/// In pixels. A network gets at most as much of a line, in any case.
const LONGEST: f32 = 4096.0;

/// What `rectangle` shows of `picture`; beyond its edges the pixels there go on.
pub(crate) fn crop(picture: &RgbImage, rectangle: &Tilted) -> RgbImage {
    let [width, height] = [rectangle.width, rectangle.height].map(|side| side.round().clamp(1.0, LONGEST) as u32);
    let down = rectangle.along.turned();
    let [first, ..] = rectangle.corners();
    let (step, line) = (rectangle.width / width as f32, rectangle.height / height as f32);
    RgbImage::from_fn(width, height, |x, y| {
        let point = first.plus(rectangle.along, (x as f32 + 0.5) * step).plus(down, (y as f32 + 0.5) * line);
        sample(picture, point)
    })
}

/// The colour between the middles of the four pixels around a point.
fn sample(picture: &RgbImage, point: Point) -> Rgb<u8> {
    let inside = |value: f32, size: u32| (value - 0.5).clamp(0.0, size.saturating_sub(1) as f32);
    let (x, y) = (inside(point.x, picture.width()), inside(point.y, picture.height()));
    let (left, top) = (x as u32, y as u32);
    let (right, bottom) = ((left + 1).min(picture.width() - 1), (top + 1).min(picture.height() - 1));
    let (rest_x, rest_y) = (x - left as f32, y - top as f32);
    let pixel = |x, y| picture.get_pixel(x, y).0.map(f32::from);
    let (nw, ne, sw, se) = (pixel(left, top), pixel(right, top), pixel(left, bottom), pixel(right, bottom));
    Rgb(std::array::from_fn(|channel| {
        let upper = nw[channel] + (ne[channel] - nw[channel]) * rest_x;
        let lower = sw[channel] + (se[channel] - sw[channel]) * rest_x;
        (upper + (lower - upper) * rest_y).round() as u8
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_direction_shows_the_same_pixels_in_another_order() {
        let picture = RgbImage::from_fn(3, 2, |x, y| Rgb([(10 * x + y) as u8, 0, 0]));
        let whole = Tilted { centre: Point::new(1.5, 1.0), along: Point::new(1.0, 0.0), width: 3.0, height: 2.0 };
        let reds = |rectangle: &Tilted| crop(&picture, rectangle).pixels().map(|pixel| pixel.0[0]).collect::<Vec<_>>();
        assert_eq!(reds(&whole), [0, 10, 20, 1, 11, 21]);
        assert_eq!(reds(&whole.upside_down()), [21, 11, 1, 20, 10, 0]);
        assert_eq!(reds(&whole.turned()), [20, 21, 10, 11, 0, 1], "read from the top to the bottom");
    }

    #[test]
    fn beyond_the_edges_the_picture_goes_on() {
        let picture = RgbImage::from_pixel(2, 2, Rgb([7, 8, 9]));
        let around = Tilted { centre: Point::new(1.0, 1.0), along: Point::new(0.8, 0.6), width: 9.0, height: 5.0 };
        assert_eq!(crop(&picture, &around), RgbImage::from_pixel(9, 5, Rgb([7, 8, 9])));
    }
}
