//! The log of one interaction: number, make durable, then show.
//!
//! The only writer of events and the only source of every view. An event is shown after
//! it is durable, so whatever a client has seen is there after a crash, and a follower
//! that comes back after any event gets exactly the rest.

use std::sync::Arc;

use antiphon_wire::{
    EventFold, Failure, Interaction, InteractionEvent, InteractionId, ServerResultDelta, Status, StepDelta,
};
use futures_core::Stream;
use serde_json::Value;
use tokio::sync::watch;

use crate::store::{Append, ClosedStep, Event, Fence, Outcome, Store, StoreError, Trace};

pub(crate) struct Journal {
    id: InteractionId,
    log: watch::Sender<Log>,
    /// Where the log is kept; none for an interaction that is not stored.
    sink: Option<(Arc<dyn Store>, Fence)>,
}

/// The durable part of the log.
#[derive(Default)]
struct Log {
    events: Vec<Arc<Event>>,
    state: LogState,
}

#[derive(Clone, Default)]
enum LogState {
    #[default]
    Open,
    Closed,
    /// Nothing can be written now; those who follow are told and sent away.
    Broken(Failure),
}

/// What a follower gets.
#[derive(Clone, Debug)]
pub enum Followed {
    Event(Arc<Event>),
    /// The log cannot be written. To be shown as an `error` event without an
    /// `event_id`, after which the connection ends: this is not the interaction's end.
    Broken(Failure),
}

/// An event before it has its number.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Draft {
    pub(crate) body: InteractionEvent,
    pub(crate) trace: Option<Trace>,
}

impl From<InteractionEvent> for Draft {
    fn from(body: InteractionEvent) -> Self {
        Self { body, trace: None }
    }
}

impl Draft {
    /// Joins a delta that continues this one's text; false when it does not.
    pub(crate) fn join(&mut self, next: &Self) -> bool {
        let (InteractionEvent::StepDelta(own), InteractionEvent::StepDelta(more)) = (&mut self.body, &next.body) else {
            return false;
        };
        let (text, more_text) = match (&mut own.delta, &more.delta) {
            (StepDelta::Text { text }, StepDelta::Text { text: more }) => (text, more),
            (StepDelta::ArgumentsDelta { arguments }, StepDelta::ArgumentsDelta { arguments: more }) => {
                (arguments, more)
            }
            // Live output, of which the last piece says how it ended.
            (
                StepDelta::ServerResult(ServerResultDelta { result: Value::String(text), is_error: None, .. }),
                StepDelta::ServerResult(ServerResultDelta { result: Value::String(more), is_error: None, .. }),
            ) => (text, more),
            (
                StepDelta::Text { .. }
                | StepDelta::ArgumentsDelta { .. }
                | StepDelta::ThoughtSummary { .. }
                | StepDelta::ThoughtSignature { .. }
                | StepDelta::TextAnnotationDelta { .. }
                | StepDelta::Image(_)
                | StepDelta::FunctionResult { .. }
                | StepDelta::ProcessingResult { .. }
                | StepDelta::ServerCall(_)
                | StepDelta::ServerResult(_),
                _,
            ) => return false,
        };
        if own.index != more.index {
            return false;
        }
        text.push_str(more_text);
        match (&mut self.trace, &next.trace) {
            (Some(trace), Some(more)) => trace.tokens.extend(&more.tokens),
            (trace @ None, Some(more)) => *trace = Some(more.clone()),
            (_, None) => {}
        }
        true
    }
}

/// Numbers drafts on from `last`.
pub(crate) fn number(last: u64, drafts: Vec<Draft>) -> Vec<Event> {
    (last + 1..).zip(drafts).map(|(seq, draft)| Event { seq, body: draft.body, trace: draft.trace }).collect()
}

impl Journal {
    /// The log of a run that goes on after `events`, which are durable already.
    pub(crate) fn open(id: InteractionId, events: Vec<Event>, sink: Option<(Arc<dyn Store>, Fence)>) -> Self {
        Self::new(id, events, sink, LogState::Open)
    }

    /// The whole log of an interaction that has ended.
    pub(crate) fn ended(id: InteractionId, events: Vec<Event>) -> Self {
        Self::new(id, events, None, LogState::Closed)
    }

    fn new(id: InteractionId, events: Vec<Event>, sink: Option<(Arc<dyn Store>, Fence)>, state: LogState) -> Self {
        let events = events.into_iter().map(Arc::new).collect();
        Self { id, log: watch::Sender::new(Log { events, state }), sink }
    }

    pub(crate) fn id(&self) -> &InteractionId {
        &self.id
    }

    pub(crate) fn last_seq(&self) -> u64 {
        self.log.borrow().last_seq()
    }

    /// The durable part of the log.
    pub(crate) fn events(&self) -> Vec<Arc<Event>> {
        self.log.borrow().events.clone()
    }

    /// Whether the run has ended and its end is durable.
    pub(crate) fn is_closed(&self) -> bool {
        matches!(self.log.borrow().state, LogState::Closed)
    }

    /// Numbers the drafts, makes them durable in one transaction and shows them.
    ///
    /// Only the run calls this, one call at a time: the numbers are taken before the
    /// store is asked.
    pub(crate) async fn append(
        &self,
        drafts: Vec<Draft>,
        closed: Vec<ClosedStep>,
        outcome: Option<Outcome>,
    ) -> Result<(), StoreError> {
        let ends = outcome.is_some();
        let events = number(self.last_seq(), drafts);
        if let Some((store, fence)) = &self.sink {
            store.append(&self.id, *fence, Append { events: events.clone(), closed, outcome }).await?;
        }
        self.log.send_modify(|log| {
            log.events.extend(events.into_iter().map(Arc::new));
            log.state = if ends { LogState::Closed } else { LogState::Open };
        });
        Ok(())
    }

    /// Tells all who follow that the log cannot be written now.
    pub(crate) fn break_off(&self, failure: Failure) {
        self.log.send_modify(|log| log.state = LogState::Broken(failure));
    }

    /// The events after number `after`, then live ones, until the log is closed or
    /// broken. A slow follower reads at its own pace and holds nobody up.
    pub(crate) fn follow(self: Arc<Self>, after: u64) -> impl Stream<Item = Followed> + Send + 'static {
        let receiver = self.log.subscribe();
        let start = (self, receiver, usize::try_from(after).unwrap_or(usize::MAX), false);
        futures_util::stream::unfold(start, |(journal, mut receiver, position, told)| async move {
            if told {
                return None;
            }
            loop {
                let (next, state) = {
                    let log = receiver.borrow_and_update();
                    (log.events.get(position).cloned(), log.state.clone())
                };
                match (next, state) {
                    (Some(event), _) => {
                        return Some((Followed::Event(event), (journal, receiver, position + 1, false)));
                    }
                    (None, LogState::Closed) => return None,
                    (None, LogState::Broken(failure)) => {
                        return Some((Followed::Broken(failure), (journal, receiver, position, true)));
                    }
                    (None, LogState::Open) => receiver.changed().await.ok()?,
                }
            }
        })
    }

    /// Waits until the run has ended, or until its log cannot be written.
    pub(crate) async fn closed(&self) -> Result<(), Failure> {
        let mut receiver = self.log.subscribe();
        let state = receiver.wait_for(|log| !matches!(log.state, LogState::Open)).await.map(|log| log.state.clone());
        match state {
            Ok(LogState::Broken(failure)) => Err(failure),
            Ok(LogState::Open | LogState::Closed) | Err(_) => Ok(()),
        }
    }

    /// The interaction as the log tells it so far.
    pub(crate) fn snapshot(&self) -> Interaction {
        let log = self.log.borrow();
        EventFold::of(log.events.iter().map(|event| &event.body))
            .interaction()
            .unwrap_or_else(|| Interaction::new(self.id.clone(), Status::InProgress))
    }
}

impl Log {
    fn last_seq(&self) -> u64 {
        self.events.last().map_or(0, |event| event.seq)
    }
}

impl std::fmt::Debug for Journal {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Journal").field("id", &self.id).field("last_seq", &self.last_seq()).finish()
    }
}
