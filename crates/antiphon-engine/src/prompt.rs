//! From the steps of a conversation to one model call. Pure.

use antiphon_wire::{Content, CreateInteraction, Error, MessageStep, Step};

use crate::backend::{Message, ModelRequest, Role};
use crate::seal::Seal;
use crate::store::{PastStep, ProjectId, Trace};

/// Builds the call for a request that continues `history`.
///
/// # Errors
/// `invalid_request` naming the step when one cannot be said to a model.
pub(crate) fn model_request(
    project: ProjectId,
    request: &CreateInteraction,
    history: Vec<PastStep>,
    seed: u64,
    max_output_tokens: u32,
    seal: &Seal,
) -> Result<ModelRequest, Error> {
    let past = history.into_iter().map(|past| (past.step, past.trace));
    let now = request.input.iter().cloned().map(|step| (step, None));
    Ok(ModelRequest {
        scope: format!("project-{}", project.0),
        system_instruction: request.system_instruction.clone(),
        messages: messages(project, past.chain(now), seal)?,
        generation: request.generation_config.clone(),
        max_output_tokens,
        seed,
        resume: None,
    })
}

fn messages(
    project: ProjectId,
    steps: impl Iterator<Item = (Step, Option<Trace>)>,
    seal: &Seal,
) -> Result<Vec<Message>, Error> {
    let mut messages = Vec::new();
    let mut reasoning = None;
    for (step, trace) in steps {
        match step {
            Step::UserInput(step) => {
                messages.push(Message { role: Role::User, text: text_of(&step, "\n")?, trace: None, reasoning: None });
            }
            Step::ModelOutput(step) => messages.push(Message {
                role: Role::Model,
                text: text_of(&step, "")?,
                trace,
                reasoning: reasoning.take(),
            }),
            Step::Thought(thought) => {
                reasoning = thought.signature.and_then(|signature| seal.open(project, &signature));
            }
            Step::Other(_) => return Err(unsayable()),
        }
    }
    Ok(messages)
}

fn text_of(step: &MessageStep, separator: &str) -> Result<String, Error> {
    let parts: Result<Vec<_>, _> = step
        .content
        .iter()
        .map(|content| match content {
            Content::Text(part) => Ok(part.text.as_str()),
            Content::Other(_) => Err(unsayable()),
        })
        .collect();
    Ok(parts?.join(separator))
}

/// Requests with such parts were refused when they came; only a conversation stored by
/// a newer server can hold them.
fn unsayable() -> Error {
    Error::invalid("previous_interaction_id", "the conversation holds parts that this server does not support")
}
