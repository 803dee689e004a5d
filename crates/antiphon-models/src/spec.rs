//! What a user may ask for by one word, and the name under which it is installed.
//!
//! Names become folder names and hub paths become URLs, so both are made only here, from a small set of characters.

use std::path::{self, PathBuf};

use serde::{Deserialize, Serialize};

use crate::{Entry, Error, catalogue::Source, error::at};

/// Folders of the library that no model may be named after.
pub(crate) const RESERVED: [&str; 2] = ["locks", "partial"];

/// The longest name: folder and file names made from it stay below the usual 255 bytes.
const LONGEST_NAME: usize = 200;

/// A wish, understood.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Spec<'a> {
    /// A model of the catalogue, by name or alias.
    Entry(&'a Entry),
    /// `hf:owner/repo/file.gguf`, or a `.safetensors` file.
    Hub(HubFile),
    /// A file on this machine, as an absolute path.
    Local(PathBuf),
}

impl<'a> Spec<'a> {
    /// Reads `text` as `hf:…`, as a name or alias from `catalogue`, or as a path that ends in `.gguf` or
    /// `.safetensors`.
    pub(crate) fn parse(text: &str, catalogue: &'a [Entry]) -> Result<Self, Error> {
        if let Some(file) = text.strip_prefix("hf:") {
            return Ok(Self::Hub(HubFile::try_from(file.to_owned())?));
        }
        if let Some(entry) = known(text, catalogue) {
            return Ok(Self::Entry(entry));
        }
        if stem(text).is_some() {
            return Ok(Self::Local(path::absolute(text).map_err(at(text))?));
        }
        let names: Vec<_> = catalogue.iter().map(|entry| format!("`{}`", entry.name)).collect();
        Err(Error::Unknown { spec: text.to_owned(), expected: names.join(", ") })
    }

    /// The name it is installed under: the catalogue's, else the file's without its end, in lower case.
    ///
    /// # Errors
    /// [`Error::Invalid`] when the file's name gives none, [`Error::Taken`] when it gives one of the catalogue's.
    pub(crate) fn name(&self, catalogue: &[Entry]) -> Result<String, Error> {
        let file = match self {
            Self::Entry(entry) => return Ok(entry.name.clone()),
            Self::Hub(file) => file.file_name(),
            Self::Local(path) => path.file_name().and_then(|name| name.to_str()).unwrap_or_default(),
        };
        let name: String = stem(file)
            .unwrap_or_default()
            .chars()
            .map(|c| if is_plain(c) { c.to_ascii_lowercase() } else { '-' })
            .collect();
        if !is_name(&name) {
            return Err(Error::Invalid {
                spec: self.to_string(),
                reason: format!("expected a file named like `model-q4_k_m.gguf`, got `{file}`"),
            });
        }
        match known(&name, catalogue) {
            Some(entry) => Err(Error::Taken { name, by: format!("`{}` of the catalogue", entry.name) }),
            None => Ok(name),
        }
    }

    /// The end of its file's name, without the dot.
    pub(crate) fn kind(&self) -> &'static str {
        let kind = match self {
            Self::Entry(_) => None,
            Self::Hub(file) => split(file.file_name()),
            Self::Local(path) => path.file_name().and_then(|name| name.to_str()).and_then(split),
        };
        kind.map_or("gguf", |(_, kind)| kind)
    }

    /// Where its weights may come from, best first; none for a file that is here already.
    pub(crate) fn sources(&self) -> Vec<Source> {
        match self {
            Self::Entry(entry) => entry.sources.clone(),
            Self::Hub(file) => vec![Source::Hub(file.clone())],
            Self::Local(_) => Vec::new(),
        }
    }
}

impl std::fmt::Display for Spec<'_> {
    /// As it can be parsed again.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Entry(entry) => f.write_str(&entry.name),
            Self::Hub(file) => write!(f, "hf:{file}"),
            Self::Local(path) => write!(f, "{}", path.display()),
        }
    }
}

/// A file of a repository on the model hub, `owner/repo/path/of/file.gguf`, at its main revision.
///
/// Every segment is plain (letters, digits, `.`, `_`, `-`, `+`) and none starts with a dot, so none climbs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct HubFile(String);

impl HubFile {
    /// Path and query-free rest of the file's URL, below the hub's base.
    pub(crate) fn url_path(&self) -> String {
        let mut segments = self.0.splitn(3, '/');
        let (owner, repo, file) = (segments.next(), segments.next(), segments.next());
        format!("{}/{}/resolve/main/{}", owner.unwrap_or_default(), repo.unwrap_or_default(), file.unwrap_or_default())
    }

    fn file_name(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or_default()
    }
}

impl TryFrom<String> for HubFile {
    type Error = Error;

    fn try_from(text: String) -> Result<Self, Error> {
        let reason = if text.len() > 1024 || text.split('/').count() < 3 || stem(&text).is_none() {
            "expected `owner/repo/file.gguf`, or `.safetensors`, after `hf:`"
        } else if !text.split('/').all(|segment| {
            !segment.is_empty() && !segment.starts_with('.') && segment.chars().all(|c| is_plain(c) || c == '+')
        }) {
            "expected only letters, digits, `.`, `_`, `-` and `+` between slashes, and no leading dot"
        } else if is_split(&text) {
            "it is one piece of a model cut into several files; models of one file can be pulled"
        } else {
            return Ok(Self(text));
        };
        Err(Error::Invalid { spec: format!("hf:{text}"), reason: reason.to_owned() })
    }
}

impl From<HubFile> for String {
    fn from(file: HubFile) -> Self {
        file.0
    }
}

impl std::fmt::Display for HubFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// The entry whose name or alias is `name`.
pub(crate) fn known<'a>(name: &str, catalogue: &'a [Entry]) -> Option<&'a Entry> {
    catalogue.iter().find(|entry| entry.name == name || entry.aliases.iter().any(|alias| alias == name))
}

/// Whether `text` may be a model's name, and so a folder's.
pub(crate) fn is_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text.len() <= LONGEST_NAME
        && text.chars().all(|c| is_plain(c) && !c.is_ascii_uppercase())
        && !RESERVED.contains(&text)
}

fn is_plain(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-')
}

/// `text` without its `.gguf` or `.safetensors`, when it has that and something before.
fn stem(text: &str) -> Option<&str> {
    split(text).map(|(stem, _)| stem)
}

/// The end of `text` that says which kind of weights it names, and what is before.
fn split(text: &str) -> Option<(&str, &'static str)> {
    let (stem, end) = text.rsplit_once('.')?;
    let kind = ["gguf", "safetensors"].into_iter().find(|kind| end.eq_ignore_ascii_case(kind))?;
    (!stem.is_empty()).then_some((stem, kind))
}

/// Whether the file is named `…-00001-of-00003.gguf`, as the pieces of a split model are.
fn is_split(text: &str) -> bool {
    let is_number = |word: &str| word.len() == 5 && word.bytes().all(|byte| byte.is_ascii_digit());
    let words: Vec<_> = stem(text).unwrap_or_default().rsplitn(4, '-').collect();
    matches!(words[..], [last, "of", piece, _] if is_number(last) && is_number(piece))
}
