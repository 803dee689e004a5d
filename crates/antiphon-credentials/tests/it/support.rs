//! A folder with credentials, and the few words that tests need.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use antiphon_credentials::{Credentials, CredentialsOptions};
use antiphon_engine::{Ambient, ProjectId};
use antiphon_testkit::FixedAmbient;
use antiphon_wire::{CreateCredential, Credential, CredentialId, Error};
use serde_json::{Value, json};
use tempfile::TempDir;

pub(crate) const PROJECT: ProjectId = ProjectId(1);
pub(crate) const OTHER: ProjectId = ProjectId(2);

pub(crate) struct Site {
    pub(crate) folder: TempDir,
    pub(crate) clock: Arc<FixedAmbient>,
    pub(crate) credentials: Credentials,
}

impl Site {
    pub(crate) async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock = Arc::new(FixedAmbient::default());
        let credentials = open(folder.path(), &clock).await;
        Self { folder, clock, credentials }
    }

    pub(crate) async fn restart(&mut self) {
        self.credentials = open(self.folder.path(), &self.clock).await;
    }

    pub(crate) fn key(&self) -> PathBuf {
        self.folder.path().join("credentials/key")
    }

    pub(crate) async fn create(&self, body: Value) -> Result<Credential, Error> {
        self.credentials.create(PROJECT, CreateCredential::read(body).unwrap()).await
    }

    pub(crate) async fn token(&self, name: &str) -> Option<String> {
        let config = self.credentials.secret(PROJECT, &id(name)).await.unwrap()?;
        let antiphon_wire::CredentialConfig::BearerToken(token) = config else { panic!("expected a token") };
        Some(token.token.expose().to_owned())
    }
}

async fn open(folder: &Path, clock: &Arc<FixedAmbient>) -> Credentials {
    let ambient = Arc::clone(clock) as Arc<dyn Ambient>;
    Credentials::open(CredentialsOptions { folder: folder.join("credentials"), most: 5, ambient }).await.unwrap()
}

pub(crate) fn id(name: &str) -> CredentialId {
    CredentialId::parse(name).unwrap()
}

pub(crate) fn bearer(name: &str, token: &str) -> Value {
    json!({"type": "bearer_token", "id": name, "token": token})
}
