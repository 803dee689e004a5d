use std::{fs, sync::Arc};

use tempfile::tempdir;

use super::{Answer, HUB, Server, Watcher, files, fixture, library, weights};
use crate::{Error, Library, pull::Lock};

const REQUANTIZE: &str = r#"requantize = "q8_0""#;

#[tokio::test]
async fn the_worker_requantizes_what_the_catalogue_says() {
    let (folder, content) = (tempdir().unwrap(), weights(5000));
    let server = Server::start(&content, "\"v1\"", [Answer::File]);
    let mut library = library(folder.path(), &content, HUB, REQUANTIZE).with_hub(&server.base);
    library.worker = Some(fixture("worker"));
    let installed = library.pull("tiny", &()).await.unwrap();
    assert_eq!(fs::read(&installed.path).unwrap(), [&content, b"q8_0".as_slice()].concat());
    assert_eq!(installed.bytes, 5004);
    assert_eq!(files(&library.folder), ["tiny/model.json", "tiny/tiny-q8_0.gguf"]);
}

#[tokio::test]
async fn without_a_worker_the_packaged_file_serves_until_one_is_there() {
    let (folder, content) = (tempdir().unwrap(), weights(5000));
    let server = Server::start(&content, "\"v1\"", [Answer::File]);
    let mut library = library(folder.path(), &content, HUB, REQUANTIZE).with_hub(&server.base);
    let watcher = Watcher::default();
    let packaged = library.pull("tiny", &watcher).await.unwrap();
    assert!(watcher.was_told("No worker executable was found"));
    assert_eq!(fs::read(&packaged.path).unwrap(), content);
    server.requests();

    library.worker = Some(fixture("worker"));
    let requantized = library.pull("tiny", &()).await.unwrap();
    assert_eq!(requantized.bytes, 5004, "without another download: the hub is closed");
    assert_eq!(files(&library.folder), ["tiny/model.json", "tiny/tiny-q8_0.gguf"]);
    assert_eq!(library.pull("tiny", &()).await.unwrap(), requantized);
}

#[tokio::test]
async fn a_worker_that_fails_installs_nothing_and_loses_nothing() {
    let (folder, content) = (tempdir().unwrap(), weights(5000));
    let server = Server::start(&content, "\"v1\"", [Answer::File]);
    let mut library = library(folder.path(), &content, HUB, REQUANTIZE).with_hub(&server.base);
    library.worker = Some(fixture("failing-worker"));
    let error = library.pull("tiny", &()).await.unwrap_err().to_string();
    assert!(error.contains("could not requantize `tiny`: ") && error.contains("out of memory"), "{error}");
    assert!(library.list().unwrap().is_empty());
    server.requests();

    library.worker = Some(fixture("worker"));
    assert_eq!(library.pull("tiny", &()).await.unwrap().bytes, 5004, "without another download");
}

#[tokio::test]
async fn of_two_pulls_at_once_the_second_waits_and_downloads_nothing() {
    let (folder, content) = (tempdir().unwrap(), weights(5000));
    let server = Server::start(&content, "\"v1\"", [Answer::File]);
    let library = library(folder.path(), &content, HUB, "").with_hub(&server.base);
    let watcher = Watcher::default();
    let (first, second) = tokio::join!(library.pull("tiny", &()), library.pull("small", &watcher));
    assert_eq!(first.unwrap(), second.unwrap());
    assert!(watcher.was_told("`tiny` is being pulled already"));
    assert_eq!(server.requests().len(), 1);
}

#[tokio::test]
async fn a_pull_that_is_dropped_installs_nothing_and_lets_the_next_begin() {
    let (folder, content) = (tempdir().unwrap(), weights(5000));
    let server = Server::start(&content, "\"v1\"", [Answer::Stall(3000), Answer::File]);
    let library = library(folder.path(), &content, HUB, "").with_hub(&server.base);
    let watcher = Watcher::default();
    tokio::select! {
        result = library.pull("tiny", &watcher) => panic!("a stalled pull ended: {result:?}"),
        () = watcher.arrived.notified() => {}
    }
    assert!(library.list().unwrap().is_empty());
    assert_eq!(library.pull("tiny", &()).await.unwrap().bytes, 5000);
    assert_eq!(server.requests().len(), 2);
}

#[tokio::test]
async fn a_local_file_is_referred_to_and_stays_its_owners() {
    let (folder, content) = (tempdir().unwrap(), weights(5000));
    let path = folder.path().join("Mine.gguf");
    fs::write(&path, &content).unwrap();
    let library = library(folder.path(), &content, "", "");
    let text = path.to_str().unwrap();

    assert_eq!(library.find(text).unwrap().bytes, 5000, "a path needs no installation");
    let installed = library.pull(text, &()).await.unwrap();
    assert_eq!((installed.name.as_str(), &installed.path), ("mine", &path));
    assert_eq!(library.list().unwrap(), std::slice::from_ref(&installed));
    assert_eq!(library.find("mine").unwrap(), installed);
    assert_eq!(files(&library.folder), ["mine/model.json"]);

    library.remove("mine").unwrap();
    assert!(path.exists() && library.list().unwrap().is_empty());

    fs::write(&path, "not a model").unwrap();
    let error = library.pull(text, &()).await.unwrap_err().to_string();
    assert!(error.contains("expected a GGUF file"), "{error}");
}

#[tokio::test]
async fn a_model_is_removed_whole_and_never_under_a_pull() {
    let (folder, content) = (tempdir().unwrap(), weights(5000));
    let server = Server::start(&content, "\"v1\"", [Answer::File]);
    let library = library(folder.path(), &content, HUB, "").with_hub(&server.base);
    library.pull("tiny", &()).await.unwrap();

    let lock = Lock::take(&library.folder, "tiny").unwrap();
    assert!(matches!(library.remove("small"), Err(Error::Busy { name }) if name == "tiny"));
    drop(lock);
    library.remove("small").unwrap();
    assert_eq!(files(&library.folder), Vec::<String>::new());
    assert!(matches!(library.remove("tiny"), Err(Error::NotInstalled { .. })));
    assert!(matches!(library.remove("../tiny"), Err(Error::Unknown { .. })));
}

#[tokio::test]
async fn a_model_without_its_record_or_its_whole_file_is_not_installed() {
    let (folder, content) = (tempdir().unwrap(), weights(5000));
    let server = Server::start(&content, "\"v1\"", [Answer::File, Answer::File, Answer::File]);
    let library = library(folder.path(), &content, HUB, "").with_hub(&server.base);
    let path = library.pull("tiny", &()).await.unwrap().path;

    fs::write(&path, &content[..4999]).unwrap();
    let error = library.find("tiny").unwrap_err().to_string();
    assert_eq!(error, "model `tiny` is not installed; `antiphon models pull tiny` installs it");
    library.pull("tiny", &()).await.unwrap();
    assert_eq!(fs::read(&path).unwrap(), content);

    fs::remove_file(library.folder.join("tiny/model.json")).unwrap();
    assert!(library.list().unwrap().is_empty());
    library.pull("tiny", &()).await.unwrap();
    assert_eq!(library.list().unwrap().len(), 1);
}

#[test]
fn an_absent_library_is_empty() {
    let folder = tempdir().unwrap();
    let library = Library::open(folder.path().join("nowhere"), None).unwrap();
    assert!(library.list().unwrap().is_empty());
    assert!(matches!(library.find("smollm2"), Err(Error::NotInstalled { .. })));
    assert!(matches!(library.find("gpt-9"), Err(Error::Unknown { .. })));
    assert!(!folder.path().join("nowhere").exists(), "looking creates nothing");
}

#[test]
fn a_pull_can_move_between_threads() {
    fn assert_send(_: impl Send) {}
    let library = Arc::new(Library::open("unused", None).unwrap());
    assert_send(library.pull("smollm2", &()));
}
