//! Where a run was when its process died, read from its log. Pure.
//!
//! Model and tools take turns. The results of a turn's calls come after all of its calls,
//! and the start of the first one is logged before any tool runs: from then on every call
//! of the turn may have had its effect.
//!
//! How media were read comes before all of this. Each is a call, and then a result with its
//! thought, which are logged together.

use std::collections::HashSet;

use antiphon_wire::{EventFold, InteractionEvent, Step, StepDelta, StepHead, Usage};

use crate::store::{Event, PastStep, Trace};
use crate::tool::OpenTool;

/// What a run goes on from.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Resumption {
    /// The steps that are whole, before those of the turn at hand.
    pub(crate) steps: Vec<PastStep>,
    /// The events of the turn at hand, if the model had begun it.
    pub(crate) turn: Vec<Event>,
    /// Whether tools were at work.
    pub(crate) in_tools: bool,
    /// The index of a result that was begun.
    pub(crate) open_result: Option<usize>,
    /// How many turns of the model are over.
    pub(crate) turns: u32,
    /// What the turns before cost.
    pub(crate) usage: Option<Usage>,
    /// The functions that the server itself answers.
    functions: HashSet<String>,
}

/// One step of the log.
struct Logged {
    head: StepHead,
    stopped: bool,
    is_picture: bool,
}

impl Resumption {
    /// `tools`: those of the server in this run.
    pub(crate) fn of(log: &[Event], tools: &[OpenTool]) -> Self {
        let functions: HashSet<_> =
            tools.iter().filter(|tool| tool.kind.is_none()).map(|tool| tool.declaration.name.clone()).collect();
        let is_call = |head: &StepHead| match head {
            StepHead::ServerCall(_) => true,
            StepHead::FunctionCall { name, .. } => functions.contains(name),
            _ => false,
        };
        let is_result = |head: &StepHead| matches!(head, StepHead::ServerResult(_) | StepHead::FunctionResult { .. });
        let mut logged: Vec<Logged> = Vec::new();
        let mut usage = None;
        for event in log {
            match &event.body {
                InteractionEvent::StepStart(start) => {
                    logged.push(Logged { head: start.step.clone(), stopped: false, is_picture: false });
                }
                InteractionEvent::StepDelta(delta) => {
                    if let (Some(step), StepDelta::Image(_)) = (logged.get_mut(delta.index), &delta.delta) {
                        step.is_picture = true;
                    }
                }
                InteractionEvent::StepStop(stop) => {
                    usage = stop.usage.clone().or(usage);
                    if let Some(step) = logged.get_mut(stop.index) {
                        step.stopped = true;
                    }
                }
                InteractionEvent::Created { .. }
                | InteractionEvent::StatusUpdate(_)
                | InteractionEvent::Completed { .. }
                | InteractionEvent::Error(_) => {}
            }
        }
        let media = media_steps(&logged);
        let (mut turns, mut turn_start, mut calls, mut results, mut in_tools) = (0, media, 0usize, 0usize, false);
        for (index, step) in logged.iter().enumerate().skip(media) {
            // Pictures that tools made follow their results; others are the model's.
            let of_tools = is_result(&step.head) || (step.is_picture && in_tools);
            if of_tools && !in_tools {
                in_tools = true;
                turns += 1;
            } else if !of_tools && in_tools {
                (in_tools, turn_start, calls, results) = (false, index, 0, 0);
            }
            calls += usize::from(is_call(&step.head));
            results += usize::from(is_result(&step.head) && step.stopped);
        }
        let open_result =
            logged.len().checked_sub(1).filter(|last| is_result(&logged[*last].head) && !logged[*last].stopped);
        let tools_wait = in_tools && results < calls;
        let whole = match (in_tools, open_result) {
            (false, _) => turn_start,
            (true, Some(open)) => open,
            (true, None) => logged.len(),
        };
        let fold = EventFold::of(log.iter().map(|event| &event.body));
        let steps = fold.steps().iter().take(whole).map(|step| PastStep { step: step.clone(), trace: None }).collect();
        let of_turn = |event: &&Event| match &event.body {
            InteractionEvent::StepStart(start) => start.index >= turn_start,
            InteractionEvent::StepDelta(delta) => delta.index >= turn_start,
            InteractionEvent::StepStop(stop) => stop.index >= turn_start,
            InteractionEvent::Created { .. }
            | InteractionEvent::StatusUpdate(_)
            | InteractionEvent::Completed { .. }
            | InteractionEvent::Error(_) => false,
        };
        let turn = if in_tools { Vec::new() } else { log.iter().filter(of_turn).cloned().collect() };
        Self { steps, turn, in_tools: tools_wait, open_result, turns, usage, functions }
    }

    /// The call of a medium that was not read to its end.
    pub(crate) fn open_media(&self) -> Option<&str> {
        match &self.steps.last()?.step {
            Step::ProcessingCall(call) => Some(&call.id),
            _ => None,
        }
    }

    /// All tokens that the log holds of the turn at hand, and how many of them are thought.
    pub(crate) fn tokens(&self) -> Option<(Trace, u64)> {
        let mut tokens: Option<(Trace, u64)> = None;
        let mut thinks = false;
        for event in &self.turn {
            if let InteractionEvent::StepStart(start) = &event.body {
                thinks = start.step == StepHead::Thought;
            }
            let Some(trace) = &event.trace else { continue };
            let none = || (Trace { fingerprint: trace.fingerprint.clone(), tokens: Vec::new() }, 0);
            let (all, thought) = tokens.get_or_insert_with(none);
            all.tokens.extend(&trace.tokens);
            if thinks {
                *thought += trace.tokens.len() as u64;
            }
        }
        tokens
    }

    /// The index of the next step.
    pub(crate) fn next_index(&self) -> usize {
        self.steps.len()
    }

    /// The calls of the server's that have no result yet.
    pub(crate) fn waiting(&self) -> Vec<&Step> {
        let answered: HashSet<&str> = self
            .steps
            .iter()
            .filter_map(|past| match &past.step {
                Step::ServerResult(result) => Some(result.call_id.as_str()),
                Step::FunctionResult(result) => Some(result.call_id.as_str()),
                _ => None,
            })
            .collect();
        let waits = |step: &&Step| match step {
            Step::ServerCall(call) => !answered.contains(call.id.as_str()),
            Step::FunctionCall(call) => self.functions.contains(&call.name) && !answered.contains(call.id.as_str()),
            _ => false,
        };
        self.steps.iter().map(|past| &past.step).filter(waits).collect()
    }

    /// Whether the last turn asked for functions of the client.
    pub(crate) fn client_calls(&self) -> bool {
        let is_clients = |step: &Step| matches!(step, Step::FunctionCall(call) if !self.functions.contains(&call.name));
        self.steps.iter().any(|past| is_clients(&past.step))
    }
}

/// How many steps at the beginning say how media were read.
fn media_steps(logged: &[Logged]) -> usize {
    let mut count = 0;
    while let Some(StepHead::ProcessingCall { .. }) = logged.get(count).map(|step| &step.head) {
        count += 1;
        if let Some(StepHead::ProcessingResult { .. }) = logged.get(count).map(|step| &step.head) {
            // It and its thought.
            count += 2;
        }
    }
    count.min(logged.len())
}
