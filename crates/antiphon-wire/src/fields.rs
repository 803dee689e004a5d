//! Reading one JSON object of a request, field by field, so that nothing is dropped.
//!
//! [`Fields`] hands out each known field once, treats `null` as absent (spec 08 §15)
//! and, at [`Fields::finish`], refuses what nobody asked for by its JSON path. Every
//! error names the path, what was expected and what came.

use serde_json::{Map, Value};

use crate::error::{Code, Error};

pub(crate) struct Fields {
    map: Map<String, Value>,
    path: String,
}

impl Fields {
    /// `path` is the object's own JSON path; empty for the body.
    pub(crate) fn new(value: Value, path: &str) -> Result<Self, Error> {
        match value {
            Value::Object(map) => Ok(Self { map, path: path.to_owned() }),
            other => {
                let place = if path.is_empty() { "body" } else { path };
                Err(Error::invalid(place, format!("expected an object, got {}", describe(&other))))
            }
        }
    }

    /// As [`Fields::new`], for classic resources: their SDKs write some names as `display_name`
    /// and some as `displayName`. Here they are read, and named in errors, as the latter.
    pub(crate) fn classic(value: Value, path: &str) -> Result<Self, Error> {
        let Self { map, path } = Self::new(value, path)?;
        let mut read = Self { map: Map::new(), path };
        for (name, value) in map {
            let camel = camel_case(&name);
            if read.map.contains_key(&camel) {
                let message = "it came twice: once in words with `_`, once without";
                return Err(Error::invalid(&read.path_of(excerpt(&camel)), message));
            }
            read.map.insert(camel, value);
        }
        Ok(read)
    }

    pub(crate) fn path_of(&self, name: &str) -> String {
        if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) }
    }

    /// Takes a field as it is; `None` when absent or null.
    pub(crate) fn take(&mut self, name: &str) -> Option<Value> {
        self.map.shift_remove(name).filter(|value| !value.is_null())
    }

    pub(crate) fn string(&mut self, name: &str) -> Result<Option<String>, Error> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(other) => Err(self.mismatch(name, "a string", &other)),
        }
    }

    /// A string that must be there and not be empty.
    pub(crate) fn text(&mut self, name: &str) -> Result<String, Error> {
        let text = self.string(name)?.filter(|text| !text.is_empty());
        text.ok_or_else(|| Error::invalid(&self.path_of(name), "expected a string that is not empty"))
    }

    pub(crate) fn boolean(&mut self, name: &str) -> Result<Option<bool>, Error> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::Bool(flag)) => Ok(Some(flag)),
            Some(other) => Err(self.mismatch(name, "true or false", &other)),
        }
    }

    pub(crate) fn list(&mut self, name: &str) -> Result<Option<Vec<Value>>, Error> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::Array(items)) => Ok(Some(items)),
            Some(other) => Err(self.mismatch(name, "a list", &other)),
        }
    }

    /// An integer in `least..=most`; strings of digits count, since SDKs send int64 as
    /// strings (spec 08 §14).
    pub(crate) fn integer(&mut self, name: &str, least: i64, most: i64) -> Result<Option<i64>, Error> {
        let Some(value) = self.take(name) else { return Ok(None) };
        let number = match &value {
            Value::Number(number) => number.as_i64(),
            Value::String(text) => text.parse().ok(),
            Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
        };
        match number {
            Some(number) if (least..=most).contains(&number) => Ok(Some(number)),
            _ => Err(self.mismatch(name, &format!("an integer from {least} to {most}"), &value)),
        }
    }

    /// A finite number in `least..=most`.
    pub(crate) fn number(&mut self, name: &str, least: f64, most: f64) -> Result<Option<f64>, Error> {
        let Some(value) = self.take(name) else { return Ok(None) };
        match value.as_f64() {
            Some(number) if (least..=most).contains(&number) => Ok(Some(number)),
            _ => Err(self.mismatch(name, &format!("a number from {least} to {most}"), &value)),
        }
    }

    /// One of a closed set of names.
    pub(crate) fn choice<T: Copy>(&mut self, name: &str, choices: &[(&str, T)]) -> Result<Option<T>, Error> {
        let Some(value) = self.take(name) else { return Ok(None) };
        let found = value.as_str().and_then(|text| choices.iter().find(|(known, _)| *known == text));
        match found {
            Some((_, choice)) => Ok(Some(*choice)),
            None => {
                let known: Vec<_> = choices.iter().map(|(known, _)| format!("`{known}`")).collect();
                Err(self.mismatch(name, &format!("one of {}", known.join(", ")), &value))
            }
        }
    }

    /// Refuses a known field by name when it is present.
    pub(crate) fn refuse(&mut self, name: &str, reason: &str) -> Result<(), Error> {
        match self.take(name) {
            None => Ok(()),
            Some(_) => Err(Error::invalid(&self.path_of(name), reason)),
        }
    }

    pub(crate) fn mismatch(&self, name: &str, expected: &str, got: &Value) -> Error {
        Error::invalid(&self.path_of(name), format!("expected {expected}, got {}", describe(got)))
    }

    /// What is left, for objects whose unknown keys are kept.
    pub(crate) fn rest(self) -> Map<String, Value> {
        self.map
    }

    /// Ends the reading: a field that nobody took is unknown.
    pub(crate) fn finish(self) -> Result<(), Error> {
        match self.map.iter().find(|(_, value)| !value.is_null()) {
            None => Ok(()),
            Some((name, _)) => {
                Err(Error::new(Code::ParameterUnknown, format!("`{}`: unknown parameter", self.path_of(excerpt(name)))))
            }
        }
    }
}

fn camel_case(name: &str) -> String {
    let mut words = name.split('_');
    let first = words.next().unwrap_or_default().to_owned();
    words.fold(first, |mut camel, word| {
        let mut letters = word.chars();
        camel.extend(letters.next().into_iter().flat_map(char::to_uppercase));
        camel.push_str(letters.as_str());
        camel
    })
}

/// Names a JSON value in an error without repeating what may be long or private.
pub(crate) fn describe(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(flag) => flag.to_string(),
        Value::Number(number) => number.to_string(),
        Value::String(text) if text.len() <= 40 => format!("\"{text}\""),
        Value::String(text) => format!("a string of {} characters", text.chars().count()),
        Value::Array(items) => format!("a list of {} items", items.len()),
        Value::Object(_) => "an object".to_owned(),
    }
}

/// The first characters of a name that came from outside.
pub(crate) fn excerpt(text: &str) -> &str {
    match text.char_indices().nth(64) {
        None => text,
        Some((end, _)) => &text[..end],
    }
}
