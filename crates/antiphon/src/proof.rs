//! Credentials of projects in what their programs send: where what is kept and the way out of
//! environments meet.

use antiphon_egress::{HeaderName, HeaderValue, SecretRefused, Secrets, Swap};
use antiphon_engine::ProjectId;
use antiphon_wire::{BearerToken, CredentialConfig, CredentialId, Host};
use async_trait::async_trait;
use tracing::warn;

use crate::tokens::Tokens;

pub(crate) struct Proof(pub(crate) Tokens);

impl Proof {
    async fn kept(&self, project: ProjectId, id: &CredentialId) -> Result<CredentialConfig, SecretRefused> {
        let kept = self.0.credentials.secret(project, id).await.map_err(|error| {
            warn!(credential = %id, error = error.message, "A credential cannot be opened");
            SecretRefused::Unavailable
        })?;
        kept.ok_or(SecretRefused::Absent)
    }
}

#[async_trait]
impl Secrets for Proof {
    /// The allowlist itself says for which hosts a credential is.
    async fn header(
        &self,
        project: ProjectId,
        credential: &str,
        _host: &Host,
    ) -> Result<(HeaderName, HeaderValue), SecretRefused> {
        let id = CredentialId::parse(credential).ok_or(SecretRefused::Absent)?;
        match self.kept(project, &id).await? {
            CredentialConfig::BearerToken(token) => header(&token),
            CredentialConfig::OAuth2(_) => header(&BearerToken {
                token: self.0.of(project, &id).await?,
                header_name: "Authorization".to_owned(),
                prefix: "Bearer".to_owned(),
            }),
            CredentialConfig::EnvironmentVariable(_) => Err(SecretRefused::Unsupported),
        }
    }

    /// The credential itself says for which hosts it is.
    async fn swap(
        &self,
        project: ProjectId,
        credential: &CredentialId,
        host: &Host,
    ) -> Result<Option<Swap>, SecretRefused> {
        match self.kept(project, credential).await? {
            CredentialConfig::EnvironmentVariable(kept) => {
                Ok(kept.trusts(host).then(|| Swap { value: kept.value, locations: kept.injection_location }))
            }
            CredentialConfig::BearerToken(_) | CredentialConfig::OAuth2(_) => Err(SecretRefused::Unsupported),
        }
    }
}

fn header(token: &BearerToken) -> Result<(HeaderName, HeaderValue), SecretRefused> {
    let BearerToken { token, header_name, prefix } = token;
    let value = if prefix.is_empty() { token.expose().to_owned() } else { format!("{prefix} {}", token.expose()) };
    let name = HeaderName::from_bytes(header_name.as_bytes()).map_err(|_| SecretRefused::Unavailable)?;
    let mut value = HeaderValue::from_str(&value).map_err(|_| SecretRefused::Unavailable)?;
    value.set_sensitive(true);
    Ok((name, value))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use antiphon_credentials::{Credentials, CredentialsOptions};
    use antiphon_fetch::{FetchOptions, Fetcher, Lookup, SystemLookup};
    use antiphon_wire::CreateCredential;
    use pretty_assertions::assert_eq;
    use serde_json::{Value, json};

    use super::*;
    use crate::ambient::Machine;

    const PROJECT: ProjectId = ProjectId(1);

    #[tokio::test]
    async fn a_token_is_a_header_for_its_project_as_long_as_it_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        let (folder, most) = (folder.path().join("credentials"), CredentialsOptions::MOST);
        let ambient = Arc::new(Machine);
        let credentials = Credentials::open(CredentialsOptions { folder, most, ambient }).await.unwrap();
        let keep = async |body: Value| {
            credentials.create(PROJECT, CreateCredential::read(body).unwrap()).await.unwrap();
        };
        keep(json!({"type": "bearer_token", "id": "usual", "token": "t-1"})).await;
        keep(json!({"type": "bearer_token", "id": "plain", "token": "t-2", "header_name": "X-Key", "prefix": ""}))
            .await;
        keep(json!({"type": "environment_variable", "id": "other", "value": "v", "injection_location": "header",
            "trusted_domains": ["example.com", "*.Example.org"]}))
        .await;
        keep(json!({"type": "environment_variable", "id": "nowhere", "value": "v", "injection_location": "header"}))
            .await;
        let lookup: Arc<dyn Lookup> = Arc::new(SystemLookup);
        let fetcher = Fetcher::new(FetchOptions::default(), &lookup).unwrap();
        let proof = Proof(Tokens::new(fetcher, credentials.clone(), Arc::new(Machine)));
        let host = Host::parse("example.com").unwrap();
        let header = async |project, id: &str| {
            let header = proof.header(project, id, &host).await;
            header.map(|(name, value)| format!("{name}: {}", value.to_str().unwrap()))
        };
        assert_eq!(header(PROJECT, "usual").await, Ok("authorization: Bearer t-1".to_owned()));
        assert_eq!(header(PROJECT, "plain").await, Ok("x-key: t-2".to_owned()));
        assert_eq!(header(PROJECT, "other").await, Err(SecretRefused::Unsupported));
        assert_eq!(header(PROJECT, "absent").await, Err(SecretRefused::Absent));
        assert_eq!(header(ProjectId(2), "usual").await, Err(SecretRefused::Absent));
        let swap = async |project, id: &str, host: &str| {
            let (id, host) = (CredentialId::parse(id).unwrap(), Host::parse(host).unwrap());
            let swap = proof.swap(project, &id, &host).await;
            swap.map(|swap| swap.map(|swap| swap.value.expose().to_owned()))
        };
        for (host, value) in [
            ("example.com", Some("v")),
            ("EXAMPLE.com.", Some("v")),
            ("a.b.example.org", Some("v")),
            ("a.example.com", None),
            ("example.org", None),
            ("example.com.evil.test", None),
        ] {
            assert_eq!(swap(PROJECT, "other", host).await, Ok(value.map(str::to_owned)), "{host}");
        }
        assert_eq!(swap(PROJECT, "nowhere", "example.com").await, Ok(None));
        assert_eq!(swap(PROJECT, "usual", "example.com").await, Err(SecretRefused::Unsupported));
        assert_eq!(swap(ProjectId(2), "other", "example.com").await, Err(SecretRefused::Absent));
        credentials.delete(PROJECT, &CredentialId::parse("usual").unwrap()).await.unwrap();
        assert_eq!(header(PROJECT, "usual").await, Err(SecretRefused::Absent));
        credentials.delete(PROJECT, &CredentialId::parse("other").unwrap()).await.unwrap();
        assert_eq!(swap(PROJECT, "other", "example.com").await, Err(SecretRefused::Absent));
    }
}
