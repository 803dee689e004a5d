//! A worker's life: requests in, messages out, until the pipe closes.
//!
//! One thread reads, so that the end of the pipe is noticed even inside a long batch;
//! another owns the decoder and writes. The channel between them is unbounded, since a
//! reader that waited could not notice that end; the server bounds what it asks for.

use std::io::{Read, Write};
use std::sync::mpsc;
use std::thread;

use crate::decoder::{DecodeError, Decoder};
use crate::protocol::{FrameError, Message, Request, encode, read_frame};
use crate::scheduler::{Scheduler, Settings};

/// Why a worker stopped by itself.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    #[error(transparent)]
    Decode(#[from] DecodeError),
    #[error(transparent)]
    Frame(#[from] FrameError),
    #[error("the thread that reads requests could not start: {0}")]
    Thread(#[from] std::io::Error),
}

/// Serves the requests on `input` and answers on `output`.
///
/// When `input` ends or breaks, `hang_up` is called on the reading thread, while a batch
/// may still be computed: an executable ends its process there. If `hang_up` returns,
/// serving ends after the work at hand. `sent` sees every message after it was written.
///
/// # Errors
/// If the model breaks or `output` closes.
pub fn serve<D: Decoder>(
    decoder: D,
    settings: Settings,
    mut input: impl Read + Send + 'static,
    mut output: impl Write,
    hang_up: impl FnOnce(Result<(), FrameError>) + Send + 'static,
    mut sent: impl FnMut(&Message),
) -> Result<(), ServeError> {
    // What one step says goes out in one write: whoever reads it is woken once a step, and
    // the cores compute meanwhile.
    let mut send = |messages: &mut Vec<Message>| -> Result<(), FrameError> {
        let mut frames = Vec::new();
        for message in &*messages {
            frames.append(&mut encode(message)?);
        }
        output.write_all(&frames)?;
        output.flush()?;
        messages.drain(..).for_each(|message| sent(&message));
        Ok(())
    };
    send(&mut vec![Message::Ready(decoder.card().clone())])?;

    let (queue, requests) = mpsc::channel();
    thread::Builder::new().name("requests".to_owned()).spawn(move || {
        let end = loop {
            match read_frame::<Request>(&mut input) {
                Ok(Some(request)) => {
                    // Fails only when the other thread has stopped and the process ends.
                    if queue.send(request).is_err() {
                        return;
                    }
                }
                Ok(None) => break Ok(()),
                Err(error) => break Err(error),
            }
        };
        hang_up(end);
    })?;

    let mut scheduler = Scheduler::new(decoder, settings);
    let mut out = Vec::new();
    loop {
        let waited = if scheduler.has_work() {
            None
        } else {
            let Ok(request) = requests.recv() else { return Ok(()) };
            Some(request)
        };
        for request in waited.into_iter().chain(requests.try_iter()) {
            match request {
                Request::Tokenize { id, segments } => {
                    send(&mut vec![Message::Tokenized { id, tokens: scheduler.tokenize(&segments) }])?;
                }
                Request::Generate(generate) => scheduler.submit(generate),
                Request::Cancel { id } => scheduler.cancel(id),
            }
        }
        let step = scheduler.step(&mut out);
        if !out.is_empty() {
            send(&mut out)?;
        }
        step?;
    }
}
