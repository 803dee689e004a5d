//! Generated text, told apart as it comes: what the model thinks, what it says, which
//! functions it calls, and where a stop sequence ends it.

use crate::call::{CallReader, Progress};
use crate::format::CallFormat;
use crate::grammar::Callable;
use crate::reasoning::{Marker, Place, Reasoning};
use crate::stop::{Stops, held_back};
use crate::trigger::{CallSyntax, Mismatch, Start};

/// A piece of a model's answer. Thoughts, texts and the arguments of one call follow one
/// another without a separator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Reasoning, without its markers.
    Thought(String),
    /// Visible text.
    Text(String),
    /// A call of a function that may be called.
    CallStarted {
        /// The function.
        name: String,
    },
    /// A piece of the call's arguments; all of them are the text of an object of JSON.
    CallArguments(String),
    /// The call is complete, and its arguments are valid JSON.
    CallEnded,
    /// A call that cannot be understood: what is wrong with it. It is the last output.
    Malformed(String),
}

/// Reads a generation piece by piece. What it yields in all does not depend on where the
/// pieces were cut.
///
/// Markers vanish, and so does the white space that touches them; nothing of a call is
/// ever text. Only that is held back which may still become a marker, a call, the white
/// space before one, or a stop sequence.
#[derive(Debug)]
pub struct OutputParser {
    reasoning: Reasoning,
    syntax: CallSyntax,
    place: Place,
    markers: Vec<Marker>,
    /// The calls that are being read.
    call: Option<CallReader>,
    /// Whether a call could not be understood.
    malformed: bool,
    /// Whether white space is to be skipped, because a marker came right before it.
    after_marker: bool,
    pending: String,
    stops: Stops,
}

impl OutputParser {
    pub(crate) fn new(
        reasoning: Reasoning,
        format: &'static CallFormat,
        prompt_tail: &str,
        stop: Vec<String>,
        callable: Vec<Callable>,
    ) -> Self {
        let opened = reasoning.opened_by(prompt_tail);
        let place = opened.map_or(Place::Opening, |(_, place)| place);
        Self {
            reasoning,
            syntax: CallSyntax { format, callable },
            place,
            markers: reasoning.markers_in(place),
            call: None,
            malformed: false,
            after_marker: opened.is_some(),
            pending: String::new(),
            stops: Stops::new(stop),
        }
    }

    /// Reads the next piece.
    pub fn push(&mut self, text: &str) -> Vec<Output> {
        let mut outputs = Outputs::default();
        self.pending.push_str(text);
        while !self.ended() && self.step(&mut outputs) {}
        if self.ended() {
            self.pending.clear();
        }
        outputs.0
    }

    /// Yields what was held back, at the end of the generation. A thought that was not
    /// closed stays a thought; a header that was cut short is not shown; a call that was
    /// cut short is malformed.
    pub fn finish(&mut self) -> Vec<Output> {
        if self.ended() {
            return Vec::new();
        }
        let mut outputs = Outputs::default();
        let rest = std::mem::take(&mut self.pending);
        let rest = match &self.call {
            Some(call) if !call.is_between() => {
                self.malformed(&mut outputs, "the answer ended inside a call".to_owned());
                return outputs.0;
            }
            Some(call) if call.is_cut_short(self.syntax.format, &rest) => "",
            Some(_) => &rest,
            None if self.after_marker => rest.trim_start(),
            None => &rest,
        };
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

    fn ended(&self) -> bool {
        self.stopped() || self.malformed
    }

    /// Decides about the beginning of `pending`; false when it needs more text for that.
    fn step(&mut self, outputs: &mut Outputs) -> bool {
        if self.call.is_some() {
            return self.step_in_call(outputs);
        }
        if self.after_marker {
            self.pending.drain(..self.pending.len() - self.pending.trim_start().len());
        }
        if self.pending.is_empty() {
            return false;
        }
        match self.place {
            Place::Opening => self.step_in_opening(),
            Place::Thought => self.step_in_prose(outputs, None),
            Place::Text => {
                let call = self.syntax.find(&self.pending);
                self.step_in_prose(outputs, call)
            }
        }
    }

    fn step_in_opening(&mut self) -> bool {
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

    /// Reads a thought or a text, in which a call was found, or the place where one may begin.
    fn step_in_prose(&mut self, outputs: &mut Outputs, call: Option<(usize, Result<Start, Mismatch>)>) -> bool {
        self.after_marker = false;
        let marker = self
            .markers
            .iter()
            .filter_map(|&(marker, place)| self.pending.find(marker).map(|start| (start, marker, place)))
            .min_by_key(|&(start, _, _)| start);
        let call = call.filter(|(begin, _)| marker.is_none_or(|(start, _, _)| *begin < start));
        if let Some((begin, Ok(start))) = call {
            self.end_text(begin, start.at, outputs);
            if !self.stopped() {
                self.call = Some(CallReader::new(start, self.syntax.format));
            }
            return true;
        }
        if let Some((start, marker, place)) = marker {
            self.end_text(start, start + marker.len(), outputs);
            self.enter(place);
            return true;
        }
        let mut decided = held_back(&self.pending, self.markers.iter().map(|&(marker, _)| marker));
        if let Some((begin, Err(_))) = call {
            decided = decided.min(begin);
        }
        let may_vanish = self.place == Place::Text && !self.syntax.callable.is_empty();
        if !self.markers.is_empty() || may_vanish {
            decided = self.pending[..decided].trim_end().len();
        }
        let rest = self.pending.split_off(decided);
        let before = std::mem::replace(&mut self.pending, rest);
        self.emit(&before, outputs);
        false
    }

    /// Shows the text up to `end` without the white space at its end, and goes on at `next`.
    fn end_text(&mut self, end: usize, next: usize, outputs: &mut Outputs) {
        let rest = self.pending.split_off(next);
        let before = std::mem::replace(&mut self.pending, rest);
        self.emit(before[..end].trim_end(), outputs);
        if !self.stopped() {
            outputs.text(self.stops.flush());
        }
    }

    fn step_in_call(&mut self, outputs: &mut Outputs) -> bool {
        let Some(call) = &mut self.call else {
            return false;
        };
        let mut read = Vec::new();
        let progress = call.step(&self.syntax, &mut self.pending, &mut read);
        for output in read {
            outputs.call(output);
        }
        match progress {
            Ok(Progress::On) => true,
            Ok(Progress::Wait) => false,
            Ok(Progress::Over) => {
                self.call = None;
                true
            }
            Err(message) => {
                self.malformed(outputs, message);
                false
            }
        }
    }

    fn malformed(&mut self, outputs: &mut Outputs, message: String) {
        self.malformed = true;
        outputs.0.push(Output::Malformed(message));
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

/// Outputs that are never empty, and whose neighbours of one kind are one.
#[derive(Default)]
struct Outputs(Vec<Output>);

impl Outputs {
    fn thought(&mut self, text: &str) {
        if let Some(Output::Thought(last)) = self.0.last_mut() {
            last.push_str(text);
        } else if !text.is_empty() {
            self.0.push(Output::Thought(text.to_owned()));
        }
    }

    fn text(&mut self, text: String) {
        if let Some(Output::Text(last)) = self.0.last_mut() {
            last.push_str(&text);
        } else if !text.is_empty() {
            self.0.push(Output::Text(text));
        }
    }

    fn call(&mut self, output: Output) {
        match (self.0.last_mut(), output) {
            (Some(Output::CallArguments(last)), Output::CallArguments(more)) => last.push_str(&more),
            (_, output) => self.0.push(output),
        }
    }
}

#[cfg(test)]
mod tests;
