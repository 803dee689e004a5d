//! What programs have in the place of a credential's value: where it becomes the value, and where
//! it does not.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use antiphon_egress::{HeaderName, HeaderValue, SecretRefused, Secrets, Swap};
use antiphon_engine::ProjectId;
use antiphon_wire::{CredentialId, Host, InjectionLocation, Secret};
use async_trait::async_trait;
use pretty_assertions::assert_eq;

use crate::world::{Wanted, World, allowed, with_header};

const PLACEHOLDER: &str = "antiphon-placeholder-0123456789abcdef";
/// With what means something in every part of a request.
const VALUE: &str = "s3cret&\"x\" y";

/// One credential, which trusts `a.test`, until it is deleted.
struct OneVariable {
    locations: BTreeSet<InjectionLocation>,
    is_deleted: Mutex<bool>,
}

#[async_trait]
impl Secrets for OneVariable {
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
        if *self.is_deleted.lock().unwrap() || (project, credential.as_str()) != (ProjectId(7), "c") {
            return Err(SecretRefused::Absent);
        }
        let swap = || Swap { value: Secret::new(VALUE.to_owned()), locations: self.locations.clone() };
        Ok((host.as_str() == "a.test").then(swap))
    }
}

async fn world(locations: &[InjectionLocation]) -> (World, Arc<OneVariable>) {
    let locations = locations.iter().copied().collect();
    let secrets = Arc::new(OneVariable { locations, is_deleted: Mutex::default() });
    let wanted = Wanted {
        allowed: vec![allowed("a.test"), with_header("b.test", "x-key", "1"), allowed("x.a.test")],
        secrets: Some(Arc::<OneVariable>::clone(&secrets)),
        placeholders: [(PLACEHOLDER.to_owned(), CredentialId::parse("c").unwrap())].into(),
        ..Wanted::default()
    };
    (World::new(wanted).await, secrets)
}

/// A request with the placeholder everywhere.
fn everywhere(host: &str, kind: &str, body: &str) -> String {
    format!(
        "POST /{PLACEHOLDER}?key={PLACEHOLDER}&b=1 HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {PLACEHOLDER}\r\n\
         Content-Type: {kind}\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

#[tokio::test]
async fn a_placeholder_becomes_the_value_in_its_locations_and_nowhere_else() {
    use InjectionLocation::{Body, Header, Query};
    let json = format!("{{\"key\":\"{PLACEHOLDER}\"}}");
    let form = format!("key={PLACEHOLDER}&b=1");
    let encoded = "s3cret%26%22x%22%20y";
    for (locations, kind, body, query, header, sent) in [
        (&[Header][..], "text/plain", PLACEHOLDER, PLACEHOLDER, VALUE, PLACEHOLDER.to_owned()),
        (&[Query], "text/plain", PLACEHOLDER, encoded, PLACEHOLDER, PLACEHOLDER.to_owned()),
        (&[Body], "text/plain", PLACEHOLDER, PLACEHOLDER, PLACEHOLDER, VALUE.to_owned()),
        (&[Body], "application/json", &json, PLACEHOLDER, PLACEHOLDER, r#"{"key":"s3cret&\"x\" y"}"#.to_owned()),
        (
            &[Header, Query, Body],
            "application/x-www-form-urlencoded",
            &form,
            encoded,
            VALUE,
            format!("key={encoded}&b=1"),
        ),
    ] {
        let (world, _) = world(locations).await;
        let answer = world.ask_securely("a.test", &everywhere("a.test", kind, body)).await;
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
        let seen = &world.requests()[0];
        let (head, came) = seen.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with(&format!("POST /{PLACEHOLDER}?key={query}&b=1 HTTP/1.1\r\n")), "{head}");
        assert!(head.contains(&format!(": Bearer {header}\r\n")), "{head}");
        assert!(head.to_ascii_lowercase().contains(&format!("content-length: {}", sent.len())), "{head}");
        assert_eq!(came, sent, "{locations:?}");
    }
}

#[tokio::test]
async fn a_body_without_a_length_is_looked_through_too() {
    let (world, _) = world(&[InjectionLocation::Body]).await;
    let (one, other) = PLACEHOLDER.split_at(9);
    let request = format!(
        "POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n{:x}\r\n{one}\r\n{:x}\r\n{other}\r\n0\r\n\r\n",
        one.len(),
        other.len()
    );
    assert!(world.ask_securely("a.test", &request).await.starts_with("HTTP/1.1 200 "));
    assert!(world.requests()[0].ends_with(&format!("\r\n\r\n{VALUE}")), "{:?}", world.requests());
}

#[tokio::test]
async fn to_other_hosts_a_placeholder_goes_out_as_it_is_and_never_in_the_clear() {
    use InjectionLocation::{Body, Header, Query};
    let (world, _) = world(&[Header, Query, Body]).await;
    // Where TLS ends here for another reason, and where it does not.
    for host in ["b.test", "x.a.test"] {
        let request = everywhere(host, "text/plain", PLACEHOLDER);
        let answer = if host == "b.test" {
            world.ask_securely(host, &request).await
        } else {
            world.ask(&request.replace("POST /", &format!("POST http://{host}/"))).await
        };
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
        let seen = world.requests().pop().unwrap();
        assert_eq!((seen.matches(PLACEHOLDER).count(), seen.contains("s3cret")), (4, false), "{seen}");
    }
    let answer = world.get("a.test").await;
    assert!(answer.starts_with("HTTP/1.1 403 ") && answer.contains("over https alone"), "{answer}");
    let answer = world.ask_securely("a.test", "GET /elsewhere HTTP/1.1\r\nHost: a.test\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 302 ") && !answer.contains("s3cret"), "{answer}");
    let told = world.get("evil.test").await;
    assert!(told.contains("`evil.test` is not allowed: the environment's `network.allowlist`"), "{told}");
}

#[tokio::test]
async fn tls_that_needs_no_placeholder_passes_untouched() {
    let (world, _) = world(&[InjectionLocation::Header]).await;
    // Its own certificate is shown, and not that of the passage, which alone is trusted here.
    assert!(world.secure("x.a.test:443", "x.a.test").await.is_err());
    assert!(world.secure("a.test:443", "a.test").await.is_ok());
}

#[tokio::test]
async fn once_its_credential_is_deleted_nothing_goes_out() {
    let (world, secrets) = world(&[InjectionLocation::Header]).await;
    let mut begun = world.secure("a.test:443", "a.test").await.unwrap();
    *secrets.is_deleted.lock().unwrap() = true;
    let told = "the environment's `env` has the credential `c`, of which cannot be told whether it is for this host: \
                it does not exist";
    // Also on a connection from before.
    let request = everywhere("a.test", "text/plain", "");
    tokio::io::AsyncWriteExt::write_all(&mut begun, request.as_bytes()).await.unwrap();
    let answer = crate::world::rest(&mut begun).await;
    assert!(answer.starts_with("HTTP/1.1 403 ") && answer.contains(told), "{answer}");
    for host in ["a.test", "x.a.test"] {
        let answer = world.tunnel(&format!("{host}:443")).await.unwrap_err();
        assert!(answer.starts_with("HTTP/1.1 403 ") && answer.contains(told), "{answer}");
        assert!(world.get(host).await.contains(told));
    }
    assert!(world.passage.refused().iter().any(|words| words.contains(told)));
    assert_eq!(world.requests(), Vec::<String>::new());
}

#[tokio::test]
async fn what_is_too_long_to_be_looked_through_is_refused() {
    let (world, _) = world(&[InjectionLocation::Body, InjectionLocation::Query]).await;
    let large = "x".repeat((1 << 20) + 1);
    let grows = PLACEHOLDER.repeat(1 << 14);
    let said = everywhere("a.test", "text/plain", &large);
    let unsaid = format!(
        "POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n{:x}\r\n{large}\r\n0\r\n\r\n",
        large.len()
    );
    for request in [said, unsaid] {
        let answer = world.ask_securely("a.test", &request).await;
        assert!(
            answer.starts_with("HTTP/1.1 413 ") && answer.contains("its body is longer than the 1048576"),
            "{answer}"
        );
    }
    // What becomes shorter is not too long.
    assert!(grows.len() < 1 << 20);
    assert!(
        world.ask_securely("a.test", &everywhere("a.test", "text/plain", &grows)).await.starts_with("HTTP/1.1 200 ")
    );
    assert_eq!(world.requests().len(), 1);
}
