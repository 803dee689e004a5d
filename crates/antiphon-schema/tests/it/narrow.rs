//! Where the enforced form is narrower than the schema, and where it must not be.

use serde_json::{Value, json};

use crate::guide::{accepts, matcher, read};

/// All of these values conform; the grammar admits the first and not the second.
fn check(source: &Value, admitted: &[Value], left_out: &[Value]) {
    let schema = read(source);
    let matcher = matcher(&schema).unwrap_or_else(|error| panic!("{error}\n{source}\n{}", schema.grammar()));
    for (values, expected) in [(admitted, true), (left_out, false)] {
        for value in values {
            schema.validate(value).unwrap_or_else(|violation| panic!("{violation}: {value} for {source}"));
            let text = value.to_string();
            assert_eq!(accepts(&matcher, &text), expected, "{text} for {source}\n{}", schema.grammar());
        }
    }
}

/// No value conforms, and the grammar admits none.
fn check_refused(source: &Value, values: &[Value]) {
    let schema = read(source);
    let matcher = matcher(&schema).unwrap_or_else(|error| panic!("{error}\n{source}\n{}", schema.grammar()));
    for value in values {
        assert!(schema.validate(value).is_err(), "{value} for {source}");
        assert!(!accepts(&matcher, &value.to_string()), "{value} for {source}\n{}", schema.grammar());
    }
}

#[test]
fn an_empty_list_of_properties_closes_an_object() {
    check(&json!({"type": "object", "properties": {}}), &[json!({})], &[json!({"a": 1})]);
    check(&json!({"type": "object"}), &[json!({}), json!({"a": 1})], &[]);
    check(
        &json!({"type": "object", "properties": {}, "additionalProperties": true}),
        &[json!({}), json!({"a": 1})],
        &[],
    );
    check(
        &json!({"allOf": [{"type": "object", "properties": {}}, {"type": "object"}]}),
        &[json!({})],
        &[json!({"a": 1})],
    );
}

#[test]
fn a_minimum_opens_what_is_closed_as_far_as_it_needs() {
    check(
        &json!({"type": "object", "properties": {"a": {}}, "required": ["a"], "minProperties": 2}),
        &[json!({"a": 1, "b": 2})],
        &[json!({"a": 1, "b": 2, "c": 3})],
    );
    check(
        &json!({"type": "object", "properties": {"a": {}, "b": {}}, "minProperties": 3, "maxProperties": 5}),
        &[json!({"a": 1, "b": 2, "c": 3})],
        &[json!({"c": 1, "d": 2, "e": 3})],
    );
    check(&json!({"properties": {}, "minProperties": 1}), &[json!({"a": 1})], &[json!({"a": 1, "b": 2})]);
    check(&json!({"properties": {"a": false}, "minProperties": 1}), &[json!({"b": 1})], &[]);
    check_refused(&json!({"properties": {"a": false}, "minProperties": 1}), &[json!({}), json!({"a": 1})]);
    check(&json!({"type": "array", "prefixItems": [{}], "minItems": 3}), &[json!([1, 2, "x"])], &[json!([1, 2, 3, 4])]);
    check(
        &json!({"type": "array", "prefixItems": [{"type": "null"}], "minItems": 2, "maxItems": 4}),
        &[json!([null, 2])],
        &[json!([null, 2, 3])],
    );
    check_refused(&json!({"type": "array", "prefixItems": [{}], "minItems": 3}), &[json!([]), json!([1, 2])]);
}

#[test]
fn a_required_name_stands_beside_patterns() {
    let patterned = json!({"patternProperties": {"^x": {"type": "integer"}}, "required": ["id"]});
    check(&patterned, &[json!({"id": "a"}), json!({"id": "a", "x1": 1})], &[json!({"id": "a", "more": 1})]);
    check_refused(&patterned, &[json!({"x1": 1}), json!({"id": "a", "x1": "b"})]);
    let matching = json!({"patternProperties": {"^x": {"type": "integer"}}, "required": ["xa"]});
    check(&matching, &[json!({"xa": 1}), json!({"xa": 1, "xb": 2})], &[]);
    check_refused(&matching, &[json!({}), json!({"xa": "b"})]);
    let both = json!({"properties": {"xa": {"minimum": 3}}, "patternProperties": {"^x": {"type": "integer"}}});
    check(&both, &[json!({"xa": 3}), json!({"xb": 1})], &[]);
    check_refused(&both, &[json!({"xa": 2}), json!({"xa": 3.5})]);
}

#[test]
fn a_discriminator_is_required_where_it_is_declared() {
    let model = |kind: &str, more: Value| json!({"properties": {"kind": {"const": kind, "default": kind, "type": "string"}, "name": more}, "type": "object"});
    let definitions =
        json!({"Cat": model("cat", json!({"type": "string"})), "Dog": model("dog", json!({"type": "string"}))});
    let union = json!({
        "discriminator": {"mapping": {"cat": "#/$defs/Cat", "dog": "#/$defs/Dog"}, "propertyName": "kind"},
        "oneOf": [{"$ref": "#/$defs/Cat"}, {"$ref": "#/$defs/Dog"}],
    });
    let mut root = union.clone();
    root["$defs"] = definitions.clone();
    let inside = json!({"properties": {"pet": union}, "required": ["pet"], "$defs": definitions});
    let good = [json!({"kind": "cat"}), json!({"kind": "dog", "name": "a"})];
    let bad = [json!({}), json!({"name": "a"}), json!({"kind": "cow"})];
    check(&root, &good, &[]);
    check_refused(&root, &bad);
    check(&inside, &good.map(|pet| json!({"pet": pet})), &[]);
    check_refused(&inside, &bad.map(|pet| json!({"pet": pet})));

    // Beside other keywords, through another choice, and with `nullable`.
    let mut beside = root.clone();
    beside["type"] = json!("object");
    check_refused(&beside, &[json!({"name": "a"})]);
    let nested = json!({"discriminator": {"propertyName": "kind"}, "oneOf": [{"anyOf": [{"$ref": "#/$defs/Cat"}]}, {"$ref": "#/$defs/Dog"}], "$defs": definitions});
    check_refused(&nested, &[json!({"name": "a"})]);
    let mut nullable = root.clone();
    nullable["nullable"] = json!(true);
    check(&nullable, &[json!(null), json!({"kind": "cat"})], &[]);
    check_refused(&nullable, &[json!({"name": "a"})]);

    // The same model elsewhere stays as it is, and a branch that does not declare the property, too.
    let both = json!({"properties": {"pet": union, "cat": {"$ref": "#/$defs/Cat"}}, "required": ["pet", "cat"], "$defs": definitions});
    check(&both, &[json!({"pet": {"kind": "cat"}, "cat": {"name": "a"}})], &[]);
    let other = json!({"discriminator": {"propertyName": "kind"}, "oneOf": [{"type": "object", "properties": {"a": {"type": "null"}}, "additionalProperties": false}]});
    check(&other, &[json!({}), json!({"a": null})], &[]);
}

#[test]
fn unions_that_recurse_by_their_discriminator_stay_small() {
    let term = json!({"discriminator": {"propertyName": "kind"}, "oneOf": [{"$ref": "#/$defs/Sum"}, {"$ref": "#/$defs/Number"}]});
    let source = json!({
        "$defs": {
            "Sum": {"type": "object", "properties": {"kind": {"const": "sum"}, "left": term, "right": term}, "required": ["left", "right"]},
            "Number": {"type": "object", "properties": {"kind": {"const": "number"}, "value": {"type": "integer"}}, "required": ["value"]},
        },
        "properties": {"term": term}, "required": ["term"],
    });
    let number = json!({"kind": "number", "value": 1});
    check(
        &source,
        &[json!({"term": {"kind": "sum", "left": number, "right": {"kind": "sum", "left": number, "right": number}}})],
        &[],
    );
    let bare = json!({"term": {"kind": "sum", "left": {"value": 1}, "right": number}});
    check(&source, &[], &[bare]);
    assert!(read(&source).grammar().to_string().len() < 20_000);
}

#[test]
fn listed_values_are_not_repeated_where_the_list_is_short() {
    let values: Vec<Value> = (0..6).map(|index| json!(format!("v{index}"))).collect();
    for count in 1..=5 {
        let items = json!({"enum": values[..count]});
        let source = json!({"type": "array", "items": items, "uniqueItems": true});
        let forwards = values[..count].to_vec();
        let backwards: Vec<Value> = forwards.iter().rev().cloned().collect();
        check(&source, &[json!([]), json!([values[count - 1]]), json!(forwards), json!(backwards)], &[]);
        check_refused(
            &source,
            &[json!([values[0], values[0]]), json!([forwards.clone(), vec![values[0].clone()]].concat())],
        );
        for least in 0..=count {
            for most in least..=count {
                let mut bounded = source.clone();
                bounded["minItems"] = json!(least);
                bounded["maxItems"] = json!(most);
                check(&bounded, &[json!(forwards[..least]), json!(backwards[..most])], &[]);
                if least > 0 {
                    check_refused(&bounded, &[json!(forwards[..least - 1])]);
                }
                if most < count {
                    check_refused(&bounded, &[json!(forwards[..=most])]);
                }
            }
        }
    }
    let flags = json!({"type": "array", "items": {"type": ["boolean", "null"]}, "uniqueItems": true});
    check(&flags, &[json!([null, true, false]), json!([false])], &[]);
    check_refused(&flags, &[json!([true, true]), json!([true, false, null, true])]);
    let named = json!({"$defs": {"Color": {"enum": ["red", "green"]}}, "type": "array", "items": {"$ref": "#/$defs/Color"}, "uniqueItems": true});
    check(&named, &[json!(["green", "red"])], &[]);
    check_refused(&named, &[json!(["red", "red"])]);
    // More of them: no longer than there are values, and otherwise checked afterwards.
    let six = json!({"type": "array", "items": {"enum": values}, "uniqueItems": true});
    check(&six, &[json!(values)], &[]);
    check_refused(&six, &[json!([values.clone(), vec![values[0].clone()]].concat())]);
    let free = json!({"type": "array", "items": {"enum": values}, "uniqueItems": false});
    check(&free, &[json!([values[0], values[0]])], &[]);
}

#[test]
fn it_is_known_whether_only_objects_are_admitted() {
    let rows = [
        (json!({"type": "object"}), true),
        (json!({"type": "object", "properties": {"a": {"type": "string"}}}), true),
        (json!({"properties": {"a": {}}}), true),
        (
            json!({"$ref": "#/$defs/A", "$defs": {"A": {"type": "object", "properties": {"a": {"$ref": "#/$defs/A"}}}}}),
            true,
        ),
        (json!({"anyOf": [{"type": "object"}, {"properties": {"a": {}}}]}), true),
        (json!({"enum": [{}, {"a": 1}]}), true),
        (json!({"type": "object", "nullable": true}), false),
        (json!({"type": ["object", "null"]}), false),
        (json!({"anyOf": [{"type": "object"}, {"type": "array"}]}), false),
        (json!({"enum": [{}, null]}), false),
        (json!({"type": "string"}), false),
        (json!({}), false),
    ];
    for (source, expected) in rows {
        assert_eq!(read(&source).allows_only_objects(), expected, "{source}");
    }
}
