//! From what the model says to the steps and deltas of the API. Pure.
//!
//! An assembler is of one turn: a model call and the steps it becomes. One that takes up a
//! turn after a crash is told what the log already holds of it. The backend then repeats
//! the turn from its first character, and the assembler lets pass only what comes after: no
//! event is doubled and none is lost.
//!
//! Markers that a model writes behind what it took from a source are never shown: they
//! become citations.

use std::collections::BTreeMap;

use antiphon_citation::{Citation, Cited, Citer};
use antiphon_wire::{
    Content, Failure, FunctionCallStep, InteractionEvent, MediaContent, MessageStep, ServerCallDelta, ServerCallStep,
    Step, StepDelta, StepDeltaEvent, StepHead, StepStart, StepStop, TextContent, ThinkingSummaries, ThoughtStep,
};
use serde_json::{Map, Value, json};

use crate::backend::{FinishReason, Media, ModelEvent, Signature, Thought, Tool};
use crate::journal::Draft;
use crate::store::{ClosedStep, Event, PastStep, Trace};
use crate::tell::Origin;
use crate::tool::OpenTool;

mod calls;
mod logged;
mod opening;

pub(crate) use calls::{MALFORMED_CALL, ServerCall, check_answer};
use calls::{check_arguments, no_object, server_call};
use logged::{LoggedStep, logged_steps};
use opening::{Opening, is_call, is_of};

/// Turns the events of one model call into drafts of the log.
pub(crate) struct Assembler {
    summaries: bool,
    fingerprint: String,
    /// The index of the turn's first step.
    first_index: usize,
    /// What an earlier life logged of each step of the turn, by its place.
    logged: Vec<LoggedStep>,
    /// The place of the next step in the turn.
    next: usize,
    open: Option<OpenStep>,
    /// Tokens that no event carries yet.
    unlogged: Vec<u32>,
    /// All tokens of this call, for the step that can be replayed exactly.
    tokens: Vec<u32>,
    thought: bool,
    /// Arguments are held against the parameters of these; those of the server come first.
    tools: Vec<Tool>,
    server_tools: Vec<OpenTool>,
    /// How many functions of the client the model has called.
    calls: usize,
    server_calls: Vec<ServerCall>,
    /// Calls of the client's functions that come last, behind what the server's tools give:
    /// names and arguments so far. Held only where the server has tools in the turn.
    held: Vec<(String, String)>,
    in_held: bool,
    /// The text of the last `model_output`.
    answer: String,
    citer: Option<Citer>,
    /// What citations say of each source.
    origins: BTreeMap<u32, Origin>,
    /// Every step of the turn that is whole.
    finished: Vec<PastStep>,
}

/// What the assembler cannot make itself.
pub(crate) trait Mint {
    /// The signature of a thought.
    fn signature(&self, thought: &Thought) -> String;

    /// The id of a call, unlike any other.
    fn call_id(&self) -> String;
}

struct OpenStep {
    /// In the turn.
    place: usize,
    head: StepHead,
    text: String,
    /// How many bytes of `text` the log holds already.
    logged_bytes: usize,
    /// What the model wants back with a thought.
    signature: Option<Signature>,
    /// The answer in place of text.
    picture: Option<MediaContent>,
    citations: Vec<Citation>,
}

/// What the assembler made of an event.
#[derive(Debug, Default)]
pub(crate) struct Assembled {
    pub(crate) drafts: Vec<Draft>,
    pub(crate) closed: Vec<ClosedStep>,
}

/// What an assembler has to know of its turn.
pub(crate) struct TurnSetting {
    pub(crate) summaries: Option<ThinkingSummaries>,
    /// Names the model's tokens.
    pub(crate) fingerprint: String,
    /// Of the client and of the server, as the model is told of them.
    pub(crate) tools: Vec<Tool>,
    pub(crate) server_tools: Vec<OpenTool>,
    /// The index of its first step.
    pub(crate) first_index: usize,
    /// What may be cited, unless the answer must stay as it is.
    pub(crate) citer: Option<Citer>,
    /// What citations say of each source.
    pub(crate) origins: BTreeMap<u32, Origin>,
}

impl Assembler {
    /// `log` is what an earlier life logged of this turn.
    pub(crate) fn new(setting: TurnSetting, log: &[Event]) -> Self {
        let TurnSetting { summaries, fingerprint, tools, server_tools, first_index, citer, origins } = setting;
        let (logged, tokens) = logged_steps(log, first_index);
        Self {
            summaries: summaries == Some(ThinkingSummaries::Auto),
            fingerprint,
            first_index,
            logged,
            next: 0,
            open: None,
            unlogged: Vec::new(),
            tokens,
            thought: false,
            tools,
            server_tools,
            calls: 0,
            server_calls: Vec::new(),
            held: Vec::new(),
            in_held: false,
            answer: String::new(),
            citer,
            origins,
            finished: Vec::new(),
        }
    }

    /// How many functions of the client the model has called.
    pub(crate) fn calls(&self) -> usize {
        self.calls
    }

    /// What the model wants the server to do.
    pub(crate) fn server_calls(&self) -> &[ServerCall] {
        &self.server_calls
    }

    /// The steps of the client's calls that wait until the server's have their results, as
    /// drafts from an index on.
    pub(crate) fn held_calls(&mut self, first_index: usize, mint: &impl Mint) -> Assembled {
        let mut out = Assembled::default();
        for (index, (name, text)) in (first_index..).zip(std::mem::take(&mut self.held)) {
            let head = Opening::Call(name).head(None, mint);
            out.drafts.push(InteractionEvent::StepStart(StepStart { index, step: head.clone() }).into());
            let delta = StepDelta::ArgumentsDelta { arguments: text.clone() };
            out.drafts.push(InteractionEvent::StepDelta(StepDeltaEvent { index, delta }).into());
            out.drafts.push(stop(index).into());
            let step = finished_step(&head, text, None, Vec::new());
            out.closed.extend(step.map(|step| ClosedStep { index, step, trace: None }));
        }
        out
    }

    /// The text of the last `model_output`.
    pub(crate) fn answer(&self) -> &str {
        &self.answer
    }

    /// The steps of the turn that are whole, and the index of the step after them.
    pub(crate) fn finished(&self) -> (&[PastStep], usize) {
        (&self.finished, self.first_index + self.next)
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
                    if self.open.as_ref().is_some_and(|open| open.picture.is_some()) {
                        self.close(false, mint, &mut out)?;
                    }
                    self.open(Opening::ModelOutput, mint, &mut out)?;
                    match self.citer.as_mut().map(|citer| citer.push(&text)) {
                        None => self.extend(&text, &mut out),
                        Some(cited) => self.cite(cited, &mut out),
                    }
                }
            }
            ModelEvent::Picture(Media { data, mime_type, .. }) => {
                return self.show(MediaContent::inline(data, mime_type), mint);
            }
            ModelEvent::CallStarted { name, tokens } => {
                self.take_tokens(tokens);
                let is_servers = self.is_servers(&name);
                if self.server_tools.is_empty() || is_servers {
                    self.open(Opening::Call(name), mint, &mut out)?;
                } else {
                    self.close(false, mint, &mut out)?;
                    self.calls += 1;
                    self.held.push((name, String::new()));
                    self.in_held = true;
                }
            }
            ModelEvent::CallArguments { text, tokens } => {
                self.take_tokens(tokens);
                match self.held.last_mut().filter(|_| self.in_held) {
                    Some((_, arguments)) => arguments.push_str(&text),
                    None => self.extend(&text, &mut out),
                }
            }
            ModelEvent::Finished { exact, reason, .. } if self.has_calls() => {
                let closed = self.close(exact, mint, &mut out).and_then(|()| self.finish_held(mint, &mut out));
                match closed {
                    // A call that was cut stays open, to be abandoned.
                    Err(_) if reason != FinishReason::Stop => {}
                    closed => closed?,
                }
            }
            ModelEvent::Finished { exact, .. } => {
                // A completed answer ends with a `model_output` that has a text part,
                // also when the model had nothing to say.
                self.open(Opening::ModelOutput, mint, &mut out)?;
                if let Some(cited) = self.citer.as_mut().map(Citer::finish) {
                    self.cite(cited, &mut out);
                }
                let empty = self.open.as_ref().is_some_and(|open| open.text.is_empty() && open.picture.is_none());
                if empty && self.logged.get(self.next - 1).is_none_or(|logged| logged.text.is_empty()) {
                    out.drafts.push(self.draft(self.next - 1, StepDelta::Text { text: String::new() }));
                }
                self.close(exact, mint, &mut out)?;
            }
        }
        Ok(out)
    }

    /// Takes in a picture, in the form in which it is delivered. It is a step of its own.
    ///
    /// # Errors
    /// As [`Assembler::push`].
    pub(crate) fn show(&mut self, picture: MediaContent, mint: &impl Mint) -> Result<Assembled, Failure> {
        let mut out = Assembled::default();
        self.close(false, mint, &mut out)?;
        self.open(Opening::ModelOutput, mint, &mut out)?;
        if self.logged.get(self.next - 1).is_none_or(|logged| !logged.is_picture) {
            out.drafts.push(self.draft(self.next - 1, StepDelta::Image(picture.clone())));
        }
        if let Some(open) = &mut self.open {
            open.picture = Some(picture);
        }
        Ok(out)
    }

    /// Ends a turn that was cut short: the open step is closed as it is. A call gets no
    /// stop, for it is none: programs run every call that is whole.
    pub(crate) fn abandon(&mut self, mint: &impl Mint) -> Assembled {
        let mut out = Assembled::default();
        self.flush_citer(&mut out);
        if let Some(open) = self.open.take().filter(|open| !is_call(&open.head)) {
            self.stop(&open, None, mint, &mut out);
        }
        // Steps an earlier life left open and this one has not reached again.
        for (place, logged) in self.logged.iter().enumerate().skip(self.next) {
            if !logged.stopped && !is_call(&logged.head) {
                let index = self.first_index + place;
                out.drafts.push(stop(index).into());
                let step = finished_step(
                    &logged.head,
                    logged.text.clone(),
                    logged.signature.clone(),
                    logged.annotations.clone(),
                );
                out.closed.extend(step.map(|step| ClosedStep { index, step, trace: None }));
            }
        }
        out
    }

    /// Checks the calls that were held, and lets them out when nothing comes before them.
    fn finish_held(&mut self, mint: &impl Mint, out: &mut Assembled) -> Result<(), Failure> {
        for (name, arguments) in &self.held {
            check_arguments(&self.tools, name, arguments)?;
        }
        if !self.server_calls.is_empty() {
            return Ok(());
        }
        for (name, arguments) in std::mem::take(&mut self.held) {
            self.open(Opening::Call(name), mint, out)?;
            // It was counted when it came.
            self.calls -= 1;
            self.extend(&arguments, out);
            self.close(false, mint, out)?;
        }
        Ok(())
    }

    fn is_servers(&self, function: &str) -> bool {
        self.server_tools.iter().any(|tool| tool.declaration.name == function)
    }

    fn has_calls(&self) -> bool {
        self.calls > 0 || !self.server_calls.is_empty() || self.open.as_ref().is_some_and(|open| is_call(&open.head))
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
        self.in_held = false;
        let place = self.next;
        self.next += 1;
        let tool = match &opening {
            Opening::Thought => {
                self.thought = true;
                None
            }
            Opening::ModelOutput => None,
            Opening::Call(name) => {
                let tool = self.server_tools.iter().find(|tool| tool.declaration.name == *name).cloned();
                self.calls += usize::from(tool.is_none());
                tool
            }
        };
        let (head, logged_bytes) = match self.logged.get(place) {
            Some(logged) if opening.repeats(tool.as_ref(), &logged.head) => (logged.head.clone(), logged.text.len()),
            Some(_) => {
                return Err(Failure {
                    code: "aborted".to_owned(),
                    message: "The server restarted, and the model did not repeat the answer that it had begun"
                        .to_owned(),
                });
            }
            None => {
                let head = opening.head(tool.as_ref(), mint);
                // A call of the server's is logged when it is whole: one that is cut was none.
                if tool.is_none() {
                    out.drafts.push(self.start(place, head.clone()));
                }
                (head, 0)
            }
        };
        self.open = Some(OpenStep {
            place,
            head,
            text: String::new(),
            logged_bytes,
            signature: None,
            picture: None,
            citations: Vec::new(),
        });
        Ok(())
    }

    /// Adds shown text and what it cites to the open step.
    fn cite(&mut self, cited: Cited, out: &mut Assembled) {
        self.extend(&cited.text, out);
        if let Some(open) = &mut self.open {
            open.citations.extend(cited.citations);
        }
    }

    /// Lets out what was held back for the sake of markers.
    fn flush_citer(&mut self, out: &mut Assembled) {
        if self.open.as_ref().is_some_and(|open| open.head == StepHead::ModelOutput)
            && let Some(cited) = self.citer.as_mut().map(Citer::finish)
        {
            self.cite(cited, out);
        }
    }

    fn extend(&mut self, text: &str, out: &mut Assembled) {
        let Some(open) = &mut self.open else { return };
        let before = open.text.len();
        open.text.push_str(text);
        let is_shown_whole = |name: &str| self.server_tools.iter().any(|tool| tool.declaration.name == name);
        match &open.head {
            StepHead::Thought if !self.summaries => return,
            StepHead::FunctionCall { name, .. } if is_shown_whole(name) => return,
            _ => {}
        }
        let start = open.logged_bytes.max(before);
        let Some(news) = open.text.get(start..).filter(|news| !news.is_empty()) else { return };
        let news = news.to_owned();
        let place = open.place;
        let delta = match open.head {
            StepHead::ModelOutput => StepDelta::Text { text: news },
            StepHead::Thought => StepDelta::ThoughtSummary { content: Content::text(news) },
            StepHead::FunctionCall { .. } => StepDelta::ArgumentsDelta { arguments: news },
            StepHead::ServerCall(_)
            | StepHead::ServerResult(_)
            | StepHead::FunctionResult { .. }
            | StepHead::ProcessingCall { .. }
            | StepHead::ProcessingResult { .. } => return,
        };
        out.drafts.push(self.draft(place, delta));
    }

    /// Ends the open step, if there is one. `exact`: it is the last one, and the tokens of
    /// the call are exactly what was given out.
    ///
    /// # Errors
    /// `malformed_function_call` or `malformed_tool_call` when it is a call that cannot be
    /// made.
    fn close(&mut self, exact: bool, mint: &impl Mint, out: &mut Assembled) -> Result<(), Failure> {
        self.flush_citer(out);
        let Some(open) = &self.open else { return Ok(()) };
        let servers = match &open.head {
            StepHead::FunctionCall { id, name, .. } => {
                match self.server_tools.iter().find(|tool| tool.declaration.name == *name) {
                    Some(tool) => {
                        let delta = StepDelta::ArgumentsDelta { arguments: open.text.clone() };
                        Some((server_call(tool, id, &open.text)?, delta))
                    }
                    None => {
                        check_arguments(&self.tools, name, &open.text)?;
                        None
                    }
                }
            }
            StepHead::ServerCall(head) => {
                let tool = self.server_tools.iter().find(|tool| is_of(tool, head));
                let tool = tool.ok_or_else(|| no_object(head.tool.as_str()))?;
                let call = server_call(tool, &head.id, &open.text)?;
                let delta = StepDelta::ServerCall(ServerCallDelta {
                    tool: head.tool,
                    name: head.name.clone(),
                    server_name: head.server_name.clone(),
                    arguments: call.arguments.clone(),
                });
                Some((call, delta))
            }
            StepHead::ModelOutput
            | StepHead::Thought
            | StepHead::ServerResult(_)
            | StepHead::FunctionResult { .. }
            | StepHead::ProcessingCall { .. }
            | StepHead::ProcessingResult { .. } => None,
        };
        if let Some((call, delta)) = servers {
            let place = open.place;
            if self.logged.get(place).is_none() {
                out.drafts.push(self.start(place, open.head.clone()));
                out.drafts.push(self.draft(place, delta));
            }
            self.server_calls.push(call);
        }
        if let Some(open) = self.open.take() {
            // The tokens of a turn can be given back as they are unless a thought was cut out.
            // The same goes for calls that come later, as steps of their own.
            let whole = exact && !self.thought && self.held.is_empty();
            let trace = whole.then(|| self.trace(self.tokens.clone())).flatten();
            self.stop(&open, trace, mint, out);
        }
        Ok(())
    }

    fn stop(&mut self, open: &OpenStep, trace: Option<Trace>, mint: &impl Mint, out: &mut Assembled) {
        let logged = self.logged.get(open.place);
        // A repeated turn that was cut before it caught up keeps what the log holds.
        let kept = logged.map(|step| &step.text).filter(|text| text.len() > open.text.len());
        let text = kept.filter(|_| !matches!(open.head, StepHead::ServerCall(_))).unwrap_or(&open.text).clone();
        if open.head == StepHead::ModelOutput {
            self.answer.clone_from(&text);
        }
        let stopped = logged.is_some_and(|step| step.stopped);
        let signature = (open.head == StepHead::Thought).then(|| {
            logged.and_then(|step| step.signature.clone()).unwrap_or_else(|| {
                let signature = mint.signature(&Thought { text: open.text.clone(), signature: open.signature.clone() });
                let delta = StepDelta::ThoughtSignature { signature: signature.clone() };
                out.drafts.push(Draft { body: self.delta_event(open.place, delta), trace: None });
                signature
            })
        });
        let annotations = match (&self.citer, logged.filter(|logged| logged.stopped)) {
            (_, Some(logged)) => logged.annotations.clone(),
            (None, None) => Vec::new(),
            (Some(citer), None) => open
                .citations
                .iter()
                .filter_map(|citation| annotation(citer, &self.origins, citation))
                .collect::<Vec<_>>(),
        };
        let visible = if open.head == StepHead::Thought && !self.summaries { String::new() } else { text };
        let mut step = finished_step(&open.head, visible, signature, annotations.clone());
        if let (Some(Step::ModelOutput(output)), Some(picture)) = (&mut step, &open.picture) {
            output.content = vec![Content::Image(picture.clone())];
        }
        self.finished.extend(step.clone().map(|step| PastStep { step, trace: trace.clone() }));
        if stopped {
            return;
        }
        if !annotations.is_empty() {
            let delta = StepDelta::TextAnnotationDelta { annotations };
            out.drafts.push(Draft { body: self.delta_event(open.place, delta), trace: None });
        }
        let index = self.first_index + open.place;
        let mut stop = Draft::from(stop(index));
        stop.trace = self.take_unlogged();
        out.drafts.push(stop);
        out.closed.extend(step.map(|step| ClosedStep { index, step, trace }));
    }

    fn draft(&mut self, place: usize, delta: StepDelta) -> Draft {
        Draft { body: self.delta_event(place, delta), trace: self.take_unlogged() }
    }

    fn start(&self, place: usize, step: StepHead) -> Draft {
        InteractionEvent::StepStart(StepStart { index: self.first_index + place, step }).into()
    }

    fn delta_event(&self, place: usize, delta: StepDelta) -> InteractionEvent {
        InteractionEvent::StepDelta(StepDeltaEvent { index: self.first_index + place, delta })
    }

    fn take_unlogged(&mut self) -> Option<Trace> {
        let tokens = std::mem::take(&mut self.unlogged);
        self.trace(tokens)
    }

    fn trace(&self, tokens: Vec<u32>) -> Option<Trace> {
        (!tokens.is_empty()).then(|| Trace { fingerprint: self.fingerprint.clone(), tokens })
    }
}

/// A citation as the API says it (spec 03, "Annotations").
fn annotation(citer: &Citer, origins: &BTreeMap<u32, Origin>, citation: &Citation) -> Option<Value> {
    let source = citer.source(citation.source)?;
    let origin = origins.get(&citation.source).cloned().unwrap_or_default();
    if let Some(file) = origin.file {
        let mut annotation = json!({
            "type": "file_citation",
            "document_uri": source.url,
            "file_name": source.title,
            "start_index": citation.start,
            "end_index": citation.end,
        });
        let said = serde_json::to_value(file).ok()?;
        annotation.as_object_mut()?.extend(said.as_object()?.clone());
        return Some(annotation);
    }
    let site = if origin.site.is_empty() { &source.title } else { &origin.site };
    Some(json!({
        "type": "url_citation",
        "url": source.url,
        "title": site,
        "start_index": citation.start,
        "end_index": citation.end,
    }))
}

/// The step as the fold of its events gives it; a call that was cut short is none.
fn finished_step(head: &StepHead, text: String, signature: Option<String>, annotations: Vec<Value>) -> Option<Step> {
    Some(match head {
        StepHead::ModelOutput => Step::ModelOutput(MessageStep {
            content: vec![Content::Text(TextContent { text, annotations })],
            ..MessageStep::default()
        }),
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
        StepHead::ServerCall(head) => Step::ServerCall(ServerCallStep {
            tool: head.tool,
            id: head.id.clone(),
            name: head.name.clone(),
            server_name: head.server_name.clone(),
            arguments: serde_json::from_str(&text).ok()?,
            signature: None,
            extra: Map::new(),
        }),
        // The assembler makes none.
        StepHead::ServerResult(_)
        | StepHead::FunctionResult { .. }
        | StepHead::ProcessingCall { .. }
        | StepHead::ProcessingResult { .. } => return None,
    })
}

fn stop(index: usize) -> InteractionEvent {
    InteractionEvent::StepStop(StepStop { index, usage: None })
}
