//! Reading: bounds first, then every keyword of every subschema, without recursion, so that a hostile schema costs
//! no more than a long one.

use std::collections::HashSet;

use jsonschema::{Draft, PatternCache, PatternOptions, ValidationOptions, Validator};
use serde_json::{Map, Value, json};

use crate::SchemaError;
use crate::keyword::{Holds, holds};

const MAX_BYTES: usize = 256 * 1024;
const MAX_DEPTH: usize = 128;
const MAX_SUBSCHEMAS: usize = 4_096;
const MAX_LITERALS: usize = 5_000;
/// Above this no answer could be long enough anyway.
pub(crate) const MAX_COUNT: u64 = 65_536;
/// Compiled sizes of a pattern; it counts as the smallest that holds it, and the largest is the limit.
const PATTERN_BYTES: [usize; 4] = [16 * 1024, 64 * 1024, 256 * 1024, MAX_PATTERN_BYTES];
const MAX_PATTERN_BYTES: usize = 1024 * 1024;
/// Compiled size of all different patterns of a schema. An engine holds several times as much.
const MAX_PATTERNS_BYTES: usize = 16 * 1024 * 1024;
/// Up to this every whole number is a double of its own.
const MAX_EXACT: f64 = 9_007_199_254_740_991.0;

/// A schema whose every keyword is understood.
pub(crate) struct Meaning {
    /// The source with `nullable` spelled out and every `$ref` a pointer into this same value.
    pub(crate) root: Value,
    pub(crate) validator: Validator,
    pub(crate) patterns: Patterns,
}

/// The patterns of one schema, each compiled once however often it stands there.
#[derive(Default)]
pub(crate) struct Patterns {
    compiled: PatternCache,
    known: HashSet<String>,
    bytes: usize,
}

impl Patterns {
    pub(crate) fn options(&self) -> ValidationOptions<'static> {
        sized(MAX_PATTERN_BYTES).with_pattern_cache(self.compiled.clone())
    }

    fn check(&mut self, pattern: &str, at: &str) -> Result<(), SchemaError> {
        if !self.known.insert(pattern.to_owned()) {
            return Ok(());
        }
        let schema = json!({"pattern": pattern});
        let Some(bytes) = PATTERN_BYTES.into_iter().find(|bytes| sized(*bytes).build(&schema).is_ok()) else {
            return Err(SchemaError::new(
                at,
                "expected a regular expression without look-around and back-references, of moderate size",
            ));
        };
        self.bytes += bytes;
        if self.bytes > MAX_PATTERNS_BYTES {
            let message =
                format!("expected patterns of at most {MAX_PATTERNS_BYTES} bytes altogether when compiled, got more");
            return Err(SchemaError::new(at, message));
        }
        Ok(())
    }
}

/// Nothing is fetched, and no pattern grows beyond that many bytes.
fn sized(bytes: usize) -> ValidationOptions<'static> {
    jsonschema::options().offline().with_pattern_options(PatternOptions::regex().size_limit(bytes))
}

pub(crate) fn read(source: &Value) -> Result<Meaning, SchemaError> {
    if !source.is_object() {
        return Err(SchemaError::new("", format!("expected a schema object, got {}", kind(source))));
    }
    check_depth(source)?;
    let bytes = source.to_string().len();
    if bytes > MAX_BYTES {
        return Err(SchemaError::new("", format!("expected at most {MAX_BYTES} bytes of schema, got {bytes}")));
    }
    let draft = draft(source)?;
    let mut root = source.clone();
    let own_id = root.as_object_mut().and_then(|root| {
        root.remove("$schema");
        root.remove("$id")
    });
    let mut reader = Reader {
        own_id: own_id.as_ref().and_then(Value::as_str),
        seen: HashSet::new(),
        literals: 0,
        patterns: Patterns::default(),
    };
    reader.walk(&mut root)?;
    let patterns = reader.patterns;
    let validator = patterns
        .options()
        .with_draft(draft)
        .should_validate_formats(true)
        .build(&root)
        .map_err(|error| SchemaError::new(error.instance_path().as_str(), error.masked().to_string()))?;
    Ok(Meaning { root, validator, patterns })
}

/// Nesting of the whole value, so that what follows may recurse.
fn check_depth(source: &Value) -> Result<(), SchemaError> {
    let mut open = vec![(source, 1_usize)];
    while let Some((value, depth)) = open.pop() {
        if depth > MAX_DEPTH {
            return Err(SchemaError::new("", format!("expected at most {MAX_DEPTH} levels of JSON, got more")));
        }
        match value {
            Value::Array(items) => open.extend(items.iter().map(|item| (item, depth + 1))),
            Value::Object(fields) => open.extend(fields.values().map(|field| (field, depth + 1))),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }
    Ok(())
}

/// Drops a value without recursion, however deep it is.
pub(crate) fn take_apart(value: Value) {
    let mut open = vec![value];
    while let Some(value) = open.pop() {
        match value {
            Value::Array(items) => open.extend(items),
            Value::Object(fields) => open.extend(fields.into_iter().map(|(_, field)| field)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }
}

fn draft(source: &Value) -> Result<Draft, SchemaError> {
    let Some(schema) = source.get("$schema") else { return Ok(Draft::Draft202012) };
    match schema.as_str().map(|uri| uri.trim_end_matches('#')) {
        Some("https://json-schema.org/draft/2020-12/schema") => Ok(Draft::Draft202012),
        Some("https://json-schema.org/draft/2019-09/schema") => Ok(Draft::Draft201909),
        Some("http://json-schema.org/draft-07/schema" | "https://json-schema.org/draft-07/schema") => Ok(Draft::Draft7),
        Some("http://json-schema.org/draft-06/schema") => Ok(Draft::Draft6),
        Some("http://json-schema.org/draft-04/schema") => Ok(Draft::Draft4),
        _ => Err(SchemaError::new("/$schema", "expected the address of JSON Schema draft 4, 6, 7, 2019-09 or 2020-12")),
    }
}

struct Reader<'a> {
    own_id: Option<&'a str>,
    seen: HashSet<String>,
    literals: usize,
    patterns: Patterns,
}

impl Reader<'_> {
    fn walk(&mut self, root: &mut Value) -> Result<(), SchemaError> {
        let mut open = vec![String::new()];
        while let Some(pointer) = open.pop() {
            if !self.seen.insert(pointer.clone()) {
                continue;
            }
            if self.seen.len() > MAX_SUBSCHEMAS {
                return Err(SchemaError::new(
                    pointer,
                    format!("expected at most {MAX_SUBSCHEMAS} subschemas, got more"),
                ));
            }
            let schema = match root.pointer_mut(&pointer) {
                Some(Value::Object(schema)) => schema,
                Some(Value::Bool(_)) => continue,
                Some(other) => {
                    let message = format!("expected a schema, got {}", kind(other));
                    return Err(SchemaError::new(pointer, message));
                }
                // Only a `$ref` leads to a place that was not there.
                None => return Err(SchemaError::new(pointer, "a `$ref` points here, and there is nothing")),
            };
            spell_out_nullable(schema, &pointer)?;
            self.localise(schema, &pointer)?;
            check_bounds(schema, &pointer)?;
            // The last one pushed is read first; errors come in the order of the text that way.
            let mut inner = Vec::new();
            for (keyword, value) in schema.iter() {
                let at = join(&pointer, keyword);
                self.check_keyword(keyword, value, &at, &mut inner)?;
            }
            if let Some(target) = schema.get("$ref").and_then(target) {
                if root.pointer(&target).is_none() {
                    return Err(SchemaError::new(
                        join(&pointer, "$ref"),
                        "expected the pointer of a schema, got one to nothing",
                    ));
                }
                inner.push(target);
            }
            open.extend(inner.into_iter().rev());
        }
        Ok(())
    }

    /// Makes a `$ref` a plain pointer, and forgets names of subschemas, which would change what `#` means.
    fn localise(&self, schema: &mut Map<String, Value>, pointer: &str) -> Result<(), SchemaError> {
        schema.shift_remove("$schema");
        if !pointer.is_empty() {
            schema.shift_remove("$id");
        }
        let Some(reference) = schema.get_mut("$ref") else { return Ok(()) };
        let at = || join(pointer, "$ref");
        let Some(uri) = reference.as_str() else {
            return Err(SchemaError::new(at(), format!("expected a string, got {}", kind(reference))));
        };
        let local = self.own_id.and_then(|id| uri.strip_prefix(id.trim_end_matches('#'))).unwrap_or(uri);
        let Some(fragment) = local.strip_prefix('#') else {
            return Err(SchemaError::new(at(), "expected a reference inside this schema (`#/…`); nothing is fetched"));
        };
        let fragment = percent_decoded(fragment)
            .filter(|fragment| fragment.is_empty() || fragment.starts_with('/'))
            .ok_or_else(|| SchemaError::new(at(), "expected a JSON pointer (`#/…`); anchors are not supported"))?;
        *reference = Value::String(format!("#{}", percent_encoded(&fragment)));
        Ok(())
    }

    fn check_keyword(
        &mut self,
        keyword: &str,
        value: &Value,
        at: &str,
        inner: &mut Vec<String>,
    ) -> Result<(), SchemaError> {
        let wrong = |expected: &str| Err(SchemaError::new(at, format!("expected {expected}, got {}", kind(value))));
        match (holds(keyword), value) {
            (Holds::Annotation, _)
            | (Holds::Text | Holds::Reference, Value::String(_))
            | (Holds::Flag, Value::Bool(_)) => {}
            (Holds::Refused, _) => {
                return Err(SchemaError::new(at, format!("`{keyword}` cannot be enforced while an answer is written")));
            }
            (Holds::Type, Value::String(name)) => check_type(name, at)?,
            (Holds::Type, Value::Array(names)) if !names.is_empty() => {
                for (index, name) in names.iter().enumerate() {
                    let at = join(at, &index.to_string());
                    let Some(name) = name.as_str() else {
                        return Err(SchemaError::new(at, format!("expected the name of a type, got {}", kind(name))));
                    };
                    check_type(name, &at)?;
                }
            }
            (Holds::Literal, literal) => self.check_literal(literal, at)?,
            (Holds::Literals, Value::Array(literals)) if !literals.is_empty() => {
                for (index, literal) in literals.iter().enumerate() {
                    self.check_literal(literal, &join(at, &index.to_string()))?;
                }
            }
            (Holds::Number, Value::Number(_)) if keyword == "multipleOf" => check_multiple(value, at)?,
            (Holds::Number, Value::Number(_)) => {}
            (Holds::Count, Value::Number(number)) => {
                let Some(count) = count(value) else {
                    return Err(SchemaError::new(at, format!("expected a whole number from 0, got {number}")));
                };
                if keyword.starts_with("min") && count > MAX_COUNT {
                    return Err(SchemaError::new(at, format!("expected at most {MAX_COUNT}, got {count}")));
                }
            }
            (Holds::Pattern, Value::String(pattern)) => self.patterns.check(pattern, at)?,
            (Holds::Names, Value::Array(names)) => {
                if let Some(other) = names.iter().find(|name| !name.is_string()) {
                    return Err(SchemaError::new(
                        at,
                        format!("expected names of properties, got {} among them", kind(other)),
                    ));
                }
            }
            (Holds::Schema, Value::Object(_) | Value::Bool(_))
            | (Holds::SchemaOrSchemas, Value::Object(_) | Value::Bool(_)) => inner.push(at.to_owned()),
            (Holds::Schemas, Value::Array(schemas)) if !schemas.is_empty() => {
                inner.extend((0..schemas.len()).map(|index| join(at, &index.to_string())));
            }
            (Holds::SchemaOrSchemas, Value::Array(schemas)) => {
                inner.extend((0..schemas.len()).map(|index| join(at, &index.to_string())));
            }
            (Holds::SchemaByName, Value::Object(schemas)) => inner.extend(schemas.keys().map(|name| join(at, name))),
            (Holds::SchemaByPattern, Value::Object(schemas)) => {
                for pattern in schemas.keys() {
                    let at = join(at, pattern);
                    self.patterns.check(pattern, &at)?;
                    inner.push(at);
                }
            }
            (Holds::Closing, Value::Bool(_)) => {}
            (Holds::Closing, _) => return wrong("`false` or `true` (no schema can be enforced here)"),
            (Holds::Type, _) => return wrong("the name of a type or an array of them"),
            (Holds::Literals, _) => return wrong("an array with at least one value"),
            (Holds::Number | Holds::Count, _) => return wrong("a number"),
            (Holds::Pattern | Holds::Text | Holds::Reference, _) => return wrong("a string"),
            (Holds::Flag, _) => return wrong("`true` or `false`"),
            (Holds::Names, _) => return wrong("an array of names"),
            (Holds::Schema | Holds::SchemaOrSchemas, _) => return wrong("a schema"),
            (Holds::Schemas, _) => return wrong("an array with at least one schema"),
            (Holds::SchemaByName | Holds::SchemaByPattern, _) => return wrong("an object of schemas"),
        }
        Ok(())
    }

    fn check_literal(&mut self, literal: &Value, at: &str) -> Result<(), SchemaError> {
        self.literals += 1;
        if self.literals > MAX_LITERALS {
            return Err(SchemaError::new(
                at,
                format!("expected at most {MAX_LITERALS} values in all `enum`s, got more"),
            ));
        }
        let mut open = vec![literal];
        while let Some(value) = open.pop() {
            match value {
                Value::Number(number) if number.as_f64().is_none_or(|number| number.abs() > MAX_EXACT) => {
                    return Err(SchemaError::new(at, "expected numbers below 2^53, which are exact"));
                }
                Value::String(text) if text.chars().any(cannot_be_written) => {
                    return Err(SchemaError::new(at, "expected text without control characters"));
                }
                Value::Array(items) => open.extend(items),
                Value::Object(fields) => open.extend(fields.values()),
                Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
            }
        }
        Ok(())
    }
}

/// `\u` escapes are not generated, since half a surrogate pair would not parse.
fn cannot_be_written(character: char) -> bool {
    character.is_ascii_control() && !matches!(character, '\n' | '\r' | '\t' | '\u{8}' | '\u{c}')
}

/// OpenAPI's `nullable: true` in the words of JSON Schema.
fn spell_out_nullable(schema: &mut Map<String, Value>, pointer: &str) -> Result<(), SchemaError> {
    match schema.get("nullable") {
        None | Some(Value::Bool(false)) => return Ok(()),
        Some(Value::Bool(true)) => {}
        Some(other) => {
            return Err(SchemaError::new(
                join(pointer, "nullable"),
                format!("expected `true` or `false`, got {}", kind(other)),
            ));
        }
    }
    schema.shift_remove("nullable");
    let plain = ["$ref", "allOf", "anyOf", "oneOf", "const"].iter().all(|keyword| !schema.contains_key(*keyword));
    if plain {
        // Pointers into such a schema stay as they are.
        if let Some(Value::Array(literals)) = schema.get_mut("enum")
            && !literals.contains(&Value::Null)
        {
            literals.push(Value::Null);
        }
        match schema.get_mut("type") {
            Some(Value::Array(names)) if !names.contains(&json!("null")) => names.push(json!("null")),
            Some(name @ Value::String(_)) => *name = json!([name.take(), "null"]),
            _ => {}
        }
    } else {
        // Definitions stay where references look for them.
        let keep = |keyword: &str| {
            matches!(keyword, "$defs" | "definitions")
                || keyword != "discriminator" && holds(keyword) == Holds::Annotation
        };
        let (kept, asserted) = std::mem::take(schema).into_iter().partition(|(keyword, _)| keep(keyword));
        *schema = kept;
        schema.insert("anyOf".to_owned(), json!([Value::Object(asserted), {"type": "null"}]));
    }
    Ok(())
}

fn check_type(name: &str, at: &str) -> Result<(), SchemaError> {
    if crate::plain::Types::named(name).is_some() {
        return Ok(());
    }
    Err(SchemaError::new(
        at,
        "expected `null`, `boolean`, `integer`, `number`, `string`, `array` or `object`, got another type",
    ))
}

fn check_multiple(value: &Value, at: &str) -> Result<(), SchemaError> {
    let digits = decimal(value.as_f64().unwrap_or_default());
    match digits {
        Some((1..=100_000_000, 0..=6)) => Ok(()),
        _ => Err(SchemaError::new(at, "expected a number above 0 with at most 8 digits, 6 of them after the point")),
    }
}

/// The number as digits and how many of them stand after the point, without trailing zeros.
fn decimal(number: f64) -> Option<(u64, usize)> {
    let text = number.to_string();
    let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
    Some((format!("{whole}{fraction}").parse().ok()?, fraction.len()))
}

/// The largest double that llguidance's integers hold.
pub(crate) const LARGEST: f64 = 9_223_372_036_854_774_784.0;

/// Bounds that nothing can meet, or no number that can be written.
fn check_bounds(schema: &Map<String, Value>, pointer: &str) -> Result<(), SchemaError> {
    let number = |keyword: &str| schema.get(keyword).and_then(Value::as_f64);
    let pairs = [
        ("minimum", "maximum", false),
        ("minimum", "exclusiveMaximum", true),
        ("exclusiveMinimum", "maximum", true),
        ("exclusiveMinimum", "exclusiveMaximum", true),
        ("minLength", "maxLength", false),
        ("minItems", "maxItems", false),
        ("minProperties", "maxProperties", false),
    ];
    for (low, high, exclusive) in pairs {
        let (Some(least), Some(most)) = (number(low), number(high)) else { continue };
        if least > most || (exclusive && least >= most) {
            let message = format!("`{low}` is {least} and `{high}` is {most}: nothing is between them");
            return Err(SchemaError::new(join(pointer, low), message));
        }
    }
    let sides = [("minimum", "exclusiveMinimum", 1.0), ("maximum", "exclusiveMaximum", -1.0)];
    for (inclusive, exclusive, direction) in sides {
        let beyond = |keyword: &str| number(keyword).is_some_and(|bound| bound * direction > LARGEST);
        let reached = |keyword: &str| number(keyword).is_some_and(|bound| bound * direction >= LARGEST);
        let found = [(inclusive, beyond(inclusive)), (exclusive, reached(exclusive))];
        if let Some((keyword, _)) = found.into_iter().find(|(_, found)| *found) {
            let message = "expected a bound that leaves numbers within 64 bits, which are all that can be written";
            return Err(SchemaError::new(join(pointer, keyword), message));
        }
    }
    Ok(())
}

/// A whole number from 0; `3.0` is one.
pub(crate) fn count(value: &Value) -> Option<u64> {
    let whole = |number: &f64| *number >= 0.0 && number.fract() == 0.0;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked; beyond u64 it saturates")]
    value.as_u64().or_else(|| value.as_f64().filter(whole).map(|number| number as u64))
}

/// A pointer one step longer (RFC 6901).
pub(crate) fn join(pointer: &str, step: &str) -> String {
    format!("{pointer}/{}", step.replace('~', "~0").replace('/', "~1"))
}

/// The pointer that a `$ref` holds after reading.
pub(crate) fn target(reference: &Value) -> Option<String> {
    percent_decoded(reference.as_str()?.strip_prefix('#')?)
}

/// As a fragment of a URI wants it (RFC 3986), whatever the caller wrote.
fn percent_encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"/~._-!$&'()*+,;=:@?".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

fn percent_decoded(text: &str) -> Option<String> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        if byte == b'%' {
            let digit = |byte: Option<u8>| byte.and_then(|byte| char::from(byte).to_digit(16));
            let code = digit(bytes.next())? * 16 + digit(bytes.next())?;
            decoded.push(u8::try_from(code).ok()?);
        } else {
            decoded.push(byte);
        }
    }
    String::from_utf8(decoded).ok()
}

pub(crate) fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(items) if items.is_empty() => "an empty array",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}
