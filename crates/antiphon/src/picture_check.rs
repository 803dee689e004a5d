//! `antiphon check-picture`: a picture in, what is wrong with it out, in a process that bounds itself.
//!
//! The server starts it for every picture of a request. Decoded, one takes up to some hundred times the memory of its
//! bytes, which is given back when the process ends.

use std::process::ExitCode;

use antiphon_documents::confined::confine;
use antiphon_media::check_picture;

/// In seconds that it computes.
const TIME: u64 = 30;

/// In bytes of its own: the picture as it came, and decoded.
const MEMORY: u64 = 512 << 20;

pub(crate) fn run() -> ExitCode {
    if confine(TIME, MEMORY).is_err() {
        return ExitCode::FAILURE;
    }
    // What breaks a decoder is said in what is wrong, and not on a terminal.
    std::panic::set_hook(Box::new(|_| {}));
    check_picture(std::io::stdin().lock(), std::io::stdout().lock()).map_or(ExitCode::FAILURE, |()| ExitCode::SUCCESS)
}
