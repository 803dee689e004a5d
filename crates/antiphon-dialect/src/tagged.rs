//! Reads the arguments of a call that stand in tags, and makes an object of JSON of them.
//!
//! A string is escaped as it comes. Other values are passed on as they are, and each is
//! parsed once more as a whole at its end.

use serde::de::IgnoredAny;
use serde_json::Value;

use crate::call::Progress;
use crate::format::Shape;
use crate::object::{CALL_BYTES_LIMIT, NAME_LIMIT, Scanner};
use crate::output::Output;
use crate::parameter::{Kind, Parameter};
use crate::stop::held_back;
use crate::trigger::{Mismatch, Words, space};

#[derive(Debug)]
pub(crate) struct TaggedReader {
    /// Those that have not come yet.
    parameters: Vec<Parameter>,
    /// How much was read of the arguments, in bytes.
    read: usize,
    has_any: bool,
    place: Place,
}

#[derive(Debug)]
enum Place {
    /// Before an argument, or the end.
    Between,
    Key,
    /// Right before a value; the white space that belongs to the form may still come.
    Opening(Kind),
    Text,
    Json(String, Scanner),
    /// After a value of JSON.
    Closing,
}

impl TaggedReader {
    pub(crate) fn new(parameters: Vec<Parameter>) -> Self {
        Self { parameters, read: 0, has_any: false, place: Place::Between }
    }

    /// Reads from the beginning of `pending`, and takes out what was read.
    pub(crate) fn step(
        &mut self,
        shape: &Shape,
        pending: &mut String,
        outputs: &mut Vec<Output>,
    ) -> Result<Progress, String> {
        let Shape::Tagged { before_key, before_value, after_value, end, .. } = *shape else {
            return Err("a call has no tags".to_owned());
        };
        if self.read > CALL_BYTES_LIMIT {
            return Err(format!("the arguments of a call are longer than {CALL_BYTES_LIMIT} bytes"));
        }
        match &mut self.place {
            Place::Between => {
                pending.drain(..space(pending));
                let mut words = Words { text: pending, at: 0 };
                let key = words.form(before_key);
                if key == Ok(()) {
                    pending.drain(..before_key.len());
                    self.place = Place::Key;
                    return Ok(Progress::On);
                }
                match words.literal(end) {
                    Ok(()) => {}
                    Err(Mismatch::Partial) => return Ok(Progress::Wait),
                    Err(Mismatch::Never) if key == Err(Mismatch::Partial) => return Ok(Progress::Wait),
                    Err(Mismatch::Never) => return Err("the arguments of a call are not in tags".to_owned()),
                }
                pending.drain(..end.len());
                if self.parameters.iter().any(|parameter| parameter.is_required) {
                    return Err("a call lacks an argument that is required".to_owned());
                }
                let closing = if self.has_any { "}" } else { "{}" };
                outputs.extend([Output::CallArguments(closing.to_owned()), Output::CallEnded]);
                return Ok(Progress::Over);
            }
            Place::Key => {
                let Some(length) = pending.find(before_value.chars().next().unwrap_or('\n')) else {
                    return if pending.len() > NAME_LIMIT {
                        Err("a key of a call has no end".to_owned())
                    } else {
                        Ok(Progress::Wait)
                    };
                };
                let mut words = Words { text: pending, at: length };
                match words.form(before_value.trim_end()) {
                    Ok(()) => {}
                    Err(Mismatch::Partial) => return Ok(Progress::Wait),
                    Err(Mismatch::Never) => return Err("a key of a call has no value".to_owned()),
                }
                let (read, key) = (words.at, pending[..length].trim());
                let Some(index) = self.parameters.iter().position(|parameter| parameter.key == key) else {
                    return Err("a call has an argument that is not declared, or has it twice".to_owned());
                };
                let Parameter { key, kind, .. } = self.parameters.remove(index);
                let before = if self.has_any { ", " } else { "{" };
                outputs.push(Output::CallArguments(format!("{before}{}: ", Value::from(key))));
                self.has_any = true;
                self.take(pending, read);
                self.place = Place::Opening(kind);
            }
            Place::Opening(kind) => {
                let margin = &before_value[before_value.trim_end().len()..];
                if pending.len() < margin.len() && margin.starts_with(pending.as_str()) {
                    return Ok(Progress::Wait);
                }
                if pending.starts_with(margin) {
                    pending.drain(..margin.len());
                }
                self.place = match kind {
                    Kind::Text { .. } | Kind::Choice(_) => {
                        outputs.push(Output::CallArguments("\"".to_owned()));
                        Place::Text
                    }
                    Kind::Json(_) => Place::Json(String::new(), Scanner::default()),
                };
            }
            Place::Text => {
                let closing = after_value.trim();
                // The white space before the closing belongs to the form, if it is there.
                let whole = after_value.trim_end();
                let margin = &whole[..whole.len() - closing.len()];
                let found = pending.find(closing);
                let text = match found {
                    Some(at) => pending[..at].strip_suffix(margin).unwrap_or(&pending[..at]),
                    None => &pending[..held_back(pending, [closing, whole].into_iter())],
                };
                let length = text.len();
                if length > 0 {
                    let json = Value::from(text).to_string();
                    outputs.push(Output::CallArguments(json[1..json.len() - 1].to_owned()));
                }
                let Some(at) = found else {
                    self.take(pending, length);
                    return Ok(Progress::Wait);
                };
                self.take(pending, at + closing.len());
                outputs.push(Output::CallArguments("\"".to_owned()));
                self.place = Place::Between;
            }
            Place::Json(value, scanner) => {
                if value.is_empty() {
                    pending.drain(..space(pending));
                }
                if pending.is_empty() {
                    return Ok(Progress::Wait);
                }
                let (length, ended) = scanner.scan(pending);
                value.push_str(&pending[..length]);
                let is_wrong = ended && serde_json::from_str::<IgnoredAny>(value).is_err();
                outputs.extend((length > 0).then(|| Output::CallArguments(pending[..length].to_owned())));
                self.take(pending, length);
                if is_wrong {
                    return Err("an argument of a call is not valid JSON".to_owned());
                }
                if !ended {
                    return Ok(Progress::Wait);
                }
                self.place = Place::Closing;
            }
            Place::Closing => {
                pending.drain(..space(pending));
                let closing = after_value.trim();
                match (Words { text: pending, at: 0 }).literal(closing) {
                    Ok(()) => {}
                    Err(Mismatch::Partial) => return Ok(Progress::Wait),
                    Err(Mismatch::Never) => return Err("an argument of a call has no end".to_owned()),
                }
                pending.drain(..closing.len());
                self.place = Place::Between;
            }
        }
        Ok(Progress::On)
    }

    fn take(&mut self, pending: &mut String, length: usize) {
        self.read += length;
        pending.drain(..length);
    }
}
