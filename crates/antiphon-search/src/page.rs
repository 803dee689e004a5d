//! From the bytes of a file to a page: its text, and what it says about itself.
//!
//! A file can begin with lines about itself, between two lines of `---` or as its first
//! lines if `url:`, `title:` or `site:` begins the first of them. So a folder can mirror
//! pages of the web and have them cited by their own addresses.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;

use crate::filter::MetadataValue;
use crate::provider::{self, MOST_TITLE_CHARACTERS};
use crate::{html, plain};

const MOST_FRONT_LINES: usize = 64;
pub(crate) const MOST_KEY_CHARACTERS: usize = 128;
const MOST_VALUE_CHARACTERS: usize = 1024;
/// What has these endings is read as text; anything else is left to a plugged extractor.
const TEXT: [&str; 9] = ["csv", "json", "log", "markdown", "md", "rst", "text", "tsv", "txt"];
const HTML: [&str; 3] = ["htm", "html", "xhtml"];

/// What an extractor gets out of a file. Form feeds in the text end its pages.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Extracted {
    pub text: String,
    pub title: Option<String>,
}

/// Reads kinds of files that the corpus cannot read by itself, or reads them better. None
/// when a file, told by its path and its bytes, is not of such a kind; otherwise its text,
/// or why there is none. A file on which it panics is skipped.
pub type Extractor = Arc<dyn Fn(&Path, &[u8]) -> Option<Result<Extracted, String>> + Send + Sync>;

#[derive(Debug, PartialEq)]
pub(crate) struct Page {
    pub(crate) text: String,
    pub(crate) title: String,
    pub(crate) front: Front,
}

/// What a file says about itself before its text.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Front {
    pub(crate) url: Option<String>,
    pub(crate) title: Option<String>,
    pub(crate) site: Option<String>,
    pub(crate) published: Option<String>,
    pub(crate) metadata: BTreeMap<String, MetadataValue>,
}

/// # Errors
/// Why the file has no text for the corpus.
pub(crate) fn read(path: &Path, bytes: &[u8], extractor: Option<&Extractor>) -> Result<Page, String> {
    let text = std::str::from_utf8(bytes).ok().map(|text| text.strip_prefix('\u{feff}').unwrap_or(text));
    let (front, body) = match text {
        Some(text) => front(text)?,
        None => (Front::default(), ""),
    };
    let bytes = if text.is_some() { body.as_bytes() } else { bytes };
    let plugged = extractor.map(|extractor| catch_unwind(AssertUnwindSafe(|| extractor(path, bytes))));
    let extracted = match plugged.transpose().map_err(|_| "its extractor broke down")?.flatten() {
        Some(extracted) => extracted?,
        None => built_in(path, text.map(|_| body))?,
    };
    let text = plain::clean(&extracted.text);
    if text.trim().is_empty() {
        return Err("it has no text".to_owned());
    }
    let title = front.title.clone().or(extracted.title).or_else(|| first_heading(&text));
    let title = title.map(|title| plain::line(&title, MOST_TITLE_CHARACTERS)).filter(|title| !title.is_empty());
    let name = || path.file_name().unwrap_or_default().to_string_lossy();
    let title = title.unwrap_or_else(|| plain::line(&name(), MOST_TITLE_CHARACTERS));
    Ok(Page { text, title, front })
}

fn built_in(path: &Path, text: Option<&str>) -> Result<Extracted, String> {
    let ending = path.extension().unwrap_or_default().to_string_lossy().to_ascii_lowercase();
    let (is_text, is_html) = (TEXT.contains(&ending.as_str()), HTML.contains(&ending.as_str()));
    if !is_text && !is_html {
        return Err("files of its kind are not read".to_owned());
    }
    let text = text.filter(|text| !text.contains('\0')).ok_or("it is not text in UTF-8")?;
    if is_text {
        return Ok(Extracted { text: text.to_owned(), title: None });
    }
    let page = html::page(text);
    Ok(Extracted { text: page.text, title: page.title })
}

fn first_heading(text: &str) -> Option<String> {
    let line = text.lines().find(|line| !line.trim().is_empty())?;
    Some(line.strip_prefix("# ")?.to_owned())
}

/// The lines about a file, and what follows them.
fn front(text: &str) -> Result<(Front, &str), String> {
    let fenced = text.strip_prefix("---\n").or_else(|| text.strip_prefix("---\r\n"));
    let mut front = Front::default();
    let mut rest = fenced.unwrap_or(text);
    for at in 0..MOST_FRONT_LINES {
        let (line, after) = rest.split_once('\n').unwrap_or((rest, ""));
        let line = line.trim_end();
        let pair = pair(line);
        if fenced.is_some() {
            if matches!(line, "---" | "...") {
                return Ok((front, after));
            }
            // Lists and nested keys say nothing that is asked for here.
            if after.is_empty() {
                break;
            }
        } else if pair.is_none() || at == 0 && !pair.is_some_and(|(key, _)| matches!(key, "url" | "title" | "site")) {
            // An empty line ends them and belongs to them.
            return Ok((front, if at > 0 && line.is_empty() { after } else { rest }));
        }
        if let Some((key, value)) = pair {
            front.set(key, value)?;
        }
        rest = after;
    }
    // A fence that nothing closes is a rule across the page.
    if fenced.is_some() { Ok((Front::default(), text)) } else { Ok((front, rest)) }
}

/// `key: value`, the value without its quotes.
fn pair(line: &str) -> Option<(&str, &str)> {
    let (key, value) = line.split_once(':')?;
    let is_key = !key.is_empty()
        && key.len() <= MOST_KEY_CHARACTERS
        && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
        && (value.is_empty() || value.starts_with(' '));
    let value = value.trim();
    let quoted = ['"', '\''].into_iter().find_map(|quote| value.strip_prefix(quote)?.strip_suffix(quote));
    is_key.then_some((key, quoted.unwrap_or(value)))
}

impl Front {
    fn set(&mut self, key: &str, value: &str) -> Result<(), String> {
        let line = plain::line(value, MOST_VALUE_CHARACTERS);
        if line.is_empty() {
            return Ok(());
        }
        match key {
            "url" => {
                let url = provider::web_address(&line).ok_or("its `url` is no address of the web")?;
                self.url = Some(url.into());
            }
            "title" => self.title = Some(line),
            "site" => self.site = Some(line),
            "published" | "date" => self.published = provider::day(&line),
            _ => {
                let number = line.parse().ok().filter(|number: &f64| number.is_finite());
                let value = number.map_or(MetadataValue::Text(line), MetadataValue::Number);
                self.metadata.insert(key.to_owned(), value);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_text(path: &str, text: &str) -> Result<Page, String> {
        read(Path::new(path), text.as_bytes(), None)
    }

    #[test]
    fn a_page_says_what_it_is() {
        let expected = Front {
            url: Some("https://a.example/b".to_owned()),
            title: Some("A: b".to_owned()),
            site: None,
            published: Some("2026-03-01".to_owned()),
            metadata: BTreeMap::from([
                ("author".to_owned(), MetadataValue::Text("Ana".to_owned())),
                ("year".to_owned(), MetadataValue::Number(2026.0)),
            ]),
        };
        let lines = "url: https://a.example/b\ntitle: \"A: b\"\ndate: 2026-03-01T10:00Z\nauthor: Ana\nyear: 2026\n";
        for text in [format!("---\n{lines}tags:\n  - x\n---\nBody.\n"), format!("{lines}\nBody.\n")] {
            let page = read_text("x.md", &text).unwrap();
            assert_eq!(
                (page.text.as_str(), page.title.as_str(), &page.front),
                ("Body.\n", "A: b", &expected),
                "{text}"
            );
        }
    }

    #[test]
    fn text_that_only_looks_like_lines_about_itself_stays() {
        let check = |text: &str| assert_eq!(read_text("x.txt", text).unwrap().text, text);
        check("note: this is text\nmore");
        check("---\na rule, and nothing closes it\n");
        check("https://a.example is an address\n");
    }

    #[test]
    fn the_title_is_the_best_there_is() {
        let check = |path, text, expected| assert_eq!(read_text(path, text).unwrap().title, expected);
        check("a.md", "\n# Heading\n\nText", "Heading");
        check("a b.md", "Text", "a b.md");
        check("a.html", "<title>T</title><h1>H</h1>", "T");
        check("a.html", "<h1>H</h1>", "H");
    }

    #[test]
    fn what_is_no_text_is_refused_with_the_reason() {
        let check = |path, bytes: &[u8], expected: &str| {
            assert_eq!(read(Path::new(path), bytes, None).unwrap_err(), expected, "{path}");
        };
        check("a.txt", b"a\xffb", "it is not text in UTF-8");
        check("a.txt", b"a\0b", "it is not text in UTF-8");
        check("a.bin", b"abc", "files of its kind are not read");
        check("a.md", b" \n", "it has no text");
        check("a.md", b"url: file:///etc/passwd\n\ntext", "its `url` is no address of the web");
    }

    #[test]
    fn a_plugged_extractor_is_asked_first() {
        let extractor: Extractor = Arc::new(|path, bytes| {
            (path.extension()? == "pdf").then(|| match bytes {
                b"good" => Ok(Extracted { text: "one\u{c}two".to_owned(), title: Some("T".to_owned()) }),
                b"bad" => Err("it is broken".to_owned()),
                _ => panic!("a defect of the extractor"),
            })
        });
        let read = |path, bytes: &[u8]| read(Path::new(path), bytes, Some(&extractor));
        assert_eq!(read("a.pdf", b"good").unwrap().text, "one\u{c}two");
        assert_eq!(read("a.pdf", b"bad").unwrap_err(), "it is broken");
        assert_eq!(read("a.pdf", b"").unwrap_err(), "its extractor broke down");
        assert_eq!(read("a.txt", b"text").unwrap().text, "text");
    }
}
