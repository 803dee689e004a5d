//! How environments begin: new, or as a copy of another.

use std::collections::BTreeMap;

use antiphon_engine::ProjectId;
use antiphon_wire::{
    CreateEnvironment, Environment, EnvironmentChoice, EnvironmentId, EnvironmentSpec, Error, Source, Variable,
};
use rustix::fs::syncfs;
use tokio::time::timeout;
use tracing::warn;

use crate::failure::{Outcome, blocking};
use crate::inside::Inside;
use crate::lease::{PATIENCE, in_use, place_files};
use crate::place::Home;
use crate::rows::Row;
use crate::staged::Stage;
use crate::{Environments, Inner, copy, variables};

impl Environments {
    /// Makes an environment, or copies one. It is durable when this returns.
    ///
    /// # Errors
    /// `not_found` for what is to be copied, `failed_precondition` when the project has as many
    /// as it may; `invalid_request` and `failed_precondition` for a network that the operator does
    /// not allow, and for a credential that becomes no variable. Also, and `content_too_large`, for a repository that cannot be had.
    pub async fn create(&self, project: ProjectId, request: CreateEnvironment) -> Result<Environment, Error> {
        let CreateEnvironment { from_environment, sources, network, env } = request;
        if let Some(network) = &network {
            self.inner.network.check(network, "network")?;
        }
        self.check_targets(&sources)?;
        self.check_variables(project, &env, "env").await?;
        match from_environment {
            Some(from) => self.copy(project, &from, EnvironmentSpec { network, ..EnvironmentSpec::default() }).await,
            None => {
                let spec = EnvironmentSpec { sources, network, env, ..EnvironmentSpec::default() };
                self.make(project, spec).await
            }
        }
    }

    /// The environment that an interaction is to work in: a new one, which may begin as a copy, or
    /// the one that it names. What is to be different in the latter is the matter of
    /// [`Environments::update`].
    ///
    /// # Errors
    /// `not_found` for one that is not there, is another project's or has expired;
    /// `failed_precondition` when the project has as many as it may; also, and `invalid_request`,
    /// for a network that the operator does not allow, or a credential that becomes no variable.
    pub async fn choose(&self, project: ProjectId, choice: &EnvironmentChoice) -> Result<EnvironmentId, Error> {
        let network = match choice {
            EnvironmentChoice::Described(spec) => spec.network.as_ref(),
            EnvironmentChoice::Remote | EnvironmentChoice::Existing(_) => None,
        };
        if let Some(network) = network {
            self.inner.network.check(network, "environment.network")?;
        }
        if let Some(id) = choice.existing() {
            let row = self.alive(project, id).await?;
            if network.is_none() {
                self.inner.network.check(&row.network, "environment.network")?;
            }
            return Ok(row.id);
        }
        let spec = match choice {
            EnvironmentChoice::Described(spec) => spec.clone(),
            EnvironmentChoice::Remote | EnvironmentChoice::Existing(_) => EnvironmentSpec::default(),
        };
        self.check_targets(&spec.sources)?;
        self.check_variables(project, &spec.env, "environment.env").await?;
        let made = match spec.from_environment.clone() {
            Some(from) => self.copy(project, &from, spec).await,
            None => self.make(project, spec).await,
        };
        Ok(made?.id)
    }

    async fn make(&self, project: ProjectId, spec: EnvironmentSpec) -> Result<Environment, Error> {
        let mut row = Row::new(self.mint(), self.now());
        row.variables.extend(spec.env, &*self.inner.ambient);
        row.network = spec.network.unwrap_or_else(|| self.inner.network.default.clone());
        row.add_sources(&spec.sources);
        let limits = self.inner.limits;
        let fetching = self.fetching(project, &spec.sources).await?;
        // Whoever leaves meanwhile gives up what is fetched.
        let (fetching, _guard) = fetching.unzip();
        let network = row.network.clone();
        let fill = move |home: &Home| {
            let mut stage = Stage::at(home.workspace(), limits);
            place_files(&mut stage, &spec.sources)?;
            fetching.map_or(Ok(()), |fetching| fetching.place(home, &mut stage, &network))
        };
        self.add(project, row, fill).await
    }

    /// Copies an environment, byte for byte. Its variables and its network are those of the other;
    /// its placeholders are its own.
    ///
    /// # Errors
    /// `not_found`; `failed_precondition` when a run has it for longer than a moment, or the
    /// project as many as it may.
    pub async fn fork(&self, project: ProjectId, from: &EnvironmentId) -> Result<Environment, Error> {
        self.copy(project, from, EnvironmentSpec::default()).await
    }

    /// A copy that is changed before anybody sees it.
    async fn copy(
        &self,
        project: ProjectId,
        from: &EnvironmentId,
        changes: EnvironmentSpec,
    ) -> Result<Environment, Error> {
        self.alive(project, from).await?;
        let fetching = self.fetching(project, &changes.sources).await?;
        let (fetching, _guard) = fetching.unzip();
        let looking = self.wake(from).await?;
        let turn = timeout(PATIENCE, self.inner.turns.of(from).read_owned()).await.map_err(|_| in_use(from))?;
        let found = self.alive(project, from).await?;
        let mut row = Row::new(self.mint(), self.now());
        let ambient = &*self.inner.ambient;
        (row.variables, row.sources) = (found.variables.copied(ambient), found.sources);
        row.variables.extend(changes.env, ambient);
        row.add_sources(&changes.sources);
        row.network = changes.network.unwrap_or(found.network);
        self.inner.network.check(&row.network, "network")?;
        let network = row.network.clone();
        let (environments, from, limits) = (self.clone(), from.clone(), self.inner.limits);
        let fill = move |home: &Home| {
            // Nobody writes in it meanwhile, and others may as soon as it is copied.
            let held = (turn, looking);
            environments.inner.rows.access(&from, environments.now())?;
            let inside = Inside::open(&environments.home(&from).workspace())?;
            // A workspace may have grown over its bounds before its program was ended; twice is another matter.
            let (bytes, entries) = (limits.bytes.saturating_mul(2), limits.entries.saturating_mul(2));
            if antiphon_sandbox::folder::measure(inside.top(), bytes, entries)?.is_none() {
                let message = format!("`environments/{from}` has more in it than is copied");
                return Err(Error::precondition(message).into());
            }
            copy::copy(&inside, &home.workspace())?;
            drop(held);
            environments.place(home, &changes.sources, &network, fetching.as_ref())
        };
        self.add(project, row, fill).await
    }

    /// Makes the folder of an environment, fills it, and then makes it one.
    async fn add(
        &self,
        project: ProjectId,
        mut row: Row,
        fill: impl FnOnce(&Home) -> Outcome<()> + Send + 'static,
    ) -> Result<Environment, Error> {
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
    /// `failed_precondition` for a source that programs would not find where its target says.
    pub(crate) fn check_targets(&self, sources: &[Source]) -> Result<(), Error> {
        let beside = sources.iter().find(|source| source.target.is_beside() && !self.inner.has_own_roots);
        let Some(source) = beside else { return Ok(()) };
        let message = format!(
            "`{}`: programs of this server have no root of their own (`docs/security.md`, tier 2); expected a path in \
             the workspace, got `{}`",
            source.path_of("target"),
            source.target.as_seen()
        );
        Err(Error::precondition(message))
    }

    pub(crate) async fn check_variables(
        &self,
        project: ProjectId,
        wanted: &BTreeMap<String, Variable>,
        path: &str,
    ) -> Result<(), Error> {
        variables::check(self.inner.network.credentials.as_ref(), project, wanted, path).await
    }

    fn mint(&self) -> EnvironmentId {
        let mut bytes = [0; 18];
        self.inner.ambient.fill_random(&mut bytes);
        EnvironmentId::from_bytes(&bytes)
    }
}
