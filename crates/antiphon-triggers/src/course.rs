//! Where a trigger stands: whether it runs by itself, when next, and how often it has failed in a
//! row (pure).

use antiphon_wire::{ExecutionStatus, TriggerStatus};
use jiff::Timestamp;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Course {
    pub(crate) status: TriggerStatus,
    /// In a row; `skipped` executions count neither way.
    pub(crate) failures: u32,
    /// None while it is not active.
    pub(crate) next_run: Option<Timestamp>,
    pub(crate) last_run: Option<Timestamp>,
    pub(crate) last_pause: Option<Timestamp>,
    pub(crate) last_resume: Option<Timestamp>,
}

impl Course {
    pub(crate) fn new(next_run: Option<Timestamp>) -> Self {
        Self {
            status: TriggerStatus::Active,
            failures: 0,
            next_run,
            last_run: None,
            last_pause: None,
            last_resume: None,
        }
    }

    /// The time that has come, if one has. `next` is the first one after now: however many were
    /// missed meanwhile, they are one.
    pub(crate) fn take_due(&mut self, now: Timestamp, next: Option<Timestamp>) -> Option<Timestamp> {
        let due = self.next_run.filter(|time| self.status == TriggerStatus::Active && *time <= now)?;
        self.next_run = next;
        Some(due)
    }

    pub(crate) fn pause(&mut self, now: Timestamp) {
        if self.status != TriggerStatus::Paused {
            self.status = TriggerStatus::Paused;
            self.next_run = None;
            self.last_pause = Some(now);
        }
    }

    /// Runs by itself again, with its failures forgotten. Times that it missed do not come again.
    pub(crate) fn resume(&mut self, now: Timestamp, next: Option<Timestamp>) {
        if self.status != TriggerStatus::Active {
            self.status = TriggerStatus::Active;
            self.failures = 0;
            self.next_run = next;
            self.last_resume = Some(now);
        }
    }

    /// An execution has ended; `most` failures in a row end the course. A trigger that is paused
    /// stays so.
    pub(crate) fn ended(&mut self, status: ExecutionStatus, most: u32) {
        match status {
            ExecutionStatus::InProgress | ExecutionStatus::Skipped => {}
            ExecutionStatus::Completed => self.failures = 0,
            ExecutionStatus::Failed | ExecutionStatus::TimedOut => {
                self.failures = self.failures.saturating_add(1);
                if self.failures >= most && self.status == TriggerStatus::Active {
                    self.status = TriggerStatus::Error;
                    self.next_run = None;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
