//! Shown text cut into sentences while it comes, with the marks that belong to each.
//!
//! A sentence is closed when the first word of the next one is complete: a full stop alone does not say whether it
//! ends a sentence or an abbreviation, and a mark after the full stop still belongs to what is before it. The rules
//! are those of UAX #29 as far as they look back, plus abbreviations, lists and the lines of Markdown.

use crate::code::Place;
use crate::vocabulary;

/// A longer sentence is followed to its end but not judged.
const LONGEST: usize = 4096;

/// The word that decides about a boundary is cut here.
const LONGEST_WORD: usize = 64;

/// More marks than this in a sentence are dropped.
const MOST_MARKS: usize = 32;

#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Sentence {
    /// The text with the white space around it; empty if it was too long.
    pub(crate) text: String,
    /// Where it starts in the shown text.
    pub(crate) start: usize,
    pub(crate) marks: Vec<Mark>,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Mark {
    /// Where in the sentence's text; at 0 it speaks of what follows.
    pub(crate) at: usize,
    pub(crate) numbers: Vec<u32>,
}

#[derive(Debug, Default)]
pub(crate) struct Sentences {
    open: String,
    start: usize,
    marks: Vec<Mark>,
    /// Where the next sentence starts, if its first word says so.
    pending: Option<usize>,
    overlong: bool,
}

impl Sentences {
    pub(crate) fn shown(&mut self, next: char, place: Place) -> Option<Sentence> {
        if place == Place::Fenced {
            // What stands open is the run of marks that opened the fence.
            let start = self.start + self.open.len() + next.len_utf8();
            let marks = std::mem::replace(self, Self { start, ..Self::default() }).marks;
            return (!marks.is_empty()).then(|| Sentence { text: String::new(), start, marks });
        }
        let mut closed = None;
        if !next.is_alphanumeric() {
            closed = self.decide();
        }
        if !next.is_whitespace()
            && let Some(boundary) = self.boundary_before(next)
        {
            match boundary {
                Boundary::Certain => closed = Some(self.close(self.open.len())),
                Boundary::Possible => self.pending = Some(self.open.len()),
            }
        }
        self.open.push(next);
        if self.open.len() > LONGEST {
            self.skip();
        }
        closed
    }

    pub(crate) fn mark(&mut self, numbers: Vec<u32>) -> Option<Sentence> {
        let mut closed = self.decide();
        // A mark comes before the white space behind its sentence: this one opens a line.
        if self.open.ends_with('\n') && closed.is_none() && !self.open.trim().is_empty() {
            closed = Some(self.close(self.open.len()));
        }
        if self.marks.len() < MOST_MARKS {
            let at = if content(&self.open).is_empty() { 0 } else { self.open.len() };
            self.marks.push(Mark { at, numbers });
        }
        closed
    }

    /// The text has ended; the next one begins at 0.
    /// The text has ended; the next one begins at 0.
    pub(crate) fn finish(&mut self) -> Vec<Sentence> {
        let mut last: Vec<_> = self.decide().into_iter().collect();
        last.push(self.close(self.open.len()));
        *self = Self::default();
        last
    }

    /// Decides about a pending boundary, once there is a word to decide by.
    fn decide(&mut self) -> Option<Sentence> {
        let at = self.pending?;
        let word = self.open.get(at..)?;
        if !word.contains(char::is_alphanumeric) && word.len() < LONGEST_WORD {
            return None;
        }
        self.pending = None;
        ends_sentence(self.open[..at].trim_end(), word).then(|| self.close(at))
    }

    fn boundary_before(&self, next: char) -> Option<Boundary> {
        let body = self.open.trim_end();
        let gap = &self.open[body.len()..];
        if body.is_empty() {
            return None;
        }
        let ended = last(body).is_some_and(terminates);
        if gap.contains('\n') {
            // A line goes on in the next one only if it looks so.
            let goes_on = !ended && next.is_lowercase() && gap.matches('\n').count() == 1;
            return (!goes_on).then_some(Boundary::Certain);
        }
        if gap.is_empty() {
            let wide = |character| matches!(character, '。' | '！' | '？' | '｡');
            let ended = last(body).is_some_and(wide) && !closes(next) && !terminates(next);
            return ended.then_some(Boundary::Certain);
        }
        ended.then_some(Boundary::Possible)
    }

    fn close(&mut self, at: usize) -> Sentence {
        let rest = self.open.split_off(at);
        let text = std::mem::replace(&mut self.open, rest);
        let start = self.start;
        self.start += at;
        self.pending = None;
        let text = if std::mem::take(&mut self.overlong) { String::new() } else { text };
        Sentence { text, start, marks: std::mem::take(&mut self.marks) }
    }

    /// Of an overlong sentence only the end is kept, to see where it ends.
    fn skip(&mut self) {
        self.overlong = true;
        let cut = self.open.ceil_char_boundary(LONGEST - 256);
        self.open.drain(..cut);
        self.start += cut;
        self.pending = self.pending.and_then(|at| at.checked_sub(cut));
    }
}

enum Boundary {
    Certain,
    Possible,
}

/// The sentences of a whole text, without the white space around them.
pub(crate) fn split(text: &str) -> Vec<String> {
    let mut sentences = Sentences::default();
    let mut all: Vec<Sentence> = text.chars().filter_map(|next| sentences.shown(next, Place::Prose)).collect();
    all.extend(sentences.finish());
    all.into_iter().map(|sentence| sentence.text.trim().to_owned()).filter(|text| !text.is_empty()).collect()
}

/// A sentence without what is around it: white space, the signs of lists, headings, quotations and tables.
pub(crate) fn content(text: &str) -> &str {
    let mut content = text.trim();
    loop {
        let rest = content.trim_start_matches(['-', '*', '+', '•', '>', '#', '|', '–', '—']);
        // Asterisks that touch a word are its emphasis.
        let rest = if rest.is_empty() || rest.starts_with(char::is_whitespace) { rest.trim_start() } else { content };
        let digits = rest.trim_start_matches(|character: char| character.is_ascii_digit());
        let number = (1..=3).contains(&(rest.len() - digits.len()));
        let rest = match digits.strip_prefix(['.', ')']) {
            Some(entry) if number && (entry.is_empty() || entry.starts_with(char::is_whitespace)) => entry.trim_start(),
            _ => rest,
        };
        if rest.len() == content.len() {
            return content.trim_end_matches(|character: char| character.is_whitespace() || character == '|');
        }
        content = rest;
    }
}

/// Whether `body` is a whole sentence, when `following` begins with the first word after it.
fn ends_sentence(body: &str, following: &str) -> bool {
    let word = following.trim_start_matches(|character: char| !character.is_alphanumeric());
    let word = word.split(|character: char| !character.is_alphanumeric()).next().unwrap_or_default();
    if word.starts_with(char::is_lowercase) || content(body).is_empty() {
        return false;
    }
    let body = body.trim_end_matches(closes);
    let Some(body) = body.strip_suffix('.') else { return true };
    let last = body.rsplit(char::is_whitespace).next().unwrap_or_default();
    let last = last.trim_start_matches(|character: char| !character.is_alphanumeric()).to_lowercase();
    if vocabulary::TITLES.contains(&last.as_str()) {
        return false;
    }
    if vocabulary::COUNTED.contains(&last.as_str()) && word.starts_with(|character: char| character.is_numeric()) {
        return false;
    }
    let initials = last.split('.').all(|part| part.chars().count() == 1 && part.chars().all(char::is_alphabetic));
    if initials || vocabulary::SHORTENED.contains(&last.as_str()) {
        // `U.S. The` ends a sentence, `U.S. Senate` and `J. Smith` do not.
        return vocabulary::is_function_word(&word.to_lowercase());
    }
    true
}

/// The last character before what closes quotations and brackets, of which eight are looked at.
fn last(body: &str) -> Option<char> {
    body.chars().rev().take(8).find(|character| !closes(*character))
}

fn terminates(character: char) -> bool {
    matches!(character, '.' | '!' | '?' | '…' | '。' | '！' | '？' | '｡' | '؟' | '۔' | '।' | '॥' | '։' | '။' | '።')
}

fn closes(character: char) -> bool {
    matches!(character, '"' | '\'' | '”' | '’' | '»' | ')' | ']' | '}' | '*' | '_' | '」' | '』')
}
