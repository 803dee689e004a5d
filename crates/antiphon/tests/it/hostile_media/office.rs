//! Office files: archives of markup that unpack, nest, repeat or define themselves to something else.

use std::io::{Cursor, Write as _};

use serde_json::Value;
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

use super::case::{Case, noise, part, sample};

const WORD: &str = "application/vnd.openxmlformats-officedocument.wordprocessingml.document";
const EXCEL: &str = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet";
const POWERPOINT: &str = "application/vnd.openxmlformats-officedocument.presentationml.presentation";
const TEXT: &str = "application/vnd.oasis.opendocument.text";
const SHEET: &str = "application/vnd.oasis.opendocument.spreadsheet";

const RATIO: &str = "the document passes the limit of 100 for its ratio of unpacked to packed size";
const DEPTH: &str = "the document passes the limit of 256 for its depth of XML";
const DEFINED: &str = "its XML has a document type of its own";

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = archives();
    cases.extend(markup());
    cases.extend(sheets());
    cases.extend(sealed());
    cases
}

fn document(mime_type: &str, bytes: &[u8]) -> Value {
    part("document", mime_type, bytes)
}

fn archives() -> Vec<Case> {
    let refused =
        |name, mime_type: &str, bytes: &[u8], says| Case::refused(name, document(mime_type, bytes), "data", says);
    let names: Vec<_> = (0..10_001).map(|at| format!("word/{at}.xml")).collect();
    let many: Vec<_> = names.iter().map(|name| (name.as_str(), b"".as_slice())).collect();
    let mebibyte = vec![b' '; 1 << 20];
    let large: Vec<_> = names[..101].iter().map(|name| (name.as_str(), mebibyte.as_slice())).collect();
    let lease = sample("crates/antiphon-documents/tests/it/documents/lease.docx");
    let body = format!("<w:p><w:r><w:t>{}</w:t></w:r></w:p>", " ".repeat(3 << 20));
    let honest = docx(&body);
    let size = u32::try_from(main(&body).len()).unwrap().to_le_bytes();
    let mut lying = honest.clone();
    let places: Vec<_> = honest.windows(4).enumerate().filter(|(_, four)| *four == size).map(|(at, _)| at).collect();
    for at in places {
        lying[at..at + 4].copy_from_slice(&100_u32.to_le_bytes());
    }
    let quine = archive(&[("inner.zip", &archive(&[("inner.zip", &archive(&[("word", b"word")]))]))]);
    vec![
        refused("a docx that unpacks a thousandfold", WORD, &docx(&" ".repeat(20 << 20)), RATIO),
        refused(
            "a docx of 10001 entries",
            WORD,
            &archive(&many),
            "the document passes the limit of 10000 for its entries of its archive",
        ),
        refused(
            "a docx whose entries unpack to 101 MB",
            WORD,
            &archive(&large),
            "the document passes the limit of 104857600 for its unpacked size in bytes",
        ),
        refused("a docx that hides its size", WORD, &lying, "the document "),
        refused(
            "a docx cut in half",
            WORD,
            &lease[..lease.len() / 2],
            "the document could not be decoded as application/zip: ",
        ),
        refused(
            "a docx of noise",
            WORD,
            &[b"PK\x03\x04".as_slice(), &noise(1, 9000)].concat(),
            "the document could not be decoded as application/zip: ",
        ),
        refused(
            "a docx whose main part is elsewhere",
            WORD,
            &archive(&[
                ("_rels/.rels", &relations("officeDocument", "../../../../etc/passwd")),
                ("word/document.xml", b"<a/>"),
            ]),
            "it has no `etc/passwd`",
        ),
        Case::refused(
            "archives within archives",
            document("application/zip", &quine),
            "mime_type",
            "documents of type `application/zip` are not read; expected one of PDF",
        ),
    ]
}

fn markup() -> Vec<Case> {
    let refused =
        |name, mime_type: &str, bytes: &[u8], says| Case::refused(name, document(mime_type, bytes), "data", says);
    let laughs: String =
        (1..10).map(|at| format!("<!ENTITY l{at} \"{}\">", format!("&l{};", at - 1).repeat(10))).collect();
    let words = main("<w:p><w:r><w:t>&l9;</w:t></w:r></w:p>");
    let bomb = format!("<!DOCTYPE w:document [<!ENTITY l0 \"ha\">{laughs}]>{words}");
    let outside = format!("<!DOCTYPE d [<!ENTITY l9 SYSTEM \"file:///etc/passwd\">]>{words}");
    let deep = "<w:p>".repeat(5000) + &"</w:p>".repeat(5000);
    let open = format!("<office:document-content>{}", "<text:p>".repeat(100_000));
    let slides = "<p:sldId id=\"256\" r:id=\"r\"/>".repeat(1001);
    let deck = archive(&[
        ("_rels/.rels", &relations("officeDocument", "ppt/p.xml")),
        ("ppt/p.xml", format!("<p:presentation xmlns:p=\"p\" xmlns:r=\"r\">{slides}</p:presentation>").as_bytes()),
        ("ppt/_rels/p.xml.rels", &relations("slide", "slides/s.xml")),
        ("ppt/slides/s.xml", b"<a/>"),
    ]);
    vec![
        refused("a docx that laughs a billion times", WORD, &docx_of(&bomb), DEFINED),
        refused("a docx that asks for a file", WORD, &docx_of(&outside), DEFINED),
        refused(
            "a docx of an entity that there is not",
            WORD,
            &docx_of(&words),
            "its XML names an entity that XML does not know",
        ),
        refused("a docx nested 5000 deep", WORD, &docx(&deep), DEPTH),
        refused(
            "a docx that ends in the middle",
            WORD,
            &docx_of("<w:document><w:body>"),
            "its XML ends within an element",
        ),
        refused("an odt nested 100000 deep", TEXT, &open_document(TEXT, &open), DEPTH),
        refused(
            "a pptx that shows a slide 1001 times",
            POWERPOINT,
            &deck,
            "the document passes the limit of 1000 for its slides",
        ),
    ]
}

fn sheets() -> Vec<Case> {
    let refused =
        |name, mime_type: &str, bytes: &[u8], says| Case::refused(name, document(mime_type, bytes), "data", says);
    let read = |name, mime_type: &str, bytes: &[u8], says| Case::read(name, document(mime_type, bytes), says);
    let row = |cells: &str| format!("<sheetData><row r=\"1\">{cells}</row></sheetData>");
    let cell = |place: &str| format!("<c r=\"{place}\"><v>1</v></c>");
    let claimed = format!("<dimension ref=\"A1:XFD1048576\"/>{}", row(&cell("B1")));
    let numbers = noise(3, 400 * 256);
    let cells = |row: &[u8]| row.iter().map(|number| format!("<c><v>{number}</v></c>")).collect::<String>();
    let full: String = numbers.chunks(256).map(|row| format!("<row>{}</row>", cells(row))).collect();
    let strings = b"<!DOCTYPE s [<!ENTITY l \"ha\">]><sst><si><t>&l;</t></si></sst>";
    let repeated = "<office:document-content xmlns:office=\"o\" xmlns:table=\"t\"><office:body><office:spreadsheet>\
        <table:table table:name=\"S\"><table:table-row table:number-rows-repeated=\"1048576\"><table:table-cell \
        office:value-type=\"float\" office:value=\"1\" table:number-columns-repeated=\"16384\"/></table:table-row>\
        </table:table></office:spreadsheet></office:body></office:document-content>";
    vec![
        read("an xlsx that claims 1048576 x 16384 cells", EXCEL, &xlsx(&[claimed]), "| 1 | 1 |"),
        read(
            "an xlsx of two cells at its ends",
            EXCEL,
            &xlsx(&[row(&(cell("A1") + &cell("XFD1048576")))]),
            "(Left out: columns IW to XFD",
        ),
        read(
            "an xlsx of a hundred thousand cells",
            EXCEL,
            &xlsx(&[format!("<sheetData>{full}</sheetData>")]),
            "(The rest is left out here: ",
        ),
        refused(
            "an xlsx of a cell that is nowhere",
            EXCEL,
            &xlsx(&[row(&cell("ZZZZZZZZ1"))]),
            "the document could not be decoded as application/vnd.openxml",
        ),
        refused(
            "an xlsx of 1001 sheets",
            EXCEL,
            &xlsx(&vec!["<sheetData/>".to_owned(); 1001]),
            "the document passes the limit of 1000 for its sheets",
        ),
        refused(
            "an xlsx whose words are defined in it",
            EXCEL,
            &archive(&[
                ("xl/workbook.xml", b"<workbook/>"),
                ("xl/_rels/workbook.xml.rels", b"<Relationships/>"),
                ("xl/sharedStrings.xml", strings),
            ]),
            DEFINED,
        ),
        refused(
            "an ods that repeats a cell 17 billion times",
            SHEET,
            &open_document(SHEET, repeated),
            "the document could not be ",
        ),
        refused(
            "an xls of noise",
            "application/vnd.ms-excel",
            &compound("Workbook"),
            "the document could not be decoded as application/vnd.ms-excel: ",
        ),
    ]
}

fn sealed() -> Vec<Case> {
    let manifest = b"<manifest:manifest><manifest:file-entry><manifest:encryption-data/></manifest:file-entry></manifest:manifest>";
    let odt =
        archive(&[("mimetype", TEXT.as_bytes()), ("META-INF/manifest.xml", manifest), ("content.xml", &noise(2, 500))]);
    let docx = sample("crates/antiphon-documents/tests/it/documents/encrypted.docx");
    let says = "expected one without a password, of PDF, docx";
    vec![
        Case::refused("an encrypted odt", document(TEXT, &odt), "data", says),
        Case::refused("an encrypted docx", document(WORD, &docx), "data", says),
        Case::refused(
            "an older presentation",
            document("application/vnd.ms-powerpoint", &compound("PowerPoint Document")),
            "mime_type",
            "documents of type `application/vnd.ms-powerpoint` are not read; expected one of PDF",
        ),
        Case::refused(
            "a book",
            document("application/epub+zip", &archive(&[("mimetype", b"application/epub+zip")])),
            "mime_type",
            "application/epub+zip",
        ),
    ]
}

/// An archive of these entries, in their order.
fn archive(entries: &[(&str, &[u8])]) -> Vec<u8> {
    let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in entries {
        archive.start_file(*name, SimpleFileOptions::default()).unwrap();
        archive.write_all(bytes).unwrap();
    }
    archive.finish().unwrap().into_inner()
}

fn relations(of: &str, target: &str) -> Vec<u8> {
    format!("<Relationships><Relationship Id=\"r\" Type=\"x/{of}\" Target=\"{target}\"/></Relationships>").into_bytes()
}

fn main(body: &str) -> String {
    let space = "http://schemas.openxmlformats.org/wordprocessingml/2006/main";
    format!("<w:document xmlns:w=\"{space}\"><w:body>{body}</w:body></w:document>")
}

/// A text file of Office with this in its body.
fn docx(body: &str) -> Vec<u8> {
    docx_of(&main(body))
}

/// A text file of Office whose main part is this.
fn docx_of(main: &str) -> Vec<u8> {
    archive(&[
        ("_rels/.rels", &relations("officeDocument", "word/document.xml")),
        ("word/document.xml", main.as_bytes()),
    ])
}

/// A file of OpenDocument with this content.
fn open_document(kind: &str, content: &str) -> Vec<u8> {
    archive(&[("mimetype", kind.as_bytes()), ("META-INF/manifest.xml", b"<m/>"), ("content.xml", content.as_bytes())])
}

/// A spreadsheet of Office with these sheets.
fn xlsx(sheets: &[String]) -> Vec<u8> {
    let main = "http://schemas.openxmlformats.org/spreadsheetml/2006/main";
    let office = "http://schemas.openxmlformats.org/officeDocument/2006/relationships";
    let package = "http://schemas.openxmlformats.org/package/2006/relationships";
    let each = |write: &dyn Fn(usize) -> String| (1..=sheets.len()).map(write).collect::<String>();
    let list = each(&|at| format!("<sheet name=\"S{at}\" sheetId=\"{at}\" r:id=\"r{at}\"/>"));
    let book = format!("<workbook xmlns=\"{main}\" xmlns:r=\"{office}\"><sheets>{list}</sheets></workbook>");
    let list =
        each(&|at| format!("<Relationship Id=\"r{at}\" Type=\"{office}/worksheet\" Target=\"worksheets/s{at}.xml\"/>"));
    let related = format!("<Relationships xmlns=\"{package}\">{list}</Relationships>");
    let names: Vec<_> = (1..=sheets.len()).map(|at| format!("xl/worksheets/s{at}.xml")).collect();
    let contents: Vec<_> =
        sheets.iter().map(|sheet| format!("<worksheet xmlns=\"{main}\">{sheet}</worksheet>")).collect();
    let root = format!(
        "<Relationships xmlns=\"{package}\"><Relationship Id=\"r1\" Type=\"{office}/officeDocument\" \
         Target=\"xl/workbook.xml\"/></Relationships>"
    );
    let mut entries: Vec<(&str, &[u8])> = vec![
        ("_rels/.rels", root.as_bytes()),
        ("xl/workbook.xml", book.as_bytes()),
        ("xl/_rels/workbook.xml.rels", related.as_bytes()),
    ];
    entries.extend(names.iter().map(String::as_str).zip(contents.iter().map(String::as_bytes)));
    archive(&entries)
}

/// An older office file of which only the mark and the name of a stream are true.
fn compound(name: &str) -> Vec<u8> {
    let wide: Vec<u8> = name.encode_utf16().flat_map(u16::to_le_bytes).chain([0, 0]).collect();
    [b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1".as_slice(), &noise(9, 5000), &wide, &noise(10, 5000)].concat()
}
