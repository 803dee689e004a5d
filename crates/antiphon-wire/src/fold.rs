//! From events to the interaction they tell.
//!
//! Every unary answer, poll and snapshot is this fold of the journal, so a stream and
//! a plain answer cannot differ.

use serde_json::{Map, Value};

use crate::content::{Content, TextContent};
use crate::event::{InteractionEvent, StepDelta, StepHead};
use crate::interaction::Interaction;
use crate::processing::{ProcessingCallStep, ProcessingResultStep};
use crate::server_tool::{ServerCallStep, ServerResultStep};
use crate::step::{FunctionCallStep, FunctionResult, FunctionResultStep, MessageStep, Step, ThoughtStep};

/// Applies events in their order. Pure; the same events always give the same answer.
#[derive(Clone, Debug, Default)]
pub struct EventFold {
    interaction: Option<Interaction>,
    steps: Vec<Step>,
    /// A call that is not whole yet, and the JSON text of its arguments so far. It becomes
    /// a step when it stops: programs run every call they see, and one that was cut short
    /// never stops.
    open_call: Option<(FunctionCallStep, String)>,
}

impl EventFold {
    /// Folds a whole log.
    pub fn of<'a>(events: impl IntoIterator<Item = &'a InteractionEvent>) -> Self {
        let mut fold = Self::default();
        for event in events {
            fold.apply(event);
        }
        fold
    }

    pub fn apply(&mut self, event: &InteractionEvent) {
        match event {
            InteractionEvent::Created { interaction } => self.interaction = Some((**interaction).clone()),
            InteractionEvent::StatusUpdate(update) => {
                if let Some(interaction) = &mut self.interaction {
                    interaction.status = update.status;
                }
            }
            InteractionEvent::StepStart(start) => {
                debug_assert_eq!(start.index, self.steps.len(), "steps start in the order of their index");
                match &start.step {
                    StepHead::ModelOutput => self.steps.push(Step::ModelOutput(MessageStep::default())),
                    StepHead::Thought => self.steps.push(Step::Thought(ThoughtStep::default())),
                    StepHead::FunctionCall { id, name, .. } => {
                        let call =
                            FunctionCallStep { id: id.clone(), name: name.clone(), ..FunctionCallStep::default() };
                        self.open_call = Some((call, String::new()));
                    }
                    StepHead::FunctionResult { call_id, name, result } => {
                        self.steps.push(Step::FunctionResult(FunctionResultStep {
                            call_id: call_id.clone(),
                            name: name.clone(),
                            result: FunctionResult::Text(result.clone()),
                            is_error: None,
                            extra: Map::new(),
                        }));
                    }
                    StepHead::ProcessingCall { id } => self.steps.push(Step::ProcessingCall(ProcessingCallStep {
                        id: id.clone(),
                        ..ProcessingCallStep::default()
                    })),
                    StepHead::ProcessingResult { call_id } => {
                        let step = ProcessingResultStep { call_id: call_id.clone(), ..ProcessingResultStep::default() };
                        self.steps.push(Step::ProcessingResult(step));
                    }
                    StepHead::ServerCall(head) => self.steps.push(Step::ServerCall(ServerCallStep {
                        tool: head.tool,
                        id: head.id.clone(),
                        name: head.name.clone(),
                        server_name: head.server_name.clone(),
                        arguments: Map::new(),
                        signature: None,
                        extra: Map::new(),
                    })),
                    StepHead::ServerResult(head) => self.steps.push(Step::ServerResult(ServerResultStep {
                        tool: head.tool,
                        call_id: head.call_id.clone(),
                        name: head.name.clone(),
                        server_name: head.server_name.clone(),
                        result: head.result.clone(),
                        is_error: None,
                        signature: None,
                        extra: Map::new(),
                    })),
                }
            }
            InteractionEvent::StepDelta(event) => match (&mut self.open_call, &event.delta) {
                (Some((_, text)), StepDelta::ArgumentsDelta { arguments }) => text.push_str(arguments),
                (_, delta) => {
                    if let Some(step) = self.steps.get_mut(event.index) {
                        extend(step, delta);
                    }
                }
            },
            InteractionEvent::StepStop(_) => {
                if let Some((call, text)) = self.open_call.take()
                    && let Ok(arguments) = serde_json::from_str(&text)
                {
                    self.steps.push(Step::FunctionCall(FunctionCallStep { arguments, ..call }));
                }
            }
            InteractionEvent::Completed { interaction } => {
                if let Some(known) = &mut self.interaction {
                    known.status = interaction.status;
                    known.updated.clone_from(&interaction.updated);
                    known.served_by.clone_from(&interaction.served_by);
                    known.usage.clone_from(&interaction.usage);
                    known.errors.clone_from(&interaction.errors);
                    known.error.clone_from(&interaction.error);
                }
            }
            InteractionEvent::Error(_) => {}
        }
    }

    /// The steps generated so far.
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// The interaction as it stands: generated steps once it has ended or has any.
    /// `None` before `interaction.created`.
    pub fn interaction(&self) -> Option<Interaction> {
        let mut interaction = self.interaction.clone()?;
        if interaction.status.is_terminal() || !self.steps.is_empty() {
            interaction.steps = Some(self.steps.clone());
        }
        Some(interaction)
    }
}

fn extend(step: &mut Step, delta: &StepDelta) {
    match (step, delta) {
        (Step::ModelOutput(output), StepDelta::Text { text }) => extend_text(&mut output.content, text),
        (Step::Thought(thought), StepDelta::ThoughtSummary { content }) => match content {
            Content::Text(TextContent { text, .. }) => extend_text(&mut thought.summary, text),
            Content::Image(_)
            | Content::Audio(_)
            | Content::Video(_)
            | Content::Document(_)
            | Content::Function(_)
            | Content::Other(_) => {
                thought.summary.push(content.clone());
            }
        },
        (Step::Thought(thought), StepDelta::ThoughtSignature { signature }) => {
            thought.signature = Some(signature.clone());
        }
        (Step::ModelOutput(output), StepDelta::TextAnnotationDelta { annotations }) => {
            if let Some(Content::Text(part)) = output.content.last_mut() {
                part.annotations.extend(annotations.iter().cloned());
            }
        }
        (Step::ModelOutput(output), StepDelta::Image(image)) => output.content.push(Content::Image(image.clone())),
        (Step::FunctionResult(step), StepDelta::FunctionResult { result, is_error, .. }) => {
            step.result = FunctionResult::Text(result.clone());
            step.is_error = *is_error;
        }
        (Step::ProcessingResult(step), StepDelta::ProcessingResult { signature, x_media }) => {
            step.signature.clone_from(signature);
            step.x_media.clone_from(x_media);
        }
        (Step::ServerCall(call), StepDelta::ServerCall(delta)) => call.arguments.clone_from(&delta.arguments),
        (Step::ServerResult(step), StepDelta::ServerResult(delta)) => {
            match (&mut step.result, &delta.result) {
                (Value::String(text), Value::String(more)) => text.push_str(more),
                (result, whole) => result.clone_from(whole),
            }
            step.is_error = delta.is_error.or(step.is_error);
            step.signature = delta.signature.clone().or(step.signature.take());
        }
        (
            Step::UserInput(_)
            | Step::ModelOutput(_)
            | Step::Thought(_)
            | Step::FunctionCall(_)
            | Step::FunctionResult(_)
            | Step::ProcessingCall(_)
            | Step::ProcessingResult(_)
            | Step::ServerCall(_)
            | Step::ServerResult(_)
            | Step::Other(_),
            _,
        ) => {
            debug_assert!(false, "a delta belongs to a step of its kind");
        }
    }
}

/// Consecutive text belongs in one part (spec 03, "Ordering rules").
fn extend_text(content: &mut Vec<Content>, text: &str) {
    match content.last_mut() {
        Some(Content::Text(part)) => part.text.push_str(text),
        Some(
            Content::Image(_)
            | Content::Audio(_)
            | Content::Video(_)
            | Content::Document(_)
            | Content::Function(_)
            | Content::Other(_),
        )
        | None => content.push(Content::text(text)),
    }
}
