//! Where interactions, their events and their runs are kept.
//!
//! One trait, one contract suite (`antiphon-testkit::store_contract`) that every
//! implementation passes. Every method is one transaction and every read of an
//! interaction takes the project that asks: ids of another project are not found.

use antiphon_wire::{CreateInteraction, InteractionEvent, InteractionId, Status, Step, Usage};
use async_trait::async_trait;
use jiff::Timestamp;

/// Who owns an interaction. Nothing of one project is visible to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ProjectId(pub i64);

/// Proof that a run is still this process's: every append checks it, so that a process
/// that lost its lease cannot write.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fence(pub i64);

/// The tokens that stand behind generated text, and the model whose vocabulary they
/// are from. Never on the wire.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trace {
    /// Identifies weights and vocabulary; tokens of another model mean nothing.
    pub fingerprint: String,
    pub tokens: Vec<u32>,
}

/// One numbered event of an interaction's log. `seq` is dense from 1.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    pub seq: u64,
    pub body: InteractionEvent,
    /// The model's tokens that this event adds, in the order they were generated.
    pub trace: Option<Trace>,
}

/// An interaction that is being accepted.
#[derive(Clone, Debug)]
pub struct NewInteraction {
    pub project: ProjectId,
    pub id: InteractionId,
    /// As it was understood; `request.input` holds the input steps.
    pub request: CreateInteraction,
    /// The seed of the run, so that a run taken up again draws as it would have.
    pub seed: u64,
    pub created: Timestamp,
    pub expires: Timestamp,
    /// The first events, numbered from 1.
    pub events: Vec<Event>,
    /// Who runs it, and until when unless renewed.
    pub owner: String,
    pub lease_until: Timestamp,
}

/// What a run adds to its log, in one transaction.
#[derive(Clone, Debug, Default)]
pub struct Append {
    /// Numbered on from the last one in the log.
    pub events: Vec<Event>,
    /// Generated steps that ended in these events, with their index.
    pub closed: Vec<ClosedStep>,
    /// The end of the run; nothing can be appended after it.
    pub outcome: Option<Outcome>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct ClosedStep {
    pub index: usize,
    pub step: Step,
    /// The tokens behind the step, when the model's next turn can reuse them exactly.
    pub trace: Option<Trace>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    pub status: Status,
    pub usage: Option<Usage>,
    pub at: Timestamp,
}

/// An interaction as it is kept.
#[derive(Clone, Debug, PartialEq)]
pub struct Stored {
    pub id: InteractionId,
    pub status: Status,
    pub request: CreateInteraction,
    pub seed: u64,
    pub created: Timestamp,
    pub expires: Timestamp,
}

/// A step of an earlier turn, in the order of the conversation.
#[derive(Clone, Debug, PartialEq)]
pub struct PastStep {
    pub step: Step,
    pub trace: Option<Trace>,
}

/// A run that a dead process left behind, now owned by the one that claimed it.
#[derive(Clone, Debug)]
pub struct Claim {
    pub project: ProjectId,
    pub stored: Stored,
    pub fence: Fence,
    /// How often the run was claimed, this one included.
    pub attempt: u32,
    /// The whole log so far.
    pub events: Vec<Event>,
}

/// A key of the API as it is kept: the secret only as a keyed hash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyRecord {
    /// The public part, shown in lists.
    pub id: String,
    pub project: ProjectId,
    pub project_name: String,
    pub name: String,
    /// HMAC-SHA-256 of the secret part.
    pub hash: [u8; 32],
    pub created: Timestamp,
    pub revoked: Option<Timestamp>,
}

#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("not found")]
    NotFound,
    /// The fence is old, the numbers do not follow, or the run has ended: somebody else
    /// writes here.
    #[error("conflict: {0}")]
    Conflict(String),
    /// The disk is full, the file cannot be written, the server cannot be reached.
    #[error("the store is unavailable: {0}")]
    Unavailable(String),
    #[error("the store is damaged: {0}")]
    Corrupt(String),
}

#[async_trait]
pub trait Store: Send + Sync {
    /// Keeps a new interaction, its input, its run and its first events. When it
    /// returns the interaction is durable.
    ///
    /// # Errors
    /// `NotFound` when `previous_interaction_id` is no longer there.
    async fn accept(&self, new: NewInteraction) -> Result<Fence, StoreError>;

    /// Adds to the log of a run. When it returns the events are durable.
    ///
    /// # Errors
    /// `Conflict` when the fence is not the run's, the numbers do not follow the log, or
    /// the run has ended.
    async fn append(&self, id: &InteractionId, fence: Fence, append: Append) -> Result<(), StoreError>;

    /// # Errors
    /// `NotFound` for ids of other projects and deleted ones. What has expired is there
    /// until it is swept.
    async fn interaction(&self, project: ProjectId, id: &InteractionId) -> Result<Stored, StoreError>;

    /// The whole log of an interaction, in order.
    async fn events(&self, project: ProjectId, id: &InteractionId) -> Result<Vec<Event>, StoreError>;

    /// The steps of the whole conversation up to and including `last`, oldest first:
    /// for each interaction its input and then its generated, closed steps.
    ///
    /// # Errors
    /// `NotFound` when any interaction of the chain was deleted or is another project's.
    async fn history(&self, project: ProjectId, last: &InteractionId) -> Result<Vec<PastStep>, StoreError>;

    /// Removes an interaction's bytes and leaves a tombstone, so that chains across it
    /// are not found. Deleting again is `NotFound`.
    async fn delete(&self, project: ProjectId, id: &InteractionId) -> Result<(), StoreError>;

    /// Takes over every run that has not ended, whoever owned it; for the start of the
    /// only server on this store. Fences grow.
    async fn claim_all(&self, owner: &str, lease_until: Timestamp) -> Result<Vec<Claim>, StoreError>;

    /// Keeps all of this owner's leases alive.
    async fn renew(&self, owner: &str, lease_until: Timestamp) -> Result<(), StoreError>;

    /// Deletes up to `most` ended interactions that have expired; returns how many.
    async fn sweep(&self, now: Timestamp, most: usize) -> Result<usize, StoreError>;

    /// Whether a write would succeed now.
    async fn check(&self) -> Result<(), StoreError>;

    /// The project of this name, made when it is new.
    async fn project(&self, name: &str) -> Result<ProjectId, StoreError>;

    async fn add_key(&self, key: KeyRecord) -> Result<(), StoreError>;

    async fn key(&self, id: &str) -> Result<KeyRecord, StoreError>;

    /// All keys, oldest first.
    async fn keys(&self) -> Result<Vec<KeyRecord>, StoreError>;

    /// # Errors
    /// `NotFound` for an unknown key; revoking again changes nothing.
    async fn revoke_key(&self, id: &str, at: Timestamp) -> Result<(), StoreError>;
}
