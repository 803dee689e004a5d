//! Reading in a process of its own: what a document does there happens to nobody else.

use std::time::Duration;

use serde::de::DeserializeOwned;
use tokio::io::AsyncRead;

use crate::child::{Order, Size};
use crate::confined::{Ended, Program};
use crate::document::{Document, Options, Picture};
use crate::fault::Fault;
use crate::limits::{MOST_CHARACTERS, MOST_PIXELS};

/// JSON needs up to six bytes for a character that would take one.
const MOST_ANSWER: usize = MOST_CHARACTERS * 6 + (1 << 20);

/// Reads documents by starting a program for each, which does what [`child::run`](crate::child::run)
/// does. How many at the same time is for its caller to bound: one takes up to 512 MiB and a core.
#[derive(Clone, Debug)]
pub struct Reader {
    program: Program,
    time: Duration,
}

impl Reader {
    /// For that a document takes longer, by the clock, it is given up. Longer than it may compute, since others may keep
    /// it waiting for the processor.
    pub const TIME: Duration = Duration::from_secs(30);

    pub fn new(program: Program) -> Self {
        Self { program, time: Self::TIME }
    }

    #[must_use]
    pub fn within(self, time: Duration) -> Self {
        Self { time, ..self }
    }

    /// Sniffs a document and reads its text. `declared` is its `mime_type`, which may say a charset.
    ///
    /// # Errors
    /// The document's faults; [`Fault::Processing`] when it is too much or breaks its reader;
    /// [`Fault::Broken`] alone is ours.
    pub async fn read(
        &self,
        source: impl AsyncRead + Send + Unpin,
        declared: Option<&str>,
        options: &Options,
    ) -> Result<Document, Fault> {
        let order = Order::Read { declared: declared.map(str::to_owned), options: options.clone() };
        Ok(self.ask(&order, source, MOST_ANSWER).await?.0)
    }

    /// Makes a picture of a page of a PDF, the first of which is 1: with 150 dots per inch, or fewer
    /// when one of its sides would have more than 4,000.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub async fn render(&self, source: impl AsyncRead + Send + Unpin, page: u32) -> Result<Picture, Fault> {
        let side = MOST_PIXELS as usize;
        let (size, pixels) = self.ask(&Order::Render { page }, source, side * side * 3 + 1024).await?;
        let Size { width, height } = size;
        let is_whole = u64::from(width) * u64::from(height) * 3 == pixels.len() as u64;
        if is_whole { Ok(Picture { width, height, pixels }) } else { Err(Fault::Processing) }
    }

    /// The answer, and what follows its line.
    async fn ask<T: DeserializeOwned>(
        &self,
        order: &Order,
        source: impl AsyncRead + Send + Unpin,
        most: usize,
    ) -> Result<(T, Vec<u8>), Fault> {
        let mut line = serde_json::to_vec(order).map_err(|error| Fault::Broken(error.to_string()))?;
        line.push(b'\n');
        let mut output = match self.program.run(&line, source, self.time, most).await {
            Ok(output) => output,
            Err(Ended::Limits) => return Err(Fault::Processing),
            Err(Ended::Failed(reason)) => return Err(Fault::Broken(reason)),
        };
        let end = output.iter().position(|byte| *byte == b'\n').ok_or(Fault::Processing)?;
        let rest = output.split_off(end + 1);
        let answer: Result<T, Fault> = serde_json::from_slice(&output).map_err(|_| Fault::Processing)?;
        Ok((answer?, rest))
    }
}
