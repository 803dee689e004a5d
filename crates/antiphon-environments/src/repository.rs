//! Sources that are repositories: fetched beside the workspace by whoever can, and taken over as
//! they are. Programs of a kind write them, so that nothing in them is believed, as nothing in a
//! workspace is.

use std::collections::HashMap;
use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use antiphon_engine::ProjectId;
use antiphon_wire::{Code, Error, Network, RepositoryAddress, Source};
use async_trait::async_trait;
use rustix::fs::FileType;
use tokio::runtime::Handle;
use tokio::sync::{AcquireError, OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout, timeout_at};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::failure::{Failure, Outcome};
use crate::inside::{Inside, kind_of};
use crate::place::{self, Home};
use crate::staged::{Stage, path_of};
use crate::{EnvironmentLimits, Environments};

/// Bytes of one repository, with its history; also where a workspace may have more (spec 06, "Environments").
const MOST_BYTES: u64 = 500_000_000;
/// Of one request.
const MOST_REPOSITORIES: usize = 8;
/// Requests whose repositories are fetched at one time.
const AT_ONCE: usize = 4;
/// And those among them of one project.
const AT_ONCE_OF_A_PROJECT: usize = 2;
/// What is made where one is fetched.
const NAME: &str = "repository";

/// Who fetches repositories.
#[async_trait]
pub trait Repositories: Send + Sync {
    /// Makes a folder with what a repository has now, and nothing else. Dropping the future ends it.
    ///
    /// # Errors
    /// Why it cannot be had, for the caller, who knows its address: `invalid_request`,
    /// `content_too_large` for more than there is room for, `failed_precondition` for what this
    /// machine lacks, `service_unavailable` for what is wrong with it.
    async fn fetch(&self, fetch: Fetch) -> Result<(), Error>;
}

/// What is to be fetched, and how much of it.
#[derive(Clone, Debug)]
pub struct Fetch {
    pub project: ProjectId,
    pub address: RepositoryAddress,
    /// That of the environment. What it puts into requests to the repository's host goes into
    /// those of the fetch; what else it allows, the fetch does not need.
    pub network: Network,
    /// Empty, and the fetch's alone.
    pub folder: PathBuf,
    /// What is made in it.
    pub name: &'static str,
    pub bytes: u64,
    pub entries: u64,
    /// For this and all that are still to come. Then the future is dropped.
    pub time: Duration,
}

/// Who may fetch: a few requests at one time, and fewer of one project, which keeps the others from nothing.
#[derive(Debug)]
pub(crate) struct Fetches {
    all: Arc<Semaphore>,
    /// Those that somebody fetches for, or waits for.
    projects: Mutex<HashMap<ProjectId, Weak<Semaphore>>>,
}

/// That it is somebody's turn.
struct Turn {
    _own: OwnedSemaphorePermit,
    _all: OwnedSemaphorePermit,
}

impl Default for Fetches {
    fn default() -> Self {
        Self { all: Arc::new(Semaphore::new(AT_ONCE)), projects: Mutex::default() }
    }
}

impl Fetches {
    async fn turn(&self, project: ProjectId) -> Result<Turn, AcquireError> {
        // Whoever waits for others of the project takes no turn of the others meanwhile.
        let own = self.of(project).acquire_owned().await?;
        Ok(Turn { _own: own, _all: Arc::clone(&self.all).acquire_owned().await? })
    }

    fn of(&self, project: ProjectId) -> Arc<Semaphore> {
        let mut projects = self.projects.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = projects.get(&project).and_then(Weak::upgrade) {
            return known;
        }
        projects.retain(|_, known| known.strong_count() > 0);
        let turns = Arc::new(Semaphore::new(AT_ONCE_OF_A_PROJECT));
        projects.insert(project, Arc::downgrade(&turns));
        turns
    }
}

/// The repositories of one request, which are about to be fetched.
pub(crate) struct Fetching {
    repositories: Arc<dyn Repositories>,
    runtime: Handle,
    project: ProjectId,
    wanted: Vec<Wanted>,
    limits: EnvironmentLimits,
    is_given_up: CancellationToken,
    _turn: Turn,
}

struct Wanted {
    source: Source,
    address: RepositoryAddress,
}

impl Environments {
    /// Those among a request's sources, once it is their turn; none when there are none. They are
    /// given up when the guard is dropped. Whoever calls this has no environment yet, or others
    /// would wait for it meanwhile.
    ///
    /// # Errors
    /// `invalid_request` for too many, `failed_precondition` when nothing is fetched on this
    /// server, `rate_limit_exceeded` when others take all the turns.
    pub(crate) async fn fetching(
        &self,
        project: ProjectId,
        sources: &[Source],
    ) -> Result<Option<(Fetching, DropGuard)>, Error> {
        let wanted = |source: &Source| {
            source.address().map(|address| Wanted { source: source.clone(), address: address.clone() })
        };
        let wanted: Vec<_> = sources.iter().filter_map(wanted).collect();
        let Some(first) = wanted.first() else { return Ok(None) };
        let first = first.source.path_of("source");
        if let Some(Wanted { source, .. }) = wanted.get(MOST_REPOSITORIES) {
            let message = format!("expected at most {MOST_REPOSITORIES} repositories, got {}", wanted.len());
            return Err(Error::invalid(&source.path, message));
        }
        let Some(repositories) = self.inner.repositories.clone() else {
            let why = self.inner.network.unavailable.as_deref().unwrap_or("it has nothing to fetch them with");
            let message = format!("`{first}`: repositories are not fetched on this server: {why}");
            return Err(Error::precondition(message));
        };
        let turn = timeout(self.inner.limits.fetching, self.inner.fetches.turn(project)).await;
        let turn = turn.map_err(|_| {
            let message = format!("`{first}`: too many requests fetch repositories now; try again later");
            Error::new(Code::RateLimitExceeded, message)
        })?;
        let turn = turn.map_err(|_| Error::internal())?;
        let is_given_up = CancellationToken::new();
        let guard = is_given_up.clone().drop_guard();
        let fetching = Fetching {
            repositories,
            runtime: self.inner.runtime.clone(),
            project,
            wanted,
            limits: self.inner.limits,
            is_given_up,
            _turn: turn,
        };
        Ok(Some((fetching, guard)))
    }
}

impl Fetching {
    /// That each has a place in a workspace, before any of them is fetched.
    ///
    /// # Errors
    /// `failed_precondition` by the target of one that has none.
    pub(crate) fn check_targets(&self, inside: &Inside) -> Outcome<()> {
        for Wanted { source, .. } in &self.wanted {
            let refused = |why: String| Error::precondition(format!("`{}`: {why}", source.path_of("target")));
            let target = &source.target;
            if inside.look(target)?.is_some() {
                return Err(refused(format!("`{target}` is there already, and a repository replaces nothing")).into());
            }
            for above in target.as_path().ancestors().skip(1) {
                let above = path_of(above)?;
                if inside.look(&above)?.is_some_and(|about| kind_of(&about) != FileType::Directory) {
                    return Err(refused(format!("`{above}` is there, and is no folder")).into());
                }
            }
        }
        Ok(())
    }

    /// Fetches them one after the other, with what a network says of their hosts, and places each.
    /// It holds its thread up.
    ///
    /// # Errors
    /// By the place in the request of the one that cannot be had; `cancelled` when nobody waits any more.
    pub(crate) fn place(&self, home: &Home, stage: &mut Stage, network: &Network) -> Outcome<()> {
        let until = Instant::now() + self.limits.fetching;
        let folder = home.fetched();
        for Wanted { source, address } in &self.wanted {
            place::remove(&folder)?;
            DirBuilder::new().mode(0o700).create(&folder)?;
            let fetched = self.fetch(address, network, folder.clone(), stage, until);
            // One that was given up ends a moment later.
            place::wait_for_programs(&folder)?;
            let placed = fetched.and_then(|()| stage.adopt(&source.target, &folder.join(NAME)));
            place::remove(&folder)?;
            let words = || format!("`{}`: `{address}` cannot be had", source.path_of("source"));
            placed.map_err(|failure| failure.led_by(&words()))?;
            if !stage.is_whole()? {
                let message = "there it would have folders that are too deep in the workspace, or closed ones";
                return Err(Error::invalid(&source.path_of("target"), message).into());
            }
        }
        // What comes next is for good.
        if self.is_given_up.is_cancelled() { Err(given_up()) } else { Ok(()) }
    }

    fn fetch(
        &self,
        address: &RepositoryAddress,
        network: &Network,
        folder: PathBuf,
        stage: &Stage,
        until: Instant,
    ) -> Outcome<()> {
        let (bytes, entries) = stage.room();
        let fetch = Fetch {
            project: self.project,
            address: address.clone(),
            network: network.clone(),
            folder,
            name: NAME,
            bytes: bytes.min(MOST_BYTES),
            entries,
            time: until.duration_since(Instant::now()),
        };
        let fetching = self.is_given_up.run_until_cancelled(timeout_at(until, self.repositories.fetch(fetch)));
        match self.runtime.block_on(fetching) {
            Some(Ok(fetched)) => Ok(fetched?),
            Some(Err(_)) => {
                let seconds = self.limits.fetching.as_secs_f32();
                let message = format!("it takes too long: the repositories of one request have {seconds} s together");
                Err(Error::new(Code::InvalidRequest, message).into())
            }
            None => Err(given_up()),
        }
    }
}

fn given_up() -> Failure {
    Error::new(Code::Cancelled, "the request was given up").into()
}
