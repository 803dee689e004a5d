//! What a sandbox adds to `python3 -c 'print(42)'`: N times in turn without one, in the one that waits with a fresh
//! workspace, and in one set up for a given workspace; medians as one line of JSON, of the times and of what each
//! turn's own `python3` is exceeded by.
//!
//! `cargo run --release -p antiphon-sandbox --example latency -- [N] [bwrap|landlock]`, after
//! `cargo build --release -p antiphon-sandbox`, which makes the helper.
#![expect(clippy::print_stdout, reason = "its result")]

use std::error::Error;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use antiphon_sandbox::{End, Frame, Host, Language, Limits, Options, Program, Sandbox, Tier, Workspace};

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
    let kept = options.folder.with_extension("kept");
    std::fs::create_dir(&kept)?;
    let (mut bare, mut fresh, mut given) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..rounds.max(1) {
        bare.push(time(|| {
            let output = Command::new(&python).args(["-c", "print(42)"]).stdin(Stdio::null()).output()?;
            expect(&String::from_utf8_lossy(&output.stdout), output.status.success())
        })?);
        fresh.push(time(|| run(&sandbox, Workspace::Fresh))?);
        given.push(time(|| run(&sandbox, Workspace::Given(kept.clone())))?);
    }
    let (fresh_adds, given_adds) = (added(&fresh, &bare), added(&given, &bare));
    let (bare, fresh, given) = (median(bare), median(fresh), median(given));
    println!(
        r#"{{"tier":"{}","bare_ms":{bare:.2},"fresh_ms":{fresh:.2},"given_ms":{given:.2},"fresh_adds_ms":{fresh_adds:.2},"given_adds_ms":{given_adds:.2}}}"#,
        sandbox.tier()
    );
    drop(sandbox);
    std::fs::remove_dir_all(&options.folder)?;
    std::fs::remove_dir_all(&kept)?;
    Ok(())
}

fn run(sandbox: &Sandbox, workspace: Workspace) -> Result<(), Box<dyn Error>> {
    let mut running =
        sandbox.run(Program::new(Language::Python, "print(42)")?.workspace(workspace), Limits::default())?;
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

/// In milliseconds.
fn time(act: impl FnOnce() -> Result<(), Box<dyn Error>>) -> Result<f64, Box<dyn Error>> {
    let began = Instant::now();
    act()?;
    Ok(began.elapsed().as_secs_f64() * 1000.0)
}

fn added(times: &[f64], bare: &[f64]) -> f64 {
    median(times.iter().zip(bare).map(|(time, bare)| time - bare).collect())
}

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_unstable_by(f64::total_cmp);
    times[times.len() / 2]
}
