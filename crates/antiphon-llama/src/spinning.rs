//! How long the engine's threads spin for one another before they sleep.
//!
//! They meet hundreds of times per token. With the machine to themselves they had better spin: to sleep and to be woken
//! takes longer than what they wait for. Beside a busy process the awaited thread may itself be waiting for this core.
//! So they spin for long, and shortly while threads of this process have to wait for cores.
//!
//! GNU's OpenMP runtime reads how often to spin once, before `main`. But while it has more threads than there are CPUs it
//! spins 100 times at most (libgomp manual, `GOMP_SPINCOUNT`). A second team, which does nothing, makes them more.

#![expect(unsafe_code, reason = "the OpenMP runtime that llama.cpp uses has no binding")]

use std::ffi::{c_int, c_uint, c_void};
use std::fs;
use std::ptr::null_mut;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

/// The variable that the runtime reads.
pub(crate) const VARIABLE: &str = "GOMP_SPINCOUNT";

/// About 0.2 ms.
pub(crate) const LONG: &str = "8000";

/// How often the threads' waiting is looked at.
const LOOK: Duration = Duration::from_millis(500);

/// Seconds that threads of this process wait for cores, per second. Alone there is 0.01 of it, with the server on the same
/// two cores up to 0.05, beside one busy process 0.7.
const CONTENDED: f64 = 0.2;

/// Adapts the spinning of one process.
pub(crate) struct Spinning {
    /// Of a team that is larger than the rest of the machine.
    crowd: c_uint,
    /// While it holds this, the crowd stays.
    short: Option<mpsc::Sender<()>>,
    waited: Option<Duration>,
    looked: Instant,
}

impl Spinning {
    /// For an engine of so many threads.
    pub(crate) fn new(threads: u32) -> Self {
        // SAFETY: it takes nothing and reads a number that never changes.
        let cpus = unsafe { omp_get_num_procs() };
        let crowd = (cpus.unsigned_abs() + 2).saturating_sub(threads).max(2);
        Self { crowd, short: None, waited: waited(), looked: Instant::now() }
    }

    /// To be called at every batch.
    pub(crate) fn adapt(&mut self) {
        let passed = self.looked.elapsed();
        if passed < LOOK {
            return;
        }
        let before = std::mem::replace(&mut self.waited, waited());
        self.looked = Instant::now();
        // Who cannot tell spins shortly: long spinning beside others costs more than it gains alone.
        let is_contended =
            before.zip(self.waited).is_none_or(|(before, now)| is_contended(now.saturating_sub(before), passed));
        if !is_contended {
            self.short = None;
        } else if self.short.is_none() {
            self.short = gather(self.crowd);
        }
    }
}

fn is_contended(waited: Duration, passed: Duration) -> bool {
    waited.as_secs_f64() > CONTENDED * passed.as_secs_f64()
}

/// How long the threads that there are now have waited for a core, all together; none where Linux does not tell.
fn waited() -> Option<Duration> {
    let tasks = fs::read_dir("/proc/self/task").ok()?.flatten();
    let nanoseconds: Vec<u64> = tasks
        .filter_map(|task| {
            // Time that it ran, time that it waited to, and how often it ran: `Documentation/scheduler/sched-stats.rst`.
            let about = fs::read_to_string(task.path().join("schedstat")).ok()?;
            about.split_whitespace().nth(1)?.parse().ok()
        })
        .collect();
    // One that has ended meanwhile has no file any more; all of them have where there are any.
    (!nanoseconds.is_empty()).then(|| Duration::from_nanos(nanoseconds.into_iter().fold(0, u64::saturating_add)))
}

/// A team of so many threads that sleeps until the sender is dropped; none where no thread can be started.
fn gather(size: c_uint) -> Option<mpsc::Sender<()>> {
    let (leave, stay) = mpsc::channel();
    let leader = move || {
        // SAFETY: the function touches nothing, so any pointer will do; all threads have left it when this returns.
        unsafe { GOMP_parallel(nothing, null_mut(), size, 0) };
        // The team ends with its leader.
        let _ = stay.recv();
    };
    thread::Builder::new().name("crowd".to_owned()).spawn(leader).ok()?;
    Some(leave)
}

extern "C" fn nothing(_: *mut c_void) {}

// SAFETY: both are what `libgomp.h` and `omp.h` declare.
unsafe extern "C" {
    /// Calls a function in each of so many threads and waits for them (`libgomp.h`).
    fn GOMP_parallel(function: extern "C" fn(*mut c_void), data: *mut c_void, threads: c_uint, flags: c_uint);
    /// OpenMP 5.2, section 18.9.4.
    fn omp_get_num_procs() -> c_int;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn threads() -> usize {
        fs::read_dir("/proc/self/task").unwrap().count()
    }

    #[test]
    fn a_busy_neighbour_is_told_from_the_server() {
        let second = Duration::from_secs(1);
        assert!(!is_contended(second.mul_f64(0.05), second));
        assert!(is_contended(second.mul_f64(0.7), second));
        assert!(!is_contended(second.mul_f64(0.7), second * 60), "an idle minute lies between");
    }

    #[test]
    fn a_crowd_is_there_until_it_is_sent_away() {
        let alone = threads();
        let crowd = gather(3).unwrap();
        while threads() < alone + 3 {
            thread::yield_now();
        }
        drop(crowd);
        while threads() > alone {
            thread::yield_now();
        }
    }

    #[test]
    fn waiting_is_told_by_the_kernel() {
        // Not every kernel does.
        if let Some(before) = waited() {
            let busy = || while waited() <= Some(before) {};
            let more_than_cores = 4 * thread::available_parallelism().unwrap().get();
            thread::scope(|scope| (0..more_than_cores).for_each(|_| _ = scope.spawn(busy)));
        }
    }
}
