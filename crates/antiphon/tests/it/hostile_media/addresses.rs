//! Addresses that lead where they must not, and hosts that redirect, lie, or never end.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::json;

use super::case::Case;

/// Where requests find the host; the server is told that it is really on loopback.
pub(crate) const HOST: &str = "https://media.example";

/// What is told of whatever may not be reached, or cannot be: not which of the two.
const HIDDEN: &str = "cannot fetch content from the provided URL: it cannot be reached, or may not be";

pub(crate) fn cases() -> Vec<Case> {
    let at = |uri: &str| json!({"type": "document", "uri": uri});
    let hidden = |name, uri: &str| Case::refused(name, at(uri), "uri", HIDDEN);
    let scheme = |name, uri: &str| Case::refused(name, at(uri), "uri", "expected an `https` address");
    let hosted = |name, path: &str, says| Case::refused(name, at(&format!("{HOST}{path}")), "uri", says);
    vec![
        hidden("loopback", "https://127.0.0.1/"),
        hidden("loopback by its name", "https://localhost/"),
        hidden("loopback as one number", "https://2130706433/"),
        hidden("loopback in octal", "https://0177.0.0.1/"),
        hidden("loopback of the newer protocol", "https://[::1]/"),
        hidden("loopback as the newer protocol maps it", "https://[::ffff:127.0.0.1]/"),
        hidden("every address of this machine", "https://0.0.0.0/"),
        hidden("a private network", "https://10.0.0.1/x"),
        hidden("another private network", "https://192.168.1.1/"),
        hidden("a local network of the newer protocol", "https://[fd00::1]/"),
        hidden("the metadata of a cloud", "https://169.254.169.254/latest/meta-data"),
        hidden("an address with a password", "https://user:password@example.com/"),
        hidden("a name that there is not", "https://nobody.invalid/"),
        hidden("a port that is not of the web", "https://media.example:22/"),
        scheme("plain HTTP", "http://example.com/"),
        scheme("a file of this machine", "file:///etc/passwd"),
        scheme("a bucket", "gs://bucket/object"),
        scheme("bytes in the address", "data:text/plain;base64,d29yZHM="),
        scheme("a program in the address", "javascript:alert(1)"),
        scheme("no address", "nothing"),
        Case::refused("a file that leads out of its folder", at("files/../../etc/passwd"), "uri", "not found"),
        Case::refused(
            "an address of nine thousand letters",
            at(&format!("https://example.com/{}", "x".repeat(9000))),
            "uri",
            "expected an address of at most 8192 bytes",
        ),
        hosted("a redirect to loopback", "/inward", HIDDEN),
        hosted("a redirect that leads to itself", "/around", HIDDEN),
        hosted("a fourth redirect", "/far/4", HIDDEN),
        hosted("a redirect to a file", "/file", HIDDEN),
        hosted("a host that fails", "/failing", "the answer's HTTP status is 500"),
        hosted("a host that has nothing", "/empty", "there are no bytes at this address"),
        hosted("a host that lies about the type", "/lying", "declared as `image/png` and is `text/html`"),
        hosted("a host that stops in the middle", "/cut", HIDDEN),
        hosted("a host that says no HTTP", "/noise", HIDDEN),
        hosted("a host with endless headers", "/headers", HIDDEN),
        hosted("a host that says to send 10 GB", "/claim", "the content is larger than 104857600 bytes"),
        hosted("a host that sends without end", "/endless", "the content is larger than 104857600 bytes"),
        Case::refused(
            "a PDF of 51 MB",
            at(&format!("{HOST}/large")),
            "data",
            "expected at most 52428800 bytes of `application/pdf`",
        ),
        hosted("a host that packs 110 MB", "/packed", "the content is larger than "),
        Case::read("a third redirect", at(&format!("{HOST}/far/3")), "words from afar"),
    ]
}

/// One that sends a letter and then waits: half a minute is all that it is given.
pub(crate) fn slow() -> Case {
    let part = json!({"type": "document", "uri": format!("{HOST}/slow")});
    Case::refused("a host that stops to send", part, "uri", HIDDEN)
}

/// Starts the host; its threads end with the test. Gives its address.
pub(crate) fn host() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let mut packer = GzEncoder::new(Vec::new(), Compression::fast());
    for _ in 0..110 {
        packer.write_all(&[b' '; 1 << 20]).unwrap();
    }
    let packed: Arc<[u8]> = packer.finish().unwrap().into();
    thread::spawn(move || {
        for connection in listener.incoming().flatten() {
            // Whoever is answered here may hang up at any time, and does.
            let packed = Arc::clone(&packed);
            thread::spawn(move || drop(answer(connection, &packed)));
        }
    });
    address
}

fn answer(mut connection: TcpStream, packed: &[u8]) -> std::io::Result<()> {
    let mut reader = BufReader::new(connection.try_clone()?);
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let path = line.split(' ').nth(1).unwrap_or_default().to_owned();
    while line.trim() != "" {
        line.clear();
        reader.read_line(&mut line)?;
    }
    let mut send = |head: &str, body: &[u8]| {
        connection.write_all(format!("HTTP/1.1 {head}\r\nconnection: close\r\n\r\n").as_bytes())?;
        connection.write_all(body)
    };
    let to = |place: &str| format!("302 Found\r\nlocation: {place}\r\ncontent-length: 0");
    let plain = |length: usize| format!("200 OK\r\ncontent-type: text/plain\r\ncontent-length: {length}");
    match path.as_str() {
        "/inward" => send(&to("https://127.0.0.1/"), b""),
        "/around" => send(&to(&format!("{HOST}/around")), b""),
        "/file" => send(&to("file:///etc/passwd"), b""),
        "/far/0" => send(&plain(15), b"words from afar"),
        "/failing" => send("500 Internal Server Error\r\ncontent-length: 5", b"wrong"),
        "/empty" => send(&plain(0), b""),
        "/lying" => send("200 OK\r\ncontent-type: image/png\r\ncontent-length: 23", b"<!DOCTYPE html><p>words"),
        "/cut" => send(&plain(1000), b"words"),
        "/noise" => connection.write_all(&b"\0\xff\r\n".repeat(1000)),
        "/claim" => send(&plain(10_000_000_000), &[b'w'; 1 << 16]),
        "/large" => {
            let size = 51 << 20;
            send(&format!("200 OK\r\ncontent-type: application/pdf\r\ncontent-length: {size}"), b"%PDF-1.7\n")?;
            connection.write_all(&vec![b' '; size - 9])
        }
        "/headers" => {
            connection.write_all(b"HTTP/1.1 200 OK\r\n")?;
            loop {
                connection.write_all(&b"x-more: and more\r\n".repeat(1000))?;
            }
        }
        "/endless" => {
            send("200 OK\r\ncontent-type: text/plain", b"")?;
            loop {
                connection.write_all(&[b'w'; 1 << 16])?;
            }
        }
        "/packed" => send("200 OK\r\ncontent-type: text/plain\r\ncontent-encoding: gzip", packed),
        "/slow" => {
            send("200 OK\r\ncontent-type: text/plain\r\ncontent-length: 100000", b"w")?;
            // It ends when the other side hangs up.
            reader.read(&mut [0]).map(drop)
        }
        path => match path.strip_prefix("/far/").and_then(|left| left.parse::<u32>().ok()) {
            Some(left) => send(&to(&format!("{HOST}/far/{}", left - 1)), b""),
            None => send("404 Not Found\r\ncontent-length: 0", b""),
        },
    }
}
