//! What is written and may be seen in pictures, which a process of its own looks at.

use std::fmt::Write as _;

use antiphon_engine::{Derived, Medium};
use antiphon_sight::{Checker, Looker, NotSeen, Seen};
use antiphon_wire::{Code, Error, Resolution};
use tokio::io::AsyncRead;
use tracing::error;

use crate::source::source;

/// What looks.
#[derive(Clone, Debug)]
pub struct Eyes(pub Looker);

impl Eyes {
    /// The names of the models, and of what installs them.
    pub const READING: &str = "ppocr-v6-small";
    pub const LABELS: &str = "efficientnet-lite0";

    pub(crate) async fn look(&self, medium: &Medium) -> Result<Derived, Error> {
        let claimed = Some(medium.mime_type.as_str()).filter(|declared| !declared.is_empty());
        let seen = self.see(source(&medium.data), claimed, medium.options.resolution).await?;
        let text = text(&seen);
        Ok(Derived { has_words: text.contains(WRITING), text, tools: self.tools(), ..Derived::default() })
    }

    /// The names of what looks.
    pub(crate) fn tools(&self) -> Vec<String> {
        let mut tools = vec![Self::READING.to_owned()];
        tools.extend(self.0.labels.as_ref().map(|_| Self::LABELS.to_owned()));
        tools
    }

    /// What is seen in a frame of a video, in words; `file` is a BMP.
    pub(crate) async fn frame(&self, file: &[u8], resolution: Option<Resolution>) -> Result<String, Error> {
        Ok(content(&self.see(file, Some("image/bmp"), resolution).await?))
    }

    /// The writing in a picture that is no file: rows of red, green and blue, a byte each.
    pub(crate) async fn writing(
        &self,
        width: u32,
        height: u32,
        pixels: &[u8],
        resolution: Option<Resolution>,
    ) -> Result<String, Error> {
        let file = bitmap(width, height, pixels);
        let seen = self.see(&file[..], Some("image/bmp"), Some(resolution.unwrap_or(Resolution::High))).await?;
        Ok(seen.text())
    }

    async fn see(
        &self,
        source: impl AsyncRead + Send + Unpin,
        claimed: Option<&str>,
        resolution: Option<Resolution>,
    ) -> Result<Seen, Error> {
        let resolution = match resolution {
            Some(Resolution::Low) => antiphon_sight::Resolution::Low,
            Some(Resolution::Medium) | None => antiphon_sight::Resolution::Medium,
            Some(Resolution::High) => antiphon_sight::Resolution::High,
            Some(Resolution::UltraHigh) => antiphon_sight::Resolution::UltraHigh,
        };
        self.0.look(source, claimed, resolution).await.map_err(refused)
    }
}

/// Has a process of its own find out whether a picture can be decoded: it takes several times the
/// memory of its bytes.
///
/// # Errors
/// The picture's.
pub(crate) async fn decodable(checker: &Checker, medium: &Medium, mime_type: &str) -> Result<(), Error> {
    let claimed = Some(mime_type).filter(|claimed| !claimed.is_empty());
    checker.check(source(&medium.data), claimed).await.map_err(refused)
}

pub(crate) fn refused(why: NotSeen) -> Error {
    match why {
        NotSeen::Type(_) => Error::invalid("mime_type", why.to_string()),
        NotSeen::Fault(_) | NotSeen::Limits => Error::invalid("data", why.to_string()),
        why => {
            error!(%why, "Images cannot be looked at");
            Error::new(Code::ServiceUnavailable, "The server cannot look at images now; its log has the cause")
        }
    }
}

/// Fewer letters and digits are seldom writing: of a single one, things of its form are taken for it.
const LEAST_SIGNS: usize = 2;

/// Before what could be read.
pub(crate) const WRITING: &str = "The writing in it, as far as it could be read:";

/// What was seen, in words.
fn text(seen: &Seen) -> String {
    let content = content(seen);
    let between = if content.starts_with("Most of it") { ' ' } else { '\n' };
    format!("The image is {} pixels wide and {} high.{between}{content}", seen.width, seen.height)
}

/// What was seen in a picture of whatever size.
fn content(seen: &Seen) -> String {
    let mut text = String::new();
    let colours: Vec<_> = seen.colours.iter().map(|colour| colour.name.as_str()).collect();
    if !colours.is_empty() {
        let _ = writeln!(text, "Most of it is {}.", colours.join(", "));
    }
    let writing = seen.text();
    let signs = writing.chars().filter(|sign| sign.is_alphanumeric()).count();
    if writing.trim().is_empty() {
        text.push_str("No writing was found in it.\n");
    } else if signs < LEAST_SIGNS {
        let _ = writeln!(text, "No writing was found in it but perhaps one sign: {}.", writing.trim());
    } else {
        let _ = writeln!(text, "{WRITING}\n{writing}");
    }
    match &seen.labels[..] {
        [] => text.push_str("What it shows is not known.\n"),
        labels => {
            let names: Vec<_> =
                labels.iter().map(|label| format!("{} ({:.0} %)", label.name, label.chance * 100.0)).collect();
            let _ = writeln!(text, "A small classifier guesses that it may show: {}.", names.join(", "));
        }
    }
    text
}

/// A picture as a file of the plainest kind (BMP, 24 bits).
fn bitmap(width: u32, height: u32, pixels: &[u8]) -> Vec<u8> {
    const HEAD: u32 = 54;
    let row = width.saturating_mul(3);
    let padded = row.next_multiple_of(4);
    let padding = (padded - row) as usize;
    let size = padded.saturating_mul(height);
    let mut file = Vec::with_capacity((HEAD + size) as usize);
    file.extend(b"BM");
    for number in [HEAD + size, 0, HEAD, 40, width, height, 1 | (24 << 16), 0, size, 0, 0, 0, 0] {
        file.extend(number.to_le_bytes());
    }
    // From the lowest row to the highest, blue first.
    for line in pixels.chunks_exact(row.max(1) as usize).rev() {
        for pixel in line.chunks_exact(3) {
            file.extend([pixel[2], pixel[1], pixel[0]]);
        }
        file.resize(file.len() + padding, 0);
    }
    file
}

#[cfg(test)]
mod tests {
    use antiphon_sight::{Colour, Label, Limits, Picture, decode};
    use pretty_assertions::assert_eq;

    use super::*;

    #[test]
    fn what_was_seen_is_said_and_what_was_not() {
        let nothing =
            Seen { lines: Vec::new(), labels: Vec::new(), colours: Vec::new(), width: 3, height: 2, seconds: 0.0 };
        let expected =
            "The image is 3 pixels wide and 2 high.\nNo writing was found in it.\nWhat it shows is not known.\n";
        assert_eq!(text(&nothing), expected);
        let label = Label { name: "espresso".to_owned(), chance: 0.954 };
        let colour = Colour { name: "brown".to_owned(), share: 0.5 };
        let seen = Seen { labels: vec![label], colours: vec![colour], ..nothing };
        let expected = "The image is 3 pixels wide and 2 high. Most of it is brown.\nNo writing was found in it.\n\
                        A small classifier guesses that it may show: espresso (95 %).\n";
        assert_eq!(text(&seen), expected);
    }

    #[test]
    fn pixels_become_a_file_that_is_decoded_to_them() {
        for (width, height) in [(1, 1), (2, 3), (3, 2), (5, 1), (4, 4)] {
            let pixels: Vec<u8> = (0..width * height * 3).map(|at| (at * 7 % 251) as u8).collect();
            let file = bitmap(width, height, &pixels);
            let mut expected = Picture::of_pixels(width, height, pixels).unwrap();
            expected.mime_type = "image/bmp";
            assert_eq!(decode(&file, Some("image/bmp"), &Limits::default()), Ok(expected));
        }
    }
}
