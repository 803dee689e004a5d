//! How a model sets its reasoning apart from its answer.

/// The markers around a model's reasoning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reasoning {
    /// A pair of tags around a thought. A thought comes before the answer: tags inside
    /// the visible text are text, so that a model can write about them. `<think>` is
    /// understood from any model beside its own tags.
    Tagged {
        /// Begins a thought.
        open: &'static str,
        /// Ends it.
        close: &'static str,
    },
    /// Channels of messages (`analysis`, `commentary`, `final`), each with its header.
    Harmony,
}

/// Which kind of text is being read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// Before a text whose kind is not yet known.
    Opening,
    Thought,
    Text,
}

/// A marker, and the place after it.
pub(crate) type Marker = (&'static str, Place);

const THINK: Reasoning = Reasoning::Tagged { open: "<think>", close: "</think>" };

const TAGS: [Reasoning; 5] = [
    Reasoning::Tagged { open: "<seed:think>", close: "</seed:think>" },
    Reasoning::Tagged { open: "[THINK]", close: "[/THINK]" },
    Reasoning::Tagged { open: "<thought>", close: "</thought>" },
    Reasoning::Tagged { open: "<reasoning>", close: "</reasoning>" },
    THINK,
];

/// A channel without an entry here is shown with its header: nothing is lost in silence.
const HARMONY: [Marker; 5] = [
    ("<|channel|>analysis<|message|>", Place::Thought),
    ("<|channel|>commentary<|message|>", Place::Text),
    ("<|channel|>final<|message|>", Place::Text),
    ("<|start|>assistant", Place::Opening),
    ("<|end|>", Place::Opening),
];

impl Reasoning {
    /// The markers that a chat template mentions, else `<think>`; and whether it
    /// mentions any.
    pub(crate) fn of_template(source: &str) -> (Self, bool) {
        if source.contains("<|channel|>") && source.contains("<|message|>") {
            return (Self::Harmony, true);
        }
        let mentioned = TAGS.into_iter().find(|reasoning| match reasoning {
            Self::Tagged { open, .. } => source.contains(open),
            Self::Harmony => false,
        });
        mentioned.map_or((THINK, false), |reasoning| (reasoning, true))
    }

    /// What is written before and after an earlier thought.
    pub(crate) fn around_thought(self) -> (String, String) {
        match self {
            Self::Tagged { open, close } => (format!("{open}\n"), format!("\n{close}\n\n")),
            Self::Harmony => ("<|channel|>analysis<|message|>".to_owned(), "<|end|><|start|>assistant".to_owned()),
        }
    }

    /// The marker by whose thought or text a prompt was left open, if there is one, and
    /// what the answer begins with.
    pub(crate) fn opened_by(self, prompt_tail: &str) -> Option<Marker> {
        let prompt_tail = prompt_tail.trim_end();
        self.markers_in(Place::Opening).into_iter().find(|(marker, _)| prompt_tail.ends_with(marker))
    }

    /// The special tokens that have to be visible in the text given to the parser. A
    /// model that has no such token writes the marker in ordinary ones.
    pub(crate) fn markers(self) -> Vec<&'static str> {
        match self {
            Self::Tagged { .. } => self.tags().into_iter().flat_map(|(open, close)| [open, close]).collect(),
            Self::Harmony => vec!["<|start|>", "<|channel|>", "<|message|>", "<|end|>"],
        }
    }

    /// The markers that count in a place. None of them holds another.
    pub(crate) fn markers_in(self, place: Place) -> Vec<Marker> {
        match (self, place) {
            (Self::Tagged { .. }, Place::Opening) => {
                self.tags().into_iter().map(|(open, _)| (open, Place::Thought)).collect()
            }
            (Self::Tagged { .. }, Place::Thought) => {
                self.tags().into_iter().map(|(_, close)| (close, Place::Opening)).collect()
            }
            (Self::Tagged { .. }, Place::Text) => Vec::new(),
            (Self::Harmony, Place::Opening | Place::Thought | Place::Text) => HARMONY.to_vec(),
        }
    }

    pub(crate) fn tags(self) -> Vec<(&'static str, &'static str)> {
        let mut tags: Vec<_> = [self, THINK]
            .into_iter()
            .filter_map(|reasoning| match reasoning {
                Self::Tagged { open, close } => Some((open, close)),
                Self::Harmony => None,
            })
            .collect();
        tags.dedup();
        tags
    }
}
