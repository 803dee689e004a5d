//! The thread that answers for one run: it prepares, starts, watches and ends it, whether or not anybody reads.

use std::collections::VecDeque;
use std::io;
use std::os::unix::process::ExitStatusExt as _;
use std::process::ExitStatus;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::AtFlags;
use tokio::sync::mpsc;

use crate::cgroup::Group;
use crate::finished::{Finished, Place};
use crate::limits::Limits;
use crate::order::Report;
use crate::output::{Allowance, Text};
use crate::program::{Language, Work, Workspace};
use crate::running::{End, Exit, Message, Reason, Running, Stop, Stream};
use crate::sandbox::Parts;
use crate::tree;

mod live;
mod parking;
mod prepare;

use live::Live;

pub(crate) use parking::Parking;

/// Pieces of output that wait for a reader. After that the program waits.
const MESSAGES: usize = 16;
const PIECE: usize = 16 << 10;
/// Between two looks at the memory; the promise about it says so.
const LOOK: Duration = Duration::from_millis(100);
/// After this nothing more can be done.
const PATIENCE: Duration = Duration::from_secs(10);

pub(crate) fn start(parts: &Arc<Parts>, work: Work, limits: Limits) -> io::Result<Running> {
    let (sender, messages) = mpsc::channel(MESSAGES);
    let stop = Stop::new()?;
    let (parts, stop_of_warden) = (Arc::clone(parts), stop.clone());
    thread::Builder::new().name("sandbox-warden".to_owned()).spawn(move || {
        let began = Instant::now();
        let mut watch = Watch::new(&limits, began, sender, stop_of_warden);
        // An operation looks for itself before it writes, and has to be possible in a workspace that is full.
        watch.is_measured = matches!(work, Work::Program(_));
        let parked = match (work.workspace(), work.network()) {
            (Workspace::Fresh, None) => parking::take(&parts),
            (workspace, network) => prepare::park(&parts, workspace, network),
        };
        let place = match parked.and_then(|parked| parked.go(&parts, &work, &limits)) {
            Ok((live, place)) => {
                watch.until_over(live);
                place
            }
            Err(reason) => {
                watch.reason = Some(Reason::Failed(reason));
                Place::Nowhere
            }
        };
        let placed = match work {
            Work::Program(program) => program.files.into_iter().map(|(path, _)| path).collect(),
            Work::Operation(..) => Vec::new(),
        };
        watch.deliver(place, placed);
    })?;
    Ok(Running { messages, stop, finished: None })
}

struct Watch<'a> {
    limits: &'a Limits,
    began: Instant,
    sender: mpsc::Sender<Message>,
    stop: Stop,
    waiting: VecDeque<Message>,
    texts: [Text; 2],
    allowance: Allowance,
    reports: Vec<u8>,
    /// Whether the workspace is looked at.
    is_measured: bool,
    /// What `bwrap` or the helper wrote before the program was there.
    complaint: String,
    /// Why the run is being ended, and since when.
    reason: Option<Reason>,
    ending_since: Option<Instant>,
    end: End,
    started: Option<(i64, u32)>,
}

impl<'a> Watch<'a> {
    fn new(limits: &'a Limits, began: Instant, sender: mpsc::Sender<Message>, stop: Stop) -> Self {
        Self {
            limits,
            began,
            sender,
            stop,
            waiting: VecDeque::new(),
            texts: Default::default(),
            allowance: Allowance::new(limits.output_bytes),
            reports: Vec::new(),
            is_measured: true,
            complaint: String::new(),
            reason: None,
            ending_since: None,
            end: End::Unknown,
            started: None,
        }
    }

    fn until_over(&mut self, mut live: Live) {
        let mut written = 0;
        let mut looked = self.began;
        let mut measured = self.began;
        let mut measure_again = LOOK * 2;
        let mut forced = self.began;
        loop {
            self.pass_on();
            let now = Instant::now();
            if self.stop.is_wanted() {
                self.end_for(&mut live, Reason::Cancelled);
            }
            if now.duration_since(self.began) >= self.limits.wall {
                self.end_for(&mut live, Reason::TimedOut);
            }
            if now.duration_since(looked) >= LOOK {
                looked = now;
                self.look_at_memory(&mut live);
            }
            if self.is_measured && now.duration_since(measured) >= measure_again {
                self.look_at_workspace(&mut live);
                measured = Instant::now();
                // A large workspace takes long to measure; it may cost a tenth of a core.
                measure_again = (measured.duration_since(now) * 10).clamp(LOOK * 2, Duration::from_secs(2));
            }
            let ending = self.ending_since.map(|since| now.duration_since(since));
            if ending.is_some_and(|so_far| so_far >= live.grace()) && now.duration_since(forced) >= LOOK / 2 {
                forced = now;
                live.force();
            }
            if ending.is_some_and(|so_far| so_far >= PATIENCE) {
                return;
            }

            let wants = Wants {
                process: true,
                order: written < live.order.len(),
                // Readers that lag hold the program up, not the watch over it.
                output: self.waiting.is_empty() || self.ending_since.is_some(),
            };
            let ready = self.wait(&live, wants, self.until_next(now, looked));
            if ready.order {
                written = self.write_order(&mut live, written);
            }
            self.read(&mut live, &ready);
            if ready.process {
                self.over(live);
                return;
            }
        }
    }

    /// Until something has to be looked at, if nothing comes.
    fn until_next(&self, now: Instant, looked: Instant) -> Duration {
        let mut wait = LOOK.saturating_sub(now.duration_since(looked));
        if self.ending_since.is_none() {
            wait = wait.min(self.limits.wall.saturating_sub(now.duration_since(self.began)));
        } else {
            wait = wait.min(LOOK / 2);
        }
        if self.waiting.is_empty() { wait } else { wait.min(LOOK / 10) }
    }

    fn wait(&self, live: &Live, wants: Wants, wait: Duration) -> Ready {
        let mut descriptors = Vec::new();
        if wants.process {
            descriptors.push((&live.process, PollFlags::IN, Which::Process));
        }
        // Read by nobody, so that it would be ready for ever.
        if !self.stop.is_wanted() {
            descriptors.push((self.stop.wake(), PollFlags::IN, Which::Nothing));
        }
        let streams = live.streams.iter().zip([Which::Stream(0), Which::Stream(1)]).filter(|_| wants.output);
        descriptors.extend(streams.filter_map(|(stream, which)| Some((stream.as_ref()?, PollFlags::IN, which))));
        descriptors.extend(live.status.as_ref().map(|status| (status, PollFlags::IN, Which::Status)));
        descriptors.extend(live.door.as_ref().map(|door| (door.socket(), PollFlags::IN, Which::Door)));
        descriptors
            .extend(live.control.as_ref().filter(|_| wants.order).map(|to| (&to.0, PollFlags::OUT, Which::Order)));
        let mut polled: Vec<_> = descriptors.iter().map(|(fd, flags, _)| PollFd::new(*fd, *flags)).collect();
        let timeout = Timespec {
            tv_sec: i64::try_from(wait.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: i64::from(wait.subsec_nanos()),
        };
        let mut ready = Ready::default();
        if poll(&mut polled, Some(&timeout)).is_err() {
            return ready;
        }
        for (polled, (_, _, which)) in polled.iter().zip(&descriptors) {
            if polled.revents().is_empty() {
                continue;
            }
            match which {
                Which::Process => ready.process = true,
                Which::Stream(index) => ready.streams[*index] = true,
                Which::Status => ready.status = true,
                Which::Door => ready.door = true,
                Which::Order => ready.order = true,
                Which::Nothing => {}
            }
        }
        ready
    }

    fn write_order(&mut self, live: &mut Live, written: usize) -> usize {
        let Some(control) = &live.control else { return written };
        match rustix::io::write(&control.0, &live.order[written..]) {
            Ok(more) => written + more,
            Err(rustix::io::Errno::AGAIN | rustix::io::Errno::INTR) => written,
            // Whoever should read it has ended, and its end tells why.
            Err(_) => live.order.len(),
        }
    }

    fn read(&mut self, live: &mut Live, ready: &Ready) {
        let mut buffer = [0; PIECE];
        for index in [0, 1] {
            if !ready.streams[index] {
                continue;
            }
            let Some(stream) = &live.streams[index] else { continue };
            match rustix::io::read(stream, &mut buffer) {
                Ok(0) => live.streams[index] = None,
                Ok(length) => self.output(live, index, &buffer[..length]),
                Err(rustix::io::Errno::AGAIN | rustix::io::Errno::INTR) => {}
                Err(_) => live.streams[index] = None,
            }
        }
        if ready.door
            && let Some(door) = live.door.take()
            && let Err(error) = door.pass_on()
        {
            tracing::warn!(%error, "the network of a program cannot be opened");
        }
        let Some(status) = live.status.as_ref().filter(|_| ready.status) else { return };
        match rustix::io::read(status, &mut buffer) {
            Ok(0) => live.status = None,
            Ok(length) => {
                let room = Report::AT_MOST.saturating_sub(self.reports.len());
                self.reports.extend_from_slice(&buffer[..length.min(room)]);
                for report in Report::all(&self.reports) {
                    if let Report::Started { seconds, nanoseconds } = report {
                        self.started = Some((seconds, nanoseconds));
                    }
                }
            }
            Err(rustix::io::Errno::AGAIN | rustix::io::Errno::INTR) => {}
            Err(_) => live.status = None,
        }
    }

    fn output(&mut self, live: &mut Live, index: usize, bytes: &[u8]) {
        if self.started.is_none() && self.complaint.len() < 500 {
            self.complaint.push_str(&String::from_utf8_lossy(&bytes[..bytes.len().min(500)]));
        }
        let text = self.texts[index].push(self.allowance.take(bytes));
        self.say(index, text);
        let total = self.limits.output_bytes.saturating_add(self.allowance.discarded());
        if total > self.limits.output_at_most() {
            self.end_for(live, Reason::OutputLimit);
        }
    }

    fn say(&mut self, index: usize, text: String) {
        if !text.is_empty() {
            let stream = if index == 0 { Stream::Stdout } else { Stream::Stderr };
            self.waiting.push_back(Message::Output { stream, text });
        }
    }

    /// As much as the reader takes without being waited for.
    fn pass_on(&mut self) {
        while let Some(message) = self.waiting.pop_front() {
            match self.sender.try_send(message) {
                Ok(()) => {}
                Err(mpsc::error::TrySendError::Full(message)) => {
                    self.waiting.push_front(message);
                    return;
                }
                // Its `Running` is gone, and has asked for the end.
                Err(mpsc::error::TrySendError::Closed(_)) => self.waiting.clear(),
            }
        }
    }

    fn end_for(&mut self, live: &mut Live, reason: Reason) {
        if self.reason.is_none() {
            self.reason = Some(reason);
            self.ending_since = Some(Instant::now());
            live.control = None;
        }
    }

    fn look_at_memory(&mut self, live: &mut Live) {
        if live.ran_out(self.limits) {
            self.end_for(live, Reason::OutOfMemory);
        }
    }

    fn look_at_workspace(&mut self, live: &mut Live) {
        let (bytes, entries) = (self.limits.workspace_bytes, self.limits.workspace_entries);
        let measured = crate::folder::measure(&live.workspace, bytes, entries.into());
        let is_full = match measured {
            Ok(Some(size)) => size.bytes.saturating_add(tree::unlinked_bytes(live.child.id(), live.device)) > bytes,
            // The folder was the server's own, and now it cannot be read: nothing good can come of it.
            Ok(None) | Err(_) => true,
        };
        if is_full {
            self.end_for(live, Reason::DiskFull);
        }
    }

    /// The process is over; what is left to read is read, and what it holds is let go.
    fn over(&mut self, mut live: Live) {
        let status = live.child.wait();
        live.control = None;
        // With the helper's end every other process has ended, and with them the last writer of each pipe.
        let until = Instant::now() + Duration::from_secs(1);
        while live.status.is_some() || live.streams.iter().any(Option::is_some) {
            self.pass_on();
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            let ready = self.wait(&live, Wants { process: false, order: false, output: true }, left.min(LOOK));
            self.read(&mut live, &ready);
        }
        for index in [0, 1] {
            let rest = self.texts[index].finish();
            self.say(index, rest);
        }
        let reports = Report::all(&self.reports);
        let failed = reports.iter().find_map(|report| match report {
            Report::Failed(reason) => Some(reason.clone()),
            Report::Started { .. } | Report::Code(_) | Report::Signal(_) => None,
        });
        self.end = reports.iter().find_map(end_of).unwrap_or(End::Unknown);
        // Nothing runs any more, and a workspace that stays is not to show what was run in it.
        for file in Language::ALL.map(Language::source_file) {
            let _ = rustix::fs::unlinkat(&live.workspace, file, AtFlags::empty());
        }
        let ran_out = live.group.as_ref().is_some_and(Group::ran_out);
        self.reason = Some(match (self.reason.take(), self.end) {
            (Some(reason), _) => reason,
            (None, _) if ran_out => Reason::OutOfMemory,
            (None, End::Code(_) | End::Signal(_)) => Reason::Exited,
            (None, End::Unknown) => Reason::Failed(failed.unwrap_or_else(|| self.silence(status))),
        });
    }

    fn silence(&self, status: io::Result<ExitStatus>) -> String {
        let status = match status.map(|status| (status.code(), status.signal())) {
            Ok((Some(code), _)) => format!("code {code}"),
            Ok((None, Some(signal))) => format!("signal {signal}"),
            Ok((None, None)) | Err(_) => "no status".to_owned(),
        };
        let complaint: String = self.complaint.trim().chars().take(300).collect();
        format!(
            "the sandbox ended with {status}: {}",
            if complaint.is_empty() { "it said nothing" } else { &complaint }
        )
    }

    /// Everything is over: what the reader has not taken yet waits for it, and last the end.
    fn deliver(mut self, place: Place, placed: Vec<std::path::PathBuf>) {
        let reason = self.reason.take().unwrap_or(Reason::Exited);
        let exit = Exit { reason, end: self.end, discarded: self.allowance.discarded(), wall: self.began.elapsed() };
        let finished = Finished::new(exit, place, self.started, placed);
        self.waiting.push_back(Message::Finished(finished));
        for message in self.waiting {
            if self.sender.blocking_send(message).is_err() {
                return;
            }
        }
    }
}

/// What is waited for, beside reports.
#[derive(Debug, Clone, Copy)]
struct Wants {
    process: bool,
    order: bool,
    output: bool,
}

#[derive(Debug, Default)]
struct Ready {
    process: bool,
    streams: [bool; 2],
    status: bool,
    door: bool,
    order: bool,
}

#[derive(Debug, Clone, Copy)]
enum Which {
    Process,
    Stream(usize),
    Status,
    Door,
    Order,
    Nothing,
}

fn end_of(report: &Report) -> Option<End> {
    match report {
        Report::Code(code) => Some(End::Code(*code)),
        Report::Signal(signal) => Some(End::Signal(*signal)),
        Report::Started { .. } | Report::Failed(_) => None,
    }
}
