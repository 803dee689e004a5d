use std::fs;

use proptest::{prelude::*, test_runner::Config};
use tempfile::tempdir;

use super::{Answer, HUB, Server, Watcher, files, library, sha256, weights};
use crate::{Error, Installed};

const ETAG: &str = "\"v1\"";

#[tokio::test]
async fn a_file_from_the_hub_is_checked_and_installed() {
    let (folder, content) = (tempdir().unwrap(), weights(5000));
    let server = Server::start(&content, ETAG, [Answer::File]);
    let library = library(folder.path(), &content, HUB, "").with_hub(&server.base);
    let watcher = Watcher::default();

    let installed = library.pull("small", &watcher).await.unwrap();

    let path = library.folder.join("tiny/tiny-q4_1.gguf");
    let entry = Some(library.catalogue()[0].clone());
    assert_eq!(installed, Installed { name: "tiny".into(), path: path.clone(), entry, bytes: 5000 });
    assert_eq!(fs::read(path).unwrap(), content);
    assert_eq!(files(&library.folder), ["tiny/model.json", "tiny/tiny-q4_1.gguf"], "nothing partial is left");
    assert_eq!(*watcher.stretch.lock().unwrap(), (5000, Some(5000)));
    assert!(server.requests()[0].starts_with("get /owner/repo/resolve/main/tiny.gguf http/1.1"));
}

proptest! {
    #![proptest_config(Config::with_cases(24))]
    #[test]
    fn however_often_the_connection_is_cut_the_file_is_whole(cuts in prop::collection::vec(1_usize..900, 0..6)) {
        let (folder, content) = (tempdir().unwrap(), weights(6000));
        let answers = cuts.iter().map(|after| Answer::Cut(*after)).chain([Answer::File]);
        let server = Server::start(&content, ETAG, answers);
        let library = library(folder.path(), &content, HUB, "").with_hub(&server.base);

        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let installed = runtime.block_on(library.pull("tiny", &())).unwrap();

        prop_assert_eq!(fs::read(installed.path).unwrap(), content);
        let mut held = 0;
        for (request, cut) in server.requests().iter().zip(cuts.iter().chain([&0])) {
            let range = format!("range: bytes={held}-");
            prop_assert_eq!(request.contains(&range), held > 0, "{}", request);
            prop_assert_eq!(request.contains("if-range: \"v1\""), held > 0);
            held += cut;
        }
    }
}

#[tokio::test]
async fn an_interrupted_pull_is_taken_up_by_the_next() {
    let (folder, content) = (tempdir().unwrap(), weights(6000));
    let server = Server::start(&content, ETAG, [Answer::Cut(4000)]);
    let cut = library(folder.path(), &content, HUB, "").with_hub(&server.base);
    let error = cut.pull("tiny", &()).await.unwrap_err().to_string();
    assert!(error.starts_with("no source of model `tiny` worked: hub file `owner/repo/tiny.gguf`: "), "{error}");
    assert!(cut.list().unwrap().is_empty());
    server.requests();

    let server = Server::start(&content, ETAG, [Answer::File]);
    let whole = library(folder.path(), &content, HUB, "").with_hub(&server.base);
    whole.pull("tiny", &()).await.unwrap();
    assert!(server.requests()[0].contains("range: bytes=4000-"));
}

#[tokio::test]
async fn a_file_that_changed_on_the_hub_begins_anew() {
    let (folder, content) = (tempdir().unwrap(), weights(6000));
    let old = Server::start(&[b'x'; 6000], "\"v0\"", [Answer::Cut(4000)]);
    library(folder.path(), &content, HUB, "").with_hub(&old.base).pull("tiny", &()).await.unwrap_err();
    let new = Server::start(&content, ETAG, [Answer::File]);
    let installed = library(folder.path(), &content, HUB, "").with_hub(&new.base).pull("tiny", &()).await.unwrap();
    assert_eq!(fs::read(installed.path).unwrap(), content);
}

#[tokio::test]
async fn without_a_strong_etag_nothing_is_resumed() {
    for etag in ["", "W/\"v1\""] {
        let (folder, content) = (tempdir().unwrap(), weights(6000));
        let server = Server::start(&content, etag, [Answer::Cut(4000)]);
        library(folder.path(), &content, HUB, "").with_hub(&server.base).pull("tiny", &()).await.unwrap_err();
        let server = Server::start(&content, etag, [Answer::File]);
        library(folder.path(), &content, HUB, "").with_hub(&server.base).pull("tiny", &()).await.unwrap();
        assert!(!server.requests()[0].contains("range:"));
    }
}

#[tokio::test]
async fn a_wrong_hash_deletes_the_file_and_names_both() {
    let (folder, content) = (tempdir().unwrap(), weights(5000));
    let mut wrong = content.clone();
    wrong[4999] ^= 1;
    let server = Server::start(&wrong, ETAG, [Answer::File]);
    let library = library(folder.path(), &content, HUB, "").with_hub(&server.base);
    let error = library.pull("tiny", &()).await.unwrap_err().to_string();
    assert!(error.contains(&sha256(&content)) && error.contains(&sha256(&wrong)), "{error}");
    assert_eq!(files(&library.folder), Vec::<String>::new());
}

#[tokio::test]
async fn a_file_of_another_size_is_refused_before_it_is_fetched() {
    let (folder, content) = (tempdir().unwrap(), weights(5000));
    let server = Server::start(&weights(5001), ETAG, [Answer::File]);
    let library = library(folder.path(), &content, HUB, "").with_hub(&server.base);
    let error = library.pull("tiny", &()).await.unwrap_err().to_string();
    assert!(error.contains("expected 5000 bytes, the hub has 5001"), "{error}");
}

#[tokio::test]
async fn more_than_any_disk_holds_is_refused_before_it_is_fetched() {
    let folder = tempdir().unwrap();
    let huge = Answer::Status("200 OK", "Content-Length: 1000000000000000000\r\n".to_owned());
    let server = Server::start(b"", ETAG, [huge]);
    let library = library(folder.path(), &weights(10), HUB, "").with_hub(&server.base);
    let error = library.pull("hf:o/r/huge.gguf", &()).await.unwrap_err().to_string();
    assert!(error.contains("1000000000000000000 bytes are needed"), "{error}");
}

#[tokio::test]
async fn redirects_go_to_https_or_stay_on_the_hub() {
    let (folder, content) = (tempdir().unwrap(), weights(5000));
    let declared = sha256(&content);
    let found = |to: &str| Answer::Status("302 Found", format!("Location: {to}\r\nX-Linked-Etag: \"{declared}\"\r\n"));

    let server = Server::start(&content, ETAG, [found("/elsewhere?signature=1"), Answer::File]);
    let library = library(folder.path(), &content, "", "").with_hub(&server.base);
    library.pull("hf:o/r/moved.gguf", &()).await.unwrap();
    assert!(server.requests()[1].starts_with("get /elsewhere?signature=1 "));

    for (to, reason) in [
        ("http://127.0.0.1:1/file", "redirected to `http:`, expected `https:`"),
        ("file:///etc/passwd", "redirected to `file:`, expected `https:`"),
    ] {
        let server = Server::start(&content, ETAG, [found(to)]);
        let error = super::library(folder.path(), &content, "", "")
            .with_hub(&server.base)
            .pull("hf:o/r/refused.gguf", &())
            .await
            .unwrap_err()
            .to_string();
        assert!(error.contains(reason), "{error}");
    }
    let server = Server::start(&content, ETAG, std::iter::repeat_n(found("/again"), 6));
    let library = library.with_hub(&server.base);
    let error = library.pull("hf:o/r/circle.gguf", &()).await.unwrap_err().to_string();
    assert!(error.contains("redirected more than 5 times"), "{error}");
}

#[tokio::test]
async fn a_hub_file_must_match_the_hash_that_the_hub_declares() {
    let (folder, content) = (tempdir().unwrap(), weights(5000));
    let other = sha256(b"other");
    let server = Server::start(&content, &format!("\"{other}\""), [Answer::File]);
    let library = library(folder.path(), &content, "", "").with_hub(&server.base);
    let error = library.pull("hf:o/r/forged.gguf", &()).await.unwrap_err().to_string();
    assert!(error.contains(&other) && error.contains(&sha256(&content)), "{error}");
    assert_eq!(files(&library.folder), Vec::<String>::new());
}

#[tokio::test]
async fn a_hub_file_without_a_declared_hash_has_its_own_recorded() {
    let (folder, content) = (tempdir().unwrap(), weights(5000));
    let server = Server::start(&content, ETAG, [Answer::File]);
    let library = library(folder.path(), &content, "", "").with_hub(&server.base);
    let installed = library.pull("hf:o/r/Other.gguf", &()).await.unwrap();
    assert_eq!((installed.name.as_str(), &installed.entry), ("other", &None));
    assert!(fs::read_to_string(library.folder.join("other/model.json")).unwrap().contains(&sha256(&content)));
    assert_eq!(library.find("hf:o/r/Other.gguf").unwrap(), installed);
    assert_eq!(library.find("other").unwrap(), installed);
    let error = library.pull("hf:o/elsewhere/other.gguf", &()).await.unwrap_err().to_string();
    assert!(error.contains("the name `other` is taken by `hf:o/r/Other.gguf`"), "{error}");
    assert!(matches!(library.remove("hf:o/elsewhere/other.gguf"), Err(Error::NotInstalled { .. })));
    library.remove("hf:o/r/Other.gguf").unwrap();
}

#[tokio::test]
async fn safetensors_keep_their_kind_and_are_known_by_their_beginning() {
    let (folder, content) = (tempdir().unwrap(), b"\x02\0\0\0\0\0\0\0{}".as_slice());
    let server = Server::start(content, ETAG, [Answer::File]);
    let library = library(folder.path(), content, "", "").with_hub(&server.base);
    let installed = library.pull("hf:o/r/Turbo.safetensors", &()).await.unwrap();
    assert_eq!(installed.path, library.folder.join("turbo/turbo.safetensors"));
    assert_eq!(library.find("turbo").unwrap(), installed);

    let path = folder.path().join("short.safetensors");
    for wrong in [b"\x03\0\0\0\0\0\0\0{}".as_slice(), b"\x02\0\0\0\0\0\0\0[]", b"\x02\0", b""] {
        fs::write(&path, wrong).unwrap();
        let error = library.pull(path.to_str().unwrap(), &()).await.unwrap_err().to_string();
        assert!(error.contains("or a safetensors file"), "{error}");
    }
}

#[tokio::test]
async fn a_hub_file_that_is_no_weights_is_refused() {
    let (folder, page) = (tempdir().unwrap(), b"<html>sign in</html>");
    let server = Server::start(page, ETAG, [Answer::File]);
    let library = library(folder.path(), page, "", "").with_hub(&server.base);
    let error = library.pull("hf:o/r/page.gguf", &()).await.unwrap_err().to_string();
    assert!(error.contains("expected a GGUF file"), "{error}");
    assert_eq!(files(&library.folder), Vec::<String>::new());
}
