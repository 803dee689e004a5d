//! `code_execution`: Python and bash in the sandbox.

use std::sync::Arc;

use antiphon_engine::{Media, MediaKind, OpenTool, PRINTED_NOTHING, ServerFunction, ToolCall, ToolError, ToolOutput};
use antiphon_sandbox::{End, Exit, Frame, Language, Limits, Program, Reason, Sandbox};
use antiphon_wire::{Error, ServerTool};
use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::declaration;
use crate::workplace::Workplace;

const MOST_PICTURES: usize = 8;
const MOST_PICTURE_BYTES: u64 = 8 << 20;

/// Of the output, so much is told to the model: its beginning and its end.
const TOLD_BYTES: usize = 64 << 10;

struct Code {
    sandbox: Sandbox,
    limits: Limits,
    /// Without one every program has a new and empty folder.
    place: Option<Arc<Workplace>>,
}

pub(crate) fn open(sandbox: Sandbox, limits: Limits, place: Option<Arc<Workplace>>) -> Result<OpenTool, Error> {
    let parameters = json!({
        "type": "object",
        "properties": {
            "language": {"type": "string", "enum": ["python", "bash"]},
            "code": {"type": "string", "minLength": 1, "description": "The whole program; it prints what is to be known"},
        },
        "required": ["language", "code"],
        "additionalProperties": false,
    });
    let description = match &place {
        None => {
            "Runs a program and gives its output. There is no network, and nothing is kept between calls. Pictures \
                 that it writes into the current folder are shown to the user."
                .to_owned()
        }
        Some(place) => format!(
            "Runs a program and gives its output. {} Files in the current folder stay there. Pictures that it writes \
             there are shown to the user.",
            place.reach()
        ),
    };
    Ok(OpenTool {
        kind: Some(ServerTool::CodeExecution),
        name: None,
        server_name: None,
        declaration: declaration("code_execution", &description, parameters)?,
        reads: false,
        run: Arc::new(Code { sandbox, limits, place }),
    })
}

#[async_trait]
impl ServerFunction for Code {
    async fn call(&self, call: ToolCall) -> Result<ToolOutput, ToolError> {
        let text = |name: &str| call.arguments.get(name).and_then(Value::as_str).unwrap_or_default();
        let language = if text("language") == "bash" { Language::Bash } else { Language::Python };
        let place = match &self.place {
            None => None,
            Some(place) => match place.enter().await {
                Ok(place) => Some(place),
                Err(why) => return Ok(ToolOutput::failed(why.clone(), json!(why))),
            },
        };
        let program = Program::new(language, text("code"));
        let program = match &place {
            None => program.map(|program| (program, None)),
            Some(place) => program.and_then(|program| place.equip(program)),
        };
        let (program, reach) = match program {
            Ok(equipped) => equipped,
            Err(refused) => {
                let why = format!("{refused}\n");
                return Ok(ToolOutput::failed(why.clone(), json!(why)));
            }
        };
        let mut running = self
            .sandbox
            .run(program, self.limits.clone())
            .map_err(|error| ToolError::Broken(format!("the sandbox: {error}")))?;
        let mut shown = String::new();
        while let Some(frame) = running.next().await {
            match frame {
                Frame::Output { text, .. } => {
                    shown.push_str(&text);
                    // Nobody follows any more; the program goes on.
                    let _ = call.live.send(text).await;
                }
                Frame::Exit(_) => break,
            }
        }
        let finished = running.finish().await;
        let exit = finished.exit().clone();
        let pictures = tokio::task::spawn_blocking(move || finished.pictures(MOST_PICTURES, MOST_PICTURE_BYTES));
        let pictures = pictures.await.map_err(|error| ToolError::Broken(error.to_string()))?;
        let mut note = end_of(&exit);
        note.extend(reach.map(|reach| reach.note()));
        if !pictures.taken.is_empty() {
            note.push_str(&format!("[{} pictures were made and are shown to the user]\n", pictures.taken.len()));
        }
        if pictures.left > 0 {
            note.push_str(&format!("[{} more pictures are too many or too large to be shown]\n", pictures.left));
        }
        if !shown.is_empty() && !shown.ends_with('\n') && !note.is_empty() {
            note.insert(0, '\n');
        }
        let media = |picture: antiphon_sandbox::Picture| {
            Media::new(MediaKind::Image, picture.kind.mime_type(), STANDARD.encode(picture.bytes).into())
        };
        Ok(ToolOutput {
            text: told(&shown, &note),
            result: Value::String(note),
            is_error: (&exit.reason, exit.end) != (&Reason::Exited, End::Code(0)),
            pictures: pictures.taken.into_iter().map(media).collect(),
            ..ToolOutput::default()
        })
    }
}

/// What is to be said of an end that is not the usual one, and of output that is missing.
fn end_of(exit: &Exit) -> String {
    let mut said = String::new();
    if exit.discarded > 0 {
        said.push_str(&format!("[{} bytes of output are left out]\n", exit.discarded));
    }
    let why = match (&exit.reason, exit.end) {
        (Reason::Exited, End::Code(0)) => return said,
        (Reason::Exited, End::Code(code)) => format!("the program ended with exit code {code}"),
        (Reason::Exited, End::Signal(signal)) => format!("the program was ended by signal {signal}"),
        (Reason::Exited, End::Unknown) => "how the program ended is not known".to_owned(),
        (Reason::TimedOut, _) => format!("the program was ended after {} s", exit.wall.as_secs()),
        (Reason::OutOfMemory, _) => "the program was ended: it took more memory than it may".to_owned(),
        (Reason::DiskFull, _) => "the program was ended: it wrote more to its folder than it may".to_owned(),
        (Reason::OutputLimit, _) => "the program was ended: it printed more than it may".to_owned(),
        (Reason::Cancelled, _) => "the program was ended".to_owned(),
        (Reason::Failed(why), _) => format!("the program was not run: {why}"),
    };
    said.push_str(&format!("[{why}]\n"));
    said
}

/// The beginning and the end of the output, and the note.
fn told(shown: &str, note: &str) -> String {
    if shown.is_empty() && note.is_empty() {
        return PRINTED_NOTHING.to_owned();
    }
    if shown.len() <= TOLD_BYTES {
        return format!("{shown}{note}");
    }
    let head = &shown[..shown.floor_char_boundary(TOLD_BYTES / 2)];
    let tail = &shown[shown.ceil_char_boundary(shown.len() - TOLD_BYTES / 2)..];
    format!("{head}\n[…]\n{tail}{note}")
}
