//! From what the model says to the steps and deltas of the API. Pure.
//!
//! An assembler that takes up a run after a crash is told what the log already holds.
//! The backend then repeats the turn from its first character, and the assembler lets
//! pass only what comes after: no event is doubled and none is lost.

use antiphon_schema::Schema;
use antiphon_wire::{
    Content, Failure, FunctionCallStep, InteractionEvent, MessageStep, Step, StepDelta, StepDeltaEvent, StepHead,
    StepStart, StepStop, TextContent, ThinkingSummaries, ThoughtStep,
};
use serde_json::{Map, Value};

use crate::backend::{FinishReason, ModelEvent, Signature, Thought, Tool};
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
    /// Arguments are held against the parameters of these.
    tools: Vec<Tool>,
    /// How many calls the model has made.
    calls: usize,
    /// The text of the last `model_output`.
    answer: String,
}

/// What the assembler cannot make itself.
pub(crate) trait Mint {
    /// The signature of a thought.
    fn signature(&self, thought: &Thought) -> String;

    /// The id of a call, unlike any other.
    fn call_id(&self) -> String;
}

struct LoggedStep {
    head: StepHead,
    /// The visible text so far: the answer, the summary of a thought, or the JSON text of
    /// a call's arguments.
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
    /// What the model wants back with a thought.
    signature: Option<Signature>,
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
    pub(crate) fn new(
        summaries: Option<ThinkingSummaries>,
        fingerprint: String,
        tools: Vec<Tool>,
        log: &[Event],
    ) -> Self {
        let mut logged: Vec<LoggedStep> = Vec::new();
        let mut tokens = Vec::new();
        for event in log {
            tokens.extend(event.trace.iter().flat_map(|trace| &trace.tokens));
            match &event.body {
                InteractionEvent::StepStart(start) => {
                    logged.push(LoggedStep {
                        head: start.step.clone(),
                        text: String::new(),
                        signature: None,
                        stopped: false,
                    });
                }
                InteractionEvent::StepDelta(StepDeltaEvent { index, delta }) => {
                    let Some(step) = logged.get_mut(*index) else { continue };
                    match delta {
                        StepDelta::Text { text }
                        | StepDelta::ArgumentsDelta { arguments: text }
                        | StepDelta::ThoughtSummary { content: Content::Text(TextContent { text, .. }) } => {
                            step.text.push_str(text);
                        }
                        StepDelta::ThoughtSummary { .. } => {}
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
            tools,
            calls: 0,
            answer: String::new(),
        }
    }

    /// How many calls the model has made.
    pub(crate) fn calls(&self) -> usize {
        self.calls
    }

    /// The text of the last `model_output`.
    pub(crate) fn answer(&self) -> &str {
        &self.answer
    }

    /// Takes in one event of the model.
    ///
    /// # Errors
    /// When a repeated turn does not agree with what the log holds, or a call is none that
    /// was declared.
    pub(crate) fn push(&mut self, event: ModelEvent, mint: &impl Mint) -> Result<Assembled, Failure> {
        let mut out = Assembled::default();
        match event {
            ModelEvent::Started { .. } | ModelEvent::Counted { .. } | ModelEvent::ServedBy { .. } => {}
            ModelEvent::Thought { text, tokens } => {
                self.take_tokens(tokens);
                self.open(Opening::Thought, mint, &mut out)?;
                self.extend(&text, &mut out);
            }
            ModelEvent::Signed(signature) => {
                self.open(Opening::Thought, mint, &mut out)?;
                if let Some(open) = &mut self.open {
                    open.signature = Some(signature);
                }
                self.close(false, mint, &mut out)?;
            }
            ModelEvent::Text { text, tokens } => {
                self.take_tokens(tokens);
                if !text.is_empty() {
                    self.open(Opening::ModelOutput, mint, &mut out)?;
                    self.extend(&text, &mut out);
                }
            }
            ModelEvent::CallStarted { name, tokens } => {
                self.take_tokens(tokens);
                self.open(Opening::Call(name), mint, &mut out)?;
            }
            ModelEvent::CallArguments { text, tokens } => {
                self.take_tokens(tokens);
                self.extend(&text, &mut out);
            }
            ModelEvent::Finished { exact, reason, .. } if self.calls > 0 => {
                match self.close(exact, mint, &mut out) {
                    // A call that was cut stays open, to be abandoned.
                    Err(_) if reason != FinishReason::Stop => {}
                    closed => closed?,
                }
            }
            ModelEvent::Finished { exact, .. } => {
                // A completed answer ends with a `model_output` that has a text part,
                // also when the model had nothing to say.
                self.open(Opening::ModelOutput, mint, &mut out)?;
                let empty = self.open.as_ref().is_some_and(|open| open.text.is_empty());
                if empty && self.logged.get(self.next_index - 1).is_none_or(|logged| logged.text.is_empty()) {
                    let index = self.next_index - 1;
                    out.drafts.push(self.draft(index, StepDelta::Text { text: String::new() }));
                }
                self.close(exact, mint, &mut out)?;
            }
        }
        Ok(out)
    }

    /// Ends a turn that was cut short: the open step is closed as it is. A call gets no
    /// stop, for it is none: programs run every call that is whole.
    pub(crate) fn abandon(&mut self, mint: &impl Mint) -> Assembled {
        let mut out = Assembled::default();
        if let Some(open) = self.open.take().filter(|open| !is_call(&open.head)) {
            self.stop(&open, None, mint, &mut out);
        }
        // Steps an earlier life left open and this one has not reached again.
        for (index, logged) in self.logged.iter().enumerate().skip(self.next_index) {
            if !logged.stopped && !is_call(&logged.head) {
                out.drafts.push(stop(index).into());
                let step = finished_step(&logged.head, logged.text.clone(), logged.signature.clone());
                out.closed.extend(step.map(|step| ClosedStep { index, step, trace: None }));
            }
        }
        out
    }

    fn take_tokens(&mut self, tokens: Vec<u32>) {
        self.tokens.extend(&tokens);
        self.unlogged.extend(tokens);
    }

    /// Makes sure that the open step is of this kind; every call has a step of its own.
    fn open(&mut self, opening: Opening, mint: &impl Mint, out: &mut Assembled) -> Result<(), Failure> {
        if self.open.as_ref().is_some_and(|open| opening.continues(&open.head)) {
            return Ok(());
        }
        self.close(false, mint, out)?;
        let index = self.next_index;
        self.next_index += 1;
        match &opening {
            Opening::Thought => self.thought = true,
            Opening::ModelOutput => {}
            Opening::Call(_) => self.calls += 1,
        }
        let (head, logged_bytes) = match self.logged.get(index) {
            Some(logged) if opening.repeats(&logged.head) => (logged.head.clone(), logged.text.len()),
            Some(_) => {
                return Err(Failure {
                    code: "aborted".to_owned(),
                    message: "The server restarted, and the model did not repeat the answer that it had begun"
                        .to_owned(),
                });
            }
            None => {
                let head = opening.head(mint);
                out.drafts.push(InteractionEvent::StepStart(StepStart { index, step: head.clone() }).into());
                (head, 0)
            }
        };
        self.open = Some(OpenStep { index, head, text: String::new(), logged_bytes, signature: None });
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
            StepHead::FunctionCall { .. } => StepDelta::ArgumentsDelta { arguments: news },
        };
        out.drafts.push(self.draft(index, delta));
    }

    /// Ends the open step, if there is one. `exact`: it is the last one, and the tokens of
    /// the call are exactly what was given out.
    ///
    /// # Errors
    /// `malformed_function_call` when it is a call that cannot be made.
    fn close(&mut self, exact: bool, mint: &impl Mint, out: &mut Assembled) -> Result<(), Failure> {
        let Some(open) = &self.open else { return Ok(()) };
        if let StepHead::FunctionCall { name, .. } = &open.head {
            check_arguments(&self.tools, name, &open.text)?;
        }
        if let Some(open) = self.open.take() {
            // The tokens of a turn can be given back as they are unless a thought was cut out.
            let trace = (exact && !self.thought).then(|| self.trace(self.tokens.clone())).flatten();
            self.stop(&open, trace, mint, out);
        }
        Ok(())
    }

    fn stop(&mut self, open: &OpenStep, trace: Option<Trace>, mint: &impl Mint, out: &mut Assembled) {
        let logged = self.logged.get(open.index);
        // A repeated turn that was cut before it caught up keeps what the log holds.
        let text = logged.map(|step| &step.text).filter(|text| text.len() > open.text.len()).unwrap_or(&open.text);
        let text = text.clone();
        if open.head == StepHead::ModelOutput {
            self.answer.clone_from(&text);
        }
        if logged.is_some_and(|step| step.stopped) {
            return;
        }
        let signature = match (&open.head, logged.and_then(|step| step.signature.clone())) {
            (StepHead::ModelOutput | StepHead::FunctionCall { .. }, _) => None,
            (StepHead::Thought, Some(signature)) => Some(signature),
            (StepHead::Thought, None) => {
                let signature = mint.signature(&Thought { text: open.text.clone(), signature: open.signature.clone() });
                let delta = StepDelta::ThoughtSignature { signature: signature.clone() };
                out.drafts.push(Draft { body: delta_event(open.index, delta), trace: None });
                Some(signature)
            }
        };
        let visible = if open.head == StepHead::Thought && !self.summaries { String::new() } else { text };
        let mut stop = Draft::from(stop(open.index));
        stop.trace = self.take_unlogged();
        out.drafts.push(stop);
        let step = finished_step(&open.head, visible, signature);
        out.closed.extend(step.map(|step| ClosedStep { index: open.index, step, trace }));
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

/// What a step is to begin with.
enum Opening {
    Thought,
    ModelOutput,
    /// A call of this function.
    Call(String),
}

impl Opening {
    /// Whether the open step is already what is wanted.
    fn continues(&self, head: &StepHead) -> bool {
        match self {
            Self::Thought => *head == StepHead::Thought,
            Self::ModelOutput => *head == StepHead::ModelOutput,
            Self::Call(_) => false,
        }
    }

    /// Whether a logged step began in the same way.
    fn repeats(&self, head: &StepHead) -> bool {
        match (self, head) {
            (Self::Call(wanted), StepHead::FunctionCall { name, .. }) => wanted == name,
            (Self::Call(_), StepHead::Thought | StepHead::ModelOutput) => false,
            (Self::Thought | Self::ModelOutput, _) => self.continues(head),
        }
    }

    fn head(self, mint: &impl Mint) -> StepHead {
        match self {
            Self::Thought => StepHead::Thought,
            Self::ModelOutput => StepHead::ModelOutput,
            Self::Call(name) => StepHead::FunctionCall { id: mint.call_id(), name, arguments: Map::new() },
        }
    }
}

/// # Errors
/// `malformed_function_call` (spec 00 §5), which names the place but quotes no value.
fn check_arguments(tools: &[Tool], name: &str, arguments: &str) -> Result<(), Failure> {
    let malformed = |message: String| Failure { code: MALFORMED_CALL.to_owned(), message };
    let Some(tool) = tools.iter().find(|tool| tool.name == name) else {
        return Err(malformed("The model called a function that was not declared".to_owned()));
    };
    let Ok(arguments @ Value::Object(_)) = serde_json::from_str::<Value>(arguments) else {
        return Err(malformed(format!("The model called `{name}` with arguments that are no JSON object")));
    };
    tool.parameters.validate(&arguments).map_err(|violation| {
        malformed(format!(
            "The model called `{name}` with arguments that do not conform at `{}`: {}",
            violation.pointer, violation.message
        ))
    })
}

/// Whether an answer is what the schema promises.
///
/// # Errors
/// `malformed_response`, which names the place but quotes no value.
pub(crate) fn check_answer(schema: &Schema, answer: &str) -> Result<(), Failure> {
    let malformed = |message: String| Failure { code: "malformed_response".to_owned(), message };
    let Ok(value) = serde_json::from_str::<Value>(answer) else {
        return Err(malformed("The model's answer is no JSON".to_owned()));
    };
    schema.validate(&value).map_err(|violation| {
        malformed(format!(
            "The model's answer does not conform to the schema at `{}`: {}",
            violation.pointer, violation.message
        ))
    })
}

fn is_call(head: &StepHead) -> bool {
    match head {
        StepHead::FunctionCall { .. } => true,
        StepHead::ModelOutput | StepHead::Thought => false,
    }
}

/// The code of a call that cannot be made (spec 00 §5).
pub(crate) const MALFORMED_CALL: &str = "malformed_function_call";

/// The step as the fold of its events gives it; a call that was cut short is none.
fn finished_step(head: &StepHead, text: String, signature: Option<String>) -> Option<Step> {
    Some(match head {
        StepHead::ModelOutput => {
            Step::ModelOutput(MessageStep { content: vec![Content::text(text)], ..MessageStep::default() })
        }
        StepHead::Thought => {
            let summary = if text.is_empty() { Vec::new() } else { vec![Content::text(text)] };
            Step::Thought(ThoughtStep { signature, summary, ..ThoughtStep::default() })
        }
        StepHead::FunctionCall { id, name, .. } => Step::FunctionCall(FunctionCallStep {
            id: id.clone(),
            name: name.clone(),
            arguments: serde_json::from_str(&text).ok()?,
            ..FunctionCallStep::default()
        }),
    })
}

fn stop(index: usize) -> InteractionEvent {
    InteractionEvent::StepStop(StepStop { index, usage: None })
}
