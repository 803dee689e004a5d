use pretty_assertions::assert_eq;
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::{Content, CreateInteraction, Step};

fn read(part: &Value) -> Result<Content, String> {
    let body = json!({"model": "m", "input": [{"type": "text", "text": "?"}, part]});
    let request = CreateInteraction::read(body).map_err(|error| error.message)?;
    let Step::UserInput(step) = &request.input[0] else { panic!("{request:?}") };
    Ok(step.content[1].clone())
}

#[test]
fn media_are_read_whole_and_written_as_they_were_read() {
    for part in [
        json!({"type": "image", "data": "aGk=", "mime_type": "image/png", "resolution": "ultra_high"}),
        json!({"type": "image", "data": "aGk="}),
        json!({"type": "document", "uri": "files/a-b", "mime_type": "text/csv",
            "processing": {"type": "static", "page_options": {"content_layers": ["page_text"], "start_page": 2},
                "spreadsheet_options": {"content_layers": ["data", "formulas"], "sheet_index": 1,
                    "visible_cells": "A1:AD1048576"}}}),
        json!({"type": "audio", "data": "aGk=", "mime_type": "audio/l16", "sample_rate": 8000, "channels": 2,
            "processing": {"type": "static", "start_offset": "1s", "end_offset": "10.500s"}}),
        json!({"type": "video", "uri": "https://example.com/a.mp4",
            "processing": {"type": "static", "fps": 0.5, "content_layers": ["frames", "transcript"]}}),
    ] {
        let content = read(&part).unwrap();
        assert_eq!(serde_json::to_value(&content).unwrap(), part);
        assert_eq!(serde_json::from_value::<Content>(part).unwrap(), content);
    }
}

#[test]
fn what_cannot_be_honoured_is_refused_by_its_field() {
    for (part, says) in [
        (json!({"type": "image"}), "`input[1].data`: expected the bytes in base64, or their address in `uri`"),
        (json!({"type": "image", "data": "aGk=", "uri": "files/a"}), "`input[1].data`: expected either this or `uri`"),
        (json!({"type": "image", "data": "a"}), "`input[1].data`: expected bytes in base64"),
        (json!({"type": "image", "data": "kept:a"}), "`input[0].content[1].data`: expected bytes in base64"),
        (json!({"type": "image", "data": "aG=k"}), "`input[1].data`: expected bytes in base64"),
        (
            json!({"type": "image", "data": "aGk=", "mime_type": "text/plain"}),
            "`input[1].mime_type`: expected the type",
        ),
        (
            json!({"type": "image", "data": "aGk=", "resolution": "best"}),
            "`input[1].resolution`: expected one of `low`",
        ),
        (json!({"type": "image", "data": "aGk=", "processing": "static"}), "`input[1].processing`: images have none"),
        (json!({"type": "audio", "data": "aGk=", "resolution": "low"}), "`input[1].resolution`: sound has none"),
        (json!({"type": "image", "data": "aGk=", "sample_rate": 1}), "`input[1].sample_rate`: of `audio` parts alone"),
        (
            json!({"type": "video", "data": "aGk=", "processing": "agentic"}),
            "`input[1].processing`: expected `static` or an object of that type, got `agentic`",
        ),
        (
            json!({"type": "audio", "data": "aGk=", "processing": {"start_offset": "9s", "end_offset": "9s"}}),
            "`input[1].processing.end_offset`: expected a place after `start_offset`",
        ),
        (
            json!({"type": "audio", "data": "aGk=", "processing": {"start_offset": "1e3s"}}),
            "`input[1].processing.start_offset`: expected seconds as `10.5s`",
        ),
        (json!({"type": "audio", "data": "aGk=", "processing": {"fps": 1}}), "`input[1].processing.fps`: unknown"),
        (
            json!({"type": "document", "data": "aGk=", "processing": {"page_options": {"start_page": 3, "end_page": 2}}}),
            "`input[1].processing.page_options.end_page`: expected no page before `start_page`",
        ),
        (
            json!({"type": "document", "data": "aGk=", "processing": {"page_options": {"content_layers": ["x"]}}}),
            "`input[1].processing.page_options.content_layers[0]`: expected one of `page_image`, `page_text`",
        ),
        (
            json!({"type": "document", "data": "aGk=",
                "processing": {"spreadsheet_options": {"visible_cells": "A0:B2"}}}),
            "`input[1].processing.spreadsheet_options.visible_cells`: expected a range as `A1:D10`",
        ),
    ] {
        let error = read(&part).unwrap_err();
        assert!(error.starts_with(says), "{part}: {error}");
    }
}

#[test]
fn what_was_given_by_address_is_shown_by_address_alone() {
    let shown = |media: Value| {
        let step: Step = serde_json::from_value(json!({"type": "user_input", "content": [media]})).unwrap();
        serde_json::to_value(step.shown()).unwrap()["content"][0].clone()
    };
    let inline = json!({"type": "image", "data": "aGk=", "mime_type": "image/png"});
    assert_eq!(shown(inline.clone()), inline);
    let mut fetched = inline;
    fetched["uri"] = json!("https://example.com/a");
    assert_eq!(shown(fetched), json!({"type": "image", "uri": "https://example.com/a", "mime_type": "image/png"}));
}

proptest! {
    #[test]
    fn data_are_accepted_exactly_when_they_decode(bytes in proptest::collection::vec(any::<u8>(), 1..200_000), cut in 0usize..300_000) {
        use base64::Engine as _;
        let whole = base64::engine::general_purpose::STANDARD.encode(bytes);
        let data = &whole[..cut.min(whole.len())];
        let decodes = base64::engine::general_purpose::STANDARD.decode(data).is_ok_and(|bytes| !bytes.is_empty());
        prop_assert_eq!(read(&json!({"type": "image", "data": data})).is_ok(), decodes);
    }
}
