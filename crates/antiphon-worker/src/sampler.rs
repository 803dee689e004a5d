//! The choice of the next token.
//!
//! Vocabularies have up to 262,000 entries, and this runs once per token and stream, so
//! nothing sorts or exponentiates them all: plain passes that the compiler vectorises
//! find the maximum and the total mass, a threshold leaves the few tokens that can be
//! chosen, and these are split by size only as far as the filters need.
//!
//! Chance comes from the seed and the position alone. A run that is resumed in another
//! process draws at each position what it would have drawn.

use std::cmp::Ordering;

use crate::protocol::{Sampling, Token};

/// Logits this far below the maximum have no mass that a draw could hit: `e^-24` of
/// 262,000 tokens is below one in 100,000.
const NEGLIGIBLE: f32 = 24.0;

/// Scratch space, so that sampling allocates nothing.
#[derive(Debug, Default)]
pub struct Sampler {
    logits: Vec<f32>,
    window: Vec<Token>,
    candidates: Vec<Candidate>,
    weights: Vec<f32>,
}

#[derive(Clone, Copy, Debug)]
struct Candidate {
    token: Token,
    logit: f32,
}

impl Sampler {
    /// Chooses the token at `position`, whose predecessors' last ones are `recent` (those
    /// that the repeat penalty weakens), among the `allowed` ones: one bit each, the lowest
    /// first. `None` if the logits hold no finite maximum.
    pub fn pick(
        &mut self,
        logits: &[f32],
        allowed: Option<&[u32]>,
        recent: impl Iterator<Item = Token>,
        sampling: &Sampling,
        position: u64,
    ) -> Option<Token> {
        // Nothing is changed, so nothing is copied.
        if sampling.temperature == 0.0 && allowed.is_none() && sampling.repeat_penalty == 1.0 {
            return likeliest(logits);
        }
        self.logits.clear();
        self.logits.extend_from_slice(logits);
        if let Some(allowed) = allowed {
            self.forbid(allowed);
        }
        self.penalize(recent, sampling.repeat_penalty);

        if sampling.temperature == 0.0 {
            return likeliest(&self.logits);
        }
        let maximum = maximum(&self.logits);
        if !maximum.is_finite() {
            return None;
        }
        self.gather(maximum, sampling);
        self.draw(maximum, sampling, position)
    }

    /// Takes all chance from the tokens that are not allowed. Most words of a mask allow all
    /// of their tokens or none.
    fn forbid(&mut self, allowed: &[u32]) {
        let words = allowed.iter().copied().chain(std::iter::repeat(0));
        for (logits, word) in self.logits.chunks_mut(32).zip(words) {
            match word {
                u32::MAX => {}
                0 => logits.fill(f32::NEG_INFINITY),
                word => {
                    for (bit, logit) in logits.iter_mut().enumerate() {
                        if word >> bit & 1 == 0 {
                            *logit = f32::NEG_INFINITY;
                        }
                    }
                }
            }
        }
    }

    fn penalize(&mut self, recent: impl Iterator<Item = Token>, penalty: f32) {
        if penalty == 1.0 {
            return;
        }
        self.window.clear();
        self.window.extend(recent);
        self.window.sort_unstable();
        self.window.dedup();
        for token in &self.window {
            if let Some(logit) = self.logits.get_mut(*token as usize) {
                *logit = if *logit > 0.0 { *logit / penalty } else { *logit * penalty };
            }
        }
    }

    /// Fills `candidates` with the tokens that the filters leave; never none.
    fn gather(&mut self, maximum: f32, sampling: &Sampling) {
        let floor = maximum - NEGLIGIBLE * sampling.temperature.max(1.0);
        let last = if sampling.top_k > 0 {
            self.last_of_likeliest(maximum, floor, sampling.top_k as usize, sampling.top_p)
        } else if sampling.top_p < 1.0 {
            self.last_of_nucleus(maximum, sampling.top_p)
        } else {
            None
        };
        match last {
            Some(last) => self.keep_to(last),
            None => self.collect(floor),
        }
        if sampling.min_p > 0.0 {
            let least = maximum + sampling.min_p.ln();
            self.candidates.retain(|candidate| candidate.logit >= least);
        }
    }

    /// The last of the `count` likeliest tokens, or of those among them that have
    /// `top_p` of their mass together.
    fn last_of_likeliest(&mut self, maximum: f32, floor: f32, count: usize, top_p: f32) -> Option<Candidate> {
        // Most often they are near the maximum.
        let mut depth = 6.0;
        loop {
            let threshold = (maximum - depth).max(floor);
            self.collect(threshold);
            if threshold <= floor || self.candidates.len() >= count {
                break;
            }
            depth *= 1.5;
        }
        if self.candidates.len() > count {
            self.candidates.select_nth_unstable_by(count - 1, likelier_first);
            self.candidates.truncate(count);
        }
        let wanted = if top_p < 1.0 { top_p * candidate_mass(&self.candidates, maximum) } else { f32::INFINITY };
        last_within(&mut self.candidates, maximum, wanted)
    }

    /// The last of the likeliest tokens that have `top_p` of the mass together. Mass is
    /// first counted in narrow slices of the logits' range, so that only the tokens of
    /// one slice must be told apart: models that hesitate have nuclei of thousands.
    fn last_of_nucleus(&mut self, maximum: f32, top_p: f32) -> Option<Candidate> {
        const SLICES: usize = NEGLIGIBLE as usize * 8 + 1;
        let slice = |logit: f32| (((maximum - logit) * 8.0) as usize).min(SLICES - 1);
        self.weights.clear();
        self.weights.extend(self.logits.iter().map(|logit| exponential(*logit - maximum)));
        let mut masses = [0.0f32; SLICES];
        for (logit, weight) in self.logits.iter().zip(&self.weights) {
            masses[slice(*logit)] += weight;
        }
        let wanted = top_p * masses.iter().sum::<f32>();
        let mut before = 0.0;
        let crossing = masses.iter().position(|mass| {
            before += mass;
            before >= wanted
        })?;
        before -= masses[crossing];

        // One slice lower than needed, because of rounding; the next line is exact.
        self.collect(maximum - (crossing + 2) as f32 / 8.0);
        self.candidates.retain(|candidate| slice(candidate.logit) == crossing);
        last_within(&mut self.candidates, maximum, wanted - before)
    }

    /// Fills `candidates` with the tokens down to `last`, in the order of the vocabulary:
    /// there a draw hardly moves when a logit changes by a rounding error.
    fn keep_to(&mut self, last: Candidate) {
        self.collect(last.logit);
        self.candidates.retain(|candidate| likelier_first(candidate, &last) != Ordering::Greater);
    }

    /// Fills `candidates` with all tokens that are at least so likely, in their order.
    fn collect(&mut self, threshold: f32) {
        self.candidates.clear();
        // Most chunks hold none; to see that takes two vector operations.
        for (index, chunk) in self.logits.chunks(16).enumerate() {
            if chunk.iter().fold(false, |any, logit| any | (*logit >= threshold)) {
                let first = (index * 16) as Token;
                let tokens = (first..).zip(chunk).filter(|(_, logit)| **logit >= threshold);
                self.candidates.extend(tokens.map(|(token, logit)| Candidate { token, logit: *logit }));
            }
        }
    }

    fn draw(&mut self, maximum: f32, sampling: &Sampling, position: u64) -> Option<Token> {
        self.weights.clear();
        let relative = self.candidates.iter().map(|candidate| candidate.logit - maximum);
        self.weights.extend(relative.map(|logit| exponential(logit / sampling.temperature)));
        let total: f64 = self.weights.iter().copied().map(f64::from).sum();
        let mut left = chance(sampling.seed, position) * total;
        let chosen = self.weights.iter().position(|weight| {
            left -= f64::from(*weight);
            left < 0.0
        });
        // Rounding may leave a trace of mass after the last one.
        let chosen = chosen.unwrap_or(self.candidates.len().checked_sub(1)?);
        Some(self.candidates[chosen].token)
    }
}

/// The last of the likeliest candidates that together have the mass, or of all. Halves are ordered
/// against each other only as far as that needs, so this takes linear time even when very
/// many are nearly equal.
fn last_within(candidates: &mut [Candidate], maximum: f32, mass: f32) -> Option<Candidate> {
    let (mut from, mut to) = (0, candidates.len());
    let mut before = 0.0;
    while to - from > 1 {
        let part = &mut candidates[from..to];
        let middle = part.len() / 2;
        part.select_nth_unstable_by(middle, likelier_first);
        let upper = candidate_mass(&part[..middle], maximum);
        if before + upper >= mass {
            to = from + middle;
        } else {
            before += upper;
            from += middle;
        }
    }
    candidates.get(from).copied()
}

fn likelier_first(left: &Candidate, right: &Candidate) -> Ordering {
    right.logit.total_cmp(&left.logit).then(left.token.cmp(&right.token))
}

/// The first token with the largest logit, if that is finite.
fn likeliest(logits: &[f32]) -> Option<Token> {
    const CHUNK: usize = 64;
    let maximum = maximum(logits);
    // As in `collect`: to see that a chunk does not hold it takes a few vector operations.
    let holds = |chunk: &[f32]| chunk.iter().fold(false, |any, logit| any | (*logit == maximum));
    let at = logits.chunks(CHUNK).position(holds).filter(|_| maximum.is_finite())? * CHUNK;
    let token = at + logits[at..].iter().position(|logit| *logit == maximum)?;
    Token::try_from(token).ok()
}

/// The largest value; not-a-number is not among the candidates.
fn maximum(logits: &[f32]) -> f32 {
    let mut lanes = [f32::NEG_INFINITY; 16];
    let (chunks, rest) = logits.as_chunks::<16>();
    for chunk in chunks {
        for (lane, logit) in lanes.iter_mut().zip(chunk) {
            *lane = if *logit > *lane { *logit } else { *lane };
        }
    }
    lanes.iter().chain(rest).fold(f32::NEG_INFINITY, |maximum, logit| if *logit > maximum { *logit } else { maximum })
}

/// `e^x` for `x <= 0` with a relative error below 3e-6, in operations that vectorise:
/// 2 to the nearest integer by its bits, times a Taylor polynomial of what remains.
#[inline]
fn exponential(x: f32) -> f32 {
    let power = (x * std::f32::consts::LOG2_E).max(-126.0);
    let whole = power.round_ties_even();
    let rest = (power - whole) * std::f32::consts::LN_2;
    let polynomial =
        1.0 + rest * (1.0 + rest * (0.5 + rest * (1.0 / 6.0 + rest * (1.0 / 24.0 + rest * (1.0 / 120.0)))));
    f32::from_bits(((whole as i32 + 127) << 23) as u32) * polynomial
}

fn candidate_mass(candidates: &[Candidate], maximum: f32) -> f32 {
    candidates.iter().map(|candidate| exponential(candidate.logit - maximum)).sum()
}

/// A number in [0, 1) that looks random and depends on nothing but seed and position.
fn chance(seed: u64, position: u64) -> f64 {
    let bits = scramble(scramble(seed) ^ position.wrapping_mul(0x9E37_79B9_7F4A_7C15));
    (bits >> 11) as f64 / (1u64 << 53) as f64
}

/// The output function of SplitMix64 (Steele, Lea, Flood 2014).
pub(crate) fn scramble(state: u64) -> u64 {
    let state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let state = (state ^ (state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let state = (state ^ (state >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    state ^ (state >> 31)
}

#[cfg(test)]
mod tests;
