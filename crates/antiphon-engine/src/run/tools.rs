//! The tools' part of a run: their calls carried out, and what came of them logged.

use std::sync::Arc;

use antiphon_wire::{
    Content, Error, EventFold, InteractionEvent, MediaContent, MessageStep, ServerResultDelta, ServerResultHead,
    ServerTool, Step, StepDelta, StepDeltaEvent, StepHead, StepStart, StepStop,
};
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use serde_json::Value;
use tokio::sync::mpsc;
use tracing::warn;

use super::counts::Counts;
use super::{Left, Minted, Pending, Run, Work};
use crate::assemble::ServerCall;
use crate::backend::Media;
use crate::phase::Input;
use crate::seal::Told;
use crate::store::{ClosedStep, PastStep};
use crate::tell::tell;
use crate::tool::{OpenTool, ToolCall, ToolError, ToolOutput};

/// A call that came to the same result so often is not going to come to another.
const MOST_REPEATED: u32 = 3;
/// A model that makes it again although it was to answer does nothing else any more.
const MOST_STUBBORN: u32 = 5;

/// Pieces of live output that may wait to be shown.
const LIVE_PIECES: usize = 64;

/// Told to the model in place of a result that nobody knows.
const INTERRUPTED: &str =
    "The server was interrupted while this ran. Whether it had any effect is not known; check before repeating it.";

impl Run {
    /// Carries out the calls of the last turn, all at the same time, and shows what came of
    /// them in their order.
    pub(super) async fn tools(
        &mut self,
        work: &mut Work,
        counts: &mut Counts,
        pending: &mut Pending,
    ) -> Result<Input, Left> {
        let limits = work.limits;
        let waiting = std::mem::take(&mut work.waiting);
        work.calls = work.calls.saturating_add(u32::try_from(waiting.len()).unwrap_or(u32::MAX));
        if work.calls > limits.calls {
            return Ok(Input::LimitReached);
        }
        work.must_answer = only_repeats(work, &waiting);
        let found = Arc::new(work.sources.list.iter().map(|source| source.url.clone()).collect());
        let mut running = FuturesUnordered::new();
        let mut lives = Vec::new();
        for (place, call) in waiting.iter().enumerate() {
            let (sender, receiver) = mpsc::channel(LIVE_PIECES);
            lives.push(receiver);
            let tool = work.tools.iter().find(|tool| tool.declaration.name == call.function).cloned();
            let problem = match &tool {
                None => Some("There is no such tool".to_owned()),
                Some(tool) if work.interrupted && !tool.reads => Some(INTERRUPTED.to_owned()),
                Some(_) => call.problem.clone(),
            };
            let made = ToolCall {
                project: self.project,
                arguments: call.arguments.clone(),
                result_tokens: limits.result_tokens,
                said: Arc::clone(&work.said),
                found: Arc::clone(&found),
                live: sender,
            };
            let kind = call.kind;
            running.push(async move {
                let output = match (tool, problem) {
                    (Some(tool), None) => tool.run.call(made).await,
                    (_, problem) => {
                        let problem = problem.unwrap_or_default();
                        let result = match kind {
                            Some(ServerTool::CodeExecution) | None => Value::String(problem.clone()),
                            Some(_) => Value::Array(Vec::new()),
                        };
                        Ok(ToolOutput::failed(problem, result))
                    }
                };
                (place, output)
            });
        }
        // Steps follow one another, so what comes of later calls waits for the first.
        let mut outputs: Vec<Option<ToolOutput>> = vec![None; waiting.len()];
        let mut shown = 0;
        self.begin_result(work, &waiting, shown, pending);
        // Logged before anything is done: a call that may have had its effect is not made again.
        pending.append_to(&self.journal).await.map_err(Left::StoreFailed)?;
        let left = loop {
            if shown == waiting.len() {
                break None;
            }
            if let Some(output) = outputs[shown].take() {
                while let Ok(piece) = lives[shown].try_recv() {
                    self.show_live(work, &waiting[shown], piece, pending);
                }
                counts.searches += output.searches;
                self.end_result(work, &waiting[shown], output, counts, pending);
                shown += 1;
                if shown < waiting.len() {
                    self.begin_result(work, &waiting, shown, pending);
                }
                continue;
            }
            tokio::select! {
                biased;
                () = self.cancel.cancelled() => break Some(Input::CancelRequested),
                () = self.suspend.cancelled() => return Err(Left::Suspended),
                () = work.time_is_up() => break Some(Input::LimitReached),
                () = pending.is_due() => pending.append_to(&self.journal).await.map_err(Left::StoreFailed)?,
                Some(piece) = lives[shown].recv() => self.show_live(work, &waiting[shown], piece, pending),
                Some((place, output)) = running.next() => match output {
                    Ok(output) => outputs[place] = Some(output),
                    Err(ToolError::Broken(detail)) => {
                        warn!(interaction.id = %self.journal.id(), detail, "A tool is broken");
                        break Some(Input::TurnFailed(Error::internal().failure()));
                    }
                },
            }
        };
        drop(running);
        if let Some(input) = left {
            // What is known is kept; `finish` says of the rest that it is not.
            for (at, output) in outputs.into_iter().enumerate().skip(shown) {
                let Some(output) = output else { break };
                if at > shown {
                    self.begin_result(work, &waiting, at, pending);
                }
                self.end_result(work, &waiting[at], output, counts, pending);
            }
            return Ok(input);
        }
        if work.is_stuck {
            return Ok(Input::LimitReached);
        }
        if let Some(assembler) = &mut self.assembler {
            let mint = Minted { engine: Arc::clone(&self.engine), project: self.project };
            let held = assembler.held_calls(work.next_index, &mint);
            if !held.closed.is_empty() {
                // They are durable together with the end that they bring.
                work.next_index += held.closed.len();
                pending.take(held);
                return Ok(Input::ToolsEnded);
            }
        }
        work.interrupted = false;
        work.ticket = Some(work.served.admission.rejoin(work.tier, work.background));
        pending.append_to(&self.journal).await.map_err(Left::StoreFailed)?;
        Ok(Input::ToolsEnded)
    }

    /// Logs that the result of a call begins, unless an earlier process has.
    fn begin_result(&self, work: &mut Work, waiting: &[ServerCall], at: usize, pending: &mut Pending) {
        if work.open_result.take().is_some() {
            return;
        }
        let step = result_head(&waiting[at]);
        let start = InteractionEvent::StepStart(StepStart { index: work.next_index, step });
        pending.push(start.into());
    }

    fn show_live(&self, work: &Work, call: &ServerCall, text: String, pending: &mut Pending) {
        // What came of a function is one piece (spec 04, "Delta types").
        let Some(tool) = call.kind else { return };
        let delta = StepDelta::ServerResult(ServerResultDelta {
            tool,
            name: None,
            server_name: None,
            result: Value::String(text),
            is_error: None,
            signature: None,
        });
        pending.push(InteractionEvent::StepDelta(StepDeltaEvent { index: work.next_index, delta }).into());
    }

    /// Logs what came of a call.
    fn end_result(
        &self,
        work: &mut Work,
        call: &ServerCall,
        mut output: ToolOutput,
        counts: &Counts,
        pending: &mut Pending,
    ) {
        // A model that asks the same twice has the answer already.
        let found = output.sources.len();
        // In a research each question is answered by itself, from its own results.
        if work.base.research.is_none() {
            output.sources.retain(|found| !work.sources.has(&found.url, &found.text));
        }
        if output.sources.len() < found && output.text.is_empty() {
            output.text = "What was found was given above already.".to_owned();
        }
        // A model that cannot be trusted to search by itself marks what it has not read. What it says is cited where
        // a source bears it out.
        let marks = work.base.answer.is_none() && !work.served.is_guided;
        let told = tell(&output, work.sources.next_number(), work.limits.result_tokens, marks);
        work.sources.add(&told);
        let made = format!("{} {} {}", call.function, Value::Object(call.arguments.clone()), told.told);
        if !reads(&work.tools, call) && !output.is_error && !work.repeated.contains_key(&made) {
            // Something may have changed.
            work.repeated.clear();
        }
        let times = work.repeated.entry(made).or_default();
        *times += 1;
        work.must_answer |= *times >= MOST_REPEATED;
        work.is_stuck |= *times >= MOST_STUBBORN;
        let index = work.next_index;
        let delta = match call.kind {
            Some(tool) => StepDelta::ServerResult(ServerResultDelta {
                tool,
                name: call.name.clone(),
                server_name: call.server_name.clone(),
                result: output.result,
                is_error: Some(output.is_error),
                signature: Some(self.engine.seal().sign_told(self.project, &told, &*self.engine.ambient)),
            }),
            None => StepDelta::FunctionResult {
                result: told.told,
                name: Some(call.function.clone()),
                is_error: Some(output.is_error),
            },
        };
        pending.push(InteractionEvent::StepDelta(StepDeltaEvent { index, delta }).into());
        let usage = Some(counts.usage());
        pending.push(InteractionEvent::StepStop(StepStop { index, usage }).into());
        // The fold of what was logged is the step, live pieces included.
        let events: Vec<_> = self.journal.events();
        let drafts = pending.drafts.iter().map(|draft| &draft.body);
        let fold = EventFold::of(events.iter().map(|event| &event.body).chain(drafts));
        if let Some(step) = fold.steps().get(index).cloned() {
            pending.closed.push(ClosedStep { index, step: step.clone(), trace: None });
            work.steps.push(PastStep { step, trace: None });
        }
        work.next_index += 1;
        for picture in output.pictures {
            show_picture(work, picture, pending);
        }
    }

    /// Ends the result that was begun, if one is open, and gives every other call of the server
    /// a result that says that it has none: a later turn must not take it for one not made.
    pub(super) fn answer_all(&self, pending: &mut Pending) {
        let events = self.journal.events();
        let logged = events.iter().map(|event| &event.body).chain(pending.drafts.iter().map(|draft| &draft.body));
        let mut fold = EventFold::default();
        let mut open = None;
        for body in logged {
            fold.apply(body);
            match body {
                InteractionEvent::StepStart(StepStart {
                    index,
                    step: StepHead::ServerResult(_) | StepHead::FunctionResult { .. },
                }) => open = Some(*index),
                InteractionEvent::StepStop(stop) if open == Some(stop.index) => open = None,
                InteractionEvent::StepStart(_)
                | InteractionEvent::StepDelta(_)
                | InteractionEvent::StepStop(_)
                | InteractionEvent::Created { .. }
                | InteractionEvent::StatusUpdate(_)
                | InteractionEvent::Completed { .. }
                | InteractionEvent::Error(_) => {}
            }
        }
        let results = fold.steps().iter().filter_map(|step| match step {
            Step::ServerResult(result) => Some(result.call_id.clone()),
            Step::FunctionResult(result) => Some(result.call_id.clone()),
            _ => None,
        });
        let answered: Vec<String> = results.collect();
        let mut missing: Vec<(Option<usize>, StepHead)> = Vec::new();
        if let Some((index, step)) = open.and_then(|at| Some((at, fold.steps().get(at)?))) {
            let head = match step {
                Step::ServerResult(step) => {
                    Some(head_of(step.tool, &step.call_id, step.name.as_ref(), step.server_name.as_ref()))
                }
                Step::FunctionResult(step) => {
                    Some(function_head(&step.call_id, step.name.as_deref().unwrap_or_default()))
                }
                _ => None,
            };
            missing.extend(head.map(|head| (Some(index), head)));
        }
        for step in fold.steps() {
            let (id, head) = match step {
                Step::ServerCall(call) => {
                    (&call.id, head_of(call.tool, &call.id, call.name.as_ref(), call.server_name.as_ref()))
                }
                Step::FunctionCall(call)
                    if self.functions.contains(&call.name)
                        || self.declared.as_ref().is_some_and(|declared| !declared.contains(&call.name)) =>
                {
                    (&call.id, function_head(&call.id, &call.name))
                }
                _ => continue,
            };
            if !answered.contains(id) {
                missing.push((None, head));
            }
        }
        let mut next = fold.steps().len();
        for (begun, head) in missing {
            let index = begun.unwrap_or(next);
            let delta = self.interrupted(&head, begun.is_none());
            let mut bodies = Vec::new();
            if begun.is_none() {
                next += 1;
                bodies.push(InteractionEvent::StepStart(StepStart { index, step: head }));
            }
            bodies.push(InteractionEvent::StepDelta(StepDeltaEvent { index, delta }));
            bodies.push(InteractionEvent::StepStop(StepStop { index, usage: None }));
            for body in bodies {
                fold.apply(&body);
                pending.push(body.into());
            }
            let step = fold.steps().get(index).cloned();
            pending.closed.extend(step.map(|step| ClosedStep { index, step, trace: None }));
        }
    }

    /// That nobody knows what came of a call. `is_new`: nothing of it was shown.
    fn interrupted(&self, head: &StepHead, is_new: bool) -> StepDelta {
        let StepHead::ServerResult(head) = head else {
            return StepDelta::FunctionResult { result: INTERRUPTED.to_owned(), name: None, is_error: Some(true) };
        };
        let told = Told { told: INTERRUPTED.to_owned(), sources: Vec::new() };
        let result = match &head.result {
            Value::String(_) if is_new => Value::String(INTERRUPTED.to_owned()),
            empty => empty.clone(),
        };
        StepDelta::ServerResult(ServerResultDelta {
            tool: head.tool,
            name: head.name.clone(),
            server_name: head.server_name.clone(),
            result,
            is_error: Some(true),
            signature: Some(self.engine.seal().sign_told(self.project, &told, &*self.engine.ambient)),
        })
    }
}

/// Whether a call changes nothing.
fn reads(tools: &[OpenTool], call: &ServerCall) -> bool {
    tools.iter().any(|tool| tool.reads && tool.declaration.name == call.function)
}

/// Whether calls only read what was read before; takes note of them.
fn only_repeats(work: &mut Work, calls: &[ServerCall]) -> bool {
    let Work { tools, made, .. } = work;
    let news = calls.iter().filter(|call| {
        if !reads(tools, call) {
            // What it has changed may be read anew.
            made.clear();
            return true;
        }
        made.insert(format!("{} {}", call.function, Value::Object(call.arguments.clone())))
    });
    news.count() == 0
}

/// Logs a picture that a tool made, as an answer of its own.
fn show_picture(work: &mut Work, picture: Media, pending: &mut Pending) {
    let index = work.next_index;
    work.next_index += 1;
    let content = MediaContent::inline(picture.data, picture.mime_type);
    pending.push(InteractionEvent::StepStart(StepStart { index, step: StepHead::ModelOutput }).into());
    let delta = StepDelta::Image(content.clone());
    pending.push(InteractionEvent::StepDelta(StepDeltaEvent { index, delta }).into());
    pending.push(InteractionEvent::StepStop(StepStop { index, usage: None }).into());
    let content = vec![Content::Image(content)];
    let step = Step::ModelOutput(MessageStep { content, ..MessageStep::default() });
    pending.closed.push(ClosedStep { index, step: step.clone(), trace: None });
    work.steps.push(PastStep { step, trace: None });
}

fn result_head(call: &ServerCall) -> StepHead {
    match call.kind {
        Some(kind) => head_of(kind, &call.id, call.name.as_ref(), call.server_name.as_ref()),
        None => function_head(&call.id, &call.function),
    }
}

fn function_head(call_id: &str, name: &str) -> StepHead {
    let name = Some(name.to_owned()).filter(|name| !name.is_empty());
    StepHead::FunctionResult { call_id: call_id.to_owned(), name, result: String::new() }
}

/// The head of a result while it is empty.
fn head_of(tool: ServerTool, call_id: &str, name: Option<&String>, server_name: Option<&String>) -> StepHead {
    let result = match tool {
        ServerTool::CodeExecution => Value::String(String::new()),
        ServerTool::GoogleSearch
        | ServerTool::UrlContext
        | ServerTool::FileSearch
        | ServerTool::McpServerTool
        | ServerTool::ToolSearch => Value::Array(Vec::new()),
    };
    StepHead::ServerResult(ServerResultHead {
        tool,
        call_id: call_id.to_owned(),
        name: name.cloned(),
        server_name: server_name.cloned(),
        result,
    })
}
