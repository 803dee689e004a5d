//! A worker as its server sees it: only pipes.

use std::io::{PipeReader, PipeWriter, pipe};
use std::sync::mpsc;
use std::thread::{self, JoinHandle};

use antiphon_worker::protocol::{
    Constraint, FinishReason, FrameError, Generate, Message, Place, Refused, Request, Sampling, Segment, Shape,
    read_frame, write_frame,
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
        let toy = Toy::new(1000, 2, 4, 64).seeing();
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
    Request::Generate(run(id, max_tokens))
}

fn run(id: u64, max_tokens: u32) -> Generate {
    Generate {
        id,
        scope: String::new(),
        prompt: vec![65],
        media: Vec::new(),
        resume: Vec::new(),
        max_tokens,
        sampling: Sampling::GREEDY,
        markers: Vec::new(),
        constraint: None,
    }
}

#[test]
fn a_worker_presents_itself_and_answers() {
    let mut worker = Worker::start();
    assert_eq!(worker.hear(), Message::Ready(Toy::new(1000, 2, 4, 64).seeing().card().clone()));
    worker.ask(&Request::Prepare { id: 1, segments: vec![Segment::Data("ab".to_owned())], constraint: None });
    assert_eq!(worker.hear(), Message::Prepared { id: 1, tokens: vec![97, 98], media: Vec::new() });
    worker.ask(&generate(2, 1));
    assert_eq!(worker.hear(), Message::Started { id: 2, cached: 0 });
    assert!(matches!(worker.hear(), Message::Chunk { id: 2, tokens, .. } if tokens.len() == 1));
    assert_eq!(worker.hear(), Message::Finished { id: 2, reason: FinishReason::Length });
}

#[test]
fn media_are_measured_by_their_shapes_and_refused_where_none_are_taken() {
    let mut worker = Worker::start();
    worker.hear();
    let segments = |shape| vec![Segment::Data("ab".to_owned()), Segment::Media(shape), Segment::Data("c".to_owned())];
    let prepare = |id, shape| Request::Prepare { id, segments: segments(shape), constraint: None };
    worker.ask(&prepare(1, Shape::Image { width: 4, height: 3 }));
    let media = vec![Place { at: 2, tokens: 14 }];
    assert_eq!(worker.hear(), Message::Prepared { id: 1, tokens: vec![97, 98, 99], media });
    worker.ask(&prepare(2, Shape::Audio { samples: 9 }));
    let message = "the model takes no sounds".to_owned();
    assert_eq!(worker.hear(), Message::Refused { id: 2, what: Refused::Media, message });
    worker.ask(&prepare(3, Shape::Image { width: 0, height: 3 }));
    assert!(matches!(worker.hear(), Message::Refused { id: 3, message, .. } if message.contains("sides of 1 to 4096")));
}

#[test]
fn a_constraint_is_refused_or_kept() {
    let mut worker = Worker::start();
    worker.hear();
    let constraint = |grammar: &str| Some(Constraint { grammar: grammar.to_owned(), markers: Vec::new() });
    worker.ask(&Request::Prepare { id: 1, segments: Vec::new(), constraint: constraint("start: \"yes\"") });
    assert_eq!(worker.hear(), Message::Prepared { id: 1, tokens: Vec::new(), media: Vec::new() });
    worker.ask(&Request::Prepare { id: 2, segments: Vec::new(), constraint: constraint("start: other") });
    assert!(matches!(worker.hear(), Message::Refused { id: 2, message, .. } if message.contains("other")));

    worker.ask(&Request::Generate(Generate { constraint: constraint("start: other"), ..run(4, 9) }));
    assert!(matches!(worker.hear(), Message::Refused { id: 4, .. }));
    worker.ask(&Request::Generate(Generate { constraint: constraint("start: \"yes\""), ..run(3, 9) }));
    assert_eq!(worker.hear(), Message::Started { id: 3, cached: 0 });
    let mut said = String::new();
    loop {
        match worker.hear() {
            Message::Chunk { text, .. } => said.push_str(&text),
            end => break assert_eq!(end, Message::Finished { id: 3, reason: FinishReason::End }),
        }
    }
    assert_eq!(said, "yes");
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
