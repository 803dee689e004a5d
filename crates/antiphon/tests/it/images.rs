//! Pictures, from a request to the bytes of a PNG or JPEG: the painter is the executable itself.

use std::io::Write as _;
use std::process::Stdio;

use pretty_assertions::assert_eq;
use serde_json::{Value, json};

use crate::server::{Server, Site, antiphon};

const GOOD: &str = "<svg><rect width='100' height='100' fill='skyblue'/><rect y='70' width='100' height='30' fill='green'/>\
    <circle cx='80' cy='20' r='9' fill='gold'/><rect x='30' y='45' width='40' height='35' fill='tan'/>\
    <polygon points='25,45 50,25 75,45' fill='darkred'/><rect x='46' y='62' width='9' height='18' fill='brown'/></svg>";

fn script() -> String {
    let dark = GOOD.replace("skyblue", "midnightblue");
    let blank = "<svg><rect width='100' height='100' fill='red'/></svg>";
    let hostile = "<svg><image href='file:///etc/passwd' width='9' height='9'/></svg>";
    let reply = |when: &str, text: &str| format!("[[reply]]\nwhen = \"{when}\"\nchunks = ['''{text}''']\n");
    let fails = reply("only 2 shapes are in sight", GOOD) + "fail_after = 0\nfail = \"unavailable\"\n";
    let discs = "<svg><circle cx='30' cy='50' r='20' fill='navy'/><circle cx='70' cy='50' r='20' fill='teal'/></svg>";
    let counted = "<svg><rect width='100' height='100' fill='white'/><!-- 1 of 2: a disc -->\
        <circle cx='30' cy='50' r='20' fill='navy'/><!-- 2 of 2: a disc --><circle cx='70' cy='50' r='20' fill='navy'/></svg>";
    [
        reply("Draw two discs", counted),
        fails,
        reply("Two discs", discs),
        reply("A disc alone", "<svg><circle cx='50' cy='50' r='30' fill='navy'/></svg>"),
        reply("Nothing at all", "<svg><circle cx='50' cy='50' r='30' fill='white'/></svg>"),
        reply("only 1 shapes are in sight", GOOD),
        reply("the element `<image>`", hostile),
        reply("there is no whole `<svg>`", "Sorry."),
        reply("A red wall", blank),
        reply("Show me a file", hostile),
        reply("Say no", "I cannot draw."),
        reply("Make the sky darker", &dark),
        reply("Hi", "Hello."),
        reply("A house", GOOD),
    ]
    .join("\n")
}

fn ask(server: &Server, mut body: Value) -> Value {
    body["model"] = body.get("model").cloned().unwrap_or_else(|| json!("gemini-3.1-flash-image"));
    let answer = server.create(&body).unwrap();
    assert_eq!(answer.status, 200, "{}", answer.body);
    answer.body
}

/// The picture of an answer, which is its last step.
fn picture(answer: &Value) -> (&str, &str) {
    assert_eq!(answer["status"], "completed", "{answer}");
    let steps = answer["steps"].as_array().unwrap();
    let [part] = &steps.last().unwrap()["content"].as_array().unwrap()[..] else { panic!("one part: {answer}") };
    assert_eq!(part["type"], "image");
    (part["mime_type"].as_str().unwrap(), part["data"].as_str().unwrap())
}

fn summary(answer: &Value) -> &str {
    answer["steps"][0]["summary"][0]["text"].as_str().unwrap()
}

/// Width and height, out of the head of a PNG in base64.
fn png_size(data: &str) -> (u32, u32) {
    let head = decode(&data[..44]);
    assert_eq!(&head[..8], b"\x89PNG\r\n\x1a\n");
    let number = |at: usize| u32::from_be_bytes(head[at..at + 4].try_into().unwrap());
    (number(16), number(20))
}

fn decode(base64: &str) -> Vec<u8> {
    const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let bits: Vec<u32> = base64
        .bytes()
        .filter_map(|letter| LETTERS.iter().position(|known| *known == letter))
        .map(|at| u32::try_from(at).unwrap())
        .collect();
    bits.chunks_exact(4)
        .flat_map(|four| four.iter().fold(0, |all, six| all << 6 | six).to_be_bytes()[1..].to_vec())
        .collect()
}

#[test]
fn a_drawing_becomes_a_picture_that_says_what_it_is() {
    let site = Site::scripted(&script());
    let server = site.serve(&[]);
    let answer = ask(&server, json!({ "input": "A house" }));
    let (mime_type, data) = picture(&answer);
    assert_eq!((mime_type, png_size(data)), ("image/png", (1024, 1024)));
    assert!(summary(&answer).contains("vector drawing") && summary(&answer).contains("`scripted`"));
    assert!(!answer["steps"][0]["signature"].as_str().unwrap().is_empty());
    assert_eq!(answer["usage"]["output_tokens_by_modality"], json!([{ "modality": "image", "tokens": 1 }]));
    assert_eq!(answer["model"], "gemini-3.1-flash-image");

    let shaped = |format: Value| ask(&server, json!({ "input": "A house", "response_format": format }));
    let small = shaped(json!({ "type": "image", "aspect_ratio": "16:9", "image_size": "512" }));
    assert_eq!(png_size(picture(&small).1), (688, 384));
    let large = shaped(json!({ "type": "image", "aspect_ratio": "1:8", "image_size": "4K" }));
    assert_eq!(png_size(picture(&large).1), (1536, 12288));
    let jpeg = shaped(json!({ "type": "image", "mime_type": "image/jpeg", "image_size": "512" }));
    let (mime_type, data) = picture(&jpeg);
    assert_eq!((mime_type, &decode(&data[..4])[..]), ("image/jpeg", &[0xff, 0xd8, 0xff][..]));
}

#[test]
fn a_blank_drawing_is_drawn_again_and_both_are_counted() {
    let site = Site::scripted(&script());
    let server = site.serve(&[]);
    let answer = ask(&server, json!({ "input": "A red wall" }));
    picture(&answer);
    assert!(summary(&answer).contains("An earlier drawing could not be shown: only 1 shapes"), "{}", summary(&answer));
    assert_eq!(answer["usage"]["total_output_tokens"], 2);
}

#[test]
fn what_shows_little_each_time_is_shown_and_says_so() {
    let site = Site::scripted(&script());
    let server = site.serve(&[]);
    let answer = ask(&server, json!({ "input": "A disc alone" }));
    picture(&answer);
    let told = "It was drawn 3 times, with little to be seen: only 1 shapes are in sight, at least 5 are wanted.";
    assert!(summary(&answer).contains(told), "{}", summary(&answer));
    assert_eq!(answer["usage"]["total_output_tokens"], 3);
}

#[test]
fn as_many_things_as_were_asked_for_are_enough() {
    let site = Site::scripted(&script());
    let server = site.serve(&[]);
    let answer = ask(&server, json!({ "input": "Draw two discs" }));
    picture(&answer);
    assert!(!summary(&answer).contains("little"), "{}", summary(&answer));
    assert_eq!(answer["usage"]["total_output_tokens"], 1);
}

#[test]
fn what_there_is_is_shown_when_the_model_fails_later() {
    let site = Site::scripted(&script());
    let server = site.serve(&[]);
    let answer = ask(&server, json!({ "input": "Two discs" }));
    picture(&answer);
    let told = "It was drawn once, with little to be seen: only 2 shapes are in sight, at least 5 are wanted.";
    assert!(summary(&answer).contains(told), "{}", summary(&answer));
}

#[test]
fn what_can_never_be_shown_is_no_image() {
    let site = Site::scripted(&script());
    let server = site.serve(&[]);
    for (input, reason) in [
        ("Show me a file", "the element `<image>`"),
        ("Say no", "there is no whole `<svg>`"),
        ("Nothing at all", "only 1 shapes are in sight"),
    ] {
        let answer = ask(&server, json!({ "input": input }));
        assert_eq!((&answer["status"], &answer["error"]["code"]), (&json!("failed"), &json!("no_image")), "{answer}");
        let message = answer["error"]["message"].as_str().unwrap();
        assert!(message.contains("`scripted` drew 3 times") && message.contains(reason), "{message}");
        assert_eq!((&answer["steps"], &answer["usage"]["total_output_tokens"]), (&json!([]), &json!(3)));
    }
}

#[test]
fn a_later_turn_changes_the_drawing_and_a_text_model_has_read_it() {
    let site = Site::scripted(&script());
    let server = site.serve(&[]);
    let first = ask(&server, json!({ "input": "A house" }));
    let darker = json!({ "input": "Make the sky darker", "previous_interaction_id": first["id"] });
    let second = ask(&server, darker);
    assert!(picture(&first) != picture(&second));
    // Of the words that the second turn has read, the drawing is most.
    let words = |answer: &Value| answer["usage"]["total_input_tokens"].as_u64().unwrap();
    let of_drawing = GOOD.split_whitespace().count() as u64;
    assert!(words(&second) >= words(&first) + of_drawing, "{second}");
    // A client that keeps its steps itself gets the same.
    let mut input = vec![json!({ "type": "user_input", "content": "A house" })];
    input.extend(first["steps"].as_array().unwrap().iter().cloned());
    input.push(json!({ "type": "user_input", "content": "Make the sky darker" }));
    let replayed = ask(&server, json!({ "input": input, "store": false }));
    assert_eq!((picture(&replayed), words(&replayed)), (picture(&second), words(&second)));
    let said =
        ask(&server, json!({ "model": "gemini-3.5-flash", "input": "Hi", "previous_interaction_id": first["id"] }));
    assert!(words(&said) > of_drawing);
}

#[test]
fn a_stream_has_the_picture_once_and_so_has_the_log() {
    let site = Site::scripted(&script());
    let server = site.serve(&[]);
    let body = json!({ "model": "gemini-3.1-flash-image", "input": "A house", "stream": true });
    let events: Vec<Value> = server.stream("POST", "/v1beta/interactions?alt=sse", Some(&body)).unwrap().collect();
    let deltas: Vec<_> = events.iter().filter(|event| event["delta"]["type"] == "image").collect();
    let [delta] = &deltas[..] else { panic!("{} pictures", deltas.len()) };
    assert_eq!(events.last().unwrap()["interaction"]["status"], "completed");
    let stored = server.get(events[0]["interaction"]["id"].as_str().unwrap()).unwrap().body;
    assert_eq!(picture(&stored).1, delta["delta"]["data"]);
}

#[test]
fn a_server_that_dies_leaves_a_run_that_ends_with_one_picture() {
    let site = Site::scripted(&script());
    for commit in ["after-commit:1", "before-commit:2"] {
        let server = site.serve(&["--fault", commit]);
        let body = json!({ "model": "gemini-3.1-flash-image", "input": "A house", "background": true });
        let id = server.create(&body).map(|answer| answer.body["id"].as_str().unwrap().to_owned());
        server.wait();
        let Some(id) = id else { continue };
        let server = site.serve(&[]);
        let events: Vec<Value> =
            server.stream("GET", &format!("/v1/interactions/{id}?stream=true"), None).unwrap().collect();
        assert_eq!(events.iter().filter(|event| event["delta"]["type"] == "image").count(), 1, "{commit}");
        picture(&server.get(&id).unwrap().body);
    }
}

/// The painter with this on its input: its code, and what it says.
fn paint(drawing: &str, size: (u32, u32)) -> (Option<i32>, Vec<u8>) {
    let mut child = antiphon()
        .args(["paint-drawing", "--plain", "--type", "image/png", "--view", "100x100"])
        .args(["--width", &size.0.to_string(), "--height", &size.1.to_string()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    // It need not read all of it.
    let _ = child.stdin.take().unwrap().write_all(drawing.as_bytes());
    let output = child.wait_with_output().unwrap();
    (output.status.code(), output.stdout)
}

#[test]
fn a_painter_paints_the_largest_pictures_and_refuses_what_is_hostile() {
    for size in [(4096, 4096), (12288, 1536), (5504, 3072)] {
        let (code, picture) = paint(GOOD, size);
        assert_eq!((code, &picture[1..4]), (Some(0), &b"PNG"[..]), "{size:?}");
    }
    // Much paint, at a large size.
    let layers = "<circle cx='50' cy='50' r='90' fill='red' opacity='0.1'/>".repeat(6);
    let much = GOOD.replace("</svg>", &format!("{layers}</svg>"));
    assert_eq!(paint(&much, (2048, 2048)).0, Some(0));
    let flood = "<circle cx='50' cy='50' r='400' fill='red' opacity='0.1'/>".repeat(20_000);
    for hostile in [
        &format!("<svg>{flood}</svg>"),
        "<svg><filter id='f' x='-999999' width='99999999'/></svg>",
        "<svg><image href='/etc/passwd'/></svg>",
        "<svg><use href='#a'/></svg>",
        "",
    ] {
        let (code, words) = paint(hostile, (64, 64));
        assert_eq!(code, Some(3), "{}", String::from_utf8_lossy(&words));
    }
    assert_eq!(paint(GOOD, (60_000, 60_000)).0, Some(3));
}
