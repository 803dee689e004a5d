//! The parameters of a function whose arguments stand in tags of their own.
//!
//! In such a form a string stands as it is, without quotation marks, so both the grammar
//! and the parser have to know which parameters are strings. Both read it here, from the
//! schema that is enforced.

use serde_json::{Map, Value};

/// The most bytes of definitions that the parameters of one function may repeat: each
/// that refers to them carries them along.
const DEFINITIONS_LIMIT: usize = 256 * 1024;
/// The most characters that a string may have to have: the grammar excludes each shorter one.
const LEAST_LIMIT: u64 = 16;
/// How often a reference may lead to another.
const REFERENCES_LIMIT: usize = 16;

/// One parameter of a function.
#[derive(Debug, PartialEq)]
pub(crate) struct Parameter {
    pub(crate) key: String,
    pub(crate) is_required: bool,
    pub(crate) kind: Kind,
}

/// What the value of a parameter looks like.
#[derive(Debug, PartialEq)]
pub(crate) enum Kind {
    /// A string as it is, of so many characters.
    Text { least: u64, most: Option<u64> },
    /// One of these strings as it is.
    Choice(Vec<String>),
    /// JSON of this schema.
    Json(Value),
}

/// The parameters of a function in the order of their declaration, from a schema that is
/// normalised for llguidance's `%json`. `None` when tags cannot hold them: other
/// arguments than the declared ones are allowed, a string follows a pattern or has to be long, or a text
/// that has to be written as it is contains `closing`.
pub(crate) fn parameters(schema: &Value, closing: &str) -> Option<Vec<Parameter>> {
    let root = schema.as_object()?;
    let definitions = root.get("$defs").cloned().unwrap_or_default();
    let object = resolve(schema, schema)?.as_object()?;
    let is_plain = object.iter().all(|(keyword, value)| match keyword.as_str() {
        "type" => value == "object",
        "properties" => value.is_object(),
        "required" => value.is_array(),
        "additionalProperties" => *value == false,
        "$defs" | "x-guidance" | "title" | "description" => true,
        _ => false,
    });
    if !is_plain || object.get("additionalProperties").is_none() {
        return None;
    }
    let no_properties = Map::new();
    let properties = object.get("properties").and_then(Value::as_object).unwrap_or(&no_properties);
    let required: Vec<_> = object.get("required").and_then(Value::as_array).into_iter().flatten().collect();
    if required.iter().any(|key| key.as_str().is_none_or(|key| !properties.contains_key(key))) {
        return None;
    }
    let size = definitions.to_string().len();
    let mut repeated = 0;
    let mut parameters = Vec::new();
    for (key, property) in properties {
        let is_required = required.iter().any(|required| *required == key);
        if *property == false && !is_required {
            continue;
        }
        let kind = kind(property, schema, closing)?;
        if matches!(&kind, Kind::Json(json) if json.get("$defs").is_some()) {
            repeated += size;
        }
        if !is_word(key) || repeated > DEFINITIONS_LIMIT {
            return None;
        }
        parameters.push(Parameter { key: key.clone(), is_required, kind });
    }
    Some(parameters)
}

/// Whether a key can stand in a tag, or before one.
fn is_word(text: &str) -> bool {
    let breaks = |character: char| character.is_whitespace() || character.is_control() || "<>".contains(character);
    !text.is_empty() && !text.contains(breaks)
}

fn kind(property: &Value, root: &Value, closing: &str) -> Option<Kind> {
    let resolved = resolve(property, root)?;
    let literals = match (resolved.get("enum"), resolved.get("const")) {
        (Some(Value::Array(literals)), _) => literals.as_slice(),
        (_, Some(literal)) => std::slice::from_ref(literal),
        (_, None) => &[],
    };
    let texts: Option<Vec<_>> = literals.iter().map(|literal| literal.as_str().map(str::to_owned)).collect();
    if let Some(texts) = texts.filter(|texts| !texts.is_empty()) {
        return texts.iter().all(|text| !text.contains(closing)).then_some(Kind::Choice(texts));
    }
    if resolved.get("type").is_some_and(|kind| kind == "string") {
        let keywords = resolved.as_object()?;
        let known = ["type", "minLength", "maxLength", "title", "description", "default"];
        let is_plain = keywords.keys().all(|keyword| known.contains(&keyword.as_str()));
        let bound = |keyword| keywords.get(keyword).and_then(Value::as_u64);
        let (least, most) = (bound("minLength").unwrap_or_default(), bound("maxLength"));
        return match most {
            _ if !is_plain || least > LEAST_LIMIT || most.is_some_and(|most| most < least) => None,
            Some(0) => Some(Kind::Choice(vec![String::new()])),
            most => Some(Kind::Text { least, most }),
        };
    }
    let mut json = match property {
        Value::Object(keywords) => keywords.clone(),
        Value::Bool(true) => Map::new(),
        _ => return None,
    };
    let is_referring = property.to_string().contains("\"$ref\"");
    for keyword in ["x-guidance", "$defs"] {
        if let Some(value) = root.get(keyword).filter(|_| is_referring || keyword != "$defs") {
            json.insert(keyword.to_owned(), value.clone());
        }
    }
    Some(Kind::Json(Value::Object(json)))
}

/// Follows the references of a schema into the definitions of its root.
fn resolve<'a>(schema: &'a Value, root: &'a Value) -> Option<&'a Value> {
    let mut resolved = schema;
    for _ in 0..REFERENCES_LIMIT {
        match resolved.get("$ref") {
            Some(reference) => resolved = root.pointer(reference.as_str()?.strip_prefix('#')?)?,
            None => return Some(resolved),
        }
    }
    None
}
