//! The process alone: what it makes of an order, and how it ends.

use std::io::Write as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::LazyLock;

use antiphon_worker::picture::{Beginning, Order, Told};
use antiphon_worker::protocol::{read_frame, write_frame};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::weights::Weights;

/// They are written once; nobody changes them.
static WEIGHTS: LazyLock<Weights> = LazyLock::new(Weights::new);

fn start(model: &Path) -> Child {
    Command::new(env!("CARGO_BIN_EXE_antiphon-diffusion"))
        .arg("make")
        .arg("--model")
        .arg(model)
        .arg("--tiny-vae")
        .arg(WEIGHTS.tiny_vae())
        .env("GGML_NO_BACKTRACE", "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// All that is told of an order.
fn told(model: &Path, order: &Order) -> Vec<Told> {
    let mut child = start(model);
    let mut input = child.stdin.take().unwrap();
    write_frame(&mut input, order).unwrap();
    let output = child.stdout.as_mut().unwrap();
    let told: Vec<_> = std::iter::from_fn(|| read_frame(output).unwrap()).collect();
    let ended = child.wait_with_output().unwrap();
    assert!(ended.status.success(), "{}: {}", ended.status, String::from_utf8_lossy(&ended.stderr));
    told
}

/// The pixels of the one picture, behind all of its steps.
fn picture(order: &Order) -> image::RgbImage {
    let mut told = told(&WEIGHTS.model(), order);
    let Some(Told::Picture { picture }) = told.pop() else { panic!("no picture: {told:?}") };
    let of = order.steps_taken();
    let steps: Vec<_> = (1..=of).map(|done| Told::Step { done, of }).collect();
    assert_eq!(told, steps);
    let picture = image::load_from_memory(&STANDARD.decode(picture).unwrap()).unwrap().into_rgb8();
    assert_eq!((picture.width(), picture.height()), (order.width, order.height));
    picture
}

fn order() -> Order {
    Order {
        prompt: "a lighthouse at dusk".to_owned(),
        width: 192,
        height: 128,
        steps: 3,
        guidance: 1.0,
        seed: 7,
        beginning: None,
    }
}

#[test]
fn seed_and_prompt_decide_the_picture() {
    let first = picture(&order());
    assert!(first.pixels().any(|pixel| pixel != first.get_pixel(0, 0)), "it is a picture, and no surface");
    assert!(picture(&order()) == first, "the same again");
    assert!(picture(&Order { seed: 8, ..order() }) != first, "another seed");
    assert!(picture(&Order { prompt: "a red barn".to_owned(), ..order() }) != first, "another prompt");
    assert!(picture(&Order { guidance: 4.0, ..order() }) != first, "another guidance");
}

/// The engine works in blocks of 16.
#[test]
fn a_size_that_is_no_multiple_of_a_block_is_kept() {
    picture(&Order { width: 212, height: 84, ..order() });
}

#[test]
fn a_picture_that_is_changed_less_stays_more_alike() {
    let mut bytes = std::io::Cursor::new(Vec::new());
    let stripes = image::RgbImage::from_fn(192, 128, |x, _| image::Rgb([if x / 32 % 2 == 0 { 230 } else { 20 }; 3]));
    stripes.write_to(&mut bytes, image::ImageFormat::Png).unwrap();
    let begun = STANDARD.encode(bytes.into_inner());
    let changed = |change| {
        picture(&Order { beginning: Some(Beginning { picture: begun.clone(), change }), steps: 10, ..order() })
    };
    let (little, much) = (changed(0.1), changed(0.9));
    assert!(little != much);
    let other = picture(&Order { steps: 10, ..order() });
    assert!(distance(&little, &other) > distance(&much, &other), "what is changed much has forgotten its beginning");
}

fn distance(one: &image::RgbImage, other: &image::RgbImage) -> u64 {
    one.iter().zip(other.iter()).map(|(one, other)| u64::from(one.abs_diff(*other))).sum()
}

#[test]
fn what_is_wrong_is_said_and_no_crash() {
    let empty = WEIGHTS.folder().join("empty.safetensors");
    std::fs::File::create(&empty).unwrap().write_all(b"\x02\0\0\0\0\0\0\0{}").unwrap();
    let broken = Beginning { picture: "AAAA".to_owned(), change: 0.5 };
    for (model, order, why) in [
        (empty, order(), "the weights cannot be used: "),
        (WEIGHTS.folder().join("none.safetensors"), order(), "the weights cannot be used: "),
        (WEIGHTS.model(), Order { width: 0, ..order() }, "`width` and `height`: "),
        (WEIGHTS.model(), Order { beginning: Some(broken), ..order() }, "the picture to begin with cannot be read: "),
    ] {
        let told = told(&model, &order);
        let [Told::Failed { message }] = &told[..] else { panic!("{told:?}") };
        assert!(message.starts_with(why), "{message}");
    }
}

#[test]
fn it_ends_with_its_input_also_while_it_works() {
    let mut child = start(&WEIGHTS.model());
    let mut input = child.stdin.take().unwrap();
    write_frame(&mut input, &Order { steps: 150, width: 1024, height: 1024, ..order() }).unwrap();
    let told: Option<Told> = read_frame(child.stdout.as_mut().unwrap()).unwrap();
    assert_eq!(told, Some(Told::Step { done: 1, of: 150 }));
    drop(input);
    assert!(child.wait().unwrap().success());
}
