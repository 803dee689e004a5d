//! The environment of one run: who works in it, one at a time.

use std::path::Path;

use antiphon_engine::ProjectId;
use antiphon_environments::{Environments, Lease};
use antiphon_sandbox::{Program, Refused, Workspace};
use antiphon_wire::{EnvironmentChoice, EnvironmentId, Error};
use tokio::sync::{Mutex, MutexGuard, OnceCell};

/// An environment that is entered when a tool first works in it, and left with the run. While
/// another run is in it, this one waits, within its own time.
pub(crate) struct Workplace {
    environments: Environments,
    project: ProjectId,
    id: EnvironmentId,
    lease: OnceCell<Lease>,
    /// Calls of one turn come at the same time.
    turn: Mutex<()>,
}

/// That nobody else works there now.
pub(crate) struct Place<'a> {
    lease: &'a Lease,
    _turn: MutexGuard<'a, ()>,
}

impl Workplace {
    /// That of a request: made, if it is to be a new one, or changed as the request wants it.
    ///
    /// # Errors
    /// `not_found` when it is not there, `failed_precondition` when it cannot be changed so.
    pub(crate) async fn open(
        environments: &Environments,
        project: ProjectId,
        choice: &EnvironmentChoice,
    ) -> Result<Self, Error> {
        let id = environments.choose(project, choice).await?;
        if let EnvironmentChoice::Described(spec) = choice
            && spec.environment_id.is_some()
        {
            environments.update(project, &id, spec).await?;
        }
        let environments = environments.clone();
        Ok(Self { environments, project, id, lease: OnceCell::new(), turn: Mutex::new(()) })
    }

    pub(crate) fn id(&self) -> &EnvironmentId {
        &self.id
    }

    /// # Errors
    /// When the environment is gone, in words for the model.
    pub(crate) async fn enter(&self) -> Result<Place<'_>, String> {
        let turn = self.turn.lock().await;
        let lease = self.lease.get_or_try_init(|| self.environments.lease(self.project, &self.id)).await;
        let lease = lease.map_err(|error| format!("The environment cannot be entered: {}", error.message))?;
        Ok(Place { lease, _turn: turn })
    }
}

impl Place<'_> {
    pub(crate) fn folder(&self) -> &Path {
        self.lease.workspace()
    }

    /// A program that works in it, with its variables.
    ///
    /// # Errors
    /// When there is no room for them.
    pub(crate) fn equip(&self, program: Program) -> Result<Program, Refused> {
        let program = program.workspace(Workspace::Given(self.folder().to_owned()));
        self.lease.env().iter().try_fold(program, |program, (name, value)| program.variable(name, value))
    }
}
