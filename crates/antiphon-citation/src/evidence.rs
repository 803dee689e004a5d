//! The sources, prepared once, and how well a sentence is borne out by one of them.
//!
//! A source is cut into its own sentences. A claim is held against the one that shares most with it, the anchor: what
//! the anchor says counts in full, what its neighbours or the title add counts less, and what contradicts the claim
//! ends it. Numbers weigh double, and so do names; one that the source does not have, or has in another place of
//! the same sentence, is a contradiction.

mod anchor;

use std::collections::{HashMap, HashSet};

use crate::words::{self, Kind};
use crate::{Source, sentence, synonyms, vocabulary};

/// Longer texts are cut.
const LONGEST_TEXT: usize = 64 << 10;

/// A sentence with more different terms than this, or twice as many in all, is not judged.
const MOST_TERMS: usize = 128;

/// Longer sentences of sources, such as menus, are cut.
const LONGEST_UNIT: usize = 64;

/// More sentences of a source are not looked at.
const MOST_UNITS: usize = 4096;

/// Names and numbers that an answer lists without a sentence.
const MOST_ELLIPTIC: usize = 8;

/// The anchors that are tried in a source.
const MOST_ANCHORS: usize = 8;

/// What a name may have more than another form of it: `Brazilian`, `portuguesa` is not tried.
const DERIVED: [&str; 6] = ["n", "an", "ian", "ish", "ese", "s"];

#[derive(Debug, Default)]
pub(crate) struct Evidence {
    ids: HashMap<Box<str>, u32>,
    /// Terms that are written without a capital somewhere, and so are no names.
    lower: HashSet<u32>,
    sources: Vec<Prepared>,
}

#[derive(Debug)]
struct Prepared {
    units: Vec<Vec<Word>>,
    /// In which units a term is.
    postings: HashMap<u32, Vec<usize>>,
    title: HashSet<u32>,
}

#[derive(Debug, Clone, Copy)]
struct Word {
    term: u32,
    role: Role,
    negated: bool,
    passive: bool,
    adjacent: bool,
    apart: bool,
    placed: bool,
    undergone: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    Number(Shape),
    Name,
    Word,
}

/// Numbers of different shapes do not contradict one another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shape {
    Year,
    Month,
    Pair,
    Other,
}

/// A sentence of the answer, as it is held against sources.
#[derive(Debug, Default)]
pub(crate) struct Claim {
    terms: Vec<Term>,
    /// The sentence in its order, by index into `terms`.
    order: Vec<usize>,
    /// Before which of those punctuation stands.
    apart: Vec<bool>,
    /// All terms, and those that are names and numbers.
    all: u128,
    heavy: u128,
    /// Those that the anchor itself has to have.
    required: u128,
    /// What the terms of the sources stand for.
    known: HashMap<u32, Known>,
}

/// A term of the sources in a claim.
#[derive(Debug, Clone, Copy)]
struct Known {
    /// The term that it is, or is another form of.
    index: usize,
    /// All terms that it bears out.
    bits: u128,
}

#[derive(Debug)]
struct Term {
    role: Role,
    negated: bool,
    passive: bool,
    undergone: bool,
    /// The last name of the run of names that this one belongs to.
    family: usize,
    opposites: Vec<u32>,
    saying: bool,
}

/// How far a source bears a claim out.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Support {
    /// 0 to 1.
    pub(crate) score: f32,
    /// What the anchor itself has of the claim.
    pub(crate) words: usize,
    pub(crate) names_and_numbers: usize,
    /// Names and numbers that its title has: what the whole source is about.
    pub(crate) of_title: usize,
}

impl Support {
    /// Whether this is enough without the model's own word.
    pub(crate) fn suffices(&self, share: f32) -> bool {
        let (words, marks) = (self.words, self.names_and_numbers);
        self.score >= share
            && words + marks + self.of_title >= 3
            && (marks >= 1 && words >= 1 || words >= self.least_words() && self.score >= 0.85)
    }

    /// Of a sentence that names nothing that the anchor names. What its title names, an article seldom says again.
    fn least_words(&self) -> usize {
        if self.of_title >= 1 { 4 } else { 6 }
    }

    const NONE: Self = Self { score: 0.0, words: 0, names_and_numbers: 0, of_title: 0 };
}

impl Evidence {
    pub(crate) fn add(&mut self, source: &Source) {
        let text = &source.text[..source.text.floor_char_boundary(LONGEST_TEXT)];
        let units: Vec<_> = sentence::split(text).iter().map(|unit| words::tokens(unit)).collect();
        let title = words::tokens(&source.title[..source.title.floor_char_boundary(1024)]);
        for token in units.iter().flatten().filter(|token| token.kind == Kind::Word) {
            let id = self.id(&token.term);
            self.lower.insert(id);
        }
        let title = title.iter().map(|token| self.id(&token.term)).collect();
        let mut prepared = Prepared { units: Vec::new(), postings: HashMap::new(), title };
        for unit in units.iter().flat_map(|unit| unit.chunks(LONGEST_UNIT)).take(MOST_UNITS) {
            let words: Vec<_> = unit.iter().map(|token| self.word(token)).collect();
            let index = prepared.units.len();
            let acronyms = self.acronyms(unit);
            for term in words.iter().map(|word| word.term).chain(acronyms) {
                let units = prepared.postings.entry(term).or_default();
                if units.last() != Some(&index) {
                    units.push(index);
                }
            }
            prepared.units.push(words);
        }
        self.sources.push(prepared);
    }

    /// Reads a sentence; nothing if it has no terms, or too many.
    pub(crate) fn claim(&self, sentence: &str) -> Option<Claim> {
        let tokens = words::tokens(sentence);
        if tokens.len() > 2 * MOST_TERMS {
            return None;
        }
        let mut claim = Claim::default();
        let mut indexes: HashMap<&str, usize> = HashMap::new();
        let mut run: Vec<usize> = Vec::new();
        for token in &tokens {
            let id = self.ids.get(token.term.as_str()).copied();
            let role = match token.kind {
                Kind::Opening if id.is_some_and(|id| self.lower.contains(&id)) => Role::Word,
                kind => role(kind, &token.term),
            };
            let index = *indexes.entry(&token.term).or_insert(claim.terms.len());
            if index == claim.terms.len() {
                if index == MOST_TERMS {
                    return None;
                }
                let bit = 1 << index;
                claim.all |= bit;
                claim.heavy |= if role == Role::Word { 0 } else { bit };
                let none = Known { index, bits: 0 };
                for form in self.forms(&token.term, role) {
                    claim.known.entry(form).or_insert(none).bits |= bit;
                }
                if let Some(id) = id {
                    let bits = claim.known.get(&id).map_or(0, |known| known.bits);
                    claim.known.insert(id, Known { index, bits: bits | bit });
                }
                let opposites = crate::vocabulary::opposites(&token.term).iter();
                claim.terms.push(Term {
                    role,
                    negated: token.negated,
                    passive: token.passive,
                    undergone: token.undergone,
                    family: index,
                    opposites: opposites.filter_map(|term| self.ids.get(term.as_str()).copied()).collect(),
                    saying: crate::vocabulary::is_saying(&token.term),
                });
            }
            if role != Role::Name || !token.adjacent {
                run.clear();
            }
            if role == Role::Name {
                run.push(index);
                for member in &run {
                    claim.terms[*member].family = index;
                }
            }
            claim.order.push(index);
            claim.apart.push(token.apart);
        }
        (!claim.terms.is_empty()).then_some(claim)
    }

    /// An answer that is no sentence, with the question before it; nothing if it may be one. All that it says has to
    /// stand where the rest does.
    pub(crate) fn completed(&self, question: &str, answer: &str) -> Option<Claim> {
        let said = self.claim(answer).filter(|said| !question.is_empty() && said.is_elliptic())?;
        let mut claim = self.claim(&format!("{question}: {answer}"))?;
        let from = claim.order.len().checked_sub(said.order.len())?;
        claim.required = claim.order[from..].iter().fold(0, |required, index| required | 1 << index);
        Some(claim)
    }

    /// How far each sentence of a source bears a claim out that may; none of one that contradicts it.
    pub(crate) fn supports(&self, claim: &Claim, source: usize) -> Vec<Support> {
        let Some(source) = self.sources.get(source) else { return Vec::new() };
        let (mut title, mut anywhere) = (0, 0);
        for (id, known) in &claim.known {
            if source.title.contains(id) {
                title |= known.bits;
            }
            if source.postings.contains_key(id) {
                anywhere |= known.bits;
            }
        }
        let has = |index: usize| (anywhere | title) & (1 << index) != 0;
        let missing = |(index, term): (usize, &Term)| match term.role {
            Role::Number(_) => !has(index),
            Role::Name => !has(index) && !has(term.family),
            Role::Word => false,
        };
        if anywhere == 0 || claim.terms.iter().enumerate().any(missing) {
            return Vec::new();
        }
        let mut masks = vec![0_u128; source.units.len()];
        for (id, known) in &claim.known {
            for unit in source.postings.get(id).into_iter().flatten() {
                masks[*unit] |= known.bits;
            }
        }
        let mut anchors: Vec<_> = (0..masks.len()).filter(|unit| masks[*unit] != 0).collect();
        anchors.sort_by_key(|unit| std::cmp::Reverse(claim.weight(masks[*unit])));
        anchors.truncate(MOST_ANCHORS);
        let (mut supports, mut contradicted) = (Vec::new(), Vec::new());
        for anchor in anchors {
            let direct = masks[anchor];
            // More than half of the claim has to stand in one sentence, under the title; and where a sentence contradicts
            // the claim, another one that has less of it, under the same title, does not bear it out.
            let less = |mask: &u128| direct & mask == direct && direct | title != mask | title;
            let is_little = 2 * claim.weight(direct | title) <= claim.weight(u128::MAX);
            if is_little || direct & claim.required != claim.required || contradicted.iter().any(less) {
                continue;
            }
            let near = &masks[anchor.saturating_sub(2)..masks.len().min(anchor + 3)];
            let near = near.iter().fold(0, |all, mask| all | mask);
            let unit = &source.units[anchor];
            let meanings = unit.iter().map(|word| claim.known.get(&word.term).map(|known| known.index)).collect();
            let anchor = anchor::Anchor { claim, unit, meanings, direct, near, title };
            if anchor.contradicts() {
                contradicted.push(direct);
                continue;
            }
            supports.push(anchor.support());
        }
        supports
    }

    fn id(&mut self, term: &str) -> u32 {
        if let Some(id) = self.ids.get(term) {
            return *id;
        }
        // As many terms as sources have words: the bounds of both are far below.
        let id = u32::try_from(self.ids.len()).unwrap_or(u32::MAX);
        self.ids.insert(term.into(), id);
        id
    }

    fn word(&mut self, token: &words::Token) -> Word {
        let term = self.id(&token.term);
        let role = match token.kind {
            Kind::Opening if self.lower.contains(&term) => Role::Word,
            kind => role(kind, &token.term),
        };
        let words::Token { negated, passive, adjacent, apart, placed, undergone, .. } = *token;
        Word { term, role, negated, passive, adjacent, apart, placed, undergone }
    }

    /// `who` for `World Health Organization`, from every run of names.
    fn acronyms(&mut self, unit: &[words::Token]) -> Vec<u32> {
        let mut acronyms = Vec::new();
        let mut initials = String::new();
        for (index, token) in unit.iter().enumerate() {
            if token.kind == Kind::Name {
                if !token.adjacent {
                    initials.clear();
                }
                initials.extend(token.term.chars().next());
            }
            let goes_on = unit.get(index + 1).is_some_and(|next| next.kind == Kind::Name && next.adjacent);
            if token.kind != Kind::Name || !goes_on {
                if (2..=6).contains(&initials.chars().count()) {
                    acronyms.push(self.id(&initials));
                }
                initials.clear();
            }
        }
        acronyms
    }

    /// What else the sources may say for a term: of a name other forms, `Brazil` for `Brazilian` and the other way
    /// round, and of a word those that say the same.
    fn forms(&self, term: &str, role: Role) -> Vec<u32> {
        match role {
            Role::Name => {}
            Role::Word => {
                return synonyms::of(term).iter().filter_map(|word| self.ids.get(word.as_str()).copied()).collect();
            }
            Role::Number(_) => return Vec::new(),
        }
        let others = vocabulary::other_names(term).filter_map(|form| self.ids.get(form).copied());
        if term.len() < 4 {
            return others.collect();
        }
        let shorter = DERIVED.iter().filter_map(|ending| term.strip_suffix(ending)).filter(|form| form.len() >= 4);
        let shorter: Vec<_> = shorter.filter_map(|form| self.ids.get(form).copied()).collect();
        let longer = DERIVED.iter().filter_map(|ending| self.ids.get(format!("{term}{ending}").as_str()).copied());
        shorter.into_iter().chain(longer).chain(others).collect()
    }
}

impl Claim {
    /// Whether it says too little to be judged by itself.
    pub(crate) fn is_short(&self) -> bool {
        self.terms.len() < 3
    }

    /// Whether it is a few names, numbers or a word or two, of which nothing is said.
    fn is_elliptic(&self) -> bool {
        self.terms.len() < 3
            || self.terms.len() <= MOST_ELLIPTIC && self.terms.iter().all(|term| term.role != Role::Word)
    }

    /// Names and numbers count double.
    fn weight(&self, mask: u128) -> u32 {
        (mask & self.all).count_ones() + (mask & self.heavy).count_ones()
    }
}

fn role(kind: Kind, term: &str) -> Role {
    match kind {
        Kind::Number if term.starts_with("month") => Role::Number(Shape::Month),
        Kind::Number if term.contains('-') => Role::Number(Shape::Pair),
        Kind::Number if term.len() == 4 && matches!(term.as_bytes()[0], b'1' | b'2') && !term.contains('.') => {
            Role::Number(Shape::Year)
        }
        Kind::Number => Role::Number(Shape::Other),
        Kind::Name | Kind::Opening => Role::Name,
        Kind::Word => Role::Word,
    }
}
