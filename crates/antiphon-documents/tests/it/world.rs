//! What the tests have in common.

use std::io::{Cursor, Write as _};
use std::path::PathBuf;
use std::time::Duration;

use antiphon_documents::confined::Program;
use antiphon_documents::{Document, Fault, Options, Reader};
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

/// The example of this crate, which stands beside the tests' own folder.
pub(crate) fn program() -> Program {
    let test = std::env::current_exe().unwrap();
    let executable = test.parent().unwrap().parent().unwrap().join("examples/read_document");
    Program { executable, arguments: Vec::new() }
}

/// Patient, for a busy machine is no defect: what a document costs is bounded by the process itself.
pub(crate) fn reader() -> Reader {
    Reader::new(program()).within(Duration::from_secs(120))
}

pub(crate) fn wait<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work)
}

pub(crate) fn folder() -> PathBuf {
    // Where the runner says that the sources are now.
    let package = std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
    PathBuf::from(package).join("tests/it/documents")
}

pub(crate) fn file(name: &str) -> Vec<u8> {
    std::fs::read(folder().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

pub(crate) fn read_as(bytes: &[u8], declared: Option<&str>, options: &Options) -> Result<Document, Fault> {
    wait(reader().read(bytes, declared, options))
}

pub(crate) fn read(bytes: &[u8]) -> Result<Document, Fault> {
    read_as(bytes, None, &Options::default())
}

/// What is wrong with it.
pub(crate) fn fault(bytes: &[u8]) -> String {
    match read(bytes) {
        Ok(document) => panic!("it was read: {document:?}"),
        Err(fault) => fault.to_string(),
    }
}

/// The text of a document that is one part.
pub(crate) fn text(document: &Document) -> &str {
    assert_eq!(document.parts.len(), 1, "{document:?}");
    &document.parts[0].text
}

/// An archive of these entries, in their order.
pub(crate) fn archive(entries: &[(&str, &[u8])]) -> Vec<u8> {
    let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in entries {
        archive.start_file(*name, SimpleFileOptions::default()).unwrap();
        archive.write_all(bytes).unwrap();
    }
    archive.finish().unwrap().into_inner()
}

const RELATIONS: &[u8] = br#"<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships"><Relationship Id="r1" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument" Target="word/document.xml"/></Relationships>"#;

/// A text file of Office whose main part is this.
pub(crate) fn docx(main: &str) -> Vec<u8> {
    archive(&[("_rels/.rels", RELATIONS), ("word/document.xml", main.as_bytes())])
}

/// A text file of Office with this in its body.
pub(crate) fn docx_of(body: &str) -> String {
    let space = "http://schemas.openxmlformats.org/wordprocessingml/2006/main";
    format!("<w:document xmlns:w=\"{space}\"><w:body>{body}</w:body></w:document>")
}

/// A spreadsheet of Office with these sheets.
pub(crate) fn xlsx(sheets: &[String]) -> Vec<u8> {
    let main = "http://schemas.openxmlformats.org/spreadsheetml/2006/main";
    let office = "http://schemas.openxmlformats.org/officeDocument/2006/relationships";
    let package = "http://schemas.openxmlformats.org/package/2006/relationships";
    let numbers = 1..=sheets.len();
    let list: String =
        numbers.clone().map(|at| format!("<sheet name=\"S{at}\" sheetId=\"{at}\" r:id=\"r{at}\"/>")).collect();
    let book = format!("<workbook xmlns=\"{main}\" xmlns:r=\"{office}\"><sheets>{list}</sheets></workbook>");
    let list: String = numbers
        .clone()
        .map(|at| format!("<Relationship Id=\"r{at}\" Type=\"{office}/worksheet\" Target=\"worksheets/s{at}.xml\"/>"))
        .collect();
    let relations = format!("<Relationships xmlns=\"{package}\">{list}</Relationships>");
    let names: Vec<_> = numbers.map(|at| format!("xl/worksheets/s{at}.xml")).collect();
    let contents: Vec<_> =
        sheets.iter().map(|sheet| format!("<worksheet xmlns=\"{main}\">{sheet}</worksheet>")).collect();
    let root = format!(
        "<Relationships xmlns=\"{package}\"><Relationship Id=\"r1\" Type=\"{office}/officeDocument\" \
         Target=\"xl/workbook.xml\"/></Relationships>"
    );
    let mut entries: Vec<(&str, &[u8])> = vec![
        ("_rels/.rels", root.as_bytes()),
        ("xl/workbook.xml", book.as_bytes()),
        ("xl/_rels/workbook.xml.rels", relations.as_bytes()),
    ];
    entries.extend(names.iter().map(String::as_str).zip(contents.iter().map(String::as_bytes)));
    archive(&entries)
}

/// A PDF of these objects, the first of which is the catalogue.
pub(crate) fn pdf(objects: &[Vec<u8>]) -> Vec<u8> {
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

pub(crate) fn stream(dictionary: &str, bytes: &[u8]) -> Vec<u8> {
    let head = format!("<< /Length {} {dictionary} >>\nstream\n", bytes.len());
    [head.as_bytes(), bytes, b"\nendstream"].concat()
}

/// A PDF of one page, of this size, that draws this and knows the objects that follow as `/X`.
pub(crate) fn page(size: &str, content: Vec<u8>, more: Vec<Vec<u8>>) -> Vec<u8> {
    let mut objects = vec![
        b"<< /Type /Catalog /Pages 2 0 R >>".to_vec(),
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>".to_vec(),
        format!(
            "<< /Type /Page /Parent 2 0 R /MediaBox [{size}] /Contents 4 0 R /Resources << /Font << /F 5 0 R >> \
             /XObject << /X 6 0 R >> >> >>"
        )
        .into_bytes(),
        content,
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>".to_vec(),
    ];
    objects.extend(more);
    pdf(&objects)
}
