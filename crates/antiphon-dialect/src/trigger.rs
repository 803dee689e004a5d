//! Where a call begins in visible text.
//!
//! This is matched strictly, with the bounds that the grammar has, so that both agree on
//! what is text: the trigger of the form, or `{"name": "NAME"` of a function that may be
//! called with the key of its arguments or the end of the object after it, and the code
//! fence and the bracket before it.

use serde_json::Value;

use crate::format::{CallFormat, Shape};
use crate::grammar::{Callable, SPACE_LIMIT};

/// The longest word after a code fence, in letters.
const LANGUAGE_LIMIT: usize = 16;

/// Why a text does not match a pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mismatch {
    /// It may still do so, with more text.
    Partial,
    /// It never will.
    Never,
}

/// Where a call begins in a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Start {
    /// Where it is read from.
    pub(crate) at: usize,
    pub(crate) fence: bool,
    pub(crate) list: bool,
    /// Whether the braces are doubled, as the templates of some models show them.
    pub(crate) doubled: bool,
    /// Whether the trigger of the form was there.
    pub(crate) is_marked: bool,
}

/// Which calls are looked for.
#[derive(Debug)]
pub(crate) struct CallSyntax {
    pub(crate) format: &'static CallFormat,
    /// The functions that may be called; without any nothing is a call.
    pub(crate) callable: Vec<Callable>,
}

impl CallSyntax {
    /// Finds the first call in a text: where it begins, and how it is read. `Partial`
    /// says that a call may begin at that place.
    pub(crate) fn find(&self, text: &str) -> Option<(usize, Result<Start, Mismatch>)> {
        if self.callable.is_empty() {
            return None;
        }
        let first = self.format.trigger.chars().next();
        text.char_indices()
            .filter(|&(_, character)| matches!(character, '`' | '[' | '{') || Some(character) == first)
            .map(|(at, _)| (at, self.start(&text[at..]).map(|start| Start { at: at + start.at, ..start })))
            .find(|(_, start)| *start != Err(Mismatch::Never))
    }

    /// How the call is read with which a text begins.
    pub(crate) fn start(&self, text: &str) -> Result<Start, Mismatch> {
        let mut words = Words { text, at: 0 };
        let fence = text.starts_with('`');
        if fence {
            words.literal("```")?;
            let is_letter = |character: &char| character.is_ascii_alphabetic() || *character == '_';
            words.at += words.rest().chars().take(LANGUAGE_LIMIT).take_while(is_letter).count();
            words.space()?;
        }
        let mut marked = words;
        let mut partial = Mismatch::Never;
        match marked.literal(self.format.trigger) {
            Ok(()) => return Ok(Start { at: marked.at, fence, list: false, doubled: false, is_marked: true }),
            Err(mismatch) => partial = partial.or(mismatch),
        }
        match self.format.shape {
            Shape::Named { .. } | Shape::Tagged { .. } => Err(partial),
            Shape::Object { .. } => {
                let list = words.rest().starts_with('[');
                if list {
                    words.literal("[")?;
                    words.space()?;
                }
                let doubled = words.rest().starts_with("{{");
                words.at += usize::from(doubled);
                let at = words.at;
                match self.object_trigger(words) {
                    Ok(()) => Ok(Start { at, fence, list, doubled, is_marked: false }),
                    Err(mismatch) => Err(partial.or(mismatch)),
                }
            }
        }
    }

    /// `{"name": "NAME"` of a function that may be called, and what tells a call from another
    /// object with such a name: the key of its arguments, or that there are none.
    fn object_trigger(&self, mut words: Words<'_>) -> Result<(), Mismatch> {
        words.literal("{")?;
        words.space()?;
        words.literal("\"name\"")?;
        words.space()?;
        words.literal(":")?;
        words.space()?;
        let names: Vec<_> =
            self.callable.iter().map(|function| Value::from(function.name.as_str()).to_string()).collect();
        words.one_of(names.iter().map(String::as_str))?;
        words.space()?;
        if words.one_of(["}", ","])? == "}" {
            return Ok(());
        }
        words.space()?;
        words.one_of(["\"arguments\"", "\"parameters\""]).map(drop)
    }
}

impl Mismatch {
    pub(crate) fn or(self, other: Self) -> Self {
        if self == Self::Partial { self } else { other }
    }
}

/// A place in a text, moved on by what matches there.
#[derive(Clone, Copy)]
pub(crate) struct Words<'a> {
    pub(crate) text: &'a str,
    pub(crate) at: usize,
}

impl<'a> Words<'a> {
    pub(crate) fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    pub(crate) fn literal(&mut self, literal: &str) -> Result<(), Mismatch> {
        let rest = self.rest();
        if rest.starts_with(literal) {
            self.at += literal.len();
            Ok(())
        } else if literal.starts_with(rest) {
            Err(Mismatch::Partial)
        } else {
            Err(Mismatch::Never)
        }
    }

    /// The first of these that is there.
    fn one_of<'b>(&mut self, literals: impl IntoIterator<Item = &'b str>) -> Result<&'b str, Mismatch> {
        let mut mismatch = Mismatch::Never;
        for literal in literals {
            match self.literal(literal) {
                Ok(()) => return Ok(literal),
                Err(other) => mismatch = mismatch.or(other),
            }
        }
        Err(mismatch)
    }

    /// White space, as much as the grammar has it.
    fn space(&mut self) -> Result<(), Mismatch> {
        let length = space(self.rest());
        self.at += length;
        if length > SPACE_LIMIT { Err(Mismatch::Never) } else { Ok(()) }
    }

    /// A text of the form, in which white space stands for any amount of it.
    pub(crate) fn form(&mut self, text: &str) -> Result<(), Mismatch> {
        for word in text.split_inclusive(char::is_whitespace) {
            self.literal(word.trim_end())?;
            if word.ends_with(char::is_whitespace) {
                self.at += space(self.rest());
            }
        }
        Ok(())
    }
}

/// The white space of JSON that a text begins with, in bytes.
pub(crate) fn space(text: &str) -> usize {
    text.len() - text.trim_start_matches([' ', '\t', '\r', '\n']).len()
}
