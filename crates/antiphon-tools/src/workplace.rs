//! The environment of one run: who works in it, one at a time, and what its programs reach.

use std::path::Path;

use antiphon_egress::{Egress, Passage};
use antiphon_engine::ProjectId;
use antiphon_environments::{Environments, Lease};
use antiphon_sandbox::{Network, Program, Refused, Workspace};
use antiphon_wire::{EnvironmentChoice, EnvironmentId, Error};
use tokio::net::TcpListener;
use tokio::sync::{Mutex, MutexGuard, OnceCell};
use tokio::task::JoinSet;
use tracing::warn;

/// An environment that is entered when a tool first works in it, and left with the run. While
/// another run is in it, this one waits, within its own time.
pub(crate) struct Workplace {
    environments: Environments,
    egress: Option<Egress>,
    project: ProjectId,
    id: EnvironmentId,
    network: antiphon_wire::Network,
    inside: OnceCell<Inside>,
    /// Calls of one turn come at the same time.
    turn: Mutex<()>,
}

/// What a run has from its first call on.
struct Inside {
    lease: Lease,
    /// When its programs reach something.
    passage: Option<Passage>,
}

/// That nobody else works there now.
pub(crate) struct Place<'a> {
    inside: &'a Inside,
    _turn: MutexGuard<'a, ()>,
}

/// The network of one program, which ends with this.
pub(crate) struct Reach {
    passage: Passage,
    _serving: JoinSet<()>,
}

impl Workplace {
    /// That of a request: made, if it is to be a new one, or changed as the request wants it.
    ///
    /// # Errors
    /// `not_found` when it is not there, `failed_precondition` when it cannot be changed so;
    /// `invalid_request` for a network that the operator does not allow.
    pub(crate) async fn open(
        environments: &Environments,
        egress: Option<&Egress>,
        project: ProjectId,
        choice: &EnvironmentChoice,
    ) -> Result<Self, Error> {
        let id = environments.choose(project, choice).await?;
        if let EnvironmentChoice::Described(spec) = choice
            && spec.environment_id.is_some()
        {
            environments.update(project, &id, spec).await?;
        }
        let network = environments.get(project, &id).await?.network;
        let (environments, egress) = (environments.clone(), egress.cloned());
        Ok(Self { environments, egress, project, id, network, inside: OnceCell::new(), turn: Mutex::new(()) })
    }

    pub(crate) fn id(&self) -> &EnvironmentId {
        &self.id
    }

    /// What its programs reach, in a sentence for the model.
    pub(crate) fn reach(&self) -> String {
        const MOST_NAMED: usize = 16;
        let allowed = self.network.allowed();
        if allowed.is_empty() {
            return "There is no network.".to_owned();
        }
        let named: Vec<_> = allowed.iter().take(MOST_NAMED).map(|allowed| allowed.domain.to_string()).collect();
        let more = if allowed.len() > MOST_NAMED { " and others" } else { "" };
        format!("Of the network, programs reach these hosts by http and https: {}{more}.", named.join(", "))
    }

    /// # Errors
    /// When the environment is gone, or its network cannot be had, in words for the model.
    pub(crate) async fn enter(&self) -> Result<Place<'_>, String> {
        let turn = self.turn.lock().await;
        let inside = self.inside.get_or_try_init(|| self.begin()).await;
        let inside = inside.map_err(|why| format!("The environment cannot be entered: {why}"))?;
        Ok(Place { inside, _turn: turn })
    }

    async fn begin(&self) -> Result<Inside, String> {
        let lease = self.environments.lease(self.project, &self.id).await.map_err(|error| error.message)?;
        let passage = match (lease.network().allowed(), &self.egress) {
            ([], _) => None,
            (_, None) => return Err("programs reach no network on this server".to_owned()),
            (allowed, Some(egress)) => {
                let passage = egress.open(self.project, allowed.to_vec(), lease.placeholders());
                Some(passage.map_err(|error| error.to_string())?)
            }
        };
        Ok(Inside { lease, passage })
    }
}

impl Place<'_> {
    pub(crate) fn folder(&self) -> &Path {
        self.inside.lease.workspace()
    }

    /// A program that works in it, with its variables and its network.
    ///
    /// # Errors
    /// When there is no room for them.
    pub(crate) fn equip(&self, program: Program) -> Result<(Program, Option<Reach>), Refused> {
        let Inside { lease, passage } = self.inside;
        let program = program.workspace(Workspace::Given(self.folder().to_owned()));
        let program = lease.env().iter().try_fold(program, |program, (name, value)| program.variable(name, value))?;
        let Some(passage) = passage else { return Ok((program, None)) };
        let (network, reach) = Reach::through(passage);
        Ok((program.network(network), Some(reach)))
    }
}

impl Reach {
    /// A network for one program, whose connections take this passage.
    pub(crate) fn through(passage: &Passage) -> (Network, Self) {
        let (network, mut listeners) = Network::new(passage.trusted());
        let serving = passage.clone();
        let mut task = JoinSet::new();
        task.spawn(async move {
            let Some(listener) = listeners.recv().await else { return };
            match TcpListener::from_std(listener) {
                Ok(listener) => serving.serve(listener).await,
                Err(error) => warn!(%error, "The network of a program cannot be served"),
            }
        });
        (network, Self { passage: passage.clone(), _serving: task })
    }

    /// Some of what the program wanted and did not get, in words.
    pub(crate) fn refused(&self) -> Vec<String> {
        self.passage.refused()
    }

    /// The same in a note behind its output.
    pub(crate) fn note(&self) -> String {
        self.refused().iter().map(|words| format!("[the network refused: {words}]\n")).collect()
    }
}
