//! Stores, documents, files and uploads: statuses, headers, bounds, and whose they are.

use axum::body::Body;
use axum::http::Request;
use axum::http::request::Builder;
use pretty_assertions::assert_eq;
use serde_json::{Value, json};

use crate::puppet::Puppet;
use crate::support::{Answer, TestServer};

const HERON: &str = "The heron waits in the reeds.";

async fn server() -> TestServer {
    TestServer::with(Puppet::Says(&["Hi"])).await
}

fn request(target: &str) -> Builder {
    Request::post(target).header("host", "box:8080").header("content-type", "application/json")
}

/// What the SDKs send to begin an upload.
fn start(target: &str, key: &str, size: usize) -> Builder {
    request(target)
        .header("x-goog-api-key", key)
        .header("X-Goog-Upload-Protocol", "resumable")
        .header("X-Goog-Upload-Command", "start")
        .header("X-Goog-Upload-Header-Content-Length", size)
        .header("X-Goog-Upload-Header-Content-Type", "text/plain")
}

/// The path and query of the address where pieces go.
async fn begin(server: &TestServer, target: &str, size: usize, body: Value) -> String {
    let started = server.send(start(target, &server.key, size).body(Body::from(body.to_string())).unwrap()).await;
    assert_eq!((started.status.as_u16(), started.json()), (200, json!({})), "{:?}", started.body);
    assert_eq!(started.header("x-goog-upload-status"), "active");
    let address = started.header("x-goog-upload-url").strip_prefix("http://box:8080").unwrap();
    assert!(address.len() > 60, "{address} can be guessed");
    address.to_owned()
}

/// A piece as Python's SDK sends it: without a key, and called JSON.
async fn piece(server: &TestServer, address: &str, command: &str, offset: usize, bytes: &str) -> Answer {
    let piece = request(address).header("X-Goog-Upload-Command", command).header("X-Goog-Upload-Offset", offset);
    server.send(piece.body(Body::from(bytes.to_owned())).unwrap()).await
}

async fn store(server: &TestServer) -> String {
    // Python's SDK sends no body when there is nothing to say.
    let made = server.ask("POST", "/v1/fileSearchStores", "").await;
    made.json()["name"].as_str().unwrap().to_owned()
}

async fn put(server: &TestServer, store: &str, text: &str) -> String {
    let target = format!("/upload/v1beta/{store}:uploadToFileSearchStore");
    let address = begin(server, &target, text.len(), json!({"displayName": "heron.txt"})).await;
    let answer = piece(server, &address, "upload, finalize", 0, text).await;
    assert_eq!((answer.status.as_u16(), answer.header("x-goog-upload-status")), (200, "final"), "{:?}", answer.body);
    answer.json()["response"]["documentName"].as_str().unwrap().to_owned()
}

/// Status and the name of the classic error.
fn classic(answer: &Answer) -> (u16, String) {
    let error = &answer.json()["error"];
    assert_eq!(error["code"], answer.status.as_u16());
    (answer.status.as_u16(), error["status"].as_str().unwrap().to_owned())
}

#[tokio::test]
async fn nothing_of_one_project_is_there_for_another() {
    let server = server().await;
    let store = store(&server).await;
    let document = put(&server, &store, HERON).await;
    let address = begin(&server, "/upload/v1/files", HERON.len(), json!({"file": {}})).await;
    let file = piece(&server, &address, "upload, finalize", 0, HERON).await.json()["file"].clone();
    let file = file["name"].as_str().unwrap();
    let operation = document.replace("/documents/", "/upload/operations/");
    for name in [store.as_str(), &document, &operation, file] {
        let path = format!("/v1/{name}");
        assert_eq!(server.ask("GET", &path, "").await.status, 200, "{path}");
        assert_eq!(classic(&server.ask_as(&server.other_key, "GET", &path, "").await), (404, "NOT_FOUND".to_owned()));
        if name != operation {
            let path = format!("{path}?force=true");
            let deleted = server.ask_as(&server.other_key, "DELETE", &path, "").await;
            assert_eq!(classic(&deleted), (404, "NOT_FOUND".to_owned()));
        }
    }
    for (path, body) in [
        (format!("/v1/{store}:importFile"), json!({"fileName": file})),
        (format!("/upload/v1/{store}:uploadToFileSearchStore"), json!({})),
    ] {
        let asked = start(&path, &server.other_key, 5).body(Body::from(body.to_string())).unwrap();
        assert_eq!(classic(&server.send(asked).await), (404, "NOT_FOUND".to_owned()), "{path}");
    }
    for (path, list) in [("/v1/fileSearchStores", "fileSearchStores"), ("/v1/files", "files")] {
        assert_eq!(server.ask("GET", path, "").await.json()[list].as_array().unwrap().len(), 1);
        assert_eq!(server.ask_as(&server.other_key, "GET", path, "").await.json(), json!({ list: [] }));
    }
    let listed = server.ask_as(&server.other_key, "GET", &format!("/v1/{store}/documents"), "").await;
    assert_eq!(classic(&listed), (404, "NOT_FOUND".to_owned()));
}

#[tokio::test]
async fn without_a_key_nothing_but_a_known_upload_is_touched() {
    let server = server().await;
    for (method, path) in [
        ("GET", "/v1/fileSearchStores"),
        ("POST", "/v1/fileSearchStores"),
        ("POST", "/upload/v1/files"),
        ("DELETE", "/v1/files/a"),
    ] {
        assert_eq!(classic(&server.ask_as("", method, path, "{}").await), (401, "UNAUTHENTICATED".to_owned()));
    }
    for address in ["/upload/v1/content", "/upload/v1/content?upload_id=", "/upload/v1/content?upload_id=../secret"] {
        let answer = piece(&server, address, "upload, finalize", 0, "x").await;
        assert_eq!(classic(&answer), (404, "NOT_FOUND".to_owned()));
        assert_eq!(answer.header("x-goog-upload-status"), "final");
    }
}

#[tokio::test]
async fn what_has_no_name_is_not_there() {
    let server = server().await;
    let address = begin(&server, "/upload/v1/files", HERON.len(), json!({"file": {"name": "files/heron"}})).await;
    piece(&server, &address, "upload, finalize", 0, HERON).await;
    let body = json!({"fileName": "files/heron"}).to_string();
    for store in ["", "-", "A", "%2E%2E", "a%00b"] {
        let upload = format!("/upload/v1beta/fileSearchStores/{store}:uploadToFileSearchStore");
        let started = server.send(start(&upload, &server.key, 5).body(Body::from("{}")).unwrap()).await;
        assert_eq!(classic(&started), (404, "NOT_FOUND".to_owned()), "{store}");
        let import = format!("/v1beta/fileSearchStores/{store}:importFile");
        let imported = server.ask("POST", &import, body.clone()).await;
        assert_eq!(classic(&imported), (404, "NOT_FOUND".to_owned()), "{store}");
    }
    let store = store(&server).await;
    for path in [format!("{store}/documents/A"), format!("{store}/operations/-"), "fileSearchStores/-/documents".into()]
    {
        let answer = server.ask("GET", &format!("/v1/{path}"), "").await;
        assert_eq!(classic(&answer), (404, "NOT_FOUND".to_owned()), "{path}");
    }
}

#[tokio::test]
async fn an_upload_is_held_to_what_it_said() {
    let server = server().await;
    let store = store(&server).await;
    let target = format!("/upload/v1alpha/{store}:uploadToFileSearchStore");
    let address = begin(&server, &target, HERON.len(), json!({})).await;
    for (command, offset, bytes, words) in [
        ("upload", 3, "abc", "`X-Goog-Upload-Offset`: expected 0"),
        ("upload, finalize", 0, "abc", "expected 29 bytes in all"),
        ("upload", 0, "x".repeat(30).as_str(), "expected 29 bytes in all"),
        ("explode", 0, "", "`X-Goog-Upload-Command`"),
    ] {
        let answer = piece(&server, &address, command, offset, bytes).await;
        assert_eq!(classic(&answer), (400, "INVALID_ARGUMENT".to_owned()));
        assert!(answer.message().contains(words), "{}", answer.message());
        assert_eq!(answer.header("x-goog-upload-status"), "active");
    }
    assert_eq!(piece(&server, &address, "upload", 0, &HERON[..9]).await.json(), json!({}));
    let asked = piece(&server, &address, "query", 0, "").await;
    assert_eq!((asked.header("x-goog-upload-status"), asked.header("x-goog-upload-size-received")), ("active", "9"));
    let answer = piece(&server, &address, "upload, finalize", 9, &HERON[9..]).await;
    assert_eq!(answer.json()["done"], true);
    let document = answer.json()["response"]["documentName"].as_str().unwrap().to_owned();
    let shown = server.ask("GET", &format!("/v1/{document}"), "").await.json();
    assert_eq!((&shown["sizeBytes"], &shown["state"]), (&json!("29"), &json!("STATE_ACTIVE")));
}

#[tokio::test]
async fn what_an_upload_says_is_not_dropped() {
    let server = server().await;
    let begin = async |body: Value, name: Option<&str>| {
        let mut asked = request("/upload/v1/files")
            .header("x-goog-api-key", &server.key)
            .header("X-Goog-Upload-Protocol", "resumable")
            .header("X-Goog-Upload-Command", "start");
        if let Some(name) = name {
            asked = asked.header("X-Goog-Upload-File-Name", name);
        }
        let started = server.send(asked.body(Body::from(body.to_string())).unwrap()).await;
        started.header("x-goog-upload-url").strip_prefix("http://box:8080").unwrap().to_owned()
    };
    // The size, where no header says it.
    let file = json!({"file": {"mimeType": "text/plain", "sizeBytes": "5"}});
    let address = begin(file.clone(), Some("heron.txt")).await;
    for (command, bytes) in [("upload, finalize", "her"), ("upload", "herons")] {
        let answer = piece(&server, &address, command, 0, bytes).await;
        assert_eq!(classic(&answer), (400, "INVALID_ARGUMENT".to_owned()));
        assert!(answer.message().contains("expected 5 bytes in all"), "{}", answer.message());
    }
    let made = piece(&server, &address, "upload, finalize", 0, "heron").await.json();
    // The name of the file, where it has no other.
    assert_eq!(made["file"]["displayName"], "heron.txt");
    let file = json!({"file": {"mimeType": "text/plain", "displayName": "A heron"}});
    let address = begin(file, Some("heron.txt")).await;
    let made = piece(&server, &address, "upload, finalize", 0, "heron").await.json();
    assert_eq!(made["file"]["displayName"], "A heron");
    // A type that is said twice, in other letters.
    let same = json!({"file": {"mimeType": "Text/Plain"}}).to_string();
    let started = server.send(start("/upload/v1/files", &server.key, 5).body(Body::from(same)).unwrap()).await;
    assert_eq!(started.status, 200);
}

#[tokio::test]
async fn what_is_too_much_is_refused() {
    let server = server().await;
    let store = store(&server).await;
    let target = format!("/upload/v1/{store}:uploadToFileSearchStore");
    let large = server.send(start(&target, &server.key, 4097).body(Body::from("{}")).unwrap()).await;
    assert_eq!(classic(&large), (413, "INVALID_ARGUMENT".to_owned()));
    for _ in 0..4 {
        put(&server, &store, HERON).await;
    }
    let address = begin(&server, &target, HERON.len(), json!({})).await;
    let answer = piece(&server, &address, "upload, finalize", 0, HERON).await;
    assert_eq!(classic(&answer), (400, "FAILED_PRECONDITION".to_owned()));
    assert_eq!(answer.header("x-goog-upload-status"), "final");
    for _ in 0..3 {
        begin(&server, &target, 5, json!({})).await;
    }
    let fourth = server.send(start(&target, &server.key, 5).body(Body::from("{}")).unwrap()).await;
    assert_eq!(classic(&fourth), (429, "RESOURCE_EXHAUSTED".to_owned()));
    for _ in 0..2 {
        assert_eq!(server.ask("POST", "/v1/fileSearchStores", "{}").await.status, 200);
    }
    let fourth = server.ask("POST", "/v1/fileSearchStores", "{}").await;
    assert_eq!(classic(&fourth), (400, "FAILED_PRECONDITION".to_owned()));
}

#[tokio::test]
async fn what_is_not_understood_is_refused_by_name() {
    let server = server().await;
    let store = store(&server).await;
    let upload = format!("/upload/v1/{store}:uploadToFileSearchStore");
    for (path, body, words) in [
        ("/v1/fileSearchStores", json!({"colour": "red"}), "`colour`"),
        ("/v1/fileSearchStores", json!({"display_name": 5}), "`displayName`"),
        (&upload, json!({"parent": "x"}), "`parent`"),
        (&upload, json!({"mimeType": "text/html"}), "`mimeType`: expected `text/plain`, as `X-Goog-Upload-Header"),
        ("/upload/v1/files", json!({"file": {"mimeType": "text/html"}}), "`file.mimeType`: expected `text/plain`"),
        ("/upload/v1/files", json!({"file": {"state": "ACTIVE"}}), "`file.state`"),
        ("/upload/v1/files", json!({"file": {"name": "files/../x"}}), "`file.name`"),
        ("/upload/v1/files", json!({"file": {"sizeBytes": "7"}}), "`file.sizeBytes`"),
    ] {
        let answer = server.send(start(path, &server.key, 5).body(Body::from(body.to_string())).unwrap()).await;
        assert_eq!(classic(&answer), (400, "INVALID_ARGUMENT".to_owned()));
        assert!(answer.message().contains(words), "{}", answer.message());
    }
    for path in ["/v1/fileSearchStores?pageToken=..%2F", "/v1/fileSearchStores?pageSize=x", "/v1/files?pageToken=%27"] {
        assert_eq!(classic(&server.ask("GET", path, "").await), (400, "INVALID_ARGUMENT".to_owned()), "{path}");
    }
    for path in ["/upload/files", "/x/fileSearchStores", "/v1/files/a:download", &format!("/v1/{store}:copy")] {
        let answer = server.ask(if path.ends_with(":copy") { "POST" } else { "GET" }, path, "{}").await;
        assert_eq!(answer.status, 404, "{path}");
    }
}

#[tokio::test]
async fn what_was_deleted_is_in_no_file() {
    let server = server().await;
    let store = store(&server).await;
    let kept = put(&server, &store, "A kingfisher dives.").await;
    let document = put(&server, &store, &"A quetzalcoatlus glides. ".repeat(20)).await;
    let address = begin(&server, "/upload/v1/files", HERON.len(), json!({"file": {"displayName": "h"}})).await;
    let file = piece(&server, &address, "upload, finalize", 0, HERON).await.json()["file"]["name"].clone();
    let given_up = begin(&server, "/upload/v1/files", 50, json!({"file": {}})).await;
    piece(&server, &given_up, "upload", 0, "A cormorant dries its wings.").await;
    for planted in ["quetzalco", "The heron", "cormorant", "kingfishe"] {
        assert!(is_planted(&server, planted), "{planted}");
    }
    for name in [document.as_str(), file.as_str().unwrap()] {
        let deleted = server.ask("DELETE", &format!("/v1/{name}?force=True"), "{}").await;
        assert_eq!(deleted.json(), json!({}));
    }
    piece(&server, &given_up, "cancel", 0, "").await;
    for planted in ["quetzalco", "The heron", "cormorant"] {
        assert!(!is_planted(&server, planted), "{planted}");
    }
    assert_eq!(server.ask("GET", &format!("/v1/{kept}"), "").await.status, 200);
    server.ask("DELETE", &format!("/v1/{store}?force=true"), "").await;
    assert!(!is_planted(&server, "kingfishe"));
}

fn is_planted(server: &TestServer, text: &str) -> bool {
    let mut folders = vec![server.folder.path().to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if std::fs::read(&path).unwrap().windows(text.len()).any(|found| found == text.as_bytes()) {
                return true;
            }
        }
    }
    false
}
