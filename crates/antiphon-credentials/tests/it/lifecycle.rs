//! From the first request to the last, per project.

use antiphon_wire::{Code, CredentialKind, CredentialStatus};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use jiff::SignedDuration;
use pretty_assertions::assert_eq;
use serde_json::json;

use crate::support::{OTHER, PROJECT, Site, bearer, id};

#[tokio::test]
async fn a_credential_is_kept_shown_changed_and_removed() {
    let mut site = Site::new().await;
    let made = site.create(bearer("github", "ghp_first")).await.unwrap();
    assert_eq!(
        serde_json::to_value(&made).unwrap(),
        json!({"id": "github", "type": "bearer_token", "status": "active",
            "create_time": "2026-06-09T12:01:25Z", "update_time": "2026-06-09T12:01:25Z"})
    );
    assert_eq!(site.create(bearer("github", "x")).await.unwrap_err().code, Code::FailedPrecondition);
    site.clock.advance(SignedDuration::from_secs(5));
    let changes = json!({"type": "bearer_token", "token": "ghp_second"});
    let updated = site.credentials.update(PROJECT, &id("github"), changes, Some("token")).await.unwrap();
    assert_eq!(
        (updated.create_time.as_str(), updated.update_time.as_str()),
        ("2026-06-09T12:01:25Z", "2026-06-09T12:01:30Z")
    );
    site.restart().await;
    assert_eq!(site.token("github").await.as_deref(), Some("ghp_second"));
    assert_eq!(site.credentials.get(PROJECT, &id("github")).await.unwrap(), updated);
    site.credentials.delete(PROJECT, &id("github")).await.unwrap();
    assert_eq!(site.token("github").await, None);
    for code in [
        site.credentials.get(PROJECT, &id("github")).await.unwrap_err().code,
        site.credentials.delete(PROJECT, &id("github")).await.unwrap_err().code,
    ] {
        assert_eq!(code, Code::NotFound);
    }
}

#[tokio::test]
async fn a_wrong_update_changes_nothing() {
    let site = Site::new().await;
    site.create(bearer("a", "first")).await.unwrap();
    let wrong = json!({"type": "bearer_token", "token": "second", "header_name": "Host"});
    assert_eq!(site.credentials.update(PROJECT, &id("a"), wrong, None).await.unwrap_err().code, Code::InvalidRequest);
    assert_eq!(site.token("a").await.as_deref(), Some("first"));
}

#[tokio::test]
async fn projects_do_not_see_each_others() {
    let site = Site::new().await;
    site.create(bearer("a", "one")).await.unwrap();
    let (credentials, a) = (&site.credentials, id("a"));
    let update = json!({"type": "bearer_token", "token": "two"});
    for code in [
        credentials.get(OTHER, &a).await.unwrap_err().code,
        credentials.update(OTHER, &a, update, None).await.unwrap_err().code,
        credentials.revoke(OTHER, &a).await.unwrap_err().code,
        credentials.delete(OTHER, &a).await.unwrap_err().code,
    ] {
        assert_eq!(code, Code::NotFound);
    }
    assert!(credentials.secret(OTHER, &a).await.unwrap().is_none());
    assert!(credentials.list(OTHER, None, 9).await.unwrap().credentials.is_empty());
    // The same name is another credential there.
    let request = antiphon_wire::CreateCredential::read(bearer("a", "theirs")).unwrap();
    credentials.create(OTHER, request).await.unwrap();
    assert_eq!(site.token("a").await.as_deref(), Some("one"));
}

#[tokio::test]
async fn a_list_has_each_once_the_latest_first() {
    let site = Site::new().await;
    for name in ["a", "b", "c", "d", "e"] {
        site.create(bearer(name, "t")).await.unwrap();
        // Two of one moment are told apart, too.
        site.clock.advance(SignedDuration::from_millis(i64::from(name != "b")));
    }
    let full = site.create(bearer("f", "t")).await.unwrap_err();
    assert_eq!((full.code, full.message.contains("5 credentials")), (Code::FailedPrecondition, true));
    let (mut names, mut token) = (Vec::new(), None);
    loop {
        let page = site.credentials.list(PROJECT, token.as_deref(), 2).await.unwrap();
        names.extend(page.credentials.iter().map(|one| one.id.to_string()));
        token = page.next_page_token;
        if token.is_none() {
            break;
        }
    }
    assert_eq!(names, ["e", "d", "c", "b", "a"]);
    for wrong in ["x", "1.", "1.!", ".a"] {
        assert_eq!(site.credentials.list(PROJECT, Some(wrong), 2).await.unwrap_err().code, Code::InvalidRequest);
    }
}

#[tokio::test]
async fn one_that_was_revoked_is_given_to_nobody_until_it_is_updated() {
    let site = Site::new().await;
    site.create(bearer("a", "one")).await.unwrap();
    site.credentials.revoke(PROJECT, &id("a")).await.unwrap();
    assert_eq!(site.credentials.get(PROJECT, &id("a")).await.unwrap().status, CredentialStatus::Revoked);
    assert_eq!(site.token("a").await, None);
    let update = json!({"type": "bearer_token", "token": "two"});
    let updated = site.credentials.update(PROJECT, &id("a"), update, None).await.unwrap();
    assert_eq!((updated.status, updated.kind), (CredentialStatus::Active, CredentialKind::BearerToken));
    assert_eq!(site.token("a").await.as_deref(), Some("two"));
}

#[tokio::test]
async fn no_secret_is_in_any_file() {
    const PLANTED: &str = "planted-in-a-credential";
    let site = Site::new().await;
    let oauth = json!({"type": "oauth2", "id": "b", "client_id": PLANTED, "client_secret": PLANTED, "refresh_token": PLANTED,
        "token_url": format!("https://{PLANTED}.example.com"), "scopes": [PLANTED]});
    let variable = json!({"type": "environment_variable", "id": "c", "value": PLANTED, "injection_location": "query",
        "trusted_domains": [format!("{PLANTED}.example.com")]});
    for body in [bearer("a", PLANTED), oauth, variable] {
        let shown = site.create(body).await.unwrap();
        assert!(!format!("{shown:?}{}", serde_json::to_string(&shown).unwrap()).contains(PLANTED));
    }
    let update = json!({"type": "environment_variable", "value": format!("{PLANTED}-too")});
    site.credentials.update(PROJECT, &id("c"), update, None).await.unwrap();
    site.credentials.delete(PROJECT, &id("a")).await.unwrap();
    let mut seen = 0;
    for entry in std::fs::read_dir(site.folder.path().join("credentials")).unwrap() {
        let bytes = std::fs::read(entry.unwrap().path()).unwrap();
        seen += bytes.len();
        for form in [PLANTED.to_owned(), STANDARD_NO_PAD.encode(PLANTED), format!("{:x?}", PLANTED.as_bytes())] {
            assert!(!bytes.windows(form.len()).any(|window| window == form.as_bytes()));
        }
    }
    assert!(seen > 4096, "the files were read");
}
