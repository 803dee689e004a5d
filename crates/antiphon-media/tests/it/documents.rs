//! Documents: what is accepted, what is refused by its field, and what is read.

use antiphon_engine::{Derived, MediaKind, Medium, Perceiver as _, Route};
use antiphon_media::SensesOptions;
use pretty_assertions::assert_eq;
use serde_json::json;

use crate::world::{World, medium, processed};

fn document(mime_type: &str, bytes: &[u8]) -> Medium {
    medium(MediaKind::Document, mime_type, bytes)
}

async fn read(world: &World, mut medium: Medium) -> String {
    medium.mime_type = world.senses.accept(&medium, Route::Perceive).await.unwrap().mime_type;
    world.senses.perceive(&medium).await.unwrap().text.trim().to_owned()
}

#[tokio::test]
async fn text_is_read_in_its_charset_and_markup_without_its_marks() {
    let world = World::new().await;
    let utf_16: Vec<u8> = [0xff, 0xfe].into_iter().chain("São".encode_utf16().flat_map(u16::to_le_bytes)).collect();
    for (medium, text) in [
        (document("text/plain", "São Paulo".as_bytes()), "São Paulo"),
        (document("text/plain; charset=windows-1252", b"S\xe3o \x80"), "São €"),
        (document("text/plain", &utf_16), "São"),
        (document("", b"plain words"), "plain words"),
        (document("application/json", b"{\"a\": 1}"), "{\"a\": 1}"),
        (document("text/markdown", b"# Head"), "# Head"),
        (document("text/html", b"<p>one</p><script>two()</script>"), "one"),
        (document("text/plain", b" "), "(There is no text in it.)"),
    ] {
        assert_eq!(read(&world, medium.clone()).await, text, "{medium:?}");
    }
    let table = "| city | people |\n|---|---|\n| Rome | 3 |";
    assert_eq!(read(&world, document("text/csv", b"city,people\nRome,3")).await, table);
    let second = processed("text/csv", b"a,b\nc,d", json!({"spreadsheet_options": {"visible_cells": "B1:B2"}}));
    let text = read(&world, second).await;
    assert!(text.contains('b') && text.contains('d') && !text.contains('a'), "{text}");
}

#[tokio::test]
async fn what_is_not_read_is_refused_by_its_field() {
    let world = World::new().await;
    for (medium, says) in [
        (
            document("text/plain", b"\x89PNG\r\n\x1a\n"),
            "`mime_type`: it says `text/plain`, and the data are `image/png`",
        ),
        (
            document("application/x-tar", b"\x1f\x8b"),
            "`mime_type`: it says `application/x-tar`, and the data are `application/gzip`",
        ),
        (processed("text/plain", b"a", json!({"page_options": {"start_page": 1}})), "`processing.page_options`"),
        (
            processed("text/plain", b"a", json!({"spreadsheet_options": {"sheet_index": 1}})),
            "`processing.spreadsheet_options`",
        ),
        (
            medium(MediaKind::Image, "image/png", b"%PDF-1.7"),
            "`mime_type`: it says `image/png`, and the data are `application/pdf`",
        ),
        (document("application/msword", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"), "`mime_type`: documents of type"),
        (document("application/pdf", b"%PDF-1.7"), "`data`: the document could not be decoded as application/pdf"),
        (
            medium(MediaKind::Image, "image/png", b"\x89PNG\r\n\x1a\n"),
            "the model takes no image input, and what would read it is not installed; `antiphon models pull \
             ppocr-v6-small` installs it",
        ),
        (
            medium(MediaKind::Audio, "audio/wav", b"RIFF\0\0\0\0WAVE"),
            "the model takes no audio input, and what would read it is not installed; `antiphon models pull \
             whisper-base` installs it",
        ),
        (medium(MediaKind::Video, "video/mp4", b"\0\0\0\x18ftypisom"), "the model takes no video input"),
    ] {
        let error = world.senses.accept(&medium, Route::Perceive).await.unwrap_err();
        assert!(error.message.starts_with(says), "{}", error.message);
    }
    let closed = World::with(SensesOptions { perceives: false, ..SensesOptions::default() }).await;
    let error = closed.senses.accept(&document("text/plain", b"a"), Route::Perceive).await.unwrap_err();
    assert_eq!(error.message, "the model takes no document input");
}

#[tokio::test]
async fn a_model_that_takes_a_kind_gets_it_with_its_right_type_or_not_at_all() {
    let world = World::new().await;
    let native = |medium: Medium| {
        let senses = &world.senses;
        async move {
            senses
                .accept(&medium, Route::Native)
                .await
                .map(|accepted| accepted.mime_type)
                .map_err(|error| error.message)
        }
    };
    assert_eq!(native(medium(MediaKind::Video, "", b"\0\0\0\x18ftypisom")).await, Ok("video/mp4".to_owned()));
    assert_eq!(
        native(document("image/png", b"%PDF-1.7")).await,
        Err("`mime_type`: it says `image/png`, and the data are `application/pdf`".to_owned(),)
    );
}

#[tokio::test]
async fn what_was_read_before_takes_no_time() {
    let world = World::new().await;
    let medium = document("text/plain", b"once");
    world.senses.accept(&medium, Route::Perceive).await.unwrap();
    let first = world.senses.perceive(&medium).await.unwrap();
    assert!(first.seconds > 0.0, "it was read when it was accepted");
    assert_eq!(world.senses.perceive(&medium).await.unwrap(), Derived { seconds: 0.0, ..first });
}
