//! `response_format` and its deprecated relatives (spec 02): what the answer must be.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::error::Error;
use crate::fields::{Fields, describe};
use crate::image::ImageFormat;

/// The JSON Schema the answer must conform to, as it came, and the JSON path of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AnswerSchema {
    pub path: String,
    pub schema: Value,
}

/// What an answer is to consist of, where the request says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Output {
    Text,
    Image(ImageFormat),
    /// Words, and a picture after them.
    Both(ImageFormat),
    /// A hint: one of them or both, as the model can.
    Either(ImageFormat),
}

impl Output {
    /// The picture, where one may come.
    pub fn image(self) -> Option<ImageFormat> {
        match self {
            Self::Text => None,
            Self::Image(image) | Self::Both(image) | Self::Either(image) => Some(image),
        }
    }

    /// Whether words may stand beside a picture.
    pub fn has_words(self) -> bool {
        match self {
            Self::Text | Self::Both(_) | Self::Either(_) => true,
            Self::Image(_) => false,
        }
    }
}

/// A key that tells a bare JSON Schema without `type` from something else.
const SCHEMA_KEYS: [&str; 8] = ["properties", "anyOf", "oneOf", "allOf", "$ref", "enum", "const", "items"];

const SCHEMA_TYPES: [&str; 7] = ["object", "array", "string", "number", "integer", "boolean", "null"];

const JSON: &str = "application/json";
const PLAIN: &str = "text/plain";

/// Reads `response_format`, `response_mime_type` and `response_modalities`: the schema of the
/// answer, and what it consists of.
pub(crate) fn read(
    fields: &mut Fields,
    format: Option<Value>,
) -> Result<(Option<AnswerSchema>, Option<Output>), Error> {
    let mut said = Said::default();
    if let Some(format) = format {
        match format {
            Value::Array(formats) => {
                for (at, format) in formats.into_iter().enumerate() {
                    said.read(format, &format!("response_format[{at}]"))?;
                }
            }
            format => said.read(format, "response_format")?,
        }
    }
    match fields.take("response_mime_type") {
        None => {}
        Some(Value::String(mime)) if mime == JSON || mime == PLAIN => said.mime("response_mime_type", &mime)?,
        Some(other) => {
            return Err(fields.mismatch("response_mime_type", "`text/plain` or `application/json`", &other));
        }
    }
    let (mut says_text, mut says_image) = (false, false);
    for (at, modality) in fields.list("response_modalities")?.unwrap_or_default().into_iter().enumerate() {
        match modality.as_str().map(str::to_ascii_lowercase).as_deref() {
            Some("text") => says_text = true,
            Some("image") => says_image = true,
            _ => {
                return Err(Error::invalid(
                    &format!("response_modalities[{at}]"),
                    format!("expected `text` or `image`, the outputs of this server, got {}", describe(&modality)),
                ));
            }
        }
    }
    let is_text = said.seen || said.json.is_some() || said.schema.is_some();
    let refused = |path: &str, message: &str| Err(Error::invalid(path, message));
    let output = match said.image {
        Some(_) if said.schema.is_some() || said.json == Some(true) => {
            return refused(
                "response_format",
                "JSON beside a picture is not supported by this server; expected plain text",
            );
        }
        Some(_) if says_text && !says_image => {
            return refused("response_modalities", "`response_format` asks for a picture, this for text");
        }
        Some(_) if is_text && says_image && !says_text => {
            return refused("response_modalities", "`response_format` asks for text too, this for a picture alone");
        }
        Some(image) if is_text => Some(Output::Both(image)),
        Some(image) if says_text => Some(Output::Either(image)),
        Some(image) => Some(Output::Image(image)),
        None if is_text && says_image && !says_text => {
            return refused("response_modalities", "`response_format` asks for text, this for a picture");
        }
        None if is_text => Some(Output::Text),
        None if says_text && says_image => Some(Output::Either(ImageFormat::default())),
        None if says_image => Some(Output::Image(ImageFormat::default())),
        None => says_text.then_some(Output::Text),
    };
    Ok((said.schema(), output))
}

/// What has been said of the answer so far.
#[derive(Default)]
struct Said {
    /// Whether a format of text came.
    seen: bool,
    /// Whether it is to be JSON, if that was said.
    json: Option<bool>,
    schema: Option<AnswerSchema>,
    image: Option<ImageFormat>,
}

impl Said {
    /// One format, tagged by `type`, or a bare schema: the tags are no types of JSON
    /// Schema, so `type` decides.
    fn read(&mut self, value: Value, path: &str) -> Result<(), Error> {
        if is_schema(&value) {
            return self.take_schema(path.to_owned(), value);
        }
        let mut format = Fields::new(value, path)?;
        match format.string("type")?.as_deref() {
            Some("text") => {}
            Some("image") => {
                if self.image.replace(ImageFormat::read(format)?).is_some() {
                    return Err(Error::invalid(path, "an answer has one picture only, a second format came"));
                }
                return Ok(());
            }
            Some(other @ ("audio" | "video")) => {
                let message = format!("{other} output is not supported by this server yet; supported: text, image");
                return Err(Error::invalid(&format.path_of("type"), message));
            }
            Some(_) => {
                let message = "expected `text`, `image`, or a JSON Schema with one of its types";
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
