//! A medium of 100 MB costs the server no memory that could be told: it is on disk from the moment it
//! comes until a service or a helper process has it.

use std::io::{BufRead as _, BufReader, Cursor, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::thread::JoinHandle;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use pretty_assertions::assert_eq;
use serde_json::{Value, json};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

use crate::server::{Server, Site};

/// Of the medium.
const BYTES: usize = 100_000_000;

/// What it may cost, in KiB.
const MOST_KIB: u64 = 64 << 10;

const SCRIPT: &str = "[[reply]]\nwhen = \"What?\"\nchunks = [\"It was read.\"]\n";

/// Bytes without a pattern that a machine could make short.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 1_u32;
    let next = |_| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state.to_be_bytes()[0]
    };
    (0..length).map(next).collect()
}

/// A document of an office program with few words and a large picture.
fn document(words: &str) -> Vec<u8> {
    let main = format!(
        "<w:document xmlns:w=\"http://schemas.openxmlformats.org/wordprocessingml/2006/main\"><w:body><w:p><w:r>\
         <w:t>{words}</w:t></w:r></w:p></w:body></w:document>"
    );
    let stored = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
    let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
    let links = "<Relationships xmlns=\"http://schemas.openxmlformats.org/package/2006/relationships\"><Relationship Id=\"a\" \
                 Type=\"http://schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument\" \
                 Target=\"word/document.xml\"/></Relationships>";
    let parts = [
        ("_rels/.rels", links.as_bytes().to_vec()),
        ("word/document.xml", main.into_bytes()),
        ("word/media/image1.bmp", noise(BYTES)),
    ];
    for (name, content) in parts {
        archive.start_file(name, stored).unwrap();
        archive.write_all(&content).unwrap();
    }
    archive.finish().unwrap().into_inner()
}

/// A service of chat completions that answers one request; what it was sent is the result.
fn service() -> (String, JoinHandle<Value>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/v1", listener.local_addr().unwrap());
    let serving = std::thread::spawn(move || {
        let (mut connection, _) = listener.accept().unwrap();
        let mut reader = BufReader::new(connection.try_clone().unwrap());
        let (mut line, mut length) = (String::new(), 0);
        while line != "\r\n" {
            line.clear();
            reader.read_line(&mut line).unwrap();
            if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().unwrap();
            }
        }
        let mut body = Vec::new();
        reader.take(length).read_to_end(&mut body).unwrap();
        let events = "data: {\"choices\":[{\"delta\":{\"content\":\"Seen.\"},\"finish_reason\":\"stop\"}]}\n\n\
                      data: [DONE]\n\n";
        let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n";
        connection.write_all(format!("{head}{events}").as_bytes()).unwrap();
        serde_json::from_slice(&body).unwrap()
    });
    (url, serving)
}

/// The server's memory as the kernel has it, in KiB: `VmRSS`, or the most there was, `VmHWM`.
fn memory(server: &Server, name: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.id())).unwrap();
    let line = status.lines().find(|line| line.starts_with(name)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// Does something, and gives what it cost at most, in KiB.
fn cost<T>(server: &Server, work: impl FnOnce() -> T) -> (u64, T) {
    // Forgets what was the most so far.
    std::fs::write(format!("/proc/{}/clear_refs", server.id()), "5").unwrap();
    let before = memory(server, "VmRSS");
    let done = work();
    (memory(server, "VmHWM").saturating_sub(before), done)
}

/// Sends a request whose body is long, and gives the answer.
fn post(server: &Server, path: &str, headers: &str, pieces: &[&[u8]]) -> (String, Value) {
    let mut connection = TcpStream::connect(&server.address).unwrap();
    let length: usize = pieces.iter().map(|piece| piece.len()).sum();
    let head = format!(
        "POST {path} HTTP/1.0\r\nhost: {}\r\nx-goog-api-key: {}\r\n{headers}content-length: {length}\r\n\r\n",
        server.address, server.key
    );
    connection.write_all(head.as_bytes()).unwrap();
    pieces.iter().for_each(|piece| connection.write_all(piece).unwrap());
    let mut answer = String::new();
    connection.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.to_owned(), serde_json::from_str(body).unwrap_or_default())
}

/// Asks about a medium of which one part is not said yet: its base64, or where it is.
fn ask(server: &Server, part: &Value, base64: &str) -> Value {
    let body = json!({"model": "gemini-3.5-flash", "input": [{"type": "text", "text": "What?"}, part]}).to_string();
    let (start, end) = body.split_once("HERE").unwrap();
    post(server, "/v1beta/interactions", "", &[start.as_bytes(), base64.as_bytes(), end.as_bytes()]).1
}

/// Keeps a file on the server; gives its name.
fn upload(server: &Server, mime_type: &str, bytes: &[u8]) -> String {
    let headers = format!(
        "x-goog-upload-protocol: resumable\r\nx-goog-upload-command: start\r\n\
         x-goog-upload-header-content-type: {mime_type}\r\n"
    );
    let (head, _) = post(server, "/upload/v1beta/files", &headers, &[b"{}"]);
    let address = head.lines().find_map(|line| line.strip_prefix("x-goog-upload-url: http://")).unwrap();
    let address = address[address.find('/').unwrap()..].to_owned();
    let mut name = Value::Null;
    let mut offset = 0;
    for piece in bytes.chunks(8 << 20) {
        let end = offset + piece.len();
        let command = if end == bytes.len() { "upload, finalize" } else { "upload" };
        let headers = format!("x-goog-upload-command: {command}\r\nx-goog-upload-offset: {offset}\r\n");
        name = post(server, &address, &headers, &[piece]).1["file"]["name"].take();
        offset = end;
    }
    name.as_str().unwrap().to_owned()
}

#[test]
fn a_medium_of_100_mb_on_its_way_to_a_service_costs_no_memory() {
    let video = noise(BYTES);
    // The box of an MP4 file.
    let video = [b"\0\0\0\x18ftypisom".as_slice(), &video].concat();
    let base64 = STANDARD.encode(&video);
    for by_address in [false, true] {
        let (url, serving) = service();
        let site = Site::chatting(&url, "capabilities = { media = [\"video\"] }\n");
        let server = site.serve(&[]);
        let uri = by_address.then(|| upload(&server, "video/mp4", &video));
        let (cost, answer) = cost(&server, || match &uri {
            Some(uri) => ask(&server, &json!({"type": "video", "mime_type": "HERE", "uri": uri}), "video/mp4"),
            None => ask(&server, &json!({"type": "video", "mime_type": "video/mp4", "data": "HERE"}), &base64),
        });
        assert_eq!(answer["steps"][0]["content"][0]["text"], "Seen.", "{answer}");
        let sent = serving.join().unwrap();
        let url = sent["messages"][0]["content"][1]["video_url"]["url"].as_str().unwrap();
        let same = url.strip_prefix("data:video/mp4;base64,").is_some_and(|sent| sent == base64);
        assert!(same, "the service was sent other bytes");
        assert!(cost <= MOST_KIB, "by address {by_address}: it cost {cost} KiB");
    }
}

#[test]
fn a_medium_of_100_mb_that_is_read_for_the_model_costs_no_memory() {
    const MIME_TYPE: &str = "application/vnd.openxmlformats-officedocument.wordprocessingml.document";
    let document = document("The Colosseum was opened.");
    let base64 = STANDARD.encode(&document);
    for by_address in [false, true] {
        let site = Site::scripted(SCRIPT);
        let server = site.serve(&[]);
        let uri = by_address.then(|| upload(&server, MIME_TYPE, &document));
        let (cost, answer) = cost(&server, || match &uri {
            Some(uri) => ask(&server, &json!({"type": "document", "mime_type": "HERE", "uri": uri}), MIME_TYPE),
            None => ask(&server, &json!({"type": "document", "mime_type": MIME_TYPE, "data": "HERE"}), &base64),
        });
        assert!(answer["steps"].to_string().contains("The Colosseum was opened."), "{answer}");
        let said = &answer["steps"].as_array().unwrap().last().unwrap()["content"][0]["text"];
        assert_eq!(said, "It was read.", "{answer}");
        assert!(cost <= MOST_KIB, "by address {by_address}: it cost {cost} KiB");
    }
}
