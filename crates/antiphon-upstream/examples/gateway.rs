//! Both ends of the gateway benchmark (`bench/run f`): a service of chat completions that
//! answers at once, and a load of requests at a fixed rate. Bare sockets on one thread: what
//! they cost is taken from the gateway between them.
//!
//! ```text
//! gateway service
//! gateway load ADDRESS RATE SECONDS CONNECTIONS REQUEST-FILE
//! ```
//!
//! `service` prints its address. `load` sends the bytes of the file and prints one line of
//! JSON: how many requests were answered with 200 and how many were not, answers per second,
//! and the median and 99th percentile of their times in ms. A request that had to wait for a
//! connection is timed from the moment when it was due.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Instant;

type Failed = Box<dyn std::error::Error + Send + Sync>;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Failed> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["service"] => serve().await,
        ["load", address, rate, seconds, connections, file] => {
            let load = Load {
                address: address.to_owned(),
                interval: Duration::from_secs_f64(1.0 / rate.parse::<f64>()?),
                count: (rate.parse::<f64>()? * seconds.parse::<f64>()?).ceil() as u64,
                connections: connections.parse()?,
                request: std::fs::read(file)?,
            };
            load.run().await
        }
        _ => Err("expected `service` or `load ADDRESS RATE SECONDS CONNECTIONS REQUEST-FILE`".into()),
    }
}

/// Longer requests and answers are none of this benchmark.
const MOST_BYTES: usize = 1 << 20;

const WHOLE: &str = r#"{"id":"c","object":"chat.completion","created":1,"model":"mock","choices":[{"index":0,"message":{"role":"assistant","content":"ok"},"finish_reason":"stop"}],"usage":{"prompt_tokens":3,"completion_tokens":1,"total_tokens":4}}"#;

const EVENTS: &str = concat!(
    r#"data: {"id":"c","object":"chat.completion.chunk","created":1,"model":"mock","choices":[{"index":0,"delta":{"role":"assistant","content":"ok"},"finish_reason":null}]}"#,
    "\n\n",
    r#"data: {"id":"c","object":"chat.completion.chunk","created":1,"model":"mock","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}"#,
    "\n\n",
    r#"data: {"id":"c","object":"chat.completion.chunk","created":1,"model":"mock","choices":[],"usage":{"prompt_tokens":3,"completion_tokens":1,"total_tokens":4}}"#,
    "\n\ndata: [DONE]\n\n",
);

/// The same as OpenAI's responses, which some gateways prefer.
const WHOLE_RESPONSE: &str = r#"{"id":"resp_c","object":"response","created_at":1,"status":"completed","model":"mock","output":[{"type":"message","id":"msg_c","status":"completed","role":"assistant","content":[{"type":"output_text","text":"ok","annotations":[]}]}],"parallel_tool_calls":true,"tool_choice":"auto","tools":[],"error":null,"incomplete_details":null,"instructions":null,"metadata":{},"temperature":1.0,"top_p":1.0,"usage":{"input_tokens":3,"input_tokens_details":{"cached_tokens":0},"output_tokens":1,"output_tokens_details":{"reasoning_tokens":0},"total_tokens":4}}"#;

const RESPONSE_EVENTS: &str = concat!(
    r#"event: response.created"#,
    "\n",
    r#"data: {"type":"response.created","sequence_number":0,"response":{"id":"resp_c","object":"response","created_at":1,"status":"in_progress","model":"mock","output":[],"parallel_tool_calls":true,"tool_choice":"auto","tools":[],"error":null,"incomplete_details":null,"instructions":null,"metadata":{},"temperature":1.0,"top_p":1.0,"usage":null}}"#,
    "\n\n",
    r#"event: response.output_item.added"#,
    "\n",
    r#"data: {"type":"response.output_item.added","sequence_number":1,"output_index":0,"item":{"type":"message","id":"msg_c","status":"in_progress","role":"assistant","content":[]}}"#,
    "\n\n",
    r#"event: response.content_part.added"#,
    "\n",
    r#"data: {"type":"response.content_part.added","sequence_number":2,"item_id":"msg_c","output_index":0,"content_index":0,"part":{"type":"output_text","text":"","annotations":[]}}"#,
    "\n\n",
    r#"event: response.output_text.delta"#,
    "\n",
    r#"data: {"type":"response.output_text.delta","sequence_number":3,"item_id":"msg_c","output_index":0,"content_index":0,"delta":"ok","logprobs":[]}"#,
    "\n\n",
    r#"event: response.output_text.done"#,
    "\n",
    r#"data: {"type":"response.output_text.done","sequence_number":4,"item_id":"msg_c","output_index":0,"content_index":0,"text":"ok","logprobs":[]}"#,
    "\n\n",
    r#"event: response.content_part.done"#,
    "\n",
    r#"data: {"type":"response.content_part.done","sequence_number":5,"item_id":"msg_c","output_index":0,"content_index":0,"part":{"type":"output_text","text":"ok","annotations":[]}}"#,
    "\n\n",
    r#"event: response.output_item.done"#,
    "\n",
    r#"data: {"type":"response.output_item.done","sequence_number":6,"output_index":0,"item":{"type":"message","id":"msg_c","status":"completed","role":"assistant","content":[{"type":"output_text","text":"ok","annotations":[]}]}}"#,
    "\n\n",
    r#"event: response.completed"#,
    "\n",
    r#"data: {"type":"response.completed","sequence_number":7,"response":{"id":"resp_c","object":"response","created_at":1,"status":"completed","model":"mock","output":[{"type":"message","id":"msg_c","status":"completed","role":"assistant","content":[{"type":"output_text","text":"ok","annotations":[]}]}],"parallel_tool_calls":true,"tool_choice":"auto","tools":[],"error":null,"incomplete_details":null,"instructions":null,"metadata":{},"temperature":1.0,"top_p":1.0,"usage":{"input_tokens":3,"input_tokens_details":{"cached_tokens":0},"output_tokens":1,"output_tokens_details":{"reasoning_tokens":0},"total_tokens":4}}}"#,
    "\n\n",
);

async fn serve() -> Result<(), Failed> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let mut out = tokio::io::stdout();
    out.write_all(format!("http://{}\n", listener.local_addr()?).as_bytes()).await?;
    out.flush().await?;
    loop {
        let (connection, _) = listener.accept().await?;
        connection.set_nodelay(true)?;
        #[expect(clippy::disallowed_methods, reason = "it lives as long as the process")]
        tokio::spawn(answer_all(connection));
    }
}

async fn answer_all(mut connection: TcpStream) {
    let mut received = Vec::new();
    while let Ok(Some(message)) = receive(&mut connection, &mut received).await {
        let streamed = [&br#""stream":true"#[..], br#""stream": true"#].iter().any(|flag| contains(&message, flag));
        let (whole, events) = match message.starts_with(b"POST /v1/responses ") {
            true => (WHOLE_RESPONSE, RESPONSE_EVENTS),
            false => (WHOLE, EVENTS),
        };
        let answer = if streamed {
            let head = "content-type: text/event-stream\r\ntransfer-encoding: chunked";
            format!("HTTP/1.1 200 OK\r\n{head}\r\n\r\n{:x}\r\n{events}\r\n0\r\n\r\n", events.len())
        } else {
            let head = "content-type: application/json";
            format!("HTTP/1.1 200 OK\r\n{head}\r\ncontent-length: {}\r\n\r\n{whole}", whole.len())
        };
        if connection.write_all(answer.as_bytes()).await.is_err() {
            return;
        }
    }
}

struct Load {
    address: String,
    interval: Duration,
    count: u64,
    connections: usize,
    request: Vec<u8>,
}

impl Load {
    async fn run(self) -> Result<(), Failed> {
        let load = Arc::new(self);
        let next = Arc::new(AtomicU64::new(0));
        let start = Instant::now();
        let workers: Vec<_> = (0..load.connections)
            .map(|_| {
                #[expect(clippy::disallowed_methods, reason = "it is waited for below")]
                tokio::spawn(Arc::clone(&load).work(start, Arc::clone(&next)))
            })
            .collect();
        let (mut times, mut failed) = (Vec::new(), 0);
        for worker in workers {
            let (answered, lost) = worker.await?;
            times.extend(answered);
            failed += lost;
        }
        let elapsed = start.elapsed().as_secs_f64();
        times.sort_unstable();
        let milliseconds = |share: usize| {
            let at = (times.len() * share / 100).min(times.len().saturating_sub(1));
            times.get(at).map_or(0.0, |time| 1000.0 * time.as_secs_f64())
        };
        let line = format!(
            "{{\"answered\": {}, \"failed\": {failed}, \"per_second\": {:.1}, \"p50\": {:.4}, \"p99\": {:.4}}}\n",
            times.len(),
            times.len() as f64 / elapsed,
            milliseconds(50),
            milliseconds(99),
        );
        tokio::io::stdout().write_all(line.as_bytes()).await?;
        Ok(())
    }

    /// One connection: takes the next request that is due, until all are taken.
    async fn work(self: Arc<Self>, start: Instant, next: Arc<AtomicU64>) -> (Vec<Duration>, u64) {
        let (mut times, mut failed) = (Vec::new(), 0);
        let (mut connection, mut received) = (None, Vec::new());
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= self.count {
                return (times, failed);
            }
            let due = start + self.interval.mul_f64(number as f64);
            let waited = Instant::now() < due;
            tokio::time::sleep_until(due).await;
            // Timers are late by up to a millisecond, which is not the gateway's.
            let begin = if waited { Instant::now() } else { due };
            match self.ask(&mut connection, &mut received).await {
                Ok(()) => times.push(begin.elapsed()),
                Err(_) => {
                    failed += 1;
                    connection = None;
                    received.clear();
                }
            }
        }
    }

    async fn ask(&self, connection: &mut Option<TcpStream>, received: &mut Vec<u8>) -> Result<(), Failed> {
        let open = match connection {
            Some(open) => open,
            None => {
                let opened = TcpStream::connect(&self.address).await?;
                opened.set_nodelay(true)?;
                connection.insert(opened)
            }
        };
        open.write_all(&self.request).await?;
        match receive(open, received).await? {
            Some(answer) if answer.starts_with(b"HTTP/1.1 200 ") && !contains(&answer, b"\"failed\"") => Ok(()),
            _ => Err("not answered".into()),
        }
    }
}

/// Reads one whole request or answer; none when the connection ends before it begins.
async fn receive(connection: &mut TcpStream, received: &mut Vec<u8>) -> Result<Option<Vec<u8>>, Failed> {
    loop {
        if let Some(end) = end_of_message(received) {
            let rest = received.split_off(end);
            return Ok(Some(std::mem::replace(received, rest)));
        }
        if received.len() > MOST_BYTES {
            return Err("too long".into());
        }
        if connection.read_buf(received).await? == 0 {
            return if received.is_empty() { Ok(None) } else { Err("cut".into()) };
        }
    }
}

fn end_of_message(received: &[u8]) -> Option<usize> {
    let head = find(received, b"\r\n\r\n")? + 4;
    let fields = String::from_utf8_lossy(&received[..head]).to_ascii_lowercase();
    let field = |name: &str| fields.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
    let end = match field("content-length:") {
        Some(length) => head + length.parse::<usize>().ok()?,
        None if field("transfer-encoding:") == Some("chunked") => head + find(&received[head..], b"0\r\n\r\n")? + 5,
        None => head,
    };
    (received.len() >= end).then_some(end)
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    find(bytes, part).is_some()
}

fn find(bytes: &[u8], part: &[u8]) -> Option<usize> {
    bytes.windows(part.len()).position(|window| window == part)
}
