//! What is put into requests (E11), and where it never goes.

use std::sync::{Arc, Mutex};

use antiphon_egress::{HeaderName, HeaderValue, SecretRefused, Secrets, Swap};
use antiphon_engine::ProjectId;
use antiphon_wire::{CredentialId, Host};
use async_trait::async_trait;
use pretty_assertions::assert_eq;

use crate::world::{Wanted, World, allowed, with_header};

/// One credential, for hosts of `a.test`, until it is revoked.
#[derive(Default)]
struct OneSecret {
    is_revoked: Mutex<bool>,
}

#[async_trait]
impl Secrets for OneSecret {
    async fn header(
        &self,
        project: ProjectId,
        credential: &str,
        host: &Host,
    ) -> Result<(HeaderName, HeaderValue), SecretRefused> {
        match (project, credential, host.as_str()) {
            _ if *self.is_revoked.lock().unwrap() => Err(SecretRefused::Revoked),
            (ProjectId(7), "c", "a.test" | "x.a.test") => {
                Ok((HeaderName::from_static("authorization"), HeaderValue::from_static("Bearer secret")))
            }
            (ProjectId(7), "c", _) => Err(SecretRefused::NotForHost),
            _ => Err(SecretRefused::Absent),
        }
    }

    async fn swap(
        &self,
        _project: ProjectId,
        _credential: &CredentialId,
        _host: &Host,
    ) -> Result<Option<Swap>, SecretRefused> {
        Err(SecretRefused::Unsupported)
    }
}

fn values<'a>(request: &'a str, name: &str) -> Vec<&'a str> {
    let of_name = |line: &'a str| line.split_once(": ").filter(|(header, _)| header.eq_ignore_ascii_case(name));
    request.lines().filter_map(of_name).map(|(_, value)| value).collect()
}

#[tokio::test]
async fn e11_a_header_goes_to_its_host_in_the_place_of_the_programs_own() {
    let world = World::new(Wanted {
        allowed: vec![with_header("a.test", "x-api-key", "secret"), allowed("b.test")],
        ..Wanted::default()
    })
    .await;
    let request =
        "GET / HTTP/1.1\r\nHost: a.test\r\nX-API-Key: mine\r\nx-api-key: again\r\nConnection: x-api-key\r\n\r\n";
    assert!(world.ask_securely("a.test", request).await.starts_with("HTTP/1.1 200 "));
    assert_eq!(values(&world.requests()[0], "x-api-key"), ["secret"]);
    assert_eq!(values(&world.requests()[0], "host"), ["a.test"]);

    // Another host sees what the program says, and only that.
    let answer = world.ask("GET http://b.test/ HTTP/1.1\r\nHost: b.test\r\nX-API-Key: mine\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    assert_eq!(values(&world.requests()[1], "x-api-key"), ["mine"]);

    // Not in the clear, and not to where its host sends one.
    let answer = world.get("a.test").await;
    assert!(answer.starts_with("HTTP/1.1 403 ") && answer.contains("over https alone"), "{answer}");
    let answer = world.ask_securely("a.test", "GET /elsewhere HTTP/1.1\r\nHost: a.test\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 302 ") && !answer.contains("secret"), "{answer}");
    assert!(world.get("evil.test").await.starts_with("HTTP/1.1 403 "));
    assert_eq!(world.requests().len(), 3);
}

#[tokio::test]
async fn a_credential_is_asked_for_with_each_request() {
    let secrets = Arc::new(OneSecret::default());
    let mut a = allowed("*.test");
    a.credential = Some("c".to_owned());
    let world =
        World::new(Wanted { allowed: vec![a], secrets: Some(Arc::<OneSecret>::clone(&secrets)), ..Wanted::default() })
            .await;
    let ask = async |host: &str| {
        let request = format!("GET / HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer mine\r\n\r\n");
        world.ask_securely(host, &request).await
    };
    assert!(ask("a.test").await.starts_with("HTTP/1.1 200 "));
    assert_eq!(values(&world.requests()[0], "authorization"), ["Bearer secret"]);
    let answer = ask("b.test").await;
    assert!(answer.starts_with("HTTP/1.1 403 ") && answer.contains("it is not for this host"), "{answer}");
    *secrets.is_revoked.lock().unwrap() = true;
    let answer = ask("a.test").await;
    assert!(answer.starts_with("HTTP/1.1 403 ") && answer.contains("it was revoked"), "{answer}");
    assert!(!answer.contains("secret"));
    assert_eq!(world.requests().len(), 1);
}

#[tokio::test]
async fn without_credentials_none_is_used() {
    let mut a = allowed("a.test");
    a.credential = Some("c".to_owned());
    let world = World::new_with(a).await;
    let answer = world.ask_securely("a.test", "GET / HTTP/1.1\r\nHost: a.test\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 403 ") && answer.contains("the `credential`"), "{answer}");
    assert_eq!(world.requests(), Vec::<String>::new());
}

#[tokio::test]
async fn each_passage_has_an_authority_of_its_own_and_only_where_tls_ends() {
    let untouched = World::of(&["a.test"]).await;
    assert_eq!(untouched.passage.certificate(), None);
    let first = World::new_with(with_header("a.test", "x-key", "1")).await;
    let second = World::new_with(with_header("a.test", "x-key", "1")).await;
    let certificates = [&first, &second].map(|world| world.passage.certificate().unwrap().to_owned());
    assert!(certificates[0].starts_with("-----BEGIN CERTIFICATE-----"));
    assert!(!certificates[0].contains("PRIVATE"));
    assert_ne!(certificates[0], certificates[1]);
}
