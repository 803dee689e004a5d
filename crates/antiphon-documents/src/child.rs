//! The process that reads one document: an order and the document on its input, what was read on
//! its output.
//!
//! The order is a line of JSON. So is the answer; a picture's pixels follow it.

use std::io::{self, BufRead as _, Read as _, Write as _};

use serde::{Deserialize, Serialize};

use crate::confined::confine;
use crate::document::{Document, Options, Picture};
use crate::fault::Fault;
use crate::kind::sniff;
use crate::limits::MOST_BYTES;

/// In seconds that it computes.
const TIME: u64 = 8;

/// In bytes of its own, the document among them.
const MEMORY: u64 = 512 << 20;

const MOST_ORDER: u64 = 64 << 10;

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Order {
    Read { declared: Option<String>, options: Options },
    Render { page: u32 },
}

/// A picture's size.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Size {
    pub(crate) width: u32,
    pub(crate) height: u32,
}

/// All that such a process does: bounds itself, reads its input, writes its output.
///
/// # Errors
/// When one of these cannot be done; never because of the document, whose faults are output.
pub fn run() -> io::Result<()> {
    confine(TIME, MEMORY)?;
    // What breaks is known by its end, and not worth words on a terminal.
    std::panic::set_hook(Box::new(|_| {}));
    let mut input = io::stdin().lock();
    let mut order = Vec::new();
    input.by_ref().take(MOST_ORDER).read_until(b'\n', &mut order)?;
    let order: Order = serde_json::from_slice(&order)?;
    let mut document = Vec::new();
    input.take(MOST_BYTES as u64 + 1).read_to_end(&mut document)?;
    let mut output = io::stdout().lock();
    match order {
        Order::Read { declared, options } => {
            answer(&mut output, &read(document, declared.as_deref(), &options))?;
        }
        Order::Render { page } => {
            let picture = crate::render(document, page);
            let size = picture.as_ref().map(|Picture { width, height, .. }| Size { width: *width, height: *height });
            answer(&mut output, &size)?;
            if let Ok(picture) = &picture {
                output.write_all(&picture.pixels)?;
            }
        }
    }
    output.flush()
}

fn read(bytes: Vec<u8>, declared: Option<&str>, options: &Options) -> Result<Document, Fault> {
    let sniffed = sniff(&bytes, declared)?;
    let document = crate::read(bytes, sniffed.kind, sniffed.charset.as_deref(), options)?;
    Ok(Document { note: sniffed.note, ..document })
}

fn answer(output: &mut impl io::Write, answer: &impl Serialize) -> io::Result<()> {
    serde_json::to_writer(&mut *output, answer)?;
    output.write_all(b"\n")
}
