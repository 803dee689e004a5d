//! A diffusion model on this machine: a process for each picture, whose steps are seen as they are
//! done.
//!
//! It says what makes the picture, then every step, as one thought. All of that follows from the
//! request alone, and the same seed draws the same: a run that is cut is made again from its first
//! step, and goes on where its log ends. Dropping the stream ends the process.

use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use antiphon_engine::{
    Backend, BackendError, FinishReason, Media, MediaKind, ModelEvent, ModelRequest, ModelStream, Prepared,
};
use antiphon_wire::ImageSize;
use antiphon_worker::picture::{Order, Told};
use antiphon_worker::protocol::{FrameDecoder, encode};
use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures_util::{StreamExt as _, stream};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::time::Instant;
use tracing::{info, warn};

use crate::artist::{Painter, Unpainted};
use crate::said;

mod order;

/// How a diffusion model is run.
#[derive(Clone, Debug)]
pub struct DiffusionOptions {
    /// `antiphon-diffusion`.
    pub executable: PathBuf,
    /// Which weights, and how many threads.
    pub arguments: Vec<String>,
    pub name: String,
    /// The names of its files, for people.
    pub weights: Vec<String>,
    /// What a picture takes; from 1 to [`antiphon_worker::picture::MOST_STEPS`].
    pub steps: u32,
    /// How closely the prompt is followed.
    pub guidance: f32,
    /// Where the request says nothing.
    pub size: ImageSize,
    pub largest: ImageSize,
    /// How much of a picture is given up that is to be changed, in (0, 1].
    pub change: f32,
    /// How long one picture may take.
    pub time: Duration,
    /// Decodes pictures, and gives them in another encoding.
    pub inspector: Painter,
}

/// The backend.
pub struct Diffusion {
    options: Arc<DiffusionOptions>,
}

impl Diffusion {
    /// Starts nothing yet.
    pub fn new(options: DiffusionOptions) -> Self {
        Self { options: Arc::new(options) }
    }
}

#[async_trait]
impl Backend for Diffusion {
    /// A picture takes all of the processor and much of the memory.
    fn slots(&self) -> usize {
        1
    }

    fn resumes(&self) -> bool {
        true
    }

    fn is_ready(&self) -> bool {
        true
    }

    fn takes(&self, kind: MediaKind) -> bool {
        kind == MediaKind::Image
    }

    fn draws(&self) -> bool {
        true
    }

    async fn prepare(&self, request: &ModelRequest) -> Result<Prepared, BackendError> {
        order::read(request, &self.options)?;
        Ok(Prepared::default())
    }

    async fn generate(&self, request: ModelRequest, _prepared: Prepared) -> Result<ModelStream, BackendError> {
        let (mut order, beginning) = order::read(&request, &self.options)?;
        if let Some(picture) = beginning {
            let png = self.options.inspector.convert(&picture, "image/png").await.map_err(|error| match error {
                Unpainted::Fault(fault) => {
                    BackendError::Rejected(format!("`input`: the picture cannot be read: {fault}"))
                }
                Unpainted::Broken(error) => BackendError::Internal(error),
            })?;
            order.beginning = Some(antiphon_worker::picture::Beginning {
                picture: STANDARD.encode(png),
                change: self.options.change,
            });
        }
        let mime_type = request.picture.format.mime_type.unwrap_or_default().as_str();
        let making = Making::start(Arc::clone(&self.options), &order, mime_type).await?;
        let begin = [Ok(ModelEvent::Started { cached_tokens: 0 }), Ok(thought(said_of(&order, &self.options)))];
        let rest = stream::unfold(making, |mut making| async move {
            let events = making.next().await?;
            Some((stream::iter(events), making))
        });
        Ok(stream::iter(begin).chain(rest.flatten()).boxed())
    }
}

/// One picture on its way.
struct Making {
    options: Arc<DiffusionOptions>,
    mime_type: &'static str,
    /// Killed when it is dropped.
    child: Child,
    /// Open as long as the picture is wanted.
    _input: ChildStdin,
    output: ChildStdout,
    decoder: FrameDecoder,
    deadline: Instant,
    is_over: bool,
}

impl Making {
    async fn start(
        options: Arc<DiffusionOptions>,
        order: &Order,
        mime_type: &'static str,
    ) -> Result<Self, BackendError> {
        let frame = encode(order).map_err(|error| {
            BackendError::Rejected(format!("`input`: the picture is too large for the model's worker: {error}"))
        })?;
        let unusable = |why: &dyn std::fmt::Display| {
            warn!(model = options.name, %why, "A worker for pictures could not be started");
            BackendError::Unavailable(format!("The worker of the diffusion model `{}` cannot be started", options.name))
        };
        let mut child = Command::new(&options.executable)
            .arg("make")
            .args(&options.arguments)
            .env_clear()
            // The engine's `abort` would start a debugger.
            .env("GGML_NO_BACKTRACE", "1")
            // Ctrl-C at the terminal is for the server, which lets its runs suspend first.
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(said::stderr_of(&options.name).map_err(|error| unusable(&error))?)
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| unusable(&error))?;
        let (Some(mut input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(unusable(&"it has no pipes"));
        };
        info!(model = options.name, process = child.id(), "A worker for a picture has started");
        // One that reads no more has its reason, and says it with its end.
        let _ = input.write_all(&frame).await;
        let deadline = Instant::now() + options.time;
        let decoder = FrameDecoder::default();
        Ok(Self { options, mime_type, child, _input: input, output, decoder, deadline, is_over: false })
    }

    /// The next events; none after the end.
    async fn next(&mut self) -> Option<Vec<Result<ModelEvent, BackendError>>> {
        if self.is_over {
            return None;
        }
        let told = match tokio::time::timeout_at(self.deadline, self.hear()).await {
            Ok(told) => told,
            Err(_) => Err(self.no_image(&format!("{} seconds are over", self.options.time.as_secs()))),
        };
        let events = match told {
            Ok(Told::Step { done, of }) => return Some(vec![Ok(thought(step(done, of)))]),
            Ok(Told::Picture { picture }) => self.show(&picture).await,
            Ok(Told::Failed { message }) => Err(self.no_image(&message)),
            Err(error) => Err(error),
        };
        self.is_over = true;
        Some(match events {
            Ok(events) => events.into_iter().map(Ok).collect(),
            Err(error) => vec![Err(error)],
        })
    }

    async fn hear(&mut self) -> Result<Told, BackendError> {
        let mut buffer = vec![0; 64 * 1024];
        loop {
            let bad = |error: &dyn std::fmt::Display| BackendError::Internal(format!("the picture's worker: {error}"));
            if let Some(told) = self.decoder.next_message().map_err(|error| bad(&error))? {
                return Ok(told);
            }
            match self.output.read(&mut buffer).await.map_err(|error| bad(&error))? {
                0 => return Err(self.died().await),
                read => self.decoder.feed(&buffer[..read]),
            }
        }
    }

    async fn show(&self, picture: &str) -> Result<Vec<ModelEvent>, BackendError> {
        let picture = Media::new(MediaKind::Image, "image/png", picture.into());
        let bytes = self.options.inspector.convert(&picture, self.mime_type).await.map_err(|error| match error {
            Unpainted::Fault(fault) => self.no_image(&fault),
            Unpainted::Broken(error) => BackendError::Internal(error),
        })?;
        let data = STANDARD.encode(bytes).into();
        Ok(vec![
            ModelEvent::Picture(Media::new(MediaKind::Image, self.mime_type, data)),
            ModelEvent::Finished { reason: FinishReason::Stop, exact: false, thought_tokens: 0, output_tokens: 0 },
        ])
    }

    async fn died(&mut self) -> BackendError {
        let status = self.child.wait().await.map_or_else(|error| error.to_string(), |status| status.to_string());
        warn!(model = self.options.name, status, "A worker for a picture ended");
        BackendError::Died(
            "The diffusion model's worker died while it worked on this interaction; the next picture has a new one"
                .to_owned(),
        )
    }

    /// `why` is for the log: the engine speaks of files and tensors.
    fn no_image(&self, why: &str) -> BackendError {
        warn!(model = self.options.name, why, "A diffusion model has made no picture");
        BackendError::NoImage(format!("The diffusion model `{}` has made no picture", self.options.name))
    }
}

impl Painter {
    /// The picture in another encoding, decoded in between.
    async fn convert(&self, picture: &Media, mime_type: &str) -> Result<Vec<u8>, Unpainted> {
        let bytes = picture.data.bytes();
        let bytes = bytes.map_err(|error| Unpainted::Fault(format!("it is no base64: {error}")))?;
        self.run(&["--type".to_owned(), mime_type.to_owned()], &bytes).await
    }
}

fn thought(text: String) -> ModelEvent {
    ModelEvent::Thought { text, tokens: Vec::new() }
}

/// What makes a picture, and with what.
fn said_of(order: &Order, options: &DiffusionOptions) -> String {
    let from = if order.beginning.is_some() { "changes an earlier one" } else { "begins with noise" };
    let weights: Vec<_> = options.weights.iter().map(|name| format!("`{name}`")).collect();
    format!(
        "This picture is made by the diffusion model `{}` on this machine, from the weights {}. It {from}: {} by {} \
         pixels, {} steps, seed {}.",
        options.name,
        weights.join(", "),
        order.width,
        order.height,
        order.steps_taken(),
        order.seed,
    )
}

fn step(done: u32, of: u32) -> String {
    format!("\nStep {done} of {of}.")
}

#[cfg(test)]
mod tests;
