//! A process that decodes: started for one task, and ended with it.

use std::fs::File;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::AsyncReadExt as _;
use tokio::process::{Child, ChildStdout, Command};
use tokio::time::{Instant, timeout_at};

/// The exit code of a process that could not become `ffmpeg`, which has no such code itself.
pub const BROKEN: u8 = 71;

/// By the clock, from one piece of output to the end of what is asked for. The process bounds its own computing; this
/// is for one that waits, or that others keep from the processor.
const PATIENCE: Duration = Duration::from_secs(300);

/// A program that is given the path of `ffmpeg` and its arguments, and the bytes of a video as its input. It bounds
/// its own time and memory and then becomes `ffmpeg`, or ends with [`BROKEN`]. Dropping a call ends its process.
#[derive(Clone, Debug)]
pub struct Decoder {
    pub executable: PathBuf,
    /// What comes first.
    pub arguments: Vec<String>,
    pub ffmpeg: PathBuf,
}

/// That this machine cannot decode; no fault of a video.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("videos cannot be decoded: {0}")]
pub struct Broken(pub(crate) String);

impl Broken {
    pub(crate) fn new(why: &dyn std::fmt::Display) -> Self {
        Self(why.to_string())
    }
}

/// What came of decoding.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Decoded {
    pub bytes: Vec<u8>,
    /// Whether there might have been more: it was ended for its time, its memory or its fault.
    pub is_cut: bool,
}

/// One process. Dropping it ends it, with all that it may have started.
pub(crate) struct Running {
    child: Child,
    output: ChildStdout,
    deadline: Instant,
}

impl Decoder {
    /// # Errors
    /// When no process can be started.
    pub(crate) fn start(&self, input: File, arguments: &[String]) -> Result<Running, Broken> {
        let mut child = Command::new(&self.executable)
            .args(&self.arguments)
            .arg(&self.ffmpeg)
            .args(arguments)
            .env_clear()
            .process_group(0)
            .stdin(Stdio::from(input))
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| Broken::new(&error))?;
        let output = child.stdout.take().ok_or_else(|| Broken::new(&"its process has no output"))?;
        Ok(Running { child, output, deadline: Instant::now() + PATIENCE })
    }
}

impl Running {
    /// Reads to the end, but at most `most` bytes.
    ///
    /// # Errors
    /// When there is no `ffmpeg`.
    pub(crate) async fn all(mut self, most: usize) -> Result<Decoded, Broken> {
        let mut bytes = Vec::new();
        let is_whole = self.read(&mut bytes, most).await?;
        // Whoever says too much is not waited for.
        let is_cut = bytes.len() < most && (!is_whole || self.ended_badly().await?);
        Ok(Decoded { bytes, is_cut })
    }

    /// Reads exactly `count` more bytes; fewer at the end. Its patience begins anew.
    ///
    /// # Errors
    /// As [`Running::all`].
    pub(crate) async fn some(&mut self, count: usize) -> Result<Vec<u8>, Broken> {
        self.deadline = Instant::now() + PATIENCE;
        let mut bytes = Vec::new();
        self.read(&mut bytes, count).await?;
        if bytes.is_empty() {
            self.ended_badly().await?;
        }
        Ok(bytes)
    }

    /// False when it took too long.
    async fn read(&mut self, bytes: &mut Vec<u8>, most: usize) -> Result<bool, Broken> {
        let mut output = (&mut self.output).take(most as u64);
        loop {
            match timeout_at(self.deadline, output.read_buf(bytes)).await {
                Err(_elapsed) => return Ok(false),
                Ok(Ok(0)) => return Ok(true),
                Ok(Ok(_)) => {}
                Ok(Err(error)) => return Err(Broken::new(&error)),
            }
        }
    }

    /// Whether a process that says no more was ended, instead of ending. Its exit code is not believed otherwise.
    async fn ended_badly(&mut self) -> Result<bool, Broken> {
        match timeout_at(self.deadline, self.child.wait()).await {
            Err(_elapsed) => Ok(true),
            Ok(Err(error)) => Err(Broken::new(&error)),
            Ok(Ok(status)) if status.code() == Some(BROKEN.into()) => Err(Broken::new(&"there is no ffmpeg to run")),
            Ok(Ok(status)) => Ok(status.code().is_none()),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It has a number as long as it was not waited for, so that the number is no other's.
        if let Some(group) = self.child.id().and_then(|id| Pid::from_raw(id.cast_signed())) {
            // One that has ended meanwhile is gone as it should be.
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
}
