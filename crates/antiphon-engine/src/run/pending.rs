//! What a run has to say and has not logged yet, and how long it waits for more.
//!
//! Nothing is shown before it is logged, and every append costs a share of a durable commit. So deltas wait for each
//! other where they come quickly, and no longer than that. Those of a slow model, and the first of any, are logged as they
//! come: somebody waits for them.

use std::time::Duration;

use antiphon_wire::{InteractionEvent, Usage};
use tokio::time::Instant;

use crate::assemble::Assembled;
use crate::journal::{Draft, Journal};
use crate::store::{ClosedStep, StoreError};

/// Deltas wait at most this long for others before they are made durable together, and only where the next is to be
/// expected within it: nobody reads faster.
const COALESCE: Duration = Duration::from_millis(20);

/// What comes so soon after what waits comes with it.
const AT_ONCE: Duration = Duration::from_millis(1);

/// Drafts that wait to be appended together.
#[derive(Default)]
pub(super) struct Pending {
    pub(super) drafts: Vec<Draft>,
    pub(super) closed: Vec<ClosedStep>,
    /// When the first of them came.
    since: Option<Instant>,
    due: Option<Instant>,
    /// When deltas came last, logged or not.
    last: Option<Instant>,
}

impl Pending {
    /// Adds drafts; text that continues the last delta joins it.
    pub(super) fn take(&mut self, assembled: Assembled) {
        if assembled.drafts.is_empty() && assembled.closed.is_empty() {
            return;
        }
        self.arrive();
        self.closed.extend(assembled.closed);
        assembled.drafts.into_iter().for_each(|draft| self.add(draft));
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
        self.arrive();
        self.add(draft);
    }

    fn add(&mut self, draft: Draft) {
        let joined = self.drafts.last_mut().is_some_and(|last| last.join(&draft));
        if !joined {
            self.drafts.push(draft);
        }
    }

    /// Decides how long what comes now may wait: the next is expected to take as long as this one took.
    fn arrive(&mut self) {
        let now = Instant::now();
        let took = self.last.replace(now).map(|last| now - last);
        if self.since.is_some() && took.is_some_and(|took| took < AT_ONCE) {
            return;
        }
        let latest = *self.since.get_or_insert(now) + COALESCE;
        let shares = took.is_some_and(|took| now + took <= latest);
        self.due = Some(if shares { latest } else { now });
    }

    /// Whether what waits must not wait for what is there already.
    pub(super) fn is_overdue(&self) -> bool {
        self.since.is_some_and(|since| since + COALESCE <= Instant::now())
    }

    /// Waits until what waits has waited long enough; for ever when nothing does.
    pub(super) async fn is_due(&self) {
        match self.due {
            Some(due) if due <= Instant::now() => {}
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
        *self = Self { last: self.last, ..Self::default() };
        Ok(())
    }
}
