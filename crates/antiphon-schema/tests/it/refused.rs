//! Schemas that promise what cannot be kept, by pointer.

use antiphon_schema::Schema;
use serde_json::{Value, json};

fn check(source: &Value, pointer: &str, words: &str) {
    let error = Schema::read(source.clone()).expect_err(&source.to_string());
    assert_eq!(error.pointer, pointer, "{source}: {error}");
    assert!(error.message.contains(words), "{source}: {error}");
}

#[test]
fn what_is_no_schema_is_refused_by_pointer() {
    check(&json!(true), "", "expected a schema object");
    check(&json!(false), "", "expected a schema object");
    check(&json!([]), "", "expected a schema object");
    check(&json!("string"), "", "expected a schema object");
    check(&json!({"type": "text"}), "/type", "another type");
    check(&json!({"type": []}), "/type", "empty array");
    check(&json!({"type": ["string", 3]}), "/type/1", "a number");
    check(&json!({"properties": {"a/b": {"type": "int"}}}), "/properties/a~1b/type", "another type");
    check(&json!({"properties": []}), "/properties", "object of schemas");
    check(&json!({"items": 3}), "/items", "a schema");
    check(&json!({"items": {"items": null}}), "/items/items", "a schema");
    check(&json!({"anyOf": []}), "/anyOf", "at least one");
    check(&json!({"anyOf": {}}), "/anyOf", "at least one");
    check(&json!({"anyOf": [{"type": "string"}, 1]}), "/anyOf/1", "a schema");
    check(&json!({"enum": []}), "/enum", "at least one");
    check(&json!({"enum": "a"}), "/enum", "at least one");
    check(&json!({"required": true}), "/required", "names");
    check(&json!({"required": [1]}), "/required", "names");
    check(&json!({"minLength": -1}), "/minLength", "whole number");
    check(&json!({"minLength": 1.5}), "/minLength", "whole number");
    check(&json!({"minLength": "1"}), "/minLength", "a number");
    check(&json!({"maximum": "1"}), "/maximum", "a number");
    check(&json!({"exclusiveMinimum": true}), "/exclusiveMinimum", "a number");
    check(&json!({"pattern": 1}), "/pattern", "a string");
    check(&json!({"pattern": "("}), "/pattern", "regular expression");
    check(&json!({"patternProperties": {"(": {}}}), "/patternProperties/(", "regular expression");
    check(&json!({"uniqueItems": 1}), "/uniqueItems", "`true` or `false`");
    check(&json!({"nullable": "yes"}), "/nullable", "`true` or `false`");
    check(&json!({"$schema": "https://example.com/own"}), "/$schema", "draft");
}

#[test]
fn what_cannot_be_enforced_is_refused_by_pointer() {
    for keyword in ["not", "if", "contains", "dependentSchemas", "dependentRequired", "$dynamicRef"] {
        check(&json!({"type": "object", keyword: {}}), &format!("/{keyword}"), "cannot be enforced");
    }
    check(&json!({"unevaluatedProperties": {"type": "string"}}), "/unevaluatedProperties", "`false` or `true`");
    check(&json!({"pattern": "^(?!a)"}), "/pattern", "look-around");
    check(&json!({"multipleOf": 0}), "/multipleOf", "above 0");
    check(&json!({"multipleOf": 1e-9}), "/multipleOf", "at most 8 digits");
    check(&json!({"const": 9_007_199_254_740_993_i64}), "/const", "2^53");
    check(&json!({"const": "\u{0}"}), "/const", "control characters");
    check(&json!({"minItems": 100_000}), "/minItems", "at most");
    let two_optional = json!({"a": {"type": "null"}, "b": {"type": "null"}, "c": {"type": "null"}});
    check(&json!({"properties": two_optional, "minProperties": 2}), "", "beside optional properties");
}

#[test]
fn what_nothing_can_follow_is_refused() {
    check(&json!({"minimum": 2, "maximum": 1}), "/minimum", "nothing is between");
    check(&json!({"items": {"minItems": 2, "maxItems": 1}}), "/items/minItems", "nothing is between");
    check(&json!({"exclusiveMinimum": 1, "maximum": 1}), "/exclusiveMinimum", "nothing is between");
    check(&json!({"type": "integer", "exclusiveMinimum": 1, "exclusiveMaximum": 2}), "", "no value");
    check(&json!({"type": "integer", "minimum": 1, "maximum": 4, "multipleOf": 5}), "", "no value");
    check(&json!({"type": "string", "enum": [1, 2]}), "", "no value");
    check(&json!({"allOf": [{"type": "string"}, {"type": "object"}]}), "", "no value");
    check(&json!({"type": "object", "properties": {"a": false}, "required": ["a"]}), "", "no value");
    check(&json!({"type": "object", "required": ["a"], "additionalProperties": false}), "", "no value");
    check(&json!({"type": "object", "properties": {"a": {"$ref": "#"}}, "required": ["a"]}), "", "no value");
    check(&json!({"type": "array", "items": {"$ref": "#"}, "minItems": 1}), "", "no value");
}

#[test]
fn bounds_beyond_what_can_be_written_are_refused() {
    check(&json!({"type": "number", "minimum": 1e19}), "/minimum", "64 bits");
    check(
        &json!({"items": {"type": "integer", "minimum": 9_223_372_036_854_775_807_u64}}),
        "/items/minimum",
        "64 bits",
    );
    check(&json!({"type": "number", "maximum": -1e300}), "/maximum", "64 bits");
    check(&json!({"exclusiveMinimum": 9_223_372_036_854_774_784_i64}), "/exclusiveMinimum", "64 bits");
    check(&json!({"exclusiveMaximum": i64::MIN}), "/exclusiveMaximum", "64 bits");
}

#[test]
fn references_stay_inside_the_schema() {
    check(&json!({"$ref": "https://example.com/a.json"}), "/$ref", "nothing is fetched");
    check(&json!({"properties": {"a": {"$ref": "file:///etc/passwd"}}}), "/properties/a/$ref", "nothing is fetched");
    check(&json!({"$ref": "other.json#/a"}), "/$ref", "nothing is fetched");
    check(&json!({"$ref": "#/$defs/A"}), "/$ref", "to nothing");
    check(&json!({"$ref": "#A", "$defs": {"A": {"$anchor": "A"}}}), "/$ref", "anchors");
    check(&json!({"$ref": "#"}), "", "without an end");
    check(
        &json!({"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}}),
        "/$defs/b",
        "without an end",
    );
    let by_all = json!({"a": {"allOf": [{"$ref": "#/$defs/b"}, {"type": "object"}]}, "b": {"anyOf": [{"$ref": "#/$defs/a"}, {"type": "null"}]}});
    check(&json!({"$ref": "#/$defs/a", "$defs": by_all}), "/$defs/b/anyOf/0", "without an end");
}
