//! Environments: the workspaces that agents keep between interactions (spec 06, "Environments").
//!
//! * `rows`: what is known of each, in one database; `place`: where each is on the disk.
//! * `making`: how each begins.
//! * `lease`: who may write in one.
//! * `repository`: sources that are fetched.
//! * `variables`: what their programs find, and what stands there for a credential.
//! * `network`: what the operator lets them reach.
//! * `idle`: those that nobody uses, which rest; `resting`: a workspace as one archive.
//! * `staged`: files on their way in, all of them or none; `archive`: out of an archive.
//! * `inside`: a workspace as the server sees it, where nothing is trusted.
//! * `fault`: where tests let the process die.
//! * `files`, over `listing`, `snapshot`, `copy` and `stream`: what is read there.
//!
//! An environment begins with its row and ends with it. Its folder is made and durable before the
//! row is, and is removed after it: whenever the process dies, there is a whole environment or a
//! folder that no row speaks of, which the next start removes.

mod archive;
mod copy;
mod failure;
mod fault;
mod files;
mod idle;
mod inside;
mod lease;
mod listing;
mod making;
mod network;
mod place;
mod repository;
mod resting;
mod rows;
mod snapshot;
mod staged;
mod stream;
mod variables;

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use antiphon_engine::{Ambient, ProjectId};
use antiphon_wire::{Environment, EnvironmentId, Error};
use jiff::{SignedDuration, Timestamp};
use tokio::runtime::Handle;
use tokio::sync::{OwnedRwLockWriteGuard, Semaphore};
use tokio_util::task::TaskTracker;
use tracing::warn;

use crate::failure::{Failure, Outcome, blocking};
use crate::fault::Faults;
use crate::inside::Inside;
use crate::lease::Turns;
use crate::place::{Home, Place};
use crate::repository::Fetches;
use crate::rows::Rows;

pub use fault::{FaultHook, FaultPoint};
pub use files::{Download, Upload};
pub use lease::Lease;
pub use listing::Listing;
pub use network::NetworkPolicy;
pub use repository::{Fetch, Repositories};
pub use stream::ByteStream;

/// How much there may be, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EnvironmentLimits {
    /// Environments of one project that have not expired.
    pub environments: usize,
    /// Bytes of one workspace.
    pub bytes: u64,
    /// Files and folders of one workspace.
    pub entries: u64,
    /// From its last use until it rests.
    pub idle: SignedDuration,
    /// From its last use until it has expired.
    pub expiry: SignedDuration,
    /// Until all repositories of one request are there.
    pub fetching: Duration,
}

impl Default for EnvironmentLimits {
    fn default() -> Self {
        Self {
            environments: 100,
            bytes: 256 << 20,
            entries: 65_536,
            idle: SignedDuration::from_mins(15),
            expiry: SignedDuration::from_hours(7 * 24),
            fetching: Duration::from_secs(300),
        }
    }
}

pub struct EnvironmentsOptions {
    /// Where it is kept what there is; made when it is not there.
    pub folder: PathBuf,
    /// Where workspaces are, which may be the same folder; made with the first of them. For a
    /// server that is root, other users must be able to pass to it, since programs run under
    /// their names. Nobody else's environments may be there.
    pub workspaces: PathBuf,
    pub limits: EnvironmentLimits,
    pub network: NetworkPolicy,
    /// Whether programs have a root of their own, where they see what lies beside their workspace.
    pub has_own_roots: bool,
    /// None: nothing is fetched, for the reason that there are no networks.
    pub repositories: Option<Arc<dyn Repositories>>,
    pub ambient: Arc<dyn Ambient>,
}

/// A handle to all environments; its clones are handles to the same.
#[derive(Clone)]
pub struct Environments {
    inner: Arc<Inner>,
}

struct Inner {
    place: Place,
    rows: Rows,
    limits: EnvironmentLimits,
    network: NetworkPolicy,
    has_own_roots: bool,
    repositories: Option<Arc<dyn Repositories>>,
    fetches: Fetches,
    ambient: Arc<dyn Ambient>,
    turns: Turns,
    /// Who looks into which.
    looks: Turns,
    faults: Faults,
    /// Threads that may send files at one time.
    sending: Arc<Semaphore>,
    /// What goes on when nobody waits for it.
    tasks: TaskTracker,
    /// Leases are given back to it, wherever they are dropped.
    runtime: Handle,
}

impl std::fmt::Debug for Environments {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Environments").field("place", &self.inner.place).finish_non_exhaustive()
    }
}

const SENT_AT_ONCE: usize = 32;

/// What has expired is still shown for so long.
const REMEMBERED: SignedDuration = SignedDuration::from_hours(60 * 24);

impl Environments {
    /// Also ends what an earlier process had begun.
    ///
    /// # Errors
    /// When the folder cannot be made or read, is not safe, or another server has it; and outside
    /// of a runtime.
    pub async fn open(options: EnvironmentsOptions) -> io::Result<Self> {
        Self::open_with_faults(options, None).await
    }

    /// As [`Environments::open`], for tests of crashes.
    ///
    /// # Errors
    /// As [`Environments::open`].
    pub async fn open_with_faults(options: EnvironmentsOptions, fault: Option<FaultHook>) -> io::Result<Self> {
        let EnvironmentsOptions { folder, workspaces, limits, network, has_own_roots, repositories, ambient } = options;
        let runtime = Handle::try_current().map_err(io::Error::other)?;
        let opening = blocking(move || {
            let place = Place::open(&folder, workspaces)?;
            let rows = Rows::open(&place.database())?;
            let inner = Inner {
                place,
                rows,
                limits,
                network,
                has_own_roots,
                repositories,
                fetches: Fetches::default(),
                ambient,
                turns: Turns::default(),
                looks: Turns::default(),
                faults: Faults(fault),
                sending: Arc::new(Semaphore::new(SENT_AT_ONCE)),
                tasks: TaskTracker::new(),
                runtime,
            };
            let environments = Self { inner: Arc::new(inner) };
            environments.recover()?;
            Ok(environments)
        });
        let environments = opening.await.map_err(|failure| match failure {
            Failure::Broken(cause) => io::Error::other(cause),
            Failure::Refused(error) => io::Error::other(error),
        })?;
        environments.remove_expired().await;
        Ok(environments)
    }

    /// Removes folders that no row speaks of, and finishes those that were being written in.
    fn recover(&self) -> Outcome<()> {
        let kept = self.inner.rows.kept()?;
        for id in self.inner.place.ids()? {
            let home = self.home(&id);
            match kept.get(&id) {
                None => home.remove()?,
                Some(was_leased) => {
                    resting::recover(&home)?;
                    if resting::is_resting(&home) {
                        continue;
                    }
                    staged::recover(&home)?;
                    if *was_leased {
                        let inside = Inside::open(&home.workspace())?;
                        if let Err(error) = antiphon_sandbox::folder::clear(inside.top()) {
                            // Its program has closed it; the next one there sees to it.
                            warn!(environment = %id, %error, "What an interrupted run left cannot be removed");
                        }
                        self.inner.rows.end_lease(&id, self.now(), inside.contents()?)?;
                    }
                }
            }
        }
        Ok(())
    }

    /// # Errors
    /// `not_found`, as for all environments of other projects.
    pub async fn get(&self, project: ProjectId, id: &EnvironmentId) -> Result<Environment, Error> {
        let (environments, id) = (self.clone(), id.clone());
        let found = blocking(move || environments.inner.rows.find(project, &id)?.ok_or_else(|| absent(&id).into()));
        Ok(found.await?.shown(self.now(), self.inner.limits.expiry))
    }

    /// The environments of a project, the latest first; `after`: those behind a page.
    ///
    /// # Errors
    /// `invalid_request` for a token that is none.
    pub async fn list(
        &self,
        project: ProjectId,
        after: Option<&str>,
        most: usize,
    ) -> Result<Listing<Environment>, Error> {
        let before = after.map(read_token).transpose()?;
        let (environments, now, expiry) = (self.clone(), self.now(), self.inner.limits.expiry);
        let found = blocking(move || {
            let before = before.as_ref().map(|(created, id)| (*created, id.as_str()));
            environments.inner.rows.list(project, before, most + 1)
        });
        let mut rows = found.await?;
        let more = rows.len() > most;
        rows.truncate(most);
        let next = rows.last().filter(|_| more).map(|row| format!("{}.{}", row.created.as_millisecond(), row.id));
        Ok(Listing { items: rows.into_iter().map(|row| row.shown(now, expiry)).collect(), next })
    }

    /// Removes an environment and its bytes, whatever its state. A run that has it keeps its
    /// folder until its lease ends.
    ///
    /// # Errors
    /// `not_found`.
    pub async fn delete(&self, project: ProjectId, id: &EnvironmentId) -> Result<(), Error> {
        let (environments, deleted) = (self.clone(), id.clone());
        if !blocking(move || environments.inner.rows.delete(project, &deleted)).await? {
            return Err(absent(id));
        }
        let turn = self.inner.turns.of(id);
        match Arc::clone(&turn).try_write_owned() {
            Ok(turn) => self.remove(id, turn).await,
            Err(_) => {
                let (environments, id) = (self.clone(), id.clone());
                self.inner.tasks.spawn(async move {
                    let turn = turn.write_owned().await;
                    environments.remove(&id, turn).await;
                });
            }
        }
        Ok(())
    }

    /// Removes the files of environments whose time is over, and puts to rest those that nobody uses.
    pub async fn sweep(&self) {
        self.remove_expired().await;
        self.rest_idle().await;
    }

    async fn remove_expired(&self) {
        if let Err(failure) = self.expire().await {
            warn!(?failure, "Environments that have expired could not be removed");
        }
    }

    async fn expire(&self) -> Outcome<()> {
        let (environments, alive) = (self.clone(), self.alive_since());
        let remembered = earlier(self.now(), REMEMBERED.max(self.inner.limits.expiry));
        let due = blocking(move || {
            environments.inner.rows.forget(remembered)?;
            environments.inner.rows.due(alive)
        });
        for id in due.await? {
            // Who has it uses it.
            let Ok(turn) = self.inner.turns.of(&id).try_write_owned() else { continue };
            let (environments, expiring) = (self.clone(), id.clone());
            if blocking(move || environments.inner.rows.expire(&expiring, alive)).await? {
                self.remove(&id, turn).await;
            }
        }
        Ok(())
    }

    /// Removes the folder of what is no environment any more; the next start does what cannot
    /// be done now.
    async fn remove(&self, id: &EnvironmentId, turn: OwnedRwLockWriteGuard<()>) {
        let home = self.home(id);
        let removed = blocking(move || {
            let _turn = turn;
            Ok(home.remove()?)
        });
        if let Err(failure) = removed.await {
            warn!(?failure, "The folder of an environment cannot be removed yet");
        }
    }

    fn home(&self, id: &EnvironmentId) -> Home {
        self.inner.place.home(id)
    }

    fn now(&self) -> Timestamp {
        self.inner.ambient.now()
    }

    /// What was used after this has not expired.
    fn alive_since(&self) -> Timestamp {
        earlier(self.now(), self.inner.limits.expiry)
    }
}

fn earlier(time: Timestamp, by: SignedDuration) -> Timestamp {
    time.saturating_sub(by).unwrap_or(Timestamp::UNIX_EPOCH)
}

fn absent(id: &EnvironmentId) -> Error {
    Error::not_found(format!("`environments/{id}` not found"))
}

fn read_token(token: &str) -> Result<(i64, EnvironmentId), Error> {
    let parts =
        token.split_once('.').and_then(|(created, id)| Some((created.parse().ok()?, EnvironmentId::parse(id)?)));
    parts.ok_or_else(|| Error::invalid("page_token", "expected a `next_page_token` of this list"))
}
