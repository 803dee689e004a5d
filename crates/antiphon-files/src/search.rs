//! The passages of a project's documents that answer.

use std::collections::BTreeMap;

use antiphon_engine::ProjectId;
use antiphon_search::{Filter, Find, FoundPart, MetadataValue};
use antiphon_wire::{Code, Error};

use crate::name::{STORES, document_name, id_in};
use crate::stores::{AboutDocument, from_json};
use crate::{Files, corpus_error};

/// What is looked for in stores.
#[derive(Clone, Debug)]
pub struct Search {
    /// `fileSearchStores/…`.
    pub stores: Vec<String>,
    pub filter: Option<Filter>,
    pub text: String,
    /// What the user asked; its words count as well. May be empty.
    pub question: String,
    /// Passages at most.
    pub count: usize,
}

/// A passage of a document that answers.
#[derive(Clone, Debug, PartialEq)]
pub struct Passage {
    /// `fileSearchStores/…`.
    pub store: String,
    /// `fileSearchStores/…/documents/…`.
    pub document: String,
    pub display_name: String,
    pub text: String,
    /// In documents that have pages.
    pub page: Option<u32>,
    pub metadata: BTreeMap<String, MetadataValue>,
}

impl Files {
    /// Whether all of these are stores of the project.
    ///
    /// # Errors
    /// The place of the first that is none, and why.
    pub async fn check_stores(&self, project: ProjectId, names: &[String]) -> Result<(), (usize, Error)> {
        for (at, name) in names.iter().enumerate() {
            let id = id_in(name, STORES).ok_or_else(|| (at, no_store(name)))?;
            self.store(project, id).await.map_err(|error| match error.code {
                Code::NotFound => (at, no_store(name)),
                _ => (at, error),
            })?;
        }
        Ok(())
    }

    /// The passages that answer best, best first.
    ///
    /// # Errors
    /// `not_found` when a store is not there any more.
    pub async fn search(&self, project: ProjectId, search: Search) -> Result<Vec<Passage>, Error> {
        let ids: Option<Vec<_>> = search.stores.iter().map(|name| Some(id_in(name, STORES)?.to_owned())).collect();
        let Some(collections) = ids else { return Err(Error::not_found("the file search store was not found")) };
        let Search { filter, text, question, count, .. } = search;
        let find = Find { collections, text, question, filter, count, budget: usize::MAX };
        let found = self.corpus(project).await?.find_parts(find).await;
        let found = found.map_err(|error| corpus_error(error, &search.stores.join("`, `")))?;
        found.into_iter().map(passage).collect()
    }
}

fn no_store(name: &str) -> Error {
    let name: String = name.chars().take(64).collect();
    Error::not_found(format!("expected the name of a file search store of this project, got `{name}`"))
}

fn passage(found: FoundPart) -> Result<Passage, Error> {
    let about: AboutDocument = from_json(&found.about)?;
    Ok(Passage {
        store: format!("{STORES}{}", found.collection),
        document: document_name(&found.collection, &found.name),
        display_name: about.display_name,
        text: found.text,
        page: found.page,
        metadata: found.metadata,
    })
}
