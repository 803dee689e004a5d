//! Reads the calls of an answer as they come.
//!
//! It is lenient where models differ (white space, separators, closings that are missing)
//! and strict where a program would be misled: the name, the object of the arguments, the
//! JSON as a whole.

use crate::format::{CallFormat, Shape};
use crate::object::{Arguments, NAME_LIMIT, ObjectReader, started};
use crate::output::Output;
use crate::parameter::parameters;
use crate::tagged::TaggedReader;
use crate::trigger::{CallSyntax, Mismatch, Start, Words, space};

const FENCE: &str = "```";

/// What came of reading.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    /// There is more to read in the text at hand.
    On,
    /// More text is needed.
    Wait,
    /// The calls are over, and what follows is text.
    Over,
}

/// Reads the calls that follow one another.
#[derive(Debug)]
pub(crate) struct CallReader {
    fence: bool,
    list: bool,
    doubled: bool,
    /// Whether the closing of the last call, and of all, may still come.
    open: bool,
    begun: bool,
    stage: Stage,
}

#[derive(Debug)]
enum Stage {
    /// Between the trigger and the call.
    Lead,
    Object(ObjectReader),
    Name,
    Arguments(Arguments),
    Tagged(TaggedReader),
    After,
}

impl CallReader {
    pub(crate) fn new(start: Start, format: &CallFormat) -> Self {
        let stage = if start.is_marked { Stage::Lead } else { Stage::body(format) };
        let Start { fence, list, doubled, is_marked, .. } = start;
        Self { fence, list, doubled, open: is_marked, begun: is_marked, stage }
    }

    /// Whether the text may end here.
    pub(crate) fn is_between(&self) -> bool {
        matches!(self.stage, Stage::After)
    }

    /// Whether the text after a call is the beginning of a closing, or of another call,
    /// that was cut short.
    pub(crate) fn is_cut_short(&self, format: &CallFormat, text: &str) -> bool {
        let another = [format.separator, format.open].concat();
        let another = Some(another.trim_start()).filter(|_| self.begun);
        if has_strays(format) && FENCE.starts_with(text.trim_end()) {
            return true;
        }
        self.closings(format)
            .into_iter()
            .chain(another)
            .any(|form| Words { text, at: 0 }.form(form) == Err(Mismatch::Partial))
    }

    /// Reads from the beginning of `pending`, and takes out what was read.
    ///
    /// # Errors
    /// What is wrong with the call.
    pub(crate) fn step(
        &mut self,
        syntax: &CallSyntax,
        pending: &mut String,
        outputs: &mut Vec<Output>,
    ) -> Result<Progress, String> {
        let format = syntax.format;
        match &mut self.stage {
            Stage::Lead => {
                let lead = format.after_trigger();
                pending.drain(..space(pending));
                let mut words = Words { text: pending, at: 0 };
                match words.form(lead.trim_start()) {
                    Ok(()) => {}
                    Err(Mismatch::Partial) => return Ok(Progress::Wait),
                    Err(Mismatch::Never) => match format.shape {
                        // The object itself is enough.
                        Shape::Object { .. } => words.at = 0,
                        Shape::Named { .. } | Shape::Tagged { .. } => {
                            return Err("a call does not begin in the form of the model".to_owned());
                        }
                    },
                }
                match format.shape {
                    Shape::Object { .. } if words.rest().len() < 2 => return Ok(Progress::Wait),
                    Shape::Object { .. } => self.doubled = words.rest().starts_with("{{"),
                    Shape::Named { .. } | Shape::Tagged { .. } => {}
                }
                let read = words.at + usize::from(self.doubled);
                pending.drain(..read);
                self.stage = Stage::body(format);
                Ok(Progress::On)
            }
            Stage::Object(object) => match object.step(syntax, pending, outputs)? {
                Progress::Over => {
                    self.stage = Stage::After;
                    Ok(Progress::On)
                }
                progress @ (Progress::On | Progress::Wait) => Ok(progress),
            },
            Stage::Name => {
                let (between, tag) = match format.shape {
                    Shape::Object { .. } => return Err("a call has no name".to_owned()),
                    Shape::Named { between } => (between, None),
                    Shape::Tagged { after_name, .. } => (after_name, Some('<')),
                };
                let text = pending.trim_start();
                let firsts = [between.trim_start().chars().next(), tag];
                let ends = |character: char| character.is_whitespace() || firsts.contains(&Some(character));
                let Some(end) = text.find(ends) else {
                    return if text.len() > NAME_LIMIT {
                        Err("the name of a call has no end".to_owned())
                    } else {
                        Ok(Progress::Wait)
                    };
                };
                let mut words = Words { text, at: end };
                words.at += space(words.rest());
                match words.form(between.trim_start()) {
                    Ok(()) => {}
                    Err(Mismatch::Partial) => return Ok(Progress::Wait),
                    Err(Mismatch::Never) => return Err("a call has no arguments".to_owned()),
                }
                let name = &text[..end];
                outputs.push(started(syntax, name.to_owned())?);
                self.stage = match format.shape {
                    Shape::Object { .. } | Shape::Named { .. } => Stage::Arguments(Arguments::new(true)),
                    Shape::Tagged { after_value, .. } => {
                        let function = syntax.callable.iter().find(|function| function.name == name);
                        let parameters = function.and_then(|known| parameters(&known.parameters, after_value.trim()));
                        Stage::Tagged(TaggedReader::new(parameters.unwrap_or_default()))
                    }
                };
                let read = pending.len() - words.rest().len();
                pending.drain(..read);
                Ok(Progress::On)
            }
            Stage::Arguments(arguments) => {
                if !arguments.read(pending, outputs)? {
                    return Ok(Progress::Wait);
                }
                outputs.push(Output::CallEnded);
                self.stage = Stage::After;
                Ok(Progress::On)
            }
            Stage::Tagged(tagged) => match tagged.step(&format.shape, pending, outputs)? {
                Progress::Over => {
                    self.stage = Stage::After;
                    Ok(Progress::On)
                }
                progress @ (Progress::On | Progress::Wait) => Ok(progress),
            },
            Stage::After => Ok(self.after(syntax, pending)),
        }
    }

    /// What may close the last call, and all of them.
    fn closings(&self, format: &CallFormat) -> Vec<&'static str> {
        let mut closings = Vec::new();
        if self.open {
            closings.push(format.close.trim_start());
        }
        if self.begun {
            closings.push(format.end.trim_start());
        }
        if self.doubled {
            closings.push("}");
        }
        if self.list {
            closings.push("]");
        }
        if self.fence {
            closings.push(FENCE);
        }
        closings.retain(|closing| !closing.is_empty());
        closings
    }

    fn after(&mut self, syntax: &CallSyntax, pending: &mut String) -> Progress {
        pending.drain(..space(pending));
        if pending.is_empty() {
            return Progress::Wait;
        }
        let mut partial = false;
        for closing in self.closings(syntax.format) {
            let mut words = Words { text: pending, at: 0 };
            match words.form(closing) {
                Ok(()) => {
                    let read = words.at;
                    pending.drain(..read);
                    match closing {
                        "}" => self.doubled = false,
                        "]" if self.list => self.list = false,
                        FENCE => self.fence = false,
                        _ if self.open && closing == syntax.format.close.trim_start() => self.open = false,
                        _ => self.begun = false,
                    }
                    return Progress::On;
                }
                Err(Mismatch::Partial) => partial = true,
                Err(Mismatch::Never) => {}
            }
        }
        let has_strays = has_strays(syntax.format);
        if has_strays && pending.starts_with(['}', ']']) {
            pending.drain(..1);
            return Progress::On;
        }
        if has_strays
            && let Some(rest) = pending.strip_prefix(FENCE)
            && rest.starts_with(|next: char| !next.is_alphanumeric())
        {
            pending.drain(..FENCE.len());
            return Progress::On;
        }
        partial |= has_strays && FENCE.starts_with(pending.as_str());
        match self.next(syntax, pending) {
            Ok((read, next)) => {
                pending.drain(..read);
                *self = next;
                Progress::On
            }
            Err(Mismatch::Partial) => Progress::Wait,
            Err(Mismatch::Never) if partial => Progress::Wait,
            Err(Mismatch::Never) => Progress::Over,
        }
    }

    /// The call that follows the last one.
    fn next(&self, syntax: &CallSyntax, text: &str) -> Result<(usize, Self), Mismatch> {
        let format = syntax.format;
        let mut mismatch = Mismatch::Never;
        if self.begun && !format.open.is_empty() {
            let mut words = Words { text, at: 0 };
            let separator = format.separator.trim_start();
            match words.form(separator).and_then(|()| words.form(format.open)) {
                Ok(()) => {
                    return Ok((words.at, Self { open: true, begun: true, stage: Stage::body(format), ..*self }));
                }
                Err(other) => mismatch = mismatch.or(other),
            }
        }
        let mut words = Words { text, at: 0 };
        let is_joined = text.starts_with([',', ';']);
        if is_joined {
            words.at += 1;
            words.at += space(words.rest());
        }
        // Inside a list whatever follows is a call.
        let in_list = self.list || (self.begun && format.open.is_empty() && !format.begin.is_empty());
        if is_joined && in_list && words.rest().starts_with('{') {
            return Ok((words.at, Self { stage: Stage::body(format), ..*self }));
        }
        if words.rest().is_empty() {
            return Err(Mismatch::Partial);
        }
        match syntax.start(words.rest()) {
            Ok(start) => {
                let next = Self::new(start, format);
                let (fence, list) = (self.fence || next.fence, self.list || next.list);
                Ok((words.at + start.at, Self { fence, list, begun: self.begun || next.begun, ..next }))
            }
            Err(other) => Err(mismatch.or(other)),
        }
    }
}

/// Whether closing brackets after a call, and a fence that opens nothing, are to be dropped: models
/// that write calls as JSON also leave such behind, where the text before the call opened them.
fn has_strays(format: &CallFormat) -> bool {
    match format.shape {
        Shape::Object { .. } => true,
        Shape::Named { .. } | Shape::Tagged { .. } => false,
    }
}

impl Stage {
    fn body(format: &CallFormat) -> Self {
        match format.shape {
            Shape::Object { .. } => Self::Object(ObjectReader::default()),
            Shape::Named { .. } | Shape::Tagged { .. } => Self::Name,
        }
    }
}
