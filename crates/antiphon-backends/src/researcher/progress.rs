//! How far a research is, read from its conversation. Pure.
//!
//! What the research itself has said stands behind the last message of the user: the plan and
//! the findings as notes in its thoughts, its calls, and their results.

use antiphon_engine::{Message, ModelTurn, Said, text_of};
use serde::{Deserialize, Serialize};

use super::plan::Plan;

/// The origin of a thought's signature that is a [`Note`].
pub(super) const NOTED: &str = "researched";

/// The tools that look a question up.
pub(super) const SEARCHES: [&str; 2] = ["google_search", "file_search"];

/// How many pages are read for a question.
const PAGES_READ: usize = 2;

/// What a turn leaves for those after it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Note {
    Plan(Plan),
    Finding(Finding),
}

/// What came of a question.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Finding {
    pub(super) question: String,
    /// With the marks of its sources.
    pub(super) text: String,
}

#[derive(Debug, PartialEq)]
pub(super) enum Progress {
    /// `proposed`: the plan that the user was shown and has answered to.
    Unplanned { proposed: Option<Plan> },
    /// The question behind the findings was searched for.
    Searched {
        plan: Plan,
        findings: Vec<Finding>,
        /// The calls for this question and their results.
        evidence: Vec<Message>,
        /// Addresses that the search found, unless pages were read for it already.
        unread: Vec<String>,
        /// Whether further tools were called for it.
        has_helped: bool,
    },
}

impl Finding {
    pub(super) fn shown(&self) -> String {
        format!("{}\n{}", self.question, self.text)
    }
}

impl Progress {
    pub(super) fn of(messages: &[Message]) -> Self {
        let asked = messages.iter().rposition(|message| matches!(message, Message::User(_)));
        let (before, own) = messages.split_at(asked.map_or(0, |at| at + 1));
        let (mut plan, mut findings) = (None, Vec::new());
        for note in own.iter().flat_map(notes) {
            match note {
                Note::Plan(agreed) => plan = Some(agreed),
                Note::Finding(finding) => findings.push(finding),
            }
        }
        let searched = own.iter().rposition(|message| calls_one_of(message, &SEARCHES));
        let (Some(plan), Some(searched)) = (plan, searched) else {
            return Self::Unplanned { proposed: proposed(before) };
        };
        let evidence = &own[searched..];
        let has_read = evidence.iter().any(|message| calls_one_of(message, &[crate::blocks::PAGES]));
        let has_helped = evidence.iter().any(|message| has_call(message, is_helper));
        let unread = if has_read { Vec::new() } else { addresses(evidence, own) };
        let mut evidence: Vec<_> = evidence.iter().filter(|message| !is_failed_reading(message)).map(bare).collect();
        drop_unanswered(&mut evidence);
        Self::Searched { plan, findings, evidence, unread, has_helped }
    }
}

/// What the user asked for: the last words that are no answer to a plan, and the answer.
pub(super) fn task(messages: &[Message]) -> String {
    let said = |at: usize| match &messages[at] {
        Message::User(parts) => text_of(parts),
        Message::Model(_) | Message::Result(_) => String::new(),
    };
    let is_user = |message: &Message| matches!(message, Message::User(_));
    let Some(last) = messages.iter().rposition(is_user) else { return String::new() };
    match messages[..last].iter().rposition(is_user).filter(|_| proposed(&messages[..=last]).is_some()) {
        Some(first) => format!("{}\n{}", said(first), said(last)),
        None => said(last),
    }
}

/// The plan that the model ended its last turn with; `before` ends with the user's answer.
fn proposed(before: &[Message]) -> Option<Plan> {
    let last = before.iter().rev().find(|message| matches!(message, Message::Model(_) | Message::Result(_)))?;
    let Message::Model(turn) = last else { return None };
    if turn.calls().next().is_some() {
        return None;
    }
    notes(last).into_iter().find_map(|note| match note {
        Note::Plan(plan) => Some(plan),
        Note::Finding(_) => None,
    })
}

fn notes(message: &Message) -> Vec<Note> {
    let Message::Model(turn) = message else { return Vec::new() };
    let signed = turn.said.iter().filter_map(|said| match said {
        Said::Thought(thought) => thought.signature.as_ref(),
        Said::Text(_) | Said::Picture(_) | Said::Call(_) => None,
    });
    let noted = signed.filter(|signature| signature.origin.as_deref() == Some(NOTED));
    noted.filter_map(|signature| serde_json::from_str(&signature.value).ok()).collect()
}

fn calls_one_of(message: &Message, tools: &[&str]) -> bool {
    has_call(message, |name| tools.contains(&name))
}

fn has_call(message: &Message, is_wanted: impl Fn(&str) -> bool) -> bool {
    matches!(message, Message::Model(turn) if turn.calls().any(|call| is_wanted(&call.name)))
}

/// Whether a tool is one that the model decides about: the others are called for every question.
pub(super) fn is_helper(name: &str) -> bool {
    !SEARCHES.contains(&name) && name != crate::blocks::PAGES
}

/// The first pages that a search found and nobody has read, from what it told: a line
/// `[1] Title — https://…` for each, which nothing that was found can look like.
fn addresses(evidence: &[Message], own: &[Message]) -> Vec<String> {
    let read: String = own
        .iter()
        .filter_map(|message| match message {
            Message::Model(turn) => Some(turn),
            Message::User(_) | Message::Result(_) => None,
        })
        .flat_map(ModelTurn::calls)
        .filter(|call| call.name == crate::blocks::PAGES)
        .map(|call| serde_json::Value::Object(call.arguments.clone()).to_string())
        .collect();
    let told = evidence.iter().filter_map(|message| match message {
        Message::Result(result) if result.name == SEARCHES[0] => Some(result.text.as_str()),
        Message::Result(_) | Message::User(_) | Message::Model(_) => None,
    });
    let mut found: Vec<String> = Vec::new();
    for line in told.flat_map(str::lines).filter(|line| is_entry(line)) {
        let Some((_, address)) = line.rsplit_once(" — ") else { continue };
        let is_page = address.starts_with("https://") || address.starts_with("http://");
        let is_new = !read.contains(&format!("\"{address}\"")) && found.iter().all(|known| known != address);
        if is_page && is_new && found.len() < PAGES_READ {
            found.push(address.to_owned());
        }
    }
    found
}

fn is_entry(line: &str) -> bool {
    let number = line.strip_prefix('[').and_then(|rest| rest.split_once("] "));
    number.is_some_and(|(number, _)| !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()))
}

/// Whether a message tells of something: sources that can be cited, or what another tool gave.
pub(super) fn has_substance(message: &Message) -> bool {
    let Message::Result(result) = message else { return false };
    if is_helper(&result.name) { !result.is_error } else { result.text.lines().any(is_entry) }
}

fn is_failed_reading(message: &Message) -> bool {
    matches!(message, Message::Result(result) if result.is_error && result.name == crate::blocks::PAGES)
}

/// A message with its calls alone, if it is the model's.
fn bare(message: &Message) -> Message {
    match message {
        Message::Model(turn) => {
            let calls = turn.calls().cloned().map(Said::Call).collect();
            Message::Model(ModelTurn { said: calls, trace: None })
        }
        Message::User(_) | Message::Result(_) => message.clone(),
    }
}

/// Leaves out calls without a result, and turns without a call.
pub(super) fn drop_unanswered(messages: &mut Vec<Message>) {
    let answered: Vec<String> = messages
        .iter()
        .filter_map(|message| match message {
            Message::Result(result) => Some(result.call_id.clone()),
            Message::User(_) | Message::Model(_) => None,
        })
        .collect();
    messages.retain_mut(|message| match message {
        Message::Model(turn) => {
            turn.said.retain(|said| !matches!(said, Said::Call(call) if !answered.contains(&call.id)));
            !turn.said.is_empty()
        }
        Message::User(_) | Message::Result(_) => true,
    });
}

/// The conversation as a model may read it: without notes, which are no thoughts of its.
pub(super) fn without_notes(messages: &[Message]) -> Vec<Message> {
    let mut plain = messages.to_vec();
    for message in &mut plain {
        let Message::Model(turn) = message else { continue };
        let is_note = |said: &Said| {
            matches!(said, Said::Thought(thought)
            if thought.signature.as_ref().is_some_and(|own| own.origin.as_deref() == Some(NOTED)))
        };
        turn.said.retain(|said| !is_note(said));
    }
    plain
}
