//! `antiphon serve` with the real worker: pictures in JSON and in a stream, cancelled ones, and a worker
//! that is killed.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::weights::Weights;

struct Server {
    weights: Weights,
    child: Child,
    address: String,
    key: String,
}

impl Server {
    fn start() -> Self {
        let folder = std::env::var_os("ANTIPHON_TEST_BIN_DIR");
        let folder = folder.expect("ANTIPHON_TEST_BIN_DIR has `antiphon`; `just diffusion` sets it");
        let antiphon = || {
            let mut command = Command::new(Path::new(&folder).join("antiphon"));
            command.env_remove("ANTIPHON_CONFIG").env_remove("ANTIPHON_MODEL").env_remove("ANTIPHON_LISTEN");
            command
        };
        let weights = Weights::new();
        let config = weights.folder().join("antiphon.toml");
        let model = "[[models]]\nname = \"tiny\"\nbackend = \"diffusion\"\nfile = \"tiny.safetensors\"\n\
                     diffusion = { tiny_vae = \"tiny-vae.safetensors\", steps = 4, guidance = 1 }\n";
        std::fs::write(&config, model).unwrap();
        let data = weights.folder().join("data");
        let made = antiphon().args(["keys", "create", "--name", "test", "--data-dir"]).arg(&data).output().unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let mut child = antiphon()
            .args(["serve", "--listen", "127.0.0.1:0", "--diffusion-worker"])
            .arg(env!("CARGO_BIN_EXE_antiphon-diffusion"))
            .arg("--config")
            .arg(&config)
            .arg("--data-dir")
            .arg(&data)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut greeting = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut greeting).unwrap();
        let address = greeting.trim().rsplit('/').next().unwrap().to_owned();
        let key = String::from_utf8(made.stdout).unwrap().trim().to_owned();
        Self { weights, child, address, key }
    }

    /// A response without its head. Of HTTP 1.0, whose bodies end with their connection.
    fn send(&self, method: &str, path: &str, body: &str) -> BufReader<TcpStream> {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        write!(
            stream,
            "{method} {path} HTTP/1.0\r\nHost: {}\r\nx-goog-api-key: {}\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\n\r\n{body}",
            self.address,
            self.key,
            body.len()
        )
        .unwrap();
        let mut response = BufReader::new(stream);
        let mut line = String::new();
        while response.read_line(&mut line).unwrap() > 2 {
            line.clear();
        }
        response
    }

    fn call(&self, method: &str, path: &str, body: &Value) -> Value {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let mut answer = String::new();
        self.send(method, path, &body).read_to_string(&mut answer).unwrap();
        serde_json::from_str(&answer).unwrap_or_else(|error| panic!("{error}: {answer}"))
    }

    fn create(&self, body: &Value) -> Value {
        self.call("POST", "/v1beta/interactions", body)
    }

    /// Events of a stream, as they come.
    fn events(&self, method: &str, path: &str, body: &Value) -> impl Iterator<Item = Value> + use<> {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let lines = self.send(method, path, &body).lines();
        lines.map_while(Result::ok).filter_map(|line| serde_json::from_str(line.strip_prefix("data: ")?).ok())
    }

    /// The log of an interaction as it grows, to its end.
    fn follow(&self, id: &str) -> impl Iterator<Item = Value> + use<> {
        self.events("GET", &format!("/v1beta/interactions/{id}?stream=true"), &Value::Null)
    }

    /// The process that makes a picture: it has the weights in its command line.
    fn worker(&self) -> Option<u32> {
        let model = self.weights.model().into_os_string().into_encoded_bytes();
        let processes = std::fs::read_dir("/proc").unwrap();
        let mut ids = processes.filter_map(|entry| entry.unwrap().file_name().to_str()?.parse().ok());
        ids.find(|id| {
            let line = std::fs::read(format!("/proc/{id}/cmdline")).unwrap_or_default();
            line.windows(model.len()).any(|part| part == model)
        })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn wanted(seed: u64) -> Value {
    json!({
        "model": "gemini-3.1-flash-image",
        "input": "a lighthouse at dusk",
        "generation_config": { "seed": seed },
        "response_format": { "type": "image", "aspect_ratio": "3:2", "image_size": "512" },
    })
}

/// One that takes longer than a test has to wait.
fn long() -> Value {
    json!({
        "model": "gemini-3.1-flash-image",
        "input": "a lighthouse at dusk",
        "background": true,
        "response_format": { "type": "image", "image_size": "1K" },
    })
}

/// The bytes of the picture of a completed interaction.
fn picture(answer: &Value) -> Vec<u8> {
    assert_eq!(answer["status"], "completed", "{answer}");
    let said = summary(answer);
    assert!(said.contains("`tiny`") && said.contains("`tiny.safetensors`, `tiny-vae.safetensors`"), "{said}");
    assert!(said.ends_with("\nStep 1 of 4.\nStep 2 of 4.\nStep 3 of 4.\nStep 4 of 4."), "{said}");
    let [output] = steps(answer, "model_output")[..] else { panic!("one step is the answer: {answer}") };
    STANDARD.decode(output["content"][0]["data"].as_str().unwrap()).unwrap()
}

fn summary(answer: &Value) -> &str {
    let [thought] = steps(answer, "thought")[..] else { panic!("one thought: {answer}") };
    thought["summary"][0]["text"].as_str().unwrap()
}

fn steps<'a>(answer: &'a Value, kind: &str) -> Vec<&'a Value> {
    answer["steps"].as_array().unwrap().iter().filter(|step| step["type"] == kind).collect()
}

fn is_step(event: &Value) -> bool {
    event["delta"]["content"]["text"].as_str().is_some_and(|text| text.contains("Step "))
}

#[test]
fn a_picture_comes_with_its_size_and_its_seed_decides_it() {
    let server = Server::start();
    let first = picture(&server.create(&wanted(7)));
    let shown = image::load_from_memory_with_format(&first, image::ImageFormat::Png).unwrap();
    assert_eq!((shown.width(), shown.height()), (632, 424));
    assert!(picture(&server.create(&wanted(7))) == first, "the same seed");
    assert!(picture(&server.create(&wanted(8))) != first, "another seed");
    let mut body = wanted(7);
    body["response_format"]["mime_type"] = json!("image/jpeg");
    let jpeg = picture(&server.create(&body));
    image::load_from_memory_with_format(&jpeg, image::ImageFormat::Jpeg).unwrap();
}

#[test]
fn a_stream_shows_each_step_and_the_picture_once() {
    let server = Server::start();
    let mut body = wanted(7);
    body["stream"] = json!(true);
    let events: Vec<_> = server.events("POST", "/v1beta/interactions", &body).collect();
    let steps: Vec<_> = events.iter().filter(|event| is_step(event)).collect();
    assert!(!steps.is_empty(), "{events:?}");
    let said: String = steps.iter().filter_map(|event| event["delta"]["content"]["text"].as_str()).collect();
    assert_eq!(said.matches("Step ").count(), 4, "{said}");
    let pictures = events.iter().filter(|event| event["delta"]["type"] == "image");
    assert_eq!(pictures.count(), 1);
    let completed = events.iter().rfind(|event| event["event_type"] == "interaction.completed").unwrap();
    let id = completed["interaction"]["id"].as_str().unwrap();
    picture(&server.call("GET", &format!("/v1beta/interactions/{id}"), &Value::Null));
}

#[test]
fn a_later_turn_begins_with_the_picture() {
    let server = Server::start();
    let first = server.create(&wanted(7));
    let mut body = wanted(7);
    body["previous_interaction_id"] = first["id"].clone();
    body["input"] = json!("with a darker sky");
    let second = server.create(&body);
    let said = summary(&second);
    assert!(said.contains("It changes an earlier one: 632 by 424 pixels, 4 steps"), "{said}");
    assert!(picture(&first) != picture(&second));
}

#[test]
fn a_cancelled_picture_is_over_and_a_killed_worker_costs_one_interaction() {
    let server = Server::start();
    let id = |answer: &Value| answer["id"].as_str().unwrap_or_else(|| panic!("{answer}")).to_owned();
    let cancelled = id(&server.create(&long()));
    server.follow(&cancelled).find(is_step).expect("a first step is seen");
    let worker = server.worker().expect("a worker makes the picture");
    let answer = server.call("POST", &format!("/v1beta/interactions/{cancelled}/cancel"), &Value::Null);
    assert_eq!(answer["status"], "cancelled", "{answer}");
    while server.worker() == Some(worker) {
        std::thread::yield_now();
    }

    let killed = id(&server.create(&long()));
    server.follow(&killed).find(is_step).expect("a first step is seen");
    let worker = server.worker().expect("a worker makes the picture");
    let worker = rustix::process::Pid::from_raw(worker.cast_signed()).unwrap();
    rustix::process::kill_process(worker, rustix::process::Signal::KILL).unwrap();
    server.follow(&killed).for_each(drop);
    let answer = server.call("GET", &format!("/v1beta/interactions/{killed}"), &Value::Null);
    assert_eq!((&answer["status"], &answer["error"]["code"]), (&json!("failed"), &json!("service_unavailable")));
    picture(&server.create(&wanted(7)));
}
