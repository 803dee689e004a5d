//! What is said in each turn: messages as a template takes them, and in our own words
//! what it does not say.

use serde_json::json;

use super::{ChatTemplate, PARAGRAPH, Place};
use crate::conversation::{Conversation, Message, ModelTurn, Part, Segment, Tool, ToolResult};
use crate::format::CallFormat;
use crate::jinja::json_text;
use crate::reasoning::Reasoning;

/// Consecutive messages of one role, as a template wants them.
pub(super) struct Turn<'a> {
    pub(super) role: &'static str,
    pub(super) segments: Vec<Segment>,
    /// Whose turn it is, if it is the turn of a result.
    pub(super) result: Option<&'a ToolResult>,
    /// Whether the segments bring the headers of their channels.
    in_channels: bool,
}

impl Turn<'_> {
    pub(super) fn new(role: &'static str, segments: Vec<Segment>) -> Self {
        Self { role, segments, result: None, in_channels: false }
    }

    /// Whether it stands where the generation prompt ended: the model's own tokens do.
    pub(super) fn follows_generation(&self) -> bool {
        self.role == "assistant" && (self.in_channels || matches!(self.segments.first(), Some(Segment::Tokens(_))))
    }
}

impl ChatTemplate {
    /// What stands in the system turn: the instruction, and what has to be told because
    /// the template does not say it. Empty when there is nothing.
    pub(super) fn system_turn(&self, conversation: &Conversation, format: &CallFormat, tools: Place) -> Vec<Segment> {
        let mut paragraphs: Vec<Vec<Segment>> = Vec::new();
        if tools == Place::Told && !conversation.tools.is_empty() {
            let mut told = vec![Segment::Control(
                "# Tools\n\nYou may call one or more functions to answer the user. \
                 These are the functions, one JSON object each:\n<tools>\n"
                    .to_owned(),
            )];
            for tool in &conversation.tools {
                told.extend([declaration(tool), Segment::Control("\n".to_owned())]);
            }
            told.push(Segment::Control(format!(
                "</tools>\n\nTo call a function, write the call in exactly this form, once for each call:\n{}",
                format.example()
            )));
            paragraphs.push(told);
        }
        if let Some(schema) = &conversation.answer_schema {
            let when = if conversation.tools.is_empty() { "Answer" } else { "When you do not call a function, answer" };
            paragraphs.push(vec![
                Segment::Control(format!(
                    "# Answer\n\n{when} with one JSON value that conforms to the following JSON Schema, \
                     and with nothing else:\n"
                )),
                Segment::Data(schema.clone()),
            ]);
        }
        let instruction = match (&conversation.system, &self.default_system) {
            (Some(system), _) => Some(Segment::Data(system.clone())),
            (None, Some(default)) if !paragraphs.is_empty() => Some(Segment::Control(default.clone())),
            (None, Some(_) | None) => None,
        };
        paragraphs.splice(0..0, instruction.map(|instruction| vec![instruction]));
        let mut segments = Vec::new();
        for paragraph in paragraphs {
            if !segments.is_empty() {
                segments.push(Segment::Control(PARAGRAPH.to_owned()));
            }
            segments.extend(paragraph);
        }
        segments
    }

    /// The turns of the messages: those of one role that follow one another are one turn.
    pub(super) fn turns<'a>(&self, messages: &'a [Message], format: &CallFormat) -> Vec<Turn<'a>> {
        let last_user = messages.iter().rposition(|message| matches!(message, Message::User(_)));
        let mut turns: Vec<Turn<'a>> = Vec::new();
        for (index, message) in messages.iter().enumerate() {
            let turn = match message {
                Message::User(parts) => Turn::new("user", parts.iter().map(Segment::from).collect()),
                Message::Model(turn) => {
                    let is_recent = last_user.is_none_or(|user| index > user);
                    self.model_turn(turn, is_recent, format)
                }
                Message::Tool(result) => self.result_turn(result),
            };
            match turns.last_mut().filter(|last| last.role == turn.role && last.role != "tool") {
                Some(last) => {
                    if last.role == "user" {
                        last.segments.push(Segment::Control(PARAGRAPH.to_owned()));
                    }
                    last.segments.extend(turn.segments);
                }
                None => turns.push(turn),
            }
        }
        for turn in &mut turns {
            if turn.segments.is_empty() {
                turn.segments.push(Segment::Data(String::new()));
            }
        }
        turns
    }

    fn model_turn(&self, turn: &ModelTurn, is_recent: bool, format: &CallFormat) -> Turn<'static> {
        let mut segments = Vec::new();
        if let Some(reasoning) = turn.reasoning.as_ref().filter(|_| is_recent && self.thinks) {
            let (open, close) = self.reasoning.around_thought();
            segments.extend([Segment::Control(open), Segment::Data(reasoning.clone()), Segment::Control(close)]);
        }
        // Harmony's template would open the channel of a last answer.
        let in_channels = self.reasoning == Reasoning::Harmony && !(segments.is_empty() && turn.calls.is_empty());
        let content: Vec<_> = turn.content.iter().map(Segment::from).collect();
        let is_own_output = matches!(turn.content.first(), Some(Part::Tokens(_)));
        if in_channels && !is_own_output {
            let said = !content.is_empty();
            if said && turn.calls.is_empty() {
                segments.push(Segment::Control("<|channel|>final<|message|>".to_owned()));
            } else if said {
                segments.push(Segment::Control("<|channel|>commentary<|message|>".to_owned()));
            }
            segments.extend(content);
            if said && !turn.calls.is_empty() {
                segments.push(Segment::Control("<|end|><|start|>assistant".to_owned()));
            }
        } else {
            let after = (!content.is_empty() && !turn.calls.is_empty()).then_some(format.after_text);
            segments.extend(content);
            segments.extend(after.map(|text| Segment::Control(text.to_owned())));
        }
        if !turn.calls.is_empty() {
            segments.extend(format.write(&turn.calls));
        }
        Turn { in_channels, ..Turn::new("assistant", segments) }
    }

    fn result_turn<'a>(&self, result: &'a ToolResult) -> Turn<'a> {
        let text = Segment::Data(result_text(result));
        match self.results {
            Place::Native => Turn { result: Some(result), ..Turn::new("tool", vec![text]) },
            Place::Told => Turn::new(
                "user",
                vec![
                    Segment::Control("<tool_response>\n".to_owned()),
                    text,
                    Segment::Control("\n</tool_response>".to_owned()),
                ],
            ),
        }
    }
}

/// A function in the form that templates and models know.
pub(super) fn declaration(tool: &Tool) -> Segment {
    let mut function = json!({ "name": tool.name });
    if let Some(description) = &tool.description {
        function["description"] = json!(description);
    }
    function["parameters"] = tool.parameters.clone();
    Segment::Data(json_text(&json!({ "type": "function", "function": function })))
}

/// The text of a result, which says so if it is an error.
pub(super) fn result_text(result: &ToolResult) -> String {
    if result.is_error { format!("Error: {}", result.text) } else { result.text.clone() }
}
