//! Schemas made to cost: a typed error or a success, in bounded time and memory.

use antiphon_schema::Schema;
use serde_json::{Map, Value, json};

use crate::guide::{matcher, read};

/// `json!` would copy what is inside by recursion.
fn nested(levels: usize, wrap: impl Fn(Value) -> Value) -> Value {
    (0..levels).fold(json!({"type": "null"}), |inner, _| wrap(inner))
}

fn object(name: &str, value: Value) -> Value {
    Value::Object(Map::from_iter([(name.to_owned(), value)]))
}

fn refused(source: Value, words: &str) {
    let error = Schema::read(source).expect_err(words);
    assert!(error.message.contains(words), "{error}");
}

#[test]
fn deep_schemas_are_refused_before_anything_recurses() {
    refused(nested(5_000, |inner| object("items", inner)), "levels");
    refused(nested(5_000, |inner| object("allOf", Value::Array(vec![inner]))), "levels");
    refused(nested(5_000, |inner| object("properties", object("a", inner))), "levels");
    refused(object("const", nested(5_000, |inner| Value::Array(vec![inner]))), "levels");
}

#[test]
fn large_schemas_are_refused() {
    refused(json!({"description": "x".repeat(1_000_000)}), "bytes");
    refused(json!({"enum": (0..100_000).collect::<Vec<_>>()}), "bytes");
    refused(json!({"enum": vec![1; 100_000]}), "`enum`s");
    let many: Map<String, Value> = (0..5_000).map(|index| (index.to_string(), json!({"type": "null"}))).collect();
    refused(json!({"properties": many}), "subschemas");
}

/// Kilobytes that this process held at most so far.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.split_whitespace().next()).map_or(0, |number| number.parse().unwrap())
}

#[test]
fn patterns_have_a_limit_altogether() {
    let properties = |count: usize, pattern: fn(usize) -> String| {
        let property = |index: usize| (format!("p{index}"), json!({"type": "string", "pattern": pattern(index)}));
        json!({"properties": (0..count).map(property).collect::<Map<_, _>>()})
    };
    let place = |source: Value| {
        let error = Schema::read(source).expect_err("too many patterns");
        assert!(error.message.contains("altogether"), "{error}");
        let place = error.pointer.strip_prefix("/properties/p").and_then(|place| place.strip_suffix("/pattern"));
        place.unwrap().parse::<usize>().unwrap()
    };
    // Half a megabyte each, however they differ.
    assert_eq!(place(properties(4_000, |index| format!("^[a-z]{{9000}}{index}$"))), 16);
    assert_eq!(place(properties(4_000, |index| format!("^a{index}$"))), 1_024);
    let by_pattern = (0..4_000).map(|index| (format!("^[a-z]{{9000}}{index}$"), json!({"type": "null"})));
    refused(json!({"patternProperties": by_pattern.collect::<Map<_, _>>()}), "altogether");
    // One pattern costs once.
    read(&properties(2_000, |_| "^[a-z]{9000}$".to_owned()));
    let choices = (0..64).map(|index| json!({"enum": ["aa", index]})).collect::<Vec<_>>();
    read(&json!({"allOf": [{"anyOf": choices}, {"pattern": "^[a-z]{2,9000}$"}]}));
    assert!(peak() < 1 << 20, "{} kilobytes", peak());
}

#[test]
fn deep_schemas_within_the_limits_work() {
    read(&nested(60, |inner| json!({"allOf": [inner]})));
    let schema = read(&nested(60, |inner| json!({"properties": {"a": inner}, "required": ["a"]})));
    matcher(&schema).unwrap();
}

#[test]
fn alternatives_do_not_multiply_without_bound() {
    let choice = json!({"anyOf": (0..10).map(|index| json!({"required": [index.to_string()]})).collect::<Vec<_>>()});
    refused(json!({"allOf": vec![choice; 10]}), "alternatives");
}

#[test]
fn chains_of_references_are_bounded() {
    let chain = |length: usize, wrap: fn(Value) -> Value| {
        let link = |index: usize| (index.to_string(), wrap(json!({"$ref": format!("#/$defs/{}", index + 1)})));
        let mut links: Map<String, Value> = (0..length).map(link).collect();
        links.insert(length.to_string(), json!({"type": "null"}));
        json!({"$ref": "#/$defs/0", "$defs": links})
    };
    refused(chain(3_000, |next| next), "complex");
    refused(chain(1_500, |next| json!({"type": "array", "items": next})), "complex");
    refused(chain(1_000, |next| json!({"allOf": [next.clone(), next]})), "complex");
    refused(chain(40, |next| json!({"allOf": [next.clone(), next]})), "complex");
    matcher(&read(&chain(30, |next| json!({"type": "object", "properties": {"a": next, "b": {"type": "null"}}}))))
        .unwrap();
}

#[test]
fn recursion_through_many_references_is_bounded() {
    let count = 200;
    let names: Vec<String> = (0..count).map(|index| format!("n{index}")).collect();
    let node = |own: usize| {
        let near = (0..5).map(|step| {
            (
                names[(own * 7 + step * 13) % count].clone(),
                json!({"$ref": format!("#/$defs/{}", names[(own + step) % count])}),
            )
        });
        json!({"type": "object", "properties": near.collect::<Map<_, _>>()})
    };
    let nodes: Map<String, Value> = names.iter().enumerate().map(|(index, name)| (name.clone(), node(index))).collect();
    let source = json!({"$ref": "#/$defs/n0", "$defs": nodes});
    match Schema::read(source) {
        Ok(schema) => assert!(schema.grammar().to_string().len() < 4 << 20),
        Err(error) => assert!(error.message.contains("complex"), "{error}"),
    }
}

#[test]
fn text_with_a_thousand_values_compiles() {
    let names: Vec<String> = (0..4_000).map(|index| format!("value number {index}")).collect();
    matcher(&read(&json!({"type": "array", "items": {"enum": names}}))).unwrap();
}

#[test]
fn a_value_deeper_than_the_grammar_admits_is_only_judged() {
    let schema = read(&json!({"type": "object", "properties": {"next": {"$ref": "#"}}, "additionalProperties": false}));
    let value = (0..100).fold(json!({}), |inner, _| json!({"next": inner}));
    schema.validate(&value).unwrap();
}
