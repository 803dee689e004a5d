//! The networks together: from a picture to the lines of its writing, in the order in which they are read.

use std::path::{Path, PathBuf};
use std::time::Instant;

use image::RgbImage;
use serde::{Deserialize, Serialize};

use crate::alphabet::Alphabet;
use crate::colour::{Colour, colours};
use crate::crop::crop;
use crate::geometry::{Point, Tilted};
use crate::network::{Broken, Network, input};
use crate::order::rows;
use crate::region::Map;
use crate::{Picture, label::Labels};

/// A line read with less certainty is none.
const SURE: f32 = 0.5;

/// A line read less surely than this is tried the other way around too.
const DOUBTFUL: f32 = 0.8;

/// Lines of fewer pixels, in what the finding network sees, are looked for again in a larger picture.
const SMALL: f32 = 16.0;

/// Writing is read in letters of this many pixels.
const LETTERS: u32 = 48;

/// In pixels: the reading network sees shorter lines beside nothing, and longer ones narrower than they are.
const SHORTEST: u32 = 320;
const LONGEST: u32 = 3200;

/// How closely a picture is looked at (specification 03, `resolution`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Resolution {
    Low,
    #[default]
    Medium,
    High,
    UltraHigh,
}

impl Resolution {
    const ALL: [Self; 4] = [Self::Low, Self::Medium, Self::High, Self::UltraHigh];

    /// As the API writes it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::UltraHigh => "ultra_high",
        }
    }

    /// The longest side of what the finding network sees, in pixels.
    const fn side(self) -> u32 {
        match self {
            Self::Low => 640,
            Self::Medium => 960,
            Self::High | Self::UltraHigh => 1600,
        }
    }

    /// The same when writing turns out to be small.
    const fn closer(self) -> u32 {
        match self {
            Self::Low => 640,
            Self::Medium => 1920,
            Self::High | Self::UltraHigh => 2560,
        }
    }
}

impl std::str::FromStr for Resolution {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let known = Self::ALL.into_iter().find(|resolution| resolution.name() == name);
        known.ok_or_else(|| format!("expected low, medium, high or ultra_high, got `{}`", name.escape_debug()))
    }
}

/// Where the networks are: ONNX files.
#[derive(Clone, Debug)]
pub struct Paths {
    /// Finds writing.
    pub detector: PathBuf,
    /// Reads it; its letters are in its metadata.
    pub recogniser: PathBuf,
    /// Tells writing from writing upside down.
    pub direction: PathBuf,
    /// Names what is on a picture, where it is wanted.
    pub labels: Option<PathBuf>,
}

impl Paths {
    /// In the folders of the catalogue's `ppocr-v6-small` and, where it is installed, `efficientnet-lite0`.
    pub fn of_bundles(reading: &Path, labels: Option<&Path>) -> Self {
        Self {
            detector: reading.join("det.onnx"),
            recogniser: reading.join("rec.onnx"),
            direction: reading.join("cls.onnx"),
            labels: labels.map(|folder| folder.join("efficientnet-lite0.pth")),
        }
    }
}

/// What was seen in a picture.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Seen {
    /// In the order of reading.
    pub lines: Vec<Line>,
    /// What may be on it, the likeliest first; at most three.
    pub labels: Vec<Label>,
    /// What most of it is painted in.
    pub colours: Vec<Colour>,
    /// In pixels, of the picture as it came.
    pub width: u32,
    pub height: u32,
    /// How long it was looked at.
    pub seconds: f64,
}

/// A piece of writing in one line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Line {
    pub text: String,
    /// How sure it was read, between 0 and 1.
    pub score: f32,
    /// Its corners in pixels of the picture, clockwise from where it begins.
    pub corners: [Point; 4],
    /// Those beside one another have the same number.
    pub row: usize,
}

/// A thing that may be on a picture.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Label {
    pub name: String,
    /// Between 0 and 1.
    pub chance: f32,
}

impl Seen {
    /// Its writing: a line of text for each row, two spaces between what stands apart.
    pub fn text(&self) -> String {
        let rows = self.lines.chunk_by(|a, b| a.row == b.row);
        let row = |row: &[Line]| row.iter().map(|line| line.text.as_str()).collect::<Vec<_>>().join("  ");
        rows.map(row).collect::<Vec<_>>().join("\n")
    }
}

/// The networks, loaded. It looks at one picture at a time, on all processors.
pub struct Eye {
    detector: Network,
    recogniser: Network,
    direction: Network,
    alphabet: Alphabet,
    labels: Option<Labels>,
}

/// A line as it was found, before it is read.
struct Found {
    place: Tilted,
    picture: RgbImage,
    /// The chance that its letters stand on their heads.
    inverted: f32,
}

impl Eye {
    /// # Errors
    /// [`Broken`] when a file is not a network that is understood.
    pub fn load(paths: &Paths) -> Result<Self, Broken> {
        let recogniser = Network::load(&paths.recogniser)?;
        Ok(Self {
            detector: Network::load(&paths.detector)?,
            direction: Network::load(&paths.direction)?,
            alphabet: Alphabet::new(recogniser.note("character")?),
            recogniser,
            labels: paths.labels.as_deref().map(Labels::load).transpose()?,
        })
    }

    /// Looks at a picture.
    ///
    /// # Errors
    /// [`Broken`] when a network does not answer as it should.
    pub fn look(&self, picture: &Picture, resolution: Resolution) -> Result<Seen, Broken> {
        let begun = Instant::now();
        let pixels = &picture.pixels;
        let labels = self.labels.as_ref().map(|labels| labels.name(pixels)).transpose()?.unwrap_or_default();
        let larger = picture.width as f32 / pixels.width() as f32;
        let lines = self.read(pixels, resolution)?;
        let places: Vec<_> = lines.iter().map(|(place, ..)| *place).collect();
        let mut read = Vec::new();
        for (row, numbers) in rows(&places).into_iter().enumerate() {
            for number in numbers {
                let (place, text, score) = &lines[number];
                let corners = place.corners().map(|corner| Point::new(corner.x * larger, corner.y * larger));
                read.push(Line { text: text.clone(), score: *score, corners, row });
            }
        }
        Ok(Seen {
            lines: read,
            labels,
            colours: colours(pixels),
            width: picture.width,
            height: picture.height,
            seconds: begun.elapsed().as_secs_f64(),
        })
    }

    /// Lines of writing: where, what, and how surely.
    fn read(&self, pixels: &RgbImage, resolution: Resolution) -> Result<Vec<(Tilted, String, f32)>, Broken> {
        let mut found = Vec::new();
        for place in self.find(pixels, resolution)? {
            let place = place.along_writing();
            let picture = crop(pixels, &place);
            found.push(Found { place, inverted: self.inverted(&picture)?, picture });
        }
        let mut lines = Vec::new();
        for line in &found {
            let is_inverted = self.is_inverted(line, &found);
            let mut best = self.recognise(&line.picture, is_inverted)?;
            let mut turned = is_inverted;
            if best.1 < DOUBTFUL {
                let other = self.recognise(&line.picture, !is_inverted)?;
                if other.1 > best.1 {
                    (best, turned) = (other, !is_inverted);
                }
            }
            let (text, score) = best;
            if score >= SURE && !text.trim().is_empty() {
                let place = if turned { line.place.upside_down() } else { line.place };
                lines.push((place, text.trim().to_owned(), score));
            }
        }
        Ok(lines)
    }

    /// Where writing is; looked for again in a larger picture when it is small.
    fn find(&self, pixels: &RgbImage, resolution: Resolution) -> Result<Vec<Tilted>, Broken> {
        let longest = pixels.width().max(pixels.height());
        let side = resolution.side().min(longest);
        let lines = self.detect(pixels, side)?;
        let closer = resolution.closer().min(2 * longest);
        let mut heights: Vec<_> = lines.iter().map(|line| line.width.min(line.height)).collect();
        heights.sort_by(f32::total_cmp);
        let Some(height) = heights.get(heights.len() / 2) else { return Ok(lines) };
        if height * side as f32 / longest as f32 >= SMALL || closer * 4 < side * 5 {
            return Ok(lines);
        }
        self.detect(pixels, closer)
    }

    /// Where writing is, in a picture whose longest side is brought to `side`.
    fn detect(&self, pixels: &RgbImage, side: u32) -> Result<Vec<Tilted>, Broken> {
        let longest = pixels.width().max(pixels.height()) as f32;
        // The network halves its picture five times.
        let fit = |size: u32| ((size as f32 * side as f32 / longest / 32.0).round() as u32).max(1) * 32;
        let (width, height) = (fit(pixels.width()), fit(pixels.height()));
        let answer = self.detector.answer(input(pixels, width, height, width))?;
        if answer.shape != [1, 1, height as usize, width as usize] {
            return Err(self.detector.broken(&format!("it answers in the shape {:?}", answer.shape)));
        }
        let (x, y) = (pixels.width() as f32 / width as f32, pixels.height() as f32 / height as f32);
        let map = Map { width: width as usize, chances: &answer.values };
        Ok(map.lines().into_iter().map(|line| line.scaled(x, y)).collect())
    }

    /// The chance that a line stands on its head.
    fn inverted(&self, line: &RgbImage) -> Result<f32, Broken> {
        let answer = self.direction.answer(input(line, width(line, 1, 192), LETTERS, 192))?;
        let [_, inverted] = answer.values[..] else {
            return Err(self.direction.broken(&format!("it answers in the shape {:?}", answer.shape)));
        };
        Ok(inverted)
    }

    /// Short lines say little of their direction, so that those that run the same way are asked together.
    fn is_inverted(&self, line: &Found, all: &[Found]) -> bool {
        let beside = all.iter().filter(|other| other.place.along.dot(line.place.along).abs() > 0.9);
        let (votes, weight) = beside.fold((0.0, 0.0), |(votes, weight), other| {
            let length = (other.place.width / other.place.height.max(1.0)).min(20.0);
            (votes + (other.inverted - 0.5) * length, weight + length)
        });
        votes / f32::max(weight, 1.0) > 0.0
    }

    fn recognise(&self, line: &RgbImage, is_inverted: bool) -> Result<(String, f32), Broken> {
        let turned;
        let line = if is_inverted {
            turned = image::imageops::rotate180(line);
            &turned
        } else {
            line
        };
        let answer = self.recogniser.answer(input(line, width(line, 8, LONGEST), LETTERS, SHORTEST))?;
        match answer.shape[..] {
            [1, _, letters] if letters == self.alphabet.len() => Ok(self.alphabet.read(&answer.values)),
            _ => {
                let letters = self.alphabet.len();
                Err(self
                    .recogniser
                    .broken(&format!("it knows {letters} letters and answers in the shape {:?}", answer.shape)))
            }
        }
    }
}

/// Of a line whose height is [`LETTERS`].
fn width(line: &RgbImage, least: u32, most: u32) -> u32 {
    let width = u64::from(line.width()) * u64::from(LETTERS);
    (width.div_ceil(u64::from(line.height().max(1)))).clamp(u64::from(least), u64::from(most)) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_of_a_picture_has_a_line_for_each_row() {
        let line = |text: &str, row| Line { text: text.to_owned(), score: 1.0, corners: <[Point; 4]>::default(), row };
        let lines = vec![line("Total", 0), line("3,50", 0), line("Obrigado", 1)];
        let seen = Seen { lines, labels: Vec::new(), colours: Vec::new(), width: 1, height: 1, seconds: 0.0 };
        assert_eq!(seen.text(), "Total  3,50\nObrigado");
    }

    #[test]
    fn lines_are_as_wide_as_their_letters_ask_for_within_bounds() {
        assert_eq!(width(&RgbImage::new(200, 24), 8, LONGEST), 400);
        assert_eq!(width(&RgbImage::new(4096, 1), 8, LONGEST), LONGEST);
        assert_eq!(width(&RgbImage::new(1, 4096), 8, LONGEST), 8);
    }
}
