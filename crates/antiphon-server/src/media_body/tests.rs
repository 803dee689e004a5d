use antiphon_testkit::FixedAmbient;
use antiphon_wire::Data;
use pretty_assertions::assert_eq;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

/// Letters of base64 that stay in these tests.
const FEW: usize = 12;

/// What is left of a body that comes in pieces of this size, and the media that were in it.
fn scanned(body: &str, piece: usize, most: usize) -> Result<(String, Vec<Arc<dyn Kept>>), Error> {
    let folder = tempfile::tempdir().unwrap();
    let ambient = Arc::new(FixedAmbient::default());
    let mut scanner = Scanner::new(most, FEW, || Spool::open(folder.path(), ambient.clone()));
    body.as_bytes().chunks(piece).try_for_each(|chunk| scanner.take(chunk))?;
    let (skeleton, kept) = scanner.end();
    Ok((String::from_utf8(skeleton).unwrap(), kept))
}

fn base64_of(kept: &Arc<dyn Kept>) -> String {
    STANDARD.encode(Data::Kept(Arc::clone(kept)).bytes().unwrap())
}

/// The long data in the places of media.
fn media(body: &Value) -> Vec<String> {
    fn items(value: &Value) -> Vec<&Value> {
        value.as_array().map_or_else(|| vec![value], |items| items.iter().collect())
    }
    let mut found = Vec::new();
    for item in body.get("input").map(items).unwrap_or_default() {
        let parts = item.get("content").map(items).unwrap_or_default();
        found.extend([item].into_iter().chain(parts).filter_map(|part| part.get("data")?.as_str()));
    }
    found.into_iter().filter(|data| data.len() > FEW).map(str::to_owned).collect()
}

fn base64() -> impl Strategy<Value = Value> {
    proptest::collection::vec(any::<u8>(), 0..40).prop_map(|bytes| Value::from(STANDARD.encode(bytes)))
}

/// JSON with the names that matter in places where they do, and in others.
fn body() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![Just(Value::Null), any::<i32>().prop_map(Value::from), ".{0,20}".prop_map(Value::from)];
    let tree = leaf.prop_recursive(4, 24, 4, |inner| {
        // A list of lists is none of the places.
        let items = proptest::collection::vec(inner.clone().prop_filter("no list", |item| !item.is_array()), 0..4);
        let members = proptest::collection::vec(("(input|content|\\PC{0,12})", inner), 0..4);
        let object = (members, proptest::option::of(base64())).prop_map(|(members, data)| {
            let data = data.map(|data| ("data".to_owned(), data));
            Value::Object(members.into_iter().filter(|(name, _)| name != "data").chain(data).collect())
        });
        prop_oneof![items.prop_map(Value::Array), object]
    });
    tree.prop_map(|tree| json!({"model": "m", "input": tree, "store": false}))
}

proptest! {
    #[test]
    fn what_is_left_is_the_body_with_marks_in_place_of_long_media(body in body(), piece in 1..50_usize) {
        let text = body.to_string();
        let (mut skeleton, kept) = scanned(&text, piece, 1 << 20).unwrap();
        let mut found: Vec<_> = kept.iter().map(base64_of).collect();
        for (kept, data) in kept.iter().zip(&found) {
            prop_assert_eq!(skeleton.matches(kept.mark()).count(), 1);
            skeleton = skeleton.replace(kept.mark(), data);
        }
        prop_assert_eq!(skeleton, text);
        let mut expected = media(&body);
        found.sort();
        expected.sort();
        prop_assert_eq!(found, expected);
    }
}

#[test]
fn data_that_are_no_base64_are_refused_by_their_path_as_soon_as_it_is_known() {
    for (data, why) in [
        ("AAAAAAAAAAAAAAAA====AAAA", "input[1].content[2].data"),
        ("AAAAAAAAAAAAAAAAA", "expected bytes"),
        ("kept:abcdefghijklmnop", "Invalid symbol"),
        (r"AAAAAAAAAAAA\nAAA", "escaped"),
        (r"AAAAAAAAAAAA\u0141AAA", "escaped"),
    ] {
        let body = format!(r#"{{"input":["x",{{"content":["a","b",{{"type":"image","data":"{data}"}}]}}]}}"#);
        for piece in [1, 7, 1000] {
            let message = scanned(&body, piece, 1 << 20).unwrap_err().message;
            assert!(message.starts_with("`input[1].content[2].data`: expected bytes in base64"), "{message}");
            assert!(message.contains(why), "{message}");
        }
    }
}

#[test]
fn letters_may_be_escaped() {
    let body = r#"{"input":{"data":"\/\u002f\u002B+AAAAAAAA\/\/8\u003d"}}"#;
    for piece in [1, 3, 1000] {
        let (skeleton, kept) = scanned(body, piece, 1 << 20).unwrap();
        let [kept] = &kept[..] else { panic!("{skeleton}") };
        assert_eq!(base64_of(kept), "//++AAAAAAAA//8=");
    }
}

#[test]
fn a_body_is_as_long_as_it_is_with_its_media_decoded() {
    let body = |bytes: usize| json!({"input": [{"data": STANDARD.encode(vec![0; bytes])}]}).to_string();
    let rest = body(0).len();
    // What of the mark is left counts too.
    let mark = "kept:".len() + 32;
    assert!(scanned(&body(3000), 64, rest + mark + 3000).is_ok());
    let error = scanned(&body(3000), 64, rest + mark + 2999).unwrap_err();
    assert_eq!(error.code, Code::ContentTooLarge);
    let words = json!({"input": "x".repeat(3000)}).to_string();
    assert!(scanned(&words, 64, words.len()).is_ok());
    assert_eq!(scanned(&words, 64, words.len() - 1).unwrap_err().code, Code::ContentTooLarge);
}

#[test]
fn nesting_without_end_is_left_to_the_parser() {
    let deep = format!(r#"{{"input":{}"#, "[".repeat(100_000));
    let (skeleton, kept) = scanned(&deep, 1000, 1 << 20).unwrap();
    assert_eq!((skeleton, kept.len()), (deep, 0));
}
