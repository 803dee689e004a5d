use antiphon_engine::{Calls, MediaKind, Message, ModelTurn, Part, Said, WantedPicture};
use antiphon_wire::{AspectRatio, GenerationConfig, ImageFormat};
use pretty_assertions::assert_eq;

use super::*;

fn options() -> DiffusionOptions {
    DiffusionOptions {
        executable: "none".into(),
        arguments: Vec::new(),
        name: "tiny".to_owned(),
        weights: vec!["tiny.safetensors".to_owned()],
        steps: 4,
        guidance: 1.0,
        size: ImageSize::Half,
        largest: ImageSize::One,
        change: 0.5,
        time: Duration::from_secs(60),
        inspector: Painter { executable: "none".into(), arguments: Vec::new() },
    }
}

fn request(messages: Vec<Message>) -> ModelRequest {
    ModelRequest {
        scope: "project-1".to_owned(),
        system_instruction: None,
        tools: Vec::new(),
        calls: Calls::None,
        answer: None,
        grammar: None,
        picture: WantedPicture::default(),
        is_agent: false,
        research: None,
        thinking: None,
        messages,
        generation: GenerationConfig::default(),
        max_output_tokens: 100,
        seed: u64::MAX,
        resume: None,
    }
}

fn media(kind: MediaKind, data: &str) -> Media {
    Media::new(kind, "image/png", data.into())
}

fn with_picture(text: &str, data: &str) -> Message {
    Message::User(vec![Part::Text(text.to_owned()), Part::Media(media(MediaKind::Image, data))])
}

fn drawn(data: &str) -> Message {
    Message::Model(ModelTurn { said: vec![Said::Picture(media(MediaKind::Image, data))], trace: None })
}

fn read(request: &ModelRequest) -> Result<(Order, Option<antiphon_wire::Data>), String> {
    let read = order::read(request, &options()).map_err(|error| error.to_string());
    read.map(|(order, beginning)| (order, beginning.map(|picture| picture.data)))
}

#[test]
fn a_conversation_becomes_a_prompt_and_the_picture_that_it_ends_with() {
    let system_instruction = Some("In oil.".to_owned());
    let told = [Message::user("A lighthouse"), drawn("first"), Message::user(" Darker sky ")];
    for (messages, prompt, beginning) in [
        (&told[..1], "In oil.\nA lighthouse", None),
        (&told[..], "In oil.\nA lighthouse\nDarker sky", Some("first")),
        (&[with_picture("Red", "own")][..], "In oil.\nRed", Some("own")),
        (&[with_picture("Red", "own"), drawn("new"), Message::user("Blue")][..], "In oil.\nRed\nBlue", Some("new")),
        (&[drawn("old"), with_picture("Red", "own")][..], "In oil.\nRed", Some("own")),
    ] {
        let request = ModelRequest { system_instruction: system_instruction.clone(), ..request(messages.to_vec()) };
        let (order, picture) = read(&request).unwrap();
        assert_eq!((order.prompt.as_str(), picture), (prompt, beginning.map(antiphon_wire::Data::from)));
        assert_eq!((order.width, order.height, order.steps), (512, 512, 4));
        assert_eq!(order.check(), Ok(()), "a seed of 64 bits becomes one of the engine's");
    }
}

#[test]
fn shape_and_size_are_those_that_were_asked_for() {
    let format = ImageFormat { aspect_ratio: Some(AspectRatio::SixteenNine), ..ImageFormat::default() };
    for (image_size, pixels) in [(None, (688, 384)), (Some(ImageSize::One), (1376, 768))] {
        let format = ImageFormat { image_size, ..format };
        let request =
            ModelRequest { picture: WantedPicture { format, words: None }, ..request(vec![Message::user("A")]) };
        let (order, _) = read(&request).unwrap();
        assert_eq!((order.width, order.height), pixels);
    }
}

#[test]
fn what_cannot_be_honoured_is_refused_by_its_field() {
    let two = Message::User(vec![
        Part::Text("Mix".to_owned()),
        Part::Media(media(MediaKind::Image, "one")),
        Part::Media(media(MediaKind::Image, "two")),
    ]);
    let sound = Message::User(vec![Part::Text("x".to_owned()), Part::Media(media(MediaKind::Audio, "a"))]);
    let asked = |message: Message| request(vec![message]);
    let large = ImageFormat { image_size: Some(ImageSize::Two), ..ImageFormat::default() };
    let tuned = |generation| ModelRequest { generation, ..asked(Message::user("A")) };
    for (request, field) in [
        (asked(Message::user(" ")), "`input`"),
        (asked(Message::user("x".repeat(4097))), "`input`"),
        (asked(Message::user("a\0b")), "`input`"),
        (asked(two), "`input`"),
        (asked(sound), "`input`"),
        (
            ModelRequest { picture: WantedPicture { format: large, words: None }, ..asked(Message::user("A")) },
            "`response_format.image_size`",
        ),
        (
            tuned(GenerationConfig { temperature: Some(1.0), ..GenerationConfig::default() }),
            "`generation_config.temperature`",
        ),
        (tuned(GenerationConfig { top_p: Some(1.0), ..GenerationConfig::default() }), "`generation_config.top_p`"),
        (
            tuned(GenerationConfig { max_output_tokens: Some(9), ..GenerationConfig::default() }),
            "`generation_config.max_output_tokens`",
        ),
    ] {
        let refused = read(&request).unwrap_err();
        assert!(refused.starts_with(field), "{refused}");
    }
}
