//! The log of an interaction: events, and the steps they closed.

use antiphon_engine::{Append, Event, Fence, Outcome, ProjectId, StoreError};
use antiphon_wire::InteractionId;
use rusqlite::{Connection, OptionalExtension as _};

use crate::content::{ContentKey, Encoded, Sealed};
use crate::error::{Failed, Result};

/// An event as JSON, not yet sealed: its interaction's key is found in the transaction.
pub(crate) struct EncodedEvent {
    seq: u64,
    content: Encoded,
}

/// What a run adds, encoded before its transaction begins.
pub(crate) struct EncodedAppend {
    events: Vec<EncodedEvent>,
    closed: Vec<(usize, Encoded)>,
    outcome: Option<Outcome>,
}

/// Which steps of an interaction: those it was asked with, or those it generated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Input,
    Generated,
}

pub(crate) fn encode(events: &[Event]) -> Result<Vec<EncodedEvent>> {
    let encode =
        |event: &Event| Ok(EncodedEvent { seq: event.seq, content: Encoded::new(&event.body, event.trace.as_ref())? });
    events.iter().map(encode).collect()
}

impl EncodedAppend {
    pub(crate) fn new(append: &Append) -> Result<Self> {
        let closed = append
            .closed
            .iter()
            .map(|closed| Ok((closed.index, Encoded::new(&closed.step, closed.trace.as_ref())?)))
            .collect::<Result<_>>()?;
        Ok(Self { events: encode(&append.events)?, closed, outcome: append.outcome.clone() })
    }

    /// # Errors
    /// `NotFound` when the interaction was deleted, `Conflict` when somebody else writes
    /// its log.
    pub(crate) fn write(self, connection: &Connection, id: &InteractionId, fence: Fence) -> Result<()> {
        let log = connection
            .prepare_cached(
                "SELECT interaction.number, interaction.project_id, run.state = 'running', run.fence,
                        content_key.secret,
                        (SELECT max(seq) FROM event WHERE event.interaction = interaction.number)
                 FROM interaction
                 CROSS JOIN run ON run.interaction = interaction.number
                 CROSS JOIN content_key ON content_key.interaction = interaction.number
                 WHERE interaction.id = ?1",
            )?
            .query_row([id.as_str()], |row| {
                Ok((
                    row.get::<_, i64>(0)?,
                    ProjectId(row.get(1)?),
                    row.get::<_, bool>(2)?,
                    Fence(row.get(3)?),
                    row.get::<_, Vec<u8>>(4)?,
                    row.get::<_, Option<u64>>(5)?,
                ))
            })
            .optional()?;
        let Some((number, project, running, current, secret, last)) = log else {
            return Err(StoreError::NotFound.into());
        };
        if current != fence {
            return Err(conflict(id, &format!("expected fence {}, got {}", current.0, fence.0)));
        }
        if !running {
            return Err(conflict(id, "its run has ended"));
        }
        let key = ContentKey::from_secret(&secret)?;
        insert_events(connection, project, number, last.unwrap_or(0), &key, &self.events)?;
        for (index, step) in &self.closed {
            insert_step(connection, project, number, Side::Generated, *index, key.seal_both(step)?)?;
        }
        if let Some(outcome) = self.outcome {
            let usage = outcome.usage.as_ref().map(|usage| key.seal_json(usage)).transpose()?;
            connection
                .prepare_cached("UPDATE interaction SET status = ?2, usage = ?3, ended_at = ?4 WHERE number = ?1")?
                .execute((number, outcome.status.as_str(), usage, outcome.at.as_millisecond()))?;
            connection.prepare_cached("UPDATE run SET state = 'ended' WHERE interaction = ?1")?.execute([number])?;
        }
        Ok(())
    }
}

fn conflict(id: &InteractionId, why: &str) -> Failed {
    Failed(StoreError::Conflict(format!("interaction `{id}`: {why}")))
}

/// Adds events that must be numbered on from `last`.
pub(crate) fn insert_events(
    connection: &Connection,
    project: ProjectId,
    interaction: i64,
    last: u64,
    key: &ContentKey,
    events: &[EncodedEvent],
) -> Result<()> {
    let mut insert = connection
        .prepare_cached("INSERT INTO event (project_id, interaction, seq, body, trace) VALUES (?1, ?2, ?3, ?4, ?5)")?;
    for (expected, event) in (last + 1..).zip(events) {
        if event.seq != expected {
            let why = format!("the log goes on with event {expected}, got event {}", event.seq);
            return Err(StoreError::Conflict(why).into());
        }
        let Sealed { body, trace } = key.seal_both(&event.content)?;
        insert.execute((project.0, interaction, event.seq.cast_signed(), body, trace))?;
    }
    Ok(())
}

/// Adds a step that is never changed again.
pub(crate) fn insert_step(
    connection: &Connection,
    project: ProjectId,
    interaction: i64,
    side: Side,
    position: usize,
    step: Sealed,
) -> Result<()> {
    let inserted = connection
        .prepare_cached(
            "INSERT INTO step (project_id, interaction, generated, position, body, trace)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT (interaction, generated, position) DO NOTHING",
        )?
        .execute((project.0, interaction, side == Side::Generated, position, step.body, step.trace))?;
    if inserted == 0 {
        return Err(StoreError::Conflict(format!("step {position} is closed already")).into());
    }
    Ok(())
}

/// The whole log of an interaction, in order.
pub(crate) fn events(connection: &Connection, interaction: i64, key: &ContentKey) -> Result<Vec<Event>> {
    let mut statement =
        connection.prepare_cached("SELECT seq, body, trace FROM event WHERE interaction = ?1 ORDER BY seq")?;
    let mut rows = statement.query([interaction])?;
    let mut events = Vec::new();
    while let Some(row) = rows.next()? {
        let trace = row.get_ref(2)?.as_blob_or_null().map_err(rusqlite::Error::from)?;
        events.push(Event {
            seq: row.get(0)?,
            body: key.open_json(row.get_ref(1)?.as_blob().map_err(rusqlite::Error::from)?)?,
            trace: key.open_trace(trace)?,
        });
    }
    Ok(events)
}
