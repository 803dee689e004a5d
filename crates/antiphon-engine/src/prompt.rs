//! From the steps of a conversation to one model call. Pure.

use antiphon_schema::Schema;
use antiphon_wire::{CreateInteraction, Error, ImageFormat, Output, Step, ThinkingLevel, ToolSearch};

use crate::backend::{MediaKind, Message, ModelRequest, Research, Tool, WantedPicture};
use crate::media::{self, Unperceived};
use crate::seal::Seal;
use crate::store::{PastStep, ProjectId};
use crate::tell::Sources;
use crate::tool::Opened;

mod conversation;
mod functions;

use conversation::Conversation;
use functions::{Functions, functions, schema_error};

/// What is asked of a model, and what its run has to know besides.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) call: ModelRequest,
    /// What earlier results of tools told.
    pub(crate) sources: Sources,
    /// All that the user has said.
    pub(crate) said: String,
    /// Functions that the model is told of once it has searched for them.
    pub(crate) deferred: Vec<Tool>,
    /// Media whose places in the messages are still empty.
    pub(crate) unperceived: Vec<Unperceived>,
}

/// What a request is to be understood with.
pub(crate) struct Reading<'a> {
    pub(crate) project: ProjectId,
    pub(crate) seal: &'a Seal,
    /// The media that the model takes.
    pub(crate) takes: &'a [MediaKind],
    /// Whether it draws: what it has drawn then is shown to it, if it takes pictures.
    pub(crate) draws: bool,
    /// What the server has opened for the request.
    pub(crate) opened: &'a Opened,
}

/// Of the plan of a research, and of the agent that is to look further.
const QUESTIONS: usize = 4;
const MOST_QUESTIONS: usize = 8;

/// Where steps come from that were accepted before.
const EARLIER: &str = "previous_interaction_id";

/// Builds the call for a request that continues `history`.
///
/// # Errors
/// `invalid_request` naming the step or the schema when it cannot be said to a model, or
/// when calls and results do not match.
pub(crate) fn model_request(
    reading: &Reading<'_>,
    request: &CreateInteraction,
    history: History,
    seed: u64,
    max_output_tokens: u32,
) -> Result<Asked, Error> {
    let answer = request
        .answer_schema
        .as_ref()
        .map(|answer| Schema::read(answer.schema.clone()).map_err(|error| schema_error(&answer.path, &error)))
        .transpose()?;
    let mut conversation = Conversation::new(reading.project, reading.seal, reading.takes);
    conversation.shows = reading.draws && reading.takes.contains(&MediaKind::Image);
    conversation.search = request.tools.iter().find_map(|tool| match tool {
        antiphon_wire::Tool::ToolSearch(ToolSearch::Client(function)) => Some(function.name.clone()),
        _ => None,
    });
    conversation.perceived = media::perceived(
        reading.project,
        reading.seal,
        history.steps.iter().map(|past| &past.step).chain(&request.input),
    );
    for PastStep { step, trace } in history.steps {
        // What was accepted then needs no result now.
        conversation.optional = matches!(step, Step::UserInput(_));
        conversation.take(step, trace, EARLIER)?;
    }
    conversation.optional = !history.waits;
    for (at, step) in request.input.iter().enumerate() {
        conversation.take(step.clone(), None, &format!("input[{at}]"))?;
    }
    let sources = std::mem::take(&mut conversation.sources);
    let said = std::mem::take(&mut conversation.said);
    let unperceived = std::mem::take(&mut conversation.unperceived);
    media::check_count(&unperceived)?;
    let Functions { calls, tools, deferred } = functions(request, &reading.opened.tools, &conversation.loaded)?;
    let messages = conversation.end()?;
    let call = ModelRequest {
        scope: format!("project-{}", reading.project.0),
        system_instruction: instruction(reading.opened, request),
        tools,
        calls,
        answer,
        grammar: None,
        picture: wanted_picture(request),
        is_agent: request.agent.is_some(),
        research: request.research().map(|config| Research {
            questions: if request.working_agent().is_some_and(|name| name.contains("-max-")) {
                MOST_QUESTIONS
            } else {
                QUESTIONS
            },
            plans_together: config.collaborative_planning,
        }),
        // A level is a ceiling. What is below the lowest that a template knows is none.
        thinking: (request.generation_config.thinking_level == Some(ThinkingLevel::Minimal)).then_some(false),
        messages,
        generation: request.generation_config.clone(),
        max_output_tokens,
        seed,
        resume: None,
    };
    Ok(Asked { call, sources, said: said.join("\n"), deferred, unperceived })
}

/// The picture that is wanted, should the model be one that draws. What `image_config` says no format has said.
fn wanted_picture(request: &CreateInteraction) -> WantedPicture {
    let config = request.generation_config.image_config.map(ImageFormat::from);
    let format = config.or_else(|| request.output.and_then(Output::image)).unwrap_or_default();
    WantedPicture { format, words: request.output.map(Output::has_words) }
}

/// What the agent is told, then what the request says, then what files say: the nearer to the operator, the earlier.
fn instruction(opened: &Opened, request: &CreateInteraction) -> Option<String> {
    let parts = [&opened.instruction, &request.system_instruction, &request.guidance];
    let parts: Vec<_> = parts.into_iter().flatten().map(String::as_str).collect();
    (!parts.is_empty()).then(|| parts.join("\n\n"))
}

/// What a run's own steps come to.
pub(crate) struct Continued {
    pub(crate) messages: Vec<Message>,
    /// What tools told in them.
    pub(crate) sources: Sources,
    /// The names of the functions that were loaded, in their order.
    pub(crate) loaded: Vec<String>,
}

/// What the steps of a run come to so far.
///
/// # Errors
/// When they are none that can be said, which the run itself never makes.
pub(crate) fn continued(project: ProjectId, seal: &Seal, steps: &[PastStep]) -> Result<Continued, Error> {
    let mut conversation = Conversation::new(project, seal, &[]);
    for PastStep { step, trace } in steps {
        conversation.take(step.clone(), trace.clone(), "steps")?;
    }
    conversation.end_turn();
    let Conversation { messages, sources, loaded, .. } = conversation;
    Ok(Continued { messages, sources, loaded: loaded.into_iter().map(|function| function.name).collect() })
}

/// The conversation that a request continues.
#[derive(Debug, Default)]
pub(crate) struct History {
    pub(crate) steps: Vec<PastStep>,
    /// Whether its last interaction waits for the results of its calls. One that ended
    /// otherwise, cut or failed, may have calls that nobody will answer.
    pub(crate) waits: bool,
}

/// An id or a name as an error may repeat it.
fn shorten(text: &str) -> &str {
    match text.char_indices().nth(64) {
        None => text,
        Some((end, _)) => &text[..end],
    }
}

#[cfg(test)]
mod tests;
