//! A new interaction: its place, its content, its run and its first events.

use std::sync::Arc;

use antiphon_engine::{Fence, NewInteraction, ProjectId, StoreError};
use antiphon_wire::{InteractionId, Kept, Status};
use rusqlite::Connection;

use crate::chain;
use crate::content::{ContentKey, Encoded, Sealed};
use crate::error::Result;
use crate::log::{self, EncodedEvent};
use crate::medium;

/// The fence of a run that nobody has taken over yet.
const FIRST_FENCE: i64 = 1;

/// A new interaction with everything sealed that can be before its transaction begins.
pub(crate) struct Accepted {
    project: ProjectId,
    id: InteractionId,
    previous: Option<InteractionId>,
    secret: [u8; 32],
    key: ContentKey,
    request: Vec<u8>,
    input: Vec<Sealed>,
    media: Vec<Arc<dyn Kept>>,
    events: Vec<EncodedEvent>,
    seed: u64,
    created: i64,
    expires: i64,
    owner: String,
    lease_until: i64,
}

impl Accepted {
    pub(crate) fn new(mut new: NewInteraction) -> Result<Self> {
        let (key, secret) = ContentKey::generate()?;
        // The input is kept as steps, where the history reads it.
        let mut input = std::mem::take(&mut new.request.input);
        let mut media = Vec::new();
        for step in &mut input {
            let taken = medium::taken_out(step, media.len());
            media.extend(taken);
        }
        Ok(Self {
            project: new.project,
            id: new.id,
            secret,
            request: key.seal_json(&new.request)?,
            input: input.iter().map(|step| key.seal_both(&Encoded::new(step, None)?)).collect::<Result<_>>()?,
            media,
            key,
            previous: new.request.previous_interaction_id,
            events: log::encode(&new.events)?,
            seed: new.seed,
            created: new.created.as_millisecond(),
            expires: new.expires.as_millisecond(),
            owner: new.owner,
            lease_until: new.lease_until.as_millisecond(),
        })
    }

    pub(crate) fn write(self, connection: &Connection) -> Result<Fence> {
        let place = chain::place(connection, self.project, self.previous.as_ref())?;
        let inserted = connection
            .prepare_cached(
                "INSERT INTO interaction
                 (id, project_id, branch_id, position, status, seed, request, created_at, expires_at)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9) ON CONFLICT (id) DO NOTHING",
            )?
            .execute((
                self.id.as_str(),
                self.project.0,
                place.branch,
                place.position,
                Status::InProgress.as_str(),
                self.seed.cast_signed(),
                self.request,
                self.created,
                self.expires,
            ))?;
        if inserted == 0 {
            return Err(StoreError::Conflict(format!("interaction `{}` exists already", self.id)).into());
        }
        let number = connection.last_insert_rowid();
        chain::put(connection, self.project, place, number)?;
        connection
            .prepare_cached("INSERT INTO content_key (interaction, project_id, secret) VALUES (?1, ?2, ?3)")?
            .execute((number, self.project.0, self.secret))?;
        connection
            .prepare_cached(
                "INSERT INTO run (interaction, project_id, state, owner, lease_until, fence, attempt)
                 VALUES (?1, ?2, 'running', ?3, ?4, ?5, 0)",
            )?
            .execute((number, self.project.0, self.owner, self.lease_until, FIRST_FENCE))?;
        for (position, step) in self.input.into_iter().enumerate() {
            log::insert_step(connection, self.project, number, log::Side::Input, position, step)?;
        }
        medium::insert(connection, self.project, number, &self.key, &self.media)?;
        log::insert_events(connection, self.project, number, 0, &self.key, &self.events)?;
        Ok(Fence(FIRST_FENCE))
    }
}
