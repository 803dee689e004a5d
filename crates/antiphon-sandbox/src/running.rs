//! A run as its caller sees it: live output, and one end.

use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::mpsc;

use crate::finished::Finished;

/// Where a piece of output was written to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Stream {
    Stdout,
    Stderr,
}

/// What comes from a run, in its order: output, and last the one exit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Frame {
    /// What is not UTF-8 in it has become U+FFFD. Control characters are as the program wrote them.
    Output {
        stream: Stream,
        text: String,
    },
    Exit(Exit),
}

/// How a run ended. By then none of its processes is alive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exit {
    pub reason: Reason,
    pub end: End,
    /// Bytes of output that were over the limit and were not passed on.
    pub discarded: u64,
    pub wall: Duration,
}

/// How the program's first process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    Code(i32),
    Signal(i32),
    /// It never started, or was ended together with what would have told.
    Unknown,
}

/// Who ended it, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reason {
    /// The program itself.
    Exited,
    /// [`Limits::wall`](crate::Limits::wall).
    TimedOut,
    /// [`Limits::memory`](crate::Limits::memory).
    OutOfMemory,
    /// [`Limits::workspace_bytes`](crate::Limits::workspace_bytes) or
    /// [`Limits::workspace_entries`](crate::Limits::workspace_entries).
    DiskFull,
    /// 64 times [`Limits::output_bytes`](crate::Limits::output_bytes).
    OutputLimit,
    /// [`Running::cancel`], or the caller let go of the run.
    Cancelled,
    /// The sandbox could not be set up, for the reason given; nothing was run.
    Failed(String),
}

/// A run. Dropping it ends every process of it within a second, and deletes a fresh workspace.
#[derive(Debug)]
pub struct Running {
    pub(crate) messages: mpsc::Receiver<Message>,
    pub(crate) stop: Stop,
    pub(crate) finished: Option<Finished>,
}

#[derive(Debug)]
pub(crate) enum Message {
    Output { stream: Stream, text: String },
    Finished(Finished),
}

/// Tells a warden to end its run.
#[derive(Debug, Clone)]
pub(crate) struct Stop {
    wanted: Arc<AtomicBool>,
    wake: Arc<OwnedFd>,
}

impl Stop {
    pub(crate) fn new() -> std::io::Result<Self> {
        use rustix::event::{EventfdFlags, eventfd};
        let wake = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        Ok(Self { wanted: Arc::default(), wake: Arc::new(wake) })
    }

    pub(crate) fn is_wanted(&self) -> bool {
        self.wanted.load(Ordering::Acquire)
    }

    /// Readable once the end is wanted.
    pub(crate) fn wake(&self) -> &OwnedFd {
        &self.wake
    }

    fn ask(&self) {
        self.wanted.store(true, Ordering::Release);
        // It can only fail by being full, and then it is readable as it should be.
        let _ = rustix::io::write(&*self.wake, &1_u64.to_ne_bytes());
    }
}

impl Running {
    /// The next frame; none after the exit. Dropping the future loses nothing.
    pub async fn next(&mut self) -> Option<Frame> {
        if self.finished.is_some() {
            return None;
        }
        Some(match self.messages.recv().await {
            Some(Message::Output { stream, text }) => Frame::Output { stream, text },
            Some(Message::Finished(finished)) => {
                let exit = finished.exit().clone();
                self.finished = Some(finished);
                Frame::Exit(exit)
            }
            None => {
                let finished = Finished::lost();
                let exit = finished.exit().clone();
                self.finished = Some(finished);
                Frame::Exit(exit)
            }
        })
    }

    /// Ends the run; the exit still comes, with [`Reason::Cancelled`] unless it had ended before.
    pub fn cancel(&self) {
        self.stop.ask();
    }

    /// Waits for the end, without what output was not read, and gives what the program left.
    pub async fn finish(mut self) -> Finished {
        while self.next().await.is_some() {}
        self.finished.take().unwrap_or_else(Finished::lost)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop.ask();
    }
}
