//! `response_format` and its deprecated relatives (spec 02): what the answer must be.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::error::Error;
use crate::fields::{Fields, describe};

/// The JSON Schema the answer must conform to, as it came, and the JSON path of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AnswerSchema {
    pub path: String,
    pub schema: Value,
}

/// A key that tells a bare JSON Schema without `type` from something else.
const SCHEMA_KEYS: [&str; 8] = ["properties", "anyOf", "oneOf", "allOf", "$ref", "enum", "const", "items"];

const SCHEMA_TYPES: [&str; 7] = ["object", "array", "string", "number", "integer", "boolean", "null"];

const JSON: &str = "application/json";
const PLAIN: &str = "text/plain";

/// Reads `response_format`, `response_mime_type` and `response_modalities`; `None` asks
/// for plain text.
pub(crate) fn read(fields: &mut Fields, format: Option<Value>) -> Result<Option<AnswerSchema>, Error> {
    let mut text = TextFormat::default();
    if let Some(format) = format {
        match format {
            Value::Array(formats) => {
                for (at, format) in formats.into_iter().enumerate() {
                    text.read(format, &format!("response_format[{at}]"))?;
                }
            }
            format => text.read(format, "response_format")?,
        }
    }
    match fields.take("response_mime_type") {
        None => {}
        Some(Value::String(mime)) if mime == JSON || mime == PLAIN => text.mime("response_mime_type", &mime)?,
        Some(other) => {
            return Err(fields.mismatch("response_mime_type", "`text/plain` or `application/json`", &other));
        }
    }
    for (at, modality) in fields.list("response_modalities")?.unwrap_or_default().into_iter().enumerate() {
        if !modality.as_str().is_some_and(|name| name.eq_ignore_ascii_case("text")) {
            return Err(Error::invalid(
                &format!("response_modalities[{at}]"),
                format!("expected `text`, the only output supported by this server yet, got {}", describe(&modality)),
            ));
        }
    }
    Ok(text.schema())
}

/// What has been said of the answer's text so far.
#[derive(Default)]
struct TextFormat {
    seen: bool,
    /// Whether it is to be JSON, if that was said.
    json: Option<bool>,
    schema: Option<AnswerSchema>,
}

impl TextFormat {
    /// One format, tagged by `type`, or a bare schema: the tags are no types of JSON
    /// Schema, so `type` decides.
    fn read(&mut self, value: Value, path: &str) -> Result<(), Error> {
        if is_schema(&value) {
            return self.take_schema(path.to_owned(), value);
        }
        let mut format = Fields::new(value, path)?;
        match format.string("type")?.as_deref() {
            Some("text") => {}
            Some(other @ ("image" | "audio" | "video")) => {
                let message = format!("{other} output is not supported by this server yet; supported: text");
                return Err(Error::invalid(&format.path_of("type"), message));
            }
            Some(_) => {
                let message = "expected `text`, or a JSON Schema with one of its types";
                return Err(Error::invalid(&format.path_of("type"), message));
            }
            None => return Err(Error::invalid(path, "expected an object with `type`, or a JSON Schema")),
        }
        if std::mem::replace(&mut self.seen, true) {
            return Err(Error::invalid(path, "the answer's text has one format only, a second came"));
        }
        match format.take("mime_type") {
            None => {}
            Some(Value::String(mime)) if mime == JSON || mime == PLAIN => {
                self.mime(&format.path_of("mime_type"), &mime)?;
            }
            Some(other) => return Err(format.mismatch("mime_type", "`text/plain` or `application/json`", &other)),
        }
        if let Some(schema) = format.take("schema") {
            self.take_schema(format.path_of("schema"), schema)?;
            return format.finish();
        }
        // What the Python SDK makes of a bare schema without a `type`: it adds the tag.
        let rest = Value::Object(format.rest());
        if is_schema(&rest) {
            return self.take_schema(path.to_owned(), rest);
        }
        Fields::new(rest, path)?.finish()
    }

    fn mime(&mut self, path: &str, mime: &str) -> Result<(), Error> {
        let json = mime == JSON;
        if self.json.is_some_and(|known| known != json) || (self.schema.is_some() && !json) {
            return Err(Error::invalid(path, format!("`{mime}` contradicts the rest of the answer's format")));
        }
        self.json = Some(json);
        Ok(())
    }

    fn take_schema(&mut self, path: String, schema: Value) -> Result<(), Error> {
        if !schema.is_object() {
            return Err(Error::invalid(&path, format!("expected a JSON Schema object, got {}", describe(&schema))));
        }
        if self.schema.is_some() {
            return Err(Error::invalid(&path, "the answer has one schema only, a second came"));
        }
        if self.json == Some(false) {
            return Err(Error::invalid(&path, "a schema needs the MIME type `application/json`"));
        }
        self.schema = Some(AnswerSchema { path, schema });
        Ok(())
    }

    fn schema(self) -> Option<AnswerSchema> {
        // JSON of any shape: what programs parse is an object or a list.
        let any =
            || AnswerSchema { path: "response_format".to_owned(), schema: json!({ "type": ["object", "array"] }) };
        self.schema.or_else(|| (self.json == Some(true)).then(any))
    }
}

fn is_schema(value: &Value) -> bool {
    match value.get("type") {
        Some(Value::String(kind)) => SCHEMA_TYPES.contains(&kind.as_str()),
        Some(Value::Array(_)) => true,
        Some(_) => false,
        None => SCHEMA_KEYS.iter().any(|key| value.get(key).is_some()),
    }
}
