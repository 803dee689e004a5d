//! A store of plain maps, in which a conversation is a chain of parents: as simple as the
//! contract can be carried out, to compare others with and to run the engine on.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};

use antiphon_engine::{
    Append, Claim, ClosedStep, Event, Fence, KeyRecord, NewInteraction, PastStep, ProjectId, Store, StoreError, Stored,
};
use antiphon_wire::InteractionId;
use async_trait::async_trait;
use jiff::Timestamp;

/// Holds everything until it is dropped. Leases are not looked at: claiming takes over
/// every run, whoever owned it.
#[derive(Debug, Default)]
pub struct MemoryStore {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    interactions: HashMap<InteractionId, Kept>,
    /// By name; their ids count from 1.
    projects: Vec<String>,
    keys: Vec<KeyRecord>,
    /// So many appends still succeed before the next fail.
    spared_appends: usize,
    /// So many appends are still to fail.
    failing_appends: usize,
}

/// What there is under an id: an interaction, or its tombstone.
#[derive(Debug)]
enum Kept {
    There(Box<There>),
    Deleted,
}

#[derive(Debug)]
struct There {
    /// Counts what was accepted.
    number: usize,
    project: ProjectId,
    stored: Stored,
    events: Vec<Event>,
    closed: BTreeMap<usize, ClosedStep>,
    fence: Fence,
    attempt: u32,
    ended: bool,
}

impl MemoryStore {
    pub fn new() -> Self {
        Self::default()
    }

    /// Lets the next `most` appends fail with `Unavailable`, as on a full disk.
    pub fn fail_appends(&self, most: usize) {
        self.fail_appends_after(0, most);
    }

    /// As [`MemoryStore::fail_appends`], but only once `spared` more have succeeded: as if
    /// the process had died there, when `most` is large.
    pub fn fail_appends_after(&self, spared: usize, most: usize) {
        let mut state = self.lock();
        (state.spared_appends, state.failing_appends) = (spared, most);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn find(&self, project: ProjectId, id: &InteractionId) -> Result<&There, StoreError> {
        match self.interactions.get(id) {
            Some(Kept::There(there)) if there.project == project => Ok(there),
            Some(Kept::There(_) | Kept::Deleted) | None => Err(StoreError::NotFound),
        }
    }

    /// Everything that is there, in the order it was accepted.
    fn all(&mut self) -> Vec<&mut There> {
        let mut all: Vec<_> = self
            .interactions
            .values_mut()
            .filter_map(|kept| match kept {
                Kept::There(there) => Some(&mut **there),
                Kept::Deleted => None,
            })
            .collect();
        all.sort_by_key(|there| there.number);
        all
    }
}

fn check_numbers(last: u64, events: &[Event]) -> Result<(), StoreError> {
    match (last + 1..).zip(events).find(|(expected, event)| event.seq != *expected) {
        None => Ok(()),
        Some((expected, event)) => {
            Err(StoreError::Conflict(format!("the log goes on with event {expected}, got event {}", event.seq)))
        }
    }
}

#[async_trait]
impl Store for MemoryStore {
    async fn accept(&self, new: NewInteraction) -> Result<Fence, StoreError> {
        let mut state = self.lock();
        if let Some(previous) = &new.request.previous_interaction_id {
            state.find(new.project, previous)?;
        }
        if state.interactions.contains_key(&new.id) {
            return Err(StoreError::Conflict(format!("interaction `{}` exists already", new.id)));
        }
        check_numbers(0, &new.events)?;
        let fence = Fence(1);
        let there = There {
            number: state.interactions.len(),
            project: new.project,
            stored: Stored {
                id: new.id.clone(),
                status: antiphon_wire::Status::InProgress,
                request: new.request,
                seed: new.seed,
                created: new.created,
                expires: new.expires,
            },
            events: new.events,
            closed: BTreeMap::new(),
            fence,
            attempt: 0,
            ended: false,
        };
        state.interactions.insert(new.id, Kept::There(Box::new(there)));
        Ok(fence)
    }

    async fn append(&self, id: &InteractionId, fence: Fence, append: Append) -> Result<(), StoreError> {
        let mut state = self.lock();
        if state.spared_appends > 0 {
            state.spared_appends -= 1;
        } else if state.failing_appends > 0 {
            state.failing_appends -= 1;
            return Err(StoreError::Unavailable("this append was told to fail".to_owned()));
        }
        let Some(Kept::There(there)) = state.interactions.get_mut(id) else { return Err(StoreError::NotFound) };
        if there.fence != fence {
            return Err(StoreError::Conflict(format!("expected fence {}, got {}", there.fence.0, fence.0)));
        }
        if there.ended {
            return Err(StoreError::Conflict("the run has ended".to_owned()));
        }
        check_numbers(there.events.len() as u64, &append.events)?;
        let mut closed = there.closed.clone();
        for step in append.closed {
            if let Some(step) = closed.insert(step.index, step) {
                return Err(StoreError::Conflict(format!("step {} is closed already", step.index)));
            }
        }
        there.closed = closed;
        there.events.extend(append.events);
        if let Some(outcome) = append.outcome {
            there.stored.status = outcome.status;
            there.ended = true;
        }
        Ok(())
    }

    async fn interaction(&self, project: ProjectId, id: &InteractionId) -> Result<Stored, StoreError> {
        Ok(self.lock().find(project, id)?.stored.clone())
    }

    async fn events(&self, project: ProjectId, id: &InteractionId) -> Result<Vec<Event>, StoreError> {
        Ok(self.lock().find(project, id)?.events.clone())
    }

    async fn history(&self, project: ProjectId, last: &InteractionId) -> Result<Vec<PastStep>, StoreError> {
        let state = self.lock();
        let mut turns = vec![state.find(project, last)?];
        while let Some(previous) = turns.last().and_then(|turn| turn.stored.request.previous_interaction_id.as_ref()) {
            turns.push(state.find(project, previous)?);
        }
        let steps = turns.into_iter().rev().flat_map(|turn| {
            let input = turn.stored.request.input.iter().map(|step| PastStep { step: step.clone(), trace: None });
            let closed = turn.closed.values().cloned().map(|ClosedStep { step, trace, .. }| PastStep { step, trace });
            input.chain(closed)
        });
        Ok(steps.collect())
    }

    async fn delete(&self, project: ProjectId, id: &InteractionId) -> Result<(), StoreError> {
        let mut state = self.lock();
        state.find(project, id)?;
        state.interactions.insert(id.clone(), Kept::Deleted);
        Ok(())
    }

    async fn claim_all(&self, _owner: &str, _lease_until: Timestamp) -> Result<Vec<Claim>, StoreError> {
        let mut state = self.lock();
        let claims = state.all().into_iter().filter(|there| !there.ended).map(|there| {
            there.fence.0 += 1;
            there.attempt += 1;
            Claim {
                project: there.project,
                stored: there.stored.clone(),
                fence: there.fence,
                attempt: there.attempt,
                events: there.events.clone(),
            }
        });
        Ok(claims.collect())
    }

    async fn renew(&self, _owner: &str, _lease_until: Timestamp) -> Result<(), StoreError> {
        Ok(())
    }

    async fn sweep(&self, now: Timestamp, most: usize) -> Result<usize, StoreError> {
        let mut state = self.lock();
        let mut expired: Vec<_> = state
            .all()
            .into_iter()
            .filter(|there| there.ended && there.stored.expires <= now)
            .map(|there| (there.stored.expires, there.stored.id.clone()))
            .collect();
        expired.sort();
        expired.truncate(most);
        for (_, id) in &expired {
            state.interactions.insert(id.clone(), Kept::Deleted);
        }
        Ok(expired.len())
    }

    async fn check(&self) -> Result<(), StoreError> {
        Ok(())
    }

    async fn project(&self, name: &str) -> Result<ProjectId, StoreError> {
        let mut state = self.lock();
        let position = state.projects.iter().position(|known| known == name).unwrap_or_else(|| {
            state.projects.push(name.to_owned());
            state.projects.len() - 1
        });
        i64::try_from(position + 1).map(ProjectId).map_err(|error| StoreError::Unavailable(error.to_string()))
    }

    async fn add_key(&self, mut key: KeyRecord) -> Result<(), StoreError> {
        let mut state = self.lock();
        let at = usize::try_from(key.project.0 - 1).map_err(|_| StoreError::NotFound)?;
        key.project_name.clone_from(state.projects.get(at).ok_or(StoreError::NotFound)?);
        if state.keys.iter().any(|known| known.id == key.id) {
            return Err(StoreError::Conflict(format!("key `{}` exists already", key.id)));
        }
        state.keys.push(key);
        state.keys.sort_by_key(|key| key.created);
        Ok(())
    }

    async fn key(&self, id: &str) -> Result<KeyRecord, StoreError> {
        self.lock().keys.iter().find(|key| key.id == id).cloned().ok_or(StoreError::NotFound)
    }

    async fn keys(&self) -> Result<Vec<KeyRecord>, StoreError> {
        Ok(self.lock().keys.clone())
    }

    async fn revoke_key(&self, id: &str, at: Timestamp) -> Result<(), StoreError> {
        let mut state = self.lock();
        let key = state.keys.iter_mut().find(|key| key.id == id).ok_or(StoreError::NotFound)?;
        key.revoked.get_or_insert(at);
        Ok(())
    }
}
