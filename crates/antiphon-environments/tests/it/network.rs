//! What environments may reach, under one policy and another.

use antiphon_environments::NetworkPolicy;
use antiphon_wire::{Code, CreateEnvironment, EnvironmentChoice, EnvironmentId, Error, Network};
use pretty_assertions::assert_eq;
use serde_json::{Value, json};

use crate::support::{PROJECT, Site};

fn list(domain: &str) -> Value {
    json!({"allowlist": [{"domain": domain}]})
}

async fn shown(site: &Site, id: &EnvironmentId) -> Value {
    serde_json::to_value(site.environments.get(PROJECT, id).await.unwrap().network).unwrap()
}

async fn create(site: &Site, body: Value) -> Result<EnvironmentId, Error> {
    site.environments.create(PROJECT, CreateEnvironment::read(body).unwrap()).await.map(|made| made.id)
}

async fn choose(site: &Site, choice: Value) -> Result<EnvironmentId, Error> {
    let choice = EnvironmentChoice::read(choice, "environment").unwrap();
    site.environments.choose(PROJECT, &choice).await
}

/// As a request does before its run.
async fn change(site: &Site, id: &EnvironmentId, network: Value) -> Result<(), Error> {
    let choice = json!({"type": "remote", "environment_id": id, "network": network});
    choose(site, choice.clone()).await?;
    let EnvironmentChoice::Described(spec) = EnvironmentChoice::read(choice, "environment").unwrap() else {
        unreachable!("it is an object")
    };
    site.environments.update(PROJECT, id, &spec).await
}

#[tokio::test]
async fn a_network_is_kept_shown_and_replaced() {
    let mut site = Site::new().await;
    let id = create(&site, json!({"network": list("A.test")})).await.unwrap();
    assert_eq!(shown(&site, &id).await, list("a.test"));
    let copy = site.fork(&id).await;
    assert_eq!(shown(&site, &copy).await, list("a.test"));
    let other = create(&site, json!({"from_environment": id, "network": list("b.test")})).await.unwrap();
    assert_eq!(shown(&site, &other).await, list("b.test"));

    // Nothing said is nothing changed.
    assert_eq!(choose(&site, json!(id)).await.unwrap(), id);
    change(&site, &id, Value::Null).await.unwrap();
    assert_eq!(shown(&site, &id).await, list("a.test"));
    let headers = json!({"allowlist": [{"domain": "c.test", "transform": {"x-key": "it is secret"}}]});
    change(&site, &id, headers.clone()).await.unwrap();
    site.restart().await;
    let lease = site.environments.lease(PROJECT, &id).await.unwrap();
    assert_eq!(lease.network(), &Network::read(headers, "network").unwrap());
    drop(lease);
    let hidden = json!({"allowlist": [{"domain": "c.test", "transform": {"x-key": "[hidden]"}}]});
    assert_eq!(shown(&site, &id).await, hidden);
    change(&site, &id, json!("disabled")).await.unwrap();
    assert_eq!(shown(&site, &id).await, json!("disabled"));
}

#[tokio::test]
async fn any_host_is_the_operators_to_allow() {
    let mut site = Site::new().await;
    for domain in ["*", "*.test"] {
        let error = create(&site, json!({"network": list(domain)})).await.unwrap_err();
        assert_eq!(error.code, Code::InvalidRequest);
        assert!(error.message.starts_with("`network.allowlist[0].domain`: "), "{}", error.message);
        let error = choose(&site, json!({"type": "remote", "network": list(domain)})).await.unwrap_err();
        assert!(error.message.starts_with("`environment.network.allowlist[0].domain`: "), "{}", error.message);
    }
    let mut two = list("a.test");
    two["allowlist"].as_array_mut().unwrap().push(json!({"domain": "*"}));
    let error = create(&site, json!({ "network": two })).await.unwrap_err();
    assert!(error.message.starts_with("`network.allowlist[1].domain`: "), "{}", error.message);
    assert_eq!(site.environments.list(PROJECT, None, 10).await.unwrap().items, []);

    site.restart_under(NetworkPolicy { any_host: true, ..NetworkPolicy::default() }).await;
    let id = create(&site, json!({"network": list("*")})).await.unwrap();
    assert_eq!(shown(&site, &id).await, list("*"));
    // What was allowed once is not for ever.
    site.restart().await;
    assert_eq!(choose(&site, json!(id)).await.unwrap_err().code, Code::InvalidRequest);
    assert_eq!(create(&site, json!({"from_environment": id})).await.unwrap_err().code, Code::InvalidRequest);
    change(&site, &id, list("a.test")).await.unwrap();
    assert_eq!(choose(&site, json!(id)).await.unwrap(), id);
}

#[tokio::test]
async fn the_default_is_the_operators() {
    let mut site = Site::new().await;
    let closed = site.create(json!({})).await;
    let public = Network::read(list("*"), "network").unwrap();
    site.restart_under(NetworkPolicy { default: public, ..NetworkPolicy::default() }).await;
    let open = [site.create(json!({})).await, choose(&site, json!("remote")).await.unwrap()];
    for id in open.iter().chain([&site.create(json!({"network": list("*")})).await]) {
        assert_eq!(shown(&site, id).await, list("*"));
    }
    assert_eq!(shown(&site, &site.create(json!({"network": "disabled"})).await).await, json!("disabled"));
    assert_eq!(shown(&site, &closed).await, json!("disabled"));
    // Of itself it opens nothing else.
    assert_eq!(create(&site, json!({"network": list("*.test")})).await.unwrap_err().code, Code::InvalidRequest);
}

#[tokio::test]
async fn credentials_are_refused_where_there_are_none() {
    let mut site = Site::new().await;
    let body = json!({"network": {"allowlist": [{"domain": "a.test", "credential": "c"}]}});
    let error = create(&site, body.clone()).await.unwrap_err();
    assert!(error.message.starts_with("`network.allowlist[0].credential`: "), "{}", error.message);
    let credentials = Some(site.credentials().await);
    site.restart_under(NetworkPolicy { credentials, ..NetworkPolicy::default() }).await;
    let id = create(&site, body.clone()).await.unwrap();
    assert_eq!(shown(&site, &id).await, body["network"]);
}

#[tokio::test]
async fn where_there_are_no_networks_none_is_given() {
    let mut site = Site::new().await;
    let before = site.create(json!({"network": list("a.test")})).await;
    site.restart_under(NetworkPolicy { unavailable: Some("the reason".to_owned()), ..NetworkPolicy::default() }).await;
    let error = create(&site, json!({"network": list("a.test")})).await.unwrap_err();
    let expected = "`network.allowlist`: programs reach no network on this server: the reason";
    assert_eq!((error.code, error.message.as_str()), (Code::FailedPrecondition, expected));
    let error = choose(&site, json!(before)).await.unwrap_err();
    assert_eq!(error.code, Code::FailedPrecondition);
    assert!(error.message.starts_with("`environment.network.allowlist`: "), "{}", error.message);
    change(&site, &before, json!("disabled")).await.unwrap();
    assert_eq!(choose(&site, json!(before)).await.unwrap(), before);
}

#[tokio::test]
async fn what_has_expired_keeps_no_secret_of_its_network() {
    let site = Site::new().await;
    let headers = json!({"allowlist": [{"domain": "c.test", "transform": {"x-key": "it is secret"}}]});
    let id = site.create(json!({ "network": headers })).await;
    site.clock.advance(jiff::SignedDuration::from_hours(8 * 24));
    site.environments.sweep().await;
    assert_eq!(shown(&site, &id).await, json!("disabled"));
}
