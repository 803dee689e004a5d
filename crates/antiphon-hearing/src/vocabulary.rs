//! The tokens of Whisper: pieces of text, languages, moments, and words of command.

use std::ops::Range;
use std::path::Path;

use crate::Broken;

/// All of them, of the multilingual network.
pub(crate) const TOKENS: usize = 51_865;

/// The end of the text; tokens before it are text.
pub(crate) const END: usize = 50_257;

/// Stands before all else.
pub(crate) const START: usize = 50_258;

/// One for each language.
pub(crate) const LANGUAGES: Range<usize> = 50_259..50_358;

/// That words are wanted in the language in which they are said.
pub(crate) const TRANSCRIBE: usize = 50_359;

/// That nothing is said.
pub(crate) const SILENCE: usize = 50_362;

/// That moments are not wanted.
pub(crate) const TIMELESS: usize = 50_363;

/// Moments in steps of 20 ms, from the beginning of what is heard to 30 s.
pub(crate) const TIMES: Range<usize> = 50_364..TOKENS;

/// The moment of a token, in seconds.
pub(crate) fn time(token: usize) -> Option<f64> {
    TIMES.contains(&token).then(|| (token - TIMES.start) as f64 / 50.0)
}

pub(crate) struct Vocabulary {
    /// What each token of text writes; tokens may hold a part of a character.
    pieces: Vec<Vec<u8>>,
    languages: Vec<String>,
}

impl Vocabulary {
    /// Reads a file of one token a line, in which each byte is a letter as GPT-2 writes them.
    ///
    /// # Errors
    /// [`Broken`] when the file is not the vocabulary.
    pub(crate) fn load(path: &Path) -> Result<Self, Broken> {
        let text = std::fs::read_to_string(path).map_err(|error| Broken::weights(path, &error))?;
        let lines: Vec<&str> = text.lines().collect();
        let read = (lines.len() == TOKENS).then(|| {
            let pieces = lines[..END].iter().map(|line| line.chars().map(byte).collect()).collect::<Option<_>>()?;
            let name = |line: &&str| Some(line.strip_prefix("<|")?.strip_suffix("|>")?.to_owned());
            Some(Self { pieces, languages: lines[LANGUAGES].iter().map(name).collect::<Option<_>>()? })
        });
        read.flatten().ok_or_else(|| Broken::weights(path, &format!("expected {TOKENS} tokens, one a line")))
    }

    /// The text of tokens, without those that are no text.
    pub(crate) fn text(&self, tokens: &[usize]) -> String {
        let bytes: Vec<u8> = tokens.iter().filter_map(|&token| self.pieces.get(token)).flatten().copied().collect();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// The code of a language (ISO 639-1 mostly) by its token.
    pub(crate) fn language(&self, token: usize) -> Option<&str> {
        self.languages.get(token.checked_sub(LANGUAGES.start)?).map(String::as_str)
    }

    /// The token of a language by its code.
    pub(crate) fn token(&self, language: &str) -> Option<usize> {
        self.languages.iter().position(|known| known == language).map(|at| LANGUAGES.start + at)
    }
}

#[cfg(test)]
impl Vocabulary {
    /// One that has these tokens of text alone.
    pub(crate) fn of(pieces: &[&str]) -> Self {
        let pieces = pieces.iter().map(|piece| piece.chars().filter_map(byte).collect()).collect();
        Self { pieces, languages: Vec::new() }
    }
}

/// GPT-2 writes each byte as a letter that can be seen: printable ones of Latin-1 as themselves, the others, in their
/// order, as the letters from U+0100 on.
fn byte(letter: char) -> Option<u8> {
    let is_itself = |byte: u8| matches!(byte, b'!'..=b'~' | 0xa1..=0xac | 0xae..=0xff);
    match u32::from(letter) {
        code @ 0..=0xff => u8::try_from(code).ok().filter(|&byte| is_itself(byte)),
        code => (0..=u8::MAX).filter(|&byte| !is_itself(byte)).nth(code as usize - 0x100),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_stand_for_bytes() {
        let text: Option<Vec<u8>> = "ĠnÃ£oĊ".chars().map(byte).collect();
        assert_eq!(text.unwrap(), " não\n".as_bytes());
        assert_eq!(byte('\u{143}'), Some(0xad), "the last one that is not itself");
        assert_eq!(byte('\u{144}'), None);
        assert_eq!(byte('…'), None);
    }

    #[test]
    fn moments_are_steps_of_20_milliseconds() {
        assert_eq!([TIMES.start, TIMES.end - 1, END, TIMES.end].map(time), [Some(0.0), Some(30.0), None, None]);
    }
}
