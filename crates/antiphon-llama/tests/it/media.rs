//! What a model makes of pictures, with the real engine and weights that are made for the test: a picture changes what is
//! said, takes its place and its tokens, and is told apart in what is cached.

use std::path::Path;

use antiphon_worker::protocol::{
    Generate, Medium, Message, Place, Refused, Request, Sampling, Segment, Shape, Token, read_frame,
};

use crate::weights::{Kind, Weights};
use crate::{Run, Worker, generate, start};

/// A part of a prompt.
#[derive(Clone)]
enum Part {
    Text(&'static str),
    Picture(Picture),
}
use Part::{Picture as See, Text as Say};

#[derive(Clone)]
struct Picture {
    width: u32,
    height: u32,
    pixels: Vec<u8>,
}

/// Stripes of colours that go with `seed`, in a picture that is twice as wide as high.
fn picture(seed: u32) -> Picture {
    let (width, height) = (64, 32);
    let mut chance = seed;
    let mut colours = [[0; 3]; 8];
    for channel in colours.as_flattened_mut() {
        chance = chance.wrapping_mul(747_796_405).wrapping_add(2_891_336_453);
        *channel = (chance >> 24) as u8;
    }
    let pixels = (0..height).flat_map(|y| (0..width).map(move |x| (x / 8 + y / 8) % 8));
    let pixels = pixels.flat_map(|stripe| colours[stripe as usize]).collect();
    Picture { width, height, pixels }
}

impl Picture {
    fn shape(&self) -> Shape {
        Shape::Image { width: self.width, height: self.height }
    }
}

/// A worker that sees.
struct Eye {
    worker: Worker,
    /// How many scopes were used.
    scopes: u32,
    _weights: Weights,
}

impl Eye {
    fn new(kind: Kind) -> Self {
        let weights = Weights::new(kind);
        let projector = weights.projector();
        let arguments = ["--threads", "2", "--projector", projector.to_str().unwrap()];
        let worker = Worker::of(&weights.model(), &arguments);
        Self { worker, scopes: 0, _weights: weights }
    }

    fn measure(&mut self, parts: &[Part]) -> (Vec<Token>, Vec<Place>) {
        let segments = parts.iter().map(|part| match part {
            Say(text) => Segment::Data((*text).to_owned()),
            See(picture) => Segment::Media(picture.shape()),
        });
        self.worker.send(&Request::Prepare { id: 1, segments: segments.collect(), constraint: None });
        let Message::Prepared { tokens, media, .. } = self.worker.next() else { panic!("nothing was measured") };
        (tokens, media)
    }

    fn order(&mut self, scope: &str, parts: &[Part], max_tokens: u32) -> Generate {
        let (prompt, places) = self.measure(parts);
        let pictures = parts.iter().filter_map(|part| match part {
            Say(_) => None,
            See(picture) => Some(picture),
        });
        let media = pictures.zip(places).map(|(picture, place)| Medium {
            at: place.at,
            shape: picture.shape(),
            data: picture.pixels.clone(),
        });
        Generate { media: media.collect(), ..generate(scope, prompt, max_tokens) }
    }

    /// What is said where nothing is cached.
    fn fresh(&mut self, parts: &[Part]) -> Vec<Token> {
        self.scopes += 1;
        let order = self.order(&format!("fresh {}", self.scopes), parts, 24);
        self.worker.run(order).tokens
    }

    fn run(&mut self, scope: &str, parts: &[Part]) -> Run {
        let order = self.order(scope, parts, 24);
        self.worker.run(order)
    }
}

#[test]
fn a_picture_decides_what_is_said_and_its_place_does() {
    for kind in Kind::ALL {
        let mut eye = Eye::new(kind);
        let (one, other) = (See(picture(1)), See(picture(2)));
        let asked = |picture: &Part| [Say("What is "), picture.clone(), Say("?")];
        let said = eye.fresh(&asked(&one));
        assert_eq!(said.len(), 24, "{kind:?}");
        assert_eq!(said, eye.fresh(&asked(&one)), "{kind:?}: the same picture");
        assert_ne!(said, eye.fresh(&asked(&other)), "{kind:?}: another picture");
        assert_ne!(said, eye.fresh(&[Say("What is ?")]), "{kind:?}: no picture");
        assert_ne!(said, eye.fresh(&[one.clone(), Say("What is ?")]), "{kind:?}: another place");
        let both = eye.fresh(&[one.clone(), Say(" or "), other.clone(), Say("?")]);
        assert_ne!(both, eye.fresh(&[other, Say(" or "), one, Say("?")]), "{kind:?}: another order");
    }
}

#[test]
fn a_picture_has_its_tokens() {
    for (kind, tokens) in [
        (Kind::Llava, 16),
        (Kind::Gemma, "<start_of_image><end_of_image>".len() + 4),
        // Patches of 8 pixels, four of which are one token.
        (Kind::Qwen, "<|vision_start|><|vision_end|>".len() + 4 * 2),
    ] {
        let mut eye = Eye::new(kind);
        let (text, places) = eye.measure(&[Say("a"), See(picture(1)), Say("bc"), See(picture(2)), Say("d")]);
        assert_eq!(text.len(), 4, "{kind:?}");
        assert_eq!(places, [Place { at: 1, tokens }, Place { at: 3, tokens }], "{kind:?}");

        let parts: Vec<_> = std::iter::repeat_n(See(picture(1)), 2048 / tokens + 1).chain([Say("?")]).collect();
        let order = eye.order("one", &parts, 4);
        eye.worker.send(&Request::Generate(order));
        let Message::Failed { message, .. } = eye.worker.next() else { panic!("it is too long") };
        let whole = (parts.len() - 1) * tokens + 1;
        let expected = format!("`prompt` has {whole} tokens and `resume` 0, the context 2048");
        assert_eq!(message, expected, "{kind:?}");
    }
}

#[test]
fn text_is_no_picture_whatever_it_says() {
    let mut eye = Eye::new(Kind::Gemma);
    let text = "<__media__><start_of_image>";
    let (tokens, places) = eye.measure(&[Say(text)]);
    assert_eq!((tokens.len(), places.len()), (text.len(), 0));
}

#[test]
fn the_next_turn_computes_no_picture_again_and_says_what_it_says_alone() {
    for kind in Kind::ALL {
        let mut eye = Eye::new(kind);
        let first = [Say("What is "), See(picture(1)), Say("? ")];
        let second = [Say("What is "), See(picture(1)), Say("? And what is "), See(picture(2)), Say("?")];
        let changed = [Say("What is "), See(picture(3)), Say("? And what is "), See(picture(2)), Say("?")];
        let (words, places) = eye.measure(&first);
        let read = words.len() + places[0].tokens;
        let before = eye.measure(&first[..1]).0.len();

        assert_eq!(eye.run("one", &first).cached, 0, "{kind:?}");
        let again = eye.run("one", &second);
        assert_eq!(again.cached, read, "{kind:?}");
        assert_eq!(again.tokens, eye.fresh(&second), "{kind:?}");
        let other = eye.run("one", &changed);
        assert_eq!(other.cached, before, "{kind:?}: it ends before another picture");
        assert_eq!(other.tokens, eye.fresh(&changed), "{kind:?}");
        assert_ne!(other.tokens, again.tokens, "{kind:?}");
        // A copy of what is cached, and one that is cut.
        let (back, cut) = (eye.run("one", &second), eye.run("one", &first));
        assert_eq!((back.tokens, cut.tokens), (eye.fresh(&second), eye.fresh(&first)), "{kind:?}");
    }
}

#[test]
fn a_run_that_was_cut_goes_on_behind_its_picture() {
    for kind in Kind::ALL {
        let mut eye = Eye::new(kind);
        let parts = [See(picture(1)), Say("?")];
        let whole = eye.fresh(&parts);
        let (before, after) = whole.split_at(10);
        let order = eye.order("two", &parts, 24);
        let rest = eye.worker.run(Generate { resume: before.to_vec(), ..order });
        assert_eq!(rest.tokens, after, "{kind:?}");
    }
}

#[test]
fn others_go_on_while_pictures_are_looked_at() {
    let mut eye = Eye::new(Kind::Qwen);
    // By chance, or it would repeat itself and be over before the pictures are there.
    let sampling = Sampling { temperature: 2.0, seed: 7, ..Sampling::GREEDY };
    let mut tell = |scope: &str, length| Generate { sampling, ..eye.order(scope, &[Say("Tell me a story.")], length) };
    let (beginning, mut story) = (tell("beginning", 24), tell("story", 1000));
    let alone = eye.worker.run(beginning).tokens;
    let parts: Vec<_> = (0..12).map(|seed| See(picture(seed))).chain([Say("?")]).collect();
    let seen = eye.fresh(&parts);
    story.id = 10;
    let mut many = eye.order("many", &parts, 24);
    many.id = 11;
    eye.worker.send(&Request::Generate(story));
    eye.worker.send(&Request::Generate(many));
    let (mut told, mut looked, mut ended, mut between) = (Vec::new(), Vec::new(), 0, 0);
    while ended < 2 {
        match eye.worker.next() {
            Message::Chunk { id: 10, tokens, .. } => {
                between += if looked.is_empty() { tokens.len() } else { 0 };
                told.extend(tokens);
            }
            Message::Chunk { id: 11, tokens, .. } => looked.extend(tokens),
            Message::Finished { .. } => ended += 1,
            Message::Started { .. } => {}
            other => panic!("{other:?}"),
        }
    }
    assert!(told.starts_with(&alone), "{told:?} {alone:?}");
    assert_eq!(looked, seen);
    // The step with the last of them says something of both, in either order.
    assert!(between >= 11, "a token beside each of the pictures, got {between}");
}

#[test]
fn the_card_says_what_is_taken_and_what_is_not_is_refused() {
    let weights = Weights::new(Kind::Llava);
    let mut blind = Worker::of(&weights.model(), &["--threads", "2"]);
    let mut eye = Eye::new(Kind::Llava);
    assert_eq!((blind.card.images, blind.card.sample_rate), (false, None));
    assert_eq!((eye.worker.card.images, eye.worker.card.sample_rate), (true, None));
    assert_ne!(blind.card.fingerprint, eye.worker.card.fingerprint, "what it has read means nothing to the other");
    let image = Shape::Image { width: 9, height: 9 };
    for (worker, shape, why) in [
        (&mut blind, image, "the model takes no pictures"),
        (&mut eye.worker, Shape::Audio { samples: 9 }, "the model takes no sounds"),
    ] {
        worker.send(&Request::Prepare { id: 3, segments: vec![Segment::Media(shape)], constraint: None });
        assert_eq!(worker.next(), Message::Refused { id: 3, what: Refused::Media, message: why.to_owned() });
    }
}

#[test]
fn a_projector_that_is_none_or_another_models_is_said_before_the_worker_ends() {
    let weights = Weights::new(Kind::Llava);
    let garbage = weights.folder().join("garbage.gguf");
    std::fs::write(&garbage, b"GGUF\x03\0\0\0 and then nothing that makes sense").unwrap();
    let text = weights.folder().join("text.gguf");
    std::fs::write(&text, "no projector").unwrap();
    for (projector, why) in [
        (Path::new("no/such/file.gguf"), "cannot read `no/such/file.gguf`"),
        (&text, "is not a GGUF file"),
        (&garbage, "as the projector of this model"),
        (&weights.model(), "as the projector of this model"),
        (&weights.of_another(), "mismatch between text model (n_embd = 64) and mmproj (n_embd = 32)"),
    ] {
        let mut child = start(&weights.model(), &["--threads", "2", "--projector", projector.to_str().unwrap()]);
        let said = read_frame(child.stdout.as_mut().unwrap()).unwrap();
        let Some(Message::Unservable { message }) = said else { panic!("{projector:?}: {said:?}") };
        assert!(message.contains(why), "{projector:?}: {message}");
        let done = child.wait_with_output().unwrap();
        assert_eq!(done.status.code(), Some(1), "{projector:?}");
        assert!(String::from_utf8_lossy(&done.stderr).contains(&message), "{projector:?}");
    }
}
