//! Documents on this machine, found by their words: folders that the operator names, and
//! named collections such as file search stores, in one SQLite file.

mod connection;
mod document;
mod find;
mod folder;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use self::connection::Connections;
use crate::filter::MetadataValue;
use crate::page::Extractor;
use crate::provider::{Hit, Provider, Query, SearchError, SearchErrorKind};

pub use document::{Collection, Document, Listing, NewDocument, Size};
pub use find::{Find, Found, FoundPart, Passage};
pub use folder::{Folder, Progress, Report, Skipped};

/// The collection of the folders' documents.
const FOLDERS: &str = "";
const MOST_NAME_BYTES: usize = 512;

pub(crate) type Result<T, E = CorpusError> = std::result::Result<T, E>;

/// Why the corpus did not do what it was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CorpusError {
    /// No such collection, document or folder. Names what was asked for.
    #[error("{0} is not there")]
    NotFound(String),
    #[error("{0} is there already")]
    Exists(String),
    /// There is more in it than there may be; says how much.
    #[error("{0}")]
    Full(String),
    /// Says what was expected and what came.
    #[error("{0}")]
    Invalid(String),
    /// One document would have more chunks than any may.
    #[error("expected at most {most} chunks of a document, got {chunks}")]
    TooManyChunks { chunks: usize, most: usize },
    /// The disk, the file, another process. For the log.
    #[error("the corpus is not available: {0}")]
    Unavailable(String),
}

impl From<rusqlite::Error> for CorpusError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Unavailable(error.to_string())
    }
}

impl From<CorpusError> for SearchError {
    fn from(error: CorpusError) -> Self {
        Self::new(SearchErrorKind::Unavailable, error.to_string())
    }
}

/// A handle to one file of documents; its clones are handles to the same.
#[derive(Clone)]
pub struct Corpus {
    connections: Connections,
    extractor: Option<Extractor>,
    rebuilds: bool,
}

impl Corpus {
    /// Opens a file, or makes it.
    ///
    /// # Errors
    /// `Unavailable` when it cannot be opened, or is of another program or a newer version.
    pub async fn open(file: impl Into<PathBuf>) -> Result<Self> {
        Ok(Self { connections: Connections::open(file.into()).await?, extractor: None, rebuilds: false })
    }

    /// Reads more kinds of files, or reads them better. Files that are there already are not
    /// read again.
    #[must_use]
    pub fn with_extractor(self, extractor: Extractor) -> Self {
        Self { extractor: Some(extractor), ..self }
    }

    /// Writes the file anew whenever something is deleted, so that nothing at all is left of
    /// it. That takes as long as the file is large.
    #[must_use]
    pub fn with_rebuilds(self) -> Self {
        Self { rebuilds: true, ..self }
    }

    /// Brings the documents of a folder up to date with its files. `progress` is told about
    /// every file that was looked at. Each file is durable by itself; whoever stops waiting
    /// stops the work after the file at hand.
    ///
    /// # Errors
    /// `NotFound` when it is no folder, `Invalid` when it lies inside another one of the
    /// corpus or around it.
    pub async fn add_folder(
        &self,
        folder: impl Into<PathBuf>,
        progress: impl FnMut(Progress<'_>) + Send + 'static,
    ) -> Result<Report> {
        folder::add(self.clone(), folder.into(), progress).await
    }

    /// Removes a folder's documents. The answer is how many there were.
    ///
    /// # Errors
    /// `NotFound` when the folder is not in the corpus.
    pub async fn remove_folder(&self, folder: &Path) -> Result<usize> {
        let folder = folder.to_owned();
        self.connections.erase(self.rebuilds, move |connection| folder::remove(connection, &folder)).await
    }

    /// The folders of the corpus, by their paths.
    ///
    /// # Errors
    /// `Unavailable`.
    pub async fn folders(&self) -> Result<Vec<Folder>> {
        self.connections.read(folder::list).await
    }

    /// Makes a collection unless there are `most` already.
    ///
    /// # Errors
    /// `Exists`, `Full`; `Invalid` for an empty name or one of more than 512 bytes.
    pub async fn create_collection(&self, name: &str, about: &str, most: usize) -> Result<()> {
        let (name, about) = (name.to_owned(), about.to_owned());
        self.connections.write(move |connection| document::create_collection(connection, &name, &about, most)).await
    }

    /// Removes a collection, and, if it is to be removed `even_full`, all of its documents.
    ///
    /// # Errors
    /// `NotFound`; `Full` when documents are in it.
    pub async fn delete_collection(&self, name: &str, even_full: bool) -> Result<()> {
        let name = name.to_owned();
        let delete = move |connection: &rusqlite::Connection| document::delete_collection(connection, &name, even_full);
        self.connections.erase(self.rebuilds, delete).await
    }

    /// # Errors
    /// `NotFound`.
    pub async fn collection(&self, name: &str) -> Result<Collection> {
        let name = name.to_owned();
        self.connections.read(move |connection| document::one_collection(connection, &name)).await
    }

    /// The first `most` collections after a name, in the order of their names.
    ///
    /// # Errors
    /// `Unavailable`.
    pub async fn collections(&self, after: Option<&str>, most: usize) -> Result<Vec<Collection>> {
        let after = after.unwrap_or_default().to_owned();
        self.connections.read(move |connection| document::collections(connection, &after, most)).await
    }

    /// How much is in a collection.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn size(&self, collection: &str) -> Result<Size> {
        let collection = collection.to_owned();
        self.connections.read(move |connection| document::size(connection, &collection)).await
    }

    /// Adds a document to a collection; one of the same name is replaced.
    ///
    /// # Errors
    /// `NotFound` for the collection, `Invalid` and `TooManyChunks` for what is empty or too
    /// large.
    pub async fn put(&self, collection: &str, document: NewDocument) -> Result<Document> {
        self.put_within(collection, document, Size { documents: u64::MAX, bytes: u64::MAX }).await
    }

    /// As [`Corpus::put`], unless there would be more in the collection than `most`.
    ///
    /// # Errors
    /// `Full` besides those.
    pub async fn put_within(&self, collection: &str, document: NewDocument, most: Size) -> Result<Document> {
        let collection = collection.to_owned();
        document.check()?;
        self.connections.write(move |connection| document::put(connection, &collection, &document, most)).await
    }

    /// # Errors
    /// `NotFound`.
    pub async fn document(&self, collection: &str, name: &str) -> Result<Document> {
        let (collection, name) = (collection.to_owned(), name.to_owned());
        self.connections.read(move |connection| document::get(connection, &collection, &name)).await
    }

    /// The text of a document, as it is searched.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn text(&self, collection: &str, name: &str) -> Result<String> {
        let (collection, name) = (collection.to_owned(), name.to_owned());
        self.connections.read(move |connection| document::text(connection, &collection, &name)).await
    }

    /// A page of a collection's documents by their names: at most `most`, from 1 to 1,000, of
    /// those after `after`.
    ///
    /// # Errors
    /// `NotFound` for the collection.
    pub async fn documents(&self, collection: &str, after: Option<&str>, most: usize) -> Result<Listing> {
        let (collection, after) = (collection.to_owned(), after.unwrap_or_default().to_owned());
        self.connections.read(move |connection| document::list(connection, &collection, &after, most)).await
    }

    /// # Errors
    /// `NotFound`.
    pub async fn delete(&self, collection: &str, name: &str) -> Result<()> {
        let (collection, name) = (collection.to_owned(), name.to_owned());
        let delete = move |connection: &rusqlite::Connection| document::delete(connection, &collection, &name);
        self.connections.erase(self.rebuilds, delete).await
    }

    /// The documents that answer best, best first.
    ///
    /// # Errors
    /// `NotFound` for a collection.
    pub async fn find(&self, find: Find) -> Result<Vec<Found>> {
        self.connections.read(move |connection| find::find(connection, &find)).await
    }

    /// The parts of documents that answer best, best first: `count` of them. There is no
    /// budget for them.
    ///
    /// # Errors
    /// `NotFound` for a collection.
    pub async fn find_parts(&self, find: Find) -> Result<Vec<FoundPart>> {
        self.connections.read(move |connection| find::find_parts(connection, &find)).await
    }
}

/// Searches the folders. It has no languages to choose from.
#[async_trait::async_trait]
impl Provider for Corpus {
    fn name(&self) -> &'static str {
        "corpus"
    }

    async fn search(&self, query: &Query) -> Result<Vec<Hit>, SearchError> {
        let find = Find {
            collections: vec![FOLDERS.to_owned()],
            text: query.text().to_owned(),
            question: query.question().to_owned(),
            filter: None,
            count: query.count(),
            budget: query.budget(),
        };
        Ok(self.find(find).await?.into_iter().map(|found| found.hit).collect())
    }
}

/// What a document says about itself: 64 keys at most.
pub(crate) type Metadata = BTreeMap<String, MetadataValue>;

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_cannot_be_erased_at_once_is_deleted_and_erased_later() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("corpus.db");
        let due = |expected: i64| {
            let raw = rusqlite::Connection::open(&file).unwrap();
            let due: i64 = raw.query_row("SELECT count(*) FROM rebuild_due", [], |row| row.get(0)).unwrap();
            assert_eq!(due, expected);
        };
        let corpus = Corpus::open(&file).await.unwrap().with_rebuilds();
        for name in ["one", "two"] {
            corpus.create_collection(name, "", 10).await.unwrap();
        }
        let delete = |connection: &rusqlite::Connection| {
            document::delete_collection(connection, "one", false)?;
            // The transaction may end, and nothing may be written after it.
            Ok(connection.pragma_update(None, "query_only", "ON")?)
        };
        corpus.connections.erase(true, delete).await.unwrap();
        assert!(matches!(corpus.collection("one").await, Err(CorpusError::NotFound(_))));
        due(1);
        drop(corpus);
        let corpus = Corpus::open(&file).await.unwrap().with_rebuilds();
        due(0);
        corpus.delete_collection("two", false).await.unwrap();
        due(0);
    }
}
