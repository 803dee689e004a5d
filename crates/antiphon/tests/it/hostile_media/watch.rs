//! What a server and the processes that it starts take of the machine.

use std::collections::BTreeMap;
use std::fs;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// A child that is gone sooner has taken nothing that matters.
const EVERY: Duration = Duration::from_millis(20);

/// Looks at the children of a process until it is asked what it saw.
pub(crate) struct Watch {
    stop: mpsc::Sender<()>,
    looking: JoinHandle<BTreeMap<String, u64>>,
}

impl Watch {
    pub(crate) fn of(server: u32) -> Self {
        let (stop, stopped) = mpsc::channel();
        let looking = thread::spawn(move || {
            let mut peaks = BTreeMap::new();
            while stopped.recv_timeout(EVERY) == Err(RecvTimeoutError::Timeout) {
                for child in children(server) {
                    if let (Some(work), Some(peak)) = (work(child), kilobytes(child, "VmHWM:")) {
                        let most = peaks.entry(work).or_default();
                        *most = peak.max(*most);
                    }
                }
            }
            peaks
        });
        Self { stop, looking }
    }

    /// The most memory that any child had, in KiB, by what it did.
    pub(crate) fn end(self) -> BTreeMap<String, u64> {
        drop(self.stop);
        self.looking.join().unwrap()
    }
}

pub(crate) fn children(parent: u32) -> Vec<u32> {
    let processes = fs::read_dir("/proc").unwrap();
    let ids = processes.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    ids.filter(|id| figure(*id, 1) == Some(u64::from(parent))).collect()
}

/// How long a process has computed, and those of its children that are gone.
pub(crate) fn computed(process: u32) -> Duration {
    /// Of Linux, for its programs, on every machine.
    const TICKS_PER_SECOND: u64 = 100;
    let ticks: u64 = (11..15).filter_map(|place| figure(process, place)).sum();
    Duration::from_millis(ticks * 1000 / TICKS_PER_SECOND)
}

/// A figure of `/proc/…/stat`, counted from behind the name, which may hold anything.
fn figure(process: u32, place: usize) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    status.rsplit(')').next()?.split_whitespace().nth(place)?.parse().ok()
}

/// A figure of a process's memory, in KiB; none when it is gone.
pub(crate) fn kilobytes(process: u32, name: &str) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse().ok()
}

/// The subcommand that a child carries out.
fn work(process: u32) -> Option<String> {
    let line = fs::read(format!("/proc/{process}/cmdline")).ok()?;
    let word = line.split(|byte| *byte == 0).nth(1)?;
    Some(String::from_utf8_lossy(word).into_owned()).filter(|word| !word.is_empty())
}
