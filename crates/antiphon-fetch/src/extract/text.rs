//! Plain text: cut to size, without what a terminal or a reader would stumble over.

use super::{Bounds, Document};

pub(crate) fn read(text: &str, bounds: &Bounds) -> Document {
    let mut kept = Bounded::new(bounds.output_bytes);
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '\r' => {
                if characters.peek() != Some(&'\n') {
                    kept.push('\n');
                }
            }
            '\n' | '\t' => kept.push(character),
            _ if character.is_control() => {}
            _ => kept.push(character),
        }
        if kept.is_cut {
            break;
        }
    }
    Document { title: None, text: kept.text, page_starts: Vec::new(), is_cut: kept.is_cut }
}

/// Text that grows up to a size.
pub(crate) struct Bounded {
    pub(crate) text: String,
    pub(crate) is_cut: bool,
    limit: usize,
}

impl Bounded {
    pub(crate) fn new(limit: usize) -> Self {
        Self { text: String::new(), is_cut: false, limit }
    }

    pub(crate) fn push(&mut self, character: char) {
        if self.is_cut || self.text.len() + character.len_utf8() > self.limit {
            self.is_cut = true;
        } else {
            self.text.push(character);
        }
    }

    pub(crate) fn push_str(&mut self, text: &str) {
        if !self.is_cut && self.text.len() + text.len() <= self.limit {
            self.text.push_str(text);
            return;
        }
        text.chars().for_each(|character| self.push(character));
    }
}
