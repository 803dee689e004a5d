//! A model's chat template, and the two laws of what it renders.
//!
//! *Data never becomes control.* The template is rendered over sentinels that stand for
//! the content of each message; what it wrote around them is control, and the content
//! takes the sentinels' places as data. Hostile content therefore meets no template
//! code, and a template that trims or tests content does so to a sentinel, in vain.
//!
//! *The prompt of a turn and its answer are a prefix of the next prompt.* A template may
//! write something else before an old answer than the generation prompt it wrote when
//! that answer was made (`<think>` opened then and left out later, for instance). This
//! difference, the [`Seam`], is found when the template is compiled, and an answer that
//! is given back as tokens gets the generation prompt that it had. A template whose
//! words depend on what follows them (one that prints the number of messages, say)
//! breaks the law; that costs a prefill, and nothing else. A caller that cuts the
//! reasoning out of earlier answers gives it up in the same way.

use jiff::civil::{Date, date};

use crate::conversation::{Conversation, Message, Part, Role, Segment};
use crate::jinja::{Jinja, JinjaMessage};

/// Stands between two messages that become one turn.
const PARAGRAPH: &str = "\n\n";

const SENTINEL_OPEN: char = '\u{F0000}';
/// A quotation mark and both cases: a template that escapes, quotes or folds the
/// content changes its sentinel and is found out.
const SENTINEL_MARK: &str = "\"aA";
const SENTINEL_CLOSE: char = '\u{F0001}';

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
    #[error("the chat template altered the content of a turn, after {intact} turns that it left intact")]
    Altered { intact: usize },
    /// `messages` has nothing to answer.
    #[error("`messages` holds no user message; expected at least one")]
    NoUserMessage,
    /// A user message held tokens, which only the model writes.
    #[error("`messages[{message}].content` holds tokens; expected text, for its role is user")]
    TokensFromUser { message: usize },
    /// `today` is no date.
    #[error("`today` is `{0}`; expected a date such as `2026-01-31`")]
    Today(String),
}

/// A model's chat template, compiled, tried and ready to render.
#[derive(Debug)]
pub struct ChatTemplate {
    jinja: Jinja,
    system: SystemRole,
    seam: Seam,
}

/// Where the system instruction goes.
#[derive(Debug, PartialEq, Eq)]
enum SystemRole {
    /// The template has a place for it, ahead of the first message.
    Native,
    /// The template refuses it, drops it, or lets it wander with the last message: it
    /// becomes the first paragraph of the first user message.
    Folded,
}

/// What a template writes between its header of a model turn and the content of it.
#[derive(Debug, Default)]
struct Seam {
    /// Before an answer of an earlier turn.
    history: String,
    /// At the end of the generation prompt.
    generation: String,
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
        let template = Self { jinja, system: SystemRole::Native, seam: Seam::default() };
        let today = date(2024, 1, 1);
        let first = template.controls(&["user"], today)?;
        let later = template.controls(&["user", "assistant", "user"], today)?;
        let system = match template.controls(&["system", "user", "assistant", "user"], today) {
            Ok(_) => SystemRole::Native,
            Err(_) => SystemRole::Folded,
        };
        Ok(Self { system, seam: Seam::between(&later[1], &first[1]), ..template })
    }

    /// Writes the conversation and the prompt for the model's answer.
    ///
    /// Consecutive messages of one role become one turn: those of the user as
    /// paragraphs, those of the model without a separator, for the later one continued
    /// the earlier. Controls are never adjacent; the data are the given texts, unchanged
    /// and in order. A turn without content is one empty datum, so that the controls
    /// around it stay apart.
    ///
    /// # Errors
    /// [`TemplateError`], which names the turn, the message or the field. It never quotes content.
    pub fn render(&self, conversation: &Conversation) -> Result<Vec<Segment>, TemplateError> {
        let today: Date = conversation.today.parse().map_err(|_| TemplateError::Today(conversation.today.clone()))?;
        let mut turns = turns(&conversation.messages)?;
        let Some(first_user) = turns.iter_mut().find(|turn| turn.role == "user") else {
            return Err(TemplateError::NoUserMessage);
        };
        if let Some(system) = &conversation.system {
            let text = Segment::Data(system.clone());
            match self.system {
                SystemRole::Native => turns.insert(0, Turn { role: "system", segments: vec![text] }),
                SystemRole::Folded => {
                    first_user.segments.splice(0..0, [text, Segment::Control(PARAGRAPH.to_owned())]);
                }
            }
        }
        let begun = turns.pop_if(|turn| turn.role == "assistant");

        let roles: Vec<_> = turns.iter().map(|turn| turn.role).collect();
        let mut controls = self.controls(&roles, today)?.into_iter();
        let mut segments = Segments::default();
        segments.extend(controls.next().map(Segment::Control));
        for (turn, control) in turns.iter().zip(controls) {
            if turn.is_own_output() {
                segments.replace_tail(&self.seam.history, &self.seam.generation);
            }
            segments.extend(turn.segments.iter().cloned());
            segments.extend([Segment::Control(control)]);
        }
        if let Some(turn) = begun {
            if !turn.is_own_output() {
                segments.replace_tail(&self.seam.generation, &self.seam.history);
            }
            segments.extend(turn.segments);
        }
        Ok(segments.0)
    }

    /// What the template writes before, between and after the contents of these turns:
    /// one more text than there are roles.
    fn controls(&self, roles: &[&'static str], today: Date) -> Result<Vec<String>, TemplateError> {
        let messages: Vec<_> = roles
            .iter()
            .enumerate()
            .map(|(turn, &role)| JinjaMessage {
                role,
                content: format!("{SENTINEL_OPEN}{SENTINEL_MARK}{turn}{SENTINEL_CLOSE}"),
            })
            .collect();
        let rendered =
            self.jinja.render(&messages, today).map_err(|error| TemplateError::Rendering(error.to_string()))?;
        let (controls, found) = split(&rendered)?;

        let mut times = vec![0_usize; roles.len()];
        for &turn in &found {
            // A number beyond the turns was never given to the template.
            *times.get_mut(turn).ok_or(TemplateError::Altered { intact: 0 })? += 1;
        }
        for (turn, (&role, times)) in roles.iter().zip(times).enumerate() {
            match times {
                0 => return Err(TemplateError::Dropped { turn, role }),
                1 => {}
                _ => return Err(TemplateError::Doubled { turn, role }),
            }
        }
        match found.iter().enumerate().find(|&(place, &turn)| place != turn) {
            Some((_, &turn)) => Err(TemplateError::Moved { turn, role: roles[turn] }),
            None => Ok(controls),
        }
    }
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

/// Consecutive messages of one role, as a template wants them.
struct Turn {
    role: &'static str,
    segments: Vec<Segment>,
}

impl Turn {
    /// Whether the model's own tokens stand where the generation prompt ended.
    fn is_own_output(&self) -> bool {
        self.role == "assistant" && matches!(self.segments.first(), Some(Segment::Tokens(_)))
    }
}

fn turns(messages: &[Message]) -> Result<Vec<Turn>, TemplateError> {
    let mut turns: Vec<Turn> = Vec::new();
    for (index, message) in messages.iter().enumerate() {
        let role = match message.role {
            Role::User => "user",
            Role::Model => "assistant",
        };
        let mut segments = Vec::with_capacity(message.content.len().max(1));
        for part in &message.content {
            segments.push(match (part, message.role) {
                (Part::Text(text), Role::User | Role::Model) => Segment::Data(text.clone()),
                (Part::Tokens(tokens), Role::Model) => Segment::Tokens(tokens.clone()),
                (Part::Tokens(_), Role::User) => return Err(TemplateError::TokensFromUser { message: index }),
            });
        }
        match turns.last_mut().filter(|turn| turn.role == role) {
            Some(turn) => {
                if message.role == Role::User {
                    turn.segments.push(Segment::Control(PARAGRAPH.to_owned()));
                }
                turn.segments.append(&mut segments);
            }
            None => turns.push(Turn { role, segments }),
        }
    }
    for turn in &mut turns {
        if turn.segments.is_empty() {
            turn.segments.push(Segment::Data(String::new()));
        }
    }
    Ok(turns)
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

/// The texts around the sentinels, and the number in each sentinel.
fn split(rendered: &str) -> Result<(Vec<String>, Vec<usize>), TemplateError> {
    let mut pieces = rendered.split(SENTINEL_OPEN);
    let mut controls: Vec<_> = pieces.next().map(str::to_owned).into_iter().collect();
    let mut found = Vec::new();
    for piece in pieces {
        let Some((number, control)) =
            piece.strip_prefix(SENTINEL_MARK).and_then(|sentinel| sentinel.split_once(SENTINEL_CLOSE))
        else {
            return Err(TemplateError::Altered { intact: found.len() });
        };
        found.push(number.parse().map_err(|_| TemplateError::Altered { intact: found.len() })?);
        controls.push(control.to_owned());
    }
    if controls.iter().any(|control| control.contains(SENTINEL_CLOSE)) {
        return Err(TemplateError::Altered { intact: 0 });
    }
    Ok((controls, found))
}

#[cfg(test)]
mod tests;
