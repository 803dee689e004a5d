//! Documents and their collections: kept, listed, removed.

use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::{CorpusError, MOST_NAME_BYTES, Metadata, Result};
use crate::chunk::{self, Chunking};
use crate::filter::MetadataValue;
use crate::page::MOST_KEY_CHARACTERS;
use crate::plain;
use crate::provider::{MOST_TITLE_CHARACTERS, MOST_URL_BYTES};

/// Of the text of one document.
pub(super) const MOST_TEXT_BYTES: usize = 20 << 20;
const MOST_METADATA: usize = 64;
const MOST_METADATA_BYTES: usize = 16 << 10;
const MOST_LISTED: usize = 1000;
/// Of one document; a text of 20 MiB in chunks of the usual size has a quarter of it.
const MOST_CHUNKS: usize = 100_000;
/// Of the title, as each chunk is found by it.
const INDEXED_TITLE_CHARACTERS: usize = 100;

/// A document that is to be kept.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct NewDocument {
    /// How it is addressed inside of its collection.
    pub name: String,
    /// What citations lead to.
    pub url: String,
    pub title: String,
    pub site: String,
    pub published: Option<String>,
    pub metadata: Metadata,
    /// Form feeds end its pages.
    pub text: String,
    /// The size of the file that the text was in.
    pub bytes: u64,
    /// When it was last changed, in nanoseconds since 1970.
    pub modified: i64,
    pub sha256: [u8; 32],
    /// What its owner says about it, kept as it is.
    pub about: String,
    pub chunking: Chunking,
}

/// A document that is kept, without its text.
#[derive(Clone, Debug, PartialEq)]
pub struct Document {
    pub name: String,
    pub url: String,
    pub title: String,
    pub site: String,
    pub published: Option<String>,
    pub metadata: Metadata,
    pub characters: u64,
    pub bytes: u64,
    pub modified: i64,
    pub sha256: [u8; 32],
    pub about: String,
}

/// A collection that is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Collection {
    pub name: String,
    /// What its owner says about it.
    pub about: String,
    pub size: Size,
}

/// A page of documents.
#[derive(Clone, Debug, PartialEq)]
pub struct Listing {
    pub documents: Vec<Document>,
    /// The name after which the next page begins; none when this is the last.
    pub next: Option<String>,
}

/// How much is in a collection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Size {
    pub documents: u64,
    /// Of the files that the texts were in.
    pub bytes: u64,
}

impl NewDocument {
    pub(super) fn check(&self) -> Result<()> {
        let invalid = |what: &str| Err(CorpusError::Invalid(what.to_owned()));
        if self.name.is_empty() || self.name.len() > MOST_NAME_BYTES {
            return invalid("expected a name of 1 to 512 bytes");
        }
        if self.url.len() > MOST_URL_BYTES {
            return invalid("expected an address of at most 2,048 bytes");
        }
        if self.text.len() > MOST_TEXT_BYTES {
            return invalid("expected at most 20 MiB of text");
        }
        if self.metadata.len() > MOST_METADATA {
            return invalid("expected at most 64 keys of metadata");
        }
        let sizes = self.metadata.iter().map(|(key, value)| match value {
            MetadataValue::Number(_) => key.len() + 8,
            MetadataValue::Text(text) => key.len() + text.len(),
            MetadataValue::Texts(texts) => key.len() + texts.iter().map(|text| text.len() + 1).sum::<usize>(),
        });
        if sizes.sum::<usize>() > MOST_METADATA_BYTES {
            return invalid("expected at most 16 KiB of metadata");
        }
        if self.metadata.keys().any(|key| key.is_empty() || key.chars().count() > MOST_KEY_CHARACTERS) {
            return invalid("expected keys of metadata of 1 to 128 characters");
        }
        if self.metadata.values().any(|value| matches!(value, MetadataValue::Number(number) if !number.is_finite())) {
            return invalid("expected numbers of metadata to be finite");
        }
        Ok(())
    }
}

pub(super) fn collection(connection: &Connection, name: &str) -> Result<i64> {
    let mut statement = connection.prepare_cached("SELECT id FROM collection WHERE name = ?1")?;
    let found = statement.query_row([name], |row| row.get(0)).optional()?;
    found.ok_or_else(|| CorpusError::NotFound(format!("collection `{}`", plain::line(name, 100))))
}

pub(super) fn create_collection(connection: &Connection, name: &str, about: &str, most: usize) -> Result<()> {
    if name.is_empty() || name.len() > MOST_NAME_BYTES {
        return Err(CorpusError::Invalid("expected a name of 1 to 512 bytes".to_owned()));
    }
    let count: usize =
        connection.query_row("SELECT count(*) FROM collection WHERE name <> ''", [], |row| row.get(0))?;
    if count >= most {
        return Err(CorpusError::Full(format!("there are {count} collections already, the most there may be")));
    }
    let created = connection
        .execute("INSERT INTO collection(name, about) VALUES(?1, ?2) ON CONFLICT DO NOTHING", [name, about])?;
    if created == 0 {
        return Err(CorpusError::Exists(format!("collection `{}`", plain::line(name, 100))));
    }
    Ok(())
}

/// `even_full`: with the documents that are in it.
pub(super) fn delete_collection(connection: &Connection, name: &str, even_full: bool) -> Result<()> {
    if name.is_empty() {
        return Err(CorpusError::NotFound("collection ``".to_owned()));
    }
    let id = collection(connection, name)?;
    let documents = size(connection, name)?.documents;
    if documents > 0 && !even_full {
        return Err(CorpusError::Full(format!("{documents} documents are in it")));
    }
    connection.execute("DELETE FROM collection WHERE id = ?1", [id])?;
    Ok(())
}

pub(super) fn one_collection(connection: &Connection, name: &str) -> Result<Collection> {
    let id = collection(connection, name)?;
    let about = connection.query_row("SELECT about FROM collection WHERE id = ?1", [id], |row| row.get(0))?;
    Ok(Collection { name: name.to_owned(), about, size: size(connection, name)? })
}

pub(super) fn collections(connection: &Connection, after: &str, most: usize) -> Result<Vec<Collection>> {
    let mut statement =
        connection.prepare_cached("SELECT name FROM collection WHERE name > ?1 ORDER BY name LIMIT ?2")?;
    let names = statement.query_map(params![after, most.min(MOST_LISTED + 1)], |row| row.get(0))?;
    let names: Vec<String> = names.collect::<rusqlite::Result<_>>()?;
    names.iter().map(|name| one_collection(connection, name)).collect()
}

pub(super) fn size(connection: &Connection, name: &str) -> Result<Size> {
    let id = collection(connection, name)?;
    let counted = "SELECT count(*), coalesce(sum(bytes), 0) FROM document WHERE collection = ?1";
    let size = |row: &Row<'_>| Ok(Size { documents: row.get(0)?, bytes: row.get(1)? });
    Ok(connection.query_row(counted, [id], size)?)
}

/// `most`: what may be in the collection with it.
pub(super) fn put(
    connection: &Connection,
    collection_name: &str,
    document: &NewDocument,
    most: Size,
) -> Result<Document> {
    let collection = collection(connection, collection_name)?;
    insert(connection, collection, None, document)?;
    let size = size(connection, collection_name)?;
    if size.documents > most.documents {
        return Err(CorpusError::Full(format!("{} documents are in it, the most there may be", size.documents - 1)));
    }
    if size.bytes > most.bytes {
        let message = format!("its documents would have {} bytes, and {} are the most", size.bytes, most.bytes);
        return Err(CorpusError::Full(message));
    }
    get(connection, collection_name, &document.name)
}

/// Replaces the document of the same name.
pub(super) fn insert(
    connection: &Connection,
    collection: i64,
    folder: Option<i64>,
    document: &NewDocument,
) -> Result<()> {
    let text = plain::clean(&document.text);
    let parts = chunk::chunks_within(&text, &document.chunking, MOST_CHUNKS)
        .map_err(|chunks| CorpusError::TooManyChunks { chunks, most: MOST_CHUNKS })?;
    let metadata = serde_json::to_string(&document.metadata)
        .map_err(|error| CorpusError::Invalid(format!("the metadata cannot be written: {error}")))?;
    connection
        .prepare_cached("DELETE FROM document WHERE collection = ?1 AND name = ?2")?
        .execute(params![collection, document.name])?;
    connection
        .prepare_cached(
            "INSERT INTO document(collection, folder, name, url, title, site, published, metadata, characters, bytes, \
             modified, sha256, about) VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)",
        )?
        .execute(params![
            collection,
            folder,
            document.name,
            document.url,
            plain::line(&document.title, MOST_TITLE_CHARACTERS),
            plain::line(&document.site, MOST_TITLE_CHARACTERS),
            document.published,
            metadata,
            text.chars().count(),
            document.bytes,
            document.modified,
            document.sha256.as_slice(),
            document.about,
        ])?;
    let id = connection.last_insert_rowid();
    let mut chunk = connection
        .prepare_cached("INSERT INTO chunk(document, characters, start, page, heading) VALUES(?1, ?2, ?3, ?4, ?5)")?;
    let mut words = connection.prepare_cached("INSERT INTO words(rowid, text, heading) VALUES(?1, ?2, ?3)")?;
    let mut start = 0;
    let mut overlap = "";
    let title = plain::line(&document.title, INDEXED_TITLE_CHARACTERS);
    for part in parts {
        chunk.execute(params![id, part.characters, start, part.page, part.heading])?;
        let heading = format!("{title}\n{}\n{overlap}", part.heading);
        words.execute(params![connection.last_insert_rowid(), &text[part.start..part.end], heading])?;
        overlap = document.chunking.overlap(&text[part.start..part.end]);
        start += part.characters;
    }
    Ok(())
}

/// The columns of [`read`].
pub(super) const COLUMNS: &str =
    "document.name, url, title, site, published, metadata, document.characters, bytes, modified, sha256, about";

pub(super) fn read(row: &Row<'_>) -> rusqlite::Result<Document> {
    Ok(Document {
        name: row.get(0)?,
        url: row.get(1)?,
        title: row.get(2)?,
        site: row.get(3)?,
        published: row.get(4)?,
        metadata: read_metadata(row, 5)?,
        characters: row.get(6)?,
        bytes: row.get(7)?,
        modified: row.get(8)?,
        sha256: row.get(9)?,
        about: row.get(10)?,
    })
}

pub(super) fn read_metadata(row: &Row<'_>, column: usize) -> rusqlite::Result<Metadata> {
    let metadata: String = row.get(column)?;
    serde_json::from_str(&metadata)
        .map_err(|error| rusqlite::Error::FromSqlConversionFailure(column, rusqlite::types::Type::Text, error.into()))
}

fn absent(name: &str) -> CorpusError {
    CorpusError::NotFound(format!("document `{}`", plain::line(name, 100)))
}

pub(super) fn get(connection: &Connection, collection_name: &str, name: &str) -> Result<Document> {
    let collection = collection(connection, collection_name)?;
    let query = format!("SELECT {COLUMNS} FROM document WHERE collection = ?1 AND name = ?2");
    let found = connection.prepare_cached(&query)?.query_row(params![collection, name], read).optional()?;
    found.ok_or_else(|| absent(name))
}

pub(super) fn text(connection: &Connection, collection_name: &str, name: &str) -> Result<String> {
    let collection = collection(connection, collection_name)?;
    let mut statement = connection.prepare_cached(
        "SELECT words.text FROM document JOIN chunk ON chunk.document = document.id JOIN words ON words.rowid = chunk.id \
         WHERE collection = ?1 AND name = ?2 ORDER BY chunk.id",
    )?;
    let parts = statement.query_map(params![collection, name], |row| row.get::<_, String>(0))?;
    let text = parts.collect::<rusqlite::Result<String>>()?;
    if text.is_empty() {
        // An empty document has no parts.
        get(connection, collection_name, name)?;
    }
    Ok(text)
}

pub(super) fn list(connection: &Connection, collection_name: &str, after: &str, most: usize) -> Result<Listing> {
    let collection = collection(connection, collection_name)?;
    let most = most.clamp(1, MOST_LISTED);
    let query = format!("SELECT {COLUMNS} FROM document WHERE collection = ?1 AND name > ?2 ORDER BY name LIMIT ?3");
    let mut statement = connection.prepare_cached(&query)?;
    let found = statement.query_map(params![collection, after, most + 1], read)?;
    let mut documents: Vec<Document> = found.collect::<rusqlite::Result<_>>()?;
    let is_last = documents.len() <= most;
    documents.truncate(most);
    let next = documents.last().filter(|_| !is_last).map(|document| document.name.clone());
    Ok(Listing { documents, next })
}

pub(super) fn delete(connection: &Connection, collection_name: &str, name: &str) -> Result<()> {
    let collection = collection(connection, collection_name)?;
    let deleted = connection
        .prepare_cached("DELETE FROM document WHERE collection = ?1 AND name = ?2")?
        .execute(params![collection, name])?;
    if deleted == 0 { Err(absent(name)) } else { Ok(()) }
}
