//! What a run costs, turn by turn.

use antiphon_wire::{GroundingToolCount, Modality, ModalityTokens, ServerTool, Usage};

use crate::backend::{FinishReason, MediaKind, ModelEvent, PreparedMedium};

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
    /// How much of it they are, where that is known.
    pub(super) media: Option<MediaTokens>,
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
    /// Of the input.
    pub(super) media: Option<MediaTokens>,
}

/// How many tokens of an input are media.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct MediaTokens {
    image: u64,
    audio: u64,
}

impl MediaTokens {
    /// None unless all media were counted, and are of kinds that are told apart.
    pub(super) fn of(media: &[PreparedMedium]) -> Option<Self> {
        let mut counted = Self::default();
        for medium in media {
            match medium.kind {
                MediaKind::Image => counted.image += medium.tokens,
                MediaKind::Audio => counted.audio += medium.tokens,
                MediaKind::Video | MediaKind::Document => return None,
            }
        }
        (!media.is_empty()).then_some(counted)
    }

    /// What the log says of them.
    fn logged(usage: &Usage) -> Option<Self> {
        let of = |modality| {
            let tokens = usage.input_tokens_by_modality.iter().find(|tokens| tokens.modality == modality);
            tokens.map_or(0, |tokens| tokens.tokens)
        };
        Some(Self { image: of(Modality::Image), audio: of(Modality::Audio) }).filter(|media| *media != Self::default())
    }

    fn by_modality(self, input: u64) -> Vec<ModalityTokens> {
        let text = input.saturating_sub(self.image + self.audio);
        let all = [(Modality::Text, text), (Modality::Image, self.image), (Modality::Audio, self.audio)];
        let some = all.into_iter().filter(|(_, tokens)| *tokens > 0);
        some.map(|(modality, tokens)| ModalityTokens { modality, tokens }).collect()
    }
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
        self.media = MediaTokens::logged(usage);
        self.searches = usage.grounding_tool_count.iter().map(|tool| tool.count).sum();
    }

    /// Adds what a turn cost. `first`: it read the request itself. Later ones read all that
    /// was read and written before them again, which is not counted twice: what is new is
    /// what tools gave. Where old results were left out, less is read than before.
    pub(super) fn end_turn(&mut self, first: bool) {
        let TurnCounts { input, cached, thought, output, has_words, media } = std::mem::take(&mut self.turn);
        self.captioned |= has_words;
        if first {
            self.input = input;
            self.cached = cached;
            self.media = media;
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
        match self.media {
            Some(media) => usage.input_tokens_by_modality = media.by_modality(self.input),
            // How much of the input is text nobody has said.
            None if self.mixed => usage.input_tokens_by_modality.clear(),
            None => {}
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
                // Another counted.
                self.media = None;
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

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;

    #[test]
    fn media_that_were_counted_are_told_by_their_kind_and_a_restart_knows_them() {
        let medium = |kind, tokens| PreparedMedium { kind, at: 0, tokens };
        let media = [medium(MediaKind::Image, 16), medium(MediaKind::Audio, 5), medium(MediaKind::Image, 4)];
        let turn = TurnCounts { input: 40, media: MediaTokens::of(&media), output: 3, ..TurnCounts::default() };
        let mut counts = Counts { mixed: true, turn, ..Counts::default() };
        counts.end_turn(true);
        let tokens = |modality, tokens| ModalityTokens { modality, tokens };
        let expected = [tokens(Modality::Text, 15), tokens(Modality::Image, 20), tokens(Modality::Audio, 5)];
        assert_eq!(counts.usage().input_tokens_by_modality, expected);

        let mut taken_up = Counts { mixed: true, ..Counts::default() };
        taken_up.take_up(&counts.usage());
        assert_eq!(taken_up.usage().input_tokens_by_modality, expected);
    }

    #[test]
    fn what_nobody_has_counted_by_kinds_is_not_told() {
        let medium = |kind| PreparedMedium { kind, at: 0, tokens: 9 };
        assert_eq!(MediaTokens::of(&[]), None);
        assert_eq!(MediaTokens::of(&[medium(MediaKind::Image), medium(MediaKind::Video)]), None);
        let media = MediaTokens::of(&[medium(MediaKind::Image)]);
        let mut turn = TurnCounts { input: 20, media, ..TurnCounts::default() };
        turn.take(&ModelEvent::Counted { input_tokens: 30, cached_tokens: 0, output_tokens: 0 });
        let mut counts = Counts { mixed: true, turn, ..Counts::default() };
        counts.end_turn(true);
        assert_eq!(counts.usage().input_tokens_by_modality, [], "another model has counted");
    }
}
