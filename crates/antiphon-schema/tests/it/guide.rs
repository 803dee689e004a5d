//! llguidance over single bytes.

use antiphon_schema::Schema;
use llguidance::api::TopLevelGrammar;
use llguidance::toktrie::{ApproximateTokEnv, InferenceCapabilities};
use llguidance::{Matcher, ParserFactory};
use serde_json::Value;

pub(crate) fn read(source: &Value) -> Schema {
    Schema::read(source.clone()).unwrap_or_else(|error| panic!("{error}\n{source}"))
}

pub(crate) fn matcher(schema: &Schema) -> Result<Matcher, String> {
    let tokens = ApproximateTokEnv::single_byte_env();
    let mut factory = ParserFactory::new(&tokens, InferenceCapabilities::default(), &[]).unwrap();
    factory.quiet();
    let grammar = TopLevelGrammar::from_lark(format!("start: %json {}", schema.grammar()));
    let mut matcher = Matcher::new(factory.create_parser(grammar));
    match matcher.compute_mask() {
        Ok(_) => Ok(matcher),
        Err(error) => Err(error.to_string().lines().take(3).collect()),
    }
}

/// How many bytes of the text are allowed one after another, and whether it may end there.
pub(crate) fn follow(matcher: &Matcher, text: &str) -> (usize, bool) {
    let mut matcher = matcher.deep_clone();
    for (index, byte) in text.bytes().enumerate() {
        if matcher.is_stopped() || !matcher.compute_mask().unwrap().is_allowed(u32::from(byte)) {
            return (index, false);
        }
        matcher.consume_token(u32::from(byte)).unwrap();
    }
    (text.len(), matcher.is_accepting().unwrap())
}

pub(crate) fn accepts(matcher: &Matcher, text: &str) -> bool {
    follow(matcher, text) == (text.len(), true)
}

/// Text as the grammar admits it, led by `choose(length so far, allowed bytes)`; `None` if it does not end in time.
pub(crate) fn walk(matcher: &Matcher, limit: usize, mut choose: impl FnMut(&[u8]) -> u8) -> Option<String> {
    let mut matcher = matcher.deep_clone();
    let mut text = Vec::new();
    while !matcher.is_stopped() {
        let mask = matcher.compute_mask().unwrap();
        let allowed: Vec<u8> = (0..=255).filter(|byte| mask.is_allowed(u32::from(*byte))).collect();
        if matcher.is_accepting().unwrap() && (allowed.is_empty() || text.len() > limit / 2) {
            break;
        }
        assert!(!allowed.is_empty(), "a dead end after {}", String::from_utf8_lossy(&text));
        if text.len() >= limit {
            return None;
        }
        let byte = choose(&allowed);
        matcher.consume_token(u32::from(byte)).unwrap();
        text.push(byte);
    }
    Some(String::from_utf8(text).unwrap())
}
