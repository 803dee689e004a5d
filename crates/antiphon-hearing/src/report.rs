//! What goes to the process that listens, and what comes from it: a line of JSON and the bytes there, lines of JSON
//! back.

use std::io::{BufRead, Read, Write};
use std::ops::ControlFlow;
use std::path::PathBuf;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use crate::{Broken, Claim, Ear, Extent, Fault, Options, Segment, Transcript, decode};

/// More is no sound that a request can hold.
const MOST_BYTES: u64 = 256 << 20;

/// A line that says more than this is none of ours.
pub(crate) const LONGEST_LINE: u64 = 64 << 10;

/// What is to be done with the bytes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Order {
    pub claim: Claim,
    pub extent: Extent,
    /// Whether the samples are to be given back.
    pub samples: bool,
    /// What is to be heard; without it they are decoded and no more.
    pub listen: Option<Listen>,
}

/// In one line.
const MOST_SAMPLES: usize = 8 << 10;

/// How words are heard.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Listen {
    /// Of the installed model.
    pub folder: PathBuf,
    pub options: Options,
}

/// That the bytes can be listened to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Checked {
    /// How long the sound is, as far as it was read.
    pub seconds: f64,
    /// Of the part that was asked for.
    pub wanted_seconds: f64,
    /// What the bytes are.
    pub mime_type: String,
}

/// One line back. The last one is a transcript, or what was checked where nothing is to be heard, or what is wrong.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Report {
    Checked(Checked),
    /// The next of them, as `f32` in little-endian order, in base64.
    Samples(String),
    Segment(Segment),
    Transcript(Transcript),
    /// Of the bytes, for their sender.
    Fault {
        field: Option<String>,
        message: String,
    },
    /// Of this machine, for the log.
    Broken {
        message: String,
    },
}

/// Does the work of the process that listens: reads an order and then, having given up by `bound` what it does not
/// need, the bytes.
///
/// # Errors
/// Those of reading and writing; all else is reported.
pub fn serve(
    mut input: impl BufRead,
    mut output: impl Write,
    bound: impl FnOnce(&Order) -> std::io::Result<()>,
) -> std::io::Result<()> {
    let mut line = String::new();
    input.by_ref().take(LONGEST_LINE).read_line(&mut line)?;
    let order: Order = serde_json::from_str(&line)?;
    bound(&order)?;
    let mut bytes = Vec::new();
    input.take(MOST_BYTES).read_to_end(&mut bytes)?;
    let mut tell = |report: &Report| -> std::io::Result<()> {
        let mut line = serde_json::to_vec(report)?;
        line.push(b'\n');
        output.write_all(&line)?;
        output.flush()
    };

    let sound = match decode(&bytes, &order.claim, order.extent) {
        Ok(sound) => sound,
        Err(fault) => return tell(&Report::of(&fault)),
    };
    drop(bytes);
    tell(&Report::Checked(Checked {
        seconds: sound.seconds,
        wanted_seconds: sound.samples.len() as f64 / f64::from(crate::RATE),
        mime_type: sound.mime_type.to_owned(),
    }))?;
    if order.samples {
        for samples in sound.samples.chunks(MOST_SAMPLES) {
            let bytes: Vec<u8> = samples.iter().flat_map(|sample| sample.to_le_bytes()).collect();
            tell(&Report::Samples(STANDARD.encode(bytes)))?;
        }
    }
    let Some(listen) = order.listen else { return Ok(()) };
    let mut unread = Ok(());
    let heard = Ear::load(&listen.folder).and_then(|ear| {
        ear.transcribe(&sound.samples, &listen.options, &mut |segment| {
            unread = tell(&Report::Segment(segment.clone()));
            if unread.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        })
    });
    unread?;
    tell(&match heard {
        Ok(transcript) => Report::Transcript(transcript),
        Err(broken) => Report::from(&broken),
    })
}

impl Report {
    fn of(fault: &Fault) -> Self {
        let field = match fault {
            Fault::Field { field, .. } => Some((*field).to_owned()),
            Fault::Unsupported { .. } => Some("mime_type".to_owned()),
            Fault::Empty
            | Fault::Unknown
            | Fault::Mismatch { .. }
            | Fault::Undecodable { .. }
            | Fault::TooLong { .. } => None,
        };
        let message = fault.to_string();
        // The field stands in the path that goes before the message.
        let message = field.as_ref().and_then(|field| message.strip_prefix(&format!("{field}: "))).unwrap_or(&message);
        Self::Fault { message: message.to_owned(), field }
    }
}

impl From<&Broken> for Report {
    fn from(broken: &Broken) -> Self {
        Self::Broken { message: broken.to_string() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The reports on these bytes, when nothing is to be heard.
    fn reports(claim: Claim, bytes: &[u8]) -> Vec<Report> {
        let order = Order { claim, extent: Extent::default(), samples: false, listen: None };
        let mut input = serde_json::to_vec(&order).unwrap();
        input.push(b'\n');
        input.extend(bytes);
        let mut output = Vec::new();
        let mut bounds = 0;
        serve(input.as_slice(), &mut output, |bounded| {
            bounds += 1;
            assert_eq!(*bounded, order);
            Ok(())
        })
        .unwrap();
        assert_eq!(bounds, 1);
        output
            .split(|&byte| byte == b'\n')
            .filter(|line| !line.is_empty())
            .map(|line| serde_json::from_slice(line).unwrap())
            .collect()
    }

    #[test]
    fn a_sound_is_checked_and_a_fault_names_its_field() {
        let claim = |rate| Claim { mime_type: Some("audio/l16".to_owned()), sample_rate: Some(rate), channels: None };
        let checked = Checked { seconds: 0.5, wanted_seconds: 0.5, mime_type: "audio/l16".to_owned() };
        assert_eq!(reports(claim(8_000), &[0; 8_000]), [Report::Checked(checked)]);
        let field = Some("sample_rate".to_owned());
        let message = "expected 4000 to 192000 Hz, got 1".to_owned();
        assert_eq!(reports(claim(1), &[0; 8_000]), [Report::Fault { field, message }]);
        let message = "audio data is empty".to_owned();
        assert_eq!(reports(Claim::default(), &[]), [Report::Fault { field: None, message }]);
    }

    #[test]
    fn samples_are_given_in_pieces_that_fit_a_line() {
        let claim = Claim { mime_type: Some("audio/l16".to_owned()), sample_rate: Some(16_000), channels: None };
        let order = Order { claim, extent: Extent::default(), samples: true, listen: None };
        let mut input = serde_json::to_vec(&order).unwrap();
        input.push(b'\n');
        input.extend([0x00, 0x40].repeat(20_000));
        let mut output = Vec::new();
        serve(input.as_slice(), &mut output, |_| Ok(())).unwrap();
        let lines: Vec<_> = output.split_inclusive(|&byte| byte == b'\n').collect();
        assert!(lines.iter().all(|line| line.len() as u64 <= LONGEST_LINE));
        let samples = lines.iter().filter_map(|line| match serde_json::from_slice(line).unwrap() {
            Report::Samples(base64) => Some(STANDARD.decode(base64).unwrap()),
            Report::Checked(_) => None,
            other => panic!("{other:?}"),
        });
        let bytes = samples.collect::<Vec<_>>().concat();
        let (samples, _) = bytes.as_chunks();
        let samples: Vec<_> = samples.iter().copied().map(f32::from_le_bytes).collect();
        assert_eq!(samples, vec![0.5; 20_000]);
    }

    #[test]
    fn a_bound_that_cannot_be_set_stops_it_before_it_reads() {
        let order = Order { claim: Claim::default(), extent: Extent::default(), samples: false, listen: None };
        let mut output = Vec::new();
        let refused =
            serve(serde_json::to_vec(&order).unwrap().as_slice(), &mut output, |_| Err(std::io::Error::other("no")));
        assert_eq!(refused.unwrap_err().to_string(), "no");
        assert!(output.is_empty());
    }
}
