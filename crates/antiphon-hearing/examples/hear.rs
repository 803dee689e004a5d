//! What `antiphon hear` does, without its bounds.

use std::io::{BufReader, stdin, stdout};

fn main() -> std::io::Result<()> {
    antiphon_hearing::serve(BufReader::new(stdin().lock()), stdout().lock(), |_| Ok(()))
}
