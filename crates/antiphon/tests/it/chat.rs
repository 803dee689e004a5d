//! A service of chat completions whose model is a function of the conversation that it is told.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

/// What the model says.
pub(crate) enum Says {
    Text(String),
    /// Names of functions and their arguments, all in one turn.
    Calls(Vec<(&'static str, Value)>),
}

/// Its thread ends with the process of the test.
pub(crate) struct Service {
    pub(crate) url: String,
    heard: Arc<Mutex<Vec<Value>>>,
}

impl Service {
    /// `context`: the bytes of a conversation that are too many, as the service sees it.
    pub(crate) fn start(context: usize, model: impl Fn(&[Value]) -> Says + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/v1", listener.local_addr().unwrap());
        let heard = Arc::<Mutex<Vec<Value>>>::default();
        let hears = Arc::clone(&heard);
        std::thread::spawn(move || {
            for connection in listener.incoming() {
                if let Some(connection) = connection.ok()
                    && let Some(request) = read(&connection)
                {
                    hears.lock().unwrap().push(request.clone());
                    // A client that has left is no matter of the service.
                    let _ = answer(&connection, &request, context, &model);
                }
            }
        });
        Self { url, heard }
    }

    /// The requests so far.
    pub(crate) fn heard(&self) -> Vec<Value> {
        self.heard.lock().unwrap().clone()
    }
}

fn read(connection: &TcpStream) -> Option<Value> {
    let mut reader = BufReader::new(connection);
    let mut length = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let line = line.trim().to_ascii_lowercase();
        if line.is_empty() {
            break;
        }
        if let Some(value) = line.strip_prefix("content-length: ") {
            length = value.parse().ok()?;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    serde_json::from_slice(&body).ok()
}

fn answer(
    mut connection: &TcpStream,
    request: &Value,
    context: usize,
    model: &impl Fn(&[Value]) -> Says,
) -> std::io::Result<()> {
    let bytes = request["messages"].to_string().len() + request["tools"].to_string().len();
    if bytes > context {
        let error =
            json!({"error": {"code": "context_length_exceeded", "message": format!("{bytes} bytes")}}).to_string();
        let head = format!("HTTP/1.1 400 X\r\nconnection: close\r\ncontent-length: {}\r\n\r\n", error.len());
        return connection.write_all(format!("{head}{error}").as_bytes());
    }
    let (delta, reason) = match model(request["messages"].as_array().map_or(&[], Vec::as_slice)) {
        Says::Text(text) => (json!({"content": text}), "stop"),
        Says::Calls(calls) => {
            let call = |(index, (name, arguments)): (usize, (&str, Value))| {
                json!({"index": index, "id": format!("call_{bytes}_{index}"), "type": "function",
                    "function": {"name": name, "arguments": arguments.to_string()}})
            };
            let calls: Vec<_> = calls.into_iter().enumerate().map(call).collect();
            (json!({"tool_calls": calls}), "tool_calls")
        }
    };
    let usage = json!({"prompt_tokens": bytes / 4, "completion_tokens": 20});
    let events = [
        json!({"choices": [{"delta": delta, "finish_reason": null}]}),
        json!({"choices": [{"delta": {}, "finish_reason": reason}], "usage": usage}),
    ];
    let events: String = events.iter().map(|event| format!("data: {event}\n\n")).collect();
    let head = "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-type: text/event-stream\r\n\r\n";
    connection.write_all(format!("{head}{events}data: [DONE]\n\n").as_bytes())
}
