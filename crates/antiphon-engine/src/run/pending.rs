//! What a run has to say and has not logged yet, and how long it waits for more.
//!
//! Nothing is shown before it is logged, and every append costs a share of a durable commit: so deltas wait for each
//! other, and those that begin a step wait less, because somebody waits for them.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use antiphon_wire::{InteractionEvent, Usage};
use tokio::time::Instant;

use crate::assemble::Assembled;
use crate::journal::{Draft, Journal};
use crate::store::{ClosedStep, StoreError};

/// Deltas of one stream wait at most this long for others before they are made durable
/// together: half as many commits, and nobody reads faster.
const COALESCE: Duration = Duration::from_millis(20);

/// Runs whose deltas come within this time have them from one batch of the model, and wait for the same moment: then
/// they share a commit.
const SAME_BATCH: Duration = Duration::from_millis(5);

/// Those with which a step begins wait only so long: somebody waits for them. An answer that is there at once is still
/// one commit.
const COALESCE_FIRST: Duration = Duration::from_millis(5);

/// The latest moment that some run waits for.
static SHARED_DUE: Mutex<Option<Instant>> = Mutex::new(None);

/// Drafts that wait to be appended together.
#[derive(Default)]
pub(super) struct Pending {
    pub(super) drafts: Vec<Draft>,
    pub(super) closed: Vec<ClosedStep>,
    due: Option<Instant>,
}

impl Pending {
    /// Adds drafts; text that continues the last delta joins it.
    pub(super) fn take(&mut self, assembled: Assembled) {
        self.closed.extend(assembled.closed);
        assembled.drafts.into_iter().for_each(|draft| self.push(draft));
        // Only of a step that has not ended: with its end it is said what all has cost.
        let mut unended =
            self.drafts.iter().rev().take_while(|draft| !matches!(draft.body, InteractionEvent::StepStop(_)));
        if unended.any(|draft| matches!(draft.body, InteractionEvent::StepStart(_))) {
            let soon = Instant::now() + COALESCE_FIRST;
            self.due = self.due.map(|due| due.min(soon));
        }
    }

    /// Says with the last step that has stopped what the run has cost so far.
    pub(super) fn set_usage(&mut self, usage: Usage) {
        let stops = self.drafts.iter_mut().rev().filter_map(|draft| match &mut draft.body {
            InteractionEvent::StepStop(stop) => Some(stop),
            _ => None,
        });
        if let Some(stop) = stops.take(1).next() {
            stop.usage = Some(usage);
        }
    }

    pub(super) fn push(&mut self, draft: Draft) {
        self.due.get_or_insert_with(|| shared_due(Instant::now()));
        let joined = self.drafts.last_mut().is_some_and(|last| last.join(&draft));
        if !joined {
            self.drafts.push(draft);
        }
    }

    /// Waits until what waits has waited long enough; for ever when nothing does.
    pub(super) async fn is_due(&self) {
        match self.due {
            Some(due) => tokio::time::sleep_until(due).await,
            None => std::future::pending().await,
        }
    }

    /// Appends what waits. On failure it goes on waiting: it was never shown.
    pub(super) async fn append_to(&mut self, journal: &Journal) -> Result<(), StoreError> {
        if self.due.is_none() {
            return Ok(());
        }
        journal.append(self.drafts.clone(), self.closed.clone(), None).await?;
        *self = Self::default();
        Ok(())
    }
}

/// When deltas that come now are made durable.
fn shared_due(now: Instant) -> Instant {
    let mut shared = SHARED_DUE.lock().unwrap_or_else(PoisonError::into_inner);
    match *shared {
        Some(due) if due + SAME_BATCH >= now + COALESCE => due,
        _ => *shared.insert(now + COALESCE),
    }
}
