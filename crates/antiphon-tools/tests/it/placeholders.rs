//! A program in the sandbox that proves itself with what it does not have.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use antiphon_egress::{HeaderName, HeaderValue, SecretRefused, Secrets, Swap};
use antiphon_engine::ProjectId;
use antiphon_environments::EnvironmentLimits;
use antiphon_sandbox::Limits;
use antiphon_wire::{Code, CreateCredential, CreateEnvironment, CredentialId, Host, InjectionLocation, Secret, Status};
use async_trait::async_trait;
use serde_json::json;

use crate::git::{GitServer, SECRET, is_held};
use crate::site::{PROJECT, Site, order};

/// The credential `birds`, which trusts `git.test`.
#[derive(Default)]
struct Birds {
    is_deleted: AtomicBool,
}

fn value() -> &'static str {
    SECRET.strip_prefix("Bearer ").unwrap()
}

#[async_trait]
impl Secrets for Birds {
    async fn header(
        &self,
        _project: ProjectId,
        _credential: &str,
        _host: &Host,
    ) -> Result<(HeaderName, HeaderValue), SecretRefused> {
        Err(SecretRefused::Unsupported)
    }

    async fn swap(
        &self,
        project: ProjectId,
        credential: &CredentialId,
        host: &Host,
    ) -> Result<Option<Swap>, SecretRefused> {
        if self.is_deleted.load(Ordering::SeqCst) || (project, credential.as_str()) != (PROJECT, "birds") {
            return Err(SecretRefused::Absent);
        }
        let locations = BTreeSet::from([InjectionLocation::Header]);
        let swap = Swap { value: Secret::new(value().to_owned()), locations };
        Ok((host.as_str() == "git.test").then_some(swap))
    }
}

const ASKS: &str = r#"
import os, urllib.request
key = os.environ["KEY"]
open("noted.txt", "w").write(key)
print("KEY", key)
address = "https://git.test/private/info/refs?service=git-upload-pack"
request = urllib.request.Request(address, headers={"Authorization": "Bearer " + key})
print("STATUS", urllib.request.urlopen(request).status)
"#;

#[tokio::test(flavor = "multi_thread")]
async fn a_program_proves_itself_with_what_it_does_not_have() {
    let server = GitServer::start().await;
    server.repository("private").write("a.txt", "private words").commit("first");
    let birds = Arc::new(Birds::default());
    let egress = server.egress(Some(Arc::<Birds>::clone(&birds)));
    let site = Site::connected(Limits::default(), EnvironmentLimits::default(), Some(egress)).await;
    let kept = json!({"type": "environment_variable", "id": "birds", "value": value(), "injection_location": "header",
        "trusted_domains": ["git.test"]});
    site.credentials.create(PROJECT, CreateCredential::read(kept).unwrap()).await.unwrap();
    let request = json!({"network": {"allowlist": [{"domain": "git.test"}]}, "env": {"KEY": {"credential": "birds"}}});
    let made = site.environments.create(PROJECT, CreateEnvironment::read(request).unwrap()).await;
    let id = match made {
        Ok(made) => made.id,
        // In tier 2 there are no networks.
        Err(error) => return assert_eq!(error.code, Code::FailedPrecondition, "{error}"),
    };
    site.define(json!({"tools": [{"type": "code_execution"}], "base_environment": id.as_str()})).await;
    let ask = async |fields: serde_json::Value| {
        let mut body = json!({"input": order("code_execution", json!({"language": "python", "code": ASKS}))});
        body.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        let run = site.run(body).await.unwrap();
        assert_eq!(run.status, Status::Completed, "{:?}", run.error);
        let told = serde_json::to_string(&run.steps).unwrap();
        assert!(told.contains("KEY antiphon-placeholder-") && !told.contains(value()), "{told}");
        (told, run.environment_id.unwrap())
    };
    // In the environment itself, and in a copy, whose placeholder is another.
    let mut noted = Vec::new();
    for fields in [json!({"environment": id.as_str()}), json!({})] {
        server.seen.lock().unwrap().clear();
        let (told, place) = ask(fields).await;
        assert!(told.contains("STATUS 200"), "{told}");
        assert_eq!(server.requests(), ["GET /private/info/refs +secret"]);
        assert!(!is_held(&site.workspace(&place), value()));
        noted.push(std::fs::read_to_string(site.workspace(&place).join("noted.txt")).unwrap());
    }
    assert_ne!(noted[0], noted[1]);
    assert!(!is_held(&site.folder.path().join("environments"), value()));

    birds.is_deleted.store(true, Ordering::SeqCst);
    server.seen.lock().unwrap().clear();
    let (told, _) = ask(json!({})).await;
    assert!(told.contains("[the network refused: `git.test` is not allowed: the environment's `env`"), "{told}");
    assert_eq!(server.requests(), Vec::<String>::new());
}
