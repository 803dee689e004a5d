//! Environments: the workspaces that agents keep between interactions (spec 06, "Environments").
//!
//! * `rows`: what is known of each, in one database; `place`: where each is on the disk.
//! * `lease`: who may write in one.
//! * `staged`: files on their way in, all of them or none; `archive`: out of an archive.
//! * `inside`: a workspace as the server sees it, where nothing is trusted.
//! * `files`, over `listing`, `snapshot`, `copy` and `stream`: what is read there.
//!
//! An environment begins with its row and ends with it. Its folder is made and durable before the
//! row is, and is removed after it: whenever the process dies, there is a whole environment or a
//! folder that no row speaks of, which the next start removes.

mod archive;
mod copy;
mod failure;
mod files;
mod inside;
mod lease;
mod listing;
mod place;
mod rows;
mod snapshot;
mod staged;
mod stream;

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use antiphon_engine::{Ambient, ProjectId};
use antiphon_wire::{CreateEnvironment, Environment, EnvironmentChoice, EnvironmentId, EnvironmentSpec, Error};
use jiff::{SignedDuration, Timestamp};
use rustix::fs::syncfs;
use tokio::runtime::Handle;
use tokio::sync::{OwnedRwLockWriteGuard, Semaphore};
use tokio::time::timeout;
use tokio_util::task::TaskTracker;
use tracing::warn;

use crate::failure::{Failure, Result, blocking};
use crate::inside::Inside;
use crate::lease::{PATIENCE, Turns, in_use, place_sources};
use crate::place::{Home, Place};
use crate::rows::{Row, Rows};
use crate::staged::Stage;

pub use files::{Download, Upload};
pub use lease::Lease;
pub use listing::Listing;
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
    /// From its last use until it has expired.
    pub expiry: SignedDuration,
}

impl Default for EnvironmentLimits {
    fn default() -> Self {
        Self { environments: 100, bytes: 256 << 20, entries: 65_536, expiry: SignedDuration::from_hours(7 * 24) }
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
    ambient: Arc<dyn Ambient>,
    turns: Turns,
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

const LETTERS: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
/// Each is of five bits.
const ID_LETTERS: usize = 26;

impl Environments {
    /// Also ends what an earlier process had begun.
    ///
    /// # Errors
    /// When the folder cannot be made or read, is not safe, or another server has it; and outside
    /// of a runtime.
    pub async fn open(options: EnvironmentsOptions) -> io::Result<Self> {
        let EnvironmentsOptions { folder, workspaces, limits, ambient } = options;
        let runtime = Handle::try_current().map_err(io::Error::other)?;
        let opening = blocking(move || {
            let place = Place::open(&folder, workspaces)?;
            let rows = Rows::open(&place.database())?;
            let inner = Inner {
                place,
                rows,
                limits,
                ambient,
                turns: Turns::default(),
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
        environments.sweep().await;
        Ok(environments)
    }

    /// Removes folders that no row speaks of, and finishes those that were being written in.
    fn recover(&self) -> Result<()> {
        let kept = self.inner.rows.kept()?;
        for id in self.inner.place.ids()? {
            let home = self.home(&id);
            match kept.get(&id) {
                None => home.remove()?,
                Some(was_leased) => {
                    staged::recover(&home)?;
                    if *was_leased {
                        let contents = Inside::open(&home.workspace())?.contents()?;
                        self.inner.rows.end_lease(&id, self.now(), contents)?;
                    }
                }
            }
        }
        Ok(())
    }

    /// Makes an environment, or copies one. It is durable when this returns.
    ///
    /// # Errors
    /// `not_found` for what is to be copied, `failed_precondition` when the project has as many
    /// as it may.
    pub async fn create(
        &self,
        project: ProjectId,
        request: CreateEnvironment,
    ) -> std::result::Result<Environment, Error> {
        let CreateEnvironment { from_environment, sources, network, env } = request;
        match from_environment {
            Some(from) => self.fork(project, &from).await,
            None => self.make(project, EnvironmentSpec { environment_id: None, sources, network, env }).await,
        }
    }

    /// The environment that an interaction is to work in: a new one, or the one that it names.
    /// What is to be different in the latter is the matter of [`Lease::update`].
    ///
    /// # Errors
    /// `not_found` for one that is not there, is another project's or has expired;
    /// `failed_precondition` when the project has as many as it may.
    pub async fn choose(
        &self,
        project: ProjectId,
        choice: &EnvironmentChoice,
    ) -> std::result::Result<EnvironmentId, Error> {
        if let Some(id) = choice.existing() {
            return Ok(self.alive(project, id).await.map(|row| row.id)?);
        }
        let spec = match choice {
            EnvironmentChoice::Described(spec) => spec.clone(),
            EnvironmentChoice::Remote | EnvironmentChoice::Existing(_) => EnvironmentSpec::default(),
        };
        Ok(self.make(project, spec).await?.id)
    }

    async fn make(&self, project: ProjectId, spec: EnvironmentSpec) -> std::result::Result<Environment, Error> {
        let mut row = Row::new(self.mint(), self.now());
        row.variables = spec.env;
        row.sources = spec.sources.iter().map(|source| source.target.clone()).collect();
        let limits = self.inner.limits;
        self.add(project, row, move |home| place_sources(&mut Stage::at(home.workspace(), limits), &spec.sources)).await
    }

    /// Copies an environment, byte for byte. Its variables are those of the other.
    ///
    /// # Errors
    /// `not_found`; `failed_precondition` when a run has it for longer than a moment, or the
    /// project as many as it may.
    pub async fn fork(&self, project: ProjectId, from: &EnvironmentId) -> std::result::Result<Environment, Error> {
        self.alive(project, from).await?;
        let turn = timeout(PATIENCE, self.inner.turns.of(from).read_owned()).await.map_err(|_| in_use(from))?;
        let found = self.alive(project, from).await?;
        let mut row = Row::new(self.mint(), self.now());
        (row.variables, row.sources) = (found.variables, found.sources);
        let (environments, from, limits) = (self.clone(), from.clone(), self.inner.limits);
        let fill = move |home: &Home| {
            // Nobody writes in it meanwhile.
            let _turn = turn;
            environments.inner.rows.access(&from, environments.now())?;
            let inside = Inside::open(&environments.home(&from).workspace())?;
            // A workspace may have grown over its bounds before its program was ended; twice is another matter.
            let (bytes, entries) = (limits.bytes.saturating_mul(2), limits.entries.saturating_mul(2));
            if antiphon_sandbox::folder::measure(inside.top(), bytes, entries)?.is_none() {
                let message = format!("`environments/{from}` has more in it than is copied");
                return Err(Error::precondition(message).into());
            }
            copy::copy(&inside, &home.workspace())
        };
        self.add(project, row, fill).await
    }

    /// Makes the folder of an environment, fills it, and then makes it one.
    async fn add(
        &self,
        project: ProjectId,
        mut row: Row,
        fill: impl FnOnce(&Home) -> Result<()> + Send + 'static,
    ) -> std::result::Result<Environment, Error> {
        let environments = self.clone();
        let added = blocking(move || {
            let Inner { place, rows, limits, .. } = &*environments.inner;
            let (now, alive) = (environments.now(), environments.alive_since());
            // Before there is any work; again when it is done.
            rows.check_room(project, limits.environments, alive)?;
            let home = environments.home(&row.id);
            let made = place.make(&home).and_then(|()| fill(&home)).and_then(|()| {
                let inside = Inside::open(&home.workspace())?;
                row.contents = inside.contents()?;
                // One call rather than one for each file.
                syncfs(inside.top())?;
                place.sync()?;
                rows.add(project, &row, limits.environments, alive)
            });
            if let Err(failure) = made {
                if let Err(error) = home.remove() {
                    warn!(%error, "The folder of what has become no environment cannot be removed yet");
                }
                return Err(failure);
            }
            Ok(row.shown(now, limits.expiry))
        });
        Ok(added.await?)
    }

    /// # Errors
    /// `not_found`, as for all environments of other projects.
    pub async fn get(&self, project: ProjectId, id: &EnvironmentId) -> std::result::Result<Environment, Error> {
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
    ) -> std::result::Result<Listing<Environment>, Error> {
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
    pub async fn delete(&self, project: ProjectId, id: &EnvironmentId) -> std::result::Result<(), Error> {
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

    /// Removes the files of environments whose time is over.
    pub async fn sweep(&self) {
        if let Err(failure) = self.expire().await {
            warn!(?failure, "Environments that have expired could not be removed");
        }
    }

    async fn expire(&self) -> Result<()> {
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

    fn mint(&self) -> EnvironmentId {
        let mut bytes = [0; ID_LETTERS];
        self.inner.ambient.fill_random(&mut bytes);
        let letters = bytes.iter().map(|byte| char::from(LETTERS[usize::from(byte % 32)]));
        match EnvironmentId::parse(&"env_".chars().chain(letters).collect::<String>()) {
            Some(id) => id,
            None => unreachable!("letters and digits are an id"),
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

fn read_token(token: &str) -> std::result::Result<(i64, EnvironmentId), Error> {
    let parts =
        token.split_once('.').and_then(|(created, id)| Some((created.parse().ok()?, EnvironmentId::parse(id)?)));
    parts.ok_or_else(|| Error::invalid("page_token", "expected a `next_page_token` of this list"))
}
