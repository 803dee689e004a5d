//! Keeps one worker process alive and carries messages to and from it.
//!
//! One long-lived thread starts the process, reads what it says and starts it again when
//! it dies; a second one writes, so that nobody who sends ever waits for a pipe. The
//! worker ends by itself when its input is closed, hence with this process in any case.

use std::collections::{HashMap, VecDeque};
use std::io::{Read as _, Write as _};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, mpsc as blocking};
use std::time::{Duration, Instant};

use antiphon_dialect::ChatTemplate;
use antiphon_engine::BackendError;
use antiphon_worker::protocol::{FrameDecoder, Message, ModelCard, Request, encode};
use tokio::sync::{mpsc, watch};
use tracing::{error, info, warn};

use super::LlamaOptions;
use crate::{PLAIN_TEMPLATE, said};

/// A worker that dies twice, each time this soon after it was ready, is not started again
/// at once.
const STEADY: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_secs(2);

/// How the worker stands.
#[derive(Clone)]
enum State {
    /// Not wanted yet, or between two lives.
    Down,
    Ready(Arc<Worker>),
    /// It did not come up; the text is for the caller.
    Failed(String),
}

/// A worker that is ready for calls.
pub(super) struct Worker {
    pub(super) card: ModelCard,
    pub(super) template: ChatTemplate,
    orders: blocking::Sender<Order>,
    /// Who listens to which call; none once the worker is dead.
    calls: Mutex<Option<HashMap<u64, mpsc::Sender<Vec<Message>>>>>,
    next_id: AtomicU64,
}

/// What the writing thread is to do.
enum Order {
    Send(Vec<u8>),
    /// Close the worker's input, upon which it ends.
    Close,
}

/// One call to a worker. Dropping it before its end cancels.
pub(super) struct Call {
    worker: Arc<Worker>,
    id: u64,
    messages: mpsc::Receiver<Vec<Message>>,
    /// What has come and was not asked for yet.
    here: VecDeque<Message>,
    over: bool,
}

/// The handle of the supervising thread.
pub(super) struct Supervisor {
    wanted: blocking::Sender<()>,
    state: watch::Receiver<State>,
    /// Of the worker that was ready first: what the model is does not change.
    card: Arc<OnceLock<ModelCard>>,
    closing: Arc<AtomicBool>,
}

impl Supervisor {
    pub(super) fn start(options: &LlamaOptions) -> std::io::Result<Self> {
        let (wanted, wants) = blocking::channel();
        let (sender, state) = watch::channel(State::Down);
        let closing = Arc::new(AtomicBool::new(false));
        let card = Arc::new(OnceLock::new());
        let (options, first, is_closing) = (options.clone(), Arc::clone(&card), Arc::clone(&closing));
        std::thread::Builder::new()
            .name(format!("worker {}", options.name))
            .spawn(move || supervise(&options, &wants, &sender, &first, &is_closing))?;
        Ok(Self { wanted, state, card, closing })
    }

    /// What the model is, once that is known.
    pub(super) fn card(&self) -> Option<&ModelCard> {
        self.card.get()
    }

    /// Asks for the worker without waiting for it.
    pub(super) fn want(&self) {
        // The thread outlives this handle.
        let _ = self.wanted.send(());
    }

    pub(super) fn is_ready(&self) -> bool {
        matches!(*self.state.borrow(), State::Ready(_))
    }

    /// The worker, started if need be.
    pub(super) async fn worker(&self) -> Result<Arc<Worker>, BackendError> {
        if let State::Ready(worker) = &*self.state.borrow() {
            return Ok(Arc::clone(worker));
        }
        let mut state = self.state.clone();
        state.mark_unchanged();
        self.want();
        loop {
            if state.changed().await.is_err() {
                return Err(BackendError::Unavailable("The model's supervisor has ended".to_owned()));
            }
            match &*state.borrow_and_update() {
                State::Ready(worker) => return Ok(Arc::clone(worker)),
                State::Failed(message) => return Err(BackendError::Unavailable(message.clone())),
                State::Down => {}
            }
        }
    }
}

impl Drop for Supervisor {
    fn drop(&mut self) {
        self.closing.store(true, Ordering::Relaxed);
        if let State::Ready(worker) = &*self.state.borrow() {
            // A writer that is gone has closed the input already.
            let _ = worker.orders.send(Order::Close);
        }
    }
}

/// The life of the supervising thread: it ends when nobody can want a worker any more.
fn supervise(
    options: &LlamaOptions,
    wants: &blocking::Receiver<()>,
    state: &watch::Sender<State>,
    card: &OnceLock<ModelCard>,
    closing: &AtomicBool,
) {
    let mut restart = false;
    let mut steady = true;
    while !closing.load(Ordering::Relaxed) && (restart || wants.recv().is_ok()) {
        // One start serves all who asked meanwhile.
        while wants.try_recv().is_ok() {}
        let ready = match spawn(options) {
            Err(message) => {
                error!(model = options.name, message, "A model worker could not be started");
                state.send_replace(State::Failed(message));
                restart = false;
                continue;
            }
            Ok(started) => started,
        };
        let (mut child, mut output, mut decoder, worker) = ready;
        let since = Instant::now();
        info!(model = options.name, process = child.id(), context = worker.card.context, "Model loaded");
        card.get_or_init(|| worker.card.clone());
        state.send_replace(State::Ready(Arc::clone(&worker)));
        let cause = carry(&mut output, &mut decoder, &worker);
        state.send_replace(State::Down);
        worker.bury();
        let _ = child.kill();
        let status = child.wait().map_or_else(|error| error.to_string(), |status| status.to_string());
        if closing.load(Ordering::Relaxed) {
            return;
        }
        warn!(model = options.name, status, cause, "A model worker ended");
        let was_steady = std::mem::replace(&mut steady, since.elapsed() >= STEADY);
        if !was_steady && !steady {
            std::thread::park_timeout(PAUSE);
        }
        restart = true;
    }
}

type Started = (Child, ChildStdout, FrameDecoder, Arc<Worker>);

/// Starts the process and waits until the model is loaded.
fn spawn(options: &LlamaOptions) -> Result<Started, String> {
    let failed = |error| format!("The worker `{}` cannot be started: {error}", options.executable.display());
    let mut child = Command::new(&options.executable)
        .arg("serve")
        .arg("--model")
        .arg(&options.model)
        .args(["--name", &options.name])
        .args(["--context", &options.context.to_string()])
        .args(["--slots", &options.slots.to_string()])
        .args(options.projector.iter().flat_map(|projector| ["--projector".as_ref(), projector.file.as_os_str()]))
        .args(&options.arguments)
        // Ctrl-C at the terminal is for the server, which lets its runs suspend first.
        .process_group(0)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(said::stderr_of(&options.name).map_err(failed)?)
        .spawn()
        .map_err(failed)?;
    let (Some(input), Some(mut output)) = (child.stdin.take(), child.stdout.take()) else {
        return Err("The worker has no pipes".to_owned());
    };
    let mut decoder = FrameDecoder::default();
    let card = match next(&mut output, &mut decoder) {
        Ok(Some(Message::Ready(card))) => card,
        Ok(Some(Message::Unservable { message })) => {
            // It ends by itself.
            let _ = child.wait();
            return Err(format!("Model `{}` could not be loaded: {message}", options.name));
        }
        Ok(Some(_)) => return Err("The worker did not begin with its model card".to_owned()),
        Ok(None) => {
            let status = child.wait().map_or_else(|error| error.to_string(), |status| status.to_string());
            return Err(format!("Model `{}` could not be loaded: its worker ended with {status}", options.name));
        }
        Err(message) => return Err(message),
    };
    let source = card.chat_template.clone().unwrap_or_else(|| PLAIN_TEMPLATE.to_owned());
    let template = ChatTemplate::compile(&source, &card.bos, &card.eos)
        .map_err(|error| format!("The chat template of model `{}` cannot be used: {error}", options.name))?;
    let (orders, receiver) = blocking::channel();
    std::thread::Builder::new()
        .name(format!("to worker {}", options.name))
        .spawn(move || write_all(&receiver, input))
        .map_err(|error| format!("The worker's writer cannot be started: {error}"))?;
    let worker = Worker { template, card, orders, calls: Mutex::new(Some(HashMap::new())), next_id: AtomicU64::new(1) };
    Ok((child, output, decoder, Arc::new(worker)))
}

/// Writes requests until the worker or all who send are gone; then the worker's input
/// is closed.
fn write_all(orders: &blocking::Receiver<Order>, mut input: ChildStdin) {
    while let Ok(Order::Send(frame)) = orders.recv() {
        if input.write_all(&frame).and_then(|()| input.flush()).is_err() {
            // The pipe is gone, and the worker with it.
            return;
        }
    }
}

/// Hands out what the worker says until it ends; returns why.
fn carry(output: &mut ChildStdout, decoder: &mut FrameDecoder, worker: &Worker) -> String {
    loop {
        match next(output, decoder) {
            Ok(Some(message)) => {
                let mut said = vec![message];
                // What came together is handed out together, and whoever waits is woken once. After a bad frame, which
                // the next look finds again, the rest is still true.
                while let Ok(Some(message)) = decoder.next_message() {
                    said.push(message);
                }
                worker.deliver(said);
            }
            Ok(None) => return "its output ended".to_owned(),
            Err(message) => return message,
        }
    }
}

/// The next message; `None` at the end of the output.
fn next(output: &mut ChildStdout, decoder: &mut FrameDecoder) -> Result<Option<Message>, String> {
    let mut buffer = [0; 8 * 1024];
    loop {
        match decoder.next_message() {
            Ok(Some(message)) => return Ok(Some(message)),
            Ok(None) => {}
            Err(error) => return Err(format!("The worker sent a bad frame: {error}")),
        }
        match output.read(&mut buffer) {
            Ok(0) => return Ok(None),
            Ok(count) => decoder.feed(&buffer[..count]),
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(format!("The worker's output cannot be read: {error}")),
        }
    }
}

impl Worker {
    /// Sends the request that `make` builds for the call's id. At most `most_messages`
    /// answers are kept for a slow listener.
    pub(super) fn call(
        self: &Arc<Self>,
        most_messages: usize,
        make: impl FnOnce(u64) -> Request,
    ) -> Result<Call, BackendError> {
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let (sender, messages) = mpsc::channel(most_messages);
        match &mut *self.lock() {
            Some(calls) => calls.insert(id, sender),
            None => return Err(died()),
        };
        let call = Call { worker: Arc::clone(self), id, messages, here: VecDeque::new(), over: false };
        let frame = encode(&make(id)).map_err(|error| {
            BackendError::Rejected(format!("`input`: the request is too large for the model's worker: {error}"))
        })?;
        self.orders.send(Order::Send(frame)).map_err(|_| died())?;
        Ok(call)
    }

    fn deliver(&self, said: Vec<Message>) {
        let mut by_call: Vec<(u64, Vec<Message>)> = Vec::new();
        for message in said {
            let id = match &message {
                Message::Ready(_) | Message::Unservable { .. } => continue,
                Message::Prepared { id, .. }
                | Message::Refused { id, .. }
                | Message::Started { id, .. }
                | Message::Chunk { id, .. }
                | Message::Finished { id, .. }
                | Message::Failed { id, .. } => *id,
            };
            match by_call.iter_mut().find(|(call, _)| *call == id) {
                Some((_, messages)) => messages.push(message),
                None => by_call.push((id, vec![message])),
            }
        }
        let mut calls = self.lock();
        let Some(calls) = &mut *calls else { return };
        for (id, messages) in by_call {
            // The listener is gone, or the worker says more than it may.
            if calls.get(&id).is_some_and(|call| call.try_send(messages).is_err()) {
                calls.remove(&id);
            }
        }
    }

    /// Ends every call: the worker is dead.
    fn bury(&self) {
        *self.lock() = None;
    }

    fn lock(&self) -> MutexGuard<'_, Option<HashMap<u64, mpsc::Sender<Vec<Message>>>>> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Call {
    /// # Errors
    /// When the worker died.
    pub(super) async fn next(&mut self) -> Result<Message, BackendError> {
        loop {
            if let Some(message) = self.here.pop_front() {
                return Ok(message);
            }
            self.here = self.messages.recv().await.ok_or_else(died)?.into();
        }
    }

    /// The worker has said its last word: nothing is left to cancel.
    pub(super) fn is_over(&mut self) {
        self.over = true;
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        let known = self.worker.lock().as_mut().is_some_and(|calls| calls.remove(&self.id).is_some());
        if known
            && !self.over
            && let Ok(frame) = encode(&Request::Cancel { id: self.id })
        {
            // A worker that is gone has nothing to cancel.
            let _ = self.worker.orders.send(Order::Send(frame));
        }
    }
}

fn died() -> BackendError {
    BackendError::Died("The model's worker died while it worked on this interaction; it is being restarted".to_owned())
}
