//! What a document is. Its bytes decide; what it is declared as must be of the same family.

use serde::{Deserialize, Serialize};

use crate::fault::Fault;
use crate::package::Package;

/// For those who sent something else.
pub const SUPPORTED: &str = "PDF, docx, pptx, odt, odp, xlsx, xls, ods, CSV, HTML, JSON, XML, Markdown, plain text";

/// Where the mark of a PDF may stand, for readers of PDF are that generous.
const LOOKED_AT: usize = 1024;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    Pdf,
    Docx,
    Pptx,
    Odt,
    Odp,
    Xlsx,
    Xls,
    Ods,
    Csv,
    Html,
    /// Everything else that is characters: plain text, Markdown, JSON, XML, source code.
    Text,
}

/// What was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sniffed {
    pub kind: Kind,
    /// The label of the encoding that was declared.
    pub charset: Option<String>,
    /// What differs from the declaration and does not matter.
    pub note: Option<String>,
}

/// Within one a wrong declaration is forgiven.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Family {
    Pdf,
    Office,
    Text,
    Other,
}

/// What bytes are, whether it is read or not.
#[derive(Clone, Copy)]
enum Found {
    Read(Kind),
    Unread(&'static str, Family),
    Encrypted(&'static str),
}

const WORD: &str = "application/msword";
const POWERPOINT: &str = "application/vnd.ms-powerpoint";
const EXCEL: &str = "application/vnd.ms-excel";

impl Kind {
    pub fn mime_type(self) -> &'static str {
        match self {
            Self::Pdf => "application/pdf",
            Self::Docx => "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
            Self::Pptx => "application/vnd.openxmlformats-officedocument.presentationml.presentation",
            Self::Odt => "application/vnd.oasis.opendocument.text",
            Self::Odp => "application/vnd.oasis.opendocument.presentation",
            Self::Xlsx => "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
            Self::Xls => EXCEL,
            Self::Ods => "application/vnd.oasis.opendocument.spreadsheet",
            Self::Csv => "text/csv",
            Self::Html => "text/html",
            Self::Text => "text/plain",
        }
    }

    /// Whether `page_options` mean something to it.
    pub fn has_pages(self) -> bool {
        matches!(self, Self::Pdf | Self::Pptx | Self::Odp)
    }

    /// Whether `spreadsheet_options` mean something to it.
    pub fn has_sheets(self) -> bool {
        matches!(self, Self::Xlsx | Self::Xls | Self::Ods | Self::Csv)
    }

    fn family(self) -> Family {
        match self {
            Self::Pdf => Family::Pdf,
            Self::Docx | Self::Pptx | Self::Odt | Self::Odp | Self::Xlsx | Self::Xls | Self::Ods => Family::Office,
            Self::Csv | Self::Html | Self::Text => Family::Text,
        }
    }
}

/// Finds out what a document is. `declared` is a media type, which may say a charset.
///
/// # Errors
/// When it is declared as something of another family, of no kind that is read, or encrypted.
pub fn sniff(bytes: &[u8], declared: Option<&str>) -> Result<Sniffed, Fault> {
    let (essence, charset) = declared.map_or((None, None), parted);
    let found = found(bytes, essence.as_deref())?;
    let family = match found {
        Found::Read(kind) => kind.family(),
        Found::Unread(_, family) => family,
        Found::Encrypted(_) => Family::Office,
    };
    // Windows says so of CSV.
    let is_csv = essence.as_deref() == Some(EXCEL) && family == Family::Text;
    if let Some(essence) = &essence
        && family_of(essence) != family
        && !is_csv
    {
        return Err(Fault::Mismatch { declared: essence.clone(), found: found.name().to_owned() });
    }
    let kind = match found {
        Found::Read(_) if is_csv => Kind::Csv,
        Found::Read(kind) => kind,
        Found::Unread(name, _) => return Err(Fault::Unsupported { found: name.to_owned() }),
        Found::Encrypted(name) => return Err(Fault::encrypted(name)),
    };
    // Among kinds of text the declaration is the best that is known.
    let differs = |essence: &&String| kind.family() != Family::Text && !is_called(kind, essence) || is_csv;
    let note = essence.as_ref().filter(differs);
    let note = note.map(|essence| format!("declared as `{essence}`, read as `{}`", kind.mime_type()));
    Ok(Sniffed { kind, charset, note })
}

impl Found {
    fn name(self) -> &'static str {
        match self {
            Self::Read(kind) => kind.mime_type(),
            Self::Unread(name, _) | Self::Encrypted(name) => name,
        }
    }
}

/// A media type in lower case, and its charset. One that says nothing is none.
fn parted(declared: &str) -> (Option<String>, Option<String>) {
    let mut parts = declared.split(';');
    let essence: String = parts.next().unwrap_or_default().trim().to_ascii_lowercase().chars().take(100).collect();
    let charset = parts.find_map(|part| {
        let (name, value) = part.split_once('=')?;
        let value = value.trim().trim_matches('"');
        (name.trim().eq_ignore_ascii_case("charset") && value.len() <= 40).then(|| value.to_owned())
    });
    let says_nothing = matches!(essence.as_str(), "" | "*/*" | "application/octet-stream" | "binary/octet-stream");
    ((!says_nothing).then_some(essence), charset)
}

fn family_of(essence: &str) -> Family {
    let subtype = essence.strip_prefix("application/").unwrap_or_default();
    match subtype {
        _ if essence.starts_with("text/") => Family::Text,
        "pdf" | "x-pdf" => Family::Pdf,
        "zip" | "x-zip-compressed" | "msword" | "rtf" | "excel" | "x-excel" | "x-msexcel" | "mspowerpoint" => {
            Family::Office
        }
        _ if ["vnd.openxmlformats-officedocument", "vnd.oasis.opendocument", "vnd.ms-", "vnd.sun.xml"]
            .iter()
            .any(|start| subtype.starts_with(start)) =>
        {
            Family::Office
        }
        "json" | "xml" | "javascript" | "x-javascript" | "ecmascript" | "typescript" | "yaml" | "x-yaml" | "toml"
        | "x-ndjson" | "jsonl" | "sql" | "x-sh" | "x-python" | "csv" | "markdown" | "x-latex" | "x-tex" => Family::Text,
        _ if subtype.ends_with("+json") || subtype.ends_with("+xml") => Family::Text,
        _ => Family::Other,
    }
}

/// Whether a kind may be called so without a word about it.
fn is_called(kind: Kind, essence: &str) -> bool {
    essence == kind.mime_type() || (kind == Kind::Pdf && essence == "application/x-pdf")
}

fn found(bytes: &[u8], declared: Option<&str>) -> Result<Found, Fault> {
    const MARKS: [(&[u8], &str); 13] = [
        (b"\x89PNG\r\n\x1a\n", "image/png"),
        (b"\xff\xd8\xff", "image/jpeg"),
        (b"GIF8", "image/gif"),
        (b"II*\0", "image/tiff"),
        (b"MM\0*", "image/tiff"),
        (b"ID3", "audio/mpeg"),
        (b"fLaC", "audio/flac"),
        (b"OggS", "application/ogg"),
        (b"RIFF", "audio/wav"),
        (b"\x1a\x45\xdf\xa3", "video/webm"),
        (b"\x1f\x8b", "application/gzip"),
        (b"7z\xbc\xaf\x27\x1c", "application/x-7z-compressed"),
        (b"\x7fELF", "application/x-executable"),
    ];
    if let Some((_, name)) = MARKS.into_iter().find(|(mark, _)| bytes.starts_with(mark)) {
        return Ok(Found::Unread(name, Family::Other));
    }
    if bytes.get(4..8) == Some(b"ftyp") {
        return Ok(Found::Unread("video/mp4", Family::Other));
    }
    let start = &bytes[..bytes.len().min(LOOKED_AT)];
    let is_declared_text = declared.is_some_and(|essence| family_of(essence) == Family::Text);
    let has_mark = start.windows(5).any(|window| window == b"%PDF-");
    if bytes.starts_with(b"%PDF-") || (has_mark && !is_declared_text) {
        return Ok(Found::Read(Kind::Pdf));
    }
    if bytes.starts_with(b"PK\x03\x04") || bytes.starts_with(b"PK\x05\x06") {
        return archived(bytes);
    }
    if bytes.starts_with(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1") {
        return Ok(compound(bytes));
    }
    if bytes.starts_with(b"{\\rtf") {
        return Ok(Found::Unread("application/rtf", Family::Office));
    }
    if !crate::text::is_readable(bytes) {
        return Ok(Found::Unread("application/octet-stream", Family::Other));
    }
    Ok(Found::Read(match declared {
        Some("text/csv" | "application/csv" | "text/comma-separated-values" | "text/tab-separated-values") => Kind::Csv,
        Some("text/html" | "application/xhtml+xml") => Kind::Html,
        None if crate::text::looks_like_html(bytes) => Kind::Html,
        Some(_) | None => Kind::Text,
    }))
}

/// Office files are archives, and told apart by what is in them.
fn archived(bytes: &[u8]) -> Result<Found, Fault> {
    let mut package = Package::open(bytes)?;
    let kind = match package.declared_type().as_deref() {
        Some("application/vnd.oasis.opendocument.text" | "application/vnd.oasis.opendocument.text-web") => Kind::Odt,
        Some("application/vnd.oasis.opendocument.presentation") => Kind::Odp,
        Some("application/vnd.oasis.opendocument.spreadsheet") => Kind::Ods,
        Some("application/epub+zip") => return Ok(Found::Unread("application/epub+zip", Family::Office)),
        Some(_) | None if package.has("xl/workbook.xml") => Kind::Xlsx,
        Some(_) | None if package.has_in("word/", ".xml") => Kind::Docx,
        Some(_) | None if package.has_in("ppt/", ".xml") => Kind::Pptx,
        Some(_) | None => return Ok(Found::Unread("application/zip", Family::Office)),
    };
    if package.is_encrypted() {
        return Ok(Found::Encrypted(kind.mime_type()));
    }
    Ok(Found::Read(kind))
}

/// The older office files are folders of streams. The streams of the file itself are listed before
/// those of what is embedded in it.
fn compound(bytes: &[u8]) -> Found {
    let place = |name: &str| {
        let wide: Vec<u8> = name.encode_utf16().flat_map(u16::to_le_bytes).chain([0, 0]).collect();
        bytes.windows(wide.len()).position(|window| window == wide)
    };
    let streams = [
        ("EncryptedPackage", Found::Encrypted("application/vnd.openxmlformats-officedocument")),
        ("Workbook", Found::Read(Kind::Xls)),
        ("Book", Found::Read(Kind::Xls)),
        ("WordDocument", Found::Unread(WORD, Family::Office)),
        ("PowerPoint Document", Found::Unread(POWERPOINT, Family::Office)),
    ];
    let first = streams.into_iter().filter_map(|(name, found)| Some((place(name)?, found))).min_by_key(|(at, _)| *at);
    first.map_or(Found::Unread("application/x-ole-storage", Family::Office), |(_, found)| found)
}
