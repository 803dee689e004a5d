//! A claim against one sentence of a source: what both say, and where they contradict each other.

use std::iter::successors;

use super::{Claim, Role, Shape, Support, Term, Word};

/// What the neighbouring sentences, the title, and the rest of the source add, beside 1 for the sentence itself.
const NEAR: f32 = 0.8;
const TITLE: f32 = 0.9;
const ELSEWHERE: f32 = 0.4;

/// Names in a row that are looked at.
const LONGEST_ROW: usize = 8;

pub(super) struct Anchor<'a> {
    pub(super) claim: &'a Claim,
    pub(super) unit: &'a [Word],
    /// The term of the claim that each word of the sentence stands for.
    pub(super) meanings: Vec<Option<usize>>,
    /// Which terms of the claim the sentence has, which it and its neighbours have, and which the title has.
    pub(super) direct: u128,
    pub(super) near: u128,
    pub(super) title: u128,
}

impl Anchor<'_> {
    pub(super) fn support(&self) -> Support {
        let mut support = Support::NONE;
        let (mut found, mut total) = (0.0, 0.0);
        for (index, term) in self.claim.terms.iter().enumerate() {
            let weight = match term.role {
                Role::Number(_) | Role::Name => 2.0,
                Role::Word => 1.0,
            };
            total += weight;
            found += weight * self.share(index, term);
            if has(self.direct, index) {
                match term.role {
                    Role::Number(_) | Role::Name => support.names_and_numbers += 1,
                    Role::Word => support.words += 1,
                }
            } else if has(self.title, index) && term.role != Role::Word {
                support.of_title += 1;
            }
        }
        support.score = found / total;
        support
    }

    fn share(&self, index: usize, term: &Term) -> f32 {
        match term.role {
            _ if has(self.direct, index) => 1.0,
            _ if has(self.title, index) => TITLE,
            _ if has(self.near, index) => NEAR,
            Role::Name => ELSEWHERE,
            Role::Number(_) | Role::Word => 0.0,
        }
    }

    pub(super) fn contradicts(&self) -> bool {
        let terms = || self.claim.terms.iter().enumerate();
        terms().any(|(index, term)| match term.role {
            Role::Number(shape) if has(self.direct, index) => {
                self.belongs_to_something_else(index)
                    || self.is_another_names_number(index, shape)
                    || self.is_another_words_number(index, shape)
            }
            Role::Name if has(self.direct, index) => self.belongs_to_something_else(index),
            Role::Number(shape) => self.has_other_number(index, shape),
            Role::Name => self.is_far(index),
            Role::Word => false,
        }) || terms().any(|(index, term)| self.contradicts_polarity(index, term))
            || terms().any(|(index, term)| self.turned_into_opposite(index, term))
            || self.denies()
            || self.other_subject()
            || self.other_name_in_place()
            || self.other_given_name()
            || self.turned_round()
    }

    /// The number is not here, but one of its kind is that the claim does not have.
    fn has_other_number(&self, index: usize, shape: Shape) -> bool {
        let mut words = self.unit.iter().zip(&self.meanings);
        !has(self.near | self.title, index)
            || words.any(|(word, meaning)| word.role == Role::Number(shape) && meaning.is_none())
    }

    /// What stands beside this name or number in the claim stands beside another one here: `8 goals and 3 cards`
    /// are not `3 goals and 8 cards`.
    fn belongs_to_something_else(&self, index: usize) -> bool {
        let Term { role, family, .. } = self.claim.terms[index];
        // An acronym stands nowhere: its words do.
        if self.places(index).next().is_none() {
            return false;
        }
        let mine = |place: usize| match (self.meanings[place], role) {
            (Some(meaning), Role::Name) => self.claim.terms[meaning].family == family,
            (Some(meaning), Role::Number(_) | Role::Word) => meaning == index,
            (None, _) => false,
        };
        let order = &self.claim.order;
        let beside = |at: usize, offset: isize| {
            let Some(neighbour) = self.neighbour_in_claim(at, offset) else { return false };
            let term = &self.claim.terms[neighbour];
            if role == Role::Name && (term.family == family || matches!(term.role, Role::Number(_))) {
                return false;
            }
            // Of names, all in a row: `Webb of England refereed`; beside a name, also those on its other side.
            let row = |place: usize, direction: isize| {
                let longest = if role == Role::Name { LONGEST_ROW } else { 1 };
                let further = successors(Some(place), move |place| self.neighbour(*place, direction)).skip(1);
                // `Born in Porto and buried in Lisbon`: before a word, a place has not done what the word says.
                let may_do = move |place: &usize| direction > 0 || !self.is_place(*place);
                further.take(longest).take_while(move |place| self.unit[*place].role == role && may_do(place))
            };
            let among_names = role == Role::Name && term.role == Role::Name;
            let mut other = false;
            // `Named after A` and `B named it after A`: what stands before is the doer in one of them alone.
            let is_same_voice = |place: &usize| {
                let word = self.unit[*place];
                word.passive == term.passive && (offset < 0 || word.undergone == term.undergone)
            };
            for place in self.places(neighbour).filter(is_same_voice) {
                other |= row(place, -offset).next().is_some();
                if row(place, -offset).any(mine) || among_names && row(place, offset).any(mine) {
                    return false;
                }
            }
            other
        };
        order.iter().enumerate().filter(|(_, term)| **term == index).any(|(at, _)| beside(at, 1) || beside(at, -1))
    }

    /// A name stands by another number of this kind, and by this one stands another name: of `A in 1881, B in 1899`,
    /// 1899 is not A's.
    fn is_another_names_number(&self, index: usize, shape: Shape) -> bool {
        let names = (0..self.unit.len()).filter(|place| {
            let meaning = self.meanings[*place];
            meaning.is_some_and(|meaning| self.claim.terms[meaning].role == Role::Name)
        });
        let others = || {
            let numbers = (0..self.unit.len()).filter(|place| self.unit[*place].role == Role::Number(shape));
            numbers.filter(|place| self.meanings[*place].is_none())
        };
        let mut names = names.peekable();
        names.peek().is_some()
            && names.all(|name| {
                let Some(number) = self.places(index).min_by_key(|place| place.abs_diff(name)) else { return false };
                let mut between = number.min(name) + 1..number.max(name);
                others().any(|other| other.abs_diff(name) < number.abs_diff(name))
                    && between.any(|place| self.is_other_name(place))
            })
    }

    /// The word before the number in the claim has another one of its kind here, and before this one stands a word that
    /// the claim does not have: of `born in 1888 and died in 1935`, 1935 is not when somebody was born. What the title
    /// has is part of what the source is about, as the year of a championship.
    fn is_another_words_number(&self, index: usize, shape: Shape) -> bool {
        if has(self.title, index) {
            return false;
        }
        let order = &self.claim.order;
        let is_word = |index: &&usize| self.claim.terms[**index].role == Role::Word;
        let Some(at) = order.iter().position(|term| *term == index) else { return false };
        let Some(word) = order[..at].iter().rev().find(is_word) else { return false };
        let of_kind = |place: &usize| self.unit[*place].role == Role::Number(shape);
        let has_other = |place: usize| {
            let next = (place + 1..self.unit.len()).find(of_kind);
            next.is_some_and(|next| self.meanings[next] != Some(index))
        };
        let follows_other = |place: usize| {
            let before = (0..place).rev().find(|before| self.unit[*before].role == Role::Word);
            before.is_some_and(|before| self.meanings[before].is_none())
        };
        let mut words = self.places(*word).peekable();
        words.peek().is_some() && words.all(has_other) && self.places(index).all(follows_other)
    }

    /// A name that neither the sentence nor what surrounds it has, and that is not the subject, which may have been
    /// named long before.
    fn is_far(&self, index: usize) -> bool {
        let terms = &self.claim.terms;
        let near = |index: usize| has(self.direct | self.near | self.title, index);
        let subject = self.claim.order.iter().find(|index| terms[**index].role == Role::Name);
        let family = terms[index].family;
        !near(index) && !near(family) && subject.is_none_or(|subject| terms[*subject].family != family)
    }

    fn contradicts_polarity(&self, index: usize, term: &Term) -> bool {
        if !has(self.direct, index) {
            return term.negated || self.unit.iter().any(|word| term.opposites.contains(&word.term));
        }
        !self.places(index).any(|place| self.unit[place].negated == term.negated) && self.places(index).next().is_some()
    }

    /// What follows this term in the claim follows its opposite here.
    fn turned_into_opposite(&self, index: usize, term: &Term) -> bool {
        let mut pairs = self.claim.order.windows(2).filter(|pair| pair[0] == index && pair[1] != index);
        !term.opposites.is_empty()
            && pairs.any(|pair| {
                let before = self.places(pair[1]).map(|place| place.checked_sub(1).map(|place| self.unit[place].term));
                let mut before = before.peekable();
                before.peek().is_some() && before.all(|word| word.is_some_and(|word| term.opposites.contains(&word)))
            })
    }

    /// A word that the claim does not have is negated right before one that it has: `did not detect side effects`.
    fn denies(&self) -> bool {
        let pairs = self.unit.iter().zip(&self.meanings).zip(self.meanings.iter().skip(1));
        let mut denied = pairs.filter_map(|((word, meaning), next)| next.filter(|_| word.negated && meaning.is_none()));
        denied.any(|next| self.claim.terms[next].role == Role::Word)
    }

    /// The claim's first name is not here, and another one stands in its place, before everything both say.
    fn other_subject(&self) -> bool {
        let terms = &self.claim.terms;
        let Some(subject) = self.claim.order.iter().find(|index| terms[**index].role == Role::Name) else {
            return false;
        };
        let family = terms[*subject].family;
        if terms.iter().enumerate().any(|(index, term)| term.family == family && has(self.direct, index)) {
            return false;
        }
        let common = |meaning: &Option<usize>| meaning.is_some_and(|index| terms[index].role == Role::Word);
        let first = self.meanings.iter().position(common).unwrap_or(self.unit.len());
        (0..first).any(|place| self.is_other_name(place))
    }

    /// A name of the claim is not here, and beside the word that is beside it in the claim there is another one.
    fn other_name_in_place(&self) -> bool {
        let order = &self.claim.order;
        let missing = |index: usize| self.claim.terms[index].role == Role::Name && !has(self.direct, index);
        (0..order.len()).filter(|at| missing(order[*at])).any(|at| {
            let family = self.claim.terms[order[at]].family;
            [1, -1].into_iter().any(|offset| {
                let neighbour = self.neighbour_in_claim(at, offset).filter(|index| {
                    let term = &self.claim.terms[*index];
                    !matches!(term.role, Role::Number(_)) && term.family != family
                });
                neighbour.is_some_and(|word| {
                    // After `discovered by` stands who did it, after `discovered` what.
                    let is_same_voice = |place: &usize| self.unit[*place].passive == self.claim.terms[word].passive;
                    let places = self.places(word).filter(is_same_voice);
                    let mut places = places.filter_map(|place| self.neighbour(place, -offset));
                    places.any(|place| self.is_other_name(place) && !(offset > 0 && self.is_place(place)))
                })
            })
        })
    }

    /// `Denis Suárez` is not `Luis Suárez`, nor `North Korea` `South Korea`.
    fn other_given_name(&self) -> bool {
        let terms = &self.claim.terms;
        let given = |index: usize| !has(self.direct | self.near | self.title, index);
        let families = terms.iter().enumerate().filter(|(index, term)| {
            term.role == Role::Name && term.family != *index && given(*index) && has(self.direct, term.family)
        });
        families.map(|(_, term)| term.family).any(|family| {
            self.places(family).all(|place| {
                let before = place.checked_sub(1).filter(|before| self.meanings[*before].is_none());
                self.unit[place].adjacent && before.is_some_and(|before| self.unit[before].role == Role::Name)
            })
        })
    }

    /// `A beat B` is not `B beat A`, nor `A was beaten by B`.
    fn turned_round(&self) -> bool {
        let order = &self.claim.order;
        let name = |index: &&usize| self.claim.terms[**index].role == Role::Name;
        // `Made by A` is `A made` turned round, and so is all that stands beside it.
        let other_voice = |index: usize, place: usize| self.unit[place].passive != self.claim.terms[index].passive;
        let is_turned = order.iter().any(|index| self.places(*index).any(|place| other_voice(*index, place)));
        order.iter().enumerate().any(|(at, verb)| {
            let term = &self.claim.terms[*verb];
            let (Role::Word, Some(doer), Some(other)) =
                (term.role, order[..at].iter().rev().find(name), order[at + 1..].iter().find(name))
            else {
                return false;
            };
            if doer == other || term.saying {
                return false;
            }
            let stand = |first: usize, second: usize, verb: usize| {
                let before = |index: usize| self.places(index).any(|name| name < verb);
                let after = |index: usize| self.places(index).any(|name| name > verb);
                before(first) && !after(first) && after(second) && !before(second)
            };
            self.places(*verb).any(|place| match (other_voice(*verb, place), is_turned) {
                (true, _) => stand(*doer, *other, place),
                (false, true) => false,
                (false, false) => stand(*other, *doer, place),
            })
        })
    }

    /// Whether this is in a run of names that `in`, `at` or `on` comes before.
    fn is_place(&self, place: usize) -> bool {
        let mut start = place;
        while start > 0 && self.unit[start].adjacent && self.unit[start - 1].role == Role::Name {
            start -= 1;
        }
        self.unit[place].role == Role::Name && self.unit[start].placed
    }

    /// Whether there is a name here that the claim does not have, nor any other of its run.
    fn is_other_name(&self, place: usize) -> bool {
        let is_name = |place: usize| self.unit.get(place).is_some_and(|word| word.role == Role::Name);
        if !is_name(place) {
            return false;
        }
        let mut start = place;
        while start > 0 && self.unit[start].adjacent && is_name(start - 1) {
            start -= 1;
        }
        let mut end = place + 1;
        while is_name(end) && self.unit[end].adjacent {
            end += 1;
        }
        self.meanings[start..end].iter().all(Option::is_none)
    }

    /// The term beside that one in the claim, unless punctuation is between them.
    fn neighbour_in_claim(&self, at: usize, offset: isize) -> Option<usize> {
        let beside = at.checked_add_signed(offset)?;
        let apart = self.claim.apart.get(at.max(beside))?;
        (!apart).then(|| self.claim.order[beside])
    }

    /// The same in the sentence.
    fn neighbour(&self, place: usize, offset: isize) -> Option<usize> {
        let beside = place.checked_add_signed(offset)?;
        let later = self.unit.get(place.max(beside))?;
        (!later.apart).then_some(beside)
    }

    fn places(&self, index: usize) -> impl Iterator<Item = usize> {
        self.meanings.iter().enumerate().filter(move |(_, meaning)| **meaning == Some(index)).map(|(place, _)| place)
    }
}

fn has(mask: u128, index: usize) -> bool {
    mask & (1 << index) != 0
}
