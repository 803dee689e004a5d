//! Servers that are processes.

use std::io;
use std::pin::Pin;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};

use rmcp::RoleClient;
use rmcp::transport::async_rw::AsyncRwTransport;
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncRead, ReadBuf};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tracing::debug;

use crate::spec::StdioSpec;

pub(crate) type StdioTransport = AsyncRwTransport<RoleClient, BoundedLines<ChildStdout>, ChildStdin>;

/// A process and what it has started, killed when this is dropped.
pub(crate) struct Process {
    child: Child,
    /// It said a line that was too long, which ended the connection.
    pub(crate) was_too_long: Arc<AtomicBool>,
}

impl Process {
    /// # Errors
    /// When there is no such command.
    pub(crate) fn start(spec: &StdioSpec, most_line_bytes: usize) -> io::Result<(Self, StdioTransport)> {
        let mut child = Command::new(&spec.command)
            .args(&spec.args)
            .env_clear()
            .envs(&spec.env)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            // It could say anything there, secrets too.
            .stderr(Stdio::null())
            .process_group(0)
            .kill_on_drop(true)
            .spawn()?;
        let (Some(stdout), Some(stdin)) = (child.stdout.take(), child.stdin.take()) else {
            return Err(io::Error::other("no pipes"));
        };
        let was_too_long = Arc::new(AtomicBool::new(false));
        let lines =
            BoundedLines { inner: stdout, most: most_line_bytes, length: 0, was_too_long: Arc::clone(&was_too_long) };
        let transport = AsyncRwTransport::new_client(lines, stdin).with_max_line_length(usize::MAX);
        Ok((Self { child, was_too_long }, transport))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // There is an id until the process was waited for, so it cannot be another's.
        let id = self.child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        if let Some(id) = id
            && let Err(error) = kill_process_group(id, Signal::KILL)
        {
            debug!(%error, "An MCP server could not be killed");
        }
    }
}

/// Fails at a line that is too long, since nobody could tell whose answer it was.
pub(crate) struct BoundedLines<R> {
    inner: R,
    most: usize,
    /// Of the line that is being read.
    length: usize,
    was_too_long: Arc<AtomicBool>,
}

impl<R: AsyncRead + Unpin> AsyncRead for BoundedLines<R> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.inner).poll_read(context, buffer))?;
        let read = buffer.filled().get(before..).unwrap_or_default();
        let mut length = self.length;
        let mut longest = 0;
        for line in read.split_inclusive(|&byte| byte == b'\n') {
            length += line.len();
            longest = longest.max(length);
            if line.ends_with(b"\n") {
                length = 0;
            }
        }
        self.length = length;
        if longest > self.most {
            self.was_too_long.store(true, Ordering::Relaxed);
            return Poll::Ready(Err(io::Error::other("a line is too long")));
        }
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;
    use proptest::prelude::*;
    use tokio::io::AsyncReadExt as _;

    use super::*;

    proptest! {
        #[test]
        fn a_line_is_measured_whole_however_it_comes(text in "[ab\n]{0,60}", most in 1_usize..12, piece in 1_usize..9) {
            let mut lines = BoundedLines {
                inner: text.as_bytes(),
                most,
                length: 0,
                was_too_long: Arc::default(),
            };
            let mut read = Vec::new();
            let ended = loop {
                let mut buffer = vec![0; piece];
                match lines.read(&mut buffer).now_or_never().unwrap() {
                    Ok(0) => break Ok(()),
                    Ok(count) => read.extend_from_slice(&buffer[..count]),
                    Err(error) => break Err(error.kind()),
                }
            };
            let fits = text.split_inclusive('\n').all(|line| line.len() <= most);
            prop_assert_eq!((ended.is_ok(), lines.was_too_long.load(Ordering::Relaxed)), (fits, !fits));
            prop_assert!(text.as_bytes().starts_with(&read));
            prop_assert!(!fits || read.len() == text.len());
        }
    }
}
