//! From a model's raw text to the events of one call: reasoning apart from the answer,
//! cut at stop sequences, every token counted once.

use antiphon_dialect::{Output, OutputParser, Reasoning};
use antiphon_engine::{BackendError, FinishReason, ModelEvent, ModelStream};
use futures_core::Stream;
use futures_util::{StreamExt as _, stream};

/// What a model says before anybody has read it.
#[derive(Clone, Debug)]
pub(crate) enum Raw {
    Started {
        cached_tokens: u64,
    },
    /// Whole characters, and the tokens that were generated for them. Text of an earlier
    /// life comes first, without tokens.
    Chunk {
        text: String,
        tokens: Vec<u32>,
    },
    Finished {
        reason: FinishReason,
    },
}

/// Reads one answer.
pub(crate) struct Answer {
    parser: OutputParser,
    thinking: bool,
    thought_tokens: u64,
    output_tokens: u64,
    /// Bytes that came in and bytes that were given out as the answer: they differ when
    /// something was cut.
    raw_bytes: usize,
    text_bytes: usize,
}

impl Answer {
    /// `prompt_tail` is the end of the prompt: some models' prompts open the reasoning
    /// for them.
    pub(crate) fn new(reasoning: Reasoning, prompt_tail: &str, stop_sequences: Vec<String>) -> Self {
        Self {
            parser: OutputParser::new(reasoning, prompt_tail, stop_sequences),
            thinking: false,
            thought_tokens: 0,
            output_tokens: 0,
            raw_bytes: 0,
            text_bytes: 0,
        }
    }

    /// Counts tokens that an earlier life of the call had generated.
    pub(crate) fn with_resumed(mut self, tokens: u64) -> Self {
        self.output_tokens += tokens;
        self
    }

    /// Reads the whole answer. The raw stream is dropped as soon as nothing more of it
    /// counts, which ends the model's work.
    pub(crate) fn of(self, raw: impl Stream<Item = Result<Raw, BackendError>> + Send + 'static) -> ModelStream {
        let events = stream::unfold(Some((self, raw.boxed())), |state| async move {
            let (mut answer, mut raw) = state?;
            let (events, ended) = match raw.next().await {
                None => (vec![Err(BackendError::Internal("a model's answer had no end".to_owned()))], true),
                Some(Err(error)) => (vec![Err(error)], true),
                Some(Ok(item)) => {
                    let (events, ended) = answer.take(item);
                    (events.into_iter().map(Ok).collect(), ended)
                }
            };
            Some((stream::iter(events), (!ended).then_some((answer, raw))))
        });
        events.flatten().boxed()
    }

    fn take(&mut self, item: Raw) -> (Vec<ModelEvent>, bool) {
        match item {
            Raw::Started { cached_tokens } => (vec![ModelEvent::Started { cached_tokens }], false),
            Raw::Chunk { text, tokens } => {
                self.raw_bytes += text.len();
                let outputs = self.parser.push(&text);
                let mut events = self.events(outputs, tokens);
                let stopped = self.parser.stopped();
                if stopped {
                    events.push(self.finished(FinishReason::Stop));
                }
                (events, stopped)
            }
            Raw::Finished { reason } => {
                let outputs = self.parser.finish();
                let mut events = self.events(outputs, Vec::new());
                events.push(self.finished(reason));
                (events, true)
            }
        }
    }

    /// The tokens of a chunk go with the first thing it says; a chunk that says nothing
    /// yet still carries them.
    fn events(&mut self, outputs: Vec<Output>, tokens: Vec<u32>) -> Vec<ModelEvent> {
        let mut tokens = Some(tokens);
        let mut events = Vec::new();
        for output in outputs {
            let tokens = tokens.take().unwrap_or_default();
            match output {
                Output::Thought(text) => {
                    self.thinking = true;
                    self.thought_tokens += tokens.len() as u64;
                    events.push(ModelEvent::Thought { text, tokens });
                }
                Output::Text(text) => {
                    self.thinking = false;
                    self.output_tokens += tokens.len() as u64;
                    self.text_bytes += text.len();
                    events.push(ModelEvent::Text { text, tokens });
                }
            }
        }
        if let Some(tokens) = tokens.filter(|tokens| !tokens.is_empty()) {
            let (count, text) = (tokens.len() as u64, String::new());
            if self.thinking {
                self.thought_tokens += count;
                events.push(ModelEvent::Thought { text, tokens });
            } else {
                self.output_tokens += count;
                events.push(ModelEvent::Text { text, tokens });
            }
        }
        events
    }

    fn finished(&self, reason: FinishReason) -> ModelEvent {
        ModelEvent::Finished {
            reason,
            exact: self.raw_bytes == self.text_bytes,
            thought_tokens: self.thought_tokens,
            output_tokens: self.output_tokens,
        }
    }
}
