//! What worker processes say on their stderr, in the server's log: llama.cpp and its kin print what they find odd as
//! plain text, and whoever reads the log reads one JSON object a line.

use std::io::{self, BufRead, BufReader, Read as _};
use std::process::Stdio;
use std::thread;

use tracing::warn;

/// Bytes. A longer line is logged in pieces.
const LONGEST: u64 = 2048;

/// The stderr for a model's worker. What is written there is logged until every process that has it is gone.
pub(crate) fn stderr_of(model: &str) -> io::Result<Stdio> {
    let (said, stderr) = io::pipe()?;
    let model = model.to_owned();
    thread::Builder::new().name(format!("log of {model}")).spawn(move || {
        pieces(BufReader::new(said), |piece| warn!(model, said = piece, "A model's worker says something"));
    })?;
    Ok(stderr.into())
}

/// Calls `take` with each line that is not empty.
fn pieces(mut lines: impl BufRead, mut take: impl FnMut(&str)) {
    let mut line = Vec::new();
    // One that cannot be read any more has ended.
    while let Ok(1..) = (&mut lines).take(LONGEST).read_until(b'\n', &mut line) {
        let text = String::from_utf8_lossy(&line);
        if !text.trim().is_empty() {
            take(text.trim());
        }
        line.clear();
    }
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;

    #[test]
    fn lines_are_taken_one_by_one_and_long_ones_in_pieces() {
        let long = "x".repeat(LONGEST as usize + 3);
        let said = format!("first\r\n\n  \n{long}\nlast \u{fffd}");
        let mut taken = Vec::new();
        pieces(said.as_bytes(), |piece| taken.push(piece.to_owned()));
        assert_eq!(taken, ["first", &long[3..], "xxx", "last \u{fffd}"]);
    }
}
