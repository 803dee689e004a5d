//! Markers taken out of an answer while it comes, character by character.
//!
//! Held back is only what may still become a marker, at most [`form::LONGEST`] bytes, and the white space that may
//! come before one. What is decided depends on the characters alone, never on where the pieces were cut.
//!
//! Two rules keep what is left from being a marker in its turn. A beginning of a rare marker that is broken off by
//! another one vanishes; and a closing bracket that would complete a marker around the place where one was taken
//! out is not shown.

use std::collections::VecDeque;

use crate::code::{Code, Place};
use crate::form::{self, Marker, Reading};
use crate::vocabulary;

/// White space beyond this is shown at once, even if a marker should follow.
const LONGEST_GAP: usize = 16;

/// Of the line so far, enough to see the word before a bracket.
const LINE_TAIL: usize = 48;

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Event {
    Shown(char, Place),
    /// The sources that were named here.
    Mark(Vec<u32>),
}

#[derive(Debug, Default)]
pub(crate) struct Stripper {
    code: Code,
    /// White space that was not shown yet.
    gap: String,
    /// The numbers of the markers after that gap.
    numbers: Vec<u32>,
    /// What came after those markers: white space, a comma or `and`, which go if another marker follows.
    joint: String,
    /// What may become a marker.
    candidate: String,
    /// The candidate is a plain marker, if what follows agrees.
    complete: Option<Vec<u32>>,
    line: Line,
    seam: Seam,
}

/// What is shown of the current line.
#[derive(Debug)]
struct Line {
    tail: String,
    has_letters: bool,
    empty: bool,
}

impl Default for Line {
    fn default() -> Self {
        Self { tail: String::new(), has_letters: false, empty: true }
    }
}

/// A shown bracket that could still become a marker, and whether a marker was taken out behind it.
#[derive(Debug, Default)]
struct Seam {
    open: String,
    crossed: bool,
}

impl Stripper {
    /// Reads one more character. `known` tells the numbers that are sources.
    pub(crate) fn push(&mut self, next: char, known: &dyn Fn(u32) -> bool, events: &mut Vec<Event>) {
        let mut queue = VecDeque::from([next]);
        self.drain(&mut queue, known, events);
    }

    /// The answer has ended: an unfinished rare marker is dropped, everything else is shown.
    pub(crate) fn finish(&mut self, known: &dyn Fn(u32) -> bool, events: &mut Vec<Event>) {
        loop {
            if let Some(numbers) = self.complete.take() {
                self.accept(&numbers);
            }
            if self.candidate.starts_with('⟦') {
                self.candidate.clear();
                self.gap.clear();
            }
            if self.candidate.is_empty() {
                break;
            }
            let mut rest = self.release(events);
            self.drain(&mut rest, known, events);
        }
        self.settle(None, events);
        *self = Self::default();
    }

    fn drain(&mut self, queue: &mut VecDeque<char>, known: &dyn Fn(u32) -> bool, events: &mut Vec<Event>) {
        while let Some(next) = queue.pop_front() {
            let mut again = self.step(next, known, events);
            // What was released is read again, before what follows it.
            while let Some(character) = again.pop_back() {
                queue.push_front(character);
            }
        }
    }

    /// Reads a character, and gives back those that have to be read anew.
    fn step(&mut self, next: char, known: &dyn Fn(u32) -> bool, events: &mut Vec<Event>) -> VecDeque<char> {
        if let Some(numbers) = self.complete.take() {
            let link = next == '(' && self.candidate.starts_with('[');
            if !link && !next.is_alphanumeric() && next != '_' {
                self.accept(&numbers);
                return VecDeque::from([next]);
            }
            return self.release_before(next, events);
        }
        if !self.candidate.is_empty() {
            self.candidate.push(next);
            match form::read(&self.candidate) {
                Reading::Partial => {}
                Reading::Marker(Marker { numbers, rare: true }) => self.accept(&numbers),
                Reading::Marker(Marker { numbers, rare: false }) if numbers.iter().all(|number| known(*number)) => {
                    self.complete = Some(numbers);
                }
                Reading::Not if next == '⟦' && self.candidate.starts_with('⟦') => {
                    "⟦".clone_into(&mut self.candidate)
                }
                Reading::Marker(_) | Reading::Not => {
                    self.candidate.pop();
                    return self.release_before(next, events);
                }
            }
            return VecDeque::new();
        }
        if self.code.place(next) != Place::Prose {
            self.settle(Some(next), events);
            self.show(next, events);
        } else if self.may_open(next) {
            self.candidate.push(next);
        } else if next == '⟧' && !self.numbers.is_empty() && self.joint.is_empty() {
            // The second bracket of `⟦⟦1⟧⟧`.
        } else if !self.numbers.is_empty() && joins(&self.joint, next) {
            self.joint.push(next);
            if self.joint.len() > LONGEST_GAP {
                self.settle(Some(next), events);
            }
        } else if self.numbers.is_empty() && next.is_whitespace() {
            self.gap.push(next);
            if self.gap.len() > LONGEST_GAP {
                let first = self.gap.remove(0);
                self.show(first, events);
            }
        } else {
            self.settle(Some(next), events);
            self.show(next, events);
        }
        VecDeque::new()
    }

    /// The candidate is a marker.
    fn accept(&mut self, numbers: &[u32]) {
        self.candidate.clear();
        self.joint.clear();
        for number in numbers {
            // More names of sources than this say nothing.
            if self.numbers.len() < 32 && !self.numbers.contains(number) {
                self.numbers.push(*number);
            }
        }
        self.seam.crossed = true;
    }

    /// The candidate is no marker: its bracket is text. Gives back what was behind the bracket.
    fn release(&mut self, events: &mut Vec<Event>) -> VecDeque<char> {
        let mut rest: VecDeque<char> = std::mem::take(&mut self.candidate).chars().collect();
        if let Some(bracket) = rest.pop_front() {
            self.settle(Some(bracket), events);
            self.show(bracket, events);
        }
        rest
    }

    fn release_before(&mut self, next: char, events: &mut Vec<Event>) -> VecDeque<char> {
        let mut rest = self.release(events);
        rest.push_back(next);
        rest
    }

    /// Shows what was held back before `next`, with as much white space as the text has without its markers.
    fn settle(&mut self, next: Option<char>, events: &mut Vec<Event>) {
        let gap = std::mem::take(&mut self.gap);
        let joint = std::mem::take(&mut self.joint);
        let numbers = std::mem::take(&mut self.numbers);
        if numbers.is_empty() {
            return self.show_all(&gap, events);
        }
        let word = joint.trim_start();
        let opens_line = gap.contains('\n') && !joint.contains('\n') && next.is_some();
        let (before, after) = if opens_line {
            (gap.as_str(), word.to_owned())
        } else if word.starts_with([',', ';']) {
            ("", word.to_owned())
        } else if !word.is_empty() {
            ("", joint.clone())
        } else {
            let glued = joint.is_empty();
            let space = if glued { &gap } else { &joint };
            let drop = match next {
                None => true,
                Some(_) if space.contains('\n') => false,
                Some(next) => self.line.empty || closes(next) || (glued && matches!(next, '"' | '\'' | '*' | '_')),
            };
            ("", if drop { String::new() } else { space.clone() })
        };
        self.show_all(before, events);
        events.push(Event::Mark(numbers));
        self.show_all(&after, events);
    }

    fn show_all(&mut self, text: &str, events: &mut Vec<Event>) {
        for character in text.chars() {
            self.show(character, events);
        }
    }

    fn show(&mut self, next: char, events: &mut Vec<Event>) {
        let place = self.code.place(next);
        if place != Place::Prose {
            self.seam = Seam::default();
        } else if matches!(next, '⟦' | '[' | '(') {
            self.seam = Seam { open: next.into(), crossed: false };
        } else if !self.seam.open.is_empty() {
            self.seam.open.push(next);
            match form::read(&self.seam.open) {
                Reading::Partial => {}
                Reading::Marker(_) if self.seam.crossed => {
                    self.seam.open.pop();
                    return;
                }
                Reading::Marker(_) | Reading::Not => self.seam = Seam::default(),
            }
        }
        self.code.shown(next);
        self.line.shown(next);
        events.push(Event::Shown(next, place));
    }

    /// Whether a marker can begin with this bracket.
    fn may_open(&self, bracket: char) -> bool {
        if bracket == '⟦' {
            return true;
        }
        if !matches!(bracket, '[' | '(') || self.seam.open.starts_with('⟦') {
            return false;
        }
        if !self.numbers.is_empty() {
            return bracket == '(' || !self.joint.contains('\n');
        }
        let line = self.line.tail.as_str();
        let previous = if self.gap.contains('\n') { None } else { line.chars().next_back() };
        if self.gap.is_empty() && matches!(previous, Some('\\' | ']' | '[' | '(' | '{' | '⟦')) {
            return false;
        }
        if bracket == '(' {
            return true;
        }
        // A line that begins so is an entry of a list of sources.
        let Some(previous) = previous.filter(|_| self.line.has_letters) else { return false };
        if !previous.is_alphanumeric() {
            return !matches!(previous, '=' | '∈' | '+' | '-' | '<' | '>' | '/' | '{' | '[' | '(' | ':' | ',')
                || (previous == ',' && !self.gap.is_empty());
        }
        let word_start = line.rfind(|character: char| !character.is_alphanumeric() && character != '_');
        let word =
            &line[word_start.map_or(0, |start| start + line[start..].chars().next().map_or(0, char::len_utf8))..];
        if vocabulary::BEFORE_NO_MARKER.contains(&word.to_lowercase().as_str()) {
            return false;
        }
        // `won[1]` is a marker, `x1[1]`, `a_b[1]`, `a[1]` and `userIds[1]` are none.
        !self.gap.is_empty() || word.chars().all(|character| character.is_ascii_digit()) || is_plain_word(word)
    }
}

impl Line {
    fn shown(&mut self, next: char) {
        if next == '\n' {
            *self = Self::default();
            return;
        }
        self.empty = false;
        self.has_letters |= next.is_alphabetic();
        self.tail.push(next);
        // Cut by halves, so that it costs nothing per character.
        if self.tail.len() > 2 * LINE_TAIL {
            let cut = self.tail.ceil_char_boundary(LINE_TAIL);
            self.tail.drain(..cut);
        }
    }
}

fn is_plain_word(word: &str) -> bool {
    let mut letters = word.chars();
    letters.next().is_some_and(char::is_alphabetic)
        && word.chars().nth(1).is_some()
        && (letters.all(|letter| letter.is_lowercase() || (letter.is_alphabetic() && !letter.is_uppercase()))
            || word.chars().all(char::is_uppercase))
}

/// Whether `joint` and `next` may stand between two markers.
fn joins(joint: &str, next: char) -> bool {
    let text = format!("{joint}{next}");
    let glued = !text.starts_with(char::is_whitespace);
    let text = text.trim();
    text.is_empty()
        || [",", ";", ", and"].iter().any(|word| word.starts_with(text))
        || (!glued && ["and", "e", "&"].iter().any(|word| word.starts_with(text)))
}

/// Punctuation that clings to the word before it.
fn closes(next: char) -> bool {
    matches!(
        next,
        '.' | ',' | ';' | ':' | '!' | '?' | '…' | ')' | ']' | '}' | '»' | '”' | '’' | '。' | '，' | '、' | '！' | '？'
    )
}
