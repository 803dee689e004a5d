//! Values without parts: listed ones, strings and numbers.

use serde_json::{Map, Value, json};

use super::Built;
use crate::format;
use crate::plain::{Bound, Plain, Types};
use crate::read::{LARGEST, MAX_COUNT, Patterns};

/// Where the schema sets no limit. A string of 2,000 characters compiles as quickly as a short one and costs
/// its mask nothing measurable.
const LENGTH: u64 = 2_000;
const MAGNITUDE: f64 = 1e15;
/// With six digits after the point a double keeps its decimal digits up to here, so that the last check of a
/// `multipleOf` sees the number that was written.
const FRACTIONAL_MAGNITUDE: f64 = 1e9;
const GRAIN: f64 = 1e-6;

/// The listed values that the other keywords allow. Those about parts of arrays and objects are checked afterwards.
pub(super) fn literals_of(plain: &Plain<'_>, literals: &[Value], compiled: &Patterns) -> Option<Built> {
    let mut scalar = Map::new();
    if let Some(bound) = plain.minimum {
        scalar.insert(if bound.exclusive { "exclusiveMinimum" } else { "minimum" }.to_owned(), json!(bound.value));
    }
    if let Some(bound) = plain.maximum {
        scalar.insert(if bound.exclusive { "exclusiveMaximum" } else { "maximum" }.to_owned(), json!(bound.value));
    }
    scalar.insert("minLength".to_owned(), json!(plain.min_length));
    scalar.extend(plain.max_length.map(|most| ("maxLength".to_owned(), json!(most))));
    scalar.extend(plain.multiple_of.map(|multiple| ("multipleOf".to_owned(), json!(multiple))));
    let formats = plain.formats.iter().map(|format| json!({"format": format}));
    let patterns = plain.patterns.iter().map(|pattern| json!({"pattern": pattern}));
    let all: Vec<Value> = formats.chain(patterns).chain([Value::Object(scalar)]).collect();
    // Every pattern was compiled before; without a validator nothing is filtered, and the last check remains.
    let validator = compiled.options().should_validate_formats(true).build(&json!({"allOf": all})).ok();
    let fits = |literal: &&Value| {
        plain.types().has(Types::of(literal)) && validator.as_ref().is_none_or(|validator| validator.is_valid(literal))
    };
    let kept: Vec<&Value> = literals.iter().filter(fits).collect();
    let nesting = kept.iter().map(|literal| nesting(literal)).max()?;
    Some(Built { schema: json!({"enum": kept}), nesting })
}

fn nesting(value: &Value) -> usize {
    match value {
        Value::Array(items) => 1 + items.iter().map(nesting).max().unwrap_or(0),
        Value::Object(fields) => 1 + fields.values().map(nesting).max().unwrap_or(0),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => 0,
    }
}

pub(super) fn string(plain: &Plain<'_>) -> Option<Built> {
    let formats = plain.formats.iter().filter_map(|format| format::pattern(format));
    let formats: Vec<String> = formats.collect();
    // The patterns of formats are bounded.
    let implied = if formats.is_empty() { Some(LENGTH.max(plain.min_length)) } else { None };
    let most = plain.max_length.map(|most| most.min(MAX_COUNT)).or(implied);
    if most.is_some_and(|most| plain.min_length > most) {
        return None;
    }
    let mut string = Map::new();
    string.insert("type".to_owned(), json!("string"));
    if plain.min_length > 0 {
        string.insert("minLength".to_owned(), json!(plain.min_length));
    }
    if let Some(most) = most {
        string.insert("maxLength".to_owned(), json!(most));
    }
    let mut patterns = formats.iter().chain(&plain.patterns);
    if let Some(pattern) = patterns.next() {
        string.insert("pattern".to_owned(), json!(pattern));
    }
    let more: Vec<Value> = patterns.map(|pattern| json!({"type": "string", "pattern": pattern})).collect();
    if !more.is_empty() {
        string.insert("allOf".to_owned(), Value::Array(more));
    }
    Built::flat(Value::Object(string))
}

pub(super) fn number(plain: &Plain<'_>, integer: bool) -> Option<Built> {
    let limit = |bound: Option<Bound>, implied: f64| bound.unwrap_or(Bound { value: implied, exclusive: false });
    // One more power of ten than a bound on the other side needs.
    let fractional = plain.multiple_of.is_some_and(|multiple| multiple.fract() != 0.0);
    let magnitude = if fractional { FRACTIONAL_MAGNITUDE } else { MAGNITUDE };
    let beyond = |other: Option<Bound>| other.map_or(magnitude, |other| magnitude.max(other.value.abs() * 10.0));
    let mut least = limit(plain.minimum, -beyond(plain.maximum));
    let mut most = limit(plain.maximum, beyond(plain.minimum));
    for bound in [&mut least, &mut most] {
        if bound.value.abs() > LARGEST {
            *bound = Bound { value: LARGEST.copysign(bound.value), exclusive: false };
        }
    }
    if integer {
        least = whole(least, 1.0);
        most = whole(most, -1.0);
    }
    if least.value > most.value || (least.value == most.value && (least.exclusive || most.exclusive)) {
        return None;
    }
    let fine = |bound: Bound| (bound.value / GRAIN).fract() == 0.0 || bound.value.abs() > 1e9;
    let grained = !integer && fine(least) && fine(most) && most.value - least.value > 0.001;
    let multiple = plain.multiple_of.or(grained.then_some(GRAIN));
    if let Some(multiple) = plain.multiple_of {
        let mut first = (least.value / multiple).ceil() * multiple;
        if least.exclusive && first <= least.value {
            first += multiple;
        }
        if first > most.value || (most.exclusive && first >= most.value) {
            return None;
        }
    }
    let mut number = Map::new();
    number.insert("type".to_owned(), json!(if integer { "integer" } else { "number" }));
    number.insert(if least.exclusive { "exclusiveMinimum" } else { "minimum" }.to_owned(), exact(least.value));
    number.insert(if most.exclusive { "exclusiveMaximum" } else { "maximum" }.to_owned(), exact(most.value));
    number.extend(multiple.map(|multiple| ("multipleOf".to_owned(), exact(multiple))));
    Built::flat(Value::Object(number))
}

/// The bound of integers, moved inwards (`direction` 1 for a lower, -1 for an upper one).
fn whole(bound: Bound, direction: f64) -> Bound {
    let inwards = (bound.value * direction).ceil() * direction;
    let moved = bound.exclusive && inwards == bound.value;
    Bound { value: if moved { inwards + direction } else { inwards }, exclusive: false }
}

fn exact(number: f64) -> Value {
    #[expect(clippy::cast_possible_truncation, reason = "whole numbers up to that limit are integers")]
    if number.fract() == 0.0 && number.abs() <= LARGEST { json!(number as i64) } else { json!(number) }
}
