//! One interaction, seen from outside: every view of its log.

use std::sync::Arc;

use antiphon_wire::{CreateInteraction, Interaction, InteractionId, Status, Step};
use futures_core::Stream;
use tokio_util::sync::DropGuard;

use crate::journal::{Followed, Journal};

/// Views of an interaction. Dropping the handle of an interaction that is not stored
/// cancels its run, since nobody could ever see its end.
#[derive(Debug)]
pub struct Handle {
    pub(crate) journal: Arc<Journal>,
    pub(crate) request: Arc<CreateInteraction>,
    pub(crate) _cancel_when_dropped: Option<DropGuard>,
}

impl Handle {
    pub fn id(&self) -> &InteractionId {
        self.journal.id()
    }

    /// The events after number `after`, then live ones, until the log is closed.
    pub fn follow(&self, after: u64) -> impl Stream<Item = Followed> + Send + 'static {
        Arc::clone(&self.journal).follow(after)
    }

    /// The number of the last event so far.
    pub fn last_seq(&self) -> u64 {
        self.journal.last_seq()
    }

    /// Waits for the end and gives the answer of a plain create: the fold of the log,
    /// with the generated steps alone. When the log cannot be written any more the
    /// answer is `failed`, which the log will say as soon as it can.
    pub async fn finished(&self) -> Interaction {
        let closed = self.journal.closed().await;
        let mut interaction = self.journal.snapshot();
        if let Err(failure) = closed {
            interaction.status = Status::Failed;
            interaction.error = Some(failure.clone());
            interaction.errors = vec![failure];
        }
        interaction.steps.get_or_insert_default();
        interaction
    }

    /// What a background create answers at once: no steps, no usage.
    pub fn accepted(&self) -> Interaction {
        let mut interaction = self.journal.snapshot();
        interaction.steps = None;
        interaction
    }

    /// What GET answers: the interaction's own input steps first, then what has been
    /// generated so far; request fields are shown again.
    pub fn timeline(&self, include_input: bool) -> Interaction {
        let mut interaction = self.journal.snapshot();
        let generated = interaction.steps.take().unwrap_or_default();
        let steps: Vec<Step> = self.request.input.iter().map(Step::shown).chain(generated).collect();
        interaction.steps = Some(steps);
        interaction.system_instruction.clone_from(&self.request.system_instruction);
        interaction.tools = self.request.tools.iter().map(antiphon_wire::Tool::shown).collect();
        interaction.response_format.clone_from(&self.request.response_format);
        let generation = serde_json::to_value(&self.request.generation_config).unwrap_or_default();
        interaction.generation_config = Some(generation).filter(|value| value != &serde_json::json!({}));
        if include_input {
            interaction.input = Some(self.request.input.iter().map(Step::shown).collect());
        }
        interaction
    }
}
