//! Pictures from services: what is asked of each of them, and what comes of its answers.

use antiphon_engine::{
    Backend as _, BackendError, FinishReason, Media, MediaKind, Message, ModelEvent, ModelRequest, ModelTurn, Part,
    Prepared, Said, Signature, Thought, WantedPicture,
};
use antiphon_upstream::{Capabilities, ImagesFlavor, PictureSizes, ProtocolKind, Upstream, UpstreamOptions};
use antiphon_wire::{AspectRatio, Delivery, GenerationConfig, ImageFormat, ImageSize, ImageType};
use futures_util::StreamExt as _;
use pretty_assertions::assert_eq;
use serde_json::{Value, json};

use crate::service::{Does, Service, options, request};

const OPENAI: ProtocolKind = ProtocolKind::Images(ImagesFlavor::OpenAi);
const COMPATIBLE: ProtocolKind = ProtocolKind::Images(ImagesFlavor::Compatible);
const ALL: [ProtocolKind; 3] = [OPENAI, ProtocolKind::Gemini, ProtocolKind::Interactions];

fn upstream(service: &Service, protocol: ProtocolKind) -> Upstream {
    let sizes = vec![(1024, 1024), (1536, 1024), (1024, 1536)];
    let capabilities = Capabilities {
        media: vec![MediaKind::Image],
        draws: true,
        picture_sizes: if protocol == OPENAI { PictureSizes::These(sizes) } else { PictureSizes::Any },
        ..Capabilities::default()
    };
    Upstream::new(UpstreamOptions { protocol, capabilities, ..options(vec![service.url.clone()]) }).unwrap()
}

fn wanted(format: ImageFormat, words: Option<bool>) -> ModelRequest {
    ModelRequest {
        system_instruction: Some("Use ink.".to_owned()),
        picture: WantedPicture { format, words },
        ..request("A tree")
    }
}

fn landscape() -> ImageFormat {
    ImageFormat {
        aspect_ratio: Some(AspectRatio::ThreeTwo),
        image_size: Some(ImageSize::One),
        mime_type: Some(ImageType::Jpeg),
        delivery: Delivery::Uri,
    }
}

fn picture(data: &str) -> Media {
    Media::new(MediaKind::Image, "image/png", data.into())
}

fn json_answer(body: &Value) -> Does {
    Does::Answers(200, "content-type: application/json\r\n", body.to_string())
}

fn events(events: &[Value]) -> Does {
    Does::Sends(events.iter().map(|event| format!("data: {event}\n\n")).collect::<String>().into_bytes())
}

/// What a service says that has made a picture, with words before it where it has them.
fn made(protocol: ProtocolKind) -> Does {
    match protocol {
        ProtocolKind::Gemini => events(&[
            json!({"candidates": [{"content": {"parts": [{"text": "Here:"}]}}]}),
            json!({"candidates": [{"content": {"parts": [
                {"inlineData": {"mimeType": "image/png", "data": "aGk="}, "thoughtSignature": "c2ln"}]},
                "finishReason": "STOP"}],
                "usageMetadata": {"promptTokenCount": 5, "candidatesTokenCount": 1290}}),
        ]),
        ProtocolKind::Interactions => events(&[
            json!({"event_type": "step.start", "index": 0, "step": {"type": "model_output"}}),
            json!({"event_type": "step.delta", "index": 0, "delta": {"type": "text", "text": "Here:"}}),
            json!({"event_type": "step.delta", "index": 0, "delta":
                {"type": "image", "data": "aGk=", "mime_type": "image/png"}}),
            json!({"event_type": "step.stop", "index": 0}),
            json!({"event_type": "interaction.completed", "interaction": {"status": "completed",
                "usage": {"total_input_tokens": 5, "total_output_tokens": 1290}}}),
        ]),
        _ => json_answer(&json!({"created": 1, "data": [{"b64_json": "aGk=", "revised_prompt": "x"}],
            "usage": {"input_tokens": 5, "output_tokens": 1290, "total_tokens": 1295}})),
    }
}

/// What is asked of a service: the first line of the request, and its body.
async fn asked(protocol: ProtocolKind, request: ModelRequest) -> (String, Value) {
    let service = Service::start(vec![made(protocol)]).await;
    let upstream = upstream(&service, protocol);
    upstream.prepare(&request).await.unwrap();
    let mut answer = upstream.generate(request, Prepared::default()).await.unwrap();
    while let Some(event) = answer.next().await {
        event.unwrap();
    }
    let (head, body) = service.requests().pop().unwrap();
    assert!(head.contains("sk-planted"), "the key goes along");
    (head.lines().next().unwrap().to_owned(), body)
}

async fn refusal(protocol: ProtocolKind, request: &ModelRequest) -> String {
    let service = Service::start(vec![made(protocol)]).await;
    match upstream(&service, protocol).prepare(request).await {
        Err(BackendError::Rejected(message)) => message,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn every_service_is_asked_for_the_shape_in_its_own_words() {
    let (line, body) = asked(OPENAI, wanted(landscape(), Some(false))).await;
    assert_eq!(line, "post /v1/images/generations http/1.1");
    let expected = json!({"model": "m", "prompt": "Use ink.\n\nA tree", "n": 1, "size": "1536x1024",
        "output_format": "jpeg"});
    assert_eq!(body, expected);
    let (_, body) = asked(COMPATIBLE, wanted(landscape(), None)).await;
    let expected = json!({"model": "m", "prompt": "Use ink.\n\nA tree", "n": 1, "size": "1264x848",
        "response_format": "b64_json"});
    assert_eq!(body, expected);
    let (line, body) = asked(ProtocolKind::Gemini, wanted(landscape(), Some(false))).await;
    assert_eq!(line, "post /v1/models/m:streamgeneratecontent?alt=sse http/1.1");
    assert_eq!(body["generationConfig"]["responseModalities"], json!(["IMAGE"]));
    assert_eq!(body["generationConfig"]["imageConfig"], json!({"aspectRatio": "3:2", "imageSize": "1K"}));
    let (_, body) = asked(ProtocolKind::Gemini, wanted(landscape(), Some(true))).await;
    assert_eq!(body["generationConfig"]["responseModalities"], json!(["TEXT", "IMAGE"]));
    let image = json!({"type": "image", "aspect_ratio": "3:2", "image_size": "1K", "mime_type": "image/jpeg"});
    let (_, body) = asked(ProtocolKind::Interactions, wanted(landscape(), Some(false))).await;
    assert_eq!(body["response_format"], image);
    let (_, body) = asked(ProtocolKind::Interactions, wanted(landscape(), Some(true))).await;
    assert_eq!(body["response_format"], json!([{"type": "text"}, image]));
}

#[tokio::test]
async fn what_the_request_does_not_say_is_left_to_the_service() {
    let (_, body) = asked(OPENAI, wanted(ImageFormat::default(), None)).await;
    assert_eq!(body, json!({"model": "m", "prompt": "Use ink.\n\nA tree", "n": 1}));
    let (_, body) = asked(ProtocolKind::Gemini, wanted(ImageFormat::default(), None)).await;
    assert_eq!(body["generationConfig"], json!({"maxOutputTokens": 100}));
    let (_, body) = asked(ProtocolKind::Interactions, wanted(ImageFormat::default(), None)).await;
    assert_eq!(body.get("response_format"), None);
}

#[tokio::test]
async fn a_picture_comes_with_its_words_and_its_cost() {
    for protocol in ALL {
        let service = Service::start(vec![made(protocol)]).await;
        let answer = upstream(&service, protocol).generate(wanted(landscape(), None), Prepared::default()).await;
        let events: Vec<_> = answer.unwrap().map(Result::unwrap).collect().await;
        let shown: Vec<_> = events
            .iter()
            .filter(|event| {
                matches!(event, ModelEvent::Text { .. } | ModelEvent::Picture(_) | ModelEvent::Finished { .. })
            })
            .cloned()
            .collect();
        let words = ModelEvent::Text { text: "Here:".to_owned(), tokens: Vec::new() };
        let end =
            ModelEvent::Finished { reason: FinishReason::Stop, exact: false, thought_tokens: 0, output_tokens: 1290 };
        let expected = [words, ModelEvent::Picture(picture("aGk=")), end];
        assert_eq!(shown, expected[usize::from(protocol == OPENAI)..], "{protocol:?}");
        let counted = |event: &&ModelEvent| matches!(event, ModelEvent::Counted { input_tokens: 5, .. });
        assert!(events.iter().any(|event| counted(&event)), "{protocol:?}: {events:?}");
    }
}

/// A picture was made, and is to be changed; `last` is what is said then.
fn change(last: Vec<Part>) -> ModelRequest {
    let thought = Thought {
        text: String::new(),
        signature: Some(Signature { origin: Some("gemini".to_owned()), value: "c2ln".to_owned() }),
    };
    let turn = ModelTurn { said: vec![Said::Thought(thought), Said::Picture(picture("aGk="))], trace: None };
    let messages = vec![Message::user("A tree"), Message::Model(turn), Message::User(last)];
    ModelRequest { messages, ..request("") }
}

#[tokio::test]
async fn an_earlier_picture_goes_back_to_be_changed() {
    let darker = || change(vec![Part::Text("Darker".to_owned())]);
    let (_, body) = asked(ProtocolKind::Gemini, darker()).await;
    let inline = json!({"mimeType": "image/png", "data": "aGk="});
    let part = json!({"inlineData": inline, "thoughtSignature": "c2ln"});
    assert_eq!(body["contents"][1], json!({"role": "model", "parts": [part]}));
    let (_, body) = asked(ProtocolKind::Interactions, darker()).await;
    let content = json!([{"type": "image", "data": "aGk=", "mime_type": "image/png"}]);
    assert_eq!(body["input"][1], json!({"type": "model_output", "content": content}));
    let (line, form) = asked(OPENAI, darker()).await;
    assert_eq!(line, "post /v1/images/edits http/1.1");
    let form = form.as_str().unwrap();
    let boundary = form.lines().next().unwrap();
    let field = |name: &str, value: &str| {
        format!("{boundary}\r\ncontent-disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
    };
    let file = format!(
        "{boundary}\r\ncontent-disposition: form-data; name=\"image\"; filename=\"picture-0.png\"\r\n\
         content-type: image/png\r\n\r\nhi\r\n"
    );
    // What was said before is in the picture.
    let parts = [field("model", "m"), field("n", "1"), field("prompt", "Darker"), file];
    assert!(parts.iter().all(|part| form.contains(part)), "{form}");
    assert_eq!(form.len(), parts.concat().len() + boundary.len() + "--\r\n".len(), "{form}");
    assert!(form.ends_with(&format!("\r\n{boundary}--\r\n")), "{form}");
    // With pictures of the user's own all of them go, under one name.
    let (_, form) = asked(OPENAI, change(vec![Part::Text("Add it".to_owned()), Part::Media(picture("aG8="))])).await;
    let form = form.as_str().unwrap();
    assert_eq!(form.matches("name=\"image[]\"").count(), 2);
    assert!(form.contains("picture-1.png\"\r\ncontent-type: image/png\r\n\r\nho\r\n"), "{form}");
}

#[tokio::test]
async fn what_a_service_cannot_make_is_refused_by_name() {
    let shape = |aspect_ratio, image_size| ImageFormat { aspect_ratio, image_size, ..ImageFormat::default() };
    for (format, field) in [
        (shape(Some(AspectRatio::TwentyOneNine), None), "`response_format.aspect_ratio`: "),
        (shape(None, Some(ImageSize::Four)), "`response_format.image_size`: "),
        (shape(Some(AspectRatio::ThreeTwo), Some(ImageSize::Half)), "`response_format.image_size`: "),
    ] {
        let message = refusal(OPENAI, &wanted(format, None)).await;
        assert!(message.starts_with(field) && message.contains("1536x1024"), "{message}");
    }
    for (generation, field) in [
        (GenerationConfig { temperature: Some(0.5), ..GenerationConfig::default() }, "temperature"),
        (GenerationConfig { seed: Some(1), ..GenerationConfig::default() }, "seed"),
        (GenerationConfig { max_output_tokens: Some(9), ..GenerationConfig::default() }, "max_output_tokens"),
    ] {
        let message = refusal(OPENAI, &ModelRequest { generation, ..request("A tree") }).await;
        assert!(message.starts_with(&format!("`generation_config.{field}`: ")), "{message}");
    }
    let sound = Media::new(MediaKind::Audio, "audio/wav", "aGk=".into());
    let heard = ModelRequest { messages: vec![Message::User(vec![Part::Media(sound)])], ..request("") };
    assert!(refusal(OPENAI, &heard).await.starts_with("`input`: "));
    let crowd = vec![Part::Media(picture("aGk=")); 17];
    assert!(refusal(OPENAI, &change(crowd)).await.starts_with("`input`: expected at most 16 pictures"));
    let silent = ModelRequest { messages: vec![Message::User(vec![Part::Media(picture("aGk="))])], ..request("") };
    assert!(refusal(OPENAI, &silent).await.starts_with("`input`: expected words"));
}

#[tokio::test]
async fn a_service_that_gives_no_picture_has_a_code_and_no_secret_gets_out() {
    let error = |message: &str, code: &str| json!({"error": {"message": message, "code": code}}).to_string();
    let answers = |status, body| Does::Answers(status, "content-type: application/json\r\n", body);
    for (does, expected) in [
        (answers(400, error("Your request was rejected, sk-planted", "moderation_blocked")), "safety"),
        (answers(400, error("size sk-planted", "invalid_value")), "invalid_request"),
        (answers(401, error("sk-planted", "invalid_api_key")), "service_unavailable"),
        (answers(429, error("slow down", "rate_limit")), "rate_limit_exceeded"),
        (answers(200, error("broken", "server_error")), "service_unavailable"),
        (answers(200, json!({"data": []}).to_string()), "no_image"),
        // An address of the service's choice is never fetched.
        (answers(200, json!({"data": [{"url": "http://169.254.169.254/latest"}]}).to_string()), "api_error"),
        (answers(200, "{\"data\": [{\"b64_json\": \"aG".to_owned()), "api_error"),
        (Does::Answers(200, "content-type: text/html\r\n", "<html>".to_owned()), "api_error"),
        (answers(200, format!("{{\"data\": [{{\"b64_json\": \"{}\"}}]}}", "A".repeat(49 << 20))), "api_error"),
    ] {
        let service = Service::start(vec![does]).await;
        let once = UpstreamOptions { attempts: 1, protocol: OPENAI, ..options(vec![service.url.clone()]) };
        let upstream = Upstream::new(once).unwrap();
        let failed = upstream.generate(request("A tree"), Prepared::default()).await.err().unwrap();
        let shown = format!("{failed:?}");
        let BackendError::Upstream { code, .. } = failed else { panic!("{shown}") };
        assert_eq!((code, service.count()), (expected, 1), "{shown}");
        assert!(!shown.contains("sk-planted"), "{shown}");
    }
    let elsewhere = json!({"type": "image", "uri": "http://169.254.169.254/x", "mime_type": "image/png"});
    for (protocol, event) in [
        (
            ProtocolKind::Interactions,
            json!({"event_type": "step.start", "index": 0, "step": {"type": "model_output", "content": [elsewhere]}}),
        ),
        (ProtocolKind::Interactions, json!({"event_type": "step.delta", "index": 0, "delta": elsewhere})),
        (
            ProtocolKind::Gemini,
            json!({"candidates": [{"content": {"parts": [{"inlineData": {"mimeType": "text/html", "data": "aGk="}}]}}]}),
        ),
    ] {
        let service = Service::start(vec![events(&[event])]).await;
        let failed = upstream(&service, protocol).generate(request("A tree"), Prepared::default()).await.err();
        assert!(matches!(failed, Some(BackendError::Upstream { code: "api_error", .. })), "{failed:?}");
    }
}

#[tokio::test]
async fn an_event_may_hold_a_large_picture() {
    let data = "A".repeat(9 << 20);
    let chunk = json!({"candidates": [{"content": {"parts": [
        {"inlineData": {"mimeType": "image/png", "data": data}}]}, "finishReason": "STOP"}]});
    let service = Service::start(vec![events(&[chunk])]).await;
    let answer = upstream(&service, ProtocolKind::Gemini).generate(request("A tree"), Prepared::default()).await;
    let pictures: Vec<_> = answer
        .unwrap()
        .filter_map(|event| async {
            match event.unwrap() {
                ModelEvent::Picture(picture) => Some(picture.data.size()),
                _ => None,
            }
        })
        .collect()
        .await;
    // Base64 of three bytes has four letters.
    assert_eq!(pictures, [data.len() as u64 / 4 * 3]);
}
