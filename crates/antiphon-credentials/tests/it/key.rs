//! The key: where it is, and what there is without it.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;

use antiphon_wire::{Code, CreateCredential};
use pretty_assertions::assert_eq;
use serde_json::json;

use crate::support::{OTHER, PROJECT, Site, bearer, id};

#[tokio::test]
async fn the_key_is_made_with_the_first_credential_and_its_owners_alone() {
    let site = Site::new().await;
    assert!(!site.key().exists());
    site.create(bearer("a", "one")).await.unwrap();
    let about = fs::metadata(site.key()).unwrap();
    assert_eq!((about.permissions().mode() & 0o777, about.len()), (0o600, 32));
}

#[tokio::test]
async fn without_its_key_a_server_says_so_and_seals_nothing_with_another() {
    let mut site = Site::new().await;
    site.create(bearer("a", "one")).await.unwrap();
    let key = fs::read(site.key()).unwrap();
    let spoil: [fn(&Site); 4] = [
        |site| fs::remove_file(site.key()).unwrap(),
        |site| fs::write(site.key(), [7; 32]).unwrap(),
        |site| fs::write(site.key(), [7; 33]).unwrap(),
        |site| fs::set_permissions(site.key(), Permissions::from_mode(0o640)).unwrap(),
    ];
    for spoil in spoil {
        spoil(&site);
        site.restart().await;
        let update = json!({"type": "bearer_token", "token": "two"});
        let errors = [
            site.credentials.secret(PROJECT, &id("a")).await.unwrap_err(),
            site.credentials.update(PROJECT, &id("a"), update, None).await.unwrap_err(),
            site.create(bearer("b", "two")).await.unwrap_err(),
        ];
        for error in errors {
            assert_eq!(error.code, Code::FailedPrecondition);
            assert!(error.message.contains("key"), "{error}");
        }
        // What needs no key goes on.
        assert_eq!(site.credentials.list(PROJECT, None, 9).await.unwrap().credentials.len(), 1);
        fs::write(site.key(), &key).unwrap();
        fs::set_permissions(site.key(), Permissions::from_mode(0o600)).unwrap();
        assert_eq!(site.token("a").await.as_deref(), Some("one"));
    }
}

#[tokio::test]
async fn when_nothing_is_sealed_with_a_lost_key_another_will_do() {
    let mut site = Site::new().await;
    site.create(bearer("a", "one")).await.unwrap();
    fs::remove_file(site.key()).unwrap();
    site.credentials.delete(PROJECT, &id("a")).await.unwrap();
    site.restart().await;
    site.create(bearer("a", "two")).await.unwrap();
    assert_eq!(site.token("a").await.as_deref(), Some("two"));
}

#[tokio::test]
async fn what_is_sealed_for_one_opens_for_no_other() {
    let site = Site::new().await;
    site.create(bearer("a", "one")).await.unwrap();
    site.create(bearer("b", "two")).await.unwrap();
    site.credentials.create(OTHER, CreateCredential::read(bearer("a", "theirs")).unwrap()).await.unwrap();
    let database = rusqlite::Connection::open(site.folder.path().join("credentials/credentials.sqlite")).unwrap();
    let moves = [
        "UPDATE credential SET sealed = (SELECT sealed FROM credential WHERE project = 1 AND id = 'b') WHERE id = 'a'",
        "UPDATE credential SET sealed = (SELECT sealed FROM credential WHERE project = 2) WHERE project = 1",
        "UPDATE credential SET sealed = x'00'",
    ];
    for statement in moves {
        database.execute(statement, []).unwrap();
        let opened = site.credentials.secret(PROJECT, &id("a")).await;
        assert_eq!(opened.unwrap_err().code, Code::ServiceUnavailable, "{statement}");
    }
}
