//! `kill -9` around everything that makes or reads files of an environment: uploads, archives that are
//! unpacked, snapshots, and workspaces that are put to rest and woken. What there is afterwards is
//! what was there before, or what was to be there, and nothing between the two.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use pretty_assertions::assert_eq;
use serde_json::{Value, json};

use crate::server::{Server, Site, files, until_true};

const SCRIPT: &str = "[[reply]]\nchunks = [\"unused\"]\n";

/// Sends a request and reads the answer: its head and its body. None when the server died before its end.
fn send(server: &Server, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Option<(String, String)> {
    let mut connection = TcpStream::connect(&server.address).ok()?;
    let length = body.len();
    let mut head = format!("{method} {path} HTTP/1.0\r\nhost: {}\r\ncontent-length: {length}\r\n", server.address);
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    connection.write_all(format!("{head}\r\n").as_bytes()).ok()?;
    connection.write_all(body).ok()?;
    let mut answer = String::new();
    connection.read_to_string(&mut answer).ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    Some((head.to_owned(), body.to_owned()))
}

/// The address of an upload that has begun.
fn begin(server: &Server, site: &Site, target: &str) -> String {
    let headers = [
        ("x-goog-api-key", site.key.as_str()),
        ("x-goog-upload-protocol", "resumable"),
        ("x-goog-upload-command", "start"),
    ];
    let (head, body) = send(server, "PUT", target, &headers, b"").unwrap();
    let address = head.lines().find_map(|line| line.strip_prefix("x-goog-upload-url: http://"));
    let address = address.unwrap_or_else(|| panic!("{head}\n{body}"));
    address[address.find('/').unwrap()..].to_owned()
}

fn piece(server: &Server, address: &str, command: &str, offset: usize, body: &[u8]) -> Option<(String, String)> {
    let offset = offset.to_string();
    let headers = [("x-goog-upload-command", command), ("x-goog-upload-offset", offset.as_str())];
    send(server, "POST", address, &headers, body)
}

/// How many bytes of an upload have come.
fn received(server: &Server, address: &str) -> usize {
    let (head, body) = piece(server, address, "query", 0, b"").unwrap();
    let size = head.lines().find_map(|line| line.strip_prefix("x-goog-upload-size-received: "));
    size.unwrap_or_else(|| panic!("{head}\n{body}")).trim().parse().unwrap()
}

fn create(server: &Server, body: &Value) -> String {
    let made = server.call("POST", "/v1/environments", Some(body)).unwrap();
    assert_eq!(made.status, 200, "{:?}", made.body);
    made.body["id"].as_str().unwrap().to_owned()
}

/// The paths and sizes of the files of an environment.
fn listed(server: &Server, environment: &str) -> Vec<(String, u64)> {
    let path = format!("/v1/environments/{environment}/files/?recursive=true");
    let listed = server.call("GET", &path, None).unwrap().body["files"].clone();
    let file = |file: &Value| (file["path"].as_str().unwrap().to_owned(), file["size_bytes"].as_u64().unwrap());
    let is_file = |file: &&Value| file["type"] == "file";
    listed.as_array().unwrap().iter().filter(is_file).map(file).collect()
}

fn snapshot(server: &Server, environment: &str, most: u64) -> Option<Vec<u8>> {
    server.bytes(&format!("/v1/files/environment-{environment}:download?alt=media"), most)
}

/// What is in the folder of an environment, beside what is in its workspace.
fn home(site: &Site, environment: &str) -> Vec<String> {
    let folders = std::fs::read_dir(site.workspaces()).unwrap().map(|entry| entry.unwrap().path());
    let home = folders.map(|folder| folder.join(environment)).find(|home| home.is_dir()).unwrap();
    let mut names: Vec<_> =
        std::fs::read_dir(home).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// Bytes that no compression makes fewer.
fn noise(size: usize) -> Vec<u8> {
    let mut state = 0x2545_F491_4F6C_DD1D_u64;
    let next = |_| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    };
    (0..size.div_ceil(8)).flat_map(next).take(size).collect()
}

fn archive() -> Vec<u8> {
    let mut whole = Vec::new();
    for (name, size) in [("a/one", 40_000), ("a/two", 50_000), ("three", 60_000)] {
        let mut head = [0; 512];
        head[..name.len()].copy_from_slice(name.as_bytes());
        head[100..107].copy_from_slice(b"0000644");
        head[124..135].copy_from_slice(format!("{size:011o}").as_bytes());
        head[136..147].copy_from_slice(b"00000000000");
        head[148..156].copy_from_slice(b"        ");
        head[156] = b'0';
        head[257..265].copy_from_slice(b"ustar\x0000");
        let sum: u32 = head.iter().map(|byte| u32::from(*byte)).sum();
        head[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        whole.extend(head);
        whole.extend(noise(size));
        whole.resize(whole.len().next_multiple_of(512), 0);
    }
    whole.resize(whole.len() + 1024, 0);
    whole
}

#[test]
fn an_upload_survives_between_any_two_of_its_requests() {
    let site = Site::scripted(SCRIPT);
    let server = site.serve(&[]);
    let environment = create(&server, &json!({}));
    let bytes = noise(300_000);
    let address = begin(&server, &site, &format!("/upload/v1/environments/{environment}/files/data/noise"));
    server.kill();
    let server = site.serve(&[]);
    assert_eq!(received(&server, &address), 0);
    piece(&server, &address, "upload", 0, &bytes[..100_000]).unwrap();
    server.kill();
    let server = site.serve(&[]);
    assert_eq!(received(&server, &address), 100_000);
    // Killed in the middle of a piece: what was not acknowledged has not come.
    let mut connection = TcpStream::connect(&server.address).unwrap();
    let head = format!(
        "POST {address} HTTP/1.1\r\nhost: x\r\ncontent-length: 100000\r\nx-goog-upload-command: upload\r\n\
         x-goog-upload-offset: 100000\r\n\r\n"
    );
    connection.write_all(head.as_bytes()).unwrap();
    connection.write_all(&bytes[100_000..150_000]).unwrap();
    server.kill();
    let server = site.serve(&[]);
    assert_eq!(received(&server, &address), 100_000);
    assert_eq!(listed(&server, &environment), []);
    piece(&server, &address, "upload", 100_000, &bytes[100_000..]).unwrap();
    server.kill();
    let server = site.serve(&[]);
    assert_eq!(listed(&server, &environment), []);
    let (head, _) = piece(&server, &address, "finalize", 300_000, b"").unwrap();
    assert!(head.contains("x-goog-upload-status: final"), "{head}");
    server.kill();
    let server = site.serve(&[]);
    let path = format!("/v1/environments/{environment}/files/data/noise?alt=media");
    assert!(server.bytes(&path, u64::MAX).unwrap() == bytes);
    assert_eq!(home(&site, &environment), ["workspace"]);
}

#[test]
fn what_comes_in_is_there_whole_or_not_at_all_wherever_the_server_dies() {
    let site = Site::scripted(SCRIPT);
    let all: [(&str, u64); 3] = [("a/one", 40_000), ("a/two", 50_000), ("three", 60_000)];
    let all: Vec<_> = all.map(|(path, size)| (path.to_owned(), size)).into();
    let one = vec![("one".to_owned(), 40_000)];
    let (archive, file) = (archive(), noise(40_000));
    let uploads = [
        ("?extract=true&overwrite=true", &archive, &all, ["staged:1", "committed:1", "moved:1", "moved:2", "placed:1"]),
        ("one?overwrite=true", &file, &one, ["staged:1", "committed:1", "moved:1", "placed:1", ""]),
    ];
    for (target, bytes, expected, faults) in uploads {
        for fault in faults.into_iter().filter(|fault| !fault.is_empty()) {
            let server = site.serve(&["--fault", fault]);
            let environment = create(&server, &json!({}));
            let address = begin(&server, &site, &format!("/upload/v1/environments/{environment}/files/{target}"));
            assert_eq!(piece(&server, &address, "upload, finalize", 0, bytes), None, "{fault}");
            assert!(!server.wait().success(), "{fault}");
            let server = site.serve(&[]);
            // Before anything else is asked of it.
            let is_in = fault != "staged:1";
            let there = if is_in { expected.clone() } else { Vec::new() };
            assert_eq!(listed(&server, &environment), there, "{fault} {target}");
            assert_eq!(home(&site, &environment), ["workspace"], "{fault} {target}");
            // The client does not know, and sends the end again.
            let (head, body) = piece(&server, &address, "finalize", received(&server, &address), b"").unwrap();
            assert!(head.contains("x-goog-upload-status: final"), "{fault} {target}: {head}\n{body}");
            assert_eq!(listed(&server, &environment), *expected, "{fault} {target}");
            let shown = server.call("GET", &format!("/v1/environments/{environment}"), None).unwrap().body;
            assert_eq!(shown["file_count"], expected.len(), "{fault} {target}");
            server.kill();
        }
    }
}

#[test]
fn a_snapshot_that_is_cut_looks_cut_and_leaves_nothing() {
    let site = Site::scripted(SCRIPT);
    let server = site.serve(&[]);
    let environment = create(&server, &json!({}));
    let target = format!("/upload/v1/environments/{environment}/files/noise");
    let address = begin(&server, &site, &target);
    piece(&server, &address, "upload, finalize", 0, &noise(32 << 20)).unwrap();
    let whole = snapshot(&server, &environment, u64::MAX).unwrap();
    assert!(whole.len() > 32 << 20);
    let kept = |site: &Site| {
        let mut kept = files(&site.workspaces());
        kept.sort();
        kept
    };
    let before = kept(&site);
    let mut server = server;
    for read in [0, 1, 100_000, 1 << 20, 8 << 20] {
        let mut connection = TcpStream::connect(&server.address).unwrap();
        let head = format!(
            "GET /v1/files/environment-{environment}:download?alt=media HTTP/1.1\r\nhost: x\r\nx-goog-api-key: {}\r\n\r\n",
            site.key
        );
        connection.write_all(head.as_bytes()).unwrap();
        let mut cut = vec![0; read];
        connection.read_exact(&mut cut).unwrap();
        server.kill();
        // What is on its way still comes; the end of the whole does not.
        let _ = connection.read_to_end(&mut cut);
        assert!(!cut.ends_with(b"\r\n0\r\n\r\n"), "after {read} bytes");
        server = site.serve(&[]);
        assert_eq!(kept(&site), before, "after {read} bytes");
        assert!(snapshot(&server, &environment, u64::MAX).unwrap() == whole, "after {read} bytes");
    }
}

/// An environment with files of several kinds, and its snapshot.
fn filled(site: &Site) -> (String, Vec<u8>) {
    let server = site.serve(&[]);
    let environment = create(&server, &json!({}));
    let target = format!("/upload/v1/environments/{environment}/files/?extract=true");
    let address = begin(&server, site, &target);
    piece(&server, &address, "upload, finalize", 0, &archive()).unwrap();
    let whole = snapshot(&server, &environment, u64::MAX).unwrap();
    server.kill();
    (environment, whole)
}

#[test]
fn an_environment_that_is_put_to_rest_is_whole_wherever_the_server_dies() {
    let site = Site::scripted(SCRIPT);
    let (environment, whole) = filled(&site);
    for fault in ["packing:1", "packing:3", "packed:1", "kept:1", "discarded:1"] {
        let server = site.serve_resting(&["--fault", fault]);
        assert!(!server.wait().success(), "{fault}");
        let server = site.serve(&[]);
        let left = home(&site, &environment);
        let expected = if fault == "discarded:1" { "resting.tar.gz" } else { "workspace" };
        assert_eq!(left, [expected], "{fault}");
        assert!(snapshot(&server, &environment, u64::MAX).unwrap() == whole, "{fault}");
        assert_eq!(home(&site, &environment), ["workspace"], "{fault}");
        server.kill();
    }
}

#[test]
fn an_environment_that_is_woken_is_whole_wherever_the_server_dies() {
    let site = Site::scripted(SCRIPT);
    let (environment, whole) = filled(&site);
    for fault in ["unpacking:1", "unpacking:3", "unpacked:1", "woken:1"] {
        let server = site.serve_resting(&[]);
        until_true(|| home(&site, &environment) == ["resting.tar.gz"]);
        server.kill();
        let server = site.serve(&["--fault", fault]);
        assert_eq!(snapshot(&server, &environment, u64::MAX), None, "{fault}");
        assert!(!server.wait().success(), "{fault}");
        let server = site.serve(&[]);
        let left = home(&site, &environment);
        assert_eq!(left, [if fault == "woken:1" { "workspace" } else { "resting.tar.gz" }], "{fault}");
        assert!(snapshot(&server, &environment, u64::MAX).unwrap() == whole, "{fault}");
        server.kill();
    }
}
