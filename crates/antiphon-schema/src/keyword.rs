//! What each keyword of JSON Schema holds, so that every walk over a schema agrees on where its subschemas are.

use serde_json::Value;

/// What the value of a keyword is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Holds {
    Type,
    Literal,
    Literals,
    /// A number; `multipleOf` is one, too.
    Number,
    /// A whole number from 0.
    Count,
    Pattern,
    Text,
    Flag,
    Names,
    Reference,
    Schema,
    /// An array of at least one schema.
    Schemas,
    SchemaOrSchemas,
    SchemaByName,
    SchemaByPattern,
    /// `false` closes; `true` says nothing; a schema cannot be honoured.
    Closing,
    /// Asserts something that can be neither enforced nor left to chance.
    Refused,
    Annotation,
}

/// Unknown keywords are annotations, as JSON Schema has it.
pub(crate) fn holds(keyword: &str) -> Holds {
    match keyword {
        "type" => Holds::Type,
        "const" => Holds::Literal,
        "enum" => Holds::Literals,
        "minimum" | "maximum" | "exclusiveMinimum" | "exclusiveMaximum" | "multipleOf" => Holds::Number,
        "minLength" | "maxLength" | "minItems" | "maxItems" | "minProperties" | "maxProperties" => Holds::Count,
        "pattern" => Holds::Pattern,
        "format" => Holds::Text,
        "nullable" | "uniqueItems" => Holds::Flag,
        "required" | "propertyOrdering" => Holds::Names,
        "$ref" => Holds::Reference,
        "additionalProperties" | "additionalItems" | "propertyNames" => Holds::Schema,
        "anyOf" | "oneOf" | "allOf" | "prefixItems" => Holds::Schemas,
        "items" => Holds::SchemaOrSchemas,
        "properties" | "$defs" | "definitions" => Holds::SchemaByName,
        "patternProperties" => Holds::SchemaByPattern,
        "unevaluatedProperties" | "unevaluatedItems" => Holds::Closing,
        "not" | "if" | "then" | "else" | "contains" | "minContains" | "maxContains" | "dependentRequired"
        | "dependentSchemas" | "dependencies" | "disallow" | "extends" | "divisibleBy" | "$dynamicRef"
        | "$recursiveRef" => Holds::Refused,
        _ => Holds::Annotation,
    }
}

/// The schema without what only its author needs. A property may be called `title`, so names are left alone.
pub(crate) fn without_noise(schema: &Value) -> Value {
    let Value::Object(keywords) = schema else { return schema.clone() };
    keywords
        .iter()
        .filter(|(keyword, _)| !matches!(keyword.as_str(), "$schema" | "$id" | "$comment" | "title"))
        .map(|(keyword, value)| {
            let value = match (holds(keyword), value) {
                (Holds::Schemas | Holds::SchemaOrSchemas, Value::Array(schemas)) => {
                    schemas.iter().map(without_noise).collect()
                }
                (Holds::SchemaByName | Holds::SchemaByPattern, Value::Object(schemas)) => {
                    schemas.iter().map(|(name, schema)| (name.clone(), without_noise(schema))).collect()
                }
                (Holds::Schema | Holds::SchemaOrSchemas, schema) => without_noise(schema),
                _ => value.clone(),
            };
            (keyword.clone(), value)
        })
        .collect()
}
