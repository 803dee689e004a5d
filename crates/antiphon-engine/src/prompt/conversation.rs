//! From the steps of a conversation to the messages of a model, with what the steps have told on the way.

use std::collections::{HashMap, HashSet};

use antiphon_wire::{
    Content, Error, Function, FunctionCallStep, FunctionResult, MOST_DECLARED, MediaContent, ServerCallStep,
    ServerTool, Step,
};
use serde_json::Value;

use super::functions::Loaded;
use super::{EARLIER, shorten};
use crate::backend::{Call, CallResult, DRAWN, Media, MediaKind, Message, ModelTurn, Part, Said, Thought};
use crate::media::{self, PERCEIVED, Unperceived};
use crate::seal::Seal;
use crate::store::{ProjectId, Trace};
use crate::tell::Sources;
use crate::tool::function_name;

/// The messages so far, and the calls in them.
pub(super) struct Conversation<'a> {
    project: ProjectId,
    seal: &'a Seal,
    takes: &'a [MediaKind],
    pub(super) messages: Vec<Message>,
    /// What the model said since somebody else did.
    turn: Option<ModelTurn>,
    /// What led to the step that comes.
    thoughts: Vec<Thought>,
    /// The name of the function of each call.
    calls: HashMap<String, String>,
    /// Calls without a result, in their order.
    waiting: Vec<String>,
    /// Those of them that the server was to carry out: nobody else can give their results.
    of_server: HashSet<String>,
    /// Whether these may stay without: then they are left out.
    pub(super) optional: bool,
    /// Whether the model is shown the pictures that it answered with.
    pub(super) shows: bool,
    /// What the results of tools have told.
    pub(super) sources: Sources,
    /// The function of the client that searches for others.
    pub(super) search: Option<String>,
    /// The functions that were searched for and found, each once, in their order.
    pub(super) loaded: Vec<Loaded>,
    /// Where each of them is.
    places: HashMap<String, usize>,
    /// What users have said in words of their own.
    pub(super) said: Vec<String>,
    /// What models were told of media, by their keys.
    pub(super) perceived: HashMap<String, String>,
    pub(super) unperceived: Vec<Unperceived>,
    /// How many media there are so far.
    media: usize,
}

impl<'a> Conversation<'a> {
    pub(super) fn new(project: ProjectId, seal: &'a Seal, takes: &'a [MediaKind]) -> Self {
        Self {
            project,
            seal,
            takes,
            messages: Vec::new(),
            turn: None,
            thoughts: Vec::new(),
            calls: HashMap::new(),
            waiting: Vec::new(),
            of_server: HashSet::new(),
            optional: false,
            shows: false,
            sources: Sources::default(),
            search: None,
            loaded: Vec::new(),
            places: HashMap::new(),
            said: Vec::new(),
            perceived: HashMap::new(),
            unperceived: Vec::new(),
            media: 0,
        }
    }

    /// Takes note of functions that were found; the latest definition of one holds.
    fn load(&mut self, found: impl Iterator<Item = Loaded>, path: &str) -> Result<(), Error> {
        for function in found {
            if let Some(at) = self.places.get(&function.name) {
                self.loaded[*at] = function;
                continue;
            }
            if self.loaded.len() == MOST_DECLARED {
                let message = format!("expected at most {MOST_DECLARED} functions to be found in a conversation");
                return Err(Error::invalid(path, message));
            }
            self.places.insert(function.name.clone(), self.loaded.len());
            self.loaded.push(function);
        }
        Ok(())
    }

    pub(super) fn take(&mut self, step: Step, trace: Option<Trace>, path: &str) -> Result<(), Error> {
        match step {
            Step::UserInput(step) => {
                self.check_answered(path)?;
                self.end_turn();
                // A thought without an answer led nowhere.
                self.thoughts.clear();
                let parts = self.parts(step.content, path)?;
                self.messages.push(Message::User(parts));
            }
            Step::ModelOutput(step) => {
                let pictures = if self.shows { pictures(&step.content, path)? } else { Vec::new() };
                if step.content.iter().any(|part| part.as_text().is_some()) {
                    self.say(Said::Text(said_text(&step.content)?), trace);
                } else if pictures.is_empty()
                    && let Some(source) = self.thoughts.last_mut().and_then(drawn)
                {
                    // What the model has drawn is what it has written; pictures that its tools made are
                    // no words of its.
                    self.thoughts.pop();
                    self.say(Said::Text(source), None);
                }
                for picture in pictures {
                    self.say(Said::Picture(picture), None);
                }
            }
            Step::FunctionCall(FunctionCallStep { id, name, arguments, .. }) => {
                self.call(Call { id, name, arguments }, trace, path)?;
            }
            Step::ServerCall(ServerCallStep { tool, id, name, server_name, arguments, .. }) => {
                let name = function_name(tool, name.as_deref(), server_name.as_deref());
                self.of_server.insert(id.clone());
                self.call(Call { id, name, arguments }, trace, path)?;
            }
            Step::ServerResult(step) => {
                let name = self.answered(&step.call_id, None, path)?;
                self.end_turn();
                if step.tool == ServerTool::ToolSearch {
                    self.load(found_names(&step.result), path)?;
                }
                let told = step.signature.as_ref().and_then(|signature| self.seal.open_told(self.project, signature));
                let text = match told {
                    Some(told) => {
                        self.sources.add(&told);
                        told.told
                    }
                    None => shown_result(&step.result),
                };
                let is_error = step.is_error == Some(true);
                self.messages.push(Message::Result(CallResult { text, call_id: step.call_id, name, is_error }));
            }
            Step::FunctionResult(step) => {
                let name = self.answered(&step.call_id, step.name.as_deref(), path)?;
                self.end_turn();
                let found = result_functions(&step.result);
                if self.search.as_ref() == Some(&name) {
                    let found = found.into_iter();
                    self.load(
                        found.map(|function| Loaded { name: function.name.clone(), given: Some(function) }),
                        path,
                    )?;
                } else if !found.is_empty() && path != EARLIER {
                    let message = "functions are found by the function of a `tool_search` alone";
                    return Err(Error::invalid(&format!("{path}.result"), message));
                }
                self.messages.push(Message::Result(CallResult {
                    text: result_text(&step.result)?,
                    call_id: step.call_id,
                    name,
                    is_error: step.is_error == Some(true),
                }));
            }
            Step::Thought(thought) => {
                let signature = thought.signature.filter(|signature| !signature.is_empty());
                let thought = signature.map(|signature| self.seal.open(self.project, &signature));
                // What a program has read is no thought of the model's.
                self.thoughts.extend(thought.filter(|thought| !is_perceived(thought)));
            }
            // What they say is told where the medium stands.
            Step::ProcessingCall(_) | Step::ProcessingResult(_) => {}
            Step::Other(_) => return Err(unsayable()),
        }
        Ok(())
    }

    fn call(&mut self, call: Call, trace: Option<Trace>, path: &str) -> Result<(), Error> {
        if self.calls.insert(call.id.clone(), call.name.clone()).is_some() {
            let message = format!("another call of this conversation is `{}`", shorten(&call.id));
            return Err(Error::invalid(&format!("{path}.id"), message));
        }
        if self.optional {
            self.drop_unanswered();
            self.optional = false;
        }
        self.waiting.push(call.id.clone());
        self.say(Said::Call(call), trace);
        Ok(())
    }

    /// What a user said. `path` is that of the step.
    fn parts(&mut self, content: Vec<Content>, path: &str) -> Result<Vec<Part>, Error> {
        let mut parts = Vec::new();
        for (at, content) in content.into_iter().enumerate() {
            let (kind, medium) = match content {
                Content::Text(part) => {
                    self.said.push(part.text.clone());
                    parts.push(Part::Text(part.text));
                    continue;
                }
                Content::Function(_) | Content::Other(_) => return Err(unsayable()),
                medium => media::of(medium).ok_or_else(unsayable)?,
            };
            let block = || format!("{path}.content[{at}]");
            if medium.data.is_empty() {
                return Err(Error::invalid(&format!("{}.uri", block()), "what stands there was never fetched"));
            }
            self.media += 1;
            if self.takes.contains(&kind) {
                let MediaContent { data, mime_type, options, uri: _ } = medium;
                parts.push(Part::Media(Media { kind, mime_type, data, options: Box::new(options) }));
                continue;
            }
            let medium = media::medium(self.project, kind, medium);
            let key = medium.key();
            if let Some(told) = self.perceived.get(&key) {
                parts.push(Part::Text(told.clone()));
                continue;
            }
            self.unperceived.push(Unperceived {
                message: self.messages.len(),
                part: parts.len(),
                block: block(),
                is_earlier: path == EARLIER,
                number: self.media,
                key,
                medium,
            });
            parts.push(Part::Text(String::new()));
        }
        Ok(parts)
    }

    /// Adds to the turn of the model. The last step's trace is of all of it.
    fn say(&mut self, said: Said, trace: Option<Trace>) {
        let turn = self.turn.get_or_insert_default();
        turn.said.extend(self.thoughts.drain(..).map(Said::Thought));
        turn.said.push(said);
        turn.trace = trace;
    }

    pub(super) fn end_turn(&mut self) {
        self.messages.extend(self.turn.take().map(Message::Model));
    }

    /// Takes note of a result and gives the name of its function.
    fn answered(&mut self, id: &str, name: Option<&str>, path: &str) -> Result<String, Error> {
        let Some(called) = self.calls.get(id) else {
            let message = format!("no function call of this conversation is `{}`", shorten(id));
            return Err(Error::invalid(&format!("{path}.call_id"), message));
        };
        let Some(place) = self.waiting.iter().position(|waiting| waiting == id) else {
            let message = format!("the function call `{}` has its result already", shorten(id));
            return Err(Error::invalid(&format!("{path}.call_id"), message));
        };
        if let Some(name) = name.filter(|name| *name != called) {
            let message = format!("the call is of `{called}`, got `{}`", shorten(name));
            return Err(Error::invalid(&format!("{path}.name"), message));
        }
        self.waiting.remove(place);
        Ok(called.clone())
    }

    /// Leaves out the calls that have no result, as if the model had not made them.
    fn drop_unanswered(&mut self) {
        let waiting = std::mem::take(&mut self.waiting);
        self.drop_calls(waiting);
    }

    fn drop_calls(&mut self, ids: Vec<String>) {
        for id in ids {
            self.calls.remove(&id);
            let open = self.turn.as_mut();
            let said = self.messages.iter_mut().rev().filter_map(|message| match message {
                Message::Model(turn) => Some(turn),
                Message::User(_) | Message::Result(_) => None,
            });
            if let Some(turn) = open.into_iter().chain(said).find(|turn| turn.calls().any(|call| call.id == id)) {
                turn.said.retain(|said| !matches!(said, Said::Call(call) if call.id == id));
                turn.trace = None;
            }
        }
    }

    /// # Errors
    /// When the conversation goes on though calls still wait for their results.
    fn check_answered(&mut self, path: &str) -> Result<(), Error> {
        if self.optional {
            self.drop_unanswered();
        }
        let waiting = std::mem::take(&mut self.waiting);
        let (of_server, waiting) = waiting.into_iter().partition(|id| self.of_server.contains(id));
        self.waiting = waiting;
        self.drop_calls(of_server);
        if self.waiting.is_empty() {
            return Ok(());
        }
        let waiting: Vec<_> = self.waiting.iter().map(|id| format!("`{}`", shorten(id))).collect();
        let message = format!("expected a `function_result` for each call, none came for {}", waiting.join(", "));
        Err(Error::invalid(path, message))
    }

    pub(super) fn end(mut self) -> Result<Vec<Message>, Error> {
        self.check_answered("input")?;
        self.end_turn();
        Ok(self.messages)
    }
}

/// What a thought says that a picture was made of.
fn drawn(thought: &mut Thought) -> Option<String> {
    let signature = thought.signature.take_if(|signature| signature.origin.as_deref() == Some(DRAWN))?;
    Some(signature.value)
}

/// The pictures of an answer.
fn pictures(content: &[Content], path: &str) -> Result<Vec<Media>, Error> {
    let images = content.iter().filter_map(|part| match part {
        Content::Image(image) => Some(image),
        _ => None,
    });
    let media = |MediaContent { data, mime_type, uri, .. }: &MediaContent| match uri {
        None => Ok(Media::new(MediaKind::Image, mime_type.clone(), data.clone())),
        Some(_) => Err(Error::invalid(
            path,
            "an earlier picture was delivered as a file, which this model is not given; send it as input",
        )),
    };
    images.map(media).collect()
}

fn is_perceived(thought: &Thought) -> bool {
    thought.signature.as_ref().is_some_and(|signature| signature.origin.as_deref() == Some(PERCEIVED))
}

/// What the model said, where pictures that its tools made may stand between.
fn said_text(content: &[Content]) -> Result<String, Error> {
    let said = |part: &Content| match part {
        Content::Text(part) => Ok(part.text.clone()),
        Content::Image(_) => Ok(String::new()),
        Content::Audio(_) | Content::Video(_) | Content::Document(_) | Content::Function(_) | Content::Other(_) => {
            Err(unsayable())
        }
    };
    content.iter().map(said).collect()
}

/// The result of a tool as far as its step shows it.
fn shown_result(result: &Value) -> String {
    match result {
        Value::String(text) => text.clone(),
        Value::Null => NOT_KNOWN.to_owned(),
        Value::Array(items) if items.iter().all(|item| item.get("search_suggestions").is_some()) => {
            NOT_KNOWN.to_owned()
        }
        other => other.to_string(),
    }
}

/// In place of a result that came back without what this server had sealed.
const NOT_KNOWN: &str = "What this found is not known any more.";

/// A result in words: objects as JSON (spec 05, "Functions").
fn result_text(result: &FunctionResult) -> Result<String, Error> {
    match result {
        FunctionResult::Text(text) => Ok(text.clone()),
        FunctionResult::Parts(parts) => {
            let said = |part: &Content| match part {
                Content::Text(part) => Ok(part.text.clone()),
                Content::Function(function) => Ok(format!("Found: `{}`.", function.name)),
                _ => Err(unsayable()),
            };
            parts.iter().map(said).collect::<Result<Vec<_>, _>>().map(|said| said.join("\n"))
        }
        FunctionResult::Object(object) => Ok(Value::Object(object.clone()).to_string()),
    }
}

/// The functions in the result of one of the client's.
fn result_functions(result: &FunctionResult) -> Vec<Function> {
    let FunctionResult::Parts(parts) = result else { return Vec::new() };
    let functions = parts.iter().filter_map(|part| match part {
        Content::Function(function) => Some(function.clone()),
        _ => None,
    });
    functions.collect()
}

/// The functions of a search's result: only names, since a replayed result is no declaration.
fn found_names(result: &Value) -> impl Iterator<Item = Loaded> {
    let found = result.as_array().into_iter().flatten();
    let names = found.filter_map(|function| function.get("name")?.as_str());
    names.map(|name| Loaded { name: name.to_owned(), given: None })
}

/// Requests with such parts were refused when they came; only a conversation stored by
/// a newer server can hold them.
fn unsayable() -> Error {
    Error::invalid("previous_interaction_id", "the conversation holds parts that this server does not support")
}
