//! A service of chat completions that does what a test says, request by request.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use antiphon_engine::{Calls, Message, ModelRequest};
use antiphon_upstream::{Capabilities, Flavor, ProtocolKind, Secret, Timeouts, Upstream, UpstreamOptions};
use antiphon_wire::GenerationConfig;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;

/// What the service does with one request.
#[derive(Clone)]
pub(crate) enum Does {
    /// Answers with this status, these lines of head, and this body.
    Answers(u16, &'static str, String),
    /// Says these texts, and ends the answer.
    Says(&'static [&'static str]),
    /// Says these texts, and cuts the connection.
    Breaks(&'static [&'static str]),
    /// Says these texts, and nothing more until the client leaves.
    Hangs(&'static [&'static str]),
    /// Sends these bytes as the stream of events.
    Sends(Vec<u8>),
}

pub(crate) struct Service {
    pub(crate) url: String,
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    /// The last is done again and again.
    script: Mutex<VecDeque<Does>>,
    requests: Mutex<Vec<(String, Value)>>,
    /// A client hung up before the answer's end.
    left: Notify,
}

impl Service {
    pub(crate) async fn start(script: Vec<Does>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/v1", listener.local_addr().unwrap());
        let state = Arc::new(State { script: Mutex::new(script.into()), ..State::default() });
        let shared = Arc::clone(&state);
        #[expect(clippy::disallowed_methods, reason = "it ends with the test's runtime")]
        tokio::spawn(async move {
            while let Ok((connection, _)) = listener.accept().await {
                #[expect(clippy::disallowed_methods, reason = "it ends with the test's runtime")]
                tokio::spawn(answer(connection, Arc::clone(&shared)));
            }
        });
        Self { url, state }
    }

    /// Heads and bodies of the requests so far.
    pub(crate) fn requests(&self) -> Vec<(String, Value)> {
        self.state.requests.lock().unwrap().clone()
    }

    pub(crate) fn count(&self) -> usize {
        self.state.requests.lock().unwrap().len()
    }

    /// Waits until a client has hung up.
    pub(crate) async fn left(&self) {
        self.state.left.notified().await;
    }

    pub(crate) fn upstream(&self) -> Upstream {
        Upstream::new(options(vec![self.url.clone()])).unwrap()
    }
}

pub(crate) fn options(urls: Vec<String>) -> UpstreamOptions {
    UpstreamOptions {
        name: "model".to_owned(),
        protocol: ProtocolKind::Chat(Flavor::Vllm),
        urls,
        model: "m".to_owned(),
        key: Some(Secret::new("sk-planted")),
        headers: Vec::new(),
        session_header: None,
        capabilities: Capabilities::default(),
        timeouts: Timeouts {
            connect: Duration::from_secs(5),
            first: Duration::from_secs(60),
            idle: Duration::from_secs(60),
        },
        concurrency: 8,
        attempts: 3,
    }
}

pub(crate) fn request(text: &str) -> ModelRequest {
    ModelRequest {
        is_agent: false,
        research: None,
        scope: "project-1".to_owned(),
        system_instruction: None,
        tools: Vec::new(),
        calls: Calls::None,
        answer: None,
        grammar: None,
        picture: Default::default(),
        thinking: None,
        messages: vec![Message::user(text)],
        generation: GenerationConfig::default(),
        max_output_tokens: 100,
        seed: 1,
        resume: None,
    }
}

async fn answer(mut connection: TcpStream, state: Arc<State>) {
    let mut received = Vec::new();
    loop {
        let (head, body, rest) = loop {
            if let Some(whole) = whole(&received) {
                break whole;
            }
            match connection.read_buf(&mut received).await {
                Ok(1..) => {}
                Ok(0) | Err(_) => return,
            }
        };
        received = rest;
        state.requests.lock().unwrap().push((head, body));
        let does = {
            let mut script = state.script.lock().unwrap();
            if script.len() > 1 { script.pop_front() } else { script.front().cloned() }
        };
        let Some(does) = does else { return };
        let events = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
        let (bytes, then) = match does {
            Does::Answers(status, head, body) => {
                let length = body.len();
                (
                    format!("HTTP/1.1 {status} X\r\n{head}content-length: {length}\r\n\r\n{body}").into_bytes(),
                    Then::Goes,
                )
            }
            Does::Says(texts) => (format!("{events}{}0\r\n\r\n", chunk(&said(texts, true))).into_bytes(), Then::Goes),
            Does::Breaks(texts) => (format!("{events}{}", chunk(&said(texts, false))).into_bytes(), Then::Ends),
            Does::Hangs(texts) => (format!("{events}{}", chunk(&said(texts, false))).into_bytes(), Then::Hangs),
            Does::Sends(bytes) => {
                let mut whole = format!("{events}{:x}\r\n", bytes.len()).into_bytes();
                whole.extend(bytes);
                whole.extend(b"\r\n0\r\n\r\n");
                (whole, Then::Goes)
            }
        };
        let written = connection.write_all(&bytes).await;
        match then {
            Then::Goes if written.is_ok() => {}
            Then::Goes | Then::Ends => return,
            Then::Hangs => {
                let mut byte = [0];
                let _ = connection.read(&mut byte).await;
                state.left.notify_one();
                return;
            }
        }
    }
}

enum Then {
    Goes,
    Ends,
    Hangs,
}

fn chunk(text: &str) -> String {
    if text.is_empty() { String::new() } else { format!("{:x}\r\n{text}\r\n", text.len()) }
}

fn said(texts: &[&str], ends: bool) -> String {
    let mut events: String = texts
        .iter()
        .map(|text| format!("data: {}\n\n", json!({"choices": [{"delta": {"content": text}, "finish_reason": null}]})))
        .collect();
    if ends {
        let end = json!({"choices": [{"delta": {}, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 3, "completion_tokens": 2}});
        events.push_str(&format!("data: {end}\n\ndata: [DONE]\n\n"));
    }
    events
}

fn whole(received: &[u8]) -> Option<(String, Value, Vec<u8>)> {
    let head = received.windows(4).position(|end| end == b"\r\n\r\n")? + 4;
    let fields = String::from_utf8_lossy(&received[..head]).to_ascii_lowercase();
    let length: usize = fields.lines().find_map(|line| line.strip_prefix("content-length: "))?.parse().unwrap();
    let body = received.get(head..head + length)?;
    // What is no JSON is a form.
    let read = serde_json::from_slice(body).unwrap_or_else(|_| Value::from(String::from_utf8_lossy(body)));
    Some((fields, read, received[head + length..].to_vec()))
}
