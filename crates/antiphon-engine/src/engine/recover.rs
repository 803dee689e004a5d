//! What goes on without a request: runs that an earlier process left, leases, and the
//! end of what has expired.

use std::sync::Arc;
use std::time::Duration;

use antiphon_wire::{Code, CreateInteraction, Error, Failure};
use tracing::{error, info, warn};

use super::{Engine, Inner, LEASE, Live};
use crate::journal::Journal;
use crate::prompt::History;
use crate::resumption::Resumption;
use crate::run::Call;
use crate::store::{Claim, ProjectId, StoreError};
use crate::tool::Opened;

/// Leases are renewed three times before they can be lost.
const RENEW_EVERY: Duration = Duration::from_secs(10);
const SWEEP_EVERY: Duration = Duration::from_secs(600);
const SWEEP_BATCH: usize = 500;

/// A run that was taken up this often, each time by a process that then died, is ended:
/// it may be what they died of.
const MOST_ATTEMPTS: u32 = 4;

/// How long to wait before the tools of a run are opened again.
const OPEN_AGAIN: [Duration; 5] = [
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(4),
    Duration::from_secs(8),
    Duration::from_secs(16),
];

impl Engine {
    /// Takes up every run that an earlier process left, and starts the housekeeping. To
    /// be called once, before the first request.
    ///
    /// # Errors
    /// When the store cannot be read or written.
    pub async fn recover(&self) -> Result<(), StoreError> {
        let inner = &self.inner;
        for claim in inner.store.claim_all(&inner.owner, inner.ambient.now() + LEASE).await? {
            info!(interaction.id = %claim.stored.id, attempt = claim.attempt, "Taking up a run");
            // It can be found at once; its model may take its time to load.
            let sink = Some((Arc::clone(&inner.store), claim.fence));
            let journal = Arc::new(Journal::open(claim.stored.id.clone(), claim.events.clone(), sink));
            let live = inner.enter(claim.project, journal, claim.stored.request.clone());
            inner.tasks.spawn(Arc::clone(inner).take_up(claim, live));
        }
        inner.tasks.spawn(Arc::clone(inner).keep_leases());
        inner.tasks.spawn(Arc::clone(inner).sweep());
        Ok(())
    }
}

impl Inner {
    /// Brings a claimed run to its end.
    async fn take_up(self: Arc<Self>, claim: Claim, live: Live) {
        let call = tokio::select! {
            call = self.call_again(&claim) => call,
            // Cancelled or stopped while the model loads: the run itself sees to it.
            () = live.cancel.cancelled() => Err(aborted("The interaction was cancelled")),
            () = self.closing.cancelled() => return,
        };
        self.run(live, call).await;
    }

    /// The call of a run that was cut, so that it goes on where its log ends.
    async fn call_again(self: &Arc<Self>, claim: &Claim) -> Result<Call, Failure> {
        if claim.attempt >= MOST_ATTEMPTS {
            return Err(aborted("The server stopped each time it worked on this interaction"));
        }
        let request = &claim.stored.request;
        let served = self.served(request).map_err(|error| error.failure())?;
        let history = match &request.previous_interaction_id {
            None => History::default(),
            Some(previous) => self.history(claim.project, previous).await.map_err(|failed| match failed {
                StoreError::NotFound => aborted("The conversation that this interaction continues was deleted"),
                StoreError::Conflict(_) | StoreError::Unavailable(_) | StoreError::Corrupt(_) => {
                    error!(error = %failed, "The store failed");
                    Error::internal().failure()
                }
            })?,
        };
        let opened = self.open_tools(claim.project, request).await.map_err(|error| error.failure())?;
        let (_, asked) = self
            .model_request(claim.project, request.clone(), history, claim.stored.seed, &served, &opened)
            .await
            .map_err(|error| error.failure())?;
        let resumption = Resumption::of(&claim.events, &opened.tools);
        if !resumption.turn.is_empty() && !served.backend.resumes() {
            return Err(aborted("The server restarted while this interaction ran, and its model cannot go on"));
        }
        let (tier, background) = (request.service_tier, request.background);
        let ticket = served.admission.rejoin(tier, background);
        let limits = self.run_limits(request, &served);
        Ok(Call {
            served,
            asked,
            tools: opened.tools,
            limits,
            prepared: None,
            ticket,
            tier,
            background,
            resumption,
            begun: None,
        })
    }

    /// Opens the tools of a run. A server of theirs may start with this one and take longer.
    async fn open_tools(&self, project: ProjectId, request: &CreateInteraction) -> Result<Opened, Error> {
        for pause in OPEN_AGAIN {
            match self.tools.open(project, request).await {
                Err(error) if error.code == Code::FailedPrecondition => {
                    warn!(%error, "The tools of a run cannot be opened; trying again");
                    self.rest(pause).await;
                }
                opened => return opened,
            }
        }
        self.tools.open(project, request).await
    }

    async fn keep_leases(self: Arc<Self>) {
        while !self.rest(RENEW_EVERY).await {
            if let Err(failed) = self.store.renew(&self.owner, self.ambient.now() + LEASE).await {
                error!(error = %failed, "Leases could not be renewed");
            }
        }
    }

    async fn sweep(self: Arc<Self>) {
        loop {
            match self.store.sweep(self.ambient.now(), SWEEP_BATCH).await {
                Ok(0) => {}
                Ok(count) => info!(count, "Deleted expired interactions"),
                Err(failed) => error!(error = %failed, "Expired interactions could not be deleted"),
            }
            if self.rest(SWEEP_EVERY).await {
                return;
            }
        }
    }

    /// Waits; true when the server closes meanwhile.
    async fn rest(&self, time: Duration) -> bool {
        tokio::time::timeout(time, self.closing.cancelled()).await.is_ok()
    }
}

fn aborted(message: &str) -> Failure {
    Failure { code: "aborted".to_owned(), message: message.to_owned() }
}
