//! Variables of credentials: what programs find, and for whom.

use std::collections::BTreeMap;

use antiphon_environments::NetworkPolicy;
use antiphon_wire::{Code, CreateCredential, CreateEnvironment, CredentialId, EnvironmentChoice, EnvironmentId, Error};
use pretty_assertions::assert_eq;
use serde_json::{Value, json};

use crate::support::{OTHER, PROJECT, Site};

const PLANTED: &str = "planted-value-0123456789";

/// One whose project has credentials of some types, and another project has one.
async fn site() -> Site {
    let mut site = Site::new().await;
    let credentials = site.credentials().await;
    let variable = |id: &str, domains: Value| {
        json!({"type": "environment_variable", "id": id, "value": PLANTED, "injection_location": "header",
            "trusted_domains": domains})
    };
    for (project, body) in [
        (PROJECT, variable("weather", json!(["api.test"]))),
        (PROJECT, variable("nowhere", json!(null))),
        (PROJECT, variable("nobody", json!([]))),
        (PROJECT, json!({"type": "bearer_token", "id": "github", "token": PLANTED})),
        (OTHER, variable("theirs", json!(["api.test"]))),
    ] {
        credentials.create(project, CreateCredential::read(body).unwrap()).await.unwrap();
    }
    site.restart_under(NetworkPolicy { credentials: Some(credentials), ..NetworkPolicy::default() }).await;
    site
}

async fn create(site: &Site, env: Value) -> Result<EnvironmentId, Error> {
    let request = CreateEnvironment::read(json!({ "env": env })).unwrap();
    site.environments.create(PROJECT, request).await.map(|made| made.id)
}

async fn seen(site: &Site, id: &EnvironmentId) -> (BTreeMap<String, String>, BTreeMap<String, CredentialId>) {
    let lease = site.environments.lease(PROJECT, id).await.unwrap();
    (lease.env(), lease.placeholders())
}

fn weather() -> CredentialId {
    CredentialId::parse("weather").unwrap()
}

#[tokio::test]
async fn programs_find_a_placeholder_that_is_their_environments_own() {
    let site = site().await;
    let env = json!({"LEVEL": "3", "KEY": {"credential": "weather"}, "AGAIN": {"credential": "credentials/weather"}});
    let id = create(&site, env.clone()).await.unwrap();
    let (variables, placeholders) = seen(&site, &id).await;
    let placeholder = variables["KEY"].clone();
    let random = placeholder.strip_prefix("antiphon-placeholder-").unwrap();
    assert!(random.len() == 32 && random.bytes().all(|byte| byte.is_ascii_hexdigit()), "{placeholder}");
    assert_eq!((variables["LEVEL"].as_str(), &variables["AGAIN"]), ("3", &placeholder));
    assert_eq!(placeholders, BTreeMap::from([(placeholder.clone(), weather())]));

    // Every environment has another: a new one, and a copy.
    let other = create(&site, env).await.unwrap();
    let copy = site.fork(&id).await;
    let (copied, known) = seen(&site, &copy).await;
    assert_eq!((copied["LEVEL"].as_str(), copied["AGAIN"] == copied["KEY"]), ("3", true));
    assert_eq!(known, BTreeMap::from([(copied["KEY"].clone(), weather())]));
    let all = [placeholder.clone(), copied["KEY"].clone(), seen(&site, &other).await.0["KEY"].clone()];
    assert!(all[0] != all[1] && all[1] != all[2] && all[0] != all[2], "{all:?}");

    // What a program has noted down stays good; a value in its place ends it.
    let change = async |env: Value| {
        let choice = json!({"type": "remote", "environment_id": id, "env": env});
        let EnvironmentChoice::Described(spec) = EnvironmentChoice::read(choice, "environment").unwrap() else {
            panic!("expected a description")
        };
        site.environments.update(PROJECT, &id, &spec).await
    };
    change(json!({"THIRD": {"credential": "weather"}})).await.unwrap();
    assert_eq!(seen(&site, &id).await.0["THIRD"], placeholder);
    let message = change(json!({"THIRD": {"credential": "absent"}})).await.unwrap_err().message;
    assert!(message.starts_with("`environment.env.THIRD.credential`: "), "{message}");
    change(json!({"KEY": "1", "AGAIN": "2", "THIRD": "3"})).await.unwrap();
    assert_eq!(seen(&site, &id).await.1, BTreeMap::new());

    assert_eq!(site.holding(PLANTED), 0);
    let shown = serde_json::to_string(&site.environments.get(PROJECT, &copy).await.unwrap()).unwrap();
    assert!(!shown.contains("placeholder"), "{shown}");
}

#[tokio::test]
async fn a_credential_that_becomes_no_variable_is_refused_by_name() {
    let site = site().await;
    let before = site.create(json!({})).await;
    for (id, why) in [
        ("absent", "`credentials/absent` not found"),
        ("theirs", "`credentials/theirs` not found"),
        ("github", "expected a credential of type `environment_variable`, got the `bearer_token` `github`"),
        ("nowhere", "`credentials/nowhere` has no `trusted_domains`"),
        ("nobody", "`credentials/nobody` has no `trusted_domains`"),
    ] {
        let env = json!({"PLAIN": "1", "KEY": {"credential": id}});
        let new = json!({"type": "remote", "env": env});
        let choice = EnvironmentChoice::read(new, "environment").unwrap();
        for (error, path) in [
            (create(&site, env).await.unwrap_err(), "env.KEY.credential"),
            (site.environments.choose(PROJECT, &choice).await.unwrap_err(), "environment.env.KEY.credential"),
        ] {
            assert_eq!(error.code, Code::InvalidRequest);
            assert!(error.message.starts_with(&format!("`{path}`: {why}")), "{error}");
            assert!(!error.message.contains(PLANTED));
        }
    }
    let listed = site.environments.list(PROJECT, None, 9).await.unwrap().items;
    assert_eq!(listed.into_iter().map(|one| one.id).collect::<Vec<_>>(), [before]);

    let without = Site::new().await;
    let error = create(&without, json!({"KEY": {"credential": "weather"}})).await.unwrap_err();
    assert_eq!(error.message, "`env.KEY.credential`: this server has no credentials");
}

#[tokio::test]
async fn an_environment_whose_credential_was_deleted_is_there_all_the_same() {
    let site = site().await;
    let id = create(&site, json!({"KEY": {"credential": "weather"}})).await.unwrap();
    let before = seen(&site, &id).await;
    site.credentials().await.delete(PROJECT, &weather()).await.unwrap();
    // What becomes of its requests is told on their way out.
    assert_eq!(seen(&site, &id).await, before);
    assert_eq!(seen(&site, &site.fork(&id).await).await.1.into_values().collect::<Vec<_>>(), [weather()]);
}
