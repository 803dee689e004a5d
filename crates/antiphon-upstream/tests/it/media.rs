//! Media reach the services that take them bit by bit, whether they came inline or by address, and
//! how they are to be read goes with them. What a service does not take, it never sees.

use antiphon_upstream::{Flavor, ImagesFlavor, ProtocolKind};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use pretty_assertions::assert_eq;
use serde_json::{Value, json};

use crate::table::{Column, upstream};

const OPENAI: ProtocolKind = ProtocolKind::Chat(Flavor::OpenAi);

/// Each kind of service, and the kinds of media that it takes.
const SERVICES: [(&str, ProtocolKind, &[&str]); 11] = [
    ("openai", OPENAI, &["image", "audio", "document"]),
    ("vllm", ProtocolKind::Chat(Flavor::Vllm), &["image", "audio", "video"]),
    ("sglang", ProtocolKind::Chat(Flavor::Sglang), &["image", "audio"]),
    ("llama-server", ProtocolKind::Chat(Flavor::LlamaServer), &["image", "audio"]),
    ("ollama", ProtocolKind::Chat(Flavor::Ollama), &["image", "audio"]),
    ("lm-studio", ProtocolKind::Chat(Flavor::LmStudio), &["image", "audio"]),
    ("openai_responses", ProtocolKind::Responses, &["image", "document"]),
    ("anthropic", ProtocolKind::Anthropic, &["image", "document"]),
    ("gemini", ProtocolKind::Gemini, &["image", "audio", "video", "document"]),
    ("gemini_interactions", ProtocolKind::Interactions, &["image", "audio", "video", "document"]),
    ("openai_images", ProtocolKind::Images(ImagesFlavor::OpenAi), &[]),
];

const MEDIA: [(&str, &str); 4] =
    [("image", "image/png"), ("audio", "audio/wav"), ("video", "video/mp4"), ("document", "application/pdf")];

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

fn asking(part: &Value) -> Value {
    json!({"model": "gemini-3.5-flash", "input": [part, {"type": "text", "text": "What?"}]})
}

/// That a request is refused with these words, and nothing of it was sent.
async fn refused(column: &Column, body: Value, words: &str) {
    let refusal = column.try_send(body).await.unwrap_err();
    assert_eq!(refusal.code.as_str(), "invalid_request", "{}", column.name);
    assert!(refusal.message.contains(words), "{}: {} has no {words}", column.name, refusal.message);
    assert_eq!(column.reached(), None, "{}: {words}", column.name);
}

#[tokio::test]
async fn every_service_gets_the_bytes_that_came_or_nothing() {
    let every: Vec<u8> = (0..=u8::MAX).cycle().take(100_003).collect();
    for (name, protocol, takes) in SERVICES {
        let column = upstream(name, protocol, matches!(protocol, ProtocolKind::Images(_))).await;
        for (kind, mime_type) in MEDIA {
            let inline = json!({"type": kind, "mime_type": mime_type, "data": STANDARD.encode(&every)});
            let fetched = json!({"type": kind, "mime_type": mime_type, "uri": "https://example.com/what-stands-there"});
            for (part, expected) in [(inline, every.as_slice()), (fetched, b"what-stands-there")] {
                if matches!(protocol, ProtocolKind::Images(_)) && kind == "image" {
                    // It goes as a file of a form, which has a suite of its own.
                    continue;
                }
                if !takes.contains(&kind) {
                    refused(&column, asking(&part), mime_type).await;
                    continue;
                }
                let sent = column.try_send(asking(&part)).await.unwrap().unwrap();
                let mut found = Vec::new();
                media(&sent, &mut found);
                assert_eq!(found.iter().filter(|bytes| *bytes == expected).count(), 1, "{name} {kind}");
            }
        }
    }
}

#[tokio::test]
async fn how_a_medium_is_to_be_read_goes_to_services_that_know_it_and_is_refused_for_others() {
    let offsets = json!({"type": "static", "start_offset": "1.500s", "end_offset": "4s"});
    let frames = json!({"type": "static", "start_offset": "1.500s", "end_offset": "4s", "fps": 2.0});
    let layers = json!({"type": "static", "content_layers": ["frames", "audio"]});
    let pages = json!({"type": "static", "page_options": {"start_page": 2, "end_page": 3}});
    let options = [
        ("image", json!({"resolution": "low"}), "resolution"),
        ("image", json!({"resolution": "medium"}), "resolution"),
        ("image", json!({"resolution": "ultra_high"}), "resolution"),
        ("video", json!({"processing": frames}), "processing.start_offset"),
        ("video", json!({"processing": layers}), "processing.content_layers"),
        ("audio", json!({"processing": offsets}), "processing.start_offset"),
        ("audio", json!({"sample_rate": 8000, "channels": 1}), "sample_rate"),
        ("document", json!({"processing": pages}), "processing.page_options"),
    ];
    for (name, protocol, takes) in SERVICES {
        let column = upstream(name, protocol, matches!(protocol, ProtocolKind::Images(_))).await;
        for (kind, given, option) in options.iter().filter(|(kind, ..)| takes.contains(kind)) {
            let mime_type = MEDIA.iter().find(|(known, _)| known == kind).unwrap().1;
            let mut part = json!({"type": kind, "mime_type": mime_type, "data": "AAECAwQF"});
            part.as_object_mut().unwrap().extend(given.as_object().unwrap().clone());
            let low = given["resolution"] == "low";
            let expected = match (protocol, *kind) {
                (ProtocolKind::Interactions, _) => Some(("/input/0/content/0", part.clone())),
                (OPENAI, "image") if low => Some(("/messages/0/content/0/image_url/detail", json!("low"))),
                (ProtocolKind::Responses, "image") if low => Some(("/input/0/content/0/detail", json!("low"))),
                (ProtocolKind::Gemini, "image") => {
                    let level = given["resolution"].as_str().unwrap().to_uppercase();
                    let level = json!({"level": format!("MEDIA_RESOLUTION_{level}")});
                    Some(("/contents/0/parts/0/mediaResolution", level))
                }
                (ProtocolKind::Gemini, "video") if *option == "processing.start_offset" => {
                    let read = json!({"startOffset": "1.500s", "endOffset": "4s", "fps": 2.0});
                    Some(("/contents/0/parts/0/videoMetadata", read))
                }
                _ => None,
            };
            match expected {
                Some((pointer, value)) => {
                    let sent = column.try_send(asking(&part)).await.unwrap().unwrap();
                    assert_eq!(sent.pointer(pointer), Some(&value), "{name} {kind} {given}");
                }
                None => refused(&column, asking(&part), &format!("`input[0].content[0].{option}`")).await,
            }
        }
    }
}
