//! The one thread that writes, and group commit.
//!
//! A sync of the disk costs far more than the rows it makes durable, so everything that
//! waits when the disk is free again is committed by one sync, and so is what is asked for
//! while that is being carried out: the more writers, the fewer syncs each. Nothing is
//! delayed to make a group; a lone write is committed at once.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use antiphon_engine::StoreError;
use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};
use tracing::warn;

use crate::connection;
use crate::error::{Result, unavailable};
use crate::migrate::{self, MIGRATIONS};

/// A group no larger than this, so that the first of it does not wait long for the last.
const LARGEST_GROUP: usize = 512;
/// Those who ask for more writes than this wait until they may ask.
const MOST_WAITING: usize = 1024;
/// How long erasing waits for readers of this process, which are done in milliseconds.
const PATIENCE: Duration = Duration::from_millis(250);

/// Where a test of crashes may end the process: around the commits that accept an
/// interaction, add to its log or end it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultPoint {
    /// Nothing of the group is durable yet.
    BeforeCommit,
    /// All of it is durable, and nobody was told.
    AfterCommit,
}

/// Called on the writer's thread at each fault point.
pub type FaultHook = Arc<dyn Fn(FaultPoint) + Send + Sync>;

/// What a write is for, as far as the writer must know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// Accepts an interaction or adds to its log: passes the fault points.
    Log,
    /// Removes bytes: they are to be gone from every file when it is answered.
    Erasure,
    Record,
}

pub(crate) struct Writer {
    /// Taken when this is dropped, which ends the thread.
    jobs: Option<mpsc::Sender<Job>>,
    thread: Option<JoinHandle<()>>,
    commits: Arc<AtomicU64>,
}

struct Job {
    purpose: Purpose,
    work: Work,
}

/// Does its work, or fails with the error it is given instead of a connection.
type Work = Box<dyn FnOnce(Result<&Connection, StoreError>) -> Done + Send>;

/// A job whose work is done and perhaps not durable yet.
struct Done {
    succeeded: bool,
    /// Answers whoever asked, once it is known how the commit went.
    answer: Box<dyn FnOnce(Result<(), StoreError>) + Send>,
}

impl Writer {
    pub(crate) fn start(connection: Connection, file: PathBuf, fault: Option<FaultHook>) -> Result<Self> {
        let (jobs, waiting) = mpsc::channel(MOST_WAITING);
        let commits = Arc::<AtomicU64>::default();
        let mut worker = Worker { connection, file, fault, commits: Arc::clone(&commits), unerased: false };
        // An earlier process may have died between a delete and its erasure.
        worker.unerased = !worker.empty_log(Duration::ZERO)?;
        let thread = std::thread::Builder::new()
            .name("antiphon-store".to_owned())
            .spawn(move || worker.work(waiting))
            .map_err(|error| unavailable("the writing thread cannot be started", &error))?;
        Ok(Self { jobs: Some(jobs), thread: Some(thread), commits })
    }

    /// How many durable commits there were.
    pub(crate) fn commits(&self) -> u64 {
        self.commits.load(Ordering::Relaxed)
    }

    /// Runs `work` in a transaction; when this returns it is durable, or undone.
    /// Whoever stops waiting does not stop the work.
    pub(crate) async fn write<T: Send + 'static>(
        &self,
        purpose: Purpose,
        work: impl FnOnce(&Connection) -> Result<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        let stopped = || StoreError::Unavailable("the writing thread has ended".to_owned());
        let (sender, receiver) = oneshot::channel();
        let work = Box::new(move |connection: Result<&Connection, StoreError>| {
            let result = connection.and_then(|connection| Ok(work(connection)?));
            Done {
                succeeded: result.is_ok(),
                answer: Box::new(move |committed| {
                    // Whoever asked may be gone.
                    let _ = sender.send(committed.and(result));
                }),
            }
        });
        let Some(jobs) = &self.jobs else { return Err(stopped()) };
        jobs.send(Job { purpose, work }).await.map_err(|_| stopped())?;
        receiver.await.map_err(|_| stopped())?
    }
}

impl Drop for Writer {
    /// Waits for what was asked for, so that the file is closed when this returns.
    fn drop(&mut self) {
        self.jobs = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

struct Worker {
    connection: Connection,
    file: PathBuf,
    fault: Option<FaultHook>,
    commits: Arc<AtomicU64>,
    /// Something was deleted and is still readable in the write-ahead log.
    unerased: bool,
}

impl Worker {
    fn work(mut self, mut waiting: mpsc::Receiver<Job>) {
        while let Some(first) = waiting.blocking_recv() {
            let others = std::iter::from_fn(|| waiting.try_recv().ok());
            self.carry_out(std::iter::once(first).chain(others).take(LARGEST_GROUP));
        }
    }

    /// Commits a group and answers everybody in it.
    fn carry_out(&mut self, group: impl Iterator<Item = Job>) {
        let (done, committed) = self.commit(group);
        let outcome = || committed.as_ref().map(|_| ()).map_err(|why| StoreError::Unavailable(why.clone()));
        let (erasures, others): (Vec<_>, Vec<_>) =
            done.into_iter().partition(|(purpose, _)| *purpose == Purpose::Erasure);
        others.into_iter().for_each(|(_, done)| (done.answer)(outcome()));

        let first_try = committed.is_ok() && erasures.iter().any(|(_, done)| done.succeeded);
        if first_try || self.unerased {
            self.unerased = !self.erase(if first_try { PATIENCE } else { Duration::ZERO });
            if first_try && self.unerased {
                warn!("Deleted content is not erased from the log yet; it is tried again after the next write");
            }
        }
        erasures.into_iter().for_each(|(_, done)| (done.answer)(outcome()));
    }

    /// Runs each job in a savepoint of one transaction and commits it. The error is why
    /// nothing of the group is durable.
    fn commit(&mut self, group: impl Iterator<Item = Job>) -> (Vec<(Purpose, Done)>, Result<(), String>) {
        let mut broken = self.execute("BEGIN IMMEDIATE").err();
        let mut done = Vec::new();
        for job in group {
            let result = match &broken {
                None => self.in_savepoint(job.work),
                Some(why) => Ok((job.work)(Err(StoreError::Unavailable(why.clone())))),
            };
            match result {
                Ok(result) => done.push((job.purpose, result)),
                Err((result, why)) => {
                    done.push((job.purpose, result));
                    broken = Some(why);
                }
            }
        }
        let committed = match broken {
            Some(why) => Err(why),
            None => self.end(&done),
        };
        if committed.is_err() && !self.connection.is_autocommit() {
            // The file is as it was before the group, whether or not this succeeds.
            let _ = self.execute("ROLLBACK");
        }
        (done, committed)
    }

    /// One job; the error tells that the whole transaction is gone, and why.
    fn in_savepoint(&self, work: Work) -> Result<Done, (Done, String)> {
        if let Err(why) = self.execute("SAVEPOINT job") {
            return Err((work(Err(StoreError::Unavailable(why.clone()))), why));
        }
        let done = work(Ok(&self.connection));
        // A full disk or a failed read can end the transaction by itself.
        let closed = if self.connection.is_autocommit() {
            Err("the transaction was undone by a failed write".to_owned())
        } else if done.succeeded {
            self.execute("RELEASE job")
        } else {
            self.execute("ROLLBACK TO job").and_then(|()| self.execute("RELEASE job"))
        };
        match closed {
            Ok(()) => Ok(done),
            Err(why) => Err((done, why)),
        }
    }

    /// Makes the transaction durable if there is anything in it.
    fn end(&self, done: &[(Purpose, Done)]) -> Result<(), String> {
        if !done.iter().any(|(_, done)| done.succeeded) {
            return self.execute("ROLLBACK");
        }
        let logs = done.iter().any(|(purpose, done)| *purpose == Purpose::Log && done.succeeded);
        let fault = self.fault.as_ref().filter(|_| logs);
        if let Some(fault) = fault {
            fault(FaultPoint::BeforeCommit);
        }
        self.execute("COMMIT")?;
        self.commits.fetch_add(1, Ordering::Relaxed);
        if let Some(fault) = fault {
            fault(FaultPoint::AfterCommit);
        }
        Ok(())
    }

    fn execute(&self, statement: &str) -> Result<(), String> {
        let executed = self.connection.prepare_cached(statement).and_then(|mut prepared| prepared.execute([]));
        executed.map(|_| ()).map_err(|error| error.to_string())
    }

    /// Leaves deleted bytes in no file: neither in copies of earlier versions nor in the
    /// write-ahead log. False when that is held up; it is tried again after the next write.
    fn erase(&self, patience: Duration) -> bool {
        let erased = migrate::remove_copies(&self.file, MIGRATIONS.len()).and_then(|()| self.empty_log(patience));
        erased.unwrap_or_else(|failed| {
            warn!(error = %failed.0, "Deleted content could not be erased");
            false
        })
    }

    /// Moves the write-ahead log into the database and empties it. False when another
    /// process reads from it.
    fn empty_log(&self, patience: Duration) -> Result<bool> {
        connection::wait_at_most(&self.connection, Some(patience))?;
        let blocked = self.connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get::<_, bool>(0));
        connection::wait_at_most(&self.connection, None)?;
        Ok(!blocked?)
    }
}

#[cfg(test)]
mod tests;
