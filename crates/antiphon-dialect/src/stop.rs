//! Stop sequences in the visible text.

/// Lets visible text through up to the first stop sequence.
///
/// The sequence that is complete first wins, and of those that end together the longest:
/// this is what a reader one character at a time would find, however the text is cut.
#[derive(Debug)]
pub struct Stops {
    sequences: Vec<String>,
    /// The end of the text so far, which may be the beginning of a sequence.
    held: String,
    stopped: bool,
}

impl Stops {
    /// Empty sequences, which would stop everything, are left out.
    pub fn new(mut sequences: Vec<String>) -> Self {
        sequences.retain(|sequence| !sequence.is_empty());
        Self { sequences, held: String::new(), stopped: false }
    }

    pub fn stopped(&self) -> bool {
        self.stopped
    }

    /// Takes text and gives back what can be shown.
    pub fn push(&mut self, text: &str) -> String {
        if self.stopped {
            return String::new();
        }
        self.held.push_str(text);
        let first_match = self
            .sequences
            .iter()
            .filter_map(|sequence| self.held.find(sequence).map(|start| (start + sequence.len(), start)))
            .min();
        if let Some((_, start)) = first_match {
            self.stopped = true;
            self.held.truncate(start);
            return std::mem::take(&mut self.held);
        }
        let begun = held_back(&self.held, self.sequences.iter().map(String::as_str));
        let rest = self.held.split_off(begun);
        std::mem::replace(&mut self.held, rest)
    }

    /// Gives back what was held, when no sequence can follow any more.
    pub fn flush(&mut self) -> String {
        std::mem::take(&mut self.held)
    }
}

/// Where the longest end of the text begins that may be the beginning of one of the
/// sequences; the text's length if there is none.
pub(crate) fn held_back<'a>(text: &str, sequences: impl Iterator<Item = &'a str>) -> usize {
    sequences
        .map(|sequence| {
            let earliest = text.ceil_char_boundary((text.len() + 1).saturating_sub(sequence.len()));
            text[earliest..]
                .char_indices()
                .map(|(at, _)| earliest + at)
                .find(|&start| sequence.starts_with(&text[start..]))
                .unwrap_or(text.len())
        })
        .min()
        .unwrap_or(text.len())
}
