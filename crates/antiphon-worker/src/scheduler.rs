//! What is computed when: continuous batching over one cache.
//!
//! Each step is one batch. Runs that generate give one row each and go first, so that
//! nobody's text stalls while another's prompt is read; the rest of the batch is filled
//! with prompts, oldest first.
//!
//! A run is admitted, first come first served, when a slot is free and the cells that it
//! can come to need are: no run ever has to be thrown out half-way. When a run ends, its
//! sequence stays cached as an idle one. The next prompt of the same scope that begins
//! with the same tokens goes on from there: the idle sequence is extended, or its prefix
//! copied if what follows is worth keeping for somebody else. Idle sequences make
//! attention slower and are bounded; the least recently used go first.
//!
//! A sequence is counted with all its tokens even where it shares cells with the one it
//! was copied from. So the count is never too low.
//!
//! A medium in a prompt is computed by itself when its turn comes, at most one in a step, and then the batch of the
//! others: they wait for it, and get on before the next.
//!
//! A run with a [`Guide`] says only what its grammar allows, and is led to an end of it while its
//! budget lasts.
//!
//! No threads, no pipes and no clock: see [`crate::serve`] for these.

use std::cmp::Reverse;
use std::collections::VecDeque;
use std::sync::Arc;

use crate::decoder::{DecodeError, Decoder, Row};
use crate::grammar::{Course, Guide};
use crate::protocol::{FinishReason, Generate, Message, Sampling, Token};
use crate::repetition::RepetitionGuard;
use crate::sampler::Sampler;
use crate::text::TextAssembler;
use crate::transcript::Transcript;
use crate::vocabulary::Vocabulary;

/// An idle sequence with more tokens than this beyond the common prefix is not extended
/// but copied from: they may be somebody's conversation.
const WORTH_KEEPING: usize = 64;

/// Attention passes over idle cells too: with 6,500 of them the default model read prompts of 900 tokens at
/// 25.6 tokens/s, with none at 37.8 (2 cores).
const MOST_IDLE_CELLS: usize = 4096;

/// How the scheduler weighs one run against another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// How many cells idle sequences may have together. The latest is kept in any case.
    pub idle_cells: usize,
    /// How many prompt tokens join a batch in which others generate: they wait for them.
    pub prompt_rows: usize,
}

impl Settings {
    /// A quarter of the cells for idle sequences, if it is not too many, and 256 rows of prompt beside others'
    /// generation.
    #[must_use]
    pub fn of<D: Decoder>(decoder: &D) -> Self {
        Self { idle_cells: (decoder.cells() as usize / 4).min(MOST_IDLE_CELLS), prompt_rows: 256 }
    }
}

/// Runs many [`Generate`]s over one [`Decoder`].
pub struct Scheduler<D> {
    decoder: D,
    vocabulary: Arc<dyn Vocabulary>,
    settings: Settings,
    queue: VecDeque<Waiting>,
    /// In order of admission.
    runs: Vec<Run>,
    /// Least recently used first.
    idle: Vec<Idle>,
    /// Sequences with nothing cached.
    empty: Vec<u32>,
    /// Refusals, until the next step sends them.
    refused: Vec<Message>,
    sampler: Sampler,
    batch: Vec<Row>,
}

#[derive(Debug)]
struct Waiting {
    request: Generate,
    prompt: Transcript,
    guide: Option<Guide>,
}

#[derive(Debug)]
struct Run {
    id: u64,
    scope: String,
    sequence: u32,
    /// The prompt and all that was generated.
    read: Transcript,
    /// How long it was at its start.
    given: usize,
    /// How much of it is in the cache.
    cached: usize,
    /// The longest it may become; these cells are reserved.
    limit: usize,
    sampling: Sampling,
    writing: Writing,
    /// What keeps it to its grammar.
    guide: Option<Guide>,
}

impl Run {
    /// Whether only the latest token is still to be computed.
    fn is_read(&self) -> bool {
        self.read.len() - self.cached == 1
    }

    /// Whether somebody sees its text come: then nothing shall hold it up for long.
    fn generates(&self) -> bool {
        self.read.len() > self.given
    }
}

/// Generated tokens on their way to text.
#[derive(Debug)]
struct Writing {
    /// Special tokens that have a text.
    shown: Vec<Token>,
    text: TextAssembler,
    guard: RepetitionGuard,
}

impl Writing {
    /// The text that tokens complete, and whether the run shall stop after them.
    fn write(&mut self, vocabulary: &dyn Vocabulary, tokens: &[Token]) -> (String, bool) {
        let (mut text, mut repeats) = (String::new(), false);
        for token in tokens {
            let piece = vocabulary.piece(*token, self.shown.contains(token));
            text.push_str(&self.text.push(&piece));
            repeats = self.guard.repeats(*token);
        }
        (text, repeats)
    }
}

/// A sequence that nobody computes, for whoever continues it.
#[derive(Debug)]
struct Idle {
    scope: String,
    sequence: u32,
    /// Exactly what is cached; never empty.
    read: Transcript,
}

/// What a batch does for one run.
struct Advance {
    /// Index in `Scheduler::runs`.
    run: usize,
    /// How much of it is in the cache afterwards.
    cached: usize,
    /// Index of its last row in the batch.
    last_row: usize,
}

/// A cached prefix that a new run can begin with.
#[derive(Clone, Copy)]
struct Prefix {
    sequence: u32,
    length: usize,
    /// What the idle sequence has beyond; `None` if it is not idle.
    beyond: Option<usize>,
}

impl<D: Decoder> Scheduler<D> {
    /// `decoder` must have at least one slot and nothing cached.
    pub fn new(decoder: D, settings: Settings) -> Self {
        let empty = (0..decoder.sequences()).rev().collect();
        Self {
            vocabulary: Arc::clone(decoder.vocabulary()),
            decoder,
            settings,
            queue: VecDeque::new(),
            runs: Vec::new(),
            idle: Vec::new(),
            empty,
            refused: Vec::new(),
            sampler: Sampler::default(),
            batch: Vec::new(),
        }
    }

    /// Gives the decoder back, with nothing cached. What still ran is gone.
    pub fn into_decoder(mut self) -> D {
        for sequence in 0..self.decoder.sequences() {
            self.decoder.forget(sequence, 0);
        }
        self.decoder
    }

    /// Whether [`Scheduler::step`] would do anything.
    #[must_use]
    pub fn has_work(&self) -> bool {
        !self.refused.is_empty() || !self.queue.is_empty() || !self.runs.is_empty()
    }

    /// Whether the next step only adds a token to each run: then it takes about as long as the last such one.
    #[must_use]
    pub fn only_generates(&self) -> bool {
        self.refused.is_empty()
            && self.queue.is_empty()
            && !self.runs.is_empty()
            && self.runs.iter().all(|run| run.is_read() && run.generates())
    }

    /// Queues a run, with the guide of its constraint if it has one. What is wrong with it is
    /// said by the next step.
    pub fn submit(&mut self, mut request: Generate, guide: Option<Guide>) {
        match self.check(&request) {
            Ok(prompt) => {
                // They take megabytes, and what is computed from them is in the prompt.
                request.media = Vec::new();
                self.queue.push_back(Waiting { request, prompt, guide });
            }
            Err(message) => self.refused.push(Message::Failed { id: request.id, message }),
        }
    }

    /// The prompt of a request that can be carried out.
    fn check(&self, request: &Generate) -> Result<Transcript, String> {
        let Generate { prompt, media, resume, max_tokens, sampling, .. } = request;
        if prompt.is_empty() {
            return Err("`prompt` has no tokens, expected at least 1".to_owned());
        }
        let prompt = Transcript::new(prompt, media, &*self.vocabulary)?;
        let context = self.context();
        let (read, room) = (prompt.len(), context.saturating_sub(prompt.len()));
        if room == 0 || resume.len() > room {
            return Err(format!("`prompt` has {read} tokens and `resume` {}, the context {context}", resume.len()));
        }
        if *max_tokens == 0 {
            return Err("`max_tokens` is 0, expected at least 1".to_owned());
        }
        let vocabulary = self.vocabulary.size();
        if let Some(token) = request.prompt.iter().chain(resume).find(|token| **token >= vocabulary) {
            return Err(format!("token {token} is not in the vocabulary of {vocabulary}"));
        }
        let Sampling { temperature, top_p, min_p, repeat_penalty, .. } = *sampling;
        for (field, value, valid, expected) in [
            ("temperature", temperature, temperature >= 0.0, "at least 0"),
            ("top_p", top_p, top_p > 0.0 && top_p <= 1.0, "above 0 and at most 1"),
            ("min_p", min_p, (0.0..=1.0).contains(&min_p), "0 to 1"),
            ("repeat_penalty", repeat_penalty, repeat_penalty > 0.0, "above 0"),
        ] {
            if !valid || !value.is_finite() {
                return Err(format!("`sampling.{field}` is {value}, expected {expected}"));
            }
        }
        Ok(prompt)
    }

    /// The most tokens that one run may have.
    fn context(&self) -> usize {
        self.decoder.card().context.min(self.decoder.cells()) as usize
    }

    /// Ends a run, waiting or running, without a word. What it has cached stays for the
    /// next that begins with it.
    pub fn cancel(&mut self, id: u64) {
        self.queue.retain(|waiting| waiting.request.id != id);
        if let Some(index) = self.runs.iter().position(|run| run.id == id) {
            let run = self.runs.remove(index);
            self.retire(run);
        }
    }

    /// Admits whom it can, computes one batch and appends what is to be said to `out`.
    /// Returns whether there is more to do.
    ///
    /// # Errors
    /// [`DecodeError::Broken`], after every run has failed. A refused batch only fails the
    /// runs in it.
    pub fn step(&mut self, out: &mut Vec<Message>) -> Result<bool, DecodeError> {
        out.append(&mut self.refused);
        while let Some(waiting) = self.queue.pop_front() {
            if let Some(waiting) = self.admit(waiting, out) {
                self.queue.push_front(waiting);
                break;
            }
        }
        self.read_medium(out)?;
        let advances = self.fill_batch();
        if self.batch.is_empty() {
            return Ok(self.has_work());
        }
        match self.decoder.decode(&self.batch) {
            Ok(()) => self.advance(&advances, out),
            Err(error @ DecodeError::Refused(_)) => {
                for Advance { run, .. } in &advances {
                    self.fail(*run, error.to_string(), out);
                }
            }
            Err(error @ DecodeError::Broken(_)) => return Err(self.give_up(error, out)),
        }
        Ok(self.has_work())
    }

    /// Computes a medium for the first run whose turn it is.
    fn read_medium(&mut self, out: &mut Vec<Message>) -> Result<(), DecodeError> {
        let due = self.runs.iter().enumerate().find_map(|(index, run)| Some((index, run.read.medium_at(run.cached)?)));
        let Some((index, (medium, end))) = due else { return Ok(()) };
        let Run { sequence, cached, read, .. } = &self.runs[index];
        match self.decoder.decode_medium(medium, *sequence, read.position(*cached)) {
            Ok(()) => {
                let run = &mut self.runs[index];
                run.cached = end;
                run.read.computed(end);
            }
            Err(error @ DecodeError::Refused(_)) => self.fail(index, error.to_string(), out),
            Err(error @ DecodeError::Broken(_)) => return Err(self.give_up(error, out)),
        }
        Ok(())
    }

    /// Fails everything: nothing will work any more.
    fn give_up(&mut self, error: DecodeError, out: &mut Vec<Message>) -> DecodeError {
        for run in (0..self.runs.len()).rev() {
            self.fail(run, error.to_string(), out);
        }
        let waiting = self.queue.drain(..);
        out.extend(
            waiting.map(|Waiting { request, .. }| Message::Failed { id: request.id, message: error.to_string() }),
        );
        error
    }

    /// Starts a run, or gives it back if it must wait.
    fn admit(&mut self, waiting: Waiting, out: &mut Vec<Message>) -> Option<Waiting> {
        let request = &waiting.request;
        let (prompt, emitted) = (waiting.prompt.len(), request.resume.len());
        let limit = prompt + (request.max_tokens as usize).max(emitted).min(self.context() - prompt);
        let reserved: usize = self.runs.iter().map(|run| run.limit).sum();
        let cells = self.decoder.cells() as usize;
        if self.runs.len() >= self.slots() || reserved + limit > cells {
            return Some(waiting);
        }

        let Waiting { request, prompt: mut read, mut guide } = waiting;
        let Generate { id, scope, resume, sampling, markers, .. } = request;
        let mut writing = Writing {
            shown: markers.iter().flat_map(|marker| self.vocabulary.tokenize(marker, true)).collect(),
            text: TextAssembler::default(),
            guard: RepetitionGuard::new(),
        };
        let (mut text, repeats) = writing.write(&*self.vocabulary, &resume);
        let mut complete = false;
        for token in &resume {
            read.extend(&[*token]);
            if let Some(guide) = &mut guide {
                match guide.follow(*token, limit - read.len()) {
                    Ok(course) => complete = course == Course::Complete,
                    Err(message) => {
                        out.push(Message::Failed { id, message: format!("`resume` breaks the constraint: {message}") });
                        return None;
                    }
                }
            }
        }

        // Its earlier life ended between the last token and saying so.
        let left = limit - read.len();
        let over = if complete {
            Some((FinishReason::End, Vec::new()))
        } else if repeats {
            Some(stop(guide.as_mut(), left))
        } else {
            (left == 0).then(|| (FinishReason::Length, Vec::new()))
        };
        if let Some((reason, closing)) = over {
            text.push_str(&writing.write(&*self.vocabulary, &closing).0);
            text.push_str(&writing.text.finish());
            out.push(Message::Started { id, cached: 0 });
            out.push(Message::Chunk { id, tokens: closing, text });
            out.push(Message::Finished { id, reason });
            return None;
        }

        let (sequence, cached) = self.place(&scope, &read, cells - reserved - limit);
        read.computed(cached);
        out.push(Message::Started { id, cached: cached.min(prompt) as u32 });
        if emitted > 0 {
            out.push(Message::Chunk { id, tokens: Vec::new(), text });
        }
        let given = read.len();
        self.runs.push(Run { id, scope, sequence, read, given, cached, limit, sampling, writing, guide });
        None
    }

    /// Finds a sequence for what is to be read, with as much of it cached as can be, and
    /// leaves idle sequences at most `room` cells. Returns the sequence and how much of it is
    /// cached: never all, because the last token's logits are needed.
    fn place(&mut self, scope: &str, wanted: &Transcript, room: usize) -> (u32, usize) {
        let Some(prefix) = self.longest_prefix(scope, wanted) else {
            self.make_room(room, None);
            return (self.vacate(None), 0);
        };
        let Prefix { sequence: source, length, beyond } = prefix;
        let position = wanted.position(length);
        let index = self.idle.iter().position(|idle| idle.sequence == source);
        let stays = beyond.is_none_or(|beyond| {
            let leaves_another = !self.empty.is_empty() || self.idle.len() > 1;
            beyond > WORTH_KEEPING && length + beyond <= room && leaves_another
        });
        if stays {
            if let Some(index) = index {
                let used = self.idle.remove(index);
                self.idle.push(used);
            }
            self.make_room(room, Some(source));
            let sequence = self.vacate(Some(source));
            let copied = self.decoder.copy(source, sequence, position);
            return (sequence, if copied { length } else { 0 });
        }
        if let Some(index) = index {
            self.idle.remove(index);
        }
        self.make_room(room, None);
        let rewound = self.decoder.forget(source, position) || !self.decoder.forget(source, 0);
        (source, if rewound { length } else { 0 })
    }

    fn longest_prefix(&self, scope: &str, wanted: &Transcript) -> Option<Prefix> {
        let within = wanted.len() - 1;
        let running = self.runs.iter().filter(|run| run.scope == scope).map(|run| Prefix {
            sequence: run.sequence,
            length: wanted.common(within.min(run.cached), &run.read),
            beyond: None,
        });
        let idle = self.idle.iter().filter(|idle| idle.scope == scope).map(|idle| {
            let length = wanted.common(within, &idle.read);
            Prefix { sequence: idle.sequence, length, beyond: Some(idle.read.len() - length) }
        });
        // Of equally long ones the idle sequence with the least beyond: to extend it
        // costs nothing.
        running
            .chain(idle)
            .filter(|prefix| prefix.length > 0)
            .max_by_key(|prefix| (prefix.length, prefix.beyond.map(Reverse)))
    }

    /// Evicts idle sequences, but not `keep`, until they have at most `room` cells.
    fn make_room(&mut self, room: usize, keep: Option<u32>) {
        while self.idle_cells() > room && self.evict(keep) {}
    }

    /// An empty sequence, if need be an evicted one; not `keep`.
    fn vacate(&mut self, keep: Option<u32>) -> u32 {
        loop {
            if let Some(sequence) = self.empty.pop() {
                return sequence;
            }
            if !self.evict(keep) {
                // A slot is free and there are no fewer sequences than slots, so some
                // sequence does not run. Callers keep an idle one only beside another.
                unreachable!("every sequence runs while a slot is free");
            }
        }
    }

    /// Forgets the least recently used idle sequence that is not `keep`; `false` if there
    /// is none.
    fn evict(&mut self, keep: Option<u32>) -> bool {
        let Some(index) = self.idle.iter().position(|idle| Some(idle.sequence) != keep) else { return false };
        let Idle { sequence, .. } = self.idle.remove(index);
        self.decoder.forget(sequence, 0);
        self.empty.push(sequence);
        true
    }

    fn idle_cells(&self) -> usize {
        self.idle.iter().map(|idle| idle.read.len()).sum()
    }

    fn slots(&self) -> usize {
        (self.decoder.card().slots.min(self.decoder.sequences()) as usize).min(self.decoder.batch_size())
    }

    /// Chooses the rows of the next batch.
    fn fill_batch(&mut self) -> Vec<Advance> {
        self.batch.clear();
        let size = self.decoder.batch_size();
        let (read, reading): (Vec<usize>, Vec<usize>) = (0..self.runs.len()).partition(|run| self.runs[*run].is_read());
        let waits = self.runs.iter().any(Run::generates);
        let prompts = if waits { self.settings.prompt_rows } else { size };
        let end = size.min(read.len() + prompts);

        let mut advances = Vec::with_capacity(self.runs.len());
        for index in read.into_iter().chain(reading) {
            let run = &self.runs[index];
            let room = end - self.batch.len();
            if room == 0 {
                break;
            }
            let first = self.batch.len();
            let rows = run.read.tokens_at(run.cached, room);
            self.batch.extend(rows.map(|(token, position)| Row {
                token,
                position,
                sequence: run.sequence,
                logits: false,
            }));
            // It is a medium's turn.
            if self.batch.len() == first {
                continue;
            }
            let upto = run.cached + self.batch.len() - first;
            if let Some(last) = self.batch.last_mut() {
                last.logits = upto == run.read.len();
            }
            advances.push(Advance { run: index, cached: upto, last_row: self.batch.len() - 1 });
        }
        // The last run first, so that each can leave the list without moving the others.
        advances.sort_unstable_by_key(|advance| Reverse(advance.run));
        advances
    }

    /// Gives every run that has been read to its end its next token.
    fn advance(&mut self, advances: &[Advance], out: &mut Vec<Message>) {
        for Advance { run: index, cached, last_row } in advances {
            let run = &mut self.runs[*index];
            run.cached = *cached;
            if run.cached < run.read.len() {
                continue;
            }
            let (token, course) = match self.choose(*index, *last_row) {
                Ok(Some(choice)) => choice,
                Ok(None) => {
                    self.finish(*index, FinishReason::End, out);
                    continue;
                }
                Err(message) => {
                    self.fail(*index, message, out);
                    continue;
                }
            };
            let run = &mut self.runs[*index];
            let (mut tokens, complete) = match course {
                Course::Open => (vec![token], false),
                Course::Complete => (vec![token], true),
                Course::Close(closing) => (closing, true),
            };
            let (mut text, repeats) = run.writing.write(&*self.vocabulary, &tokens);
            run.read.extend(&tokens);
            let left = run.limit - run.read.len();
            let reason = if complete {
                Some(FinishReason::End)
            } else if repeats {
                let (reason, closing) = stop(run.guide.as_mut(), left);
                text.push_str(&run.writing.write(&*self.vocabulary, &closing).0);
                run.read.extend(&closing);
                tokens.extend(closing);
                Some(reason)
            } else {
                (left == 0).then_some(FinishReason::Length)
            };
            out.push(Message::Chunk { id: run.id, tokens, text });
            if let Some(reason) = reason {
                self.finish(*index, reason, out);
            }
        }
    }

    /// The next token of a run by the logits of a row, and what it leads to; `None` if the
    /// answer ends here.
    fn choose(&mut self, run: usize, row: usize) -> Result<Option<(Token, Course)>, String> {
        let Run { read, limit, sampling, guide, .. } = &mut self.runs[run];
        // To weaken the end of an answer because earlier answers ended too would make the model
        // ramble; to weaken quotation marks and brackets would keep strings and objects open.
        let structural = |token: Token| guide.as_ref().is_some_and(|guide| guide.is_structure(token));
        let weakened = |token: &Token| !self.vocabulary.is_end(*token) && !structural(*token);
        let recent: Vec<Token> = read.latest(sampling.repeat_window as usize).filter(weakened).collect();
        let logits = self.decoder.logits(row);
        let allowed = guide.as_mut().map(Guide::allowed).transpose()?;
        let position = read.len() as u64;
        let token = self
            .sampler
            .pick(logits, allowed, recent.into_iter(), sampling, position)
            .ok_or("the model gave no usable probabilities")?;
        let Some(guide) = guide else {
            return Ok((!self.vocabulary.is_end(token)).then_some((token, Course::Open)));
        };
        // Where the answer may not end, the grammar means the token itself.
        if self.vocabulary.is_end(token) && guide.accepts() {
            return Ok(None);
        }
        let course = guide.follow(token, *limit - read.len() - 1)?;
        Ok(Some((token, course)))
    }

    fn finish(&mut self, run: usize, reason: FinishReason, out: &mut Vec<Message>) {
        let mut run = self.runs.remove(run);
        let text = run.writing.text.finish();
        if !text.is_empty() {
            out.push(Message::Chunk { id: run.id, tokens: Vec::new(), text });
        }
        out.push(Message::Finished { id: run.id, reason });
        self.retire(run);
    }

    fn fail(&mut self, run: usize, message: String, out: &mut Vec<Message>) {
        let run = self.runs.remove(run);
        self.decoder.forget(run.sequence, 0);
        self.empty.push(run.sequence);
        out.push(Message::Failed { id: run.id, message });
    }

    /// Keeps what a run has cached for the next one that begins with it.
    fn retire(&mut self, run: Run) {
        let Run { scope, sequence, mut read, cached, .. } = run;
        if cached == 0 {
            self.empty.push(sequence);
            return;
        }
        read.keep(cached);
        self.idle.push(Idle { scope, sequence, read });
        self.make_room(self.settings.idle_cells, Some(sequence));
    }
}

/// How a run ends that repeats itself: in the middle of a structure it is closed, in `left` tokens
/// at most.
fn stop(guide: Option<&mut Guide>, left: usize) -> (FinishReason, Vec<Token>) {
    let closing = guide.and_then(|guide| if guide.accepts() { None } else { guide.close(left) });
    closing.map_or((FinishReason::Repetition, Vec::new()), |closing| (FinishReason::End, closing))
}

#[cfg(test)]
mod tests;
