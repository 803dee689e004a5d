//! Where a repository is that is placed in an environment: one way to write an address, and no
//! second way to read it.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::host::Host;
use crate::fields::excerpt;

const LONGEST: usize = 1024;

/// The address of a git repository: https, the name of a host, its usual port, and a plain path.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RepositoryAddress {
    host: Host,
    /// Names separated by `/`, without one at either end; never empty.
    path: String,
}

impl RepositoryAddress {
    /// # Errors
    /// What is wrong with it. A name and a password in it are not repeated, nor what is behind `?` or `#`.
    pub fn parse(text: &str) -> Result<Self, String> {
        const EXPECTED: &str = "expected `https://`, the name of a host, and the path of a git repository there";
        if text.contains('@') {
            let credentials = "what a private one needs is said by `transform` or `credential` of `network.allowlist`";
            return Err(format!("{EXPECTED}, without `@`; {credentials}"));
        }
        // What is behind the path of others' addresses may be somebody's key.
        let told = text.split(['?', '#']).next().unwrap_or_default();
        let wrong = || format!("{EXPECTED}, got `{}`", excerpt(told).escape_debug());
        if text.len() > LONGEST {
            return Err(format!("expected an address of at most {LONGEST} bytes, got {}", text.len()));
        }
        let (authority, path) =
            text.strip_prefix("https://").and_then(|rest| rest.split_once('/')).ok_or_else(wrong)?;
        let host = Host::parse(authority.strip_suffix(":443").unwrap_or(authority)).ok_or_else(wrong)?;
        let path = path.strip_suffix('/').unwrap_or(path);
        if path.split('/').all(is_name) { Ok(Self { host, path: path.to_owned() }) } else { Err(wrong()) }
    }

    pub fn host(&self) -> &Host {
        &self.host
    }

    /// What a copy of it is called where nobody says: the last name of its path, without `.git`.
    pub fn name(&self) -> &str {
        let last = self.path.rsplit('/').next().unwrap_or_default();
        last.strip_suffix(".git").filter(|name| !name.is_empty()).unwrap_or(last)
    }
}

/// A name that is written as it is, or with escapes that stand for printable characters.
fn is_name(name: &str) -> bool {
    let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~+,".contains(byte);
    let mut rest = name.as_bytes();
    while let Some((first, others)) = rest.split_first() {
        rest = match (first, others) {
            (b'%', [high @ (b'2'..=b'9' | b'a'..=b'f' | b'A'..=b'F'), low, others @ ..])
                if low.is_ascii_hexdigit() && (*high, *low) != (b'2', b'f') && (*high, *low) != (b'2', b'F') =>
            {
                others
            }
            (first, others) if is_plain(first) => others,
            _ => return false,
        };
    }
    !matches!(name, "" | "." | "..")
}

impl fmt::Display for RepositoryAddress {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "https://{}/{}", self.host, self.path)
    }
}

impl From<RepositoryAddress> for String {
    fn from(address: RepositoryAddress) -> Self {
        address.to_string()
    }
}

impl TryFrom<String> for RepositoryAddress {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        Self::parse(&text)
    }
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;

    #[test]
    fn an_address_is_read_and_written_in_one_way() {
        for (text, expected, name) in [
            ("https://git.test/owner/heron.git", "https://git.test/owner/heron.git", "heron"),
            ("https://Git.Test.:443/a/b/c/", "https://git.test/a/b/c", "c"),
            ("https://b\u{fc}cher.test/x", "https://xn--bcher-kva.test/x", "x"),
            ("https://git.test/a/My%20Birds", "https://git.test/a/My%20Birds", "My%20Birds"),
            ("https://git.test/~a/.git", "https://git.test/~a/.git", ".git"),
        ] {
            let address = RepositoryAddress::parse(text).unwrap();
            assert_eq!((address.to_string().as_str(), address.name()), (expected, name));
            assert_eq!(RepositoryAddress::parse(expected).unwrap(), address);
        }
    }

    #[test]
    fn nothing_but_https_to_a_host_is_an_address() {
        for text in [
            "",
            "git.test/a",
            "/etc",
            "file:///etc",
            "http://git.test/a",
            "git://git.test/a",
            "ssh://git.test/a",
            "ext::sh -c touch",
            "ftp://git.test/a",
            "HTTPS://git.test/a",
            "https::git.test/a",
            "--upload-pack=touch",
            "-u",
            "https://git.test",
            "https://git.test/",
            "https://git.test//",
            "https:///a",
            "https://git.test:8443/a",
            "https://127.0.0.1/a",
            "https://[::1]/a",
            "https://2130706433/a",
            "https://0x7f.1/a",
            "https://git.test/a/../b",
            "https://git.test/./a",
            "https://git.test/a//b",
            "https://git.test/a?b",
            "https://git.test/a#b",
            "https://git.test/a b",
            "https://git.test/a\\b",
            "https://git.test/a\n",
            "https://git.test/%0a",
            "https://git.test/%2e%2fa",
            "https://git.test/%2",
            "https://git.test/$(touch a)",
            "https://git.test/`touch`",
            "https://git.test/\u{fc}",
            &format!("https://git.test/{}", "a".repeat(LONGEST)),
        ] {
            let why = RepositoryAddress::parse(text).unwrap_err();
            assert!(why.starts_with("expected "), "{text}: {why}");
        }
    }

    #[test]
    fn a_password_is_not_repeated() {
        for text in ["https://me:secret@git.test/a", "http://secret@git.test/a", "git@git.test:secret/a"] {
            let why = RepositoryAddress::parse(text).unwrap_err();
            assert!(why.contains("`credential` of `network.allowlist`") && !why.contains("secret"), "{why}");
        }
        for text in ["https://git.test/a?token=secret", "https://git.test/a#secret", "http://git.test?secret"] {
            let why = RepositoryAddress::parse(text).unwrap_err();
            assert!(why.contains("git.test") && !why.contains("secret"), "{why}");
        }
    }
}
