//! Reads the object of a call, and the object of its arguments, from pieces of JSON.
//!
//! Arguments are passed on as they come, so their end is found before they are understood;
//! what was read is parsed once more as a whole.

use serde::de::IgnoredAny;
use serde_json::{Map, Value};

use crate::call::Progress;
use crate::output::Output;
use crate::trigger::{CallSyntax, space};

/// The longest name or key, in bytes.
pub(crate) const NAME_LIMIT: usize = 1024;
/// The longest call, in bytes.
pub(crate) const CALL_BYTES_LIMIT: usize = 4 * 1024 * 1024;

/// A call of one of the functions that may be called.
pub(crate) fn started(syntax: &CallSyntax, name: String) -> Result<Output, String> {
    if syntax.callable.iter().any(|function| function.name == name) {
        Ok(Output::CallStarted { name })
    } else {
        Err("the function that was called is not one that may be called".to_owned())
    }
}

/// Reads `{"name": …, "arguments": …}`.
#[derive(Debug, Default)]
pub(crate) struct ObjectReader {
    /// All that was read, to be parsed once more as a whole.
    raw: String,
    has_name: bool,
    arguments: Option<Arguments>,
    field: Field,
}

#[derive(Debug, Default)]
enum Field {
    #[default]
    Opening,
    Key,
    Colon(Key),
    Value(Key, String, Scanner),
    Arguments,
}

#[derive(Clone, Copy, Debug)]
enum Key {
    Name,
    Arguments,
    Other,
}

impl ObjectReader {
    pub(crate) fn step(
        &mut self,
        syntax: &CallSyntax,
        pending: &mut String,
        outputs: &mut Vec<Output>,
    ) -> Result<Progress, String> {
        if self.raw.len() > CALL_BYTES_LIMIT {
            return Err(format!("a call is longer than {CALL_BYTES_LIMIT} bytes"));
        }
        match &mut self.field {
            Field::Opening | Field::Key | Field::Colon(_) => {
                self.take(pending, space(pending));
            }
            Field::Value(..) | Field::Arguments => {}
        }
        let Some(&first) = pending.as_bytes().first() else {
            return Ok(Progress::Wait);
        };
        match &mut self.field {
            Field::Opening if first == b'{' => {
                self.take(pending, 1);
                self.field = Field::Key;
            }
            Field::Opening => return Err("a call is not an object of JSON".to_owned()),
            Field::Key => match first {
                b',' => self.take(pending, 1),
                b'}' => {
                    self.take(pending, 1);
                    self.end(outputs)?;
                    return Ok(Progress::Over);
                }
                b'"' => {
                    let mut scanner = Scanner::default();
                    let (length, true) = scanner.scan(pending) else {
                        return if pending.len() > NAME_LIMIT {
                            Err("a key of a call has no end".to_owned())
                        } else {
                            Ok(Progress::Wait)
                        };
                    };
                    let key = match serde_json::from_str::<String>(&pending[..length]) {
                        Ok(key) if key == "name" => Key::Name,
                        Ok(key) if key == "arguments" || key == "parameters" => Key::Arguments,
                        Ok(_) => Key::Other,
                        Err(_) => return Err("a key of a call is not JSON".to_owned()),
                    };
                    self.take(pending, length);
                    self.field = Field::Colon(key);
                }
                _ => return Err("a call is not an object of JSON".to_owned()),
            },
            Field::Colon(key) => {
                let key = *key;
                if first != b':' {
                    return Err("a call is not an object of JSON".to_owned());
                }
                self.take(pending, 1);
                self.field = match key {
                    Key::Arguments if self.arguments.is_some() => {
                        return Err("a call has its arguments twice".to_owned());
                    }
                    Key::Arguments => {
                        self.arguments = Some(Arguments::new(self.has_name));
                        Field::Arguments
                    }
                    Key::Name if self.has_name => return Err("a call has its name twice".to_owned()),
                    Key::Name | Key::Other => Field::Value(key, String::new(), Scanner::default()),
                };
            }
            Field::Value(key, value, scanner) => {
                if value.is_empty() {
                    let skipped = space(pending);
                    self.raw.push_str(&pending[..skipped]);
                    pending.drain(..skipped);
                }
                let (length, ended) = scanner.scan(pending);
                value.push_str(&pending[..length]);
                let key = *key;
                if ended {
                    let value = std::mem::take(value);
                    self.field = Field::Key;
                    match key {
                        Key::Name => self.named(syntax, &value, outputs)?,
                        Key::Arguments | Key::Other => {}
                    }
                }
                self.take(pending, length);
                return Ok(if ended { Progress::On } else { Progress::Wait });
            }
            Field::Arguments => {
                let before = pending.clone();
                let ended = match &mut self.arguments {
                    Some(arguments) => arguments.read(pending, outputs)?,
                    None => true,
                };
                self.raw.push_str(&before[..before.len() - pending.len()]);
                if !ended {
                    return Ok(Progress::Wait);
                }
                self.field = Field::Key;
            }
        }
        Ok(Progress::On)
    }

    fn take(&mut self, pending: &mut String, length: usize) {
        self.raw.push_str(&pending[..length]);
        pending.drain(..length);
    }

    fn named(&mut self, syntax: &CallSyntax, value: &str, outputs: &mut Vec<Output>) -> Result<(), String> {
        let name = serde_json::from_str(value).map_err(|_| "the name of a call is not a string".to_owned())?;
        outputs.push(started(syntax, name)?);
        self.has_name = true;
        if let Some(arguments) = &self.arguments {
            outputs.push(Output::CallArguments(arguments.text.clone()));
        }
        Ok(())
    }

    fn end(&self, outputs: &mut Vec<Output>) -> Result<(), String> {
        if serde_json::from_str::<IgnoredAny>(&self.raw).is_err() {
            return Err("a call is not valid JSON".to_owned());
        }
        if !self.has_name {
            return Err("a call has no name".to_owned());
        }
        if self.arguments.is_none() {
            outputs.push(Output::CallArguments("{}".to_owned()));
        }
        outputs.push(Output::CallEnded);
        Ok(())
    }
}

/// Reads the object of the arguments.
#[derive(Debug, Default)]
pub(crate) struct Arguments {
    text: String,
    scanner: Scanner,
    /// Whether it is passed on as it comes.
    is_live: bool,
}

impl Arguments {
    pub(crate) fn new(is_live: bool) -> Self {
        Self { is_live, ..Self::default() }
    }

    /// Whether the arguments have ended.
    pub(crate) fn read(&mut self, pending: &mut String, outputs: &mut Vec<Output>) -> Result<bool, String> {
        if self.text.is_empty() {
            pending.drain(..space(pending));
        }
        match (self.text.is_empty(), pending.as_bytes().first()) {
            (_, None) => return Ok(false),
            (true, Some(b'{' | b'n')) | (false, Some(_)) => {}
            (true, Some(_)) => return Err("the arguments of a call are not an object".to_owned()),
        }
        let (length, ended) = self.scanner.scan(pending);
        self.text.push_str(&pending[..length]);
        if self.text.len() > CALL_BYTES_LIMIT {
            return Err(format!("the arguments of a call are longer than {CALL_BYTES_LIMIT} bytes"));
        }
        let is_object = self.text.starts_with('{');
        if self.is_live && is_object && length > 0 {
            outputs.push(Output::CallArguments(pending[..length].to_owned()));
        }
        pending.drain(..length);
        if !ended {
            return Ok(false);
        }
        if !is_object {
            if self.text != "null" {
                return Err("the arguments of a call are not an object".to_owned());
            }
            self.text = "{}".to_owned();
            if self.is_live {
                outputs.push(Output::CallArguments(self.text.clone()));
            }
        } else if serde_json::from_str::<Map<String, Value>>(&self.text).is_err() {
            return Err("the arguments of a call are not valid JSON".to_owned());
        }
        Ok(true)
    }
}

/// Finds the end of a value of JSON without understanding it.
#[derive(Debug, Default)]
pub(crate) struct Scanner {
    depth: usize,
    in_string: bool,
    escaped: bool,
}

impl Scanner {
    /// How many bytes belong to the value, and whether it ends with them.
    pub(crate) fn scan(&mut self, text: &str) -> (usize, bool) {
        for (at, byte) in text.bytes().enumerate() {
            if self.in_string {
                match byte {
                    _ if self.escaped => self.escaped = false,
                    b'\\' => self.escaped = true,
                    b'"' => {
                        self.in_string = false;
                        if self.depth == 0 {
                            return (at + 1, true);
                        }
                    }
                    _ => {}
                }
                continue;
            }
            match byte {
                b'"' => self.in_string = true,
                b'{' | b'[' => self.depth += 1,
                b'}' | b']' if self.depth > 1 => self.depth -= 1,
                b'}' | b']' if self.depth == 1 => return (at + 1, true),
                b'}' | b']' | b',' | b'<' | b' ' | b'\t' | b'\r' | b'\n' if self.depth == 0 => return (at, true),
                _ => {}
            }
        }
        (text.len(), false)
    }
}
