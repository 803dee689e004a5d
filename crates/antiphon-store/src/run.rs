//! Interactions as they are kept, and the runs behind them.

use antiphon_engine::{Claim, Event, Fence, ProjectId, StoreError, Stored};
use antiphon_wire::{InteractionId, Status, Step};
use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension as _, Row};
use serde::Deserialize as _;
use serde::de::IntoDeserializer as _;
use serde::de::value::Error as NameError;

use crate::content::{ContentKey, corrupt};
use crate::error::Result;
use crate::log;
use crate::medium;

/// An interaction of a project with what is needed to read on.
struct Found {
    number: i64,
    project: ProjectId,
    stored: Stored,
    key: ContentKey,
}

pub(crate) fn interaction(connection: &Connection, project: ProjectId, id: &InteractionId) -> Result<Stored> {
    Ok(find(connection, project, id)?.stored)
}

pub(crate) fn events(connection: &Connection, project: ProjectId, id: &InteractionId) -> Result<Vec<Event>> {
    let found = find(connection, project, id)?;
    log::events(connection, found.number, &found.key)
}

/// Takes over every run that has not ended, in the order they were accepted.
pub(crate) fn claim_all(connection: &Connection, owner: &str, lease_until: Timestamp) -> Result<Vec<Claim>> {
    let mut claimed = connection
        .prepare_cached(
            "UPDATE run SET owner = ?1, lease_until = ?2, fence = fence + 1, attempt = attempt + 1
             WHERE state = 'running' RETURNING interaction, fence, attempt",
        )?
        .query_map((owner, lease_until.as_millisecond()), |row| {
            Ok((row.get::<_, i64>(0)?, Fence(row.get(1)?), row.get::<_, u32>(2)?))
        })?
        .collect::<rusqlite::Result<Vec<_>>>()?;
    claimed.sort_unstable_by_key(|(number, ..)| *number);
    let mut claims = Vec::with_capacity(claimed.len());
    for (number, fence, attempt) in claimed {
        let found = read(connection, "interaction.number = ?1", [number])?;
        claims.push(Claim {
            project: found.project,
            events: log::events(connection, number, &found.key)?,
            stored: found.stored,
            fence,
            attempt,
        });
    }
    Ok(claims)
}

pub(crate) fn renew(connection: &Connection, owner: &str, lease_until: Timestamp) -> Result<()> {
    connection
        .prepare_cached("UPDATE run SET lease_until = ?2 WHERE owner = ?1 AND state = 'running'")?
        .execute((owner, lease_until.as_millisecond()))?;
    Ok(())
}

fn find(connection: &Connection, project: ProjectId, id: &InteractionId) -> Result<Found> {
    read(
        connection,
        "interaction.id = ?1 AND interaction.project_id = ?2 AND interaction.deleted_at IS NULL",
        (id.as_str(), project.0),
    )
}

fn read(connection: &Connection, condition: &str, values: impl rusqlite::Params) -> Result<Found> {
    let found = connection
        .prepare_cached(&format!(
            "SELECT interaction.number, interaction.project_id, interaction.id, status, seed, request,
                    created_at, expires_at, content_key.secret
             FROM interaction JOIN content_key ON content_key.interaction = interaction.number
             WHERE {condition}"
        ))?
        .query_row(values, |row| Ok(found(row)))
        .optional()?;
    let Some(found) = found else { return Err(StoreError::NotFound.into()) };
    let mut found = found?;
    found.stored.request.input = input(connection, found.number, &found.key)?;
    Ok(found)
}

fn found(row: &Row<'_>) -> Result<Found> {
    let key = ContentKey::from_secret(row.get_ref(8)?.as_blob().map_err(rusqlite::Error::from)?)?;
    let id: String = row.get(2)?;
    let status: String = row.get(3)?;
    Ok(Found {
        number: row.get(0)?,
        project: ProjectId(row.get(1)?),
        stored: Stored {
            id: InteractionId::parse(&id).ok_or_else(|| corrupt("an interaction's id", &id))?,
            status: Status::deserialize(status.into_deserializer())
                .map_err(|error: NameError| corrupt("an interaction's status", &error))?,
            request: key.open_json(row.get_ref(5)?.as_blob().map_err(rusqlite::Error::from)?)?,
            seed: row.get::<_, i64>(4)?.cast_unsigned(),
            created: time(row.get(6)?)?,
            expires: time(row.get(7)?)?,
        },
        key,
    })
}

fn input(connection: &Connection, interaction: i64, key: &ContentKey) -> Result<Vec<Step>> {
    let mut statement = connection
        .prepare_cached("SELECT body FROM step WHERE interaction = ?1 AND generated = 0 ORDER BY position")?;
    let mut rows = statement.query([interaction])?;
    let mut steps = Vec::new();
    while let Some(row) = rows.next()? {
        let mut step = key.open_json(row.get_ref(0)?.as_blob().map_err(rusqlite::Error::from)?)?;
        medium::put_back(&mut step, connection, interaction, key)?;
        steps.push(step);
    }
    Ok(steps)
}

pub(crate) fn time(milliseconds: i64) -> Result<Timestamp> {
    Timestamp::from_millisecond(milliseconds).map_err(|error| corrupt("a stored time", &error))
}
