//! A process of its own for work on what strangers have made: fed on its input, heard to its end,
//! and bounded by itself.
//!
//! Nothing here is about documents. [`confine`] is what such a process does first; [`Program`] is
//! how another one starts it.

use std::io::ErrorKind;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Resource, Rlimit, setrlimit};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::Command;

/// Gives up for good all but computing: so many seconds of it, so many bytes of memory, and what is
/// open already. Nothing can be opened, written to disk or left behind as a core.
///
/// # Errors
/// When the kernel refuses.
pub fn confine(seconds: u64, memory: u64) -> rustix::io::Result<()> {
    let at_most = |most: u64| Rlimit { current: Some(most), maximum: Some(most) };
    setrlimit(Resource::Core, at_most(0))?;
    setrlimit(Resource::Cpu, at_most(seconds))?;
    setrlimit(Resource::Data, at_most(memory))?;
    setrlimit(Resource::Nofile, at_most(3))?;
    setrlimit(Resource::Fsize, at_most(0))
}

/// What is started, with what comes first of its arguments.
#[derive(Clone, Debug)]
pub struct Program {
    pub executable: PathBuf,
    pub arguments: Vec<String>,
}

/// Why there is no output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended {
    /// It was ended, for its time, its memory or its fault, or it said too much.
    Limits,
    /// It could not be started, or gave up by itself.
    Failed(String),
}

impl Program {
    /// Starts it, feeds it a head and then all of `source`, and waits for its output and its end.
    /// Dropping this ends it.
    ///
    /// # Errors
    /// When it does not come to its end by itself within `time`, or says more than `most` bytes.
    pub async fn run(
        &self,
        head: &[u8],
        mut source: impl AsyncRead + Send + Unpin,
        time: Duration,
        most: usize,
    ) -> Result<Vec<u8>, Ended> {
        let failed = |error: std::io::Error| Ended::Failed(error.to_string());
        let mut child = Command::new(&self.executable)
            .args(&self.arguments)
            .env_clear()
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .map_err(failed)?;
        let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
        let feed = async {
            let Some(mut stdin) = stdin else { return Ok(()) };
            let fed = async {
                stdin.write_all(head).await?;
                tokio::io::copy(&mut source, &mut stdin).await
            };
            match fed.await {
                // One that reads no more has its reason, and says it with its end.
                Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(error),
                Ok(_) | Err(_) => Ok(()),
            }
        };
        let hear = async {
            let mut output = Vec::new();
            if let Some(stdout) = stdout {
                stdout.take(most as u64 + 1).read_to_end(&mut output).await?;
            }
            Ok::<_, std::io::Error>(output)
        };
        let work = async {
            let (fed, output) = tokio::join!(feed, hear);
            fed?;
            let output = output?;
            // Whoever says too much is not waited for.
            if output.len() > most {
                return Ok(None);
            }
            Ok::<_, std::io::Error>(Some((output, child.wait().await?)))
        };
        let Ok(ended) = tokio::time::timeout(time, work).await else { return Err(Ended::Limits) };
        let Some((output, status)) = ended.map_err(failed)? else { return Err(Ended::Limits) };
        match status.code() {
            Some(0) => Ok(output),
            None => Err(Ended::Limits),
            Some(_) => Err(Ended::Failed(format!("its reader ended with {status}"))),
        }
    }
}
