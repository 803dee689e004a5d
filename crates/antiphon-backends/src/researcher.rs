//! A language model that researches: a plan, a search and a section for each of its questions,
//! and a report of the sections.
//!
//! It is a backend over the model's own, so that a research is a run with tools like any other:
//! searches and pages are calls that the driver carries out, and what comes of a question is a
//! thought that the log keeps. Which turn is next stands in the conversation alone
//! ([`progress`]), so a run that is taken up goes on at its last whole turn. Each turn asks the
//! model for one small thing, which a small model can give; nothing is said before the turn is
//! whole.

use std::fmt;
use std::sync::Arc;

use antiphon_engine::{
    Backend, BackendError, Calls, FinishReason, MediaKind, Message, ModelEvent, ModelRequest, ModelStream, Part,
    Prepared, Schema, Signature,
};
use antiphon_wire::{Error, MediaOptions};
use async_trait::async_trait;
use futures_util::{StreamExt as _, stream};
use serde_json::json;

mod plan;
mod progress;
mod report;

use plan::Plan;
use progress::{Finding, NOTED, Note, Progress};

/// What the model may write at a time.
const PLAN_TOKENS: u32 = 400;
const SECTION_TOKENS: u32 = 700;
const SUMMARY_TOKENS: u32 = 300;
const CALL_TOKENS: u32 = 600;

/// Calls of further tools for one question.
const MOST_CALLS: usize = 3;

/// Of the task, in what a section is asked with, in bytes.
const LONGEST_TASK: usize = 500;

const PLANNER: &str = "You plan a piece of research. You do not answer the task; you say which questions have to be \
                       answered for it.";
const WRITER: &str = "You write one section of a report: one or two paragraphs that answer the question, from what \
                      was found and nothing else. No heading. Say so when what was found does not answer it.";
const ASSISTANT: &str = "You help to answer one question of a report, with your tools.";
const HELP: &str = "Call a tool that has not been called yet if it gives a fact or a number that the answer to the \
                    question lacks. Otherwise say that nothing is missing.";
const EDITOR: &str = "You sum up a report for a reader in a hurry.";

/// The backend that researches with another.
pub struct Researcher {
    model: Arc<dyn Backend>,
}

impl Researcher {
    pub fn new(model: Arc<dyn Backend>) -> Self {
        Self { model }
    }
}

#[async_trait]
impl Backend for Researcher {
    fn slots(&self) -> usize {
        self.model.slots()
    }

    /// A turn says nothing before it is whole, so there is nothing to go on from inside of one.
    fn resumes(&self) -> bool {
        false
    }

    fn is_ready(&self) -> bool {
        self.model.is_ready()
    }

    fn takes(&self, kind: MediaKind) -> bool {
        self.model.takes(kind)
    }

    fn honours(&self, kind: MediaKind, options: &MediaOptions) -> Result<(), Error> {
        self.model.honours(kind, options)
    }

    /// Measures the first turn, before the interaction is accepted; of later ones a result that
    /// is too long is no reason to end.
    async fn prepare(&self, request: &ModelRequest) -> Result<Prepared, BackendError> {
        match Progress::of(&request.messages) {
            Progress::Unplanned { .. } => self.model.prepare(&plan_ask(request)).await,
            Progress::Searched { .. } => Ok(Prepared::default()),
        }
    }

    async fn generate(&self, request: ModelRequest, prepared: Prepared) -> Result<ModelStream, BackendError> {
        let turn = Turn { model: Arc::clone(&self.model), request, cost: Cost::default(), served_by: None };
        Ok(stream::once(async move { stream::iter(turn.events(prepared).await) }).flatten().boxed())
    }
}

/// One turn of a research.
struct Turn {
    model: Arc<dyn Backend>,
    request: ModelRequest,
    cost: Cost,
    served_by: Option<String>,
}

/// What all that the turn asked the model cost.
#[derive(Default)]
struct Cost {
    input: u64,
    cached: u64,
    output: u64,
    thought: u64,
}

impl Turn {
    /// All that the turn says, at its end.
    async fn events(mut self, prepared: Prepared) -> Vec<Result<ModelEvent, BackendError>> {
        let said = self.said(prepared).await;
        let Cost { input, cached, output, thought } = self.cost;
        let counted =
            ModelEvent::Counted { input_tokens: input, cached_tokens: cached, output_tokens: output + thought };
        let mut events: Vec<_> = self.served_by.map(|name| ModelEvent::ServedBy { name }).into_iter().collect();
        events.push(counted);
        match said {
            Err(error) => events.into_iter().map(Ok).chain([Err(error)]).collect(),
            Ok(said) => {
                events.extend(said);
                events.push(ModelEvent::Finished {
                    reason: FinishReason::Stop,
                    exact: false,
                    thought_tokens: thought,
                    output_tokens: output,
                });
                events.into_iter().map(Ok).collect()
            }
        }
    }

    async fn said(&mut self, prepared: Prepared) -> Result<Vec<ModelEvent>, BackendError> {
        let messages = std::mem::take(&mut self.request.messages);
        match Progress::of(&messages) {
            Progress::Unplanned { proposed } => {
                let ask = plan_ask(&ModelRequest { messages: messages.clone(), ..self.request.clone() });
                let answer = self.ask(ask, prepared).await?;
                let most = self.questions();
                let plan = Plan::read(&answer, most).or_else(|| proposed.clone());
                let plan = plan.unwrap_or_else(|| Plan::of_task(&progress::task(&messages)));
                Ok(self.begin(plan, proposed.is_some()))
            }
            Progress::Searched { plan, findings, evidence, unread, has_helped } => {
                if !unread.is_empty() && self.has(crate::blocks::PAGES) {
                    return Ok(call(crate::blocks::PAGES, json!({ "urls": unread })));
                }
                let Some(question) = plan.questions.get(findings.len()).cloned() else {
                    return Err(BackendError::Internal("a research went beyond its plan".to_owned()));
                };
                if !has_helped && self.request.tools.iter().any(|tool| progress::is_helper(&tool.name)) {
                    let calls = self.helping(&progress::task(&messages), &question, evidence.clone()).await?;
                    if !calls.is_empty() {
                        return Ok(calls);
                    }
                }
                let text = self.section(&progress::task(&messages), &question, evidence).await?;
                let finding = Finding { question, text };
                match plan.questions.get(findings.len() + 1) {
                    Some(next) => {
                        let mut events = noted(&finding.shown(), &Note::Finding(finding));
                        events.extend(self.search(next));
                        Ok(events)
                    }
                    None => {
                        let findings: Vec<_> = findings.into_iter().chain([finding]).collect();
                        let summary = self.summary(&progress::task(&messages), &findings).await?;
                        let text = report::write(&plan.title, summary.as_deref(), &findings);
                        Ok(vec![ModelEvent::Text { text, tokens: Vec::new() }])
                    }
                }
            }
        }
    }

    fn questions(&self) -> usize {
        self.request.research.map_or(1, |research| research.questions).max(1)
    }

    /// Shows the plan, and waits for an answer or looks into its first question.
    fn begin(&self, plan: Plan, is_agreed: bool) -> Vec<ModelEvent> {
        let waits = !is_agreed && self.request.research.is_some_and(|research| research.plans_together);
        let first = plan.questions.first().cloned().unwrap_or_default();
        let shown = plan.shown();
        let mut events = noted(&format!("The plan:\n{shown}"), &Note::Plan(plan));
        if waits {
            let text = format!(
                "This is what I would look into:\n\n{shown}\n\nSay what is to be different, or that it is right; then \
                 the research begins."
            );
            events.push(ModelEvent::Text { text, tokens: Vec::new() });
        } else {
            events.extend(self.search(&first));
        }
        events
    }

    /// Looks a question up, wherever that can be done.
    fn search(&self, question: &str) -> Vec<ModelEvent> {
        let tools = progress::SEARCHES.into_iter().filter(|tool| self.has(tool));
        tools.flat_map(|tool| call(tool, json!({ "queries": [question] }))).collect()
    }

    fn has(&self, tool: &str) -> bool {
        self.request.tools.iter().any(|declared| declared.name == tool)
    }

    /// What was found about a question, in the model's words. A result that is too long for it
    /// is left out, the last one first.
    async fn section(
        &mut self,
        task: &str,
        question: &str,
        mut evidence: Vec<Message>,
    ) -> Result<String, BackendError> {
        while evidence.iter().any(progress::has_substance) {
            let ask = self.about(WRITER, task, question, evidence.clone(), SECTION_TOKENS);
            match self.model.prepare(&ask).await {
                Ok(prepared) => {
                    let answer = self.ask(ask, prepared).await?;
                    return Ok(if answer.is_empty() { report::NOTHING.to_owned() } else { answer });
                }
                Err(BackendError::TooLong { .. }) => {
                    // A call and its result, or what is left of several.
                    evidence.pop();
                    while matches!(evidence.last(), Some(Message::Model(_))) {
                        evidence.pop();
                    }
                    progress::drop_unanswered(&mut evidence);
                }
                Err(error) => return Err(error),
            }
        }
        Ok(report::NOTHING.to_owned())
    }

    /// Calls of further tools that the model wants for a question; none when it wants none, or
    /// there is no room for what was found.
    async fn helping(
        &mut self,
        task: &str,
        question: &str,
        evidence: Vec<Message>,
    ) -> Result<Vec<ModelEvent>, BackendError> {
        let mut ask = self.about(ASSISTANT, task, question, evidence, CALL_TOKENS);
        ask.messages.push(Message::user(HELP.to_owned()));
        ask.calls = Calls::Allowed;
        match self.model.prepare(&ask).await {
            Ok(prepared) => {
                let wanted = self.answer(ask, prepared).await?.calls;
                // What looks questions up has done so.
                let wanted = wanted.into_iter().filter(|(name, _)| progress::is_helper(name)).take(MOST_CALLS);
                Ok(wanted.flat_map(|(name, arguments)| call(&name, arguments)).collect())
            }
            Err(BackendError::TooLong { .. }) => Ok(Vec::new()),
            Err(error) => Err(error),
        }
    }

    /// A question, with what was found for it.
    fn about(&self, role: &str, task: &str, question: &str, evidence: Vec<Message>, tokens: u32) -> ModelRequest {
        let task = &task[..task.floor_char_boundary(LONGEST_TASK)];
        let asked = format!("{question}\n\n(The report is about this: {task})");
        let messages = std::iter::once(Message::user(asked)).chain(evidence).collect();
        ModelRequest { tools: self.request.tools.clone(), ..self.plain(role, messages, tokens) }
    }

    /// What all of it comes to; none where there is little to sum up, or no room for it.
    async fn summary(&mut self, task: &str, findings: &[Finding]) -> Result<Option<String>, BackendError> {
        let found: Vec<_> = findings.iter().filter(|finding| finding.text != report::NOTHING).collect();
        if found.len() < 2 {
            return Ok(None);
        }
        let found: Vec<_> = found.iter().map(|finding| format!("{}\n{}", finding.question, finding.text)).collect();
        let asked = format!(
            "This was asked: {task}\n\nThis was found:\n\n{}\n\nSum up what was found, in three sentences at most. Keep \
             the signs ⟦ and ⟧ with their numbers behind what they belong to.",
            found.join("\n\n")
        );
        let ask = self.plain(EDITOR, vec![Message::user(asked)], SUMMARY_TOKENS);
        match self.model.prepare(&ask).await {
            Ok(prepared) => Ok(Some(self.ask(ask, prepared).await?).filter(|answer| !answer.is_empty())),
            Err(BackendError::TooLong { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// A call that asks for words.
    fn plain(&self, role: &str, messages: Vec<Message>, tokens: u32) -> ModelRequest {
        plain(&ModelRequest { messages, ..self.request.clone() }, role, tokens)
    }

    /// What the model answers, in words.
    async fn ask(&mut self, ask: ModelRequest, prepared: Prepared) -> Result<String, BackendError> {
        Ok(self.answer(ask, prepared).await?.text)
    }

    /// What the model answers. What it was cut in ends with its last whole sentence, and has no calls.
    async fn answer(&mut self, ask: ModelRequest, prepared: Prepared) -> Result<Answer, BackendError> {
        let (mut input, mut cached, mut output, mut thought) = (prepared.input_tokens, 0, 0, 0);
        let (mut answer, mut calls) = (String::new(), Vec::<(String, String)>::new());
        let mut is_cut = false;
        let mut events = self.model.generate(ask, prepared).await?;
        while let Some(event) = events.next().await {
            match event? {
                ModelEvent::Started { cached_tokens } => cached = cached_tokens,
                ModelEvent::Counted { input_tokens, cached_tokens, output_tokens } => {
                    (input, cached, output) = (input_tokens, cached_tokens, output_tokens);
                }
                ModelEvent::ServedBy { name } => self.served_by = Some(name),
                ModelEvent::Text { text, .. } => answer.push_str(&text),
                ModelEvent::Finished { reason, thought_tokens, output_tokens, .. } => {
                    (thought, output) = (thought_tokens, output_tokens);
                    is_cut = reason != FinishReason::Stop;
                    break;
                }
                ModelEvent::Thought { .. } | ModelEvent::Signed(_) | ModelEvent::Picture(_) => {}
                ModelEvent::CallStarted { name, .. } => calls.push((name, String::new())),
                ModelEvent::CallArguments { text, .. } => {
                    if let Some((_, arguments)) = calls.last_mut() {
                        arguments.push_str(&text);
                    }
                }
            }
        }
        self.cost.input += input;
        self.cost.cached += cached;
        self.cost.output += output;
        self.cost.thought += thought;
        let text = answer.trim();
        let text = if is_cut { report::whole_sentences(text) } else { text }.to_owned();
        Ok(Answer { text, calls: if is_cut { Vec::new() } else { calls } })
    }
}

/// What the model said at one time.
struct Answer {
    text: String,
    /// Names and arguments, as JSON.
    calls: Vec<(String, String)>,
}

/// A thought that says something, and keeps a note for the turns that follow.
fn noted(shown: &str, note: &Note) -> Vec<ModelEvent> {
    let value = serde_json::to_string(note).unwrap_or_default();
    vec![
        ModelEvent::Thought { text: report::without_marks(shown), tokens: Vec::new() },
        ModelEvent::Signed(Signature { origin: Some(NOTED.to_owned()), value }),
    ]
}

fn call(tool: &str, arguments: impl fmt::Display) -> Vec<ModelEvent> {
    vec![
        ModelEvent::CallStarted { name: tool.to_owned(), tokens: Vec::new() },
        ModelEvent::CallArguments { text: arguments.to_string(), tokens: Vec::new() },
    ]
}

/// What the model is asked for a plan.
fn plan_ask(request: &ModelRequest) -> ModelRequest {
    let most = request.research.map_or(1, |research| research.questions).max(1);
    let mut call = plain(request, PLANNER, PLAN_TOKENS);
    call.messages = progress::without_notes(&request.messages);
    call.answer = Schema::read(plan::schema(most)).ok();
    if let Some(Message::User(parts)) = call.messages.last_mut() {
        parts.push(Part::Text(format!(
            "Plan the research for this: a title, and at most {most} questions. Each is to be understood by itself, as \
             one would ask a search engine. Answer in JSON."
        )));
    }
    call
}

fn plain(request: &ModelRequest, role: &str, tokens: u32) -> ModelRequest {
    let mut call = request.clone();
    call.system_instruction = Some(match &request.system_instruction {
        None => role.to_owned(),
        Some(own) => format!("{role}\n\n{own}"),
    });
    call.tools = Vec::new();
    call.calls = Calls::None;
    // It is asked for words, and not for programs.
    call.is_agent = false;
    call.research = None;
    call.max_output_tokens = request.max_output_tokens.min(tokens);
    call
}
