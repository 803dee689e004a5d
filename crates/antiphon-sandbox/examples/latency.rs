//! What a sandbox adds to `python3 -c 'print(42)'`: both in turn, N times, their medians as one line of JSON.
//!
//! `cargo run --release -p antiphon-sandbox --example latency -- [N] [bwrap|landlock]`, after
//! `cargo build --release -p antiphon-sandbox`, which makes the helper.
#![expect(clippy::print_stdout, reason = "its result")]

use std::error::Error;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use antiphon_sandbox::{End, Frame, Host, Language, Limits, Options, Program, Sandbox, Tier};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let rounds: usize = arguments.next().map_or(Ok(50), |number| number.parse())?;
    let mut host = Host::detect();
    if arguments.next().as_deref() == Some("landlock") {
        host.bwrap = Err("left out".to_owned());
    }
    // Examples are built into a folder below the executables.
    let executable = std::env::current_exe()?;
    let folder = executable.parent().and_then(Path::parent).ok_or("it is in no folder")?;
    let options = Options {
        helper: folder.join("antiphon-sandbox-init"),
        folder: std::env::temp_dir().join(format!("antiphon-latency-{}", std::process::id())),
        minimum: Tier::Landlock,
        uids: None,
    };
    let sandbox = Sandbox::choose(&options, &host)?;
    let python = host.python?;
    let (mut bare, mut boxed) = (Vec::new(), Vec::new());
    for _ in 0..rounds.max(1) {
        bare.push(time(|| {
            let output = Command::new(&python).args(["-c", "print(42)"]).stdin(Stdio::null()).output()?;
            expect(&String::from_utf8_lossy(&output.stdout), output.status.success())
        })?);
        boxed.push(time(|| run(&sandbox))?);
    }
    let (bare, boxed) = (median(bare), median(boxed));
    println!(
        r#"{{"tier":"{}","rounds":{rounds},"bare_ms":{bare:.2},"sandboxed_ms":{boxed:.2},"added_ms":{:.2}}}"#,
        sandbox.tier(),
        boxed - bare
    );
    drop(sandbox);
    std::fs::remove_dir_all(&options.folder)?;
    Ok(())
}

fn run(sandbox: &Sandbox) -> Result<(), Box<dyn Error>> {
    let mut running = sandbox.run(Program::new(Language::Python, "print(42)")?, Limits::default())?;
    tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
        let mut said = String::new();
        loop {
            match running.next().await {
                Some(Frame::Output { text, .. }) => said.push_str(&text),
                Some(Frame::Exit(exit)) => return expect(&said, exit.end == End::Code(0)),
                None => return Err("it had no end".into()),
            }
        }
    })
}

fn expect(said: &str, succeeded: bool) -> Result<(), Box<dyn Error>> {
    if succeeded && said == "42\n" { Ok(()) } else { Err(format!("it said {said:?}").into()) }
}

fn time(act: impl FnOnce() -> Result<(), Box<dyn Error>>) -> Result<Duration, Box<dyn Error>> {
    let began = Instant::now();
    act()?;
    Ok(began.elapsed())
}

fn median(mut times: Vec<Duration>) -> f64 {
    times.sort_unstable();
    times[times.len() / 2].as_secs_f64() * 1000.0
}
