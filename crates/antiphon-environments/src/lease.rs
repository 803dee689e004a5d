//! Who may write in an environment: one at a time, and those who copy it together.

use std::collections::{BTreeMap, HashMap};
use std::mem;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use antiphon_engine::ProjectId;
use antiphon_wire::{
    CredentialId, EnvironmentId, EnvironmentSpec, Error, Network, Source, SourceContent, WorkspacePath,
};
use tokio::sync::{OwnedRwLockWriteGuard, RwLock};
use tokio::time::timeout;
use tracing::warn;

use crate::failure::{Failure, Outcome, blocking};
use crate::inside::Inside;
use crate::place::{self, Home};
use crate::repository::Fetching;
use crate::rows::Row;
use crate::staged::{self, Stage};
use crate::{Environments, absent};

/// How long requests about files wait for a run that has the environment.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// The turns of the environments that somebody is at, or waits for.
#[derive(Debug, Default)]
pub(crate) struct Turns {
    known: Mutex<HashMap<EnvironmentId, Weak<RwLock<()>>>>,
}

impl Turns {
    pub(crate) fn of(&self, id: &EnvironmentId) -> Arc<RwLock<()>> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(turn) = known.get(id).and_then(Weak::upgrade) {
            return turn;
        }
        known.retain(|_, turn| turn.strong_count() > 0);
        let turn = Arc::default();
        known.insert(id.clone(), Arc::downgrade(&turn));
        turn
    }
}

/// The right to write in an environment, for as long as this is held. When it is dropped, what
/// there is in the workspace is counted, and then the next one gets it.
#[derive(Debug)]
pub struct Lease {
    held: Held,
    workspace: PathBuf,
    row: Row,
}

/// What a lease gives back.
#[derive(Debug)]
struct Held {
    environments: Environments,
    id: EnvironmentId,
    // Taken when it is given back.
    turn: Option<OwnedRwLockWriteGuard<()>>,
}

impl Drop for Held {
    fn drop(&mut self) {
        if let Some(turn) = self.turn.take() {
            let inner = &self.environments.inner;
            inner.tasks.spawn_on(give_back(self.environments.clone(), self.id.clone(), turn), &inner.runtime);
        }
    }
}

async fn give_back(environments: Environments, id: EnvironmentId, turn: OwnedRwLockWriteGuard<()>) {
    let counted = blocking(move || {
        // Nobody is let in before this is done.
        let _turn = turn;
        let contents = Inside::open(&environments.home(&id).workspace())?.contents()?;
        environments.inner.rows.end_lease(&id, environments.now(), contents)
    });
    if let Err(failure) = counted.await {
        // It counts as leased until the next start, or the next lease.
        warn!(?failure, "What is in an environment cannot be counted");
    }
}

impl Environments {
    /// Waits until nobody else writes in an environment or copies it, without a bound: the
    /// caller has one. It may give up at any time.
    ///
    /// # Errors
    /// `not_found`, also when it was deleted or has expired meanwhile.
    pub async fn lease(&self, project: ProjectId, id: &EnvironmentId) -> Result<Lease, Error> {
        self.alive(project, id).await?;
        let turn = self.inner.turns.of(id).write_owned().await;
        let held = Held { environments: self.clone(), id: id.clone(), turn: Some(turn) };
        let (environments, id) = (self.clone(), id.clone());
        // The turn goes along: who gives up meanwhile gives it back afterwards.
        let lease = blocking(move || {
            let row = environments.alive_row(project, &id)?;
            let home = environments.home(&id);
            environments.wake_held(&id)?;
            // The last program of whoever had it may end a moment after its run.
            place::wait_for_programs(&home.workspace())?;
            environments.inner.rows.begin_lease(&id, environments.now())?;
            staged::recover(&home)?;
            Ok(Lease { held, workspace: home.workspace(), row })
        });
        Ok(lease.await?)
    }

    /// Changes an environment as a request wants it before its run: places sources, which replace
    /// what has their names, repositories apart, which replace nothing; takes further variables,
    /// and another network in the place of the one it has.
    ///
    /// # Errors
    /// `failed_precondition` when a run has it, or something is in the way or does not fit; also,
    /// and `invalid_request`, for a network that the operator does not allow and for a credential
    /// that becomes no variable; these and `content_too_large` for a repository that cannot be had.
    /// Then nothing has changed.
    pub async fn update(&self, project: ProjectId, id: &EnvironmentId, spec: &EnvironmentSpec) -> Result<(), Error> {
        if let Some(network) = &spec.network {
            self.inner.network.check(network, "environment.network")?;
        }
        self.check_targets(&spec.sources)?;
        self.check_variables(project, &spec.env, "environment.env").await?;
        self.alive(project, id).await?;
        let fetching = self.fetching(project, &spec.sources).await?;
        // Whoever leaves meanwhile gives up what is fetched.
        let (fetching, _guard) = fetching.unzip();
        let lease = self.lease_soon(project, id).await?;
        Ok(lease.change(spec, fetching).await?.end().await?)
    }

    /// As [`Environments::lease`], for requests that wait a moment.
    ///
    /// # Errors
    /// `failed_precondition` when a run has it for longer.
    pub async fn lease_soon(&self, project: ProjectId, id: &EnvironmentId) -> Result<Lease, Error> {
        let lease = timeout(PATIENCE, self.lease(project, id)).await;
        lease.map_err(|_| in_use(id))?
    }
}

impl Lease {
    pub fn id(&self) -> &EnvironmentId {
        &self.row.id
    }

    /// On this machine.
    pub fn workspace(&self) -> &Path {
        &self.workspace
    }

    /// The variables of its programs.
    pub fn env(&self) -> BTreeMap<String, String> {
        self.row.variables.seen()
    }

    /// What stands among them for a credential.
    pub fn placeholders(&self) -> BTreeMap<String, CredentialId> {
        self.row.variables.placeholders()
    }

    /// What its programs reach.
    pub fn network(&self) -> &Network {
        &self.row.network
    }

    /// As [`Environments::update`]. After an error the environment is given back.
    async fn change(mut self, spec: &EnvironmentSpec, fetching: Option<Fetching>) -> Outcome<Self> {
        if spec.sources.is_empty() && spec.env.is_empty() && spec.network.is_none() {
            return Ok(self);
        }
        let environments = self.held.environments.clone();
        let (sources, home) = (spec.sources.clone(), environments.home(self.id()));
        let mut row = self.row.clone();
        row.variables.extend(spec.env.clone(), &*environments.inner.ambient);
        if let Some(network) = &spec.network {
            row.network = network.clone();
        }
        // The lease goes along: whoever leaves meanwhile gives it back once nothing is at work there.
        blocking(move || {
            environments.place(&home, &sources, &row.network, fetching.as_ref())?;
            row.add_sources(&sources);
            environments.inner.rows.describe(&row)?;
            self.row = row;
            Ok(self)
        })
        .await
    }

    /// Writes files into the workspace, all of them or none, and answers what was placed. Whoever
    /// leaves meanwhile gives the lease back afterwards.
    pub(crate) async fn write(
        self,
        overwrite: bool,
        fill: impl FnOnce(&mut Stage) -> Outcome<()> + Send + 'static,
    ) -> Outcome<(Self, Outcome<Vec<WorkspacePath>>)> {
        let environments = self.held.environments.clone();
        let home: Home = environments.home(self.id());
        let write = move || {
            let mut stage = Stage::begin(&home, environments.inner.limits, environments.inner.faults.clone())?;
            fill(&mut stage)?;
            stage.commit(&home, &Inside::open(&home.workspace())?, overwrite)
        };
        blocking(move || {
            let written = write();
            Ok((self, written))
        })
        .await
    }

    /// Gives the environment back, and waits until it is.
    pub(crate) async fn end(mut self) -> Outcome<()> {
        let inner = Arc::clone(&self.held.environments.inner);
        let Some(turn) = mem::take(&mut self.held.turn) else { return Ok(()) };
        let ending = inner.tasks.spawn(give_back(self.held.environments.clone(), self.id().clone(), turn));
        ending.await.map_err(Failure::broken)
    }
}

/// Those among the sources that were brought along.
pub(crate) fn place_files(stage: &mut Stage, sources: &[Source]) -> Outcome<()> {
    sources.iter().try_for_each(|source| match &source.content {
        SourceContent::Inline(bytes) => stage.file(&source.target, 0o644, bytes.as_slice()),
        SourceContent::Repository(_) => Ok(()),
    })
}

pub(crate) fn in_use(id: &EnvironmentId) -> Failure {
    let message = format!("`environments/{id}` is in use by an interaction, and only one may write in it");
    Error::precondition(message).into()
}

impl Environments {
    /// Places sources in a workspace that may have anything in it, and that nobody else has.
    ///
    /// # Errors
    /// As [`Environments::update`].
    pub(crate) fn place(
        &self,
        home: &Home,
        sources: &[Source],
        network: &Network,
        fetching: Option<&Fetching>,
    ) -> Outcome<()> {
        if sources.is_empty() {
            return Ok(());
        }
        let mut stage = Stage::begin(home, self.inner.limits, self.inner.faults.clone())?;
        place_files(&mut stage, sources)?;
        let inside = Inside::open(&home.workspace())?;
        if let Some(fetching) = fetching {
            // What is in the way is told before anything is fetched.
            stage.check(&inside, true)?;
            fetching.check_targets(&inside)?;
            fetching.place(home, &mut stage, network)?;
        }
        stage.commit(home, &inside, true)?;
        Ok(())
    }

    /// A row of an environment that can be used.
    pub(crate) fn alive_row(&self, project: ProjectId, id: &EnvironmentId) -> Outcome<Row> {
        let row = self.inner.rows.find(project, id)?;
        let alive = row.filter(|row| !row.is_expired(self.now(), self.inner.limits.expiry));
        alive.ok_or_else(|| absent(id).into())
    }

    pub(crate) async fn alive(&self, project: ProjectId, id: &EnvironmentId) -> Outcome<Row> {
        let (environments, id) = (self.clone(), id.clone());
        blocking(move || environments.alive_row(project, &id)).await
    }
}
