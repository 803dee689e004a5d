//! Resource names: `fileSearchStores/my-guides-k3j9x2m4q7wz`.
//!
//! The part behind the slash has up to 40 lower-case letters, digits and dashes, and neither
//! begins nor ends with a dash. Ours are made of the name for people and 12 letters of chance.

use antiphon_engine::Ambient;

pub(crate) const STORES: &str = "fileSearchStores/";
pub(crate) const FILES: &str = "files/";
const LONGEST: usize = 40;
const CHANCE: usize = 12;
const LETTERS: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";

/// The id in a name such as `files/…`; none when it is no such name.
pub(crate) fn id_in<'a>(name: &'a str, prefix: &str) -> Option<&'a str> {
    name.strip_prefix(prefix).filter(|id| is_id(id))
}

pub(crate) fn is_id(id: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=LONGEST).contains(&id.len()) && id.bytes().all(plain) && !id.starts_with('-') && !id.ends_with('-')
}

pub(crate) fn document_name(store: &str, document: &str) -> String {
    format!("{STORES}{store}/documents/{document}")
}

/// A new id that begins like the name for people.
pub(crate) fn mint(ambient: &dyn Ambient, display_name: &str) -> String {
    let mut id = String::new();
    for character in display_name.chars() {
        let letter = character.to_ascii_lowercase();
        if letter.is_ascii_alphanumeric() {
            id.push(letter);
        } else if !id.is_empty() && !id.ends_with('-') {
            id.push('-');
        }
        if id.len() == LONGEST - CHANCE - 1 {
            break;
        }
    }
    if !id.is_empty() && !id.ends_with('-') {
        id.push('-');
    }
    id + &chance(ambient, CHANCE)
}

/// So many letters that nobody can guess, five bits each.
pub(crate) fn chance(ambient: &dyn Ambient, length: usize) -> String {
    let mut bytes = vec![0; length];
    ambient.fill_random(&mut bytes);
    bytes.iter().map(|byte| char::from(LETTERS[usize::from(byte % 32)])).collect()
}

#[cfg(test)]
mod tests {
    use antiphon_testkit::FixedAmbient;

    use super::*;

    #[test]
    fn names_begin_like_what_people_call_them() {
        let ambient = FixedAmbient::default();
        for (display_name, beginning) in [
            ("My Guides", "my-guides-"),
            ("  ../../etc/passwd", "etc-passwd-"),
            ("São Paulo 2024.pdf", "s-o-paulo-2024-pdf-"),
            ("日本", ""),
            (&"long ".repeat(20), "long-long-long-long-long-lo-"),
        ] {
            let id = mint(&ambient, display_name);
            assert!(id.starts_with(beginning) && is_id(&id), "{id}");
            assert_eq!(id.len(), beginning.len() + CHANCE, "{id}");
        }
    }

    #[test]
    fn what_is_no_name_names_nothing() {
        assert_eq!(id_in("files/a-1", FILES), Some("a-1"));
        for wrong in ["files/", "files/A", "files/a/b", "files/..", "files/-a", "files/a-", "file/a", "a"] {
            assert_eq!(id_in(wrong, FILES), None, "{wrong}");
        }
        assert_eq!(id_in(&format!("files/{}", "x".repeat(41)), FILES), None);
    }
}
