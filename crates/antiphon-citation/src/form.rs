//! The forms of a source marker, and whether a beginning can still become one.
//!
//! What the model is told to write is `⟦1⟧` or `⟦1,3⟧`. Small models write `[1]`, `[1, 2]`, `[Source 1]` or
//! `(source 1)` instead, and some put brackets around the rare ones: `(⟦1⟧)`.

use std::iter::Peekable;
use std::str::Chars;

/// More than this is no marker, and so no more is ever held back.
pub(crate) const LONGEST: usize = 64;

/// A range names its ends and what is between, if that is no more than this.
const LONGEST_RANGE: u32 = 16;

const LABELS: [&str; 13] = [
    "source",
    "sources",
    "ref",
    "refs",
    "reference",
    "references",
    "fonte",
    "fontes",
    "fuente",
    "fuentes",
    "referência",
    "quelle",
    "quellen",
];

const JOINERS: [&str; 5] = ["and", "e", "y", "und", "et"];

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Reading {
    /// No marker, whatever follows.
    Not,
    /// The beginning of one.
    Partial,
    Marker(Marker),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Marker {
    pub(crate) numbers: Vec<u32>,
    /// Whether it is in the brackets that prose has no other use for.
    pub(crate) rare: bool,
}

/// Why reading stopped: the text is at its end, or it is no marker.
enum Stop {
    End,
    Not,
}

/// Reads `text`, which begins with an opening bracket, as one marker and nothing else.
pub(crate) fn read(text: &str) -> Reading {
    if text.len() > LONGEST {
        return Reading::Not;
    }
    let mut reader = Reader { rest: text.chars().peekable(), numbers: Vec::new(), rare: false };
    match reader.marker() {
        Ok(()) if reader.rest.next().is_some() => Reading::Not,
        Ok(()) => Reading::Marker(Marker { numbers: reader.numbers, rare: reader.rare }),
        Err(Stop::End) => Reading::Partial,
        Err(Stop::Not) => Reading::Not,
    }
}

struct Reader<'a> {
    rest: Peekable<Chars<'a>>,
    numbers: Vec<u32>,
    rare: bool,
}

impl Reader<'_> {
    fn marker(&mut self) -> Result<(), Stop> {
        match self.rest.next().ok_or(Stop::End)? {
            '⟦' => self.rare('⟧'),
            '[' => self.plain(']', false),
            '(' => self.plain(')', true),
            _ => Err(Stop::Not),
        }
    }

    fn rare(&mut self, close: char) -> Result<(), Stop> {
        self.rare = true;
        self.list(close, false)
    }

    fn plain(&mut self, close: char, labelled: bool) -> Result<(), Stop> {
        self.skip(char::is_whitespace);
        if self.peek()? != '⟦' {
            return self.list(close, labelled);
        }
        loop {
            match self.rest.next().ok_or(Stop::End)? {
                '⟦' => self.rare('⟧')?,
                next if next == close => return Ok(()),
                next if next.is_whitespace() || next == ',' || next == ';' => {}
                _ => return Err(Stop::Not),
            }
        }
    }

    /// Numbers, each with its label if it has one, up to the closing bracket.
    fn list(&mut self, close: char, labelled: bool) -> Result<(), Stop> {
        self.label(labelled)?;
        let mut last = self.number()?;
        loop {
            self.skip(char::is_whitespace);
            match self.peek()? {
                next if next == close => {
                    self.rest.next();
                    return Ok(());
                }
                '-' | '–' => {
                    self.rest.next();
                    self.skip(char::is_whitespace);
                    let end = self.number()?;
                    if end > last && end - last <= LONGEST_RANGE {
                        self.numbers.extend(last + 1..end);
                    }
                    continue;
                }
                ',' | ';' | '&' => {
                    self.rest.next();
                }
                next if next.is_alphabetic() => self.word(&JOINERS)?,
                _ => return Err(Stop::Not),
            }
            self.label(false)?;
            last = self.number()?;
        }
    }

    fn label(&mut self, required: bool) -> Result<(), Stop> {
        self.skip(char::is_whitespace);
        if self.peek()?.is_alphabetic() {
            self.word(&LABELS)?;
            self.skip(|next| next.is_whitespace() || matches!(next, ':' | '.' | '#'));
        } else if required {
            return Err(Stop::Not);
        }
        Ok(())
    }

    fn word(&mut self, known: &[&str]) -> Result<(), Stop> {
        let mut word = String::new();
        while let Some(letter) = self.rest.next_if(|next| next.is_alphabetic()) {
            word.extend(letter.to_lowercase());
        }
        let ended = self.rest.peek().is_none();
        match known {
            _ if ended && known.iter().any(|known| known.starts_with(&word)) => Err(Stop::End),
            _ if known.contains(&word.as_str()) => Ok(()),
            _ => Err(Stop::Not),
        }
    }

    fn number(&mut self) -> Result<u32, Stop> {
        let mut number = self.peek()?.to_digit(10).ok_or(Stop::Not)?;
        self.rest.next();
        while let Some(digit) = self.rest.peek().and_then(|next| next.to_digit(10)) {
            // No run has a million sources.
            number = Some(number * 10 + digit).filter(|number| *number < 1_000_000).ok_or(Stop::Not)?;
            self.rest.next();
        }
        self.numbers.push(number);
        Ok(number)
    }

    fn skip(&mut self, skipped: impl Fn(char) -> bool) {
        while self.rest.next_if(|next| skipped(*next)).is_some() {}
    }

    fn peek(&mut self) -> Result<char, Stop> {
        self.rest.peek().copied().ok_or(Stop::End)
    }
}

#[cfg(test)]
mod tests {
    use super::{Marker, Reading, read};

    #[test]
    fn forms_of_a_marker() {
        let marker = |numbers: &[u32], rare| Reading::Marker(Marker { numbers: numbers.to_vec(), rare });
        for (text, expected) in [
            ("⟦1⟧", marker(&[1], true)),
            ("⟦ 1 , 3 ⟧", marker(&[1, 3], true)),
            ("⟦Source 12⟧", marker(&[12], true)),
            ("(⟦1⟧, ⟦2⟧)", marker(&[1, 2], true)),
            ("[⟦1⟧]", marker(&[1], true)),
            ("[1]", marker(&[1], false)),
            ("[1-3]", marker(&[1, 3, 2], false)),
            ("[1; 2]", marker(&[1, 2], false)),
            ("(source 1)", marker(&[1], false)),
            ("(Fontes: 1 e 2)", marker(&[1, 2], false)),
            ("[Source 1, Source 2]", marker(&[1, 2], false)),
            ("⟦", Reading::Partial),
            ("⟦1", Reading::Partial),
            ("⟦1,", Reading::Partial),
            ("[Sour", Reading::Partial),
            ("(⟦1⟧", Reading::Partial),
            ("⟦x⟧", Reading::Not),
            ("⟦⟧", Reading::Not),
            ("⟦1⟧.", Reading::Not),
            ("⟦１⟧", Reading::Not),
            ("(1)", Reading::Not),
            ("[^1]", Reading::Not),
            ("[sourdough 1]", Reading::Not),
            ("⟦1234567⟧", Reading::Not),
        ] {
            assert_eq!(read(text), expected, "{text}");
        }
    }
}
