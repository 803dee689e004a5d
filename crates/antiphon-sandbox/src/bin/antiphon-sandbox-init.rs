//! The helper that runs inside a sandbox. All it does is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    antiphon_sandbox::initialise(std::env::args_os())
}
