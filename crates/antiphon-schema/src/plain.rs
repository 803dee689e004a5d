//! What a value must be, after `$ref`, `allOf`, `anyOf` and `oneOf` are taken apart: one alternative, whose
//! keywords are merged. llguidance would merge them itself, but it cannot close objects over several schemas,
//! and gives up on recursive ones.

use std::collections::HashSet;
use std::rc::Rc;

use serde_json::{Map, Value};

use crate::SchemaError;
use crate::keyword::{Holds, holds};
use crate::read::{count, join};

/// A set of JSON types. A number is a fraction or an integer, so `number` holds both.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Types(u8);

impl Types {
    pub(crate) const NULL: Self = Self(1);
    pub(crate) const BOOLEAN: Self = Self(2);
    const FRACTION: Self = Self(4);
    pub(crate) const INTEGER: Self = Self(8);
    pub(crate) const NUMBER: Self = Self(12);
    pub(crate) const STRING: Self = Self(16);
    pub(crate) const ARRAY: Self = Self(32);
    pub(crate) const OBJECT: Self = Self(64);
    pub(crate) const ANY: Self = Self(127);
    const NONE: Self = Self(0);

    pub(crate) fn named(name: &str) -> Option<Self> {
        Some(match name {
            "null" => Self::NULL,
            "boolean" => Self::BOOLEAN,
            "integer" => Self::INTEGER,
            "number" => Self::NUMBER,
            "string" => Self::STRING,
            "array" => Self::ARRAY,
            "object" => Self::OBJECT,
            _ => return None,
        })
    }

    pub(crate) fn of(value: &Value) -> Self {
        match value {
            Value::Null => Self::NULL,
            Value::Bool(_) => Self::BOOLEAN,
            Value::Number(number) if number.as_f64().is_some_and(|number| number.fract() != 0.0) => Self::FRACTION,
            Value::Number(_) => Self::INTEGER,
            Value::String(_) => Self::STRING,
            Value::Array(_) => Self::ARRAY,
            Value::Object(_) => Self::OBJECT,
        }
    }

    /// The types that a keyword says something about.
    fn spoken_of(keyword: &str) -> Self {
        match keyword {
            "minimum" | "maximum" | "exclusiveMinimum" | "exclusiveMaximum" | "multipleOf" => Self::NUMBER,
            "minLength" | "maxLength" | "pattern" | "format" => Self::STRING,
            "items" | "prefixItems" | "additionalItems" | "minItems" | "maxItems" | "uniqueItems"
            | "unevaluatedItems" => Self::ARRAY,
            "properties"
            | "required"
            | "additionalProperties"
            | "patternProperties"
            | "propertyNames"
            | "minProperties"
            | "maxProperties"
            | "unevaluatedProperties" => Self::OBJECT,
            _ => Self::NONE,
        }
    }

    pub(crate) fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    pub(crate) fn is_empty(self) -> bool {
        self.0 == 0
    }

    pub(crate) fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

/// A subschema, and how many recursive references were followed to reach it.
#[derive(Debug, Clone)]
pub(crate) struct Site<'a> {
    pub(crate) schema: &'a Value,
    pub(crate) pointer: Rc<str>,
    pub(crate) level: usize,
    /// A declared property that tells this branch of a `oneOf` from the others, and so has to be there.
    pub(crate) discriminator: Option<&'a str>,
}

impl<'a> Site<'a> {
    /// A schema for another value, or one of several for this one.
    pub(crate) fn below(&self, schema: &'a Value, steps: &[&str]) -> Self {
        let pointer = steps.iter().fold(self.pointer.to_string(), |pointer, step| join(&pointer, step));
        Self { schema, pointer: pointer.into(), level: self.level, discriminator: None }
    }

    pub(crate) fn told_by(self, discriminator: Option<&'a str>) -> Self {
        Self { discriminator, ..self }
    }
}

/// OpenAPI's `discriminator` beside a `oneOf`: the name of the property by which its branches differ.
pub(crate) fn discriminator(keywords: &Map<String, Value>) -> Option<&str> {
    keywords.get("discriminator")?.get("propertyName")?.as_str()
}

/// Schemas that one value must all follow; none of them means any value.
pub(crate) type All<'a> = Vec<Site<'a>>;

#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Bound {
    pub(crate) value: f64,
    pub(crate) exclusive: bool,
}

/// One alternative.
#[derive(Debug, Clone)]
pub(crate) struct Plain<'a> {
    /// Where it came from first.
    pub(crate) pointer: Rc<str>,
    types: Types,
    /// Types spoken of; they are meant where no `type` is given.
    spoken: Types,
    pub(crate) literals: Option<Vec<Value>>,
    pub(crate) minimum: Option<Bound>,
    pub(crate) maximum: Option<Bound>,
    pub(crate) multiple_of: Option<f64>,
    pub(crate) min_length: u64,
    pub(crate) max_length: Option<u64>,
    pub(crate) patterns: Vec<String>,
    pub(crate) formats: Vec<String>,
    pub(crate) prefix: Vec<All<'a>>,
    pub(crate) items: All<'a>,
    pub(crate) min_items: u64,
    pub(crate) max_items: Option<u64>,
    pub(crate) unique: bool,
    /// There is a list of properties, even if it is empty.
    pub(crate) described: bool,
    pub(crate) properties: Vec<(String, All<'a>)>,
    pub(crate) ordering: Vec<&'a str>,
    pub(crate) additional: All<'a>,
    pub(crate) patterned: Vec<(String, All<'a>)>,
    pub(crate) names: All<'a>,
    pub(crate) required: Vec<&'a str>,
    /// Required where they are declared.
    pub(crate) discriminators: Vec<&'a str>,
    pub(crate) min_properties: u64,
    pub(crate) max_properties: Option<u64>,
    /// Nothing beside what is declared, by `unevaluatedProperties` or `unevaluatedItems`.
    pub(crate) closed_object: bool,
    pub(crate) closed_array: bool,
}

impl<'a> Plain<'a> {
    pub(crate) fn anything(pointer: Rc<str>) -> Self {
        Self {
            pointer,
            types: Types::ANY,
            spoken: Types::NONE,
            literals: None,
            minimum: None,
            maximum: None,
            multiple_of: None,
            min_length: 0,
            max_length: None,
            patterns: Vec::new(),
            formats: Vec::new(),
            prefix: Vec::new(),
            items: Vec::new(),
            min_items: 0,
            max_items: None,
            unique: false,
            described: false,
            properties: Vec::new(),
            ordering: Vec::new(),
            additional: Vec::new(),
            patterned: Vec::new(),
            names: Vec::new(),
            required: Vec::new(),
            discriminators: Vec::new(),
            min_properties: 0,
            max_properties: None,
            closed_object: false,
            closed_array: false,
        }
    }

    /// The types a value may have; where no schema names any, those that their keywords speak of.
    pub(crate) fn types(&self) -> Types {
        if self.types == Types::ANY && !self.spoken.is_empty() && self.literals.is_none() {
            self.spoken
        } else {
            self.types
        }
    }

    /// Nothing is asserted.
    pub(crate) fn is_anything(&self) -> bool {
        self.types == Types::ANY && self.spoken.is_empty() && self.literals.is_none()
    }

    /// Reads the keywords of one schema, without those that combine schemas.
    pub(crate) fn read(site: &Site<'a>, keywords: &'a Map<String, Value>) -> Self {
        let mut plain = Self::anything(site.pointer.clone());
        plain.discriminators.extend(site.discriminator);
        for (keyword, value) in keywords {
            plain.spoken = plain.spoken.or(Types::spoken_of(keyword));
            match keyword.as_str() {
                "type" => plain.types = types(value),
                "const" => plain.literals = common(plain.literals.as_deref(), vec![value.clone()]),
                "enum" => {
                    let literals = value.as_array().cloned().unwrap_or_default();
                    plain.literals = common(plain.literals.as_deref(), literals);
                }
                "minimum" => plain.minimum = higher(plain.minimum, bound(value, false)),
                "exclusiveMinimum" => plain.minimum = higher(plain.minimum, bound(value, true)),
                "maximum" => plain.maximum = lower(plain.maximum, bound(value, false)),
                "exclusiveMaximum" => plain.maximum = lower(plain.maximum, bound(value, true)),
                "multipleOf" => plain.multiple_of = value.as_f64(),
                "minLength" => plain.min_length = count(value).unwrap_or_default(),
                "maxLength" => plain.max_length = count(value),
                "pattern" => plain.patterns.extend(value.as_str().map(str::to_owned)),
                "format" => plain.formats.extend(value.as_str().map(str::to_owned)),
                "minItems" => plain.min_items = count(value).unwrap_or_default(),
                "maxItems" => plain.max_items = count(value),
                "uniqueItems" => plain.unique = value == &Value::Bool(true),
                "minProperties" => plain.min_properties = count(value).unwrap_or_default(),
                "maxProperties" => plain.max_properties = count(value),
                "required" => plain.required = names(value),
                "propertyOrdering" => plain.ordering = names(value),
                "additionalProperties" => plain.additional.push(site.below(value, &[keyword])),
                "propertyNames" => plain.names.push(site.below(value, &[keyword])),
                "properties" => {
                    plain.described = true;
                    plain.properties = schemas(site, keyword, value);
                }
                "patternProperties" => plain.patterned = schemas(site, keyword, value),
                "unevaluatedProperties" => plain.closed_object = value == &Value::Bool(false),
                "unevaluatedItems" => plain.closed_array = value == &Value::Bool(false),
                "prefixItems" => plain.prefix = elements(site, keyword, value),
                // An array of items is the older word for `prefixItems`, and has `additionalItems` beside it.
                "items" if value.is_array() => {
                    plain.prefix = elements(site, keyword, value);
                    let rest = keywords.get("additionalItems");
                    plain.items.extend(rest.map(|rest| site.below(rest, &["additionalItems"])));
                }
                "items" => plain.items.push(site.below(value, &[keyword])),
                _ => {}
            }
        }
        plain
    }

    /// What follows both; `None` if nothing does.
    pub(crate) fn and(mut self, other: Self) -> Result<Option<Self>, SchemaError> {
        self.types = self.types.and(other.types);
        self.spoken = self.spoken.or(other.spoken);
        if let Some(literals) = other.literals {
            self.literals = common(self.literals.as_deref(), literals);
        }
        if self.types.is_empty() || self.literals.as_ref().is_some_and(Vec::is_empty) {
            return Ok(None);
        }
        self.minimum = higher(self.minimum, other.minimum);
        self.maximum = lower(self.maximum, other.maximum);
        self.multiple_of = match (self.multiple_of, other.multiple_of) {
            (Some(one), Some(two)) if one.to_bits() != two.to_bits() => {
                return Err(SchemaError::new(&*other.pointer, "different values of `multipleOf` cannot be combined"));
            }
            (one, two) => one.or(two),
        };
        self.min_length = self.min_length.max(other.min_length);
        self.max_length = least(self.max_length, other.max_length);
        extend(&mut self.patterns, other.patterns);
        extend(&mut self.formats, other.formats);

        let both = self.prefix.len().max(other.prefix.len());
        self.prefix = (0..both)
            .map(|index| {
                let element = |prefix: &[All<'a>], items: &All<'a>| prefix.get(index).unwrap_or(items).clone();
                [element(&self.prefix, &self.items), element(&other.prefix, &other.items)].concat()
            })
            .collect();
        self.items.extend(other.items);
        self.min_items = self.min_items.max(other.min_items);
        self.max_items = least(self.max_items, other.max_items);
        self.unique |= other.unique;
        self.closed_array |= other.closed_array;

        if !(self.patterned.is_empty() || other.spoken.and(Types::OBJECT).is_empty())
            || !(other.patterned.is_empty() || self.properties.is_empty() && self.additional.is_empty())
        {
            return Err(SchemaError::new(&*other.pointer, "`patternProperties` cannot be combined with other schemas"));
        }
        self.patterned.extend(other.patterned);
        for (name, schemas) in &mut self.properties {
            let theirs = other.properties.iter().find(|(theirs, _)| theirs == name);
            schemas.extend_from_slice(theirs.map_or(&other.additional, |(_, schemas)| schemas));
        }
        for (name, schemas) in other.properties {
            if self.properties.iter().all(|(own, _)| *own != name) {
                self.properties.push((name, [self.additional.clone(), schemas].concat()));
            }
        }
        self.described |= other.described;
        self.additional.extend(other.additional);
        self.names.extend(other.names);
        extend(&mut self.required, other.required);
        extend(&mut self.discriminators, other.discriminators);
        extend(&mut self.ordering, other.ordering);
        self.min_properties = self.min_properties.max(other.min_properties);
        self.max_properties = least(self.max_properties, other.max_properties);
        self.closed_object |= other.closed_object;
        Ok(Some(self))
    }
}

/// Keywords that say what a value must be; the others describe it, or are read where they are referred to.
pub(crate) fn asserts(keyword: &str) -> bool {
    !matches!(holds(keyword), Holds::Annotation)
        && !matches!(keyword, "$defs" | "definitions" | "nullable" | "propertyOrdering")
}

fn types(value: &Value) -> Types {
    let name = |name: &Value| name.as_str().and_then(Types::named).unwrap_or(Types::NONE);
    value.as_array().map_or_else(|| name(value), |names| names.iter().map(name).fold(Types::NONE, Types::or))
}

fn names(value: &Value) -> Vec<&str> {
    let mut names: Vec<&str> = Vec::new();
    extend(&mut names, value.as_array().into_iter().flatten().filter_map(Value::as_str));
    names
}

fn schemas<'a>(site: &Site<'a>, keyword: &str, value: &'a Value) -> Vec<(String, All<'a>)> {
    let schema = |(name, schema): (&String, &'a Value)| (name.clone(), vec![site.below(schema, &[keyword, name])]);
    value.as_object().into_iter().flatten().map(schema).collect()
}

fn elements<'a>(site: &Site<'a>, keyword: &str, value: &'a Value) -> Vec<All<'a>> {
    let element = |(index, schema): (usize, &'a Value)| vec![site.below(schema, &[keyword, &index.to_string()])];
    value.as_array().into_iter().flatten().enumerate().map(element).collect()
}

fn bound(value: &Value, exclusive: bool) -> Option<Bound> {
    value.as_f64().map(|value| Bound { value, exclusive })
}

fn higher(one: Option<Bound>, two: Option<Bound>) -> Option<Bound> {
    match (one, two) {
        (Some(one), Some(two)) if two.value > one.value || (two.value == one.value && two.exclusive) => Some(two),
        (one, two) => one.or(two),
    }
}

fn lower(one: Option<Bound>, two: Option<Bound>) -> Option<Bound> {
    match (one, two) {
        (Some(one), Some(two)) if two.value < one.value || (two.value == one.value && two.exclusive) => Some(two),
        (one, two) => one.or(two),
    }
}

fn least(one: Option<u64>, two: Option<u64>) -> Option<u64> {
    one.into_iter().chain(two).min()
}

/// Literals without repetition, and only those in both lists where there were some.
fn common(before: Option<&[Value]>, literals: Vec<Value>) -> Option<Vec<Value>> {
    let mut seen = HashSet::new();
    let known: Option<HashSet<String>> = before.map(|before| before.iter().map(Value::to_string).collect());
    let kept = literals.into_iter().filter(|literal| {
        let text = literal.to_string();
        known.as_ref().is_none_or(|known| known.contains(&text)) && seen.insert(text)
    });
    Some(kept.collect())
}

fn extend<T: PartialEq>(list: &mut Vec<T>, more: impl IntoIterator<Item = T>) {
    for item in more {
        if !list.contains(&item) {
            list.push(item);
        }
    }
}
