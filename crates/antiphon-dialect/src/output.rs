//! Generated text, told apart as it comes: what the model thinks, what it says, and
//! where a stop sequence ends it.

use crate::reasoning::{Marker, Place, Reasoning};
use crate::stop::{Stops, held_back};

/// A piece of a model's answer. Pieces of one kind follow one another without a separator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Reasoning, without its markers.
    Thought(String),
    /// Visible text.
    Text(String),
}

/// Reads a generation piece by piece. What it yields in all does not depend on where the
/// pieces were cut.
///
/// Markers vanish, and so does the white space that touches them. Only that is held back
/// which may still become a marker, the white space before one, or a stop sequence.
#[derive(Debug)]
pub struct OutputParser {
    reasoning: Reasoning,
    place: Place,
    markers: Vec<Marker>,
    /// Whether white space is to be skipped, because a marker came right before it.
    after_marker: bool,
    pending: String,
    stops: Stops,
}

impl OutputParser {
    /// A parser for one generation.
    ///
    /// `prompt_tail` is the prompt's last control text: a generation prompt that opens a
    /// thought makes the answer begin inside it. `stop` are the stop sequences of the
    /// request; they are looked for in visible text only.
    pub fn new(reasoning: Reasoning, prompt_tail: &str, stop: Vec<String>) -> Self {
        let prompt_tail = prompt_tail.trim_end();
        let opened = reasoning.markers_in(Place::Opening).into_iter().find(|(marker, _)| prompt_tail.ends_with(marker));
        let place = opened.map_or(Place::Opening, |(_, place)| place);
        Self {
            reasoning,
            place,
            markers: reasoning.markers_in(place),
            after_marker: opened.is_some(),
            pending: String::new(),
            stops: Stops::new(stop),
        }
    }

    /// Reads the next piece.
    pub fn push(&mut self, text: &str) -> Vec<Output> {
        let mut outputs = Outputs::default();
        self.pending.push_str(text);
        while !self.stopped() && self.step(&mut outputs) {}
        if self.stopped() {
            self.pending.clear();
        }
        outputs.0
    }

    /// Yields what was held back, at the end of the generation. A thought that was not
    /// closed stays a thought; a header that was cut short is not shown.
    pub fn finish(&mut self) -> Vec<Output> {
        if self.stopped() {
            return Vec::new();
        }
        let mut outputs = Outputs::default();
        let rest = std::mem::take(&mut self.pending);
        let rest = if self.after_marker { rest.trim_start() } else { &rest };
        let machine_text = self.reasoning == Reasoning::Harmony
            && self.reasoning.markers().into_iter().any(|marker| rest.contains(marker));
        if !machine_text {
            self.emit(rest, &mut outputs);
        }
        outputs.text(self.stops.flush());
        outputs.0
    }

    /// Whether a stop sequence came: the visible text has ended.
    pub fn stopped(&self) -> bool {
        self.stops.stopped()
    }

    /// Decides about the beginning of `pending`; false when it needs more text for that.
    fn step(&mut self, outputs: &mut Outputs) -> bool {
        if self.after_marker {
            self.pending.drain(..self.pending.len() - self.pending.trim_start().len());
        }
        if self.pending.is_empty() {
            return false;
        }
        match self.place {
            Place::Opening => {
                let text = self.pending.trim_start();
                if let Some(&(marker, place)) = self.markers.iter().find(|(marker, _)| text.starts_with(marker)) {
                    self.pending = text[marker.len()..].to_owned();
                    self.enter(place);
                    return true;
                }
                // True of white space alone, too.
                if self.markers.iter().any(|(marker, _)| marker.starts_with(text)) {
                    return false;
                }
                self.place = Place::Text;
                self.markers = self.reasoning.markers_in(Place::Text);
                true
            }
            Place::Thought | Place::Text => {
                self.after_marker = false;
                let first = self
                    .markers
                    .iter()
                    .filter_map(|&(marker, place)| self.pending.find(marker).map(|start| (start, marker, place)))
                    .min_by_key(|&(start, _, _)| start);
                if let Some((start, marker, place)) = first {
                    let rest = self.pending.split_off(start + marker.len());
                    let before = std::mem::replace(&mut self.pending, rest);
                    self.emit(before[..start].trim_end(), outputs);
                    if !self.stopped() {
                        outputs.text(self.stops.flush());
                    }
                    self.enter(place);
                    return true;
                }
                let mut decided = held_back(&self.pending, self.markers.iter().map(|&(marker, _)| marker));
                if !self.markers.is_empty() {
                    decided = self.pending[..decided].trim_end().len();
                }
                let rest = self.pending.split_off(decided);
                let before = std::mem::replace(&mut self.pending, rest);
                self.emit(&before, outputs);
                false
            }
        }
    }

    fn enter(&mut self, place: Place) {
        self.place = place;
        self.markers = self.reasoning.markers_in(place);
        self.after_marker = true;
    }

    fn emit(&mut self, text: &str, outputs: &mut Outputs) {
        match self.place {
            Place::Thought => outputs.thought(text),
            Place::Opening | Place::Text => outputs.text(self.stops.push(text)),
        }
    }
}

/// Outputs whose neighbours are of different kinds, and never empty.
#[derive(Default)]
struct Outputs(Vec<Output>);

impl Outputs {
    fn thought(&mut self, text: &str) {
        match self.0.last_mut() {
            _ if text.is_empty() => {}
            Some(Output::Thought(last)) => last.push_str(text),
            Some(Output::Text(_)) | None => self.0.push(Output::Thought(text.to_owned())),
        }
    }

    fn text(&mut self, text: String) {
        match self.0.last_mut() {
            _ if text.is_empty() => {}
            Some(Output::Text(last)) => last.push_str(&text),
            Some(Output::Thought(_)) | None => self.0.push(Output::Text(text)),
        }
    }
}

#[cfg(test)]
mod tests;
