//! A worker as its server sees it: only pipes.

use std::io::{PipeReader, PipeWriter, pipe};
use std::sync::mpsc;
use std::thread::{self, JoinHandle};

use antiphon_worker::protocol::{
    FinishReason, FrameError, Generate, Message, Request, Sampling, Segment, read_frame, write_frame,
};
use antiphon_worker::{Decoder, ServeError, Settings, Toy, serve};
use pretty_assertions::assert_eq;

/// A worker on a thread, seen from the other end of its pipes.
struct Worker {
    requests: PipeWriter,
    messages: PipeReader,
    hung_up: mpsc::Receiver<Result<(), FrameError>>,
    life: JoinHandle<Result<(), ServeError>>,
}

impl Worker {
    fn start() -> Self {
        let ((input, requests), (messages, output)) = (pipe().unwrap(), pipe().unwrap());
        let (hang_up, hung_up) = mpsc::channel();
        let toy = Toy::new(1000, 2, 4, 64);
        let settings = Settings::of(&toy);
        let life =
            thread::spawn(move || serve(toy, settings, input, output, move |end| hang_up.send(end).unwrap(), |_| {}));
        Self { requests, messages, hung_up, life }
    }

    fn ask(&mut self, request: &Request) {
        write_frame(&mut self.requests, request).unwrap();
    }

    fn hear(&mut self) -> Message {
        read_frame(&mut self.messages).unwrap().expect("the worker is there")
    }
}

fn generate(id: u64, max_tokens: u32) -> Request {
    Request::Generate(Generate {
        id,
        scope: String::new(),
        prompt: vec![65],
        resume: Vec::new(),
        max_tokens,
        sampling: Sampling::GREEDY,
        markers: Vec::new(),
    })
}

#[test]
fn a_worker_presents_itself_and_answers() {
    let mut worker = Worker::start();
    assert_eq!(worker.hear(), Message::Ready(Toy::new(1000, 2, 4, 64).card().clone()));
    worker.ask(&Request::Tokenize { id: 1, segments: vec![Segment::Data("ab".to_owned())] });
    assert_eq!(worker.hear(), Message::Tokenized { id: 1, tokens: vec![97, 98] });
    worker.ask(&generate(2, 1));
    assert_eq!(worker.hear(), Message::Started { id: 2, cached: 0 });
    assert!(matches!(worker.hear(), Message::Chunk { id: 2, tokens, .. } if tokens.len() == 1));
    assert_eq!(worker.hear(), Message::Finished { id: 2, reason: FinishReason::Length });
}

#[test]
fn the_end_of_the_pipe_ends_the_worker() {
    let mut worker = Worker::start();
    worker.hear();
    drop(worker.requests);
    assert!(worker.hung_up.recv().unwrap().is_ok());
    assert!(worker.life.join().unwrap().is_ok());
}

#[test]
fn a_malformed_request_hangs_up() {
    let mut worker = Worker::start();
    worker.hear();
    write_frame(&mut worker.requests, &"nonsense").unwrap();
    assert!(matches!(worker.hung_up.recv().unwrap(), Err(FrameError::Malformed { .. })));
}

#[test]
fn a_server_that_stops_reading_ends_the_worker() {
    let mut worker = Worker::start();
    worker.hear();
    drop(worker.messages);
    write_frame(&mut worker.requests, &generate(1, 5)).unwrap();
    assert!(matches!(worker.life.join().unwrap(), Err(ServeError::Frame(FrameError::Pipe(_)))));
}
