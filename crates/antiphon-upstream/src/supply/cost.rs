//! What several tries at one answer cost together.

use antiphon_engine::{FinishReason, ModelEvent};

#[derive(Default)]
pub(super) struct Cost {
    /// Input and cached tokens of the try at hand.
    current: (u64, u64),
    /// Of the tries that are over.
    input: u64,
    cached: u64,
    thought: u64,
    output: u64,
    tries: u32,
}

impl Cost {
    /// Whether no try is over.
    pub(super) fn is_first_try(&self) -> bool {
        self.tries == 0
    }

    /// What to say when the try at hand says that it has cost so much.
    pub(super) fn counted(&mut self, input: u64, cached: u64, output: u64) -> ModelEvent {
        self.current = (input, cached);
        self.so_far(output)
    }

    /// The try at hand is over.
    pub(super) fn end_try(&mut self, thought: u64, output: u64) {
        let (input, cached) = std::mem::take(&mut self.current);
        self.input += input;
        self.cached += cached;
        self.thought += thought;
        self.output += output;
        self.tries += 1;
    }

    /// The end of all.
    pub(super) fn end(&self, reason: FinishReason) -> [ModelEvent; 2] {
        let finished =
            ModelEvent::Finished { reason, exact: false, thought_tokens: self.thought, output_tokens: self.output };
        [self.so_far(0), finished]
    }

    /// An event of another try, with what the tries before it cost.
    pub(super) fn added_to(&self, event: ModelEvent) -> ModelEvent {
        match event {
            ModelEvent::Counted { input_tokens, cached_tokens, output_tokens } => ModelEvent::Counted {
                input_tokens: self.input + input_tokens,
                cached_tokens: self.cached + cached_tokens,
                output_tokens: self.thought + self.output + output_tokens,
            },
            ModelEvent::Finished { reason, exact, thought_tokens, output_tokens } => ModelEvent::Finished {
                reason,
                exact,
                thought_tokens: self.thought + thought_tokens,
                output_tokens: self.output + output_tokens,
            },
            event => event,
        }
    }

    /// What is known so far, with the output of the try at hand.
    pub(super) fn so_far(&self, output: u64) -> ModelEvent {
        let (input, cached) = self.current;
        ModelEvent::Counted {
            input_tokens: self.input + input,
            cached_tokens: self.cached + cached,
            output_tokens: self.thought + self.output + output,
        }
    }
}
