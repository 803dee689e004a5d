//! Jinja as chat templates use it: the Python they expect, and bounds on what they cost.
//!
//! Templates come with model files and were written for one Python renderer, so its
//! functions, its block trimming and its `tojson` are rebuilt here. Fuel, recursion,
//! source and output are bounded, so a template cannot loop for ever. How large and how
//! deeply nested the values are that it builds for itself is not (`x ~ x` doubles a
//! text): a model file is the operator's choice.

use std::io;

use jiff::civil::Date;
use jiff::fmt::strtime;
use minijinja::value::{Kwargs, Value};
use minijinja::{Environment, Error, ErrorKind, context};
use minijinja_contrib::pycompat::unknown_method_callback;
use serde::Serialize;
use serde_json::ser::{Formatter, PrettyFormatter, Serializer};

use crate::sentinel;

const NAME: &str = "chat";

/// The largest template source, in bytes; the longest in use have about 20,000.
const SOURCE_LIMIT: usize = 128 * 1024;
/// The longest `{{ }}` or `{% %}`, in bytes outside of its strings. The compiler recurses
/// along a chain of operators: in a debug build 1,000 filters fit a stack of 2 MiB and
/// 2,000 overflow it.
const TAG_LIMIT: usize = 1024;
/// The most `elif` in one source: the compiler recurses along them, too, and 1,000 overflow.
const ELIF_LIMIT: usize = 128;
const RECURSION_LIMIT: usize = 100;
/// Instructions of one rendering: a part for the frame and one for each message.
const FUEL: u64 = 50_000;
const FUEL_PER_MESSAGE: u64 = 2_000;
/// Bytes that one rendering may write: a part for the frame and one for each message.
const OUTPUT_LIMIT: usize = 64 * 1024;
const OUTPUT_LIMIT_PER_MESSAGE: usize = 4 * 1024;
/// The widest indentation `tojson` writes, in spaces.
const INDENT_LIMIT: usize = 16;

/// One message as a template sees it.
#[derive(Serialize)]
pub(crate) struct JinjaMessage {
    pub(crate) role: &'static str,
    pub(crate) content: String,
    /// Of the call whose result this is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) tool_call_id: Option<String>,
    /// Of the function whose result this is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) name: Option<String>,
}

/// What a template is given.
pub(crate) struct JinjaContext {
    pub(crate) messages: Vec<JinjaMessage>,
    /// Stand-ins for the declarations of tools.
    pub(crate) tools: Vec<String>,
    pub(crate) thinking: Option<bool>,
    pub(crate) today: Date,
}

/// A compiled template with its special tokens.
#[derive(Debug)]
pub(crate) struct Jinja {
    environment: Environment<'static>,
    bos: String,
    eos: String,
}

impl Jinja {
    /// # Errors
    /// The source is too long, or is not a template.
    pub(crate) fn compile(source: &str, bos: &str, eos: &str) -> Result<Self, Error> {
        check_source(source)?;
        let mut environment = Environment::new();
        environment.set_trim_blocks(true);
        environment.set_lstrip_blocks(true);
        environment.set_recursion_limit(RECURSION_LIMIT);
        environment.set_unknown_method_callback(unknown_method_callback);
        environment.add_filter("tojson", tojson);
        environment.add_function("raise_exception", raise_exception);
        environment.add_template_owned(NAME, source.to_owned())?;
        Ok(Self { environment, bos: bos.to_owned(), eos: eos.to_owned() })
    }

    /// Writes the messages and the generation prompt after them.
    ///
    /// # Errors
    /// The template raised, failed, or went past a bound.
    pub(crate) fn render(
        &self,
        JinjaContext { messages, tools, thinking, today }: JinjaContext,
    ) -> Result<String, Error> {
        let items = messages.len() + tools.len();
        let mut environment = self.environment.clone();
        environment.set_fuel(Some(FUEL + FUEL_PER_MESSAGE * items as u64));
        let mut written = BoundedText { bytes: Vec::new(), limit: OUTPUT_LIMIT + OUTPUT_LIMIT_PER_MESSAGE * items };
        // `tools` and `documents` are none and not undefined: templates ask `is not none`.
        // `enable_thinking` is undefined unless it was asked for: they ask `is defined`.
        let context = context! {
            messages,
            add_generation_prompt => true,
            bos_token => self.bos,
            eos_token => self.eos,
            tools => (!tools.is_empty()).then_some(tools),
            documents => (),
            enable_thinking => thinking.map_or(Value::UNDEFINED, Value::from),
            strftime_now => Value::from_function(move |format: &str| strftime(format, today)),
        };
        environment.get_template(NAME)?.render_captured_to(context, &mut written).map_err(|error| {
            match error.kind() {
                ErrorKind::WriteFailure => Error::new(
                    ErrorKind::WriteFailure,
                    format!("the template wrote too much; expected at most {} bytes", written.limit),
                ),
                _ => error,
            }
        })?;
        String::from_utf8(written.bytes)
            .map_err(|_| Error::new(ErrorKind::BadSerialization, "the template wrote bytes that are not UTF-8"))
    }
}

fn check_source(source: &str) -> Result<(), Error> {
    if source.len() > SOURCE_LIMIT {
        let message = format!("the template has {} bytes; expected at most {SOURCE_LIMIT}", source.len());
        return Err(Error::new(ErrorKind::SyntaxError, message));
    }
    let elifs = source.matches("elif").count();
    if elifs > ELIF_LIMIT {
        let message = format!("the template has {elifs} `elif`; expected at most {ELIF_LIMIT}");
        return Err(Error::new(ErrorKind::SyntaxError, message));
    }
    let mut rest = source;
    while let Some(start) = rest.find('{') {
        let inside = &rest[start + 1..];
        let (length, after) = match inside.as_bytes().first() {
            Some(b'{') => measure_tag(&inside[1..], "}}"),
            Some(b'%') if inside[1..].trim_start_matches(['-', '+']).trim_start().starts_with("raw") => {
                // No chat template needs one, and quotes in it would hide tags from this measure.
                return Err(Error::new(ErrorKind::SyntaxError, "the template has a `raw` block; expected none"));
            }
            Some(b'%') => measure_tag(&inside[1..], "%}"),
            // A comment is not compiled.
            Some(b'#') => (0, inside.split_once("#}").map_or("", |(_, after)| after)),
            Some(_) | None => (0, inside),
        };
        if length > TAG_LIMIT {
            let line = source[..source.len() - rest.len() + start].matches('\n').count() + 1;
            let message = format!(
                "the tag at line {line} has {length} bytes outside of its strings; expected at most {TAG_LIMIT}"
            );
            return Err(Error::new(ErrorKind::SyntaxError, message));
        }
        rest = after;
    }
    Ok(())
}

/// How many bytes a tag has outside of its strings, and what follows it.
fn measure_tag<'a>(inside: &'a str, close: &str) -> (usize, &'a str) {
    let mut length = 0;
    let mut quote = None;
    let mut escaped = false;
    for (at, character) in inside.char_indices() {
        match quote {
            Some(_) if escaped => escaped = false,
            Some(_) if character == '\\' => escaped = true,
            Some(begun) if character == begun => quote = None,
            Some(_) => {}
            None if inside[at..].starts_with(close) => return (length, &inside[at + close.len()..]),
            None => {
                length += character.len_utf8();
                quote = Some(character).filter(|character| matches!(character, '"' | '\''));
            }
        }
    }
    (length, "")
}

fn raise_exception(message: &str) -> Result<Value, Error> {
    Err(Error::new(ErrorKind::InvalidOperation, message.to_owned()))
}

fn strftime(format: &str, today: Date) -> Result<String, Error> {
    strtime::format(format, today.at(0, 0, 0, 0))
        .map_err(|error| Error::new(ErrorKind::InvalidOperation, format!("strftime_now: {error}")))
}

/// JSON as Python's `json.dumps` writes it: no escapes for HTML, `ensure_ascii` off, and
/// a space after `,` and `:`, which is the form that models were trained on.
#[expect(clippy::needless_pass_by_value, reason = "a filter takes its arguments by value")]
fn tojson(value: Value, keywords: Kwargs) -> Result<Value, Error> {
    let indent: Option<usize> = keywords.get("indent")?;
    for ignored in ["ensure_ascii", "separators", "sort_keys"] {
        keywords.get::<Option<Value>>(ignored)?;
    }
    keywords.assert_all_used()?;
    let mut json = Vec::new();
    match indent {
        Some(width) => {
            let spaces = " ".repeat(width.min(INDENT_LIMIT));
            value.serialize(&mut Serializer::with_formatter(&mut json, PrettyFormatter::with_indent(spaces.as_bytes())))
        }
        None => value.serialize(&mut Serializer::with_formatter(&mut json, SpacedFormatter)),
    }
    .map_err(|error| Error::new(ErrorKind::BadSerialization, format!("tojson: {error}")))?;
    String::from_utf8(json)
        .map(|json| Value::from_safe_string(sentinel::unquote(&json)))
        .map_err(|_| Error::new(ErrorKind::BadSerialization, "tojson wrote bytes that are not UTF-8"))
}

/// The same form of JSON, for what does not pass through a template.
pub(crate) fn json_text(value: &impl Serialize) -> String {
    let mut json = Vec::new();
    // Neither a value of JSON nor a text can fail here, and the writer is memory.
    let written = value.serialize(&mut Serializer::with_formatter(&mut json, SpacedFormatter));
    written.ok().and_then(|()| String::from_utf8(json).ok()).unwrap_or_default()
}

struct SpacedFormatter;

impl Formatter for SpacedFormatter {
    fn begin_array_value<W: ?Sized + io::Write>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        if first { Ok(()) } else { writer.write_all(b", ") }
    }

    fn begin_object_key<W: ?Sized + io::Write>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        if first { Ok(()) } else { writer.write_all(b", ") }
    }

    fn begin_object_value<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        writer.write_all(b": ")
    }
}

struct BoundedText {
    bytes: Vec<u8>,
    limit: usize,
}

impl io::Write for BoundedText {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.bytes.len() + bytes.len() > self.limit {
            return Err(io::ErrorKind::QuotaExceeded.into());
        }
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests;
