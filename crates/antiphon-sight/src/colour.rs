//! The colours that most of a picture has, in words.

use image::{RgbImage, imageops};
use serde::{Deserialize, Serialize};

/// The picture is seen in so many pixels on each side.
const SIDE: u32 = 64;

/// Less is a detail.
const SHARE: f32 = 0.1;

/// A colour, by its common name.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Colour {
    pub name: String,
    /// Of the picture, between 0 and 1.
    pub share: f32,
}

/// At most four, the most frequent first.
pub(crate) fn colours(picture: &RgbImage) -> Vec<Colour> {
    let small = imageops::thumbnail(picture, picture.width().min(SIDE), picture.height().min(SIDE));
    let mut counts: Vec<(&str, u32)> = Vec::new();
    for pixel in small.pixels() {
        let name = name(pixel.0);
        match counts.iter_mut().find(|(known, _)| *known == name) {
            Some((_, count)) => *count += 1,
            None => counts.push((name, 1)),
        }
    }
    counts.sort_by_key(|&(name, count)| (std::cmp::Reverse(count), name));
    let all = (small.width() * small.height()).max(1) as f32;
    let colours = counts.into_iter().map(|(name, count)| Colour { name: name.to_owned(), share: count as f32 / all });
    colours.filter(|colour| colour.share >= SHARE).take(4).collect()
}

/// By lightness and saturation where they are extreme, else by hue.
fn name(pixel: [u8; 3]) -> &'static str {
    let [red, green, blue] = pixel.map(|value| f32::from(value) / 255.0);
    let (most, least) = (red.max(green).max(blue), red.min(green).min(blue));
    let range = most - least;
    if most < 0.15 {
        return "black";
    }
    if range < 0.1 || range / most < 0.12 {
        return match most {
            ..0.35 => "dark grey",
            ..0.7 => "grey",
            ..0.9 => "light grey",
            _ => "white",
        };
    }
    let hue = if most == red {
        60.0 * ((green - blue) / range).rem_euclid(6.0)
    } else if most == green {
        60.0 * ((blue - red) / range + 2.0)
    } else {
        60.0 * ((red - green) / range + 4.0)
    };
    let (is_pale, is_dark) = (range / most < 0.45 && most > 0.75, most < 0.6);
    match hue {
        15.0..45.0 if is_dark => "brown",
        15.0..45.0 if is_pale => "beige",
        15.0..45.0 => "orange",
        45.0..70.0 if is_dark => "olive",
        45.0..70.0 => "yellow",
        70.0..165.0 if is_dark => "dark green",
        70.0..165.0 if is_pale => "light green",
        70.0..165.0 => "green",
        165.0..195.0 => "turquoise",
        195.0..255.0 if is_dark => "dark blue",
        195.0..255.0 if is_pale => "light blue",
        195.0..255.0 => "blue",
        255.0..290.0 => "purple",
        290.0..345.0 if is_dark => "purple",
        290.0..345.0 => "pink",
        _ if is_dark => "dark red",
        _ if is_pale => "pink",
        _ => "red",
    }
}

#[cfg(test)]
mod tests {
    use image::Rgb;

    use super::*;

    #[test]
    fn colours_have_the_names_that_people_give_them() {
        for (pixel, expected) in [
            ([0, 0, 0], "black"),
            ([255, 255, 255], "white"),
            ([128, 128, 128], "grey"),
            ([220, 20, 30], "red"),
            ([255, 140, 0], "orange"),
            ([110, 70, 30], "brown"),
            ([250, 220, 20], "yellow"),
            ([30, 180, 40], "green"),
            ([0, 200, 200], "turquoise"),
            ([30, 60, 220], "blue"),
            ([20, 30, 90], "dark blue"),
            ([255, 150, 190], "pink"),
            ([120, 40, 200], "purple"),
        ] {
            assert_eq!(name(pixel), expected, "{pixel:?}");
        }
    }

    #[test]
    fn the_most_frequent_come_first_and_details_are_left_out() {
        let picture = RgbImage::from_fn(100, 50, |x, _| match x {
            0..70 => Rgb([255, 255, 255]),
            70..95 => Rgb([30, 60, 220]),
            _ => Rgb([220, 20, 30]),
        });
        let names: Vec<_> = colours(&picture).into_iter().map(|colour| colour.name).collect();
        assert_eq!(names, ["white", "blue"]);
        assert_eq!(colours(&RgbImage::from_pixel(1, 1, Rgb([0; 3])))[0].name, "black");
    }
}
