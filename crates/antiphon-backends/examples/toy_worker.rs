//! A worker without a model: the deterministic toy behind the real protocol, with the
//! arguments of the real worker. Tests of the supervisor run it.

use std::io::Write as _;
use std::process::ExitCode;

use antiphon_worker::protocol::{Message, write_frame};
use antiphon_worker::{Settings, Toy, serve};

#[expect(clippy::disallowed_methods, reason = "the end of its input ends the process")]
fn main() -> ExitCode {
    // As llama.cpp does of what it finds odd.
    let _ = writeln!(std::io::stderr(), "the toy has no weights");
    let arguments: Vec<String> = std::env::args().collect();
    let number = |name: &str, default: u32| {
        let at = arguments.iter().position(|argument| argument == name);
        at.and_then(|at| arguments.get(at + 1)).and_then(|value| value.parse().ok()).unwrap_or(default)
    };
    let (context, slots) = (number("--context", 4096), number("--slots", 4));
    let mut chunks_left = number("--crash-after-chunks", u32::MAX);
    let mut toy = Toy::new(context, slots, slots + 4, 512);
    match arguments.iter().skip_while(|argument| *argument != "--projector").nth(1).map(String::as_str) {
        None => {}
        Some("none") => {
            let message = "the projector is none".to_owned();
            let _ = write_frame(&mut std::io::stdout(), &Message::Unservable { message });
            return ExitCode::FAILURE;
        }
        Some(_) => toy = toy.seeing(),
    }
    let settings = Settings::of(&toy);
    let served = serve(
        toy,
        settings,
        std::io::stdin(),
        std::io::stdout(),
        |_| std::process::exit(0),
        move |message| {
            if matches!(message, Message::Chunk { .. }) {
                chunks_left -= 1;
                if chunks_left == 0 {
                    std::process::abort();
                }
            }
        },
    );
    if served.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
