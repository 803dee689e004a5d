//! From a model's raw text to the events of one call: reasoning apart from the answer,
//! cut at stop sequences, every token counted once.

use antiphon_dialect::{Output, OutputParser};
use antiphon_engine::{BackendError, FinishReason, ModelEvent, ModelStream, Resume};
use futures_core::Stream;
use futures_util::{StreamExt as _, stream};

use crate::blocks::Blocks;

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
    /// Where code blocks are calls.
    blocks: Option<Blocks>,
    place: Place,
    /// Whether it holds calls.
    calls: bool,
    thought_tokens: u64,
    output_tokens: u64,
    /// Bytes that came in and bytes that were given out as the answer: they differ when
    /// something was cut.
    raw_bytes: usize,
    text_bytes: usize,
}

fn unreadable(what: &str) -> BackendError {
    BackendError::MalformedCall(format!("The model's call cannot be read: {what}"))
}

/// What tokens without a text of their own belong to.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Thought,
    Text,
    Call,
}

impl Answer {
    pub(crate) fn new(parser: OutputParser) -> Self {
        Self {
            parser,
            blocks: None,
            place: Place::Text,
            calls: false,
            thought_tokens: 0,
            output_tokens: 0,
            raw_bytes: 0,
            text_bytes: 0,
        }
    }

    /// Takes an answer that is a code block as a call.
    pub(crate) fn with_blocks(mut self, are_calls: bool) -> Self {
        self.blocks = are_calls.then(Blocks::default);
        self
    }

    /// Counts what an earlier life of the call had generated.
    pub(crate) fn with_resumed(mut self, resume: Option<&Resume>) -> Self {
        if let Some(Resume { trace, thought_tokens }) = resume {
            self.thought_tokens += thought_tokens;
            self.output_tokens += (trace.tokens.len() as u64).saturating_sub(*thought_tokens);
        }
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
                Some(Ok(item)) => answer.take(item),
            };
            Some((stream::iter(events), (!ended).then_some((answer, raw))))
        });
        events.flatten().boxed()
    }

    /// The events of one item, and whether they are the last.
    fn take(&mut self, item: Raw) -> (Vec<Result<ModelEvent, BackendError>>, bool) {
        match item {
            Raw::Started { cached_tokens } => (vec![Ok(ModelEvent::Started { cached_tokens })], false),
            Raw::Chunk { text, tokens } => {
                self.raw_bytes += text.len();
                let outputs = self.parser.push(&text);
                let outputs = self.read_blocks(outputs);
                let (mut events, malformed) = self.events(outputs, tokens);
                if let Some(message) = malformed {
                    events.push(Err(unreadable(&message)));
                    return (events, true);
                }
                let stopped = self.parser.stopped() || self.blocks.as_ref().is_some_and(Blocks::is_over);
                if stopped {
                    events.push(Ok(self.finished(FinishReason::Stop)));
                }
                (events, stopped)
            }
            Raw::Finished { reason } => {
                let outputs = self.parser.finish();
                let mut outputs = self.read_blocks(outputs);
                if let Some(blocks) = &mut self.blocks {
                    outputs.extend(blocks.finish(reason == FinishReason::Stop));
                }
                let (mut events, malformed) = self.events(outputs, Vec::new());
                events.push(match (malformed, reason) {
                    // What was cut off by a limit is no mistake of the model.
                    (Some(message), FinishReason::Stop) => Err(unreadable(&message)),
                    // Of a model that goes on calling the same nothing was cut.
                    (None, FinishReason::Repetition) if self.calls => Ok(self.finished(FinishReason::Stop)),
                    (Some(_) | None, reason) => Ok(self.finished(reason)),
                });
                (events, true)
            }
        }
    }

    fn read_blocks(&mut self, outputs: Vec<Output>) -> Vec<Output> {
        let Some(blocks) = &mut self.blocks else { return outputs };
        let read = outputs.into_iter().flat_map(|output| match output {
            Output::Text(text) => blocks.push(&text),
            other => vec![other],
        });
        read.collect()
    }

    /// The events of some outputs, up to one that is malformed. The tokens of a chunk go
    /// with the first thing it says; a chunk that says nothing yet still carries them.
    fn events(
        &mut self,
        outputs: Vec<Output>,
        tokens: Vec<u32>,
    ) -> (Vec<Result<ModelEvent, BackendError>>, Option<String>) {
        let mut tokens = Some(tokens);
        let mut events = Vec::new();
        for output in outputs {
            let event = match output {
                Output::Thought(text) => {
                    self.place = Place::Thought;
                    ModelEvent::Thought { text, tokens: self.count(tokens.take()) }
                }
                Output::Text(text) => {
                    self.place = Place::Text;
                    self.text_bytes += text.len();
                    ModelEvent::Text { text, tokens: self.count(tokens.take()) }
                }
                Output::CallStarted { name } => {
                    self.place = Place::Call;
                    self.calls = true;
                    ModelEvent::CallStarted { name, tokens: self.count(tokens.take()) }
                }
                Output::CallArguments(text) => ModelEvent::CallArguments { text, tokens: self.count(tokens.take()) },
                Output::CallEnded => continue,
                Output::Malformed(message) => return (events, Some(message)),
            };
            events.push(Ok(event));
        }
        if let Some(tokens) = tokens.filter(|tokens| !tokens.is_empty()) {
            let (tokens, text) = (self.count(Some(tokens)), String::new());
            events.push(Ok(match self.place {
                Place::Thought => ModelEvent::Thought { text, tokens },
                Place::Text => ModelEvent::Text { text, tokens },
                Place::Call => ModelEvent::CallArguments { text, tokens },
            }));
        }
        (events, None)
    }

    fn count(&mut self, tokens: Option<Vec<u32>>) -> Vec<u32> {
        let tokens = tokens.unwrap_or_default();
        match self.place {
            Place::Thought => self.thought_tokens += tokens.len() as u64,
            Place::Text | Place::Call => self.output_tokens += tokens.len() as u64,
        }
        tokens
    }

    fn finished(&self, reason: FinishReason) -> ModelEvent {
        // A call is said in other words than the model's, but nothing of it is cut.
        let is_cut = self.parser.stopped() || self.blocks.as_ref().is_some_and(Blocks::has_cut);
        let whole = if self.calls { !is_cut } else { self.raw_bytes == self.text_bytes };
        ModelEvent::Finished {
            reason,
            exact: whole,
            thought_tokens: self.thought_tokens,
            output_tokens: self.output_tokens,
        }
    }
}
