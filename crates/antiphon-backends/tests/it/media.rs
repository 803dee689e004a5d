//! Media on their way to a worker that takes them: their places, their tokens, and what is refused.

use std::sync::Arc;

use antiphon_backends::{Llama, Opened, Opener, Projector};
use antiphon_engine::{
    Backend as _, BackendError, Media, MediaKind, Message, ModelRequest, ModelTurn, Part, PreparedMedium, Resume, Trace,
};
use antiphon_wire::{Data, MediaOptions, Resolution};
use antiphon_worker::protocol::Shape;
use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use pretty_assertions::assert_eq;

use crate::llama::{Turn, llama_with, request, turn};

/// Knows pictures by their first byte, and pictures of `x` as broken; one whose sides are 1,024 unless it is to be looked
/// at less closely are 4 by 3 pixels.
struct Plain;

#[async_trait]
impl Opener for Plain {
    async fn image(&self, image: &Media, side: u32) -> Result<Opened, BackendError> {
        let colour = image.data.bytes().unwrap()[0];
        if colour == b'x' {
            return Err(BackendError::Rejected("`input`: `data`: it cannot be decoded".to_owned()));
        }
        let shape = Shape::Image { width: side / 256, height: 3 };
        let (shape, size) = match colour {
            b'L' => (Shape::Image { width: 4000, height: 2000 }, 4000 * 2000 * 3),
            _ => (shape, shape.bytes()),
        };
        Ok(Opened { shape, data: vec![colour; size] })
    }

    async fn audio(&self, _: &Media) -> Result<Opened, BackendError> {
        Err(BackendError::Internal("nobody listens".to_owned()))
    }
}

fn seeing(file: &str) -> Llama {
    llama_with(Some(Projector { file: file.into(), opener: Arc::new(Plain) }), &[])
}

fn image(bytes: &str) -> Part {
    let data: Data = STANDARD.encode(bytes).into();
    Part::Media(Media::new(MediaKind::Image, "image/png", data))
}

fn text(text: &str) -> Part {
    Part::Text(text.to_owned())
}

async fn answer(llama: &Llama, request: ModelRequest) -> Result<Turn, BackendError> {
    let prepared = llama.prepare(&request).await?;
    turn(llama, request, prepared).await
}

async fn said(llama: &Llama, parts: Vec<Part>) -> String {
    answer(llama, request(vec![Message::User(parts)], 30)).await.unwrap().text
}

#[tokio::test]
async fn images_are_taken_once_the_worker_says_so() {
    let llama = seeing("some");
    assert!(!llama.takes(MediaKind::Image));
    llama.loaded().await.unwrap();
    assert_eq!(MediaKind::ALL.map(|kind| llama.takes(kind)), [true, false, false, false]);
    let blind = llama_with(None, &[]);
    blind.loaded().await.unwrap();
    assert_eq!(MediaKind::ALL.map(|kind| blind.takes(kind)), [false; 4]);

    let close = MediaOptions { resolution: Some(Resolution::High), ..MediaOptions::default() };
    assert_eq!(llama.honours(MediaKind::Image, &close), Ok(()));
    let sampled = MediaOptions { sample_rate: Some(8000), ..MediaOptions::default() };
    let refused = llama.honours(MediaKind::Image, &sampled).unwrap_err();
    assert!(refused.message.starts_with("`sample_rate`"), "{refused}");
    assert_eq!(llama.honours(MediaKind::Audio, &sampled), Ok(()));
}

#[tokio::test]
async fn an_image_is_counted_where_it_stands_and_decides_the_answer() {
    let llama = seeing("some");
    let parts = || vec![text("What is "), image("a"), text("and"), text("that?"), image("b")];
    let asked = request(vec![Message::User(parts())], 30);
    let prepared = llama.prepare(&asked).await.unwrap();
    let without = llama.prepare(&request(vec![Message::User(vec![text("What is and\nthat?")])], 30)).await.unwrap();
    assert_eq!(prepared.prompt, without.prompt, "the words are the same");
    let place = prepared.prompt.iter().position(|token| *token == u32::from(b'W')).unwrap();
    // Four by three, and two around them.
    let medium = |at| PreparedMedium { kind: MediaKind::Image, at: place + at, tokens: 14 };
    assert_eq!(prepared.media, [medium("What is ".len()), medium("What is and\nthat?".len())]);
    assert_eq!(prepared.input_tokens, without.input_tokens + 28);

    let whole = said(&llama, parts()).await;
    assert_eq!(whole, said(&llama, parts()).await);
    for other in [
        vec![text("What is "), image("b"), text("and"), text("that?"), image("a")],
        vec![image("a"), text("What is "), text("and"), text("that?"), image("b")],
        vec![text("What is and\nthat?")],
    ] {
        assert_ne!(whole, said(&llama, other).await);
    }
}

#[tokio::test]
async fn a_resolution_is_how_many_pixels_there_are() {
    let llama = seeing("some");
    let mut tokens = Vec::new();
    let resolutions = [None, Some(Resolution::Low), Some(Resolution::High), Some(Resolution::UltraHigh)];
    for resolution in resolutions {
        let Part::Media(mut media) = image("a") else { panic!("it is a medium") };
        media.options.resolution = resolution;
        let asked = request(vec![Message::User(vec![Part::Media(media)])], 30);
        tokens.push(llama.prepare(&asked).await.unwrap().media[0].tokens);
    }
    assert_eq!(tokens, [4 * 3 + 2, 2 * 3 + 2, 6 * 3 + 2, 8 * 3 + 2]);
}

#[tokio::test]
async fn the_next_turn_goes_on_behind_the_image_and_a_cut_one_too() {
    let llama = seeing("some");
    let first = request(vec![Message::User(vec![image("a"), text("What is that?")])], 30);
    let prepared = llama.prepare(&first).await.unwrap();
    let said = turn(&llama, first.clone(), prepared.clone()).await.unwrap();

    let half = said.tokens[..said.tokens.len() / 2].to_vec();
    let trace = Trace { fingerprint: prepared.fingerprint.clone(), tokens: half };
    let cut = ModelRequest { resume: Some(Resume { trace, thought_tokens: 0 }), ..first.clone() };
    let rest = turn(&llama, cut, prepared.clone()).await.unwrap();
    assert_eq!(rest.text, said.text);

    let trace = Trace { fingerprint: prepared.fingerprint, tokens: said.tokens.clone() };
    let answered = Message::Model(ModelTurn { trace: Some(trace), ..ModelTurn::text(said.text) });
    let messages = [&first.messages[..], &[answered, Message::user("And now?")]].concat();
    let next = answer(&llama, request(messages, 30)).await.unwrap();
    assert!(next.cached >= prepared.input_tokens + said.tokens.len() as u64 - 1, "{}", next.cached);
}

#[tokio::test]
async fn media_that_cannot_be_used_are_refused_by_name() {
    let llama = seeing("some");
    let refused = async |llama: &Llama, parts: Vec<Part>| {
        let error = llama.prepare(&request(vec![Message::User(parts)], 30)).await.unwrap_err();
        error.to_string()
    };
    let broken = refused(&llama, vec![image("x"), text("?")]).await;
    assert_eq!(broken, "`input`: `data`: it cannot be decoded");
    let large = refused(&llama, vec![image("L"), image("L"), text("?")]).await;
    assert!(large.contains("more than 46137344 bytes"), "{large}");
    let many = (0..150).map(|_| image("a")).collect();
    let long = refused(&llama, many).await;
    assert!(long.contains("the input has") && long.contains("context is 2048"), "{long}");
    let blind = refused(&llama_with(None, &[]), vec![image("a")]).await;
    assert_eq!(blind, "`input`: the model takes no image input");
}

#[tokio::test]
async fn a_projector_that_is_none_is_said_aloud() {
    let BackendError::Unavailable(why) = seeing("none").loaded().await.unwrap_err() else { panic!("it is away") };
    assert_eq!(why, "Model `toy` could not be loaded: the projector is none");
}
