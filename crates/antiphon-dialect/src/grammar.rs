//! What an answer may look like, as a Lark grammar of llguidance.
//!
//! Three things about that library decide its shape. Its lexer runs all lexemes that are
//! allowed at a place at once and is greedy: a longer lexeme starves a shorter one. So
//! free text is one regular expression that holds no beginning of a call, and a `[lazy]`
//! lexeme takes text up to and including the beginning, after which the rest of the call
//! is grammar. Both are plain regular expressions, whose masks are cheap: on a vocabulary
//! of 152k tokens a mean of 0.25 ms. A lexeme for each function would be simpler, but cost
//! twice that with 32 functions, and past the library's bounds with 128. Where an answer
//! of JSON may stand beside calls, the calls are made of the same small lexemes as JSON.
//! And whether a marker is one special token is known to the worker alone: it defines the
//! rules `marker_0`, `marker_1`, …. Free text cannot hold a special token, so before each
//! marker there are two ways on: text that ends with the marker spelled out, and text
//! followed by the marker.

use std::collections::HashMap;
use std::fmt::Write as _;

use serde_json::Value;

use crate::format::{CallFormat, Shape};
use crate::parameter::{Kind, parameters};
use crate::reasoning::{Place, Reasoning};

/// The most calls of one answer.
const CALL_LIMIT: usize = 16;

/// White space that belongs to the form of a call, bounded because weak models loop. The
/// parser has the same bound where a call begins.
pub(crate) const SPACE_LIMIT: usize = 16;

/// Whether an answer may call functions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Calls {
    /// It may not, and knows of none.
    None,
    /// It may not, though it knows of calls: not even what looks like one is said.
    Forbidden,
    /// As forbidden, to a model that also writes programs to be run: its answer begins with none.
    Finished,
    /// It may, and may also say something.
    Allowed,
    /// It has to, and says nothing else.
    Required,
}

/// A function that may be called.
#[derive(Clone, Debug, PartialEq)]
pub struct Callable {
    /// Its name.
    pub name: String,
    /// The schema of its arguments, an object, normalised for llguidance's `%json`.
    pub parameters: Value,
}

/// A grammar for a whole answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Constraint {
    /// Lark text of llguidance with the rule `start`. It uses rules `marker_0`,
    /// `marker_1`, … without defining them, one for each of `markers`.
    pub grammar: String,
    /// What the marker rules stand for: the special token of this text, or the quoted
    /// text where the vocabulary has no such token.
    pub markers: Vec<String>,
}

/// What is said when nothing is called.
#[derive(Clone, Copy)]
pub(crate) enum Answer<'a> {
    Free,
    /// One value of a schema.
    Json(&'a Value),
    /// What these rules allow, of which the first is `answer`.
    Rules(&'a str),
}

/// The grammar of an answer; `None` when anything goes.
pub(crate) fn constraint(
    format: &'static CallFormat,
    reasoning: Reasoning,
    thinks: bool,
    prompt_tail: &str,
    callable: &[Callable],
    calls: Calls,
    answer: Answer<'_>,
) -> Option<Constraint> {
    let callable = match calls {
        Calls::None | Calls::Forbidden | Calls::Finished => &[],
        Calls::Allowed | Calls::Required => callable,
    };
    if callable.is_empty() && calls != Calls::Forbidden && calls != Calls::Finished && matches!(answer, Answer::Free) {
        return None;
    }
    let mut grammar =
        Grammar { format, callable, rules: String::new(), markers: Vec::new(), until_count: 0, shared: HashMap::new() };
    grammar.declare(answer);
    let start = match reasoning {
        Reasoning::Tagged { .. } => grammar.tagged(reasoning, thinks, prompt_tail, calls, answer),
        Reasoning::Harmony => grammar.channels(reasoning, prompt_tail, calls, answer),
    };
    let text = format!("start: {start}\n{}", grammar.rules);
    Some(Constraint { grammar: text, markers: grammar.markers.into_iter().map(str::to_owned).collect() })
}

struct Grammar<'a> {
    format: &'static CallFormat,
    callable: &'a [Callable],
    rules: String,
    markers: Vec<&'static str>,
    until_count: usize,
    /// The names of rules by what they are.
    shared: HashMap<String, String>,
}

const ANY: &str = "/(?s:.*)/";

/// How a program begins, and a block of nothing.
const PROGRAM: &str = r"/\s*```(python|py|bash|sh|[a-z]*\n+```)/";

impl Grammar<'_> {
    /// The rules that every grammar needs: white space, the answer, and each function's
    /// arguments.
    fn declare(&mut self, answer: Answer<'_>) {
        self.rule("WS", &format!("/[ \\t\\r\\n]{{0,{SPACE_LIMIT}}}/"));
        self.rule("GAP", &format!("/[ \\t\\r\\n]{{1,{SPACE_LIMIT}}}/"));
        match answer {
            Answer::Free => {}
            Answer::Json(schema) => self.rule("answer", &format!("%json {schema}")),
            Answer::Rules(rules) => {
                self.rules.push_str(rules);
                self.rules.push('\n');
            }
        }
        for (index, function) in self.callable.iter().enumerate() {
            let arguments = match self.format.shape {
                Shape::Object { .. } | Shape::Named { .. } => format!("%json {}", function.parameters),
                Shape::Tagged { .. } => self.tagged_arguments(&function.parameters),
            };
            self.rule(&format!("arguments_{index}"), &arguments);
        }
        if self.callable.is_empty() {
            return;
        }
        let CallFormat { open, close, separator, .. } = self.format;
        let body = self.call_body();
        let (open, close) = (self.words(open), self.words(close));
        self.rule("call_body", &body);
        self.rule("call", &format!("{open} call_body {close}"));
        let separator = self.words(separator);
        self.rule("more_calls", &format!("({separator} call){{0,{}}}", CALL_LIMIT - 1));
    }

    fn call_body(&mut self) -> String {
        let mut choices = Vec::new();
        match self.format.shape {
            Shape::Object { arguments } => {
                for (index, function) in self.callable.iter().enumerate() {
                    let key = quoted(&format!("\"{arguments}\""));
                    self.rule(
                        &format!("rest_{index}"),
                        &format!("GAP? \",\" GAP? {key} GAP? \":\" GAP? arguments_{index} GAP? \"}}\""),
                    );
                    choices.push(format!("{} rest_{index}", quoted(&json_string(&function.name))));
                }
                format!("\"{{\" GAP? {} GAP? \":\" GAP? ({})", quoted("\"name\""), choices.join(" | "))
            }
            Shape::Named { between } => {
                for (index, function) in self.callable.iter().enumerate() {
                    let between = self.words(between);
                    choices.push(format!("{} {between} arguments_{index}", quoted(&function.name)));
                }
                format!("({})", choices.join(" | "))
            }
            Shape::Tagged { after_name, end, .. } => {
                let (after_name, end) = (self.words(after_name), self.words(end));
                for (index, function) in self.callable.iter().enumerate() {
                    choices.push(format!("{} {after_name} arguments_{index}", quoted(&function.name)));
                }
                format!("({}) {end}", choices.join(" | "))
            }
        }
    }

    /// The arguments of a function in tags, in the order of their declaration.
    fn tagged_arguments(&mut self, schema: &Value) -> String {
        let Shape::Tagged { before_key, before_value, after_value, .. } = self.format.shape else {
            return String::new();
        };
        let mut arguments = String::new();
        for parameter in parameters(schema, after_value.trim()).unwrap_or_default() {
            let (before_key, key) = (self.words(before_key), quoted(&parameter.key));
            let value = match parameter.kind {
                Kind::Json(schema) => {
                    let value = self.shared("json", "", &format!("%json {schema}"));
                    format!("{} {value} {}", self.words(before_value), self.words(after_value))
                }
                Kind::Choice(texts) => {
                    let choices: Vec<_> =
                        texts.iter().filter(|text| !text.is_empty()).map(|text| quoted(text)).collect();
                    let value = match (choices.is_empty(), texts.len() > choices.len()) {
                        (true, _) => String::new(),
                        (false, true) => format!("({})?", choices.join(" | ")),
                        (false, false) => format!("({})", choices.join(" | ")),
                    };
                    format!("{} {value} {} GAP?", self.tight(before_value), self.exact(after_value.trim_end()))
                }
                Kind::Text { least, most } => {
                    format!(
                        "{} {} GAP?",
                        self.tight(before_value),
                        self.tagged_text(least, most, after_value.trim_end())
                    )
                }
            };
            let optional = if parameter.is_required { "" } else { "?" };
            let _ = write!(arguments, "({before_key} {key} {value}){optional} ");
        }
        arguments
    }

    /// A string as it is, and its closing. It ends where the closing first stands, which
    /// is spelled out or, if it is a marker, may be one token. The white space of the
    /// closing may be missing, as for the parser.
    fn tagged_text(&mut self, least: u64, most: Option<u64>, closing: &'static str) -> String {
        let most = most.map_or_else(String::new, |most| most.to_string());
        let (margin, tag) = closing.split_at(closing.len() - closing.trim_start().len());
        let margin = if margin.is_empty() { String::new() } else { format!("{}?", quoted(margin)) };
        let tag = quoted(tag);
        // A lazy lexeme holds no closing before its end, save among the characters that it
        // has to have. To exclude the closing everywhere is past the library's bounds
        // together with a bound of 2,000 characters.
        let long_enough = match least.checked_sub(1) {
            None => String::new(),
            Some(short) => format!(" & ~(/(?s:.{{0,{short}}})/ {margin} {tag} {ANY})"),
        };
        let spelled = format!("(/(?s:.{{{least},{most}}})/ {margin} {tag}){long_enough}");
        let spelled = self.shared("SPELLED", "", &spelled);
        let spelled = self.shared("spelled", "[lazy]", &spelled);
        if !self.format.markers.contains(&closing) {
            return spelled;
        }
        let marker = self.marker(closing);
        let text = self.shared("VALUE", "", &format!("/(?s:.{{{},{most}}})/{long_enough}", least.max(1)));
        let optional = if least == 0 { "?" } else { "" };
        format!("({spelled} | {text}{optional} {marker})")
    }

    /// The name of a rule with this body; rules with equal bodies are one.
    fn shared(&mut self, name: &str, attribute: &str, body: &str) -> String {
        let key = format!("{name}{attribute}: {body}");
        if let Some(known) = self.shared.get(&key) {
            return known.clone();
        }
        let known = format!("{name}_{}", self.shared.len());
        self.rule(&format!("{known}{attribute}"), body);
        self.shared.insert(key, known.clone());
        known
    }

    /// Calls in the model's own form, and nothing else.
    fn native(&mut self) -> String {
        let CallFormat { prelude, begin, end, .. } = self.format;
        let prelude = if prelude.is_empty() { String::new() } else { format!("({})?", self.words(prelude)) };
        let (begin, end) = (self.words(begin), self.words(end));
        format!("{prelude} {begin} call more_calls {end}")
    }

    /// Bare calls, perhaps in a list and perhaps in a code fence, and nothing else.
    fn bare(&mut self) -> Option<String> {
        match self.format.shape {
            Shape::Object { .. } => {
                let rest = self.more_bare();
                Some(format!("(\"```\" \"json\"? GAP?)? (\"[\" GAP?)? call_body {rest}"))
            }
            Shape::Named { .. } | Shape::Tagged { .. } => None,
        }
    }

    /// What may follow a bare call.
    fn more_bare(&mut self) -> String {
        self.rule("JOIN", "WS /[,;]?/ WS | WS \"```\" WS \"```\" \"json\"? WS");
        self.rule("TAIL", "WS \"}\"? WS \"]\"? WS \"```\"? WS");
        format!("(JOIN? call_body){{0,{}}} TAIL?", CALL_LIMIT - 1)
    }

    /// An answer whose thoughts are between tags.
    fn tagged(
        &mut self,
        reasoning: Reasoning,
        thinks: bool,
        prompt_tail: &str,
        calls: Calls,
        answer: Answer<'_>,
    ) -> String {
        let native = if self.callable.is_empty() { String::new() } else { self.native() };
        let (body, is_free) = match (calls, answer) {
            (Calls::None | Calls::Forbidden | Calls::Finished | Calls::Allowed, Answer::Json(_) | Answer::Rules(_))
                if self.callable.is_empty() =>
            {
                ("GAP? answer".to_owned(), false)
            }
            (Calls::Required, Answer::Free | Answer::Json(_) | Answer::Rules(_)) if !self.callable.is_empty() => {
                (format!("GAP? {native} GAP?"), false)
            }
            (Calls::Required, Answer::Free | Answer::Json(_) | Answer::Rules(_)) => ("GAP? answer".to_owned(), false),
            (Calls::None | Calls::Forbidden | Calls::Finished | Calls::Allowed, Answer::Json(_) | Answer::Rules(_)) => {
                let bare = self.bare().map_or_else(String::new, |bare| format!("| {bare}"));
                (format!("GAP? ({native} GAP? {bare} | answer)"), false)
            }
            (Calls::None | Calls::Forbidden | Calls::Finished | Calls::Allowed, Answer::Free) => {
                (self.free(reasoning, calls), true)
            }
        };
        let opened = reasoning.opened_by(prompt_tail);
        // Whoever may say anything may also think: the parser understands it.
        let thoughts = if thinks || is_free { self.thoughts(reasoning, is_free) } else { String::new() };
        let first = opened.and_then(|(marker, _)| {
            reasoning.tags().into_iter().find(|&(open, _)| open == marker).map(|(_, close)| self.until(close))
        });
        self.rule("body", &body);
        format!("{} {thoughts} body", first.unwrap_or_default())
    }

    /// Any number of thoughts.
    fn thoughts(&mut self, reasoning: Reasoning, beside_text: bool) -> String {
        let mut choices = Vec::new();
        for (index, (open, close)) in reasoning.tags().into_iter().enumerate() {
            let marker = self.marker(open);
            let close = self.until(close);
            choices.push(format!("GAP? {marker} {close}"));
            if beside_text {
                // Spelled out, the marker is one lexeme with the white space before it,
                // so that it is as long as free text could be.
                self.rule(&format!("THINK_{index}"), &format!("/\\s*/ {}", quoted(open)));
                choices.push(format!("THINK_{index} {close}"));
            }
        }
        self.rule("thought", &choices.join(" | "));
        "thought*".to_owned()
    }

    /// Text up to a marker, and the marker.
    fn until(&mut self, marker: &'static str) -> String {
        let (index, text) = (self.until_count, quoted(marker));
        self.until_count += 1;
        self.rule(&format!("UNTIL_{index}"), &format!("{ANY} {text}"));
        self.rule(&format!("until_{index}[lazy]"), &format!("UNTIL_{index}"));
        self.rule(&format!("WITHOUT_{index}"), &format!("/(?s:.+)/ & ~({ANY} {text} {ANY})"));
        format!("(until_{index} | WITHOUT_{index}? {})", self.marker(marker))
    }

    /// Free text, or text and the calls after it.
    fn free(&mut self, reasoning: Reasoning, calls: Calls) -> String {
        let opens: Vec<_> = reasoning.tags().into_iter().map(|(open, _)| quoted(open)).collect();
        self.rule("VISIBLE", &format!("~(/\\s*/ ({}) {ANY})", opens.join(" | ")));
        if self.callable.is_empty() {
            self.triggers();
            let begins = if calls == Calls::Finished { format!(" & ~({PROGRAM} {ANY})") } else { String::new() };
            self.rule("TEXT", &format!("/(?s:.+)/ & ~({ANY} TRIGGER {ANY}) & VISIBLE{begins}"));
            return "| TEXT".to_owned();
        }
        self.triggers();
        match self.format.shape {
            Shape::Named { .. } | Shape::Tagged { .. } => {}
            Shape::Object { .. } => {
                let names = |function: &Callable| quoted(&json_string(&function.name)[1..]);
                let names: Vec<_> = self.callable.iter().map(names).collect();
                self.rule("UNCALLED", &format!("~(({}) {ANY})", names.join(" | ")));
                let called = names.iter().enumerate().map(|(index, name)| format!("{name} rest_{index}"));
                let (called, more) = (called.collect::<Vec<_>>().join(" | "), self.more_bare());
                // After `{"name": "` comes a function's name, or more text.
                let uncalled = self.text("_after", "UNCALLED");
                self.rule("named", &format!("({called}) {more} | {uncalled}"));
            }
        }
        self.text("", "VISIBLE")
    }

    /// What a call begins with: also the bare object that some models write for one.
    fn triggers(&mut self) {
        let trigger = quoted(self.format.trigger);
        match self.format.shape {
            Shape::Named { .. } | Shape::Tagged { .. } => self.rule("TRIGGER", &trigger),
            Shape::Object { .. } => {
                self.rule("LEAD", &format!("\"{{\" WS {} WS \":\" WS {}", quoted("\"name\""), quoted("\"")));
                self.rule("TRIGGER", &format!("{trigger} | LEAD"));
            }
        }
    }

    /// Text under a condition, and the calls after it.
    fn text(&mut self, suffix: &str, condition: &str) -> String {
        let (upper, trigger) = (suffix.to_uppercase(), self.format.trigger);
        self.rule(&format!("TEXT{upper}"), &format!("/(?s:.+)/ & ~({ANY} TRIGGER {ANY}) & {condition}"));
        self.rule(&format!("HEAD{upper}"), &format!("({ANY} {}) & {condition}", quoted(trigger)));
        self.rule(&format!("head{suffix}[lazy]"), &format!("HEAD{upper}"));
        let marker = self.words(trigger);
        let (rest, close) = (self.words(&self.format.after_trigger()), self.words(self.format.close));
        let end = self.words(self.format.end);
        let mut text = format!(
            "| TEXT{upper} | (head{suffix} | TEXT{upper}? {marker}) {rest} call_body {close} more_calls {end} GAP?"
        );
        match self.format.shape {
            Shape::Named { .. } | Shape::Tagged { .. } => {}
            Shape::Object { .. } => {
                self.rule(&format!("LEADING{upper}"), &format!("({ANY} LEAD) & {condition}"));
                self.rule(&format!("leading{suffix}[lazy]"), &format!("LEADING{upper}"));
                let _ = write!(text, " | leading{suffix} named");
            }
        }
        text
    }

    /// An answer in channels.
    fn channels(&mut self, reasoning: Reasoning, prompt_tail: &str, calls: Calls, answer: Answer<'_>) -> String {
        let again = self.words("<|start|>assistant");
        let end_thought = self.until("<|end|>");
        let analysis = self.words("<|channel|>analysis<|message|>");
        let mut notes = vec![format!("{analysis} {end_thought} {again}")];
        let last = self.words("<|channel|>final<|message|>");
        let mut bodies = Vec::new();
        let mut said = "";
        if calls != Calls::Required || self.callable.is_empty() {
            said = match answer {
                Answer::Free => {
                    let markers: Vec<_> = reasoning
                        .markers_in(Place::Text)
                        .iter()
                        .map(|(marker, _)| quoted(marker))
                        .chain([quoted(self.format.trigger)])
                        .collect();
                    self.rule("TEXT", &format!("/(?s:.+)/ & ~({ANY} ({}) {ANY})", markers.join(" | ")));
                    let preamble = self.words("<|channel|>commentary<|message|>");
                    notes.push(format!("{preamble} {end_thought} {again}"));
                    "TEXT?"
                }
                Answer::Json(_) | Answer::Rules(_) => "GAP? answer",
            };
            bodies.push(format!("{last} {said}"));
        }
        if !self.callable.is_empty() {
            bodies.push(self.native());
        }
        self.rule("note", &notes.join(" | "));
        self.rule("body", &bodies.join(" | "));
        match reasoning.opened_by(prompt_tail) {
            Some((_, Place::Thought)) => format!("{end_thought} {again} note* body"),
            Some((_, Place::Text)) if !said.is_empty() => said.to_owned(),
            Some((_, Place::Text | Place::Opening)) | None => "note* body".to_owned(),
        }
    }

    /// A text of the format: markers, white space and words. A trigger is taken exactly.
    fn words(&mut self, text: &str) -> String {
        let trigger = self.format.trigger;
        self.spelled(text, if text.starts_with(trigger) { trigger.len() } else { 0 })
    }

    /// A text of the format whose white space at its end is taken exactly.
    fn tight(&mut self, text: &str) -> String {
        let (words, margin) = text.split_at(text.trim_end().len());
        format!("{} {}", self.words(words), self.exact(margin))
    }

    /// A text of the format whose white space is taken exactly.
    fn exact(&mut self, text: &str) -> String {
        self.spelled(text, text.len())
    }

    /// As `words`; the first `exact` bytes are taken exactly.
    fn spelled(&mut self, text: &str, exact: usize) -> String {
        let format = self.format;
        let known = move |text: &str| {
            let markers = format.markers.iter().chain(&["<|end|>"]);
            markers.copied().find(|marker| text.starts_with(marker))
        };
        let mut words = String::new();
        let mut rest = text;
        while let Some(first) = rest.chars().next() {
            if let Some(marker) = known(rest) {
                let _ = write!(words, "{} ", self.marker(marker));
                rest = &rest[marker.len()..];
            } else if first.is_whitespace() && text.len() - rest.len() >= exact {
                words.push_str("GAP? ");
                rest = rest.trim_start();
            } else {
                let begun = text.len() - rest.len();
                let ends = |&(at, character): &(usize, char)| {
                    (character.is_whitespace() && begun + at >= exact) || known(&rest[at..]).is_some()
                };
                let end = rest.char_indices().find(ends).map_or(rest.len(), |(at, _)| at);
                let _ = write!(words, "{} ", quoted(&rest[..end]));
                rest = &rest[end..];
            }
        }
        words
    }

    fn marker(&mut self, text: &'static str) -> String {
        let index = self.markers.iter().position(|marker| *marker == text).unwrap_or_else(|| {
            self.markers.push(text);
            self.markers.len() - 1
        });
        format!("marker_{index}")
    }

    fn rule(&mut self, name: &str, body: &str) {
        let _ = writeln!(self.rules, "{name}: {body}");
    }
}

/// A literal of Lark, which are those of JSON without control characters.
fn quoted(text: &str) -> String {
    json_string(text).replace('\u{7f}', "\\u007f")
}

fn json_string(text: &str) -> String {
    Value::from(text).to_string()
}
