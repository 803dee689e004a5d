//! From what the model says to the steps and deltas of the API. Pure.
//!
//! An assembler that takes up a run after a crash is told what the log already holds.
//! The backend then repeats the turn from its first character, and the assembler lets
//! pass only what comes after: no event is doubled and none is lost.

use antiphon_wire::{
    Content, Failure, InteractionEvent, MessageStep, Step, StepDelta, StepDeltaEvent, StepHead, StepStart, StepStop,
    TextContent, ThinkingSummaries, ThoughtStep,
};

use crate::backend::ModelEvent;
use crate::journal::Draft;
use crate::store::{ClosedStep, Event, Trace};

/// Turns the events of one model call into drafts of the log.
pub(crate) struct Assembler {
    summaries: bool,
    fingerprint: String,
    /// What an earlier life logged of each step, by index.
    logged: Vec<LoggedStep>,
    next_index: usize,
    open: Option<OpenStep>,
    /// Tokens that no event carries yet.
    unlogged: Vec<u32>,
    /// All tokens of this call, for the step that can be replayed exactly.
    tokens: Vec<u32>,
    thought: bool,
}

struct LoggedStep {
    head: StepHead,
    /// The visible text so far: the answer, or the summary of a thought.
    text: String,
    signature: Option<String>,
    stopped: bool,
}

struct OpenStep {
    index: usize,
    head: StepHead,
    text: String,
    /// How many bytes of `text` the log holds already.
    logged_bytes: usize,
}

/// What the assembler made of an event.
#[derive(Debug, Default)]
pub(crate) struct Assembled {
    pub(crate) drafts: Vec<Draft>,
    pub(crate) closed: Vec<ClosedStep>,
}

impl Assembler {
    /// `log` is what an earlier life logged of this interaction, `fingerprint` names the
    /// model's tokens.
    pub(crate) fn new(summaries: Option<ThinkingSummaries>, fingerprint: String, log: &[Event]) -> Self {
        let mut logged: Vec<LoggedStep> = Vec::new();
        let mut tokens = Vec::new();
        for event in log {
            tokens.extend(event.trace.iter().flat_map(|trace| &trace.tokens));
            match &event.body {
                InteractionEvent::StepStart(start) => {
                    logged.push(LoggedStep { head: start.step, text: String::new(), signature: None, stopped: false });
                }
                InteractionEvent::StepDelta(StepDeltaEvent { index, delta }) => {
                    let Some(step) = logged.get_mut(*index) else { continue };
                    match delta {
                        StepDelta::Text { text }
                        | StepDelta::ThoughtSummary { content: Content::Text(TextContent { text, .. }) } => {
                            step.text.push_str(text);
                        }
                        StepDelta::ThoughtSummary { content: Content::Other(_) } => {}
                        StepDelta::ThoughtSignature { signature } => step.signature = Some(signature.clone()),
                    }
                }
                InteractionEvent::StepStop(StepStop { index, .. }) => {
                    if let Some(step) = logged.get_mut(*index) {
                        step.stopped = true;
                    }
                }
                InteractionEvent::Created { .. }
                | InteractionEvent::StatusUpdate(_)
                | InteractionEvent::Completed { .. }
                | InteractionEvent::Error(_) => {}
            }
        }
        Self {
            summaries: summaries == Some(ThinkingSummaries::Auto),
            fingerprint,
            logged,
            next_index: 0,
            open: None,
            unlogged: Vec::new(),
            tokens,
            thought: false,
        }
    }

    /// Takes in one event of the model; `sign` makes the signature for a thought.
    ///
    /// # Errors
    /// When a repeated turn does not agree with what the log holds.
    pub(crate) fn push(&mut self, event: ModelEvent, sign: impl Fn(&str) -> String) -> Result<Assembled, Failure> {
        let mut out = Assembled::default();
        match event {
            ModelEvent::Started { .. } => {}
            ModelEvent::Thought { text, tokens } => {
                self.take_tokens(tokens);
                self.open(StepHead::Thought, &sign, &mut out)?;
                self.extend(&text, &mut out);
            }
            ModelEvent::Text { text, tokens } => {
                self.take_tokens(tokens);
                if !text.is_empty() {
                    self.open(StepHead::ModelOutput, &sign, &mut out)?;
                    self.extend(&text, &mut out);
                }
            }
            ModelEvent::Finished { exact, .. } => {
                // A completed answer ends with a `model_output` that has a text part,
                // also when the model had nothing to say.
                self.open(StepHead::ModelOutput, &sign, &mut out)?;
                let empty = self.open.as_ref().is_some_and(|open| open.text.is_empty());
                if empty && self.logged.get(self.next_index - 1).is_none_or(|logged| logged.text.is_empty()) {
                    let index = self.next_index - 1;
                    out.drafts.push(self.draft(index, StepDelta::Text { text: String::new() }));
                }
                self.close(exact, &sign, &mut out);
            }
        }
        Ok(out)
    }

    /// Ends a turn that was cut short: the open step is closed as it is.
    pub(crate) fn abandon(&mut self, sign: impl Fn(&str) -> String) -> Assembled {
        let mut out = Assembled::default();
        let reached = self.open.as_ref().map(|open| open.index);
        self.close(false, &sign, &mut out);
        // Steps an earlier life left open and this one has not reached again.
        for (index, logged) in self.logged.iter().enumerate() {
            if !logged.stopped && reached != Some(index) {
                out.drafts.push(stop(index).into());
                let step = finished_step(logged.head, logged.text.clone(), logged.signature.clone());
                out.closed.push(ClosedStep { index, step, trace: None });
            }
        }
        out
    }

    fn take_tokens(&mut self, tokens: Vec<u32>) {
        self.tokens.extend(&tokens);
        self.unlogged.extend(tokens);
    }

    /// Makes sure that the open step is of this kind.
    fn open(&mut self, head: StepHead, sign: &impl Fn(&str) -> String, out: &mut Assembled) -> Result<(), Failure> {
        if self.open.as_ref().is_some_and(|open| open.head == head) {
            return Ok(());
        }
        self.close(false, sign, out);
        let index = self.next_index;
        self.next_index += 1;
        self.thought |= head == StepHead::Thought;
        let logged_bytes = match self.logged.get(index) {
            None => {
                out.drafts.push(InteractionEvent::StepStart(StepStart { index, step: head }).into());
                0
            }
            Some(logged) if logged.head == head => logged.text.len(),
            Some(_) => {
                return Err(Failure {
                    code: "aborted".to_owned(),
                    message: "The server restarted, and the model did not repeat the answer that it had begun"
                        .to_owned(),
                });
            }
        };
        self.open = Some(OpenStep { index, head, text: String::new(), logged_bytes });
        Ok(())
    }

    fn extend(&mut self, text: &str, out: &mut Assembled) {
        let Some(open) = &mut self.open else { return };
        let before = open.text.len();
        open.text.push_str(text);
        if open.head == StepHead::Thought && !self.summaries {
            return;
        }
        let start = open.logged_bytes.max(before);
        let Some(news) = open.text.get(start..).filter(|news| !news.is_empty()) else { return };
        let news = news.to_owned();
        let index = open.index;
        let delta = match open.head {
            StepHead::ModelOutput => StepDelta::Text { text: news },
            StepHead::Thought => StepDelta::ThoughtSummary { content: Content::text(news) },
        };
        out.drafts.push(self.draft(index, delta));
    }

    fn close(&mut self, exact: bool, sign: &impl Fn(&str) -> String, out: &mut Assembled) {
        let Some(open) = self.open.take() else { return };
        let logged = self.logged.get(open.index);
        if logged.is_some_and(|step| step.stopped) {
            return;
        }
        // A repeated turn that was cut before it caught up keeps what the log holds.
        let text = logged.map(|step| &step.text).filter(|text| text.len() > open.text.len()).unwrap_or(&open.text);
        let signature = match (open.head, logged.and_then(|step| step.signature.clone())) {
            (StepHead::ModelOutput, _) => None,
            (StepHead::Thought, Some(signature)) => Some(signature),
            (StepHead::Thought, None) => {
                let signature = sign(&open.text);
                let delta = StepDelta::ThoughtSignature { signature: signature.clone() };
                out.drafts.push(Draft { body: delta_event(open.index, delta), trace: None });
                Some(signature)
            }
        };
        let visible = if open.head == StepHead::Thought && !self.summaries { String::new() } else { text.clone() };
        let step = finished_step(open.head, visible, signature);
        let mut stop = Draft::from(stop(open.index));
        stop.trace = self.take_unlogged();
        out.drafts.push(stop);
        // Only an answer that is the whole turn can be replayed token by token.
        let trace = (exact && !self.thought).then(|| self.trace(self.tokens.clone())).flatten();
        out.closed.push(ClosedStep { index: open.index, step, trace });
    }

    fn draft(&mut self, index: usize, delta: StepDelta) -> Draft {
        Draft { body: delta_event(index, delta), trace: self.take_unlogged() }
    }

    fn take_unlogged(&mut self) -> Option<Trace> {
        let tokens = std::mem::take(&mut self.unlogged);
        self.trace(tokens)
    }

    fn trace(&self, tokens: Vec<u32>) -> Option<Trace> {
        (!tokens.is_empty()).then(|| Trace { fingerprint: self.fingerprint.clone(), tokens })
    }
}

fn delta_event(index: usize, delta: StepDelta) -> InteractionEvent {
    InteractionEvent::StepDelta(StepDeltaEvent { index, delta })
}

/// The step as the fold of its events gives it.
fn finished_step(head: StepHead, text: String, signature: Option<String>) -> Step {
    match head {
        StepHead::ModelOutput => {
            Step::ModelOutput(MessageStep { content: vec![Content::text(text)], ..MessageStep::default() })
        }
        StepHead::Thought => {
            let summary = if text.is_empty() { Vec::new() } else { vec![Content::text(text)] };
            Step::Thought(ThoughtStep { signature, summary, ..ThoughtStep::default() })
        }
    }
}

fn stop(index: usize) -> InteractionEvent {
    InteractionEvent::StepStop(StepStop { index, usage: None })
}
