//! Pictures that services make, from a request to the bytes that a client gets; the services are
//! another server of ours, and one that speaks OpenAI's images.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::sync::mpsc::{Receiver, channel};
use std::thread;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use pretty_assertions::assert_eq;
use serde_json::{Value, json};

use crate::server::{Server, Site, antiphon};

const TEXT: &str = "[[models]]\nname = \"scripted\"\nbackend = \"scripted\"\nscript = \"script.toml\"\n";
const HELLO: &str = "[[reply]]\nchunks = [\"Hello.\"]\n";
const HOUSE: &str = "<svg><rect width='100' height='100' fill='skyblue'/><rect y='70' width='100' height='30' fill='green'/>\
    <circle cx='80' cy='20' r='9' fill='gold'/><rect x='30' y='45' width='40' height='35' fill='tan'/>\
    <polygon points='25,45 50,25 75,45' fill='darkred'/></svg>";

/// A real PNG of 64 × 64 pixels, in base64.
fn png() -> String {
    let arguments = ["--type", "image/png", "--view", "100x100", "--width", "64", "--height", "64"];
    let mut child = antiphon()
        .arg("paint-drawing")
        .args(arguments)
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(HOUSE.as_bytes()).unwrap();
    STANDARD.encode(child.wait_with_output().unwrap().stdout)
}

/// A service of OpenAI's images that gives these pictures, one a request and the last again and again.
struct Service {
    url: String,
    /// The first line and the body of each request.
    asked: Receiver<(String, String)>,
}

impl Service {
    fn start(pictures: &[&str]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/v1", listener.local_addr().unwrap());
        let (tell, asked) = channel();
        let pictures: Vec<_> = pictures.iter().map(|data| (*data).to_owned()).collect();
        // It ends with the test's process.
        thread::spawn(move || {
            for (at, connection) in listener.incoming().enumerate() {
                let connection = connection.unwrap();
                let mut reader = BufReader::new(&connection);
                let mut line = String::new();
                reader.read_line(&mut line).unwrap();
                let mut length = 0;
                loop {
                    let mut header = String::new();
                    reader.read_line(&mut header).unwrap();
                    if let Some(value) = header.to_ascii_lowercase().strip_prefix("content-length:") {
                        length = value.trim().parse().unwrap();
                    }
                    if header.trim().is_empty() {
                        break;
                    }
                }
                let mut body = vec![0; length];
                reader.read_exact(&mut body).unwrap();
                let _ = tell.send((line.trim().to_owned(), String::from_utf8_lossy(&body).into_owned()));
                let picture = &pictures[at.min(pictures.len() - 1)];
                let answer =
                    json!({ "data": [{ "b64_json": picture }], "usage": { "input_tokens": 7, "output_tokens": 90 } });
                let answer = answer.to_string();
                let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\n";
                let _ = write!(&connection, "{head}content-length: {}\r\n\r\n{answer}", answer.len());
            }
        });
        Self { url, asked }
    }

    fn site(&self) -> Site {
        let images = format!(
            "[[models]]\nname = \"painter\"\nbackend = \"openai_images\"\nurl = \"{}\"\nattempts = 1\n\
             capabilities = {{ media = [\"image\"] }}\n",
            self.url
        );
        Site::new(&format!("{TEXT}{images}"), &[("script.toml", HELLO)])
    }
}

fn ask(server: &Server, mut body: Value) -> Value {
    body["model"] = body.get("model").cloned().unwrap_or_else(|| json!("gemini-3.1-flash-image"));
    let answer = server.create(&body).unwrap();
    assert_eq!(answer.status, 200, "{}", answer.body);
    answer.body
}

fn picture(answer: &Value) -> &Value {
    assert_eq!(answer["status"], "completed", "{answer}");
    let picture = &answer["steps"].as_array().unwrap().last().unwrap()["content"][0];
    assert_eq!(picture["type"], "image");
    picture
}

#[test]
fn a_service_makes_the_pictures_and_changes_them() {
    let png = png();
    let service = Service::start(&[&png]);
    let site = service.site();
    let server = site.serve(&[]);
    let first = ask(&server, json!({ "input": "A house" }));
    assert_eq!(picture(&first), &json!({ "type": "image", "data": png, "mime_type": "image/png" }));
    assert_eq!(first["usage"]["total_output_tokens"], 90);
    assert_eq!(first["usage"]["output_tokens_by_modality"], json!([{ "modality": "image", "tokens": 90 }]));
    let (line, body) = service.asked.recv().unwrap();
    assert_eq!(line, "POST /v1/images/generations HTTP/1.1");
    assert_eq!(serde_json::from_str::<Value>(&body).unwrap()["prompt"], "A house");
    // Words still come from the model that has them.
    let said = ask(&server, json!({ "model": "gemini-3.5-flash", "input": "Hi" }));
    assert_eq!(said["steps"].as_array().unwrap().last().unwrap()["content"][0]["text"], "Hello.");
    let second = ask(
        &server,
        json!({ "model": "painter", "input": "Darker", "previous_interaction_id": first["id"],
            "response_format": { "type": "image", "mime_type": "image/jpeg" } }),
    );
    // The service gave the same PNG, so it was changed here.
    assert_eq!(picture(&second)["mime_type"], "image/jpeg");
    let bytes = STANDARD.decode(picture(&second)["data"].as_str().unwrap()).unwrap();
    assert_eq!(bytes[..3], [0xff, 0xd8, 0xff]);
    let (line, form) = service.asked.recv().unwrap();
    assert_eq!(line, "POST /v1/images/edits HTTP/1.1");
    assert!(form.contains("name=\"prompt\"\r\n\r\nDarker\r\n") && form.contains("name=\"output_format\"\r\n\r\njpeg"));
    let own =
        json!([{ "type": "image", "data": png, "mime_type": "image/png" }, { "type": "text", "text": "Add a cat" }]);
    ask(&server, json!({ "input": own }));
    let (line, form) = service.asked.recv().unwrap();
    assert_eq!(line, "POST /v1/images/edits HTTP/1.1");
    assert!(form.contains("Add a cat") && form.contains("filename=\"picture-0.png\""), "{form}");
}

#[test]
fn what_a_service_cannot_do_is_refused_by_name_before_it_is_asked() {
    let service = Service::start(&["aGk="]);
    let site = service.site();
    let server = site.serve(&[]);
    for (more, field) in [
        (json!({ "response_format": { "type": "image", "aspect_ratio": "21:9" } }), "`response_format.aspect_ratio`"),
        (json!({ "response_format": { "type": "image", "image_size": "4K" } }), "`response_format.image_size`"),
        (json!({ "response_format": [{ "type": "text" }, { "type": "image" }] }), "`response_format`"),
        (json!({ "generation_config": { "seed": 7 } }), "`generation_config.seed`"),
        (json!({ "tools": [{ "type": "function", "name": "f" }] }), "`tools`"),
    ] {
        let mut body = json!({ "model": "painter", "input": "A house" });
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let answer = server.create(&body).unwrap();
        assert_eq!(answer.status, 400, "{}", answer.body);
        assert!(answer.body["error"]["message"].as_str().unwrap().starts_with(field), "{}", answer.body);
    }
    assert!(service.asked.try_recv().is_err());
}

#[test]
fn bytes_that_are_no_picture_are_shown_to_nobody() {
    let png = STANDARD.decode(png()).unwrap();
    // 30,000 × 30,000 pixels, says its head, and as many a JPEG.
    let mut giant = png.clone();
    giant[16..24].copy_from_slice(&[0, 0, 0x75, 0x30, 0, 0, 0x75, 0x30]);
    let bad = [
        STANDARD.encode("<html>"),
        STANDARD.encode(HOUSE),
        STANDARD.encode(&png[..png.len() / 2]),
        STANDARD.encode(giant),
        "%%%".to_owned(),
    ];
    let service = Service::start(&bad.iter().map(String::as_str).collect::<Vec<_>>());
    let site = service.site();
    let server = site.serve(&[]);
    for bad in &bad {
        let answer = ask(&server, json!({ "input": "A house" }));
        assert_eq!((&answer["status"], &answer["error"]["code"]), (&json!("failed"), &json!("no_image")), "{answer}");
        let message = answer["error"]["message"].as_str().unwrap();
        assert!(message.starts_with("A picture of the model's service cannot be shown: "), "{bad:.20}: {message}");
        assert_eq!(answer["steps"], json!([]));
    }
}

/// A drawing with words before it, as a model that draws writes it.
fn script() -> String {
    let captioned = format!("A small house in the sun.\n{HOUSE}");
    format!(
        "[[reply]]\nwhen = \"say in one short sentence\"\nchunks = ['''{captioned}''']\n\
         [[reply]]\nwhen = \"as one <svg>\"\nchunks = ['''{HOUSE}''']\n[[reply]]\nchunks = [\"Hello.\"]\n"
    )
}

#[test]
fn words_and_a_picture_come_in_one_answer_also_through_another_server() {
    let near = Site::scripted(&script());
    let service = near.serve(&[]);
    let far = format!(
        "{TEXT}[[models]]\nname = \"far\"\nbackend = \"gemini_interactions\"\nmodel = \"gemini-3.1-flash-image\"\n\
         url = \"http://{}/v1beta\"\napi_key_file = \"key\"\ncapabilities = {{ pictures = true }}\n",
        service.address
    );
    let site = Site::new(&far, &[("script.toml", HELLO), ("key", &service.key)]);
    let server = site.serve(&[]);
    let both = json!([{ "type": "text" }, { "type": "image", "aspect_ratio": "16:9", "image_size": "512" }]);
    for (which, more) in [
        (&service, json!({ "response_format": both })),
        (&service, json!({ "response_modalities": ["TEXT", "IMAGE"] })),
        (&server, json!({ "response_format": both })),
    ] {
        let mut body = json!({ "input": "A house" });
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let answer = ask(which, body);
        assert_eq!(picture(&answer)["mime_type"], "image/png");
        let steps = answer["steps"].as_array().unwrap();
        let texts: Vec<_> = steps.iter().filter_map(|step| step["content"][0]["text"].as_str()).collect();
        assert_eq!(texts, ["A small house in the sun."], "{answer}");
        assert_eq!(answer["usage"].get("output_tokens_by_modality"), None, "nobody knows how many are whose");
    }
    // Asked for a picture alone it gives no words, and a stream has it once.
    let body = json!({ "model": "far", "input": "A house", "stream": true, "response_format": { "type": "image" } });
    let events: Vec<Value> = server.stream("POST", "/v1beta/interactions", Some(&body)).unwrap().collect();
    let kinds = |kind: &str| events.iter().filter(|event| event["delta"]["type"] == kind).count();
    assert_eq!((kinds("image"), kinds("text")), (1, 0), "{events:?}");
}

#[test]
fn whoever_has_the_data_folder_can_read_what_was_drawn() {
    let site = Site::scripted(&script());
    let server = site.serve(&[]);
    let answer = ask(&server, json!({ "input": "A house" }));
    let show = |project: &str| {
        let mut child = antiphon()
            .args(["show-drawing", "--project", project, "--data-dir"])
            .arg(site.data())
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::piped())
            .stderr(std::process::Stdio::null())
            .spawn()
            .unwrap();
        let signature = answer["steps"][0]["signature"].as_str().unwrap();
        child.stdin.take().unwrap().write_all(signature.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        (output.status.success(), String::from_utf8(output.stdout).unwrap())
    };
    assert_eq!(show("1"), (true, format!("{HOUSE}\n")));
    assert_eq!(show("2"), (false, String::new()));
}

#[test]
fn a_picture_may_come_as_a_file() {
    let near = Site::scripted(&script());
    let server = near.serve(&[]);
    let format = json!({ "type": "image", "image_size": "512", "mime_type": "image/jpeg", "delivery": "uri" });
    let body =
        json!({ "model": "gemini-3.1-flash-image", "input": "A house", "stream": true, "response_format": format });
    let events: Vec<Value> = server.stream("POST", "/v1beta/interactions", Some(&body)).unwrap().collect();
    let deltas: Vec<_> = events.iter().filter(|event| event["delta"]["type"] == "image").collect();
    let [delta] = &deltas[..] else { panic!("{} pictures", deltas.len()) };
    let name = delta["delta"]["uri"].as_str().unwrap();
    assert_eq!(delta["delta"], json!({ "type": "image", "uri": name, "mime_type": "image/jpeg" }));
    // What is stored says the same.
    let stored = server.get(events[0]["interaction"]["id"].as_str().unwrap()).unwrap().body;
    assert_eq!(picture(&stored), &delta["delta"]);
    let file = server.call("GET", &format!("/v1beta/{name}"), None).unwrap().body;
    assert_eq!((&file["source"], &file["mimeType"]), (&json!("GENERATED"), &json!("image/jpeg")));
    assert!(file["downloadUri"].as_str().unwrap().ends_with(&format!("/v1beta/{name}:download?alt=media")));
    let bytes = server.bytes(&format!("/v1beta/{name}:download?alt=media"), u64::MAX).unwrap();
    assert_eq!(
        (&bytes[..3], bytes.len().to_string()),
        (&[0xff, 0xd8, 0xff][..], file["sizeBytes"].as_str().unwrap().to_owned())
    );
    // A drawing is known by what it was made of, wherever its picture is.
    let darker = json!({ "input": "Darker", "previous_interaction_id": stored["id"] });
    assert_eq!(ask(&server, darker)["status"], "completed");
    // Once it is deleted it is gone.
    assert_eq!(server.call("DELETE", &format!("/v1beta/{name}"), None).unwrap().status, 200);
    assert_eq!(server.call("GET", &format!("/v1beta/{name}:download?alt=media"), None).unwrap().status, 404);
}
