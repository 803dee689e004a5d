//! Sources that are repositories: fetched beside the workspace by whoever can, and taken over as
//! they are. Programs of a kind write them, so that nothing in them is believed, as nothing in a
//! workspace is.

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use antiphon_engine::ProjectId;
use antiphon_wire::{Code, Error, Network, RepositoryAddress, Source, WorkspacePath};
use async_trait::async_trait;
use tokio::runtime::Handle;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::failure::{Failure, Outcome};
use crate::place::{self, Home};
use crate::staged::Stage;
use crate::{EnvironmentLimits, Environments};

/// Bytes of one repository, with its history; also where a workspace may have more (spec 06, "Environments").
const MOST_BYTES: u64 = 500_000_000;
/// Of one request.
const MOST_REPOSITORIES: usize = 8;
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
    /// machine lacks.
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
    /// For this and all that are still to come.
    pub time: Duration,
}

/// The repositories of one request, which are about to be fetched.
pub(crate) struct Fetching {
    repositories: Arc<dyn Repositories>,
    runtime: Handle,
    project: ProjectId,
    network: Network,
    wanted: Vec<Wanted>,
    limits: EnvironmentLimits,
    is_given_up: CancellationToken,
    _permit: OwnedSemaphorePermit,
}

struct Wanted {
    /// Where the request says so.
    path: String,
    address: RepositoryAddress,
    target: WorkspacePath,
}

impl Environments {
    /// Those among a request's sources, which stand at `path`, once it is their turn; none when
    /// there are none. They are given up when the guard is dropped.
    ///
    /// # Errors
    /// `failed_precondition` when nothing is fetched on this server, `rate_limit_exceeded` when
    /// others take all the turns.
    pub(crate) async fn fetching(
        &self,
        project: ProjectId,
        sources: &[Source],
        network: &Network,
        path: &str,
    ) -> Result<Option<(Fetching, DropGuard)>, Error> {
        let wanted = |(at, source): (usize, &Source)| {
            let (path, target) = (format!("{path}[{at}].source"), source.target.clone());
            source.address().map(|address| Wanted { path, address: address.clone(), target })
        };
        let wanted: Vec<_> = sources.iter().enumerate().filter_map(wanted).collect();
        let Some(first) = wanted.first() else { return Ok(None) };
        if wanted.len() > MOST_REPOSITORIES {
            let message = format!("expected at most {MOST_REPOSITORIES} repositories, got {}", wanted.len());
            return Err(Error::invalid(path, message));
        }
        let Some(repositories) = self.inner.repositories.clone() else {
            let why = self.inner.network.unavailable.as_deref().unwrap_or("it has nothing to fetch them with");
            let message = format!("`{}`: repositories are not fetched on this server: {why}", first.path);
            return Err(Error::precondition(message));
        };
        let permit = timeout(self.inner.limits.fetching, Arc::clone(&self.inner.fetches).acquire_owned()).await;
        let permit = permit.map_err(|_| {
            let message = format!("`{}`: too many requests fetch repositories now; try again later", first.path);
            Error::new(Code::RateLimitExceeded, message)
        })?;
        let permit = permit.map_err(|_| Error::internal())?;
        let is_given_up = CancellationToken::new();
        let guard = is_given_up.clone().drop_guard();
        let fetching = Fetching {
            repositories,
            runtime: self.inner.runtime.clone(),
            project,
            network: network.clone(),
            wanted,
            limits: self.inner.limits,
            is_given_up,
            _permit: permit,
        };
        Ok(Some((fetching, guard)))
    }
}

impl Fetching {
    /// Fetches them one after the other, and places each. It holds its thread up.
    ///
    /// # Errors
    /// By the place in the request of the one that cannot be had; `cancelled` when nobody waits any more.
    pub(crate) fn place(&self, home: &Home, stage: &mut Stage) -> Outcome<()> {
        let until = Instant::now() + self.limits.fetching;
        let folder = home.fetched();
        for wanted in &self.wanted {
            place::remove(&folder)?;
            DirBuilder::new().mode(0o700).create(&folder)?;
            let fetched = self.fetch(wanted, folder.clone(), stage, until);
            let placed = fetched.and_then(|()| stage.adopt(&wanted.target, &folder.join(NAME)));
            // One that was given up ends a moment later.
            place::wait_for_programs(&folder)?;
            place::remove(&folder)?;
            let Wanted { path, address, .. } = wanted;
            placed.map_err(|failure| failure.led_by(&format!("`{path}`: `{address}` cannot be had")))?;
        }
        // What comes next is for good.
        if self.is_given_up.is_cancelled() { Err(given_up()) } else { Ok(()) }
    }

    fn fetch(&self, wanted: &Wanted, folder: PathBuf, stage: &Stage, until: Instant) -> Outcome<()> {
        let (bytes, entries) = stage.room();
        let fetch = Fetch {
            project: self.project,
            address: wanted.address.clone(),
            network: self.network.clone(),
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
                let message = format!("it took longer than {} s", self.limits.fetching.as_secs_f32());
                Err(Error::new(Code::InvalidRequest, message).into())
            }
            None => Err(given_up()),
        }
    }
}

fn given_up() -> Failure {
    Error::new(Code::Cancelled, "the request was given up").into()
}
