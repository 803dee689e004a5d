//! Media reach the services that take them bit by bit, whether they came inline or by address.

use antiphon_upstream::{Flavor, ProtocolKind};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use pretty_assertions::assert_eq;
use serde_json::{Value, json};

use crate::table::upstream;

/// The bytes of every text in a value that is base64, as it is or behind `data:…;base64,`.
fn media(value: &Value, found: &mut Vec<Vec<u8>>) {
    match value {
        Value::String(text) => {
            let data = text.split_once(";base64,").map_or(text.as_str(), |(_, data)| data);
            // Words are base64 too, now and then.
            found.extend(STANDARD.decode(data).ok().filter(|bytes| bytes.len() > 4));
        }
        Value::Array(items) => items.iter().for_each(|item| media(item, found)),
        Value::Object(fields) => fields.values().for_each(|field| media(field, found)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

#[tokio::test]
async fn every_service_gets_the_bytes_that_came() {
    let every: Vec<u8> = (0..=u8::MAX).cycle().take(100_003).collect();
    let kinds =
        [("image", "image/png"), ("audio", "audio/wav"), ("video", "video/mp4"), ("document", "application/pdf")];
    let protocols = [
        ("openai", ProtocolKind::Chat(Flavor::OpenAi), vec!["image", "audio", "document"]),
        ("openai_responses", ProtocolKind::Responses, vec!["image", "document"]),
        ("anthropic", ProtocolKind::Anthropic, vec!["image", "document"]),
        ("gemini", ProtocolKind::Gemini, vec!["image", "audio", "video", "document"]),
        ("gemini_interactions", ProtocolKind::Interactions, vec!["image", "audio", "video", "document"]),
    ];
    for (name, protocol, takes) in protocols {
        let column = upstream(name, protocol, false).await;
        for (kind, mime_type) in kinds {
            let inline = json!({"type": kind, "mime_type": mime_type, "data": STANDARD.encode(&every)});
            let fetched = json!({"type": kind, "mime_type": mime_type, "uri": "https://example.com/what-stands-there"});
            for (part, expected) in [(inline, every.as_slice()), (fetched, b"what-stands-there")] {
                let body = json!({"model": "gemini-3.5-flash", "input": [part, {"type": "text", "text": "What?"}]});
                let sent = column.send(body).await;
                if !takes.contains(&kind) {
                    assert_eq!(sent, Err("invalid_request".to_owned()), "{name} {kind}");
                    continue;
                }
                let mut found = Vec::new();
                media(&sent.unwrap().unwrap(), &mut found);
                assert!(found.iter().any(|bytes| bytes == expected), "{name} {kind}");
            }
        }
    }
}
