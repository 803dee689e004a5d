//! What a request gives by address: who gets it, and how little the others learn.

use antiphon_engine::{MediaKind, Perceiver as _, ProjectId};
use antiphon_media::SensesOptions;
use pretty_assertions::assert_eq;

use crate::world::{MOST_BYTES, PROJECT, World};

/// The bytes and their type.
async fn fetch(world: &World, uri: &str) -> Result<(Vec<u8>, String), String> {
    let fetched = world.senses.fetch(PROJECT, MediaKind::Document, uri).await.map_err(|error| error.message)?;
    Ok((fetched.data.bytes().unwrap(), fetched.mime_type))
}

#[tokio::test]
async fn files_of_the_project_are_found_by_name_and_by_address() {
    let world = World::new().await;
    let name = world.keep(PROJECT, "text/csv", b"a;b").await;
    let found = Ok((b"a;b".to_vec(), "text/csv".to_owned()));
    assert_eq!(fetch(&world, &name).await, found);
    assert_eq!(fetch(&world, &format!("http://box/v1beta/{name}")).await, found);
    assert_eq!(fetch(&world, &format!("https://generativelanguage.googleapis.com/v1beta/{name}")).await, found);

    let other = world.senses.fetch(ProjectId(2), MediaKind::Document, &name).await.unwrap_err();
    assert_eq!(other.message, format!("`uri`: `{name}` not found"));
    for wrong in ["files/none", "files/../../etc/passwd", "files/", "https://box/v1beta/files/none"] {
        let error = fetch(&world, wrong).await.unwrap_err();
        assert!(error.starts_with("`uri`: `files/") && error.ends_with("not found"), "{wrong}: {error}");
    }
}

#[tokio::test]
async fn what_is_public_is_fetched_with_its_type() {
    let world = World::new().await;
    let found = |bytes: &[u8], mime_type: &str| Ok((bytes.to_vec(), mime_type.to_owned()));
    assert_eq!(
        fetch(&world, "https://media.example/words.txt").await,
        found(b"S\xe3o", "text/plain; charset=iso-8859-1")
    );
    assert_eq!(fetch(&world, "https://media.example/untyped").await, found(b"just words", "text/plain"));
}

#[tokio::test]
async fn what_cannot_be_fetched_says_so_and_nothing_of_our_network() {
    let world = World::new().await;
    let hidden = "cannot fetch content from the provided URL: it cannot be reached, or may not be";
    let large = format!("cannot fetch content from the provided URL: the content is larger than {MOST_BYTES} bytes");
    for (uri, says) in [
        ("https://media.example/none", "cannot fetch content from the provided URL: the answer's HTTP status is 404"),
        ("https://media.example/large", large.as_str()),
        (
            "https://media.example/lying",
            "cannot fetch content from the provided URL: the content is declared as `image/png` and is `text/html`",
        ),
        ("https://media.example/inward", hidden),
        ("https://media.example/around", hidden),
        ("https://127.0.0.1/", hidden),
        ("https://[::1]/", hidden),
        ("https://10.0.0.1/x", hidden),
        ("https://169.254.169.254/latest/meta-data", hidden),
        ("https://localhost/", hidden),
        ("https://user:password@example.com/", hidden),
        ("https://0x7f000001/", hidden),
        (
            "http://media.example/words.txt",
            "expected an `https` address; this server fetches nothing over plain `http`",
        ),
        ("file:///etc/passwd", "expected an `https` address or the name of a file, as `files/…`"),
        ("gs://bucket/object", "expected an `https` address or the name of a file, as `files/…`"),
        ("nothing", "expected an `https` address or the name of a file, as `files/…`"),
    ] {
        assert_eq!(fetch(&world, uri).await, Err(format!("`uri`: {says}")), "{uri}");
    }
    let open = World::with(SensesOptions { http: true, ..SensesOptions::default() }).await;
    assert!(fetch(&open, "http://media.example/words.txt").await.is_ok());
}
