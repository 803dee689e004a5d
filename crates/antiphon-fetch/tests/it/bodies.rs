//! S11, S12, S15: bodies that are too large, or not what they seem.

use std::io::Write as _;

use antiphon_fetch::{Failure, FetchError, MimeError, Purpose};

use crate::world::{Does, Host, Names, PUBLIC, answers, fetch_from, fetcher, options};

const LIMIT: usize = 10 << 20;

fn too_large() -> FetchError {
    FetchError::Size { limit: LIMIT }
}

#[tokio::test]
async fn s11_an_announced_flood_is_not_begun() {
    let head = "HTTP/1.1 200 X\r\ncontent-type: text/plain\r\ncontent-length: 10737418240\r\n\r\n";
    let host = Host::with(&[("/", vec![Does::Sends(head.into()), Does::Repeats(vec![b'a'; 1 << 16])])]).await;
    assert_eq!(fetch_from(&host, "/").await, Err(too_large()));
}

#[tokio::test]
async fn s11_an_endless_body_is_left_at_the_limit() {
    let chunk = [b"10000\r\n".as_slice(), &[b'a'; 1 << 16], b"\r\n"].concat();
    let floods = [
        ("transfer-encoding: chunked\r\n", chunk),
        // Until the connection ends.
        ("", vec![b'a'; 1 << 16]),
    ];
    for (head, piece) in floods {
        let head = format!("HTTP/1.1 200 X\r\ncontent-type: text/plain\r\n{head}\r\n");
        let host = Host::with(&[("/", vec![Does::Sends(head.into_bytes()), Does::Repeats(piece)])]).await;
        assert_eq!(fetch_from(&host, "/").await, Err(too_large()));
        // What was on its way in buffers comes on top.
        assert!(host.bytes_sent() < LIMIT + (32 << 20), "{}", host.bytes_sent());
    }
}

#[tokio::test]
async fn s11_false_lengths() {
    let says = |length: &str, body: &str| {
        let head = format!("HTTP/1.1 200 X\r\ncontent-type: text/plain\r\n{length}\r\n{body}");
        vec![Does::Sends(head.into_bytes())]
    };
    for (script, expected) in [
        (says("content-length: 100\r\n", "short"), Err(FetchError::Unreachable(Failure::Broken))),
        (says("content-length: 5\r\n", "short and more"), Ok("short")),
        (says("content-length: 5\r\ncontent-length: 9\r\n", "short"), Err(FetchError::Unreachable(Failure::Broken))),
        (says("content-length: -5\r\n", "short"), Err(FetchError::Unreachable(Failure::Broken))),
        (says("transfer-encoding: chunked\r\n", "5\r\nshort\r\n"), Err(FetchError::Unreachable(Failure::Broken))),
        (says("transfer-encoding: chunked\r\n", "zz\r\nshort\r\n"), Err(FetchError::Unreachable(Failure::Broken))),
        (vec![Does::Sends(b"not http at all\r\n\r\n".to_vec())], Err(FetchError::Unreachable(Failure::Broken))),
        (vec![], Err(FetchError::Unreachable(Failure::Broken))),
    ] {
        let host = Host::with(&[("/", script)]).await;
        let fetched = fetch_from(&host, "/").await.map(|fetched| fetched.bytes);
        assert_eq!(fetched.as_ref().map(|bytes| std::str::from_utf8(bytes).unwrap()), expected.as_ref().copied());
    }
}

#[tokio::test]
async fn s11_endless_headers() {
    let host = Host::with(&[(
        "/",
        vec![Does::Sends(b"HTTP/1.1 200 X\r\n".to_vec()), Does::Repeats(b"x-header: and so on and on\r\n".repeat(100))],
    )])
    .await;
    assert_eq!(fetch_from(&host, "/").await, Err(FetchError::Unreachable(Failure::Broken)));
}

fn gzip(body: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(body).unwrap();
    encoder.finish().unwrap()
}

fn zlib(body: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(body).unwrap();
    encoder.finish().unwrap()
}

fn deflate(body: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(body).unwrap();
    encoder.finish().unwrap()
}

fn brotli(body: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let params = brotli::enc::BrotliEncoderParams { quality: 5, ..Default::default() };
    brotli::BrotliCompress(&mut std::io::Cursor::new(body), &mut out, &params).unwrap();
    out
}

fn zstd(body: &[u8]) -> Vec<u8> {
    ruzstd::encoding::compress_to_vec(body, ruzstd::encoding::CompressionLevel::Fastest)
}

async fn fetch_coded(codings: &str, body: &[u8]) -> Result<usize, FetchError> {
    let head = format!("content-type: text/plain\r\n{codings}");
    let host = Host::with(&[("/", answers(200, &head, body))]).await;
    fetch_from(&host, "/").await.map(|fetched| fetched.bytes.len())
}

#[tokio::test]
async fn s12_bodies_are_decoded_and_bombs_are_not() {
    let words: String = (0..20_000).map(|number| format!("word {number} ")).collect();
    let bomb = vec![b'a'; LIMIT + 1];
    type Code = fn(&[u8]) -> Vec<u8>;
    let codes: [(&str, Code); 6] =
        [("gzip", gzip), ("x-gzip", gzip), ("deflate", zlib), ("deflate", deflate), ("br", brotli), ("zstd", zstd)];
    for (name, code) in codes {
        let header = format!("content-encoding: {name}\r\n");
        assert_eq!(fetch_coded(&header, &code(words.as_bytes())).await, Ok(words.len()), "{name}");
        let packed = code(&bomb);
        assert!(packed.len() < 1 << 20, "{name}: {}", packed.len());
        assert_eq!(fetch_coded(&header, &packed).await, Err(too_large()), "{name}");
        // Small enough for the limit, but a hundredfold of what was sent.
        let by_ratio = code(&bomb[..2 << 20]);
        assert_eq!(fetch_coded(&header, &by_ratio).await, Err(too_large()), "{name}");
    }
    // Several bodies behind one another are one body.
    let members = [gzip(&bomb[..4 << 20]), gzip(&bomb[..4 << 20]), gzip(&bomb[..4 << 20])].concat();
    assert_eq!(fetch_coded("content-encoding: gzip\r\n", &members).await, Err(too_large()));
}

#[tokio::test]
async fn s12_codings_within_codings_and_broken_ones() {
    let broken = Err(FetchError::Unreachable(Failure::Broken));
    let once = gzip(b"hello");
    let twice = gzip(&once);
    assert_eq!(fetch_coded("content-encoding: identity, gzip\r\n", &once).await, Ok(5));
    for header in [
        "content-encoding: gzip, gzip\r\n",
        "content-encoding: gzip\r\ncontent-encoding: gzip\r\n",
        "content-encoding: gzip, br\r\n",
        "content-encoding: rot13\r\n",
        "content-encoding: compress\r\n",
    ] {
        assert_eq!(fetch_coded(header, &twice).await, broken, "{header}");
    }
    for name in ["gzip", "deflate", "br", "zstd"] {
        let header = format!("content-encoding: {name}\r\n");
        assert_eq!(fetch_coded(&header, b"these bytes are in no coding at all").await, broken, "{name}");
    }
    assert_eq!(fetch_coded("content-encoding: gzip\r\n", &once[..once.len() - 4]).await, broken);
    // A window of gigabytes: brotli's own extension, and a frame of zstd that says so.
    assert_eq!(fetch_coded("content-encoding: br\r\n", &[0x11, 0x1e, 0, 0, 0, 0]).await, broken);
    let wide = [0x28, 0xb5, 0x2f, 0xfd, 0x00, 0xa8, 0x01, 0x00, 0x00];
    assert_eq!(fetch_coded("content-encoding: zstd\r\n", &wide).await, broken);
}

const PNG: &[u8] = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR";
const MARKUP: &[u8] = b"<!DOCTYPE html><html><script>alert(1)</script></html>";
const SVG: &[u8] = b"<svg xmlns='http://www.w3.org/2000/svg'/>";
const PDF: &[u8] = b"%PDF-1.7\n1 0 obj";

async fn mime(purpose: Purpose, declared: &str, body: &[u8]) -> Result<String, FetchError> {
    let head = if declared.is_empty() { String::new() } else { format!("content-type: {declared}\r\n") };
    let host = Host::with(&[("/", answers(200, &head, body))]).await;
    let fetcher = fetcher(options(&[host.port]), &Names::new(&[("site.com", &[&[PUBLIC]])]));
    let url = format!("http://site.com:{}/", host.port);
    fetcher.fetch(&url, purpose, &fetcher.allowance("test")).await.map(|fetched| fetched.mime)
}

#[tokio::test]
async fn s15_what_is_declared_and_what_comes_have_to_agree() {
    for (declared, body, expected) in [
        ("image/png", PNG, Ok("image/png")),
        ("image/svg+xml", SVG, Ok("image/svg+xml")),
        ("application/octet-stream", PNG, Ok("image/png")),
        ("", PNG, Ok("image/png")),
        ("", MARKUP, Ok("text/html")),
        ("", b"just words", Ok("text/plain")),
        ("", PDF, Ok("application/pdf")),
        ("no type at all", b"just words", Ok("text/plain")),
        ("TEXT/HTML; charset=utf-8", MARKUP, Ok("text/html")),
        ("text/plain", MARKUP, Ok("text/plain")),
        ("application/json", b"{}", Ok("application/json")),
        ("application/pdf", PDF, Ok("application/pdf")),
        ("text/plain; charset=utf-16le", b"a\0b\0", Ok("text/plain")),
        ("audio/mpeg", b"ID3\x04", Ok("audio/mpeg")),
        ("audio/mp4", b"\0\0\0\x20ftypM4A ", Ok("audio/mp4")),
        ("image/heic", b"\0\0\0\x20ftypheic", Ok("image/heic")),
        ("image/png", MARKUP, Err("text/html")),
        ("image/png", SVG, Err("image/svg+xml")),
        ("image/png", b"just words", Err("text/plain")),
        ("image/png", b"\xff\xd8\xff\xe0", Err("image/jpeg")),
        ("image/png", b"", Err("text/plain")),
        ("image/svg+xml", MARKUP, Err("text/html")),
        ("application/pdf", MARKUP, Err("text/html")),
        ("application/pdf", b"PK\x03\x04", Err("application/zip")),
        ("text/html", PNG, Err("image/png")),
        ("text/html", PDF, Err("application/pdf")),
        ("text/plain", b"a\0b", Err("application/octet-stream")),
        ("audio/mpeg", MARKUP, Err("text/html")),
        ("video/mp4", b"just words", Err("text/plain")),
    ] {
        let found = mime(Purpose::Media, declared, body).await;
        let expected = expected.map(str::to_owned).map_err(|found| {
            let declared = declared.split(';').next().unwrap().to_ascii_lowercase();
            FetchError::Type(MimeError::Disagree { declared, found })
        });
        assert_eq!(found, expected, "{declared:?} {:?}", String::from_utf8_lossy(body));
    }
}

#[tokio::test]
async fn s15_content_that_is_of_no_use_is_not_read() {
    let unwanted = |name: &str| Err(FetchError::Type(MimeError::Unwanted(name.to_owned())));
    for name in ["application/zip", "application/x-executable", "font/woff2", "application/vnd.ms-excel"] {
        assert_eq!(mime(Purpose::Page, name, b"PK\x03\x04").await, unwanted(name));
    }
    assert_eq!(mime(Purpose::Page, "", b"\x7fELF").await, unwanted("application/x-executable"));
    assert_eq!(mime(Purpose::Media, "", b"PK\x03\x04").await, Ok("application/zip".to_owned()));
    assert_eq!(mime(Purpose::Page, "audio/mpeg", b"ID3").await, unwanted("audio/mpeg"));
    assert_eq!(mime(Purpose::Mcp, "application/zip", b"PK\x03\x04").await, Ok("application/zip".to_owned()));
    // Two declarations are none.
    let two = "text/html\r\ncontent-type: image/png";
    assert_eq!(mime(Purpose::Media, two, PNG).await, Ok("image/png".to_owned()));
}
