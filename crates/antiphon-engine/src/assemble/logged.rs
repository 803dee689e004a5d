//! The steps of a turn as an earlier life of its run logged them.

use antiphon_wire::{Content, InteractionEvent, StepDelta, StepDeltaEvent, StepHead, StepStop, TextContent};
use serde_json::Value;

use crate::store::Event;

pub(super) struct LoggedStep {
    pub(super) head: StepHead,
    /// The visible text so far: the answer, the summary of a thought, or the JSON text of
    /// a call's arguments.
    pub(super) text: String,
    pub(super) signature: Option<String>,
    pub(super) annotations: Vec<Value>,
    pub(super) is_picture: bool,
    pub(super) stopped: bool,
}

/// The steps of the turn that begins at `first_index`, and all tokens that the log holds of it.
pub(super) fn logged_steps(log: &[Event], first_index: usize) -> (Vec<LoggedStep>, Vec<u32>) {
    let mut steps: Vec<LoggedStep> = Vec::new();
    for event in log {
        match &event.body {
            InteractionEvent::StepStart(start) => steps.push(LoggedStep::new(start.step.clone())),
            InteractionEvent::StepDelta(StepDeltaEvent { index, delta }) => {
                if let Some(step) = index.checked_sub(first_index).and_then(|place| steps.get_mut(place)) {
                    step.take(delta);
                }
            }
            InteractionEvent::StepStop(StepStop { index, .. }) => {
                if let Some(step) = index.checked_sub(first_index).and_then(|place| steps.get_mut(place)) {
                    step.stopped = true;
                }
            }
            InteractionEvent::Created { .. }
            | InteractionEvent::StatusUpdate(_)
            | InteractionEvent::Completed { .. }
            | InteractionEvent::Error(_) => {}
        }
    }
    let tokens = log.iter().flat_map(|event| &event.trace).flat_map(|trace| &trace.tokens).copied().collect();
    (steps, tokens)
}

impl LoggedStep {
    fn new(head: StepHead) -> Self {
        Self { head, text: String::new(), signature: None, annotations: Vec::new(), is_picture: false, stopped: false }
    }

    fn take(&mut self, delta: &StepDelta) {
        match delta {
            StepDelta::Text { text }
            | StepDelta::ArgumentsDelta { arguments: text }
            | StepDelta::ThoughtSummary { content: Content::Text(TextContent { text, .. }) } => {
                self.text.push_str(text);
            }
            StepDelta::ServerCall(delta) => self.text = Value::Object(delta.arguments.clone()).to_string(),
            StepDelta::ThoughtSignature { signature } => self.signature = Some(signature.clone()),
            StepDelta::TextAnnotationDelta { annotations } => self.annotations.extend(annotations.iter().cloned()),
            StepDelta::Image(_) => self.is_picture = true,
            StepDelta::ThoughtSummary { .. }
            | StepDelta::FunctionResult { .. }
            | StepDelta::ProcessingResult { .. }
            | StepDelta::ServerResult(_) => {}
        }
    }
}
