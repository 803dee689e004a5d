//! Painting in a process of its own, which may take its time and its memory and no more.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use antiphon_drawing::{Standard, View};
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

/// Longer than a painter may compute, since others may keep it waiting for the processor.
const TIME: Duration = Duration::from_secs(15);

/// Larger pictures do not come out of a painter.
const MOST_BYTES: usize = 64 << 20;

/// How a painter ends that has found a fault in the drawing, which it then says on its output.
pub const FAULT: u8 = 3;

/// How drawings become pictures: by a program that is given the drawing on its input, and the rest
/// as `--width`, `--height`, `--type` and `--view`, and `--plain` where little may be on it. It bounds its own time and memory.
#[derive(Clone, Debug)]
pub struct Painter {
    pub executable: PathBuf,
    /// What comes first.
    pub arguments: Vec<String>,
}

/// What a painter is to make.
#[derive(Clone, Copy)]
pub(super) struct Order {
    pub(super) width: u32,
    pub(super) height: u32,
    pub(super) mime_type: &'static str,
    pub(super) view: View,
    pub(super) standard: Standard,
}

/// Why there is no picture.
pub(crate) enum Unpainted {
    /// For the model.
    Fault(String),
    /// For the log.
    Broken(String),
}

impl Painter {
    /// The bytes of a picture.
    pub(super) async fn paint(&self, drawing: &str, order: Order) -> Result<Vec<u8>, Unpainted> {
        let Order { width, height, mime_type, view, standard } = order;
        let (width, height, view) = (width.to_string(), height.to_string(), format!("{}x{}", view.width, view.height));
        let mut order = vec!["--width", &width, "--height", &height, "--type", mime_type, "--view", &view];
        if standard == Standard::Plain {
            order.push("--plain");
        }
        let order: Vec<_> = order.into_iter().map(str::to_owned).collect();
        self.run(&order, drawing.as_bytes()).await
    }

    /// What the program makes of its input, with these arguments behind its own.
    pub(crate) async fn run(&self, arguments: &[String], given: &[u8]) -> Result<Vec<u8>, Unpainted> {
        let broken = |error: std::io::Error| Unpainted::Broken(format!("the painter cannot be used: {error}"));
        let mut child = Command::new(&self.executable)
            .args(&self.arguments)
            .args(arguments)
            .env_clear()
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .map_err(broken)?;
        let input = child.stdin.take();
        let work = async {
            if let Some(mut input) = input {
                // One that reads no more has its reason, and says it with its end.
                let _ = input.write_all(given).await;
            }
            child.wait_with_output().await
        };
        let Ok(output) = tokio::time::timeout(TIME, work).await else {
            return Err(Unpainted::Fault("it takes too long to paint".to_owned()));
        };
        let output = output.map_err(broken)?;
        match output.status.code().map(u8::try_from) {
            Some(Ok(0)) if output.stdout.len() <= MOST_BYTES => Ok(output.stdout),
            Some(Ok(FAULT)) => {
                Err(Unpainted::Fault(String::from_utf8_lossy(&output.stdout).chars().take(400).collect()))
            }
            // It was ended for its time, or has ended itself for want of memory.
            None => Err(Unpainted::Fault("it takes too much time or memory to paint".to_owned())),
            Some(_) => Err(Unpainted::Broken(format!("the painter ended with {}", output.status))),
        }
    }
}
