//! Every kind of content, what the model reads of it, and what the wire shows.

use antiphon_mcp::{McpContent, McpErrorKind, McpResult, McpServers, text_for_model, wire_result};
use pretty_assertions::assert_eq;
use proptest::prelude::*;
use rmcp::model::{CallToolResult, ContentBlock, Resource, ResourceContents};
use serde_json::{Value, json};

use crate::servers::{KINDS, Server, options, servers};

/// A picture of eight bytes.
const DATA: &str = "iVBORw0KGgo=";

async fn called(server: &Server, result: CallToolResult) -> Result<McpResult, antiphon_mcp::McpError> {
    *server.state.result.lock().unwrap() = Some(result);
    let opened = servers().open("project-1", server.spec()).await.unwrap();
    opened.call("answer", serde_json::Map::new()).await
}

fn every_kind() -> Vec<ContentBlock> {
    let link = Resource::new("file:///a.txt", "a.txt").with_description("A file").with_mime_type("text/plain");
    vec![
        ContentBlock::text("hello"),
        ContentBlock::image(DATA, "image/PNG"),
        ContentBlock::audio(DATA, "audio/wav; rate=8000"),
        ContentBlock::resource_link(link),
        ContentBlock::embedded_text("file:///b.txt", "inside"),
        ContentBlock::resource(ResourceContents::blob(DATA, "file:///c.pdf").with_mime_type("application/pdf")),
        ContentBlock::resource(ResourceContents::blob("iVBORw0KGgo", "file:///d")),
    ]
}

#[tokio::test]
async fn every_kind_of_content_comes_through() {
    let expected = McpResult {
        content: vec![
            McpContent::Text("hello".to_owned()),
            McpContent::Image { data: DATA.to_owned(), mime_type: "image/png".to_owned() },
            McpContent::Audio { data: DATA.to_owned(), mime_type: "audio/wav".to_owned() },
            McpContent::ResourceLink {
                uri: "file:///a.txt".to_owned(),
                name: "a.txt".to_owned(),
                description: Some("A file".to_owned()),
                mime_type: Some("text/plain".to_owned()),
            },
            McpContent::EmbeddedText {
                uri: "file:///b.txt".to_owned(),
                text: "inside".to_owned(),
                mime_type: Some("text/plain".to_owned()),
            },
            McpContent::EmbeddedBlob {
                uri: "file:///c.pdf".to_owned(),
                data: DATA.to_owned(),
                mime_type: Some("application/pdf".to_owned()),
            },
            McpContent::EmbeddedBlob { uri: "file:///d".to_owned(), data: DATA.to_owned(), mime_type: None },
        ],
        structured: None,
        is_error: false,
    };
    for kind in KINDS {
        let server = Server::real(kind).await;
        let result = called(&server, CallToolResult::success(every_kind())).await.unwrap();
        assert_eq!(result, expected, "{kind:?}");
    }
    assert_eq!(
        text_for_model(&expected, 1_000),
        "hello\n[image, image/png, 8 bytes]\n[audio, audio/wav, 8 bytes]\n\
         [link to a.txt, file:///a.txt, text/plain]: A file\n[file:///b.txt]\ninside\n\
         [file file:///c.pdf, application/pdf, 8 bytes]\n[file file:///d, unknown kind, 8 bytes]"
    );
    assert_eq!(
        wire_result(&expected),
        json!([
            {"type": "text", "text": "hello"},
            {"type": "image", "data": DATA, "mime_type": "image/png"},
            {"type": "audio", "data": DATA, "mime_type": "audio/wav"},
            {"type": "text", "text": "[link to a.txt, file:///a.txt, text/plain]: A file"},
            {"type": "text", "text": "[file:///b.txt]\ninside"},
            {"type": "document", "data": DATA, "mime_type": "application/pdf"},
            {"type": "document", "data": DATA, "mime_type": "application/octet-stream"},
        ])
    );
}

#[tokio::test]
async fn a_tool_that_failed_says_so_in_its_result() {
    for kind in KINDS {
        let server = Server::real(kind).await;
        let failed = CallToolResult::error(vec![ContentBlock::text("no such file")]);
        let result = called(&server, failed).await.unwrap();
        let expected =
            McpResult { content: vec![McpContent::Text("no such file".to_owned())], structured: None, is_error: true };
        assert_eq!(result, expected, "{kind:?}");
        assert_eq!(text_for_model(&result, 1_000), "The tool failed:\nno such file");
        assert_eq!(wire_result(&result), json!("no such file"));
    }
}

#[tokio::test]
async fn structured_content_comes_through() {
    for kind in KINDS {
        let server = Server::real(kind).await;
        let value = json!({"temperature": 21.5, "wind": [1, 2]});
        let result = called(&server, CallToolResult::structured(value.clone())).await.unwrap();
        assert_eq!(result.structured, Some(value.clone()), "{kind:?}");
        assert_eq!(wire_result(&result), value);
        assert_eq!(text_for_model(&result, 1_000), value.to_string());
    }
}

#[tokio::test]
async fn a_result_beyond_its_bounds_is_refused() {
    let check = |content: Vec<ContentBlock>, expected: McpErrorKind, detail: &'static str| async move {
        let server = Server::real(KINDS[1]).await;
        *server.state.result.lock().unwrap() = Some(CallToolResult::success(content));
        let mut options = options();
        options.bounds.parts = 3;
        options.bounds.text_bytes = 100;
        options.bounds.media_bytes = 8;
        let opened = McpServers::new(options).open("project-1", server.spec()).await.unwrap();
        let error = opened.call("answer", serde_json::Map::new()).await.unwrap_err();
        assert_eq!((error.kind.clone(), error.detail()), (expected, detail));
    };
    let text = |length: usize| ContentBlock::text("x".repeat(length));
    check(vec![text(1); 4], McpErrorKind::TooLarge, "a result: its parts").await;
    check(vec![text(101)], McpErrorKind::TooLarge, "a result: a text").await;
    check(vec![ContentBlock::image("AAAAAAAAAAAA", "image/png")], McpErrorKind::TooLarge, "a result: a file").await;
    check(vec![ContentBlock::image("AAAAAAAAAAAAAAAA", "image/png")], McpErrorKind::TooLarge, "a result: a file").await;
    check(
        vec![ContentBlock::image("<script>", "image/png")],
        McpErrorKind::Protocol,
        "a result: data that is no base64",
    )
    .await;
    check(vec![ContentBlock::image(DATA, "png\r\n")], McpErrorKind::Protocol, "a result: media of no kind").await;
    let far = ContentBlock::embedded_text("x".repeat(5_000), "");
    check(vec![far], McpErrorKind::TooLarge, "a result: an address").await;
}

#[test]
fn the_model_reads_structured_content_where_there_is_no_text() {
    let check = |content: Vec<McpContent>, structured: Option<Value>, text: &str, wire: Value| {
        let result = McpResult { content, structured, is_error: false };
        assert_eq!((text_for_model(&result, 1_000).as_str(), wire_result(&result)), (text, wire));
    };
    let text = |text: &str| McpContent::Text(text.to_owned());
    let image = || McpContent::Image { data: DATA.to_owned(), mime_type: "image/png".to_owned() };
    check(vec![], None, "(nothing)", json!(""));
    check(vec![text("a"), text("b")], None, "a\nb", json!("a\nb"));
    check(vec![], Some(json!([1])), "[1]", json!("[1]"));
    check(vec![], Some(json!({"a": 1})), r#"{"a":1}"#, json!({"a": 1}));
    check(vec![text("one")], Some(json!({"a": 1})), "one", json!({"a": 1}));
    check(vec![text("one")], Some(json!(null)), "one", json!("one"));
    check(
        vec![image()],
        Some(json!({"a": 1})),
        "{\"a\":1}\n[image, image/png, 8 bytes]",
        json!([{"type": "image", "data": DATA, "mime_type": "image/png"}]),
    );
}

#[test]
fn a_cut_is_said() {
    let result = McpResult { content: vec![McpContent::Text("é".repeat(100))], structured: None, is_error: false };
    assert_eq!(text_for_model(&result, 100), "é".repeat(100));
    assert_eq!(text_for_model(&result, 50), format!("{}\n[cut: 100 characters in all]", "é".repeat(21)));
}

proptest! {
    #[test]
    fn the_model_never_reads_more_than_its_budget(texts in prop::collection::vec(".{0,60}", 0..6), most in 0_usize..200) {
        let content: Vec<_> = texts.into_iter().map(McpContent::Text).collect();
        let result = McpResult { content, structured: None, is_error: false };
        let (whole, shown) = (text_for_model(&result, usize::MAX), text_for_model(&result, most));
        prop_assert!(shown.chars().count() <= most);
        if whole.chars().count() <= most {
            prop_assert_eq!(shown, whole);
        }
    }
}
