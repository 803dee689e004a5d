//! Schemas as Pydantic, zod and people write them: each with values that fit and values that do not.

use serde_json::{Value, json};

use crate::guide::{accepts, follow, matcher, read};

/// Good values pass the grammar, compact, spaced and indented, and the last check; bad ones fail the check, and the
/// grammar, too, unless it leaves them to the check.
fn row(source: &Value, good: &[Value], bad: &[Value]) {
    judge(source, good, bad, true);
}

fn row_checked_after(source: &Value, good: &[Value], bad: &[Value]) {
    judge(source, good, bad, false);
}

fn judge(source: &Value, good: &[Value], bad: &[Value], bad_stopped: bool) {
    let schema = read(source);
    assert_eq!(schema.source(), source);
    let matcher = matcher(&schema).unwrap_or_else(|error| panic!("{error}\n{source}\n{}", schema.grammar()));
    for value in good {
        schema.validate(value).unwrap_or_else(|violation| panic!("{violation}: {value} for {source}"));
        for text in [value.to_string(), spaced(value), indented(value)] {
            assert!(
                accepts(&matcher, &text),
                "{:?} of {text} for\n{source}\n{}",
                follow(&matcher, &text),
                schema.grammar()
            );
        }
    }
    for value in bad {
        assert!(schema.validate(value).is_err(), "{value} for {source}");
        assert_eq!(!accepts(&matcher, &value.to_string()), bad_stopped, "{value} for {source}\n{}", schema.grammar());
    }
}

/// As Python's `json.dumps` writes it.
fn spaced(value: &Value) -> String {
    match value {
        Value::Array(items) => format!("[{}]", items.iter().map(spaced).collect::<Vec<_>>().join(", ")),
        Value::Object(fields) => {
            let field = |(name, field): (&String, &Value)| format!("{}: {}", json!(name), spaced(field));
            format!("{{{}}}", fields.iter().map(field).collect::<Vec<_>>().join(", "))
        }
        scalar => scalar.to_string(),
    }
}

fn indented(value: &Value) -> String {
    format!("{value:#}").replace("[]", "[\n]")
}

#[test]
fn pydantic_models() {
    // Nested models.
    row(
        &json!({
            "$defs": {"Ingredient": {"properties": {"name": {"title": "Name", "type": "string"}, "grams": {"title": "Grams", "type": "number"}}, "required": ["name", "grams"], "title": "Ingredient", "type": "object"}},
            "properties": {"title": {"title": "Title", "type": "string"}, "ingredients": {"items": {"$ref": "#/$defs/Ingredient"}, "title": "Ingredients", "type": "array"}},
            "required": ["title", "ingredients"], "title": "Recipe", "type": "object",
        }),
        &[
            json!({"title": "Bread", "ingredients": [{"name": "flour", "grams": 500}, {"name": "salt", "grams": 9.5}]}),
            json!({"title": "", "ingredients": []}),
        ],
        &[
            json!({"title": "Bread"}),
            json!({"title": 1, "ingredients": []}),
            json!({"title": "x", "ingredients": [{"name": "y"}]}),
        ],
    );
    // Optional with a default, in any combination.
    row(
        &json!({
            "properties": {"name": {"type": "string"}, "age": {"anyOf": [{"type": "integer"}, {"type": "null"}], "default": null, "title": "Age"}, "tags": {"anyOf": [{"items": {"type": "string"}, "type": "array"}, {"type": "null"}], "default": null}},
            "required": ["name"], "type": "object",
        }),
        &[
            json!({"name": "Ada"}),
            json!({"name": "Ada", "age": null}),
            json!({"name": "Ada", "age": 36, "tags": ["x"]}),
            json!({"name": "Ada", "tags": null}),
        ],
        &[json!({"name": "Ada", "age": "36"}), json!({"age": 3})],
    );
    // Enum and Literal.
    row(
        &json!({
            "$defs": {"Color": {"enum": ["red", "green"], "title": "Color", "type": "string"}},
            "properties": {"color": {"$ref": "#/$defs/Color", "description": "of the car"}, "kind": {"const": "car", "title": "Kind", "type": "string"}, "size": {"enum": [1, 2], "type": "integer"}},
            "required": ["color", "kind", "size"], "type": "object",
        }),
        &[json!({"color": "red", "kind": "car", "size": 2})],
        &[
            json!({"color": "blue", "kind": "car", "size": 2}),
            json!({"color": "red", "kind": "cart", "size": 2}),
            json!({"color": "red", "kind": "car", "size": 3}),
        ],
    );
    // Literals of several types.
    row(
        &json!({"enum": ["a", 1, null, true, 1.5]}),
        &[json!("a"), json!(1), json!(null), json!(true), json!(1.5)],
        &[json!("b"), json!(2), json!(false)],
    );
    // A tree.
    row(
        &json!({
            "$defs": {"Node": {"properties": {"value": {"type": "integer"}, "children": {"default": [], "items": {"$ref": "#/$defs/Node"}, "type": "array"}}, "required": ["value"], "title": "Node", "type": "object"}},
            "$ref": "#/$defs/Node",
        }),
        &[
            json!({"value": 1}),
            json!({"value": 1, "children": [{"value": 2, "children": []}, {"value": 3, "children": [{"value": 4}]}]}),
        ],
        &[
            json!({"value": 1, "children": [{}]}),
            json!({"value": 1, "children": [{"value": 1, "children": [{"value": "x"}]}]}),
        ],
    );
    // A list that ends in null.
    row(
        &json!({
            "$defs": {"Link": {"properties": {"value": {"type": "string"}, "next": {"anyOf": [{"$ref": "#/$defs/Link"}, {"type": "null"}]}}, "required": ["value", "next"], "type": "object"}},
            "$ref": "#/$defs/Link",
        }),
        &[json!({"value": "a", "next": {"value": "b", "next": null}})],
        &[json!({"value": "a"}), json!({"value": "a", "next": {}})],
    );
    // Models that hold one another.
    row(
        &json!({
            "$defs": {
                "Folder": {"properties": {"files": {"items": {"$ref": "#/$defs/Entry"}, "type": "array"}}, "required": ["files"], "type": "object"},
                "Entry": {"anyOf": [{"$ref": "#/$defs/Folder"}, {"type": "string"}]},
            },
            "$ref": "#/$defs/Folder",
        }),
        &[json!({"files": []}), json!({"files": ["a", {"files": ["b"]}]})],
        &[json!({"files": [1]}), json!({"files": [{"files": [null]}]})],
    );
    // A discriminated union.
    let discriminated = json!({
        "$defs": {
            "Cat": {"properties": {"kind": {"const": "cat", "type": "string"}, "lives": {"type": "integer"}}, "required": ["kind", "lives"], "type": "object"},
            "Dog": {"properties": {"kind": {"const": "dog", "type": "string"}, "good": {"type": "boolean"}}, "required": ["kind", "good"], "type": "object"},
        },
        "properties": {"pet": {"discriminator": {"mapping": {"cat": "#/$defs/Cat", "dog": "#/$defs/Dog"}, "propertyName": "kind"}, "oneOf": [{"$ref": "#/$defs/Cat"}, {"$ref": "#/$defs/Dog"}]}},
        "required": ["pet"], "type": "object",
    });
    row(
        &discriminated,
        &[json!({"pet": {"kind": "cat", "lives": 9}}), json!({"pet": {"kind": "dog", "good": true}})],
        &[json!({"pet": {"kind": "cat", "good": true}}), json!({"pet": {"kind": "cow"}})],
    );
    // Dictionaries.
    row(
        &json!({"properties": {"scores": {"additionalProperties": {"type": "integer"}, "type": "object"}}, "required": ["scores"], "type": "object"}),
        &[json!({"scores": {}}), json!({"scores": {"a": 1, "b c": -2}})],
        &[json!({"scores": {"a": "1"}}), json!({"scores": 1})],
    );
    row(
        &json!({"additionalProperties": {"type": "integer"}, "propertyNames": {"enum": ["a", "b"]}, "type": "object"}),
        &[json!({}), json!({"a": 1}), json!({"a": 1, "b": 2})],
        &[json!({"c": 1}), json!({"a": "1"})],
    );
    row(
        &json!({"patternProperties": {"^[a-z]{2}$": {"type": "string"}}, "additionalProperties": false, "type": "object"}),
        &[json!({}), json!({"de": "x", "pt": "y"})],
        &[json!({"deu": "x"}), json!({"de": 1})],
    );
    row(
        &json!({"additionalProperties": true, "type": "object"}),
        &[json!({}), json!({"a": [1, {"b": null}]})],
        &[json!([])],
    );
    row(&json!({"type": "object"}), &[json!({}), json!({"a": "b"})], &[json!("a")]);
    // Tuples.
    row(
        &json!({"items": {"maxItems": 2, "minItems": 2, "prefixItems": [{"type": "integer"}, {"type": "string"}], "type": "array"}, "type": "array"}),
        &[json!([]), json!([[1, "a"], [2, "b"]])],
        &[json!([[1]]), json!([["a", 1]]), json!([[1, "a", 2]])],
    );
    // set[str] and its like.
    row_checked_after(
        &json!({"items": {"type": "string"}, "type": "array", "uniqueItems": true}),
        &[json!(["a", "b"])],
        &[json!(["a", "a"])],
    );
    // Constrained numbers and strings.
    row(
        &json!({"type": "integer", "minimum": 1, "maximum": 10}),
        &[json!(1), json!(10)],
        &[json!(0), json!(11), json!(1.5)],
    );
    row(&json!({"type": "integer", "exclusiveMinimum": 0}), &[json!(1), json!(123_456)], &[json!(0), json!(-1)]);
    row(&json!({"type": "integer", "multipleOf": 5}), &[json!(0), json!(-15), json!(100)], &[json!(3)]);
    row(
        &json!({"type": "number", "minimum": 0, "maximum": 1}),
        &[json!(0), json!(0.25), json!(1)],
        &[json!(1.5), json!(-0.5)],
    );
    row(
        &json!({"type": "number", "exclusiveMinimum": 0.5, "exclusiveMaximum": 0.75}),
        &[json!(0.6)],
        &[json!(0.5), json!(0.75)],
    );
    row(&json!({"type": "number", "multipleOf": 0.01}), &[json!(1.25), json!(-3), json!(0.5)], &[json!(0.125)]);
    row(&json!({"type": "number"}), &[json!(2.75), json!(-1_000_000), json!(0.125)], &[json!("1")]);
    row(
        &json!({"type": "string", "minLength": 2, "maxLength": 4}),
        &[json!("ab"), json!("äöü😀")],
        &[json!("a"), json!("abcde")],
    );
    row(
        &json!({"type": "string", "pattern": "^[A-Z]{3}-\\d{4}$"}),
        &[json!("ABC-1234")],
        &[json!("abc-1234"), json!("ABC-12345")],
    );
    row(
        &json!({"type": "string", "pattern": "^[a-z]+$", "maxLength": 3}),
        &[json!("abc")],
        &[json!("abcd"), json!("A"), json!("")],
    );
    row(&json!({"type": "string", "pattern": "b+"}), &[json!("abc")], &[json!("ac")]);
}

#[test]
fn formats() {
    row(
        &json!({"type": "string", "format": "date-time"}),
        &[json!("2026-11-22T10:30:00Z"), json!("2026-11-22T10:30:00.5+01:00")],
        &[json!("2026-11-22"), json!("2026-02-30T00:00:00Z")],
    );
    row(
        &json!({"type": "string", "format": "date"}),
        &[json!("2024-02-29")],
        &[json!("2023-02-29"), json!("22.11.2026")],
    );
    row(&json!({"type": "string", "format": "time"}), &[json!("10:30:00Z")], &[json!("25:00:00Z")]);
    row(&json!({"type": "string", "format": "duration"}), &[json!("P1DT2H")], &[json!("1 day")]);
    row(&json!({"type": "string", "format": "email"}), &[json!("ada@example.com")], &[json!("ada")]);
    row(
        &json!({"type": "string", "format": "uuid"}),
        &[json!("123e4567-e89b-12d3-a456-426614174000")],
        &[json!("123e4567")],
    );
    row(
        &json!({"type": "string", "format": "uri", "minLength": 1, "maxLength": 2083}),
        &[json!("https://example.com/a?b=c#d")],
        &[json!("no uri")],
    );
    row(&json!({"type": "string", "format": "ipv4"}), &[json!("10.0.0.1")], &[json!("10.0.0.256")]);
    row(&json!({"type": "string", "format": "ipv6"}), &[json!("::1"), json!("fe80::1:2")], &[json!("fe80")]);
    row(&json!({"type": "string", "format": "hostname"}), &[json!("example.com")], &[json!("-a")]);
    // Without a meaning in JSON Schema: an annotation.
    row(&json!({"type": "integer", "format": "int32"}), &[json!(5)], &[json!("5")]);
    row(&json!({"type": "string", "format": "binary"}), &[json!("x")], &[json!(5)]);
    row_checked_after(&json!({"type": "string", "format": "regex"}), &[json!("a+")], &[json!("(")]);
    row(
        &json!({"type": "string", "format": "date", "pattern": "^2026"}),
        &[json!("2026-01-31")],
        &[json!("2025-01-31")],
    );
}

#[test]
fn zod_schemas() {
    row(
        &json!({"$schema": "https://json-schema.org/draft/2020-12/schema", "type": "object", "properties": {"name": {"type": "string"}, "age": {"type": "integer", "minimum": -9_007_199_254_740_991_i64, "maximum": 9_007_199_254_740_991_i64}}, "required": ["name", "age"], "additionalProperties": false}),
        &[json!({"name": "a", "age": 9_007_199_254_740_991_i64}), json!({"name": "a", "age": -3})],
        &[json!({"name": "a", "age": 1, "more": 1}), json!({"name": "a", "age": 1.5})],
    );
    // z.record
    row(
        &json!({"type": "object", "propertyNames": {"type": "string"}, "additionalProperties": {"type": "number"}}),
        &[json!({"x": 1.5})],
        &[json!({"x": "y"})],
    );
    row(
        &json!({"type": "object", "propertyNames": {"type": "string", "pattern": "^x-"}, "additionalProperties": {"type": "number"}}),
        &[json!({"x-a": 1.5}), json!({})],
        &[json!({"a": 1})],
    );
    // z.discriminatedUnion
    row(
        &json!({"oneOf": [
            {"type": "object", "properties": {"status": {"type": "string", "const": "success"}, "data": {"type": "string"}}, "required": ["status", "data"], "additionalProperties": false},
            {"type": "object", "properties": {"status": {"type": "string", "const": "failed"}, "error": {"type": "string"}}, "required": ["status", "error"], "additionalProperties": false},
        ]}),
        &[json!({"status": "success", "data": "x"}), json!({"status": "failed", "error": "y"})],
        &[json!({"status": "success", "error": "y"}), json!({"status": "other"})],
    );
    // z.intersection
    row(
        &json!({"allOf": [
            {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]},
            {"type": "object", "properties": {"b": {"type": "integer"}}, "required": ["b"]},
        ]}),
        &[json!({"a": "x", "b": 1})],
        &[json!({"a": "x"}), json!({"b": 1}), json!({"a": 1, "b": 1})],
    );
    // z.tuple, in the new and the old draft.
    row(
        &json!({"type": "array", "prefixItems": [{"type": "string"}, {"type": "number"}]}),
        &[json!(["a", 1])],
        &[json!([1, "a"])],
    );
    row(
        &json!({"$schema": "http://json-schema.org/draft-07/schema#", "type": "array", "items": [{"type": "string"}, {"type": "number"}], "additionalItems": {"type": "boolean"}, "minItems": 2}),
        &[json!(["a", 1]), json!(["a", 1, true])],
        &[json!(["a"]), json!(["a", 1, 2])],
    );
    // z.nullable, z.nullish, z.literal of several, z.enum
    row(&json!({"anyOf": [{"type": "string"}, {"type": "null"}]}), &[json!("a"), json!(null)], &[json!(1)]);
    row(&json!({"type": ["string", "null"], "minLength": 1}), &[json!("a"), json!(null)], &[json!(""), json!(1)]);
    row(
        &json!({"type": "string", "enum": ["a", "b\"c", "d\\e", "f\ng", "ü"]}),
        &[json!("a"), json!("b\"c"), json!("d\\e"), json!("f\ng"), json!("ü")],
        &[json!("x")],
    );
    // A self-reference of z.lazy.
    row(
        &json!({"$schema": "http://json-schema.org/draft-07/schema#", "type": "object", "properties": {"name": {"type": "string"}, "sub": {"type": "array", "items": {"$ref": "#"}}}, "required": ["name", "sub"], "additionalProperties": false}),
        &[json!({"name": "a", "sub": [{"name": "b", "sub": []}]})],
        &[json!({"name": "a", "sub": [{}]})],
    );
    // References into another property, escaped.
    row(
        &json!({"type": "object", "properties": {"a/b c": {"type": "object", "properties": {"x": {"type": "integer"}}}, "d": {"$ref": "#/properties/a~1b%20c/properties/x"}}}),
        &[json!({"a/b c": {"x": 1}, "d": 2})],
        &[json!({"d": "2"})],
    );
}

#[test]
fn hand_written_schemas() {
    row(
        &json!({"$id": "https://example.com/a", "$ref": "https://example.com/a#/$defs/n", "$defs": {"n": {"type": "null"}}}),
        &[json!(null)],
        &[json!(1)],
    );
    // OpenAPI.
    row(&json!({"type": "string", "nullable": true}), &[json!("a"), json!(null)], &[json!(1)]);
    row(&json!({"type": "string", "enum": ["a"], "nullable": true}), &[json!("a"), json!(null)], &[json!("b")]);
    row(
        &json!({"properties": {"x": {"allOf": [{"$ref": "#/definitions/n"}], "nullable": true}}, "required": ["x"], "definitions": {"n": {"type": "integer"}}}),
        &[json!({"x": null}), json!({"x": 1})],
        &[json!({"x": "1"})],
    );
    row(
        &json!({"$ref": "#/components/schemas/A", "components": {"schemas": {"A": {"type": "integer"}}}}),
        &[json!(1)],
        &[json!("1")],
    );
    row(
        &json!({"type": "object", "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}}, "required": ["a", "b"], "propertyOrdering": ["b", "a"]}),
        &[json!({"b": 1, "a": 2})],
        &[json!({"b": 1})],
    );
    // A property may be called like a keyword.
    row(
        &json!({"properties": {"title": {"type": "string"}, "$ref": {"type": "string"}, "not": {"type": "null"}, "enum": {"type": "integer"}}, "required": ["title"]}),
        &[json!({"title": "a", "$ref": "b", "not": null, "enum": 1})],
        &[json!({"title": 1})],
    );
    // Inheritance.
    row(
        &json!({
            "$defs": {"Base": {"type": "object", "properties": {"id": {"type": "integer"}}, "required": ["id"]}},
            "allOf": [{"$ref": "#/$defs/Base"}, {"properties": {"name": {"type": "string"}}, "required": ["name"]}], "unevaluatedProperties": false,
        }),
        &[json!({"id": 1, "name": "a"})],
        &[json!({"id": 1}), json!({"id": 1, "name": "a", "more": 1})],
    );
    row(
        &json!({"$defs": {"N": {"type": "integer"}}, "$ref": "#/$defs/N", "minimum": 3, "maximum": 5}),
        &[json!(3), json!(5)],
        &[json!(2), json!(6), json!("3")],
    );
    // A recursive reference with more beside it.
    row(
        &json!({
            "$defs": {"T": {"type": "object", "properties": {"kids": {"type": "array", "items": {"allOf": [{"$ref": "#/$defs/T"}, {"required": ["name"]}]}}, "name": {"type": "string"}}}},
            "$ref": "#/$defs/T",
        }),
        &[json!({"kids": [{"kids": [], "name": "b"}]}), json!({"name": "a"})],
        &[json!({"kids": [{"kids": []}]})],
    );
    // One of several sets of required properties.
    row(
        &json!({"type": "object", "properties": {"mail": {"type": "string"}, "phone": {"type": "string"}}, "anyOf": [{"required": ["mail"]}, {"required": ["phone"]}], "additionalProperties": false}),
        &[json!({"mail": "a"}), json!({"phone": "b"}), json!({"mail": "a", "phone": "b"})],
        &[json!({})],
    );
    row(
        &json!({"type": "object", "properties": {"a": {"type": "null"}, "b": {"type": "null"}}, "minProperties": 1, "additionalProperties": false}),
        &[json!({"a": null}), json!({"b": null}), json!({"a": null, "b": null})],
        &[json!({})],
    );
    row(
        &json!({"type": "object", "properties": {"a": {"type": "null"}, "b": {"type": "null"}}, "maxProperties": 1, "additionalProperties": false}),
        &[json!({}), json!({"b": null})],
        &[json!({"a": null, "b": null})],
    );
    row(
        &json!({"type": "object", "additionalProperties": {"type": "integer"}, "minProperties": 1, "maxProperties": 2}),
        &[json!({"a": 1}), json!({"a": 1, "b": 2})],
        &[json!({}), json!({"a": 1, "b": 2, "c": 3})],
    );
    row(
        &json!({"type": "object", "required": ["a"], "additionalProperties": {"type": "integer"}}),
        &[json!({"a": 1}), json!({"a": 1, "b": 2})],
        &[json!({"b": 1}), json!({"a": "1"})],
    );
    row(
        &json!({"type": "object", "properties": {"a": {"type": "string"}}, "additionalProperties": {"type": "integer"}}),
        &[json!({"a": "x", "b": 2}), json!({"b": 2})],
        &[json!({"a": 1}), json!({"b": "x"})],
    );
    row(
        &json!({"minItems": 1, "maxItems": 2, "items": {"type": "boolean"}}),
        &[json!([true]), json!([true, false])],
        &[json!([]), json!([true, true, true])],
    );
    row(&json!({"const": {"a": [1, "x", null]}}), &[json!({"a": [1, "x", null]})], &[json!({"a": [1, "x"]})]);
    row(
        &json!({"enum": ["a", "bb", "ccc"], "minLength": 2, "type": ["string", "null"]}),
        &[json!("bb"), json!("ccc")],
        &[json!("a")],
    );
    row(&json!({"type": "number", "enum": [1, 2.5, -3]}), &[json!(1), json!(2.5), json!(-3)], &[json!(2)]);
    row(
        &json!({"type": "integer", "minimum": i64::MIN, "maximum": i64::MAX}),
        &[json!(1_000_000_000_000_000_000_i64), json!(0)],
        &[json!("1")],
    );
    row(&json!({"type": "number", "minimum": -1e300, "maximum": 1e300}), &[json!(12.5)], &[json!("1")]);
    row(
        &json!({"type": "integer", "minimum": 5_000_000_000_000_000_i64}),
        &[json!(5_000_000_000_000_000_i64), json!(7_000_000_000_000_000_i64)],
        &[json!(1)],
    );
    row(&json!({"type": "number", "minimum": 0.000_000_1, "maximum": 0.000_000_2}), &[], &[json!(1)]);
    row(&json!({}), &[json!({"a": [1, "b", null, true]}), json!("x"), json!([[]])], &[]);
    row(
        &json!({"type": "object", "properties": {"a": {}, "b": true}, "required": ["a", "b"]}),
        &[json!({"a": {"x": 1}, "b": [2]})],
        &[json!({"a": 1})],
    );
    row(
        &json!({"properties": {"x": {"type": "string", "minLength": 1, "someKeywordOfOurs": {"type": 3}}}, "required": ["x"]}),
        &[json!({"x": "a"})],
        &[json!({"x": ""})],
    );
    row_checked_after(
        &json!({"oneOf": [{"type": "integer"}, {"type": "number", "minimum": 0}]}),
        &[json!(-3), json!(0.5)],
        &[json!(3)],
    );
}

#[test]
fn objects_with_declared_properties_are_closed_and_others_are_not() {
    let closed = matcher(&read(&json!({"type": "object", "properties": {"a": {"type": "integer"}}}))).unwrap();
    assert!(accepts(&closed, r#"{"a":1}"#));
    assert!(!accepts(&closed, r#"{"a":1,"b":1}"#));
    let merged =
        json!({"allOf": [{"properties": {"a": {"type": "integer"}}}, {"properties": {"b": {"type": "integer"}}}]});
    let merged = matcher(&read(&merged)).unwrap();
    assert!(accepts(&merged, r#"{"a":1,"b":1}"#));
    assert!(!accepts(&merged, r#"{"a":1,"c":1}"#));
}

#[test]
fn white_space_digits_names_and_depth_have_a_limit() {
    let object = matcher(&read(&json!({"properties": {"a": {"type": "number"}}, "required": ["a"]}))).unwrap();
    assert!(accepts(&object, "{\n    \"a\": 1.5\n}"));
    for text in [
        "{  \"a\"",
        "{\n\n",
        "{\t",
        " {",
        "{\n                      ",
        "{\"a\": 1e5",
        "{\"a\": 1.1234567",
        "{\"a\": 99999999999999999",
    ] {
        assert!(follow(&object, text).0 < text.len(), "{text}");
    }
    let open = matcher(&read(&json!({"type": "object"}))).unwrap();
    assert!(follow(&open, &format!("{{\"{}", "a".repeat(200))).0 < 140);
    assert!(follow(&open, &"{\"a\":".repeat(50)).0 < 50);
    let list = matcher(&read(&json!({"type": "array", "items": {"type": "boolean"}}))).unwrap();
    assert!(accepts(&list, &json!(vec![true; 64]).to_string()));
    assert!(!accepts(&list, &json!(vec![true; 65]).to_string()));
    let long = matcher(&read(&json!({"type": "array", "items": {"type": "boolean"}, "minItems": 100}))).unwrap();
    assert!(accepts(&long, &json!(vec![true; 100]).to_string()));
    let escapes = matcher(&read(&json!({"type": "string"}))).unwrap();
    assert!(accepts(&escapes, r#""\n\t\"\\é😀""#));
    assert!(follow(&escapes, r#""\u0041"#).0 == 2);
}

#[test]
fn the_description_keeps_what_a_model_can_use() {
    let schema = read(&json!({
        "$schema": "http://json-schema.org/draft-07/schema#", "$id": "x", "title": "Model", "type": "object",
        "properties": {"title": {"title": "Title", "type": "string", "description": "of the book", "default": "none"}},
        "$comment": "internal",
    }));
    let expected =
        r#"{"type":"object","properties":{"title":{"type":"string","description":"of the book","default":"none"}}}"#;
    assert_eq!(schema.description(), expected);
}

#[test]
fn a_violation_names_its_place_and_does_not_quote_the_value() {
    let schema = read(&json!({"properties": {"a": {"items": {"type": "integer"}}}}));
    let violation = schema.validate(&json!({"a": [1, "secret words"]})).unwrap_err();
    assert_eq!(violation.pointer, "/a/1");
    assert!(!violation.message.contains("secret"), "{violation}");
}

#[test]
fn a_schema_can_be_shared_between_threads() {
    fn shared<T: Clone + Send + Sync + std::fmt::Debug>() {}
    shared::<antiphon_schema::Schema>();
}
