//! What a run costs, turn by turn.

use antiphon_wire::{GroundingToolCount, Modality, ModalityTokens, ServerTool, Usage};

use crate::backend::{FinishReason, ModelEvent};

/// What is known of the cost so far.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Counts {
    pub(super) input: u64,
    pub(super) cached: u64,
    pub(super) thought: u64,
    pub(super) output: u64,
    /// What tools gave the model to read.
    pub(super) tool_use: u64,
    /// What the last turn has read and written.
    read: u64,
    pub(super) searches: u64,
    /// Whether the input holds media.
    pub(super) mixed: bool,
    /// Whether the output is a picture.
    pub(super) drawn: bool,
    /// Whether each turn reads only what it has to, and not all that was before.
    pub(super) apart: bool,
    /// Whether words stand beside it.
    pub(super) captioned: bool,
    /// Of the turn at hand.
    pub(super) turn: TurnCounts,
}

#[derive(Clone, Copy, Debug, Default)]
pub(super) struct TurnCounts {
    pub(super) input: u64,
    pub(super) cached: u64,
    pub(super) thought: u64,
    pub(super) output: u64,
    pub(super) has_words: bool,
}

impl Counts {
    /// What the log says that earlier turns cost.
    pub(super) fn take_up(&mut self, usage: &Usage) {
        self.input = usage.total_input_tokens;
        self.cached = usage.total_cached_tokens;
        self.thought = usage.total_thought_tokens;
        self.output = usage.total_output_tokens;
        self.tool_use = usage.total_tool_use_tokens;
        self.read = self.input + self.tool_use + self.thought + self.output;
        self.searches = usage.grounding_tool_count.iter().map(|tool| tool.count).sum();
    }

    /// Adds what a turn cost. `first`: it read the request itself. Later ones read all that
    /// was read and written before them again, which is not counted twice: what is new is
    /// what tools gave. Where old results were left out, less is read than before.
    pub(super) fn end_turn(&mut self, first: bool) {
        let TurnCounts { input, cached, thought, output, has_words } = std::mem::take(&mut self.turn);
        self.captioned |= has_words;
        if first {
            self.input = input;
            self.cached = cached;
        } else if self.apart {
            self.tool_use += input;
        } else {
            self.tool_use += input.saturating_sub(self.read);
        }
        self.read = input + thought + output;
        self.thought += thought;
        self.output += output;
    }

    /// What a budget of tokens is charged with: all but what came from a cache (spec 06).
    pub(super) fn charged(&self) -> u64 {
        self.input.saturating_sub(self.cached) + self.tool_use + self.thought + self.output
    }

    pub(super) fn usage(&self) -> Usage {
        let mut usage = Usage::of_text(self.input, self.cached, self.output, self.thought);
        usage.total_tool_use_tokens = self.tool_use;
        usage.total_tokens += self.tool_use;
        if self.mixed {
            // How much of the input is text nobody has said.
            usage.input_tokens_by_modality.clear();
        }
        if self.drawn && self.captioned {
            // Nobody has said either how many of these the words are.
            usage.output_tokens_by_modality.clear();
        } else if self.drawn {
            usage.output_tokens_by_modality = vec![ModalityTokens { modality: Modality::Image, tokens: self.output }];
        }
        if self.searches > 0 {
            let kind = ServerTool::GoogleSearch.as_str().to_owned();
            usage.grounding_tool_count = vec![GroundingToolCount { kind, count: self.searches }];
        }
        usage
    }
}

impl TurnCounts {
    /// Counts an event; the reason if it is the last one.
    pub(super) fn take(&mut self, event: &ModelEvent) -> Option<FinishReason> {
        match event {
            ModelEvent::Started { cached_tokens } => self.cached = *cached_tokens,
            ModelEvent::Counted { input_tokens, cached_tokens, output_tokens } => {
                self.input = *input_tokens;
                self.cached = *cached_tokens;
                self.output = *output_tokens;
            }
            ModelEvent::ServedBy { .. } | ModelEvent::Signed(_) | ModelEvent::Picture(_) => {}
            ModelEvent::Thought { tokens, .. } => self.thought += tokens.len() as u64,
            ModelEvent::Text { text, tokens } => {
                self.has_words |= !text.is_empty();
                self.output += tokens.len() as u64;
            }
            ModelEvent::CallStarted { tokens, .. } | ModelEvent::CallArguments { tokens, .. } => {
                self.output += tokens.len() as u64
            }
            ModelEvent::Finished { reason, thought_tokens, output_tokens, .. } => {
                self.thought = *thought_tokens;
                self.output = *output_tokens;
                return Some(*reason);
            }
        }
        None
    }
}
