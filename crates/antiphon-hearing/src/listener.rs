//! Listening in a process of its own: what a hostile file does there costs this process nothing, and the networks'
//! memory is given back with its end.

use std::io::ErrorKind;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures_util::future::join;
use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::Command;

use crate::report::{LONGEST_LINE, Report};
use crate::{Broken, Checked, Claim, Extent, Listen, Options, Order, Segment, Transcript};

/// For decoding, by the clock; longer than it may compute, since others may keep it waiting for the processor.
const CHECKING: Duration = Duration::from_secs(30);

/// For listening, beside twice the sound.
const LISTENING: Duration = Duration::from_secs(120);

/// A program that is given an [`Order`] and bytes on its input and does what [`crate::serve`] does. It bounds its own
/// time and memory. Dropping a call ends its process.
#[derive(Clone, Debug)]
pub struct Listener {
    pub executable: PathBuf,
    /// What comes first.
    pub arguments: Vec<String>,
}

/// Why nothing was heard.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Unheard {
    /// It is the bytes, or what stands beside them; `field` is below the content block.
    #[error("{message}")]
    Fault { field: Option<String>, message: String },
    /// It is this machine.
    #[error(transparent)]
    Broken(#[from] Broken),
}

impl Listener {
    /// Whether `source` is a sound that can be listened to. Needs no model.
    ///
    /// # Errors
    /// [`Unheard`].
    pub async fn check(
        &self,
        source: impl AsyncRead + Send + Unpin,
        claim: Claim,
        extent: Extent,
    ) -> Result<Checked, Unheard> {
        let order = Order { claim, extent, samples: false, listen: None };
        match self.order(&order, source, CHECKING, &mut |_| {}).await? {
            Report::Checked(checked) => Ok(checked),
            report => Err(Broken::process(&format!("expected what it checked, got {report:?}")).into()),
        }
    }

    /// The samples of `source`: bytes that are `f32` in little-endian order, of one channel at [`crate::RATE`]. Needs no
    /// model.
    ///
    /// # Errors
    /// [`Unheard`].
    pub async fn samples(
        &self,
        source: impl AsyncRead + Send + Unpin,
        claim: Claim,
        extent: Extent,
    ) -> Result<Vec<u8>, Unheard> {
        let order = Order { claim, extent, samples: true, listen: None };
        let mut samples = Ok(Vec::new());
        let mut take = |report: Report| {
            if let (Report::Samples(base64), Ok(bytes)) = (report, &mut samples)
                && let Err(error) = STANDARD.decode_vec(base64, bytes)
            {
                samples = Err(Broken::process(&error));
            }
        };
        match self.order(&order, source, CHECKING, &mut take).await? {
            Report::Checked(_) => Ok(samples?),
            report => Err(Broken::process(&format!("expected samples, got {report:?}")).into()),
        }
    }

    /// What is said in `source`, by the model in `folder`. `watch` is shown each segment as soon as it is there.
    ///
    /// # Errors
    /// [`Unheard`].
    pub async fn listen(
        &self,
        source: impl AsyncRead + Send + Unpin,
        claim: Claim,
        extent: Extent,
        folder: PathBuf,
        options: Options,
        watch: &mut (dyn FnMut(Segment) + Send),
    ) -> Result<Transcript, Unheard> {
        let order = Order { claim, extent, samples: false, listen: Some(Listen { folder, options }) };
        let mut take = |report: Report| {
            if let Report::Segment(segment) = report {
                watch(segment);
            }
        };
        match self.order(&order, source, LISTENING + 2 * extent.longest, &mut take).await? {
            Report::Transcript(transcript) => Ok(transcript),
            report => Err(Broken::process(&format!("expected a transcript, got {report:?}")).into()),
        }
    }

    /// The last report but for faults; `take` is given what comes before it.
    async fn order(
        &self,
        order: &Order,
        mut source: impl AsyncRead + Send + Unpin,
        time: Duration,
        take: &mut (dyn FnMut(Report) + Send),
    ) -> Result<Report, Unheard> {
        let broken = |error: std::io::Error| Broken::process(&error);
        let mut line = serde_json::to_vec(order).map_err(|error| Broken::process(&error))?;
        line.push(b'\n');
        let mut child = Command::new(&self.executable)
            .args(&self.arguments)
            .env_clear()
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .map_err(broken)?;
        let (Some(mut input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(Broken::process(&"it has no input and output").into());
        };
        let write = async move {
            let fed = async {
                input.write_all(&line).await?;
                tokio::io::copy(&mut source, &mut input).await
            };
            match fed.await {
                // One that reads no more has its reason, and says it with its end.
                Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(error),
                Ok(_) | Err(_) => Ok(()),
            }
        };
        let read = async {
            let mut output = BufReader::new(output);
            let mut last = None;
            loop {
                let mut line = Vec::new();
                let read = (&mut output).take(LONGEST_LINE).read_until(b'\n', &mut line).await?;
                if read == 0 {
                    return Ok::<_, std::io::Error>(last);
                }
                match serde_json::from_slice(&line)? {
                    report @ (Report::Segment(_) | Report::Samples(_)) => take(report),
                    report @ (Report::Checked(_)
                    | Report::Transcript(_)
                    | Report::Fault { .. }
                    | Report::Broken { .. }) => {
                        last = Some(report);
                    }
                }
            }
        };
        let work = async {
            let (written, last) = join(write, read).await;
            written?;
            Ok::<_, std::io::Error>((last?, child.wait().await?))
        };
        let beyond =
            || Unheard::Fault { field: None, message: "audio could not be processed within limits".to_owned() };
        let Ok(done) = tokio::time::timeout(time, work).await else { return Err(beyond()) };
        let (last, status) = done.map_err(broken)?;
        match (last, status.code()) {
            (Some(Report::Fault { field, message }), _) => Err(Unheard::Fault { field, message }),
            (Some(Report::Broken { message }), _) => Err(Broken::process(&message).into()),
            (Some(report), Some(0)) => Ok(report),
            // It was ended for its time, or has ended itself for want of memory.
            (_, None) => Err(beyond()),
            (_, Some(code)) => Err(Broken::process(&format!("it ended with code {code}")).into()),
        }
    }
}
