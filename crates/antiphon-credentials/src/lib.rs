//! Credentials: the secrets that projects keep for other services (spec 06, "Credentials").
//!
//! * `rows`: what is kept of each, in one database.
//! * `vault`: the key, and what it seals; the database alone tells nobody a secret.
//!
//! Secrets go in and are never shown. Whoever proves something with one asks
//! [`Credentials::secret`].

mod failure;
mod rows;
mod vault;

use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::PathBuf;
use std::sync::Arc;

use antiphon_engine::{Ambient, ProjectId};
use antiphon_wire::{
    CreateCredential, Credential, CredentialConfig, CredentialId, CredentialList, CredentialStatus, Error,
};
use serde_json::Value;

use crate::failure::{Failure, Outcome, blocking};
use crate::rows::{Change, Row, Rows};
use crate::vault::{Key, Vault};

pub struct CredentialsOptions {
    /// Where they are kept, and their key; made when it is not there.
    pub folder: PathBuf,
    /// How many one project may have.
    pub most: usize,
    pub ambient: Arc<dyn Ambient>,
}

impl CredentialsOptions {
    pub const MOST: usize = 1000;
}

/// A handle to all credentials; its clones are handles to the same.
#[derive(Clone)]
pub struct Credentials {
    inner: Arc<Inner>,
}

struct Inner {
    rows: Rows,
    vault: Vault,
    most: usize,
    ambient: Arc<dyn Ambient>,
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Credentials").finish_non_exhaustive()
    }
}

impl Credentials {
    /// The key is made with the first credential, and looked for when one is sealed or opened.
    ///
    /// # Errors
    /// When the folder cannot be made or read.
    pub async fn open(options: CredentialsOptions) -> io::Result<Self> {
        let CredentialsOptions { folder, most, ambient } = options;
        let opening = blocking(move || {
            DirBuilder::new().recursive(true).mode(0o700).create(&folder)?;
            let rows = Rows::open(&folder.join("credentials.sqlite"))?;
            let vault = Vault::new(folder.join("key"));
            Ok(Self { inner: Arc::new(Inner { rows, vault, most, ambient }) })
        });
        opening.await.map_err(|failure| match failure {
            Failure::Broken(cause) | Failure::Locked(cause) => io::Error::other(cause),
            Failure::Refused(error) => io::Error::other(error),
        })
    }

    /// Keeps a credential. It is durable when this returns.
    ///
    /// # Errors
    /// `failed_precondition` when the project has one of this id or as many as it may, and when
    /// the server has lost its key.
    pub async fn create(&self, project: ProjectId, request: CreateCredential) -> Result<Credential, Error> {
        let created = self.with(move |inner| {
            let CreateCredential { id, config } = request;
            let (kind, now) = (config.kind(), inner.ambient.now());
            inner.rows.change(|change| {
                change.check_room(project, &id, inner.most)?;
                let sealed = inner.key(change)?.seal_config(project, &id, &config, &*inner.ambient)?;
                let row = Row { id, kind, status: CredentialStatus::Active, created: now, updated: now, sealed };
                change.put(project, &row)?;
                Ok(row.shown())
            })
        });
        Ok(created.await?)
    }

    /// # Errors
    /// `not_found`, as for all credentials of other projects.
    pub async fn get(&self, project: ProjectId, id: &CredentialId) -> Result<Credential, Error> {
        let id = id.clone();
        Ok(self.with(move |inner| Ok(inner.rows.find(project, &id)?.shown())).await?)
    }

    /// The credentials of a project, the latest first; `after`: those behind a page.
    ///
    /// # Errors
    /// `invalid_request` for a token that is none.
    pub async fn list(&self, project: ProjectId, after: Option<&str>, most: usize) -> Result<CredentialList, Error> {
        let before = after.map(read_token).transpose()?;
        let listed = self.with(move |inner| {
            let before = before.as_ref().map(|(created, id)| (*created, id.as_str()));
            let mut rows = inner.rows.list(project, before, most + 1)?;
            let more = rows.len() > most;
            rows.truncate(most);
            let last = rows.last().filter(|_| more);
            let next_page_token = last.map(|row| format!("{}.{}", row.created.as_millisecond(), row.id));
            Ok(CredentialList { credentials: rows.iter().map(Row::shown).collect(), next_page_token })
        });
        Ok(listed.await?)
    }

    /// Changes what the body names, as [`CredentialConfig::updated`] reads it. A credential that
    /// was revoked is active again.
    ///
    /// # Errors
    /// `not_found`; what is wrong with the body; `failed_precondition` when the server has lost
    /// its key.
    pub async fn update(
        &self,
        project: ProjectId,
        id: &CredentialId,
        body: Value,
        mask: Option<&str>,
    ) -> Result<Credential, Error> {
        let (id, mask) = (id.clone(), mask.map(str::to_owned));
        let updated = self.with(move |inner| {
            let updated = inner.rows.change(|change| {
                let mut row = change.find(project, &id)?;
                let key = inner.key(change)?;
                let config = key.open_config(project, &id, &row.sealed)?.updated(body, mask.as_deref())?;
                row.sealed = key.seal_config(project, &id, &config, &*inner.ambient)?;
                row.status = CredentialStatus::Active;
                row.updated = inner.ambient.now();
                change.put(project, &row)?;
                Ok(row.shown())
            })?;
            inner.rows.forget()?;
            Ok(updated)
        });
        Ok(updated.await?)
    }

    /// Notes that the service which it is for does not take it any more.
    ///
    /// # Errors
    /// `not_found`.
    pub async fn revoke(&self, project: ProjectId, id: &CredentialId) -> Result<(), Error> {
        let id = id.clone();
        let revoked = self.with(move |inner| {
            inner.rows.change(|change| {
                let mut row = change.find(project, &id)?;
                row.status = CredentialStatus::Revoked;
                row.updated = inner.ambient.now();
                change.put(project, &row)
            })
        });
        Ok(revoked.await?)
    }

    /// Removes a credential and its bytes.
    ///
    /// # Errors
    /// `not_found`.
    pub async fn delete(&self, project: ProjectId, id: &CredentialId) -> Result<(), Error> {
        let id = id.clone();
        let deleted = self.with(move |inner| {
            if !inner.rows.change(|change| change.delete(project, &id))? {
                return Err(Error::not_found(format!("`credentials/{id}` not found")).into());
            }
            inner.rows.forget()
        });
        Ok(deleted.await?)
    }

    /// What a credential holds, for whoever proves something with it. None when the project has
    /// no such credential, or it was revoked.
    ///
    /// # Errors
    /// `failed_precondition` when the server has lost its key.
    pub async fn secret(&self, project: ProjectId, id: &CredentialId) -> Result<Option<CredentialConfig>, Error> {
        let id = id.clone();
        let opened = self.with(move |inner| {
            let row = match inner.rows.find(project, &id) {
                Ok(row) if row.status == CredentialStatus::Active => row,
                Ok(_) | Err(Failure::Refused(_)) => return Ok(None),
                Err(failure) => return Err(failure),
            };
            let known = inner.rows.known_key()?.unwrap_or_default();
            inner.vault.key(&known)?.open_config(project, &id, &row.sealed).map(Some)
        });
        Ok(opened.await?)
    }

    async fn with<T: Send + 'static>(&self, work: impl FnOnce(&Inner) -> Outcome<T> + Send + 'static) -> Outcome<T> {
        let inner = Arc::clone(&self.inner);
        blocking(move || work(&inner)).await
    }
}

impl Inner {
    /// The key that everything is sealed with; while nothing is, the one that is there, or a new one.
    fn key(&self, change: &Change<'_>) -> Outcome<Key> {
        if let Some(known) = change.known_key()? {
            return self.vault.key(&known);
        }
        let (key, known) = self.vault.first_key(&*self.ambient)?;
        change.set_known_key(&known)?;
        Ok(key)
    }
}

fn read_token(token: &str) -> Result<(i64, CredentialId), Error> {
    let parts = token.split_once('.').and_then(|(created, id)| Some((created.parse().ok()?, CredentialId::parse(id)?)));
    parts.ok_or_else(|| Error::invalid("page_token", "expected a `next_page_token` of this list"))
}
