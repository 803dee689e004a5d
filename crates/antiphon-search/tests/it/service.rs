//! A search service on loopback that does what a test says.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

/// A request as it came, its head's names in lower case.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) line: String,
    pub(crate) head: String,
    pub(crate) body: String,
}

/// What is answered to a request: a status, and a body.
pub(crate) type Answer = (u16, String);

pub(crate) struct Service {
    pub(crate) url: String,
    requests: Arc<Mutex<Vec<Request>>>,
}

impl Service {
    /// No answer leaves the connection open and silent.
    pub(crate) fn start(answer: impl Fn(&Request) -> Option<Answer> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let requests = Arc::<Mutex<Vec<Request>>>::default();
        let (told, answer) = (Arc::clone(&requests), Arc::new(answer));
        thread::spawn(move || {
            for connection in listener.incoming().flatten() {
                let (told, answer) = (Arc::clone(&told), Arc::clone(&answer));
                thread::spawn(move || serve(connection, &told, &*answer));
            }
        });
        Self { url, requests }
    }

    /// The same answer to every request.
    pub(crate) fn answering(status: u16, body: impl Into<String>) -> Self {
        let body = body.into();
        Self::start(move |_| Some((status, body.clone())))
    }

    pub(crate) fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }
}

fn serve(mut connection: TcpStream, told: &Mutex<Vec<Request>>, answer: &(dyn Fn(&Request) -> Option<Answer> + Sync)) {
    let Some(request) = receive(&mut connection) else { return };
    told.lock().unwrap().push(request.clone());
    match answer(&request) {
        Some((status, body)) => {
            let head = format!(
                "HTTP/1.1 {status} Said\r\ncontent-type: application/json\r\ncontent-length: {}\r\nlocation: /other\r\n\
                 connection: close\r\n\r\n",
                body.len()
            );
            // A client that has read enough hangs up.
            let _ = connection.write_all(head.as_bytes()).and_then(|()| connection.write_all(body.as_bytes()));
        }
        // Until the client leaves.
        None => {
            let _ = connection.read(&mut [0]);
        }
    }
}

fn receive(connection: &mut TcpStream) -> Option<Request> {
    let mut received = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let read = connection.read(&mut buffer).ok().filter(|read| *read > 0)?;
        received.extend_from_slice(&buffer[..read]);
        let text = String::from_utf8_lossy(&received).into_owned();
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let (line, head) = head.split_once("\r\n")?;
        let head = head.to_ascii_lowercase();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok()).unwrap_or(0);
        if body.len() >= length {
            return Some(Request { line: line.to_owned(), head, body: body.to_owned() });
        }
    }
}
