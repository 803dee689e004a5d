//! PDFs, and what is no document. S13 as far as documents go.

use std::io::Write as _;

use antiphon_fetch::extract::{Bounds, Document, ExtractError, extract};
use pretty_assertions::assert_eq;

fn read(pdf: &[u8]) -> Result<Document, ExtractError> {
    extract(pdf, "application/pdf", None, &Bounds::default())
}

/// A PDF of these objects, the first of which is the catalogue.
fn pdf(objects: &[Vec<u8>]) -> Vec<u8> {
    let mut file = b"%PDF-1.7\n".to_vec();
    let mut places = Vec::new();
    for (at, object) in objects.iter().enumerate() {
        places.push(file.len());
        file.extend(format!("{} 0 obj\n", at + 1).bytes());
        file.extend(object);
        file.extend(b"\nendobj\n");
    }
    let table = file.len();
    file.extend(format!("xref\n0 {}\n0000000000 65535 f \n", objects.len() + 1).bytes());
    for place in places {
        file.extend(format!("{place:010} 00000 n \n").bytes());
    }
    file.extend(format!("trailer\n<< /Size {} /Root 1 0 R >>\n", objects.len() + 1).bytes());
    file.extend(format!("startxref\n{table}\n%%EOF\n").bytes());
    file
}

fn stream(filter: &str, bytes: &[u8]) -> Vec<u8> {
    let head = format!("<< /Length {} {filter} >>\nstream\n", bytes.len());
    [head.as_bytes(), bytes, b"\nendstream"].concat()
}

/// A PDF whose pages draw these things.
pub(crate) fn pages(contents: &[Vec<u8>]) -> Vec<u8> {
    let kids: Vec<_> = (0..contents.len()).map(|at| format!("{} 0 R", 4 + at * 2)).collect();
    let mut objects = vec![
        b"<< /Type /Catalog /Pages 2 0 R >>".to_vec(),
        format!("<< /Type /Pages /Kids [{}] /Count {} >>", kids.join(" "), contents.len()).into_bytes(),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>".to_vec(),
    ];
    for (at, content) in contents.iter().enumerate() {
        let page = format!(
            "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 600 800] /Contents {} 0 R /Resources << /Font << /F 3 0 R >> >> >>",
            5 + at * 2
        );
        objects.push(page.into_bytes());
        objects.push(content.clone());
    }
    pdf(&objects)
}

fn plain(text: &str) -> Vec<u8> {
    stream("", text.as_bytes())
}

fn packed(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// 300 MiB: a megabyte over and over, which repeats nothing that came before it.
fn bomb() -> Vec<u8> {
    let mut encoder = flate2::Compress::new(flate2::Compression::best(), true);
    let mut start = Vec::with_capacity(1 << 20);
    let status = encoder.compress_vec(&[b' '; 1 << 20], &mut start, flate2::FlushCompress::Full).unwrap();
    assert_eq!(status, flate2::Status::Ok);
    let (header, megabyte) = start.split_at(2);
    [header, &megabyte.repeat(300)].concat()
}

#[test]
fn text_comes_page_by_page() {
    let one = "BT /F 12 Tf 72 700 Td (First line) Tj 0 -14 Td (second line) Tj 0 -40 Td (New paragraph) Tj ET";
    let two = "BT /F 12 Tf 72 700 Td [(Se) -10 (cond) -400 (page)] TJ ET";
    let document = read(&pages(&[plain(one), stream("/Filter /FlateDecode", &packed(two.as_bytes()))])).unwrap();
    assert_eq!(document.text, "First line\nsecond line\n\nNew paragraph\n\nSecond page");
    assert_eq!(document.page_starts, [0, 39]);
    assert_eq!((document.title, document.is_cut), (None, false));
}

#[test]
fn pages_beyond_the_bound_are_left_out() {
    let page = || plain("BT /F 12 Tf 72 700 Td (page) Tj ET");
    let file = pages(&[page(), page(), page()]);
    let bounds = Bounds { pages: 2, ..Bounds::default() };
    let document = extract(&file, "application/pdf", None, &bounds).unwrap();
    assert_eq!((document.text.as_str(), document.page_starts, document.is_cut), ("page\n\npage", vec![0, 6], true));
    let bounds = Bounds { output_bytes: 7, ..Bounds::default() };
    let document = extract(&file, "application/pdf", None, &bounds).unwrap();
    assert_eq!((document.text.as_str(), document.is_cut), ("page\n\np", true));
}

#[test]
fn what_is_no_pdf_is_refused() {
    for file in [b"".as_slice(), b"%PDF-1.7", b"%PDF-1.7\n%%EOF", b"\0\0\0\0", b"<html>"] {
        assert_eq!(read(file), Err(ExtractError::Unreadable), "{:?}", String::from_utf8_lossy(file));
    }
    let none = pages(&[]);
    assert_eq!(read(&none), Err(ExtractError::Unreadable));
}

#[test]
fn s13_bombs_are_refused_before_they_are_read() {
    let once = bomb();
    let twice = packed(&once);
    for (filter, bytes) in [
        ("/Filter /FlateDecode", &once),
        ("/Filter [/FlateDecode /FlateDecode]", &twice),
        ("/Filter /FlateDecode", &once[2..].to_vec()),
        // Whatever the file calls it.
        ("/Filter /Fl#61teDecode", &once),
    ] {
        let file = pages(&[stream(filter, bytes)]);
        assert!(file.len() < 1 << 20);
        assert_eq!(read(&file), Err(ExtractError::TooLarge(10 << 20)), "{filter}");
    }
    let large = vec![b' '; (10 << 20) + 1];
    for mime in ["application/pdf", "text/html", "text/plain"] {
        assert_eq!(extract(&large, mime, None, &Bounds::default()), Err(ExtractError::TooLarge(10 << 20)));
    }
}

#[test]
fn s13_a_page_that_draws_without_end_is_given_up() {
    let words = "BT /F 12 Tf 72 700 Td (before) Tj ET ";
    let endless = format!("{words}{}{words}", "0 0 1 1 re f ".repeat(500_000));
    let file = pages(&[stream("/Filter /FlateDecode", &packed(endless.as_bytes())), plain(words)]);
    let document = read(&file).unwrap();
    assert_eq!((document.text.as_str(), document.is_cut), ("before", true));
}

#[test]
fn s13_circles_and_depth_end() {
    let font = "<< /Font << /F 3 0 R >> /XObject << /X 6 0 R >> >>";
    let itself = format!("/Type /XObject /Subtype /Form /BBox [0 0 9 9] /Resources {font}");
    let circle = pdf(&[
        b"<< /Type /Catalog /Pages 2 0 R >>".to_vec(),
        b"<< /Type /Pages /Kids [4 0 R 2 0 R] /Count 2 >>".to_vec(),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>".to_vec(),
        format!("<< /Type /Page /Parent 2 0 R /MediaBox [0 0 9 9] /Contents 5 0 R /Resources {font} >>").into_bytes(),
        plain("/X Do"),
        stream(&itself, b"BT /F 12 Tf (a) Tj ET /X Do"),
    ]);
    let document = read(&circle).unwrap();
    assert!(document.text.len() < 10_000);
    let deep = plain(&format!("{}{} TJ", "[".repeat(1 << 20), "]".repeat(1 << 20)));
    assert_eq!(read(&pages(&[deep])).unwrap().text, "");
    let deep = plain(&"q ".repeat(1 << 20));
    assert_eq!(read(&pages(&[deep])).unwrap().text, "");
    let deep = plain(&"<< /A ".repeat(1 << 19));
    assert_eq!(read(&pages(&[deep])).unwrap().text, "");
}

#[test]
fn s13_entities_are_not_followed() {
    let xml = r#"<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd"><!ENTITY c "&c;&c;">]><a>&b;&c;</a>"#;
    let document = extract(xml.as_bytes(), "application/xml", None, &Bounds::default()).unwrap();
    assert_eq!(document.text, xml);
    let document = extract(xml.as_bytes(), "application/xhtml+xml", None, &Bounds::default()).unwrap();
    assert_eq!(document.text, "]>&b;&c;");
}

#[test]
fn what_has_no_text_is_refused() {
    for mime in ["image/png", "application/zip", "audio/mpeg", "application/octet-stream", ""] {
        assert_eq!(
            extract(b"PK\x03\x04", mime, None, &Bounds::default()),
            Err(ExtractError::Unsupported(mime.to_owned()))
        );
    }
}
