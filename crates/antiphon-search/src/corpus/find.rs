//! From a question to the documents that answer it, each with its best passages.

use std::collections::HashMap;
use std::ops::Range;

use rusqlite::types::Value;
use rusqlite::{Connection, Row, params};

use super::document::{self, COLUMNS};
use super::{Metadata, Result};
use crate::filter::Filter;
use crate::passage;
use crate::provider::Hit;
use crate::words::{self, Operator};

/// Parts that are looked at, best first, until there are enough documents.
const MOST_PARTS: usize = 1000;
/// Parts of one document that count as its best.
const BEST_OF_DOCUMENT: usize = 4;
const MOST_FOUND: usize = 20;
const CHARACTERS_PER_TOKEN: usize = 4;
/// In less room there are excerpts of the best parts, whatever documents they are of.
const LEAST_FOR_PARTS: usize = 4000;
/// With less room than this a document is left to others.
const LEAST_OF_DOCUMENT: usize = 600;

/// What is searched for, and where.
#[derive(Clone, Debug)]
pub struct Find {
    pub collections: Vec<String>,
    pub text: String,
    /// What the user asked, if more is known of it than the text: among parts that have only some of its words, and
    /// of a long part, these count as well. May be empty.
    pub question: String,
    /// Only among the documents that it chooses.
    pub filter: Option<Filter>,
    /// How many documents, from 1 to 20.
    pub count: usize,
    /// Tokens of four characters, for the passages of all documents together.
    pub budget: usize,
}

/// A document that answers.
#[derive(Clone, Debug, PartialEq)]
pub struct Found {
    pub collection: String,
    pub name: String,
    pub metadata: Metadata,
    /// The text is the passages, with a word where something was left out.
    pub hit: Hit,
    /// Of the part that answers best, in documents that have pages.
    pub page: Option<u32>,
    /// In the order of the document.
    pub passages: Vec<Passage>,
}

/// A piece of a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Passage {
    /// In characters of the document's text; the end is exclusive.
    pub start: usize,
    pub end: usize,
    /// The page it begins on, in documents that have pages.
    pub page: Option<u32>,
    pub heading: String,
}

/// A part of a document that answers.
#[derive(Clone, Debug, PartialEq)]
pub struct FoundPart {
    pub collection: String,
    /// Of the document.
    pub name: String,
    /// What its owner says about the document.
    pub about: String,
    pub metadata: Metadata,
    pub text: String,
    /// The page it is on, in documents that have pages.
    pub page: Option<u32>,
}

/// A document, and its parts that answer, best first.
struct Candidate {
    id: i64,
    parts: Vec<i64>,
}

pub(super) fn find(connection: &Connection, find: &Find) -> Result<Vec<Found>> {
    let mut collections = HashMap::new();
    for name in &find.collections {
        collections.insert(document::collection(connection, name)?, name.as_str());
    }
    let terms = words::terms(&find.text);
    if terms.is_empty() {
        return Ok(Vec::new());
    }
    let ids = collections.keys().map(ToString::to_string).collect::<Vec<_>>().join(",");
    let chosen = find.filter.as_ref().map(|filter| chosen(connection, &ids, filter)).transpose()?;
    let count = find.count.clamp(1, MOST_FOUND);
    let mut candidates = Vec::new();
    let mut best = Vec::new();
    let wanted = words::terms_with(&terms, &find.question);
    for (operator, terms) in [(Operator::All, &terms), (Operator::Any, &wanted)] {
        let expression = words::match_expression(terms, operator);
        let matching = matching(connection, &ids, chosen.as_deref(), &expression)?;
        for (_, part) in &matching {
            if best.len() < passage::MOST_EXCERPTS && !best.contains(part) {
                best.push(*part);
            }
        }
        rank(matching, count, &mut candidates);
        if candidates.len() >= count {
            break;
        }
    }
    let mut left = find.budget.saturating_mul(CHARACTERS_PER_TOKEN);
    let shown = Shown { connection, collections: &collections, terms: &wanted };
    if left < LEAST_FOR_PARTS {
        let excerpts: Vec<_> = best.into_iter().zip(passage::rooms(left)).collect();
        let has_any =
            |candidate: &&Candidate| candidate.parts.iter().any(|part| excerpts.iter().any(|(id, _)| id == part));
        return candidates.iter().filter(has_any).map(|candidate| shown.excerpts(candidate, &excerpts)).collect();
    }
    candidates.truncate((left / LEAST_OF_DOCUMENT).max(1));
    let mut found = Vec::with_capacity(candidates.len());
    for (done, candidate) in candidates.iter().enumerate() {
        // What one document does not need is left to those after it.
        let document = shown.parts(candidate, left / (candidates.len() - done))?;
        left = left.saturating_sub(document.hit.text.chars().count());
        found.push(document);
    }
    Ok(found)
}

/// The parts that answer best, best first: `count` of them, whatever documents they are of.
pub(super) fn find_parts(connection: &Connection, find: &Find) -> Result<Vec<FoundPart>> {
    let mut ids = Vec::new();
    for name in &find.collections {
        ids.push(document::collection(connection, name)?.to_string());
    }
    let terms = words::terms(&find.text);
    if terms.is_empty() {
        return Ok(Vec::new());
    }
    let ids = ids.join(",");
    let chosen = find.filter.as_ref().map(|filter| chosen(connection, &ids, filter)).transpose()?;
    let mut best: Vec<i64> = Vec::new();
    let wanted = words::terms_with(&terms, &find.question);
    for (operator, terms) in [(Operator::All, &terms), (Operator::Any, &wanted)] {
        let expression = words::match_expression(terms, operator);
        for (_, part) in matching(connection, &ids, chosen.as_deref(), &expression)? {
            if best.len() < find.count && !best.contains(&part) {
                best.push(part);
            }
        }
    }
    let mut statement = connection.prepare_cached(
        "SELECT collection.name, document.name, document.about, metadata, words.text, page FROM chunk \
         JOIN document ON document.id = chunk.document JOIN collection ON collection.id = document.collection \
         JOIN words ON words.rowid = chunk.id WHERE chunk.id = ?1",
    )?;
    let part = |row: &Row<'_>| {
        Ok(FoundPart {
            collection: row.get(0)?,
            name: row.get(1)?,
            about: row.get(2)?,
            metadata: document::read_metadata(row, 3)?,
            text: row.get(4)?,
            page: row.get(5)?,
        })
    };
    Ok(best.iter().map(|id| statement.query_row([id], part)).collect::<rusqlite::Result<_>>()?)
}

/// The documents that a filter chooses, as a list in JSON.
fn chosen(connection: &Connection, collections: &str, filter: &Filter) -> Result<String> {
    let mut statement =
        connection.prepare(&format!("SELECT id, metadata FROM document WHERE collection IN ({collections})"))?;
    let mut rows = statement.query([])?;
    let mut chosen = Vec::new();
    while let Some(row) = rows.next()? {
        let metadata: String = row.get(1)?;
        if serde_json::from_str(&metadata).is_ok_and(|metadata| filter.matches(&metadata)) {
            chosen.push(row.get::<_, i64>(0)?.to_string());
        }
    }
    Ok(format!("[{}]", chosen.join(",")))
}

/// The documents and parts that the expression finds, best first.
fn matching(
    connection: &Connection,
    collections: &str,
    chosen: Option<&str>,
    expression: &str,
) -> Result<Vec<(i64, i64)>> {
    let among = if chosen.is_some() { "AND document.id IN (SELECT value FROM json_each(?3))" } else { "" };
    let mut statement = connection.prepare(&format!(
        "SELECT chunk.document, chunk.id FROM words JOIN chunk ON chunk.id = words.rowid \
         JOIN document ON document.id = chunk.document \
         WHERE words MATCH ?1 AND document.collection IN ({collections}) {among} \
         ORDER BY bm25(words, 1.0, 0.5), chunk.id LIMIT ?2"
    ))?;
    let mut values = vec![Value::from(expression.to_owned()), Value::from(MOST_PARTS as i64)];
    values.extend(chosen.map(|chosen| Value::from(chosen.to_owned())));
    let found = statement.query_map(rusqlite::params_from_iter(values), |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(found.collect::<rusqlite::Result<_>>()?)
}

/// Adds to the candidates what an expression finds, until there are enough.
fn rank(matching: Vec<(i64, i64)>, count: usize, candidates: &mut Vec<Candidate>) {
    let before = candidates.len();
    for (id, part) in matching {
        match candidates.iter().position(|candidate| candidate.id == id) {
            // What had all words is complete.
            Some(at) if at < before => {}
            Some(at) if candidates[at].parts.len() < BEST_OF_DOCUMENT => candidates[at].parts.push(part),
            Some(_) => {}
            None if candidates.len() < count => candidates.push(Candidate { id, parts: vec![part] }),
            None => {}
        }
    }
}

struct Part {
    id: i64,
    characters: usize,
    start: usize,
    page: Option<u32>,
    heading: String,
}

/// How documents are shown that were found.
struct Shown<'a> {
    connection: &'a Connection,
    collections: &'a HashMap<i64, &'a str>,
    terms: &'a [String],
}

impl Shown<'_> {
    /// The best parts of a document, and what is around the best, in so many characters.
    fn parts(&self, candidate: &Candidate, most: usize) -> Result<Found> {
        let parts = parts(self.connection, candidate.id)?;
        let lengths: Vec<usize> = parts.iter().map(|part| part.characters).collect();
        let ranked: Vec<usize> =
            candidate.parts.iter().filter_map(|id| parts.iter().position(|part| part.id == *id)).collect();
        let room = most.saturating_sub(passage::NOTES).max(most / 2);
        let ranges = passage::choose(&lengths, &ranked, room);
        self.document(candidate, &parts, ranges.into_iter().map(|range| (range, room)))
    }

    /// Excerpts of a document's parts: those that have room, in characters.
    fn excerpts(&self, candidate: &Candidate, rooms: &[(i64, usize)]) -> Result<Found> {
        let parts = parts(self.connection, candidate.id)?;
        let room = |part: &Part| rooms.iter().find(|(id, _)| *id == part.id).map(|(_, room)| *room);
        let ranges: Vec<_> =
            parts.iter().enumerate().filter_map(|(at, part)| Some((at..at + 1, room(part)?))).collect();
        self.document(candidate, &parts, ranges.into_iter())
    }

    /// A document by ranges of its parts, each in so much room.
    fn document(
        &self,
        candidate: &Candidate,
        parts: &[Part],
        ranges: impl Iterator<Item = (Range<usize>, usize)>,
    ) -> Result<Found> {
        let query = format!("SELECT {COLUMNS}, collection FROM document WHERE id = ?1");
        let (document, collection) = self
            .connection
            .prepare_cached(&query)?
            .query_row([candidate.id], |row| Ok((document::read(row)?, row.get::<_, i64>(11)?)))?;
        let mut texts = Vec::new();
        let mut passages = Vec::new();
        for (range, room) in ranges {
            let (Some(first), Some(last)) = (parts.get(range.start), parts.get(range.end - 1)) else { continue };
            let text = text(self.connection, first.id, last.id)?;
            // The best part alone may be more than there is room for.
            let shown = passage::excerpt(&text, self.terms, room);
            let start = first.start + text[..shown.start].chars().count();
            let text = &text[shown];
            let end = start + text.chars().count();
            passages.push(Passage { start, end, page: first.page, heading: first.heading.clone() });
            texts.push(text.to_owned());
        }
        let whole = usize::try_from(document.characters).unwrap_or(usize::MAX);
        let shown = passages.iter().map(|passage| passage.heading.as_str()).zip(texts.iter().map(String::as_str));
        let hit = Hit {
            url: document.url,
            title: document.title,
            site: document.site,
            text: passage::text(whole, shown),
            published: document.published,
        };
        let collection = self.collections.get(&collection).copied().unwrap_or_default().to_owned();
        let best = candidate.parts.first().and_then(|id| parts.iter().find(|part| part.id == *id));
        let page = best.and_then(|part| part.page);
        Ok(Found { collection, name: document.name, metadata: document.metadata, hit, page, passages })
    }
}

fn parts(connection: &Connection, document: i64) -> Result<Vec<Part>> {
    let mut statement = connection
        .prepare_cached("SELECT id, characters, start, page, heading FROM chunk WHERE document = ?1 ORDER BY id")?;
    let part = |row: &Row<'_>| {
        Ok(Part {
            id: row.get(0)?,
            characters: row.get(1)?,
            start: row.get(2)?,
            page: row.get(3)?,
            heading: row.get(4)?,
        })
    };
    Ok(statement.query_map([document], part)?.collect::<rusqlite::Result<_>>()?)
}

fn text(connection: &Connection, first: i64, last: i64) -> Result<String> {
    let mut statement =
        connection.prepare_cached("SELECT text FROM words WHERE rowid BETWEEN ?1 AND ?2 ORDER BY rowid")?;
    let texts = statement.query_map(params![first, last], |row| row.get::<_, String>(0))?;
    Ok(texts.collect::<rusqlite::Result<_>>()?)
}
