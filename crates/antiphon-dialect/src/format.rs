//! How a model writes the calls of functions, as data.
//!
//! What a call looks like is said here once. The grammar that a call must follow, the
//! parser that reads it, the way earlier calls are written into a prompt and the words
//! in which a model is told of the form are derived from it, so they cannot disagree.

use serde_json::Value;

use crate::conversation::{Call, Segment};
use crate::jinja::json_text;
use crate::parameter::parameters;

/// The form of calls. A run of white space in its texts stands for any white space, or none.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct CallFormat {
    /// Pieces of the texts below that may be special tokens.
    pub(crate) markers: &'static [&'static str],
    /// Begins a call wherever it stands in visible text; the first words of the three
    /// texts that follow here.
    pub(crate) trigger: &'static str,
    /// May stand before the first call; it is understood, and never written by us.
    pub(crate) prelude: &'static str,
    /// Before the first call, and after the last.
    pub(crate) begin: &'static str,
    pub(crate) end: &'static str,
    /// Between text and the calls after it.
    pub(crate) after_text: &'static str,
    /// Between two calls.
    pub(crate) separator: &'static str,
    /// Before and after each call.
    pub(crate) open: &'static str,
    pub(crate) close: &'static str,
    pub(crate) shape: Shape,
}

/// What stands between a call's opening and its closing.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// `{"name": …, "arguments": …}`, the second key being `arguments`. Models that know
    /// this shape also write it bare or in a code fence, so that is understood, too.
    Object { arguments: &'static str },
    /// The name as it is, `between`, and the object of the arguments.
    Named { between: &'static str },
    /// The name as it is, `after_name`, and each argument in tags: a string as it is and
    /// any other value as JSON. Where a string stands, white space is taken exactly.
    Tagged {
        after_name: &'static str,
        before_key: &'static str,
        before_value: &'static str,
        after_value: &'static str,
        /// After the last argument.
        end: &'static str,
    },
}

/// Qwen, Hermes and many others; also what a model is told that has no form of its own.
const HERMES: CallFormat = CallFormat {
    markers: &["<tool_call>", "</tool_call>"],
    trigger: "<tool_call>",
    prelude: "",
    begin: "",
    end: "",
    after_text: "\n",
    separator: "\n",
    open: "<tool_call>\n",
    close: "\n</tool_call>",
    shape: Shape::Object { arguments: "arguments" },
};

const LLAMA: CallFormat = CallFormat {
    markers: &["<|python_tag|>"],
    trigger: "<|python_tag|>",
    prelude: "<|python_tag|>",
    begin: "",
    end: "",
    after_text: "\n",
    separator: "; ",
    open: "",
    close: "",
    shape: Shape::Object { arguments: "parameters" },
};

const MISTRAL_LIST: CallFormat = CallFormat {
    markers: &["[TOOL_CALLS]"],
    trigger: "[TOOL_CALLS]",
    prelude: "",
    begin: "[TOOL_CALLS] [",
    end: "]",
    after_text: "",
    separator: ", ",
    open: "",
    close: "",
    shape: Shape::Object { arguments: "arguments" },
};

const MISTRAL_NAMED: CallFormat = CallFormat {
    markers: &["[TOOL_CALLS]", "[ARGS]"],
    trigger: "[TOOL_CALLS]",
    prelude: "",
    begin: "",
    end: "",
    after_text: "",
    separator: "",
    open: "[TOOL_CALLS]",
    close: "",
    shape: Shape::Named { between: "[ARGS]" },
};

const DEEPSEEK_MARKERS: &[&str] = &[
    "<｜tool▁calls▁begin｜>",
    "<｜tool▁call▁begin｜>",
    "<｜tool▁sep｜>",
    "<｜tool▁call▁end｜>",
    "<｜tool▁calls▁end｜>",
];

/// V3 and R1.
const DEEPSEEK_FENCED: CallFormat = CallFormat {
    markers: DEEPSEEK_MARKERS,
    trigger: "<｜tool▁calls▁begin｜>",
    prelude: "",
    begin: "<｜tool▁calls▁begin｜>",
    end: "<｜tool▁calls▁end｜>",
    after_text: "",
    separator: "\n",
    open: "<｜tool▁call▁begin｜>function<｜tool▁sep｜>",
    close: "\n```<｜tool▁call▁end｜>",
    shape: Shape::Named { between: "\n```json\n" },
};

/// V3.1 and later.
const DEEPSEEK_PLAIN: CallFormat = CallFormat {
    markers: DEEPSEEK_MARKERS,
    trigger: "<｜tool▁calls▁begin｜>",
    prelude: "",
    begin: "<｜tool▁calls▁begin｜>",
    end: "<｜tool▁calls▁end｜>",
    after_text: "",
    separator: "",
    open: "<｜tool▁call▁begin｜>",
    close: "<｜tool▁call▁end｜>",
    shape: Shape::Named { between: "<｜tool▁sep｜>" },
};

/// The token `<|call|>` ends the generation, so a call is the last thing in it.
const HARMONY: CallFormat = CallFormat {
    markers: &["<|start|>", "<|channel|>", "<|constrain|>", "<|message|>", "<|call|>"],
    trigger: "<|channel|>commentary to=functions.",
    prelude: "",
    begin: "",
    end: "",
    after_text: "",
    separator: "<|call|><|start|>assistant",
    open: "<|channel|>commentary to=functions.",
    close: "",
    shape: Shape::Named { between: " <|constrain|>json<|message|>" },
};

/// Qwen3-Coder.
const QWEN_TAGGED: CallFormat = CallFormat {
    markers: &["<tool_call>", "</tool_call>"],
    trigger: "<tool_call>",
    prelude: "",
    begin: "",
    end: "",
    after_text: "\n\n",
    separator: "\n",
    open: "<tool_call>\n<function=",
    close: "\n</tool_call>",
    shape: Shape::Tagged {
        after_name: ">\n",
        before_key: "<parameter=",
        before_value: ">\n",
        after_value: "\n</parameter>\n",
        end: "</function>",
    },
};

/// GLM 4.5 and later.
const GLM_TAGGED: CallFormat = CallFormat {
    markers: &["<tool_call>", "</tool_call>", "<arg_key>", "</arg_key>", "<arg_value>", "</arg_value>"],
    trigger: "<tool_call>",
    prelude: "",
    begin: "",
    end: "",
    after_text: "\n",
    separator: "\n",
    open: "<tool_call>",
    close: "",
    shape: Shape::Tagged {
        after_name: "\n",
        before_key: "<arg_key>",
        before_value: "</arg_key>\n<arg_value>",
        after_value: "</arg_value>\n",
        end: "</tool_call>",
    },
};

/// Words by which a template shows that its model writes each argument in tags of its
/// own. The declaration of tools of one whose tags are not known would teach a form that
/// is not read here.
const ARGUMENTS_IN_TAGS: [&str; 3] = ["<function=", "<arg_key>", "<parameter="];

impl CallFormat {
    /// The form that a chat template uses, else the one of Hermes, of which a model has
    /// to be told.
    pub(crate) fn of_template(source: &str) -> &'static Self {
        let has = |text: &str| source.contains(text);
        if has("<|channel|>") && has("<|message|>") {
            &HARMONY
        } else if has("[TOOL_CALLS]") && has("[ARGS]") {
            &MISTRAL_NAMED
        } else if has("[TOOL_CALLS]") {
            &MISTRAL_LIST
        } else if has("<｜tool▁calls▁begin｜>") && has("```json") {
            &DEEPSEEK_FENCED
        } else if has("<｜tool▁calls▁begin｜>") {
            &DEEPSEEK_PLAIN
        } else if has("<function=") && has("<parameter=") {
            &QWEN_TAGGED
        } else if has("<arg_key>") && has("<arg_value>") {
            &GLM_TAGGED
        } else if has("<|start_header_id|>") && (has("<|python_tag|>") || has("\"parameters\"")) {
            &LLAMA
        } else {
            &HERMES
        }
    }

    /// Whether a template's own declaration of tools teaches a form that is read here.
    pub(crate) fn is_taught_by(&self, source: &str) -> bool {
        match self.shape {
            Shape::Object { .. } | Shape::Named { .. } => !ARGUMENTS_IN_TAGS.iter().any(|tag| source.contains(tag)),
            Shape::Tagged { .. } => true,
        }
    }

    /// The form for functions whose arguments have these schemas (normalised for
    /// llguidance's `%json`): this one, or the one of Hermes, which takes any, where one
    /// of them does not fit.
    pub(crate) fn taking<'a>(&'static self, mut schemas: impl Iterator<Item = &'a Value>) -> &'static Self {
        let takes = |schema: &Value| match self.shape {
            Shape::Object { .. } | Shape::Named { .. } => true,
            Shape::Tagged { after_value, .. } => parameters(schema, after_value.trim()).is_some(),
        };
        if schemas.all(takes) { self } else { &HERMES }
    }

    /// What follows the trigger before the first call's name.
    pub(crate) fn after_trigger(&self) -> String {
        let lead = [self.prelude, self.begin, self.open].concat();
        lead.strip_prefix(self.trigger).map(str::to_owned).unwrap_or_default()
    }

    /// Writes calls that the model made earlier.
    pub(crate) fn write(&self, calls: &[Call]) -> Vec<Segment> {
        let mut segments = vec![Segment::Control(self.begin.to_owned())];
        for (index, call) in calls.iter().enumerate() {
            let separator = if index == 0 { "" } else { self.separator };
            let arguments = || Segment::Data(json_text(&call.arguments));
            match self.shape {
                Shape::Object { arguments: key } => segments.extend([
                    Segment::Control(format!("{separator}{}{{\"name\": ", self.open)),
                    Segment::Data(json_text(&call.name)),
                    Segment::Control(format!(", \"{key}\": ")),
                    arguments(),
                    Segment::Control(format!("}}{}", self.close)),
                ]),
                Shape::Named { between } => segments.extend([
                    Segment::Control(format!("{separator}{}", self.open)),
                    Segment::Data(call.name.clone()),
                    Segment::Control(between.to_owned()),
                    arguments(),
                    Segment::Control(self.close.to_owned()),
                ]),
                Shape::Tagged { after_name, before_key, before_value, after_value, end } => {
                    segments.extend([
                        Segment::Control(format!("{separator}{}", self.open)),
                        Segment::Data(call.name.clone()),
                        Segment::Control(after_name.to_owned()),
                    ]);
                    for (key, value) in &call.arguments {
                        segments.extend([
                            Segment::Control(before_key.to_owned()),
                            Segment::Data(key.clone()),
                            Segment::Control(before_value.to_owned()),
                            Segment::Data(value.as_str().map_or_else(|| json_text(value), str::to_owned)),
                            Segment::Control(after_value.to_owned()),
                        ]);
                    }
                    segments.push(Segment::Control(format!("{end}{}", self.close)));
                }
            }
        }
        segments.push(Segment::Control(self.end.to_owned()));
        segments
    }

    /// A call with placeholders, to tell a model of the form.
    pub(crate) fn example(&self) -> String {
        let Self { begin, end, open, close, .. } = self;
        match self.shape {
            Shape::Object { arguments } => format!(
                "{begin}{open}{{\"name\": <function-name>, \"{arguments}\": <arguments-as-a-JSON-object>}}{close}{end}"
            ),
            Shape::Named { between } => {
                format!("{begin}{open}<function-name>{between}<arguments-as-a-JSON-object>{close}{end}")
            }
            Shape::Tagged { after_name, before_key, before_value, after_value, end: last } => format!(
                "{begin}{open}function-name{after_name}{before_key}parameter-name{before_value}value{after_value}\
                 {last}{close}{end}\n\nEach parameter has tags of its own, in the order of its declaration. \
                 A value that is a string stands there as it is, and any other value as JSON."
            ),
        }
    }
}
