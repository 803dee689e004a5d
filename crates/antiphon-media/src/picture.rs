//! What is written and may be seen in pictures, which a process of its own looks at.

use std::fmt::Write as _;
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::path::PathBuf;
use std::time::Duration;

use antiphon_documents::confined::{Ended, Program, confine};
use antiphon_engine::{Derived, Medium};
use antiphon_sight::{Eye, Fault, Limits, Paths, Picture, Seen, check, decode};
use antiphon_wire::{Code, Error, Resolution};
use serde::{Deserialize, Serialize};
use tracing::error;

/// What looks.
#[derive(Clone, Debug)]
pub struct Eyes {
    /// It does what [`look`] does.
    pub program: Program,
    /// Where the networks are that find and read writing.
    pub reading: PathBuf,
    /// Where the one is that names things, if it is installed.
    pub labels: Option<PathBuf>,
}

/// For that a picture takes longer, by the clock, it is given up.
const TIME: Duration = Duration::from_secs(60);

/// Of computing, for one picture.
const SECONDS: u64 = 60;

/// Networks, a picture of 50 million pixels and what is made of it.
const MEMORY: u64 = 1 << 30;

/// More is no picture that a request can hold.
const MOST_BYTES: u64 = 256 << 20;

const MOST_ANSWER: usize = 16 << 20;

/// What is to be looked at.
#[derive(Serialize, Deserialize)]
struct Order {
    subject: Subject,
    resolution: antiphon_sight::Resolution,
    reading: PathBuf,
    labels: Option<PathBuf>,
}

#[derive(Serialize, Deserialize)]
enum Subject {
    File {
        claimed: Option<String>,
    },
    /// Rows of three bytes each.
    Pixels {
        width: u32,
        height: u32,
    },
}

#[derive(Serialize, Deserialize)]
enum Answer {
    Seen(Seen),
    /// Of the picture.
    Fault(String),
    /// Of this machine.
    Broken(String),
}

impl Eyes {
    /// The names of the models, and of what installs them.
    pub const READING: &str = "ppocr-v6-small";
    pub const LABELS: &str = "efficientnet-lite0";

    pub(crate) async fn look(&self, medium: &Medium, bytes: &[u8]) -> Result<Derived, Error> {
        let claimed = Some(medium.mime_type.clone()).filter(|declared| !declared.is_empty());
        let seen = self.ask(Subject::File { claimed }, bytes, medium.options.resolution).await?;
        let mut tools = vec![Self::READING.to_owned()];
        tools.extend(self.labels.as_ref().map(|_| Self::LABELS.to_owned()));
        Ok(Derived { text: text(&seen), tools, ..Derived::default() })
    }

    /// The writing in a picture that is no file.
    pub(crate) async fn writing(
        &self,
        width: u32,
        height: u32,
        pixels: &[u8],
        resolution: Option<Resolution>,
    ) -> Result<String, Error> {
        Ok(self.ask(Subject::Pixels { width, height }, pixels, resolution).await?.text())
    }

    async fn ask(&self, subject: Subject, bytes: &[u8], resolution: Option<Resolution>) -> Result<Seen, Error> {
        let resolution = match resolution {
            Some(Resolution::Low) => antiphon_sight::Resolution::Low,
            Some(Resolution::Medium) | None => antiphon_sight::Resolution::Medium,
            Some(Resolution::High) => antiphon_sight::Resolution::High,
            Some(Resolution::UltraHigh) => antiphon_sight::Resolution::UltraHigh,
        };
        let order = Order { subject, resolution, reading: self.reading.clone(), labels: self.labels.clone() };
        let mut line = serde_json::to_vec(&order).map_err(|error| broken(&error.to_string()))?;
        line.push(b'\n');
        let answer = match self.program.run(&[&line, bytes], TIME, MOST_ANSWER).await {
            Ok(answer) => answer,
            Err(Ended::Limits) => return Err(Error::invalid("data", "the image could not be processed within limits")),
            Err(Ended::Failed(why)) => return Err(broken(&why)),
        };
        match serde_json::from_slice(&answer) {
            Ok(Answer::Seen(seen)) => Ok(seen),
            Ok(Answer::Fault(message)) => Err(Error::invalid("data", message)),
            Ok(Answer::Broken(why)) => Err(broken(&why)),
            Err(error) => Err(broken(&error.to_string())),
        }
    }
}

/// Does the work of the process that looks: reads an order and a picture from its input and writes
/// what is seen. Before it reads the picture it has given up all but computing.
///
/// # Errors
/// Those of reading, writing and giving up.
pub fn look() -> io::Result<()> {
    let mut input = BufReader::new(io::stdin().lock());
    let mut line = String::new();
    input.by_ref().take(64 << 10).read_line(&mut line)?;
    let order: Order = serde_json::from_str(&line)?;
    let eye = Eye::load(&Paths::of_bundles(&order.reading, order.labels.as_deref()));
    confine(SECONDS, MEMORY)?;
    let mut bytes = Vec::new();
    input.take(MOST_BYTES).read_to_end(&mut bytes)?;
    let answer = match eye {
        Err(why) => Answer::Broken(why.to_string()),
        Ok(eye) => match picture(order.subject, bytes) {
            Err(fault) => Answer::Fault(fault.to_string()),
            Ok(picture) => match eye.look(&picture, order.resolution) {
                Ok(seen) => Answer::Seen(seen),
                Err(why) => Answer::Broken(why.to_string()),
            },
        },
    };
    let mut output = io::stdout().lock();
    serde_json::to_writer(&mut output, &answer)?;
    output.flush()
}

fn picture(subject: Subject, bytes: Vec<u8>) -> Result<Picture, Fault> {
    match subject {
        Subject::File { claimed } => decode(&bytes, claimed.as_deref(), &Limits::default()),
        Subject::Pixels { width, height } => Picture::of_pixels(width, height, bytes),
    }
}

/// Whether a picture can be decoded.
///
/// # Errors
/// The picture's.
pub(crate) fn decodable(mime_type: &str, bytes: &[u8]) -> Result<(), Error> {
    let claimed = Some(mime_type).filter(|claimed| !claimed.is_empty());
    check(bytes, claimed, &Limits::default()).map_err(|fault| {
        let field = match fault {
            Fault::Mismatch { .. } | Fault::Unsupported { .. } | Fault::Unknown => "mime_type",
            _ => "data",
        };
        Error::invalid(field, fault.to_string())
    })
}

/// What was seen, in words.
fn text(seen: &Seen) -> String {
    let mut text = format!("The image is {} pixels wide and {} high.", seen.width, seen.height);
    let colours: Vec<_> = seen.colours.iter().map(|colour| colour.name.as_str()).collect();
    if !colours.is_empty() {
        let _ = write!(text, " Most of it is {}.", colours.join(", "));
    }
    text.push('\n');
    let writing = seen.text();
    if writing.trim().is_empty() {
        text.push_str("No writing was found in it.\n");
    } else {
        let _ = writeln!(text, "The writing in it, as far as it could be read:\n{writing}");
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

fn broken(why: &str) -> Error {
    error!(why, "Images cannot be looked at");
    Error::new(Code::ServiceUnavailable, "The server cannot look at images now; its log has the cause")
}
