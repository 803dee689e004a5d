//! `antiphon convert-picture`: a picture in, the same in another encoding out, in a process that
//! bounds itself.
//!
//! The server starts it for every picture that a service sends: decoding is where what is hostile
//! does its harm.

use std::io::{Read as _, Write as _};
use std::panic::catch_unwind;
use std::process::ExitCode;

use antiphon_backends::FAULT;
use antiphon_drawing::{Encoding, convert};
use clap::Args;

use crate::drawing::{bound, encoding};

/// In bytes of its own: the pixels of the largest picture, twice, and what came.
const MEMORY: u64 = 512 << 20;

/// More is no picture that is shown.
const MOST_INPUT: u64 = 40 << 20;

#[derive(Args)]
pub(crate) struct Arguments {
    /// Without it, what it is already.
    #[arg(long = "type", value_parser = encoding)]
    encoding: Option<Encoding>,
}

/// Writes the picture, or with the code [`FAULT`] what is wrong with it.
pub(crate) fn run(arguments: &Arguments) -> ExitCode {
    if bound(MEMORY).is_err() {
        return ExitCode::FAILURE;
    }
    let mut bytes = Vec::new();
    if std::io::stdin().take(MOST_INPUT + 1).read_to_end(&mut bytes).is_err() {
        return ExitCode::FAILURE;
    }
    let converted = if bytes.len() as u64 > MOST_INPUT {
        Err(format!("it has more than {MOST_INPUT} bytes"))
    } else {
        catch_unwind(|| convert(&bytes, arguments.encoding).map_err(|fault| fault.to_string()))
            .unwrap_or_else(|_| Err("it cannot be decoded".to_owned()))
    };
    let (bytes, code) = match converted {
        Ok((picture, _)) => (picture, ExitCode::SUCCESS),
        Err(fault) => (fault.into_bytes(), ExitCode::from(FAULT)),
    };
    match std::io::stdout().write_all(&bytes) {
        Ok(()) => code,
        Err(_) => ExitCode::FAILURE,
    }
}
