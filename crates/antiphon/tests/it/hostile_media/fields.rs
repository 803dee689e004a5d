//! Parts that no bytes come with, or such as are no base64, and what stands beside them.

use serde_json::{Value, json};

use super::case::Case;

pub(crate) fn cases() -> Vec<Case> {
    let words = "d29yZHM=";
    let image = |data: &str| json!({"type": "image", "mime_type": "image/png", "data": data});
    let with = |field: &str, value: Value| {
        let mut part = json!({"type": "document", "mime_type": "text/plain", "data": words});
        part[field] = value;
        part
    };
    let base64 = |name, data: &str| Case::refused(name, image(data), "data", "expected bytes in base64: ");
    let typed = |name, mime_type: &str| {
        Case::refused(name, with("mime_type", json!(mime_type)), "mime_type", "expected the type of the data, as ")
    };
    vec![
        base64("letters that are not of base64", "aGVs*G8="),
        base64("base64 of the other alphabet", "_-8="),
        base64("base64 in lines", "aGVs\nbG8="),
        base64("base64 without its end", "aGVsbG8"),
        base64("base64 that ends in the middle", "aGU=aGU="),
        base64("base64 with bits to spare", "aGl="),
        Case::refused(
            "no bytes",
            image(""),
            "data",
            "expected the bytes in base64, or their address in `uri`; nothing came",
        ),
        Case::refused(
            "neither bytes nor an address",
            json!({"type": "audio", "mime_type": "audio/wav"}),
            "data",
            "nothing came",
        ),
        Case::refused(
            "both bytes and an address",
            with("uri", json!("https://example.com/a")),
            "data",
            "expected either this or `uri`, both came",
        ),
        Case::refused("a number for bytes", json!({"type": "video", "data": 7}), "data", "expected a string, got "),
        Case::refused(
            "a list for an address",
            json!({"type": "image", "uri": ["https://example.com"]}),
            "uri",
            "expected a string, got ",
        ),
        typed("a type with a line of its own", "text/plain\r\nX-Injected: yes"),
        typed("a type with a command", "text/plain$(touch /tmp/x)`id`"),
        typed("a type of ten thousand letters", &format!("text/{}", "x".repeat(10_000))),
        typed("a type that is none", "words"),
        Case::refused(
            "an image of a type that is none",
            json!({"type": "image", "mime_type": "text/html", "data": words}),
            "mime_type",
            "expected the type of the data, as `image/…`",
        ),
        Case::refused("a type that is an object", with("mime_type", json!({})), "mime_type", "expected a string, got "),
        Case::refused(
            "a resolution that there is not",
            with("resolution", json!("infinite")),
            "resolution",
            "expected ",
        ),
        Case::refused("a field that nobody knows", with("exec", json!("id")), "exec", ""),
        Case::refused(
            "pages that end before they begin",
            with("processing", json!({"type": "static", "page_options": {"start_page": 5, "end_page": 1}})),
            "processing.page_options",
            "",
        ),
        Case::refused(
            "a page before the first",
            with("processing", json!({"type": "static", "page_options": {"start_page": -1}})),
            "processing.page_options.start_page",
            "expected ",
        ),
        Case::refused(
            "an offset that is no time",
            json!({"type": "audio", "mime_type": "audio/wav", "data": words, "processing": {"type": "static", "start_offset": "1e999s"}}),
            "processing.start_offset",
            "expected ",
        ),
        Case::refused(
            "frames without end",
            json!({"type": "video", "mime_type": "video/mp4", "data": words, "processing": {"type": "static", "fps": 1e308}}),
            "processing.fps",
            "expected ",
        ),
        Case::refused(
            "cells that are none",
            with(
                "processing",
                json!({"type": "static", "spreadsheet_options": {"visible_cells": "A1:ZZZZZZZZZZ99999999999"}}),
            ),
            "processing.spreadsheet_options",
            "",
        ),
        Case::refused(
            "255 channels of samples",
            json!({"type": "audio", "mime_type": "audio/l16", "data": words, "channels": 255}),
            "channels",
            "expected ",
        ),
        Case::refused(
            "no samples a second",
            json!({"type": "audio", "mime_type": "audio/l16", "data": words, "sample_rate": 0}),
            "sample_rate",
            "expected ",
        ),
        Case::refused(
            "a film that is looked at by an agent",
            json!({"type": "video", "mime_type": "video/mp4", "data": words, "processing": "agentic"}),
            "processing",
            "",
        ),
    ]
}
