//! What bytes are called: whose they are, and their hash. Equal bytes of two projects are two, so that neither can find
//! out what the other has.

use std::fmt;

/// Written as `7/` and 64 hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name {
    /// Whose they are.
    pub project: i64,
    pub sha256: [u8; 32],
}

impl Name {
    /// `None` for what is not written exactly so.
    pub fn read(text: &str) -> Option<Self> {
        let (project, digits) = text.split_once('/')?;
        let mut sha256 = [0; 32];
        if digits.len() != 2 * sha256.len() || !digits.is_ascii() {
            return None;
        }
        for (byte, at) in sha256.iter_mut().zip((0..).step_by(2)) {
            *byte = u8::from_str_radix(&digits[at..at + 2], 16).ok()?;
        }
        let name = Self { project: project.parse().ok()?, sha256 };
        (name.to_string() == text).then_some(name)
    }
}

impl fmt::Display for Name {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/", self.project)?;
        self.sha256.iter().try_for_each(|byte| write!(formatter, "{byte:02x}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_they_are_written_and_nothing_else_is() {
        let name = Name { project: 7, sha256: [0xa5; 32] };
        let text = name.to_string();
        assert_eq!(Name::read(&text), Some(name));
        let wrong = [
            text.to_uppercase(),
            format!("0{text}"),
            format!("+{text}"),
            format!("{text}/"),
            format!("../{text}"),
            text.replace("a5", "+5"),
            text[1..].to_owned(),
            text[..text.len() - 2].to_owned(),
            format!("7/{}", "é".repeat(32)),
        ];
        for wrong in wrong {
            assert_eq!(Name::read(&wrong), None, "{wrong}");
        }
    }
}
