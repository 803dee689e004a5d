//! The process itself: what becomes of the server when it hangs, breaks, floods or is missing.

use std::path::PathBuf;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use antiphon_documents::confined::{Ended, Program};
use antiphon_documents::{Fault, Options, Reader};
use pretty_assertions::assert_eq;
use tokio::io::{AsyncRead, ReadBuf};

use crate::world::{program, wait};

fn shell(script: &str) -> Program {
    Program { executable: PathBuf::from("/bin/sh"), arguments: vec!["-c".to_owned(), script.to_owned()] }
}

fn fault(program: Program, time: Duration) -> Fault {
    let reader = Reader::new(program).within(time);
    wait(reader.read(&b"words"[..], None, &Options::default())).unwrap_err()
}

#[test]
fn a_reader_that_does_not_end_is_ended() {
    assert_eq!(fault(shell("exec sleep 1000"), Duration::from_millis(50)), Fault::Processing);
    assert_eq!(Fault::Processing.to_string(), "the document could not be processed within limits");
}

#[test]
fn a_reader_that_is_killed_had_too_much() {
    assert_eq!(fault(shell("kill -SEGV $$"), Duration::from_secs(60)), Fault::Processing);
    assert_eq!(fault(shell("kill -XCPU $$"), Duration::from_secs(60)), Fault::Processing);
}

#[test]
fn a_reader_that_floods_is_not_heard_to_its_end() {
    let flood = Program { executable: PathBuf::from("/usr/bin/yes"), arguments: Vec::new() };
    let heard = wait(flood.run(&[], tokio::io::empty(), Duration::from_secs(60), 1 << 20));
    assert_eq!(heard, Err(Ended::Limits));
}

#[test]
fn a_reader_that_says_nothing_of_use_is_broken_off() {
    assert_eq!(fault(shell("cat"), Duration::from_secs(60)), Fault::Processing);
    assert_eq!(fault(shell("true"), Duration::from_secs(60)), Fault::Processing);
}

#[test]
fn a_reader_that_cannot_be_had_is_our_fault() {
    let missing = Program { executable: PathBuf::from("/nonexistent/antiphon"), arguments: Vec::new() };
    assert!(matches!(fault(missing, Duration::from_secs(60)), Fault::Broken(_)));
    assert!(matches!(fault(shell("exit 1"), Duration::from_secs(60)), Fault::Broken(_)));
}

/// A source that breaks off.
struct Torn;

impl AsyncRead for Torn {
    fn poll_read(self: Pin<&mut Self>, _: &mut Context<'_>, _: &mut ReadBuf<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Err(std::io::Error::other("it is torn")))
    }
}

#[test]
fn a_source_that_breaks_off_is_no_shorter_document() {
    let heard = wait(shell("cat").run(b"words", Torn, Duration::from_secs(60), 1 << 20));
    assert_eq!(heard, Err(Ended::Failed("it is torn".to_owned())));
}

#[test]
fn it_gives_up_what_it_does_not_need() {
    // The limits of a reader that waits for its order.
    let mut child = std::process::Command::new(program().executable)
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let path = format!("/proc/{}/limits", child.id());
    let bounded = |limits: &str| {
        let of = |name: &str| limits.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default().to_owned();
        let pair = |name: &str| of(name).split_whitespace().take(2).map(str::to_owned).collect::<Vec<_>>().join(" ");
        [
            pair("Max cpu time"),
            pair("Max data size"),
            pair("Max open files"),
            pair("Max file size"),
            pair("Max core file size"),
        ]
    };
    // It bounds itself before it reads; that it has done so is seen from outside.
    let expected = ["8 8", "536870912 536870912", "3 3", "0 0", "0 0"].map(str::to_owned);
    let mut seen = bounded(&std::fs::read_to_string(&path).unwrap());
    while seen != expected && child.try_wait().unwrap().is_none() {
        std::thread::yield_now();
        seen = std::fs::read_to_string(&path).map(|limits| bounded(&limits)).unwrap_or(seen);
    }
    drop(child.stdin.take());
    child.wait().unwrap();
    assert_eq!(seen, expected);
}
