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
            Role::Number(_) | Role::Name if has(self.direct, index) => self.belongs_to_something_else(index),
            Role::Number(shape) => self.has_other_number(index, shape),
            Role::Name | Role::Word => false,
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
            let Some(&neighbour) = at.checked_add_signed(offset).and_then(|at| order.get(at)) else { return false };
            let term = &self.claim.terms[neighbour];
            if role == Role::Name && (term.family == family || matches!(term.role, Role::Number(_))) {
                return false;
            }
            let places = self.places(neighbour).filter(|place| self.unit[*place].passive == term.passive);
            // Of names, all in a row: `Webb of England refereed`.
            let longest = if role == Role::Name { LONGEST_ROW } else { 1 };
            let row = |place: usize| {
                let further = successors(Some(place), move |place| place.checked_add_signed(-offset)).skip(1);
                further.take(longest).take_while(|place| self.unit.get(*place).is_some_and(|word| word.role == role))
            };
            let mut rows = places.map(row).filter(|row| row.clone().next().is_some()).peekable();
            rows.peek().is_some() && !rows.flatten().any(mine)
        };
        order.iter().enumerate().filter(|(_, term)| **term == index).any(|(at, _)| beside(at, 1) || beside(at, -1))
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
            let before = at.checked_sub(1).and_then(|at| order.get(at));
            let after = order.get(at + 1);
            let family = self.claim.terms[order[at]].family;
            let is_word = |index: &&usize| {
                let term = &self.claim.terms[**index];
                !matches!(term.role, Role::Number(_)) && term.family != family
            };
            let other_after = before
                .filter(is_word)
                .is_some_and(|word| self.places(*word).any(|place| self.is_other_name(place + 1)));
            let other_before = after.filter(is_word).is_some_and(|word| {
                self.places(*word).filter_map(|place| place.checked_sub(1)).any(|place| self.is_other_name(place))
            });
            other_after || other_before
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

    /// `A beat B` is not `B beat A`, but it is `B was beaten by A`.
    fn turned_round(&self) -> bool {
        let order = &self.claim.order;
        let name = |index: &&usize| self.claim.terms[**index].role == Role::Name;
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
            let same_voice = |place: &usize| self.unit[*place].passive == term.passive;
            self.places(*verb).filter(same_voice).any(|place| {
                let before = |index: usize| self.places(index).any(|name| name < place);
                let after = |index: usize| self.places(index).any(|name| name > place);
                before(*other) && !after(*other) && after(*doer) && !before(*doer)
            })
        })
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

    fn places(&self, index: usize) -> impl Iterator<Item = usize> {
        self.meanings.iter().enumerate().filter(move |(_, meaning)| **meaning == Some(index)).map(|(place, _)| place)
    }
}

fn has(mask: u128, index: usize) -> bool {
    mask & (1 << index) != 0
}
