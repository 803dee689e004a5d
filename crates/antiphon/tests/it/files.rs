//! Files and stores survive the death of the server: what was acknowledged is there.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};

use serde_json::{Value, json};

use crate::lookalike::Lookalike;
use crate::server::{Server, Site};

const SCRIPT: &str = r#"
[[reply]]
when = "opened by Titus"
chunks = ["The Colosseum was opened by Titus in the year 80 ⟦1⟧."]

[[reply]]
when = "Who opened it?"
calls = [{ name = "file_search", arguments = { queries = ["Colosseum opened"] } }]
"#;
const TITUS: &str = "The Colosseum was opened by Titus in the year 80.";

/// Sends a request with these headers.
fn sent(server: &Server, path: &str, headers: &[(&str, &str)], body: &str) -> TcpStream {
    let mut connection = TcpStream::connect(&server.address).unwrap();
    let mut request = format!("POST {path} HTTP/1.0\r\nhost: {}\r\ncontent-length: {}\r\n", server.address, body.len());
    for (name, value) in headers {
        request.push_str(&format!("{name}: {value}\r\n"));
    }
    connection.write_all(format!("{request}\r\n{body}").as_bytes()).unwrap();
    connection
}

/// Sends a request with these headers and reads the answer: its head and its body.
fn send(server: &Server, path: &str, headers: &[(&str, &str)], body: &str) -> (String, Value) {
    let mut connection = sent(server, path, headers, body);
    let mut answer = String::new();
    connection.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.to_owned(), serde_json::from_str(body).unwrap())
}

fn piece(server: &Server, address: &str, command: &str, offset: usize, body: &str) -> (String, Value) {
    let offset = offset.to_string();
    send(server, address, &[("x-goog-upload-command", command), ("x-goog-upload-offset", &offset)], body)
}

fn kill_and_restart(site: &Site, server: Server) -> Server {
    server.kill();
    site.serve(&[])
}

#[test]
fn an_upload_a_store_and_its_documents_survive_kill_9() {
    let site = Site::scripted(SCRIPT);
    let server = site.serve(&[]);
    let made = server.call("POST", "/v1/fileSearchStores", Some(&json!({"displayName": "Rome"}))).unwrap();
    let store = made.body["name"].as_str().unwrap().to_owned();
    let server = kill_and_restart(&site, server);
    assert_eq!(server.call("GET", &format!("/v1/{store}"), None).unwrap().body, made.body);

    let headers = [
        ("x-goog-api-key", site.key.as_str()),
        ("x-goog-upload-protocol", "resumable"),
        ("x-goog-upload-command", "start"),
        ("x-goog-upload-header-content-type", "text/plain"),
    ];
    let (head, _) = send(&server, &format!("/upload/v1/{store}:uploadToFileSearchStore"), &headers, "{}");
    let address = head.lines().find_map(|line| line.strip_prefix("x-goog-upload-url: http://")).unwrap();
    let address = address[address.find('/').unwrap()..].to_owned();
    let (head, _) = piece(&server, &address, "upload", 0, &TITUS[..20]);
    assert!(head.contains("x-goog-upload-status: active"), "{head}");
    let server = kill_and_restart(&site, server);
    let (head, _) = piece(&server, &address, "query", 0, "");
    assert!(head.contains("x-goog-upload-size-received: 20"), "{head}");
    let (head, operation) = piece(&server, &address, "upload, finalize", 20, &TITUS[20..]);
    assert!(head.contains("x-goog-upload-status: final") && operation["done"] == true, "{head}");

    let server = kill_and_restart(&site, server);
    let named = operation["name"].as_str().unwrap();
    assert_eq!(server.call("GET", &format!("/v1/{named}"), None).unwrap().body, operation);
    let tool = json!({"type": "file_search", "file_search_store_names": [store]});
    let answer = server.create(&json!({"model": "scripted", "input": "Who opened it?", "tools": [tool]})).unwrap();
    let cited = &answer.body["steps"][2]["content"][0]["annotations"][0];
    assert_eq!(cited["document_uri"], operation["response"]["documentName"], "{}", answer.body);
    assert_eq!((&cited["start_index"], &cited["end_index"]), (&json!(0), &json!(48)));
}

#[test]
fn an_upload_to_an_object_store_survives_kill_9() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let lookalike = runtime.block_on(Lookalike::start());
    let site = Site::scripted_with("[files]\nstore = \"s3://bucket/kept\"\n", SCRIPT);
    let server = site.serve_where(&lookalike.variables());
    let headers = [
        ("x-goog-api-key", site.key.as_str()),
        ("x-goog-upload-protocol", "resumable"),
        ("x-goog-upload-command", "start"),
        ("x-goog-upload-header-content-type", "text/plain"),
    ];
    let (head, _) = send(&server, "/upload/v1/files", &headers, "{}");
    let address = head.lines().find_map(|line| line.strip_prefix("x-goog-upload-url: http://")).unwrap();
    let address = address[address.find('/').unwrap()..].to_owned();
    let long = "the heron waits ".repeat(600_000);
    let (head, _) = piece(&server, &address, "upload", 0, &long);
    assert!(head.contains("x-goog-upload-status: active"), "{head}");

    // It dies between two parts that it sends.
    lookalike.kept().stalls_at = Some(2);
    let size = long.len().to_string();
    let end = [("x-goog-upload-command", "upload, finalize"), ("x-goog-upload-offset", size.as_str())];
    let connection = sent(&server, &address, &end, "");
    runtime.block_on(lookalike.stalled.notified());
    server.kill();
    drop(connection);
    lookalike.kept().stalls_at = None;
    assert!(lookalike.kept().objects.is_empty());

    let server = site.serve_where(&lookalike.variables());
    let (head, _) = piece(&server, &address, "query", 0, "");
    assert!(head.contains(&format!("x-goog-upload-size-received: {size}")), "{head}");
    let (head, made) = piece(&server, &address, "upload, finalize", long.len(), "");
    assert!(head.contains("x-goog-upload-status: final"), "{head}");
    let whole: Vec<_> = lookalike.kept().objects.values().cloned().collect();
    assert!(whole.len() == 1 && whole[0] == long, "{} objects", whole.len());

    server.kill();
    let server = site.serve_where(&lookalike.variables());
    let name = made["file"]["name"].as_str().unwrap();
    assert_eq!(server.call("GET", &format!("/v1/{name}"), None).unwrap().body["sizeBytes"], size);
    assert_eq!(server.call("DELETE", &format!("/v1/{name}"), None).unwrap().status, 200);
    assert!(lookalike.kept().objects.is_empty());
}

#[test]
fn an_object_store_that_is_absent_or_silent_does_not_keep_the_server_from_its_start() {
    let site = Site::scripted_with("[files]\nstore = \"s3://bucket/kept\"\n", SCRIPT);
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let variables = |address: SocketAddr| {
        [
            ("AWS_ENDPOINT", format!("http://{address}")),
            ("AWS_ALLOW_HTTP", "true".to_owned()),
            ("AWS_ACCESS_KEY_ID", "id".to_owned()),
            ("AWS_SECRET_ACCESS_KEY", "secret".to_owned()),
        ]
        .map(|(name, value)| (name.to_owned(), value))
    };
    let address = silent.local_addr().unwrap();
    let server = site.serve_where(&variables(address));
    // It has asked, and will never be answered.
    let (asking, _) = silent.accept().unwrap();
    assert_eq!(server.call("GET", "/v1/files", None).unwrap().status, 200);
    server.kill();
    drop((asking, silent));

    let server = site.serve_where(&variables(address));
    assert_eq!(server.call("GET", "/v1/files", None).unwrap().status, 200);
}
