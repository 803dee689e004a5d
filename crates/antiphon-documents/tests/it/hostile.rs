//! Documents that mean harm. Each has its answer, by the process that it harms.

use std::io::Write as _;

use antiphon_documents::{Fault, Options};
use pretty_assertions::assert_eq;

use crate::world::{archive, docx, docx_of, fault, file, page, pdf, read, read_as, stream, text, wait, xlsx};

fn declared(bytes: &[u8], declared: &str) -> String {
    match read_as(bytes, Some(declared), &Options::default()) {
        Ok(document) => panic!("it was read: {document:?}"),
        Err(fault) => fault.to_string(),
    }
}

fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed(seed);
    (0..length).map(|_| random.u8(..)).collect()
}

/// A name in an older office file.
fn wide(name: &str) -> Vec<u8> {
    name.encode_utf16().flat_map(u16::to_le_bytes).chain([0, 0]).collect()
}

/// An older office file of which only the mark and the name of a stream are true.
fn compound(name: &str) -> Vec<u8> {
    [b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1".as_slice(), &noise(9, 5000), &wide(name), &noise(10, 5000)].concat()
}

const DOCX: &str = "the document could not be decoded as \
                    application/vnd.openxmlformats-officedocument.wordprocessingml.document";
const XLSX: &str =
    "the document could not be decoded as application/vnd.openxmlformats-officedocument.spreadsheetml.sheet";
const PDF: &str = "the document could not be decoded as application/pdf: its structure is broken";
const RATIO: &str = "the document passes the limit of 100 for its ratio of unpacked to packed size";
const UNPACKED: &str = "the document passes the limit of 104857600 for its unpacked size in bytes";
const ENTRIES: &str = "the document passes the limit of 10000 for its entries of its archive";

#[test]
fn archives_that_unpack_to_too_much_are_refused_before_they_do() {
    assert_eq!(fault(&docx(&docx_of(&" ".repeat(150 << 20)))), RATIO);
    // Each is small; all together are not.
    let mebibyte = vec![b' '; 1 << 20];
    let names: Vec<_> = (0..101).map(|at| format!("word/{at}.xml")).collect();
    let entries: Vec<_> = names.iter().map(|name| (name.as_str(), mebibyte.as_slice())).collect();
    assert_eq!(fault(&archive(&entries)), UNPACKED);
}

#[test]
fn an_archive_that_hides_its_size_is_damaged() {
    let honest = docx(&docx_of(&" ".repeat(3 << 20)));
    let size = u32::try_from(docx_of(&" ".repeat(3 << 20)).len()).unwrap().to_le_bytes();
    let mut lying = honest.clone();
    let places: Vec<_> = honest.windows(4).enumerate().filter(|(_, four)| *four == size).map(|(at, _)| at).collect();
    assert!(!places.is_empty());
    for at in places {
        lying[at..at + 4].copy_from_slice(&100u32.to_le_bytes());
    }
    let fault = fault(&lying);
    assert!(fault.starts_with(DOCX) || fault == RATIO, "{fault}");
}

#[test]
fn archives_of_too_many_entries_are_refused() {
    let names: Vec<_> = (0..10_001).map(|at| format!("word/{at}.xml")).collect();
    let entries: Vec<_> = names.iter().map(|name| (name.as_str(), b"".as_slice())).collect();
    let many = archive(&entries);
    assert_eq!(fault(&many), ENTRIES);
    // The end of the archive speaks of three.
    let mut lying = many;
    let end = lying.len() - 22;
    lying[end + 8..end + 12].copy_from_slice(&[3, 0, 3, 0]);
    assert_ne!(read(&lying).map(|document| document.total), Ok(0));
}

#[test]
fn an_archive_within_an_archive_is_no_document() {
    let inner = archive(&[("inner.zip", &archive(&[("word.txt", b"word")]))]);
    let expected = "documents of type `application/zip` are not read; expected one of PDF, docx, pptx, odt, odp, xlsx, \
                    xls, ods, CSV, HTML, JSON, XML, Markdown, plain text";
    assert_eq!(fault(&inner), expected);
}

#[test]
fn what_is_cut_off_is_unreadable() {
    let lease = file("lease.docx");
    let fault_of = |share: usize| fault(&lease[..lease.len() * share / 10]);
    for share in [1, 5, 9] {
        assert!(fault_of(share).starts_with("the document could not be decoded as application/zip: "));
    }
    // The names of its streams stand near its end.
    let sheet = file("prices.xls");
    let name = wide("Workbook");
    let at = sheet.windows(name.len()).position(|window| window == name).unwrap();
    let behind = fault(&sheet[..at + 100]);
    assert!(behind.starts_with("the document could not be decoded as application/vnd.ms-excel: "), "{behind}");
    let before = fault(&sheet[..at]);
    assert!(before.starts_with("documents of type `application/x-ole-storage` are not read"), "{before}");
}

#[test]
fn noise_behind_a_mark_is_unreadable() {
    let behind = |mark: &[u8]| [mark, &noise(7, 20_000)].concat();
    assert!(fault(&behind(b"PK\x03\x04")).starts_with("the document could not be decoded as application/zip: "));
    assert_eq!(fault(&behind(b"%PDF-1.7\n")), PDF);
    assert!(
        fault(&behind(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"))
            .starts_with("documents of type `application/x-ole-storage` are not read; expected one of PDF, docx")
    );
    assert!(fault(&noise(8, 20_000)).starts_with("documents of type `application/octet-stream` are not read"));
    assert!(fault(&behind(b"\x89PNG\r\n\x1a\n")).starts_with("documents of type `image/png` are not read"));
    assert!(fault(&behind(b"{\\rtf1")).starts_with("documents of type `application/rtf` are not read"));
}

#[test]
fn a_sheet_that_is_only_named_so_is_unreadable() {
    assert!(
        fault(&compound("Workbook")).starts_with("the document could not be decoded as application/vnd.ms-excel: ")
    );
}

#[test]
fn what_is_declared_as_another_family_is_refused_naming_both() {
    let lease = file("lease.docx");
    let word = "application/vnd.openxmlformats-officedocument.wordprocessingml.document";
    assert_eq!(
        declared(&lease, "application/pdf"),
        format!("the document is declared as `application/pdf` and is `{word}`")
    );
    assert_eq!(
        declared(&file("pdftex.pdf"), "text/plain"),
        "the document is declared as `text/plain` and is `application/pdf`"
    );
    assert_eq!(
        declared(b"only words", "application/pdf"),
        "the document is declared as `application/pdf` and is `text/plain`"
    );
    assert_eq!(
        declared(b"\x89PNG\r\n\x1a\n", "application/pdf"),
        "the document is declared as `application/pdf` and is `image/png`"
    );
    assert_eq!(declared(&lease, "audio/mpeg"), format!("the document is declared as `audio/mpeg` and is `{word}`"));
}

#[test]
fn older_and_encrypted_files_are_refused_by_their_type() {
    let supported = "PDF, docx, pptx, odt, odp, xlsx, xls, ods, CSV, HTML, JSON, XML, Markdown, plain text";
    let unread = |kind: &str| format!("documents of type `{kind}` are not read; expected one of {supported}");
    assert_eq!(declared(&file("legacy.doc"), "application/msword"), unread("application/msword"));
    assert_eq!(fault(&compound("PowerPoint Document")), unread("application/vnd.ms-powerpoint"));
    let sealed =
        |kind: &str| format!("the document is an encrypted `{kind}`; expected one without a password, of {supported}");
    assert_eq!(fault(&file("encrypted.pdf")), sealed("application/pdf"));
    assert_eq!(fault(&file("encrypted.docx")), sealed("application/vnd.openxmlformats-officedocument"));
    let kind = "application/vnd.oasis.opendocument.text";
    let manifest = b"<manifest:manifest><manifest:file-entry><manifest:encryption-data/></manifest:file-entry></manifest:manifest>";
    let odt =
        archive(&[("mimetype", kind.as_bytes()), ("META-INF/manifest.xml", manifest), ("content.xml", &noise(1, 500))]);
    assert_eq!(fault(&odt), sealed(kind));
}

#[test]
fn markup_that_is_too_deep_is_refused() {
    let deep = "<w:p>".repeat(5000) + &"</w:p>".repeat(5000);
    assert_eq!(fault(&docx(&docx_of(&deep))), "the document passes the limit of 256 for its depth of XML");
    let sheet = "<a>".repeat(300) + &"</a>".repeat(300);
    assert_eq!(fault(&xlsx(&[sheet])), "the document passes the limit of 256 for its depth of XML");
}

#[test]
fn markup_defines_nothing() {
    let laughs: String =
        (1..10).map(|at| format!("<!ENTITY l{at} \"{}\">", format!("&l{};", at - 1).repeat(10))).collect();
    let body = docx_of("<w:p><w:r><w:t>&l9;</w:t></w:r></w:p>");
    let bomb = format!("<!DOCTYPE w:document [<!ENTITY l0 \"ha\">{laughs}]>{body}");
    assert_eq!(fault(&docx(&bomb)), format!("{DOCX}: its XML has a document type of its own"));
    let outside = format!("<!DOCTYPE d [<!ENTITY l9 SYSTEM \"file:///etc/passwd\">]>{body}");
    assert_eq!(fault(&docx(&outside)), format!("{DOCX}: its XML has a document type of its own"));
    assert_eq!(fault(&docx(&body)), format!("{DOCX}: its XML names an entity that XML does not know"));
    let strings = b"<!DOCTYPE s [<!ENTITY l \"ha\">]><sst><si><t>&l;</t></si></sst>";
    let relations = b"<Relationships/>";
    let book = archive(&[
        ("xl/workbook.xml", b"<workbook/>"),
        ("xl/_rels/workbook.xml.rels", relations),
        ("xl/sharedStrings.xml", strings),
    ]);
    assert_eq!(fault(&book), format!("{XLSX}: its XML has a document type of its own"));
}

#[test]
fn markup_that_is_broken_is_unreadable() {
    assert_eq!(fault(&docx("<w:document><w:body>")), format!("{DOCX}: its XML ends within an element"));
    assert!(fault(&docx("<w:document></w:body>")).starts_with(&format!("{DOCX}: its XML is broken: ")));
    assert!(fault(&docx("\u{0}\u{1}<<<>>>")).starts_with(&format!("{DOCX}: its XML ")));
}

#[test]
fn names_of_entries_lead_nowhere_else() {
    let relation = |target: &str| {
        format!("<Relationships><Relationship Id=\"r\" Type=\"x/officeDocument\" Target=\"{target}\"/></Relationships>")
    };
    let with = |target: &str| archive(&[("_rels/.rels", relation(target).as_bytes()), ("word/document.xml", b"<a/>")]);
    assert_eq!(fault(&with("../../../../etc/passwd")), format!("{DOCX}: it has no `etc/passwd`"));
    assert_eq!(fault(&with("file:///etc/passwd")), format!("{DOCX}: it has no `file:/etc/passwd`"));
    assert_eq!(fault(&archive(&[("word/document.xml", b"<a/>")])), format!("{DOCX}: it names no main part"));
}

#[test]
fn cells_that_are_nowhere_take_no_room() {
    let rows = |cells: &str| xlsx(&[format!("<sheetData><row r=\"1\">{cells}</row></sheetData>")]);
    let cell = |place: &str| format!("<c r=\"{place}\"><v>1</v></c>");
    let far = read(&rows(&(cell("A1") + &cell("XFD1048576")))).unwrap();
    assert_eq!(far.left_out, ["columns IW to XFD, in sheet `S1`"]);
    assert!(text(&far).ends_with(&format!("| 1048576 |{}", "  |".repeat(256))), "{}", text(&far));
    for wrong in ["ZZZZZZZZ1", "A99999999999999999999", "XFE1", "A0", "\u{1F4A3}", "A4294967296"] {
        let fault = fault(&rows(&cell(wrong)));
        assert!(fault.starts_with(XLSX), "{wrong}: {fault}");
    }
    let lying = format!("<dimension ref=\"A1:XFD1048576\"/><sheetData><row r=\"1\">{}</row></sheetData>", cell("B1"));
    assert_eq!(text(&read(&xlsx(&[lying])).unwrap()), "|  | B |\n|---|---|\n| 1 | 1 |");
}

#[test]
fn a_sheet_that_repeats_itself_without_end_is_given_up() {
    let content = "<office:document-content xmlns:office=\"o\" xmlns:table=\"t\" xmlns:text=\"x\"><office:body>\
                   <office:spreadsheet><table:table table:name=\"S\"><table:table-row table:number-rows-repeated=\"1048576\">\
                   <table:table-cell office:value-type=\"float\" office:value=\"1\" table:number-columns-repeated=\"16384\"/>\
                   </table:table-row></table:table></office:spreadsheet></office:body></office:document-content>";
    let kind = b"application/vnd.oasis.opendocument.spreadsheet";
    let sheet = archive(&[("mimetype", kind), ("META-INF/manifest.xml", b"<m/>"), ("content.xml", content.as_bytes())]);
    let fault = read(&sheet).unwrap_err();
    assert!(matches!(fault, Fault::Processing | Fault::Unreadable { .. }), "{fault}");
}

#[test]
fn a_book_of_too_many_sheets_is_refused() {
    let sheets = vec!["<sheetData/>".to_owned(); 1001];
    assert_eq!(fault(&xlsx(&sheets)), "the document passes the limit of 1000 for its sheets");
}

#[test]
fn a_presentation_that_shows_a_slide_again_and_again_is_refused() {
    let relation = |of: &str, target: &str| format!("<Relationship Id=\"r\" Type=\"x/{of}\" Target=\"{target}\"/>");
    let root = format!("<Relationships>{}</Relationships>", relation("officeDocument", "ppt/p.xml"));
    let own = format!("<Relationships>{}</Relationships>", relation("slide", "slides/s.xml"));
    let slides = "<p:sldId id=\"256\" r:id=\"r\"/>".repeat(1001);
    let main = format!("<p:presentation xmlns:p=\"p\" xmlns:r=\"r\">{slides}</p:presentation>");
    let deck = archive(&[
        ("_rels/.rels", root.as_bytes()),
        ("ppt/p.xml", main.as_bytes()),
        ("ppt/_rels/p.xml.rels", own.as_bytes()),
        ("ppt/slides/s.xml", b"<a/>"),
    ]);
    assert_eq!(fault(&deck), "the document passes the limit of 1000 for its slides");
}

#[test]
fn pages_that_are_their_own_parents_end() {
    let looped = pdf(&[
        b"<< /Type /Catalog /Pages 2 0 R >>".to_vec(),
        b"<< /Type /Pages /Kids [2 0 R 3 0 R] /Count 2 >>".to_vec(),
        b"<< /Type /Pages /Kids [2 0 R] /Parent 3 0 R /Count 1 >>".to_vec(),
    ]);
    assert_eq!(fault(&looped), PDF);
    let none = pdf(&[b"<< /Type /Catalog /Pages 2 0 R >>".to_vec(), b"<< /Type /Pages /Kids [] /Count 7 >>".to_vec()]);
    assert_eq!(fault(&none), PDF);
    assert_eq!(fault(b"%PDF-1.7\n%%EOF\n"), PDF);
}

#[test]
fn a_table_of_places_that_lies_is_not_believed() {
    let honest = page("0 0 600 800", stream("", b"BT /F 12 Tf 72 700 Td (Where it says) Tj ET"), Vec::new());
    let words = String::from_utf8(honest).unwrap();
    let table = words.find("xref").unwrap();
    let lying =
        words[..table].to_owned() + &words[table..].replace("00000 n", "65535 n").replace("00000000", "99999999");
    let beyond = words.replace("startxref\n", "startxref\n99999999999999999999");
    for file in [lying, beyond] {
        assert_eq!(text(&read(file.as_bytes()).unwrap()), "Where it says");
    }
}

#[test]
fn a_pdf_of_too_many_pages_is_refused() {
    let kids: String = (0..1001).map(|at| format!("{} 0 R ", at + 3)).collect();
    let mut objects = vec![
        b"<< /Type /Catalog /Pages 2 0 R >>".to_vec(),
        format!("<< /Type /Pages /Kids [{kids}] /Count 1001 >>").into_bytes(),
    ];
    objects.extend((0..1001).map(|_| b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 10 10] >>".to_vec()));
    assert_eq!(fault(&pdf(&objects)), "the document passes the limit of 1000 for its pages");
}

#[test]
fn a_pdf_that_unpacks_to_too_much_is_refused() {
    let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
    let mebibyte = vec![b' '; 1 << 20];
    for _ in 0..300 {
        encoder.write_all(&mebibyte).unwrap();
    }
    let bomb = page("0 0 600 800", stream("/Filter /FlateDecode", &encoder.finish().unwrap()), Vec::new());
    assert_eq!(fault(&bomb), "the document passes the limit of 268435456 for its unpacked size in bytes");
}

#[test]
fn a_pdf_that_nests_without_end_ends() {
    let deep = [b"[".repeat(200_000), b"]".repeat(200_000)].concat();
    let nested = pdf(&[[b"<< /Type /Catalog /Pages ".as_slice(), &deep, b" >>"].concat()]);
    let fault = read(&nested).unwrap_err();
    assert!(matches!(fault, Fault::Processing | Fault::Unreadable { .. }), "{fault}");
    // A form that draws itself.
    let resources = "/Type /XObject /Subtype /Form /BBox [0 0 9 9] /Resources << /XObject << /X 6 0 R >> >>";
    let form = stream(resources, b"/X Do /X Do");
    let looped = page("0 0 600 800", stream("", b"/X Do"), vec![form]);
    match read(&looped) {
        Ok(document) => assert_eq!(text(&document), ""),
        Err(fault) => assert!(matches!(fault, Fault::Processing | Fault::Unreadable { .. }), "{fault}"),
    }
}

#[test]
fn too_many_bytes_are_refused_at_once() {
    let large = "the document passes the limit of 104857600 for its size in bytes";
    assert_eq!(fault(&vec![b'a'; (100 << 20) + 1]), large);
    let mut pdf = b"%PDF-1.7\n".to_vec();
    pdf.resize((50 << 20) + 1, b' ');
    assert_eq!(fault(&pdf), "the document passes the limit of 52428800 for its size in bytes");
    assert_eq!(
        wait(crate::world::reader().render(&pdf[..], 1)).unwrap_err().to_string(),
        "the document passes the limit of 52428800 for its size in bytes"
    );
}

#[test]
fn text_without_end_is_cut_and_says_so() {
    let check = |bytes: &[u8], kind: &str| {
        let document = read_as(bytes, Some(kind), &Options::default()).unwrap();
        assert_eq!(document.left_out.last().unwrap(), "all that follows the first 1000000 characters, in text");
        assert!(text(&document).chars().count() <= 1_000_000);
    };
    check("é".repeat(3_000_000).as_bytes(), "text/plain");
    check(("\"".to_owned() + &"a".repeat(3_000_000)).as_bytes(), "text/csv");
    check("<p>word</p>".repeat(400_000).as_bytes(), "text/html");
    // The deepest page is read as far as it is shallow.
    let deep = "<div>".repeat(200_000) + "words";
    assert!(read_as(deep.as_bytes(), Some("text/html"), &Options::default()).is_ok());
}
