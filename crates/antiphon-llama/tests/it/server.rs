//! `antiphon serve` with the real worker and a projector: images reach a model that takes them and are counted, others have
//! theirs read; a projector that is none is said at once. The server's executable is in `ANTIPHON_TEST_BIN_DIR`, as
//! `just native` sets it.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::weights::{Kind, Weights};

struct Server {
    child: Child,
    address: String,
    key: String,
    _weights: Weights,
}

/// The executable, without what its surroundings tell it.
fn antiphon() -> Command {
    let folder = std::env::var_os("ANTIPHON_TEST_BIN_DIR");
    let folder = folder.expect("ANTIPHON_TEST_BIN_DIR has `antiphon`; `just native` sets it");
    let mut command = Command::new(Path::new(&folder).join("antiphon"));
    command.env_remove("ANTIPHON_CONFIG").env_remove("ANTIPHON_MODEL").env_remove("ANTIPHON_LISTEN");
    command
}

fn serve(weights: &Weights, projector: &str) -> Command {
    let config = weights.folder().join("antiphon.toml");
    let models = format!(
        "[[models]]\nname = \"seeing\"\nfile = \"tiny.gguf\"\nprojector = \"{projector}\"\ncontext = 1024\nthreads = 2\n\
         [[models]]\nname = \"blind\"\nfile = \"tiny.gguf\"\ncontext = 1024\nthreads = 2\n"
    );
    std::fs::write(&config, models).unwrap();
    let mut command = antiphon();
    command.args(["serve", "--listen", "127.0.0.1:0", "--worker"]).arg(env!("CARGO_BIN_EXE_antiphon-llama"));
    command.arg("--config").arg(&config).arg("--data-dir").arg(weights.folder().join("data"));
    command
}

impl Server {
    fn start(kind: Kind) -> Self {
        let weights = Weights::new(kind);
        let data = weights.folder().join("data");
        let made = antiphon().args(["keys", "create", "--name", "test", "--data-dir"]).arg(&data).output().unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let mut child =
            serve(&weights, "tiny-mmproj.gguf").stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut greeting = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut greeting).unwrap();
        let address = greeting.trim().rsplit('/').next().unwrap().to_owned();
        let key = String::from_utf8(made.stdout).unwrap().trim().to_owned();
        Self { child, address, key, _weights: weights }
    }

    /// The status and the body. Of HTTP 1.0, whose bodies end with their connection.
    fn call(&self, method: &str, path: &str, body: &Value) -> (u16, Value) {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        let body = if body.is_null() { String::new() } else { body.to_string() };
        write!(
            stream,
            "{method} {path} HTTP/1.0\r\nHost: {}\r\nx-goog-api-key: {}\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\n\r\n{body}",
            self.address,
            self.key,
            body.len()
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        (status, serde_json::from_str(body).unwrap_or_else(|error| panic!("{error}: {answer}")))
    }

    fn create(&self, model: &str, input: &Value) -> (u16, Value) {
        let generation = json!({ "temperature": 0, "max_output_tokens": 24, "seed": 1 });
        let body = json!({ "model": model, "input": input, "generation_config": generation });
        self.call("POST", "/v1beta/interactions", &body)
    }

    fn completed(&self, model: &str, input: &Value) -> Value {
        let (status, answer) = self.create(model, input);
        assert_eq!((status, &answer["status"]), (200, &json!("incomplete")), "{answer}");
        answer
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A PNG whose colours go with `seed`.
fn image(seed: u8) -> Value {
    let pixels = image::RgbImage::from_fn(64, 32, |x, y| {
        let stripe = (x / 8 + y / 8) as u8;
        image::Rgb([stripe.wrapping_mul(seed), seed.wrapping_mul(97), stripe.wrapping_mul(31).wrapping_add(seed)])
    });
    let mut png = std::io::Cursor::new(Vec::new());
    pixels.write_to(&mut png, image::ImageFormat::Png).unwrap();
    json!({ "type": "image", "mime_type": "image/png", "data": STANDARD.encode(png.into_inner()) })
}

fn text(text: &str) -> Value {
    json!({ "type": "text", "text": text })
}

fn kinds(answer: &Value) -> Vec<&str> {
    answer["steps"].as_array().unwrap().iter().map(|step| step["type"].as_str().unwrap()).collect()
}

fn said(answer: &Value) -> &str {
    answer["steps"].as_array().unwrap().last().unwrap()["content"][0]["text"].as_str().unwrap()
}

#[test]
fn an_image_reaches_the_model_is_counted_and_decides_the_answer() {
    let server = Server::start(Kind::Llava);
    let asked = |seed| json!([text("What is this? "), image(seed)]);
    let answer = server.completed("seeing", &asked(1));
    assert_eq!(kinds(&answer), ["model_output"], "nothing was read for it: {answer}");
    let counted = answer["usage"]["input_tokens_by_modality"].as_array().unwrap();
    let words = answer["usage"]["total_input_tokens"].as_u64().unwrap() - 16;
    let expected = json!([{ "modality": "text", "tokens": words }, { "modality": "image", "tokens": 16 }]);
    assert_eq!(json!(counted), expected);
    let bare = server.completed("seeing", &json!([text("What is this? ")]));
    assert_eq!(bare["usage"]["total_input_tokens"], words);
    assert_eq!(bare["usage"]["input_tokens_by_modality"], json!([{ "modality": "text", "tokens": words }]));

    assert_eq!(said(&answer), said(&server.completed("seeing", &asked(1))));
    assert_ne!(said(&answer), said(&server.completed("seeing", &asked(2))));
    assert_ne!(said(&answer), said(&bare));
}

#[test]
fn a_later_turn_sees_the_image_again_and_takes_it_from_the_cache() {
    let server = Server::start(Kind::Qwen);
    let first = server.completed("seeing", &json!([image(1), text("What is this?")]));
    let generation = json!({ "temperature": 0, "max_output_tokens": 24, "seed": 1 });
    let id = &first["id"];
    let body = json!({ "model": "seeing", "input": "And that?", "previous_interaction_id": id, "generation_config": generation });
    let (status, second) = server.call("POST", "/v1beta/interactions", &body);
    assert_eq!(status, 200, "{second}");
    let usage = &second["usage"];
    assert_eq!(usage["input_tokens_by_modality"][1], first["usage"]["input_tokens_by_modality"][1], "{usage}");
    let (cached, before) = (usage["total_cached_tokens"].as_u64().unwrap(), &first["usage"]["total_input_tokens"]);
    assert!(cached >= before.as_u64().unwrap(), "{usage}");
}

#[test]
fn what_the_model_does_not_take_is_read_or_refused_as_for_any_other() {
    let server = Server::start(Kind::Llava);
    let (_, seeing) = server.call("GET", "/v1beta/models/seeing", &Value::Null);
    let (_, blind) = server.call("GET", "/v1beta/models/blind", &Value::Null);
    assert_eq!(seeing["x_media"]["image"], json!({ "route": "native" }));
    assert_ne!(blind["x_media"]["image"]["route"], "native");
    for kind in ["audio", "video", "document"] {
        assert_eq!(seeing["x_media"][kind], blind["x_media"][kind], "{kind}");
    }
    let document = json!({ "type": "document", "mime_type": "text/plain", "data": STANDARD.encode("Plain words.") });
    for model in ["seeing", "blind"] {
        let answer = server.completed(model, &json!([document, text("Well?")]));
        assert_eq!(kinds(&answer)[0], "processing_call", "{answer}");
    }
    let (status, answer) = server.create("blind", &json!([image(1), text("Well?")]));
    let is_read = status == 200 && kinds(&answer)[0] == "processing_call";
    let is_refused = status == 400 && answer["error"]["message"].as_str().unwrap().contains("takes no image input");
    assert!(is_read || is_refused, "{answer}");
}

#[test]
fn images_that_cannot_be_used_are_refused_by_name() {
    let server = Server::start(Kind::Llava);
    let broken =
        json!({ "type": "image", "mime_type": "image/png", "data": STANDARD.encode(b"\x89PNG\r\n\x1a\nnothing") });
    let mut cropped = image(1);
    cropped["resolution"] = json!("low");
    let (status, answer) = server.create("seeing", &json!([cropped, text("?")]));
    assert_eq!(status, 200, "{answer}");
    let many: Vec<_> = (0..64).map(|_| image(1)).chain([text("?")]).collect();
    for (input, message) in
        [(json!([broken, text("?")]), "`input[0].content[0].data`"), (json!(many), "the model's context is 1024")]
    {
        let (status, answer) = server.create("seeing", &input);
        assert_eq!(status, 400, "{answer}");
        assert!(answer["error"]["message"].as_str().unwrap().contains(message), "{answer}");
    }
}

#[test]
fn a_projector_that_does_not_fit_ends_the_start_with_its_reason() {
    let weights = Weights::new(Kind::Llava);
    for (projector, why) in [
        ("missing.gguf", "cannot read"),
        ("tiny.gguf", "as the projector of this model"),
        ("narrow-mmproj.gguf", "mismatch between text model (n_embd = 64) and mmproj (n_embd = 32)"),
    ] {
        let done = serve(&weights, projector).output().unwrap();
        let said = String::from_utf8_lossy(&done.stderr);
        assert!(!done.status.success(), "{projector}");
        assert!(said.contains("Model `seeing` could not be loaded") && said.contains(why), "{projector}: {said}");
    }
}
