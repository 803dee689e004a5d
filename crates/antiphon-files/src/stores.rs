//! File search stores and their documents.
//!
//! A store is a collection of the project's corpus under the store's id, a document is one of
//! the corpus's under its own. What the corpus does not know of them is kept beside, as JSON.

use antiphon_engine::{ProjectId, wire_time};
use antiphon_search::{Chunking, Collection, Corpus, CorpusError, MetadataValue, NewDocument, Size};
use antiphon_wire::{
    CreateFileSearchStore, CustomMetadata, CustomValue, Document, DocumentAdded, DocumentConfig, Error,
    FileSearchStore, Operation,
};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::document::{self, Kind};
use crate::name::{STORES, document_name, is_id, mint};
use crate::{Files, corpus_error, unavailable};

/// As the corpus counts its budgets.
const CHARACTERS_PER_TOKEN: usize = 4;

/// A page of a list.
#[derive(Clone, Debug, PartialEq)]
pub struct Listing<T> {
    pub items: Vec<T>,
    /// By which the next page is asked for.
    pub next: Option<String>,
}

/// What made a document, as its operation is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OperationKind {
    Upload,
    Import,
}

/// A document that is to be made of bytes that have come.
pub(crate) struct Incoming {
    pub(crate) id: String,
    pub(crate) display_name: String,
    pub(crate) kind: Kind,
    pub(crate) config: DocumentConfig,
    pub(crate) bytes: Vec<u8>,
}

/// What is kept of a store besides its documents.
#[derive(Serialize, Deserialize)]
struct AboutStore {
    display_name: Option<String>,
    /// In RFC 3339.
    created: String,
}

/// What is kept of a document besides what the corpus keeps.
#[derive(Serialize, Deserialize)]
pub(crate) struct AboutDocument {
    /// As it came: the corpus keeps a line of it.
    pub(crate) display_name: String,
    mime_type: String,
    created: String,
    /// The corpus does not keep its order.
    custom_metadata: Vec<CustomMetadata>,
}

impl Files {
    /// # Errors
    /// `failed_precondition` when the project has as many stores as it may.
    pub async fn create_store(
        &self,
        project: ProjectId,
        request: CreateFileSearchStore,
    ) -> Result<FileSearchStore, Error> {
        let id = mint(&*self.inner.ambient, request.display_name.as_deref().unwrap_or_default());
        let about = AboutStore { display_name: request.display_name, created: wire_time(self.inner.ambient.now()) };
        let corpus = self.corpus(project).await?;
        let made = corpus.create_collection(&id, &to_json(&about)?, self.inner.limits.stores).await;
        made.map_err(|error| corpus_error(error, "fileSearchStores"))?;
        self.store(project, &id).await
    }

    /// # Errors
    /// `not_found`, as for all stores of other projects.
    pub async fn store(&self, project: ProjectId, id: &str) -> Result<FileSearchStore, Error> {
        let found = self.corpus_with(project, id).await?.collection(id).await;
        shown_store(&found.map_err(|error| corpus_error(error, &format!("{STORES}{id}")))?)
    }

    /// The stores after one, by their names.
    ///
    /// # Errors
    /// `invalid_request` for a token that is none.
    pub async fn stores(
        &self,
        project: ProjectId,
        after: Option<&str>,
        most: usize,
    ) -> Result<Listing<FileSearchStore>, Error> {
        check_token(after)?;
        let found = self.corpus(project).await?.collections(after, most + 1).await;
        let mut found = found.map_err(|error| corpus_error(error, "fileSearchStores"))?;
        let more = found.len() > most;
        found.truncate(most);
        let next = found.last().filter(|_| more).map(|last| last.name.clone());
        let items = found.iter().map(shown_store).collect::<Result<_, _>>()?;
        Ok(Listing { items, next })
    }

    /// Removes a store and the bytes of its documents. Without `force` only an empty one.
    ///
    /// # Errors
    /// `not_found`, `failed_precondition`.
    pub async fn delete_store(&self, project: ProjectId, id: &str, force: bool) -> Result<(), Error> {
        let name = format!("{STORES}{id}");
        self.corpus_with(project, id).await?.delete_collection(id, force).await.map_err(|error| match error {
            CorpusError::Full(why) => {
                Error::precondition(format!("`{name}`: {why}; expected `force=true` to delete them too"))
            }
            other => corpus_error(other, &name),
        })
    }

    /// # Errors
    /// `not_found`.
    pub async fn document(&self, project: ProjectId, store: &str, id: &str) -> Result<Document, Error> {
        let found = self.corpus_with_document(project, store, id).await?.document(store, id).await;
        shown_document(store, &found.map_err(|error| corpus_error(error, &document_name(store, id)))?)
    }

    /// The documents of a store after one, by their names.
    ///
    /// # Errors
    /// `not_found` for the store, `invalid_request` for a token that is none.
    pub async fn documents(
        &self,
        project: ProjectId,
        store: &str,
        after: Option<&str>,
        most: usize,
    ) -> Result<Listing<Document>, Error> {
        check_token(after)?;
        let found = self.corpus_with(project, store).await?.documents(store, after, most).await;
        let found = found.map_err(|error| corpus_error(error, &format!("{STORES}{store}")))?;
        let items = found.documents.iter().map(|document| shown_document(store, document));
        Ok(Listing { items: items.collect::<Result<_, _>>()?, next: found.next })
    }

    /// Removes a document and its bytes. Every document has chunks, so it takes `force`.
    ///
    /// # Errors
    /// `not_found`, `failed_precondition`.
    pub async fn delete_document(&self, project: ProjectId, store: &str, id: &str, force: bool) -> Result<(), Error> {
        let name = document_name(store, id);
        let corpus = self.corpus_with_document(project, store, id).await?;
        if !force {
            corpus.document(store, id).await.map_err(|error| corpus_error(error, &name))?;
            return Err(Error::precondition(format!(
                "`{name}`: it has chunks; expected `force=true` to delete them too"
            )));
        }
        corpus.delete(store, id).await.map_err(|error| corpus_error(error, &name))
    }

    /// The operation that has made a document. It is known as long as the document is.
    ///
    /// # Errors
    /// `not_found`.
    pub async fn operation(
        &self,
        project: ProjectId,
        store: &str,
        kind: OperationKind,
        id: &str,
    ) -> Result<Operation, Error> {
        let operation = operation(store, kind, id);
        let found = self.corpus_with_document(project, store, id).await?.document(store, id).await;
        found.map_err(|error| corpus_error(error, &operation.name))?;
        Ok(operation)
    }

    /// Reads a document and keeps it; when this returns it can be found. One of the same id is
    /// replaced, so that an upload that is ended twice has made one document.
    pub(crate) async fn add_document(
        &self,
        project: ProjectId,
        store: &str,
        kind: OperationKind,
        incoming: Incoming,
    ) -> Result<Operation, Error> {
        let corpus = self.corpus_with_document(project, store, &incoming.id).await?;
        corpus.collection(store).await.map_err(|error| corpus_error(error, &format!("{STORES}{store}")))?;
        let created = wire_time(self.inner.ambient.now());
        let reading = tokio::task::spawn_blocking(move || new_document(incoming, created));
        let new = reading.await.map_err(|error| unavailable(&error))??;
        let limits = &self.inner.limits;
        let most = Size { documents: limits.documents, bytes: limits.store_bytes };
        let kept = corpus.put_within(store, new, most).await;
        let kept = kept.map_err(|error| corpus_error(error, &format!("{STORES}{store}")))?;
        Ok(operation(store, kind, &kept.name))
    }
}

/// Neither the folders' own collection nor what is of no name of ours is in anybody's reach.
impl Files {
    async fn corpus_with(&self, project: ProjectId, store: &str) -> Result<Corpus, Error> {
        if !is_id(store) {
            return Err(absent(store));
        }
        self.corpus(project).await
    }

    async fn corpus_with_document(&self, project: ProjectId, store: &str, id: &str) -> Result<Corpus, Error> {
        if !is_id(id) {
            return Err(absent(id));
        }
        self.corpus_with(project, store).await
    }
}

fn absent(id: &str) -> Error {
    Error::not_found(format!("`{}` is no name that is given here", id.chars().take(64).collect::<String>()))
}

fn check_token(token: Option<&str>) -> Result<(), Error> {
    match token {
        Some(token) if !is_id(token) => Err(Error::invalid("pageToken", "expected a `nextPageToken` of this list")),
        Some(_) | None => Ok(()),
    }
}

fn operation(store: &str, kind: OperationKind, document: &str) -> Operation {
    let operations = match kind {
        OperationKind::Upload => "upload/operations",
        OperationKind::Import => "operations",
    };
    Operation {
        name: format!("{STORES}{store}/{operations}/{document}"),
        done: true,
        response: DocumentAdded { parent: format!("{STORES}{store}"), document_name: document_name(store, document) },
    }
}

fn new_document(incoming: Incoming, created: String) -> Result<NewDocument, Error> {
    let Incoming { id, display_name, kind, config, bytes } = incoming;
    let text = document::read(&bytes, &kind)?;
    let metadata = config.custom_metadata.iter().map(|entry| {
        let value = match &entry.value {
            CustomValue::StringValue(text) => MetadataValue::Text(text.clone()),
            CustomValue::NumericValue(number) => MetadataValue::Number(*number),
            CustomValue::StringListValue { values } => MetadataValue::Texts(values.clone()),
        };
        (entry.key.clone(), value)
    });
    let metadata = metadata.collect();
    let characters = |tokens: u32| (tokens as usize).saturating_mul(CHARACTERS_PER_TOKEN);
    let about = AboutDocument {
        display_name: display_name.clone(),
        mime_type: kind.mime,
        created,
        custom_metadata: config.custom_metadata,
    };
    Ok(NewDocument {
        name: id,
        title: display_name,
        metadata,
        text,
        bytes: bytes.len() as u64,
        sha256: Sha256::digest(&bytes).into(),
        about: to_json(&about)?,
        chunking: config.chunking.map_or_else(Chunking::default, |sizes| {
            Chunking::of(characters(sizes.max_tokens_per_chunk), characters(sizes.max_overlap_tokens))
        }),
        ..NewDocument::default()
    })
}

fn shown_store(collection: &Collection) -> Result<FileSearchStore, Error> {
    let about: AboutStore = from_json(&collection.about)?;
    let created = about.created;
    Ok(FileSearchStore {
        name: format!("{STORES}{}", collection.name),
        display_name: about.display_name,
        create_time: created.clone(),
        // Nothing of a store itself can be changed.
        update_time: created,
        active_documents_count: collection.size.documents.to_string(),
        pending_documents_count: "0".to_owned(),
        failed_documents_count: "0".to_owned(),
        size_bytes: collection.size.bytes.to_string(),
    })
}

fn shown_document(store: &str, document: &antiphon_search::Document) -> Result<Document, Error> {
    let about: AboutDocument = from_json(&document.about)?;
    let created = about.created;
    Ok(Document {
        name: document_name(store, &document.name),
        display_name: about.display_name,
        state: "STATE_ACTIVE",
        size_bytes: document.bytes.to_string(),
        mime_type: about.mime_type,
        create_time: created.clone(),
        update_time: created,
        custom_metadata: about.custom_metadata,
    })
}

fn to_json(value: &impl Serialize) -> Result<String, Error> {
    serde_json::to_string(value).map_err(|error| unavailable(&error))
}

pub(crate) fn from_json<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T, Error> {
    // The error's own words could hold what was kept.
    serde_json::from_str(text).map_err(|error| {
        unavailable(&format!("what is kept of a store is not of its kind at column {}", error.column()))
    })
}
