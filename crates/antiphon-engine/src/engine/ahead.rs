//! For interactions that begin later: an id before there is an interaction, and whether there
//! could be one.

use antiphon_wire::{CreateInteraction, Error, InteractionId};

use super::{Caller, Engine, previous_not_found};

impl Engine {
    /// A new id, for [`Engine::create_as`].
    pub fn mint_id(&self) -> InteractionId {
        self.inner.new_id()
    }

    /// Whether an interaction could be accepted, as far as that can be told without changing
    /// anything: its environment is not looked at, and neither is how long it is.
    ///
    /// # Errors
    /// What [`Engine::create`] would answer.
    pub async fn check(&self, caller: Caller, request: &CreateInteraction) -> Result<(), Error> {
        let request = self.inner.tools.complete(caller.project, request.clone()).await?;
        self.inner.served(&request)?;
        if let Some(previous) = &request.previous_interaction_id {
            self.get(caller, previous).await.map_err(|_| previous_not_found(Some(previous)))?;
        }
        let elsewhere = CreateInteraction { environment: None, ..request };
        self.inner.tools.open(caller.project, &elsewhere).await.map(|_| ())
    }
}
