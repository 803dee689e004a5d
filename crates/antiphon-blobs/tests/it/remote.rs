//! What is an object store's alone.

use std::io::ErrorKind;
use std::path::Path;

use antiphon_blobs::{Address, Blobs as _, Remote};
use pretty_assertions::assert_eq;

use crate::contract::{named, put, remote};
use crate::lookalike::Lookalike;

const PART: usize = 8 << 20;

#[tokio::test]
async fn many_bytes_are_sent_in_parts_and_few_at_once() {
    let scratch = tempfile::tempdir().unwrap();
    let lookalike = Lookalike::start().await;
    let blobs = remote(&lookalike, scratch.path(), "one");
    put(&blobs, scratch.path(), 1, &vec![7; PART]).await.unwrap();
    put(&blobs, scratch.path(), 1, &vec![7; 2 * PART + 1]).await.unwrap();
    // What is there is not sent again.
    put(&blobs, scratch.path(), 1, &vec![7; 2 * PART + 1]).await.unwrap();
    assert_eq!(lookalike.kept().came, [PART, PART, PART, 1]);
    let expected: Vec<_> = [PART, 2 * PART + 1]
        .map(|length| format!("kept/here/one/{}", named(1, &vec![7; length])))
        .into_iter()
        .collect::<std::collections::BTreeSet<_>>()
        .into_iter()
        .collect();
    assert_eq!(lookalike.kept().objects.keys().cloned().collect::<Vec<_>>(), expected);
}

#[tokio::test]
async fn bytes_whose_removal_may_still_come_are_sent_again() {
    let scratch = tempfile::tempdir().unwrap();
    let lookalike = Lookalike::start().await;
    let blobs = remote(&lookalike, scratch.path(), "one");
    let name = put(&blobs, scratch.path(), 1, b"heron").await.unwrap();
    put(&blobs, scratch.path(), 1, b"stork").await.unwrap();
    lookalike.kept().is_closed = true;
    blobs.remove(&name).await.unwrap_err();
    lookalike.kept().is_closed = false;
    put(&blobs, scratch.path(), 1, b"stork").await.unwrap();
    assert_eq!(lookalike.kept().came.len(), 2, "nobody wanted to remove it");
    put(&blobs, scratch.path(), 1, b"heron").await.unwrap();
    assert_eq!(lookalike.kept().came.len(), 3);
    put(&blobs, scratch.path(), 1, b"heron").await.unwrap();
    assert_eq!(lookalike.kept().came.len(), 3, "what was sent after it is there");
}

#[tokio::test]
async fn an_upload_that_fails_leaves_no_parts() {
    let scratch = tempfile::tempdir().unwrap();
    let lookalike = Lookalike::start().await;
    lookalike.kept().most_parts = Some(1);
    let blobs = remote(&lookalike, scratch.path(), "one");
    put(&blobs, scratch.path(), 1, &vec![7; 2 * PART]).await.unwrap_err();
    assert!(lookalike.kept().uploads.is_empty() && lookalike.kept().objects.is_empty());
}

#[tokio::test]
async fn spaces_do_not_see_each_other_and_strangers_are_not_listed() {
    let scratch = tempfile::tempdir().unwrap();
    let lookalike = Lookalike::start().await;
    let (one, other) = (remote(&lookalike, scratch.path(), "one"), remote(&lookalike, scratch.path(), "other"));
    let name = put(&one, scratch.path(), 1, b"heron").await.unwrap();
    lookalike.kept().objects.insert("kept/here/one/notes.txt".to_owned(), "mine".into());
    assert_eq!((one.list().await.unwrap(), other.list().await.unwrap()), (vec![name], vec![]));
    assert_eq!(other.open(&name).await.unwrap_err().kind(), ErrorKind::NotFound);
}

#[tokio::test]
async fn what_has_another_hash_or_is_too_long_is_not_given_out() {
    let scratch = tempfile::tempdir().unwrap();
    let lookalike = Lookalike::start().await;
    let blobs = remote(&lookalike, scratch.path(), "one");
    let name = put(&blobs, scratch.path(), 1, b"heron").await.unwrap();
    for (bytes, expected) in [(vec![0; 5], ErrorKind::InvalidData), (vec![0; 33 << 20], ErrorKind::FileTooLarge)] {
        lookalike.kept().objects.insert(format!("kept/here/one/{name}"), bytes.into());
        assert_eq!(blobs.open(&name).await.unwrap_err().kind(), expected);
    }
}

#[tokio::test]
async fn a_store_that_refuses_or_is_not_there_is_an_error_and_not_an_absence() {
    let scratch = tempfile::tempdir().unwrap();
    let lookalike = Lookalike::start().await;
    let stranger = lookalike.variables().into_iter().map(|(name, value)| match name.as_str() {
        "AWS_ACCESS_KEY_ID" => (name, "stranger".to_owned()),
        _ => (name, value),
    });
    let address = Address::read("s3://bucket", stranger).unwrap();
    let blobs = Remote::new(address, "one", scratch.path().to_owned(), 100);
    let refused = [
        blobs.open(&named(1, b"heron")).await.unwrap_err(),
        blobs.list().await.unwrap_err(),
        blobs.remove(&named(1, b"heron")).await.unwrap_err(),
        put(&blobs, scratch.path(), 1, b"heron").await.unwrap_err(),
    ];
    for error in refused {
        assert_eq!(error.kind(), ErrorKind::Other);
        assert_eq!(error.to_string(), "the object store answered `403 Forbidden`, `AccessDenied`");
    }
}

#[tokio::test]
async fn why_a_store_cannot_be_reached_is_told() {
    let scratch = tempfile::tempdir().unwrap();
    // Nobody listens there any more.
    let closed = std::net::TcpListener::bind((std::net::Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap();
    let variables = [
        ("AWS_ENDPOINT", format!("http://{closed}")),
        ("AWS_ALLOW_HTTP", "true".to_owned()),
        ("AWS_ACCESS_KEY_ID", "id".to_owned()),
        ("AWS_SECRET_ACCESS_KEY", "secret".to_owned()),
    ];
    let address = Address::read("s3://bucket", variables.map(|(name, value)| (name.to_owned(), value)).into_iter());
    let blobs = Remote::new(address.unwrap(), "one", scratch.path().to_owned(), 100);
    let error = blobs.list().await.unwrap_err().to_string();
    assert!(error.starts_with("the object store cannot be reached: ") && error.contains("refused"), "{error}");
}

#[tokio::test]
async fn plain_http_has_to_be_allowed() {
    let lookalike = Lookalike::start().await;
    let variables = lookalike.variables().into_iter().filter(|(name, _)| name != "AWS_ALLOW_HTTP");
    let address = Address::read("s3://bucket", variables).unwrap();
    let blobs = Remote::new(address, "one", Path::new("/nowhere").to_owned(), 100);
    assert!(blobs.list().await.is_err());
    assert!(lookalike.kept().came.is_empty());
}
