//! A caller's JSON Schema, read once: what can be promised about it, the form that is
//! enforced while decoding, and the last check of what came out.
//!
//! Every keyword has one of these fates, and none is dropped in silence:
//!
//! - enforced while decoding: `type`, `enum`, `const`, `anyOf`, `allOf`, `$ref`, `properties`, `required`,
//!   `additionalProperties`, `patternProperties`, `propertyNames`, `items`, `prefixItems`, `additionalItems`,
//!   `minItems`, `maxItems`, `minLength`, `maxLength`, `pattern`, `minimum`, `maximum`, `exclusiveMinimum`,
//!   `exclusiveMaximum`, `multipleOf`, `minProperties`, `maxProperties`, `nullable`, `unevaluatedProperties: false`,
//!   `unevaluatedItems: false`, and `format` where `format.rs` knows it;
//! - checked by [`Schema::validate`] alone: that just one branch of a `oneOf` holds (while decoding it is an
//!   `anyOf`, whose branches require the property that a `discriminator` beside it names), `uniqueItems` beyond
//!   five different values (up to there it is enforced, if the items are listed), other formats that the validator
//!   knows, keywords beside an `enum` or `const` of arrays or objects, declared names against `propertyNames`, and
//!   that a free name does not come twice where `minProperties` wants several;
//! - refused by [`Schema::read`] with the JSON pointer: everything else that asserts something, such as `not`, `if`
//!   or `contains`;
//! - annotations, which assert nothing: `title`, `description`, `default`, unknown keywords (JSON Schema 2020-12,
//!   core 6.5), unknown formats.
//!
//! The enforced form is narrower than the schema where weak models would ramble or loop: objects with `properties`
//! are closed (with an empty list, too) and so are tuples, unless a minimum wants more than they describe, and
//! length, count, digits, white space and recursion have a limit where the schema has none. What it admits still
//! conforms to the schema.

mod format;
mod grammar;
mod keyword;
mod plain;
mod read;

use std::fmt;
use std::sync::Arc;

use serde_json::Value;

/// A JSON Schema that was understood whole.
#[derive(Clone)]
pub struct Schema(Arc<Inner>);

struct Inner {
    source: Value,
    grammar: Value,
    validator: jsonschema::Validator,
}

/// Why a schema is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("at `{pointer}`: {message}")]
pub struct SchemaError {
    /// Where in the schema (RFC 6901; empty for its root).
    pub pointer: String,
    /// What was expected there and what came.
    pub message: String,
}

/// Where a value breaks its schema.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("at `{pointer}`: {message}")]
pub struct Violation {
    /// Where in the value (RFC 6901; empty for its root).
    pub pointer: String,
    /// What was expected there. The value itself is not quoted.
    pub message: String,
}

impl SchemaError {
    fn new(pointer: impl Into<String>, message: impl Into<String>) -> Self {
        Self { pointer: pointer.into(), message: message.into() }
    }
}

impl Schema {
    /// Reads a schema: at most 256 KiB as text, 128 levels of JSON, 4,096 subschemas, and 16 MiB of compiled
    /// patterns (different ones). Nothing is ever fetched.
    ///
    /// # Errors
    /// What is not a schema, cannot be honoured, contradicts itself, or has no finite instance.
    pub fn read(source: Value) -> Result<Self, SchemaError> {
        let meaning = match read::read(&source) {
            Ok(meaning) => meaning,
            Err(error) => {
                read::take_apart(source);
                return Err(error);
            }
        };
        let grammar = grammar::grammar(&meaning)?;
        Ok(Self(Arc::new(Inner { source, grammar, validator: meaning.validator })))
    }

    /// The schema as it was given.
    pub fn source(&self) -> &Value {
        &self.0.source
    }

    /// The schema for the `%json` of llguidance 1.9, with its `x-guidance` options.
    /// It stands alone: what it refers to is in its own `$defs`.
    pub fn grammar(&self) -> &Value {
        &self.0.grammar
    }

    /// Whether the enforced form admits nothing but objects, as the arguments of a function have to be. A root with
    /// `nullable: true` admits `null`, too.
    pub fn allows_only_objects(&self) -> bool {
        grammar::allows_only_objects(&self.0.grammar)
    }

    /// Checks a value against the schema as it was given, all keywords and the formats that the validator knows,
    /// in the draft named by `$schema` (2020-12 otherwise).
    ///
    /// # Errors
    /// The first place that breaks the schema.
    pub fn validate(&self, instance: &Value) -> Result<(), Violation> {
        self.0.validator.validate(instance).map_err(|error| Violation {
            pointer: error.instance_path().as_str().to_owned(),
            message: error.masked().to_string(),
        })
    }

    /// Compact JSON that tells a model what is wanted: the schema without `$schema`, `$id`, `$comment` and `title`.
    pub fn description(&self) -> String {
        keyword::without_noise(&self.0.source).to_string()
    }
}

impl fmt::Debug for Schema {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("Schema").field(&self.0.source).finish()
    }
}
