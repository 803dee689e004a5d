//! An answer with source markers, while it comes, to clean text and citations that were checked, with the spans that
//! the API wants: UTF-8 bytes of the shown text, the end exclusive.
//!
//! The model is told to write `⟦1⟧` after what a source supports. Markers are taken out of the text, and each is
//! kept as a citation only if the source bears its sentence out; if it does not but another one does, that one is
//! cited; otherwise the citation is dropped, since a wrong citation is worse than none. Sentences without a marker,
//! as small models write them, are cited only where a source bears them out almost word by word. Inside of code,
//! nothing is a marker.
//!
//! Support is lexical: the words of a sentence are looked for in the source, with weight on numbers and names, and
//! with signs of contradiction (`evidence.rs`). What that cannot tell:
//!
//! - paraphrases and translations: a sentence in other words than its source is not cited, nor one in another language,
//!   beyond the words of `synonyms.rs`;
//! - calculation and rounding: `about 3.5 million` is not borne out by 3,480,127;
//! - negation beyond a `not`, `never`, `without` or `failed to` right before the word it turns round, and
//!   irony, conditions and hearsay: `Some doubt that Spain won` reads like `Spain won`;
//! - who did what, beyond the order of two names around a verb: of `Spain won in 2010 and England in 1966`, it does
//!   not know which year is whose;
//! - most opposites, and whether a source is right.

mod code;
mod evidence;
mod form;
mod prompt;
mod sentence;
mod strip;
mod synonyms;
mod vocabulary;
mod words;

use evidence::{Claim, Evidence};
use sentence::{Sentence, Sentences, content};
use strip::{Event, Stripper};

pub use prompt::{entry, instruction};

/// More sources are not taken.
pub const MOST_SOURCES: usize = 64;

/// A marker's source has to bear out this share of its sentence.
const MARKED: f32 = 0.55;

/// Where the model did not say so itself, the text has to.
const UNMARKED: f32 = 0.75;

/// Longer questions lose their beginning. Bytes.
const LONGEST_QUESTION: usize = 400;

/// Sources that are cited for a sentence without markers.
const MOST_UNMARKED: usize = 2;

/// A page or passage that an answer may rest on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// By which the model names it. Unique in a run.
    pub number: u32,
    /// Where it is.
    pub url: String,
    /// Its title, which counts as context of all it says.
    pub title: String,
    /// What it says. The first 64 KiB are looked at.
    pub text: String,
}

/// A stretch of the shown text that a source bears out; it never reaches beyond a sentence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Citation {
    /// The first byte.
    pub start: usize,
    /// The byte after the last one.
    pub end: usize,
    /// The source's number.
    pub source: u32,
}

/// What a piece of the answer has brought.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Cited {
    /// To be shown now.
    pub text: String,
    /// Of the sentences that are closed by now, in their order. They lie within what has been shown.
    pub citations: Vec<Citation>,
}

/// Reads an answer piece by piece. What it gives in all does not depend on where the pieces were cut, and after
/// [`Citer::finish`] it reads the next text from its beginning, with the same sources.
#[derive(Debug, Default)]
pub struct Citer {
    sources: Vec<Source>,
    evidence: Evidence,
    stripper: Stripper,
    sentences: Sentences,
    question: String,
    dropped: u64,
}

impl Citer {
    /// With the sources that are known so far.
    pub fn new(sources: impl IntoIterator<Item = Source>) -> Self {
        let mut citer = Self::default();
        citer.add(sources);
        citer
    }

    /// What is answered: an answer that is no sentence, as `Gallium.`, leaves out what the question says.
    /// Its last 400 bytes are looked at.
    #[must_use]
    pub fn answering(self, question: &str) -> Self {
        let from = question.ceil_char_boundary(question.len().saturating_sub(LONGEST_QUESTION));
        Self { question: question[from..].trim().to_owned(), ..self }
    }

    /// More sources, as later tool results bring them. Those whose number is taken are left out, and those beyond
    /// [`MOST_SOURCES`].
    pub fn add(&mut self, sources: impl IntoIterator<Item = Source>) {
        for source in sources {
            if self.sources.len() < MOST_SOURCES && self.source(source.number).is_none() {
                self.evidence.add(&source);
                self.sources.push(source);
            }
        }
    }

    /// The source with this number.
    pub fn source(&self, number: u32) -> Option<&Source> {
        self.index(number).map(|index| &self.sources[index])
    }

    /// How many citations the model made that no source bears out.
    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Reads the next piece.
    pub fn push(&mut self, piece: &str) -> Cited {
        let mut events = Vec::new();
        for next in piece.chars() {
            let known = |number| self.sources.iter().any(|source| source.number == number);
            self.stripper.push(next, &known, &mut events);
        }
        self.carry_on(events)
    }

    /// The text has ended.
    pub fn finish(&mut self) -> Cited {
        let mut events = Vec::new();
        let known = |number| self.sources.iter().any(|source| source.number == number);
        self.stripper.finish(&known, &mut events);
        let mut cited = self.carry_on(events);
        for sentence in self.sentences.finish() {
            self.judge(&sentence, &mut cited.citations);
        }
        cited
    }

    fn index(&self, number: u32) -> Option<usize> {
        self.sources.iter().position(|source| source.number == number)
    }

    fn carry_on(&mut self, events: Vec<Event>) -> Cited {
        let mut cited = Cited::default();
        for event in events {
            let closed = match event {
                Event::Shown(next, place) => {
                    cited.text.push(next);
                    self.sentences.shown(next, place)
                }
                Event::Mark(numbers) => self.sentences.mark(numbers),
            };
            if let Some(sentence) = closed {
                self.judge(&sentence, &mut cited.citations);
            }
        }
        cited
    }

    fn judge(&mut self, sentence: &Sentence, citations: &mut Vec<Citation>) {
        let mut found = if sentence.marks.is_empty() { self.align(sentence) } else { self.verify(sentence) };
        found.sort_unstable();
        found.dedup();
        citations.append(&mut found);
    }

    /// Cites the sources of the marks, as far as they bear out what comes before each.
    fn verify(&mut self, sentence: &Sentence) -> Vec<Citation> {
        let mut citations = Vec::new();
        let text = sentence.text.as_str();
        let whole = content(text);
        let (first, last) = (offset(text, whole), offset(text, whole) + whole.len());
        let mut from = first;
        let mut span = None;
        for (index, mark) in sentence.marks.iter().enumerate() {
            let at = match mark.at {
                // A mark before the sentence speaks of what follows, up to the next one.
                0 => sentence.marks.get(index + 1).map_or(last, |next| next.at),
                at => at,
            };
            // A mark after a full stop of which it is not certain whether it ends the sentence may stand behind it.
            let at = text.floor_char_boundary(at.clamp(from, last.max(from)));
            let part = trimmed(&text[from..at]);
            if part.contains(char::is_alphanumeric) {
                span = Some((offset(text, part), part));
                from = at;
            }
            let Some((start, part)) = span else {
                self.dropped += mark.numbers.len() as u64;
                continue;
            };
            // A part that says little is held against the source with what comes before it.
            let claim = self.evidence.claim(part);
            let short = claim.as_ref().is_none_or(Claim::is_short);
            let claim = if short { self.evidence.claim(&text[first..at.max(start + part.len())]) } else { claim };
            let mut cite = |number| {
                let start = sentence.start + start;
                let citation = Citation { start, end: start + part.len(), source: number };
                citations.push(citation);
            };
            let mut others = None;
            for number in &mark.numbers {
                let supports = |index| claim.as_ref().map(|claim| self.evidence.supports(claim, index));
                let supported = |index| supports(index).into_iter().flatten().any(|support| support.score >= MARKED);
                if self.index(*number).is_some_and(supported) {
                    cite(*number);
                } else if let Some(other) = others.get_or_insert_with(|| self.best(claim.as_ref())).first() {
                    cite(*other);
                } else {
                    self.dropped += 1;
                }
            }
        }
        citations
    }

    /// Cites the sources that bear out a sentence without marks.
    fn align(&self, sentence: &Sentence) -> Vec<Citation> {
        let text = content(&sentence.text);
        let heading = sentence.text.trim_start().starts_with('#');
        if text.is_empty() || heading || vocabulary::is_talk(text) {
            return Vec::new();
        }
        let whole = self.aligned(sentence, text);
        if !whole.is_empty() {
            return whole;
        }
        // What two sources say, each half of it.
        let clauses = vocabulary::clauses(text);
        let halves = clauses.iter().filter(|_| clauses.len() > 1).flat_map(|part| self.aligned(sentence, part));
        let halves: Vec<_> = halves.collect();
        if !halves.is_empty() {
            return halves;
        }
        self.cited(sentence, text, self.evidence.completed(&self.question, text).as_ref())
    }

    /// Cites the sources that bear out `text`, a part of the sentence, or all of it but the last name, as in
    /// `born in Vienna, Austria`: the span ends where the sources do.
    fn aligned(&self, sentence: &Sentence, text: &str) -> Vec<Citation> {
        let parts = [Some(text), vocabulary::without_last_name(text)];
        let cited = parts.into_iter().flatten().map(|text| {
            self.cited(sentence, text, self.evidence.claim(vocabulary::without_attribution(text)).as_ref())
        });
        cited.into_iter().find(|cited| !cited.is_empty()).unwrap_or_default()
    }

    fn cited(&self, sentence: &Sentence, text: &str, claim: Option<&Claim>) -> Vec<Citation> {
        let start = sentence.start + offset(&sentence.text, text);
        let best = self.best(claim).into_iter();
        best.map(|source| Citation { start, end: start + text.len(), source }).collect()
    }

    /// The sources that bear out a claim by themselves, the best first.
    fn best(&self, claim: Option<&Claim>) -> Vec<u32> {
        let Some(claim) = claim else { return Vec::new() };
        // The sentence that says most of it may leave out what another one says: `the match between A and B`, `A won`.
        let score = |index| {
            let supports = self.evidence.supports(claim, index).into_iter();
            let sufficing = supports.filter(|support| support.suffices(UNMARKED));
            sufficing.map(|support| support.score).max_by(f32::total_cmp)
        };
        let scores = self.sources.iter().enumerate();
        let mut scores: Vec<_> = scores.filter_map(|(index, source)| Some((score(index)?, source.number))).collect();
        scores.sort_by(|(one, _), (other, _)| other.total_cmp(one));
        scores.into_iter().take(MOST_UNMARKED).map(|(_, number)| number).collect()
    }
}

/// A part of a sentence without the punctuation that it begins with.
fn trimmed(part: &str) -> &str {
    part.trim_start_matches(|next: char| {
        next.is_whitespace() || matches!(next, ',' | ';' | ':' | '.' | '!' | '?' | ')')
    })
    .trim_end()
}

/// Where `part` lies in `whole`, of which it is a part.
fn offset(whole: &str, part: &str) -> usize {
    part.as_ptr() as usize - whole.as_ptr() as usize
}
