//! Where an interaction stands in its conversation.
//!
//! A conversation is a tree and most of it is straight, so a turn is kept as a place
//! (branch, position) and not as a pointer to its parent: a straight conversation is read
//! as one range, however long. Whoever answers the last turn of a branch continues it;
//! whoever comes second to a parent forks: a new branch begins, and what came before is
//! frozen as its ancestry, a list of the pieces of other branches that lead to it.
//!
//! An ancestry has at most 64 pieces. A fork beyond that is flattened: the new branch
//! takes up, as its own first turns, references to all the interactions that lead to it,
//! and begins with no ancestry. So a history is never more than 65 range reads, and a
//! conversation that forks at every turn costs one small row for each turn before it at
//! every 64th fork.

use antiphon_engine::{PastStep, ProjectId, StoreError};
use antiphon_wire::InteractionId;
use rusqlite::{Connection, OptionalExtension as _, Row};

use crate::content::{ContentKey, from_json, to_json};
use crate::error::Result;
use crate::medium;

const LONGEST_ANCESTRY: usize = 64;

/// The steps of a branch up to a position. CROSS JOIN keeps the tables in this order, in
/// which the rows come sorted already.
const HISTORY: &str = "
    SELECT interaction.project_id = ?3 AND interaction.deleted_at IS NULL,
           content_key.secret, step.body, step.trace, turn.interaction
    FROM turn
    CROSS JOIN interaction ON interaction.number = turn.interaction
    CROSS JOIN content_key ON content_key.interaction = turn.interaction
    LEFT JOIN step ON step.interaction = turn.interaction
    WHERE turn.branch_id = ?1 AND turn.position <= ?2
    ORDER BY turn.position, step.generated, step.position";

/// Where a turn stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) branch: i64,
    pub(crate) position: i64,
}

/// The turns of a branch up to a position, that one included.
type Piece = (i64, i64);

struct Branch {
    root: i64,
    ancestry: Vec<Piece>,
}

/// The place of a new turn after `previous`, or at the beginning of a conversation.
///
/// # Errors
/// `NotFound` when the previous interaction is not there for this project.
pub(crate) fn place(connection: &Connection, project: ProjectId, previous: Option<&InteractionId>) -> Result<Place> {
    let Some(previous) = previous else {
        return Ok(Place { branch: new_branch(connection, project, None, &[])?, position: 0 });
    };
    let parent = find(connection, project, previous)?;
    let next = Place { branch: parent.branch, position: parent.position + 1 };
    let taken = connection
        .prepare_cached("SELECT 1 FROM turn WHERE branch_id = ?1 AND position = ?2")?
        .exists((next.branch, next.position))?;
    if taken { fork(connection, project, parent) } else { Ok(next) }
}

/// Puts an interaction at its place.
pub(crate) fn put(connection: &Connection, project: ProjectId, place: Place, interaction: i64) -> Result<()> {
    connection
        .prepare_cached("INSERT INTO turn (branch_id, position, project_id, interaction) VALUES (?1, ?2, ?3, ?4)")?
        .execute((place.branch, place.position, project.0, interaction))?;
    Ok(())
}

/// The steps of the whole conversation up to and including `last`, oldest first.
///
/// # Errors
/// `NotFound` when any interaction of it was deleted or is another project's.
pub(crate) fn history(connection: &Connection, project: ProjectId, last: &InteractionId) -> Result<Vec<PastStep>> {
    let last = find(connection, project, last)?;
    let mut pieces = branch(connection, last.branch)?.ancestry;
    pieces.push((last.branch, last.position));
    let mut statement = connection.prepare_cached(HISTORY)?;
    let mut steps = Vec::new();
    for (branch, position) in pieces {
        let mut rows = statement.query((branch, position, project.0))?;
        while let Some(row) = rows.next()? {
            steps.push(past_step(connection, row)?);
        }
    }
    Ok(steps)
}

fn past_step(connection: &Connection, row: &Row<'_>) -> Result<PastStep> {
    if !row.get::<_, bool>(0)? {
        return Err(StoreError::NotFound.into());
    }
    let key = ContentKey::from_secret(row.get_ref(1)?.as_bytes().map_err(rusqlite::Error::from)?)?;
    let trace = row.get_ref(3)?.as_blob_or_null().map_err(rusqlite::Error::from)?;
    let mut step = key.open_json(row.get_ref(2)?.as_blob().map_err(rusqlite::Error::from)?)?;
    medium::put_back(&mut step, connection, row.get(4)?, &key)?;
    Ok(PastStep { step, trace: key.open_trace(trace)? })
}

fn find(connection: &Connection, project: ProjectId, id: &InteractionId) -> Result<Place> {
    let place = connection
        .prepare_cached(
            "SELECT branch_id, position FROM interaction WHERE id = ?1 AND project_id = ?2 AND deleted_at IS NULL",
        )?
        .query_row((id.as_str(), project.0), |row| Ok(Place { branch: row.get(0)?, position: row.get(1)? }))
        .optional()?;
    place.ok_or_else(|| StoreError::NotFound.into())
}

fn branch(connection: &Connection, id: i64) -> Result<Branch> {
    let (root, ancestry): (Option<i64>, String) = connection
        .prepare_cached("SELECT root_id, ancestry FROM branch WHERE id = ?1")?
        .query_row([id], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(Branch { root: root.unwrap_or(id), ancestry: from_json(ancestry.as_bytes())? })
}

fn new_branch(connection: &Connection, project: ProjectId, root: Option<i64>, ancestry: &[Piece]) -> Result<i64> {
    let ancestry = String::from_utf8_lossy(&to_json(&ancestry)?).into_owned();
    connection
        .prepare_cached("INSERT INTO branch (project_id, root_id, ancestry) VALUES (?1, ?2, ?3)")?
        .execute((project.0, root, ancestry))?;
    Ok(connection.last_insert_rowid())
}

/// Begins a branch after a turn that has been answered before.
fn fork(connection: &Connection, project: ProjectId, parent: Place) -> Result<Place> {
    let Branch { root, mut ancestry } = branch(connection, parent.branch)?;
    ancestry.push((parent.branch, parent.position));
    if ancestry.len() <= LONGEST_ANCESTRY {
        return Ok(Place { branch: new_branch(connection, project, Some(root), &ancestry)?, position: 0 });
    }
    let branch = new_branch(connection, project, Some(root), &[])?;
    let mut position = 0;
    let mut copy = connection.prepare_cached(
        "INSERT INTO turn (branch_id, position, project_id, interaction)
         SELECT ?1, ?2 + position, project_id, interaction FROM turn WHERE branch_id = ?3 AND position <= ?4",
    )?;
    for (from, up_to) in ancestry {
        copy.execute((branch, position, from, up_to))?;
        position += up_to + 1;
    }
    Ok(Place { branch, position })
}

#[cfg(test)]
mod tests;
