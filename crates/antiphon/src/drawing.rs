//! `antiphon paint-drawing`: a drawing in, a picture out, in a process that bounds itself.
//!
//! The server starts it for every drawing. What has been drawn cannot take its time or its memory,
//! and nothing here opens a file.

use std::io::{Read as _, Write as _};
use std::panic::catch_unwind;
use std::process::ExitCode;

use antiphon_backends::FAULT;
use antiphon_drawing::{Drawing, Encoding, NotPainted, Picture, Standard, View};
use clap::Args;
use rustix::process::{Resource, Rlimit, setrlimit};

/// In seconds that it computes.
const TIME: u64 = 5;

/// In bytes of its own.
const MEMORY: u64 = 256 << 20;

/// More is no drawing.
const MOST_INPUT: u64 = 64 << 10;

#[derive(Args)]
pub(crate) struct Arguments {
    /// In pixels.
    #[arg(long)]
    width: u32,
    #[arg(long)]
    height: u32,
    #[arg(long = "type", value_parser = encoding)]
    encoding: Encoding,
    /// The size of the drawing in its own units, as `100x100`.
    #[arg(long, value_parser = view)]
    view: View,
    /// A drawing that shows little is painted too, one that shows nothing is not.
    #[arg(long)]
    plain: bool,
}

pub(crate) fn encoding(name: &str) -> Result<Encoding, String> {
    match name {
        "image/png" => Ok(Encoding::Png),
        "image/jpeg" => Ok(Encoding::Jpeg),
        _ => Err("expected `image/png` or `image/jpeg`".to_owned()),
    }
}

fn view(size: &str) -> Result<View, String> {
    let sides = size.split_once('x').and_then(|(width, height)| Some((width.parse().ok()?, height.parse().ok()?)));
    sides.map(|(width, height)| View { width, height }).ok_or_else(|| "expected a size as `100x100`".to_owned())
}

/// Writes the picture, or with the code [`FAULT`] what is wrong with the drawing.
pub(crate) fn run(arguments: &Arguments) -> ExitCode {
    if bound(MEMORY).is_err() {
        return ExitCode::FAILURE;
    }
    let mut drawing = String::new();
    if std::io::stdin().take(MOST_INPUT).read_to_string(&mut drawing).is_err() {
        return ExitCode::FAILURE;
    }
    let Arguments { width, height, encoding, view, plain } = *arguments;
    let standard = if plain { Standard::Plain } else { Standard::Rich };
    let picture = Picture { width, height, encoding };
    let painted = catch_unwind(|| match Drawing::read(&drawing, view) {
        Ok(drawing) => drawing.paint(picture, standard).map_err(|fault: NotPainted| fault.to_string()),
        Err(refused) => Err(refused.to_string()),
    });
    let painted = painted.unwrap_or_else(|_| Err("the drawing cannot be painted".to_owned()));
    let (bytes, code) = match painted {
        Ok(picture) => (picture, ExitCode::SUCCESS),
        Err(fault) => (fault.into_bytes(), ExitCode::from(FAULT)),
    };
    match std::io::stdout().write_all(&bytes) {
        Ok(()) => code,
        Err(_) => ExitCode::FAILURE,
    }
}

/// Gives up all that painting does not need; `memory` is what it needs, in bytes.
pub(crate) fn bound(memory: u64) -> rustix::io::Result<()> {
    let at_most = |most: u64| Rlimit { current: Some(most), maximum: Some(most) };
    setrlimit(Resource::Core, at_most(0))?;
    setrlimit(Resource::Cpu, at_most(TIME))?;
    setrlimit(Resource::Data, at_most(memory))?;
    // Its input and output are open already.
    setrlimit(Resource::Nofile, at_most(3))?;
    setrlimit(Resource::Fsize, at_most(0))
}
