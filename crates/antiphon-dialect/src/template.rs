//! A model's chat template, and the two laws of what it renders.
//!
//! *Data never becomes control.* The template is rendered over sentinels that stand for
//! the content of each message and the declaration of each tool; what it wrote around
//! them is control, and the content takes the sentinels' places as data. Hostile content
//! therefore meets no template code, and a template that trims or tests content does so
//! to a sentinel, in vain.
//!
//! *The prompt of a turn and its answer are a prefix of the next prompt.* A template may
//! write something else before an old answer than the generation prompt it wrote when
//! that answer was made (`<think>` opened then and left out later, for instance). This
//! difference, the [`Seam`], is found when the template is compiled, and an answer that
//! is given back as tokens gets the generation prompt that it had. A template whose
//! words depend on what follows them (one that prints the number of messages, say)
//! breaks the law; that costs a prefill, and nothing else. A caller that cuts the
//! reasoning out of earlier answers gives it up in the same way.
//!
//! Tools, results and the system instruction go where the template puts them if it keeps
//! both laws with them, which is tried when it is compiled. Otherwise they are told in
//! words of our own, in the system turn and in turns of the user. Calls that the model
//! made earlier are always written by us: the template would need their arguments.

use jiff::civil::{Date, date};

use crate::conversation::{Conversation, Segment};
use crate::format::CallFormat;
use crate::grammar::{self, Answer, Callable, Calls, Constraint};
use crate::jinja::{Jinja, JinjaContext, JinjaMessage, json_text};
use crate::output::OutputParser;
use crate::reasoning::Reasoning;
use crate::sentinel::{self, Piece, Slot};
use turns::{Turn, declaration, result_text};

mod turns;

/// Stands between two messages that become one turn.
const PARAGRAPH: &str = "\n\n";

/// Why a conversation could not be written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// The source is no template, or is past the bounds on one.
    #[error("the chat template does not compile: {0}")]
    Source(String),
    /// The template raised an error, or ran past the bounds on time and output.
    #[error("the chat template failed: {0}")]
    Rendering(String),
    /// The template left out the content of a turn.
    #[error("the chat template dropped the content of turn {turn} (`{role}`)")]
    Dropped { turn: usize, role: &'static str },
    /// The template wrote the content of a turn more than once.
    #[error("the chat template wrote the content of turn {turn} (`{role}`) more than once")]
    Doubled { turn: usize, role: &'static str },
    /// The template wrote the turns in another order.
    #[error("the chat template moved the content of turn {turn} (`{role}`)")]
    Moved { turn: usize, role: &'static str },
    /// The template wrote something that is no longer the content it was given.
    #[error("the chat template altered the content of a turn, after {intact} pieces that it left intact")]
    Altered { intact: usize },
    /// The template did not write each tool once and in order.
    #[error("the chat template did not write each of {tools} tools once and in order")]
    Tools { tools: usize },
    /// `messages` has nothing to answer.
    #[error("`messages` holds no user message; expected at least one")]
    NoUserMessage,
    /// `today` is no date.
    #[error("`today` is `{0}`; expected a date such as `2026-01-31`")]
    Today(String),
}

/// A model's chat template, compiled, tried and ready to render.
#[derive(Debug)]
pub struct ChatTemplate {
    jinja: Jinja,
    reasoning: Reasoning,
    /// Whether the template speaks of reasoning.
    thinks: bool,
    format: &'static CallFormat,
    system: SystemRole,
    /// What the template says to the model when it is given no system instruction.
    default_system: Option<String>,
    tools: Place,
    results: Place,
    seam: Seam,
    /// The same, when the template was asked not to think.
    seam_without_thinking: Seam,
}

/// Where the system instruction goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum SystemRole {
    /// The template has a place for it, ahead of the first message.
    Native,
    /// The template refuses it, drops it, or lets it wander with the last message: it
    /// becomes the first paragraph of the first user message.
    Folded,
}

/// Where declarations of tools, or their results, go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// Where the template puts them.
    Native,
    /// Into the system turn, or a turn of the user, in our words.
    Told,
}

/// What a template writes between its header of a model turn and the content of it.
#[derive(Debug, Default)]
struct Seam {
    /// Before an answer of an earlier turn.
    history: String,
    /// At the end of the generation prompt.
    generation: String,
}

/// What the template is tried and asked with.
#[derive(Clone, Copy)]
struct Scene {
    tools: usize,
    thinking: Option<bool>,
    today: Date,
}

impl ChatTemplate {
    /// Compiles the template of a model, with the texts of its first and last token,
    /// and tries it on a short conversation.
    ///
    /// # Errors
    /// [`TemplateError::Source`] when it does not compile, and otherwise what made it
    /// fail on a user message, an answer and a user message.
    pub fn compile(source: &str, bos: &str, eos: &str) -> Result<Self, TemplateError> {
        let jinja = Jinja::compile(source, bos, eos).map_err(|error| TemplateError::Source(error.to_string()))?;
        let (reasoning, thinks) = Reasoning::of_template(source);
        let mut template = Self {
            jinja,
            reasoning,
            thinks,
            format: CallFormat::of_template(source),
            system: SystemRole::Folded,
            default_system: None,
            tools: Place::Told,
            results: Place::Told,
            seam: Seam::default(),
            seam_without_thinking: Seam::default(),
        };
        let scene = Scene { tools: 0, thinking: None, today: date(2024, 1, 1) };
        let later = ["user", "assistant", "user"];
        let seam = |scene| -> Result<Seam, TemplateError> {
            let first = controls(&template.pieces(&["user"], scene)?);
            let later = controls(&template.pieces(&later, scene)?);
            Ok(Seam::between(&later[1], &first[1]))
        };
        (template.seam, template.seam_without_thinking) =
            (seam(scene)?, seam(Scene { thinking: Some(false), ..scene })?);
        if template.pieces(&["system", "user", "assistant", "user"], scene).is_ok() {
            template.system = SystemRole::Native;
            template.default_system = template.find_default_system(scene)?;
        }
        if template.format.is_taught_by(source) && template.keeps_tools(scene) {
            template.tools = Place::Native;
        }
        // A template that has never heard of tools writes any role, and its model knows none.
        if source.contains("tool") && template.keeps_results(scene) {
            template.results = Place::Native;
        }
        Ok(template)
    }

    /// Writes the conversation and the prompt for the model's answer.
    ///
    /// Consecutive messages of one role become one turn: those of the user as
    /// paragraphs, those of the model without a separator, for the later one continued
    /// the earlier. Controls are never adjacent; the data are the given texts, unchanged
    /// and in order, and JSON of the given tools and calls. A turn without content is one
    /// empty datum, so that the controls around it stay apart.
    ///
    /// # Errors
    /// [`TemplateError`], which names the turn, the message or the field. It never quotes content.
    pub fn render(&self, conversation: &Conversation) -> Result<Vec<Segment>, TemplateError> {
        let today: Date = conversation.today.parse().map_err(|_| TemplateError::Today(conversation.today.clone()))?;
        let format = self.format.taking(conversation.tools.iter().map(|tool| &tool.enforced));
        // The template teaches its own form only.
        let place = if format == self.format { self.tools } else { Place::Told };
        let mut turns = self.turns(&conversation.messages, format);
        let Some(first_user) = turns.iter_mut().find(|turn| turn.role == "user") else {
            return Err(TemplateError::NoUserMessage);
        };
        let system = self.system_turn(conversation, format, place);
        if !system.is_empty() {
            match self.system {
                SystemRole::Native => turns.insert(0, Turn::new("system", system)),
                SystemRole::Folded => {
                    let paragraph = Segment::Control(PARAGRAPH.to_owned());
                    first_user.segments.splice(0..0, system.into_iter().chain([paragraph]));
                }
            }
        }
        let begun = turns.pop_if(|turn| turn.role == "assistant");

        let tools = match place {
            Place::Native => conversation.tools.len(),
            Place::Told => 0,
        };
        let scene = Scene { tools, thinking: conversation.thinking, today };
        let seam = match conversation.thinking {
            Some(false) => &self.seam_without_thinking,
            Some(true) | None => &self.seam,
        };
        let roles: Vec<_> = turns.iter().map(|turn| turn.role).collect();
        let mut segments = Segments::default();
        for piece in self.pieces(&roles, scene)? {
            match piece {
                Piece::Control(text) => segments.extend([Segment::Control(text)]),
                Piece::Slot(Slot::Content(turn) | Slot::Result(turn)) => {
                    let turn = &turns[turn];
                    if turn.follows_generation() {
                        segments.replace_tail(&seam.history, &seam.generation);
                    }
                    segments.extend(turn.segments.iter().cloned());
                }
                Piece::Slot(Slot::QuotedResult(turn)) => {
                    let quoted = turns[turn].result.as_ref().map(|result| json_text(&result_text(result)));
                    segments.extend(quoted.map(Segment::Data));
                }
                Piece::Slot(Slot::Name(turn)) => {
                    segments.extend(turns[turn].result.map(|result| Segment::Data(result.name.clone())));
                }
                Piece::Slot(Slot::Id(turn)) => {
                    segments.extend(turns[turn].result.map(|result| Segment::Data(result.id.clone())));
                }
                Piece::Slot(Slot::Tool(tool)) => segments.extend([declaration(&conversation.tools[tool])]),
            }
        }
        if let Some(turn) = begun {
            if !turn.follows_generation() {
                segments.replace_tail(&seam.generation, &seam.history);
            }
            segments.extend(turn.segments);
        }
        Ok(segments.0)
    }

    /// What an answer may look like: calls of `callable` functions in the model's form,
    /// and an `answer` that follows a schema (normalised for llguidance's `%json`) or is
    /// free; `None` when anything goes.
    ///
    /// `prompt_tail` is the prompt's last control text: it may have opened a thought.
    pub fn constraint(
        &self,
        callable: &[Callable],
        calls: Calls,
        answer: Option<&serde_json::Value>,
        prompt_tail: &str,
    ) -> Option<Constraint> {
        let answer = answer.map_or(Answer::Free, Answer::Json);
        let format = self.format_of(callable);
        grammar::constraint(format, self.reasoning, self.thinks, prompt_tail, callable, calls, answer)
    }

    /// The same of an answer without calls that follows rules of Lark, of which the first is
    /// `answer`; the names of all of them begin so.
    pub fn ruled(&self, rules: &str, prompt_tail: &str) -> Option<Constraint> {
        let format = self.format_of(&[]);
        grammar::constraint(format, self.reasoning, self.thinks, prompt_tail, &[], Calls::None, Answer::Rules(rules))
    }

    /// A parser for one answer.
    ///
    /// `prompt_tail` is the prompt's last control text: a generation prompt that opens a
    /// thought makes the answer begin inside it. `stop` are the stop sequences of the
    /// request; they are looked for in visible text only. `callable` are the functions
    /// that may be called, as the constraint has them; without any, calls are just text.
    pub fn parser(&self, prompt_tail: &str, stop: Vec<String>, callable: Vec<Callable>) -> OutputParser {
        OutputParser::new(self.reasoning, self.format_of(&callable), prompt_tail, stop, callable)
    }

    fn format_of(&self, callable: &[Callable]) -> &'static CallFormat {
        self.format.taking(callable.iter().map(|function| &function.parameters))
    }

    /// The special tokens that have to be visible in the text given to the parser. A
    /// model that has no such token writes the marker in ordinary ones.
    pub fn markers(&self) -> Vec<&'static str> {
        let mut markers = self.reasoning.markers();
        for marker in self.format.markers {
            if !markers.contains(marker) {
                markers.push(marker);
            }
        }
        markers
    }

    /// The template's own system instruction: what it writes where one would stand.
    fn find_default_system(&self, scene: Scene) -> Result<Option<String>, TemplateError> {
        let with = controls(&self.pieces(&["system", "user"], scene)?);
        let without = controls(&self.pieces(&["user"], scene)?);
        let default = without[0].strip_prefix(with[0].as_str()).and_then(|rest| rest.strip_suffix(with[1].as_str()));
        Ok(default.filter(|text| !text.trim().is_empty()).map(str::to_owned))
    }

    /// Whether the template writes tools as they are, ahead of the first answer.
    fn keeps_tools(&self, scene: Scene) -> bool {
        let scene = Scene { tools: 2, ..scene };
        let in_front = |roles: &[&'static str]| {
            self.pieces(roles, scene).is_ok_and(|pieces| {
                let answer = roles.iter().position(|&role| role == "assistant").unwrap_or(roles.len());
                let slots = || pieces.iter().filter(|piece| matches!(piece, Piece::Slot(_)));
                let last_tool = slots().position(|slot| *slot == Piece::Slot(Slot::Tool(1)));
                let answer = slots().position(|slot| *slot == Piece::Slot(Slot::Content(answer)));
                last_tool.is_some_and(|tool| answer.is_none_or(|answer| tool < answer))
            })
        };
        let system: &[&str] = match self.system {
            SystemRole::Native => &["system"],
            SystemRole::Folded => &[],
        };
        let both = |roles: &[&'static str]| in_front(roles) && in_front(&[system, roles].concat());
        both(&["user"]) && both(&["user", "assistant", "user"]) && self.keeps_prefix(&["user"], scene)
    }

    /// Whether the template writes results of tools as they are, in turns of their own.
    fn keeps_results(&self, scene: Scene) -> bool {
        let tools = match self.tools {
            Place::Native => 1,
            Place::Told => 0,
        };
        let scene = Scene { tools, ..scene };
        self.keeps_prefix(&["user", "assistant", "tool"], scene)
            && self.keeps_prefix(&["user", "assistant", "tool", "tool"], scene)
            && self.keeps_prefix(&["user", "assistant", "tool", "assistant", "user"], scene)
            && self.keeps_prefix(&["user", "assistant", "tool", "assistant", "tool"], scene)
    }

    /// Whether the prompt of these turns begins the prompt after one answer more.
    fn keeps_prefix(&self, roles: &[&'static str], scene: Scene) -> bool {
        let longer = [roles, &["assistant", "user"]].concat();
        let (Ok(prompt), Ok(mut longer)) = (self.pieces(roles, scene), self.pieces(&longer, scene)) else {
            return false;
        };
        longer.truncate(prompt.len());
        match longer.last_mut() {
            Some(Piece::Control(last)) if last.ends_with(&self.seam.history) => {
                last.truncate(last.len() - self.seam.history.len());
                last.push_str(&self.seam.generation);
                longer == prompt
            }
            Some(Piece::Control(_) | Piece::Slot(_)) | None => false,
        }
    }

    /// What the template writes for turns of these roles, before, between and after
    /// their contents: controls and slots in turn.
    fn pieces(&self, roles: &[&'static str], scene: Scene) -> Result<Vec<Piece>, TemplateError> {
        let message = |(turn, &role): (usize, &&'static str)| match role {
            "tool" => JinjaMessage {
                role,
                content: Slot::Result(turn).sentinel(),
                tool_call_id: Some(Slot::Id(turn).sentinel()),
                name: Some(Slot::Name(turn).sentinel()),
            },
            _ => JinjaMessage { role, content: Slot::Content(turn).sentinel(), tool_call_id: None, name: None },
        };
        let context = JinjaContext {
            messages: roles.iter().enumerate().map(message).collect(),
            tools: (0..scene.tools).map(|tool| Slot::Tool(tool).sentinel()).collect(),
            thinking: scene.thinking,
            today: scene.today,
        };
        let rendered = self.jinja.render(context).map_err(|error| TemplateError::Rendering(error.to_string()))?;
        let pieces = sentinel::split(&rendered).map_err(|intact| TemplateError::Altered { intact })?;

        let (mut found, mut tools) = (Vec::new(), Vec::new());
        for piece in &pieces {
            match piece {
                Piece::Control(_) => {}
                Piece::Slot(Slot::Content(turn)) => found.push((*turn, false)),
                Piece::Slot(Slot::Result(turn) | Slot::QuotedResult(turn)) => found.push((*turn, true)),
                // A sentinel that was never given to the template.
                Piece::Slot(Slot::Name(turn) | Slot::Id(turn)) if roles.get(*turn) != Some(&"tool") => {
                    return Err(TemplateError::Altered { intact: 0 });
                }
                Piece::Slot(Slot::Name(_) | Slot::Id(_)) => {}
                Piece::Slot(Slot::Tool(tool)) => tools.push(*tool),
            }
        }
        if found.iter().any(|&(turn, result)| roles.get(turn).is_none_or(|&role| (role == "tool") != result)) {
            return Err(TemplateError::Altered { intact: 0 });
        }
        for (turn, &role) in roles.iter().enumerate() {
            match found.iter().filter(|(found, _)| *found == turn).count() {
                0 => return Err(TemplateError::Dropped { turn, role }),
                1 => {}
                _ => return Err(TemplateError::Doubled { turn, role }),
            }
        }
        if let Some((_, &(turn, _))) = found.iter().enumerate().find(|&(place, &(turn, _))| place != turn) {
            return Err(TemplateError::Moved { turn, role: roles[turn] });
        }
        if !tools.iter().copied().eq(0..scene.tools) {
            return Err(TemplateError::Tools { tools: scene.tools });
        }
        Ok(pieces)
    }
}

fn controls(pieces: &[Piece]) -> Vec<String> {
    let control = |piece: &Piece| match piece {
        Piece::Control(text) => Some(text.clone()),
        Piece::Slot(_) => None,
    };
    pieces.iter().filter_map(control).collect()
}

impl Seam {
    /// Both texts follow the same user message: one before its answer, one before the
    /// answer that is to come. What they share is no part of the seam.
    fn between(history: &str, generation: &str) -> Self {
        let shared: usize = history
            .chars()
            .zip(generation.chars())
            .take_while(|(left, right)| left == right)
            .map(|(left, _)| left.len_utf8())
            .sum();
        Self { history: history[shared..].to_owned(), generation: generation[shared..].to_owned() }
    }
}

/// Segments whose neighbouring controls are one.
#[derive(Default)]
struct Segments(Vec<Segment>);

impl Segments {
    fn extend(&mut self, segments: impl IntoIterator<Item = Segment>) {
        for segment in segments {
            match (self.0.last_mut(), segment) {
                (_, Segment::Control(text)) if text.is_empty() => {}
                (Some(Segment::Control(last)), Segment::Control(text)) => last.push_str(&text),
                (_, segment) => self.0.push(segment),
            }
        }
    }

    /// Exchanges how the segments end; they stay as they are when they end otherwise.
    fn replace_tail(&mut self, tail: &str, replacement: &str) {
        if let Some(Segment::Control(last)) = self.0.last_mut()
            && last.ends_with(tail)
        {
            last.truncate(last.len() - tail.len());
            last.push_str(replacement);
            self.0.pop_if(|last| *last == Segment::Control(String::new()));
        } else if tail.is_empty() {
            self.extend([Segment::Control(replacement.to_owned())]);
        }
    }
}

#[cfg(test)]
mod tests;
