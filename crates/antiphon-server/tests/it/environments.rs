//! Environments and their files over HTTP, as the SDKs send them.

use axum::body::Body;
use axum::http::Request;
use pretty_assertions::assert_eq;
use serde_json::{Value, json};

use crate::puppet::Puppet;
use crate::support::{Answer, TestServer};

const HERON: &str = "The heron waits by the water.";

async fn server() -> TestServer {
    TestServer::with(Puppet::Says(&["Hi"])).await
}

async fn create(server: &TestServer, body: Value) -> String {
    let made = server.ask("POST", "/v1/environments", body.to_string()).await;
    assert_eq!(made.status, 200, "{:?}", made.body);
    made.id()
}

fn heron(target: &str) -> Value {
    json!({"sources": [{"type": "inline", "content": HERON, "target": target}]})
}

/// What the SDKs send to begin an upload.
async fn start(server: &TestServer, key: &str, target: &str, size: usize) -> Answer {
    let request = Request::put(target)
        .header("host", "box:8080")
        .header("x-goog-api-key", key)
        .header("X-Goog-Upload-Protocol", "resumable")
        .header("X-Goog-Upload-Command", "start")
        .header("X-Goog-Upload-Header-Content-Length", size)
        .header("X-Goog-Upload-Header-Content-Type", "text/plain");
    server.send(request.body(Body::empty()).unwrap()).await
}

/// Sends a whole file; pieces carry no key.
async fn upload(server: &TestServer, target: &str, bytes: &[u8]) -> Answer {
    let started = start(server, &server.key, target, bytes.len()).await;
    if started.status != 200 {
        return started;
    }
    assert_eq!(started.header("x-goog-upload-status"), "active");
    let address = started.header("x-goog-upload-url").strip_prefix("http://box:8080").unwrap();
    let piece = Request::post(address)
        .header("X-Goog-Upload-Command", "upload, finalize")
        .header("X-Goog-Upload-Offset", 0)
        .body(Body::from(bytes.to_vec()));
    let ended = server.send(piece.unwrap()).await;
    assert_eq!(ended.header("x-goog-upload-status"), "final");
    ended
}

fn paths(answer: &Answer) -> Vec<String> {
    let files = answer.json()["files"].clone();
    files.as_array().unwrap().iter().map(|file| file["path"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn an_environment_is_made_copied_listed_and_deleted() {
    let server = server().await;
    // Python's SDK sends nothing where there is nothing to say.
    let empty = server.ask("POST", "/v1beta/environments", "").await.id();
    let id = create(&server, heron("a.txt")).await;
    let copy = create(&server, json!({"from_environment": format!("environments/{id}")})).await;
    let shown = server.ask("GET", &format!("/v1/environments/{id}"), "").await.json();
    assert_eq!((&shown["id"], &shown["environment_id"], &shown["type"]), (&json!(id), &json!(id), &json!("remote")));
    assert_eq!(
        (&shown["network"], &shown["file_count"], &shown["size_bytes"]),
        (&json!("disabled"), &json!(1), &json!(29))
    );
    assert_eq!(shown["sources"], json!([{"type": "inline", "target": "a.txt"}]));
    let mut listed = Vec::new();
    let mut target = "/v1/environments?page_size=2".to_owned();
    loop {
        let page = server.ask("GET", &target, "").await.json();
        listed
            .extend(page["environments"].as_array().unwrap().iter().map(|one| one["id"].as_str().unwrap().to_owned()));
        let Some(token) = page.get("next_page_token") else { break };
        target = format!("/v1/environments?page_size=2&page_token={}", token.as_str().unwrap());
    }
    listed.sort_unstable();
    let mut made = vec![empty, id.clone(), copy.clone()];
    made.sort_unstable();
    assert_eq!(listed, made);
    let deleted = server.ask("DELETE", &format!("/v1/environments/{id}"), "").await;
    assert_eq!((deleted.status.as_u16(), deleted.json()), (200, json!({})));
    assert_eq!(server.ask("GET", &format!("/v1/environments/{id}"), "").await.error(), (404, "not_found".to_owned()));
    let bytes = server.ask("GET", &format!("/v1/environments/{copy}/files/a.txt?alt=media"), "").await;
    assert_eq!(bytes.body, HERON);
}

#[tokio::test]
async fn files_go_in_and_out() {
    let server = server().await;
    let id = create(&server, heron("src/a b/ü.txt")).await;
    let files = format!("/v1/environments/{id}/files");
    assert_eq!(paths(&server.ask("GET", &format!("{files}/"), "").await), ["src"]);
    assert_eq!(paths(&server.ask("GET", &files, "").await), ["src"]);
    let all = ["src", "src/a b", "src/a b/ü.txt"];
    assert_eq!(paths(&server.ask("GET", &format!("{files}/?recursive=true"), "").await), all);
    let page = server.ask("GET", &format!("{files}/?recursive=true&page_size=2"), "").await;
    assert_eq!(paths(&page), all[..2]);
    let token = page.json()["next_page_token"].as_str().unwrap().to_owned();
    let next = server.ask("GET", &format!("{files}/?recursive=true&page_size=2&page_token={token}"), "").await;
    assert_eq!((paths(&next), next.json().get("next_page_token")), (vec![all[2].to_owned()], None));

    let file = format!("{files}/src/a%20b/%C3%BC.txt");
    let alone = server.ask("GET", &file, "").await.json();
    let shown = &alone["files"][0];
    assert_eq!((&shown["name"], &shown["type"], &shown["size_bytes"]), (&json!("ü.txt"), &json!("file"), &json!(29)));
    assert_eq!(shown["mime_type"], "text/plain");
    let bytes = server.ask("GET", &format!("{file}?alt=media"), "").await;
    assert_eq!((bytes.status.as_u16(), bytes.body.as_ref()), (200, HERON.as_bytes()));
    assert_eq!((bytes.header("content-length"), bytes.header("x-content-type-options")), ("29", "nosniff"));

    let target = format!("/upload/v1/environments/{id}/files/src/new.txt");
    let placed = upload(&server, &target, b"one").await;
    assert_eq!((placed.status.as_u16(), paths(&placed)), (200, vec!["src/new.txt".to_owned()]));
    assert_eq!(upload(&server, &target, b"two").await.error(), (400, "failed_precondition".to_owned()));
    assert_eq!(upload(&server, &format!("{target}?overwrite=true"), b"two").await.status, 200);
    assert_eq!(server.ask("GET", &format!("{files}/src/new.txt?alt=media"), "").await.body, "two");
}

#[tokio::test]
async fn an_archive_is_unpacked_and_a_snapshot_taken() {
    let server = server().await;
    let id = create(&server, json!({})).await;
    let mut archive = tar_of("dir/one.txt", HERON);
    let placed = upload(&server, &format!("/upload/v1/environments/{id}/files/?extract=true"), &archive).await;
    assert_eq!((placed.status.as_u16(), paths(&placed)), (200, vec!["dir/one.txt".to_owned()]));
    let snapshot = server.ask("GET", &format!("/v1/files/environment-{id}:download?alt=media"), "").await;
    assert_eq!((snapshot.status.as_u16(), snapshot.header("content-type")), (200, "application/x-tar"));
    assert!(snapshot.body.windows(HERON.len()).any(|window| window == HERON.as_bytes()));
    // A name that leads up changes nothing.
    archive[..11].copy_from_slice(b"../one.text");
    let refused = upload(&server, &format!("/upload/v1/environments/{id}/files/?extract=true"), &archive).await;
    assert_eq!(refused.status, 400);
    assert!(!server.folder.path().join("workspaces").join(&id).join("one.text").exists());
}

/// A tar archive of one file, by hand.
fn tar_of(name: &str, content: &str) -> Vec<u8> {
    let mut head = [0_u8; 512];
    head[..name.len()].copy_from_slice(name.as_bytes());
    head[100..107].copy_from_slice(b"0000644");
    head[124..135].copy_from_slice(format!("{:011o}", content.len()).as_bytes());
    head[156] = b'0';
    head[257..263].copy_from_slice(b"ustar\0");
    head[148..156].fill(b' ');
    let sum: u32 = head.iter().map(|byte| u32::from(*byte)).sum();
    head[148..154].copy_from_slice(format!("{sum:06o}").as_bytes());
    let mut archive = head.to_vec();
    archive.extend_from_slice(content.as_bytes());
    archive.resize(archive.len().div_ceil(512) * 512 + 1024, 0);
    archive
}

#[tokio::test]
async fn no_path_leaves_its_workspace() {
    let server = server().await;
    let id = create(&server, heron("a.txt")).await;
    for path in [
        "..",
        "../secret",
        "%2e%2e",
        "%2E%2E/secret",
        "a%2F..%2F..",
        "%2fetc%2fpasswd",
        "/etc/passwd",
        "a%5Cb",
        "a%00b",
        "a%0Ab",
        ".",
        "./a.txt",
        "a//b",
        "%FF",
    ] {
        let asked = server.ask("GET", &format!("/v1/environments/{id}/files/{path}?alt=media"), "").await;
        assert_eq!(asked.error(), (400, "invalid_request".to_owned()), "{path}");
        assert!(asked.message().starts_with("`path`"), "{}", asked.message());
        let begun = start(&server, &server.key, &format!("/upload/v1/environments/{id}/files/{path}"), 1).await;
        assert_eq!(begun.error(), (400, "invalid_request".to_owned()), "{path}");
    }
}

#[tokio::test]
async fn what_is_not_there_or_not_understood_is_said() {
    let server = server().await;
    let id = create(&server, heron("a/b.txt")).await;
    let files = format!("/v1/environments/{id}/files");
    for (method, target, body, expected) in [
        ("POST", "/v1/environments".to_owned(), json!({"colour": 1}), (400, "parameter_unknown", "`colour`")),
        ("POST", "/v1/environments".to_owned(), json!({"network": "on"}), (400, "invalid_request", "`network`")),
        ("POST", "/v1/environments".to_owned(), heron("../a"), (400, "invalid_request", "`sources[0].target`")),
        ("POST", "/v1/environments".to_owned(), json!({"from_environment": "env_no"}), (404, "not_found", "env_no")),
        ("GET", "/v1/environments/env_no".to_owned(), json!({}), (404, "not_found", "env_no")),
        ("GET", "/v1/environments/a%20b".to_owned(), json!({}), (404, "not_found", "a b")),
        ("GET", "/v1/environments?page_size=x".to_owned(), json!({}), (400, "invalid_request", "`page_size`")),
        ("GET", "/v1/environments?page_token=x".to_owned(), json!({}), (400, "invalid_request", "`page_token`")),
        ("GET", format!("{files}/a?alt=media"), json!({}), (400, "failed_precondition", "folder")),
        ("GET", format!("{files}/c"), json!({}), (404, "not_found", "`c`")),
        ("GET", format!("{files}/a?alt=xml"), json!({}), (400, "invalid_request", "`alt`")),
        ("GET", format!("{files}/a?recursive=2"), json!({}), (400, "invalid_request", "`recursive`")),
        ("GET", format!("{files}/a?page_token=%21"), json!({}), (400, "invalid_request", "`page_token`")),
        ("DELETE", "/v1/environments/env_no".to_owned(), json!({}), (404, "not_found", "env_no")),
    ] {
        let answer = server.ask(method, &target, body.to_string()).await;
        let (status, code) = answer.error();
        assert_eq!((status, code.as_str()), (expected.0, expected.1), "{target}");
        assert!(answer.message().contains(expected.2), "{target}: {}", answer.message());
    }
    assert_eq!(server.ask("GET", "/v1/files/environment-env_no:download?alt=media", "").await.status, 404);
    let top = start(&server, &server.key, &format!("/upload/v1/environments/{id}/files/"), 1).await;
    assert_eq!(top.error(), (400, "invalid_request".to_owned()));
    let flagged = start(&server, &server.key, &format!("/upload/v1/environments/{id}/files/x?overwrite=2"), 1).await;
    assert!(flagged.message().contains("`overwrite`"), "{}", flagged.message());
}

#[tokio::test]
async fn nothing_of_one_project_is_there_for_another() {
    let server = server().await;
    let id = create(&server, heron("a.txt")).await;
    let not_found = (404, "not_found".to_owned());
    for (method, target) in [
        ("GET", format!("/v1/environments/{id}")),
        ("DELETE", format!("/v1/environments/{id}")),
        ("GET", format!("/v1/environments/{id}/files/")),
        ("GET", format!("/v1/environments/{id}/files/a.txt?alt=media")),
    ] {
        assert_eq!(server.ask_as(&server.other_key, method, &target, "").await.error(), not_found, "{target}");
        assert_eq!(server.ask_as("", method, &target, "").await.status, 401);
    }
    let copy = json!({"from_environment": id}).to_string();
    assert_eq!(server.ask_as(&server.other_key, "POST", "/v1/environments", copy).await.error(), not_found);
    let target = format!("/upload/v1/environments/{id}/files/b.txt");
    assert_eq!(start(&server, &server.other_key, &target, 1).await.error(), not_found);
    let snapshot = format!("/v1/files/environment-{id}:download?alt=media");
    assert_eq!(server.ask_as(&server.other_key, "GET", &snapshot, "").await.status, 404);
    assert_eq!(
        server.ask_as(&server.other_key, "GET", "/v1/environments", "").await.json(),
        json!({"environments": []})
    );
}
