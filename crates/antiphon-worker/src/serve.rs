//! A worker's life: requests in, messages out, until the pipe closes.
//!
//! One thread reads, so that the end of the pipe is noticed even inside a long batch; it also
//! answers what needs no model, and compiles grammars. Another owns the decoder. Both write. The
//! channel between them is unbounded, since a reader that waited could not notice that end; the
//! server bounds what it asks for.

use std::io::{Read, Write};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread;
use std::time::Instant;

use crate::decoder::{DecodeError, Decoder};
use crate::grammar::{Grammars, Guide};
use crate::held::Held;
use crate::protocol::{Constraint, FrameError, Generate, Message, Refused, Request, encode, read_frame};
use crate::scheduler::{Scheduler, Settings};
use crate::vocabulary::Vocabulary;

/// Why a worker stopped by itself.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    #[error(transparent)]
    Decode(#[from] DecodeError),
    #[error(transparent)]
    Frame(#[from] FrameError),
    #[error("a thread could not start: {0}")]
    Thread(#[from] std::io::Error),
}

/// Serves the requests on `input` and answers on `output`.
///
/// When `input` ends or breaks, or what is answered at once cannot be written, `hang_up` is
/// called on the reading thread, while a batch may still be computed: an executable ends its
/// process there. If `hang_up` returns, serving ends after the work at hand. `sent` sees every
/// message after it was written.
///
/// # Errors
/// If the model breaks or `output` closes.
pub fn serve<D: Decoder>(
    decoder: D,
    settings: Settings,
    input: impl Read + Send + 'static,
    output: impl Write + Send + 'static,
    hang_up: impl FnOnce(Result<(), FrameError>) + Send + 'static,
    sent: impl FnMut(&Message) + Send + 'static,
) -> Result<(), ServeError> {
    let outlet = Arc::new(Mutex::new(Outlet { output, sent }));
    send(&outlet, &[Message::Ready(decoder.card().clone())])?;

    let vocabulary = Arc::clone(decoder.vocabulary());
    let grammars = Arc::new(Grammars::new(Arc::clone(&vocabulary)));
    let cold = Arc::clone(&grammars);
    thread::Builder::new().name("vocabulary".to_owned()).spawn(move || cold.warm())?;

    let (queue, orders) = mpsc::channel();
    let mut desk = Desk { input, outlet: Arc::clone(&outlet), queue, vocabulary, grammars };
    thread::Builder::new().name("requests".to_owned()).spawn(move || {
        if let Some(end) = desk.work() {
            hang_up(end);
        }
    })?;

    let mut scheduler = Scheduler::new(decoder, settings);
    let mut held = Held::default();
    loop {
        let waited = if scheduler.has_work() {
            None
        } else {
            let Ok(order) = orders.recv() else { return Ok(()) };
            Some(order)
        };
        for order in waited.into_iter().chain(orders.try_iter()) {
            match order {
                Order::Generate(run) => scheduler.submit(run.0, run.1),
                Order::Cancel { id } => scheduler.cancel(id),
            }
        }
        if !scheduler.only_generates() {
            send(&outlet, &held.leave())?;
        }
        let begun = Instant::now();
        let mut said = Vec::new();
        let step = scheduler.step(&mut said);
        let now = Instant::now();
        held.take(said, now);
        if step.is_err() || !scheduler.only_generates() || !held.may_wait(now, now - begun) {
            send(&outlet, &held.leave())?;
        }
        step?;
    }
}

/// Where messages leave.
struct Outlet<W, S> {
    output: W,
    sent: S,
}

/// What is said together goes out in one write: whoever reads it is woken once, and the cores compute meanwhile.
fn send<W: Write, S: FnMut(&Message)>(outlet: &Mutex<Outlet<W, S>>, messages: &[Message]) -> Result<(), FrameError> {
    if messages.is_empty() {
        return Ok(());
    }
    let mut frames = Vec::new();
    for message in messages {
        frames.append(&mut encode(message)?);
    }
    let mut outlet = outlet.lock().unwrap_or_else(PoisonError::into_inner);
    outlet.output.write_all(&frames)?;
    outlet.output.flush()?;
    messages.iter().for_each(|message| (outlet.sent)(message));
    Ok(())
}

/// What the scheduler is asked for.
enum Order {
    Generate(Box<(Generate, Option<Guide>)>),
    Cancel { id: u64 },
}

/// Where requests arrive.
struct Desk<R, W, S> {
    input: R,
    outlet: Arc<Mutex<Outlet<W, S>>>,
    queue: mpsc::Sender<Order>,
    vocabulary: Arc<dyn Vocabulary>,
    grammars: Arc<Grammars>,
}

impl<R: Read, W: Write, S: FnMut(&Message)> Desk<R, W, S> {
    /// Takes requests until their end; `None` if nobody computes any more.
    fn work(&mut self) -> Option<Result<(), FrameError>> {
        loop {
            let answered = match read_frame::<Request>(&mut self.input) {
                Ok(Some(request)) => self.answer(request),
                Ok(None) => return Some(Ok(())),
                Err(error) => return Some(Err(error)),
            };
            match answered {
                Ok(Some(order)) => self.queue.send(order).ok()?,
                Ok(None) => {}
                Err(error) => return Some(Err(error)),
            }
        }
    }

    /// Answers what needs no model, and gives back what does.
    fn answer(&self, request: Request) -> Result<Option<Order>, FrameError> {
        let compile = |constraint: Option<&Constraint>| constraint.map(|it| self.grammars.compile(it)).transpose();
        let message = match request {
            Request::Prepare { id, segments, constraint } => match compile(constraint.as_ref()) {
                Ok(_) => match self.vocabulary.read(&segments) {
                    Ok((tokens, media)) => Message::Prepared { id, tokens, media },
                    Err(message) => Message::Refused { id, what: Refused::Media, message },
                },
                Err(message) => Message::Refused { id, what: Refused::Constraint, message },
            },
            Request::Generate(generate) => match compile(generate.constraint.as_ref()) {
                Ok(guide) => return Ok(Some(Order::Generate(Box::new((generate, guide))))),
                Err(message) => Message::Refused { id: generate.id, what: Refused::Constraint, message },
            },
            Request::Cancel { id } => return Ok(Some(Order::Cancel { id })),
        };
        send(&self.outlet, &[message])?;
        Ok(None)
    }
}
