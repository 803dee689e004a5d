//! The choice of the next token.
//!
//! Vocabularies have up to 262,000 entries, and this runs once per token and stream, so
//! nothing sorts or exponentiates them all: plain passes that the compiler vectorises
//! find the maximum and the total mass, a threshold leaves the few tokens that can be
//! chosen, and only these are ordered.
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
}

#[derive(Clone, Copy, Debug)]
struct Candidate {
    token: Token,
    logit: f32,
}

impl Sampler {
    /// Chooses the token at `position`, whose predecessors' last ones are `recent` (those
    /// that the repeat penalty weakens). `None` if the logits hold no finite maximum.
    pub fn pick(
        &mut self,
        logits: &[f32],
        recent: impl Iterator<Item = Token>,
        sampling: &Sampling,
        position: u64,
    ) -> Option<Token> {
        self.logits.clear();
        self.logits.extend_from_slice(logits);
        self.penalize(recent, sampling.repeat_penalty);

        let maximum = maximum(&self.logits);
        if !maximum.is_finite() {
            return None;
        }
        if sampling.temperature == 0.0 {
            let token = self.logits.iter().position(|logit| *logit == maximum)?;
            return Token::try_from(token).ok();
        }
        self.gather(maximum, sampling);
        Some(self.draw(maximum, sampling, position))
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
        let keep = if sampling.top_k == 0 { usize::MAX } else { sampling.top_k as usize };
        let nucleus = sampling.top_p < 1.0;
        let floor = (maximum - NEGLIGIBLE * sampling.temperature.max(1.0)).max(maximum + sampling.min_p.min(1.0).ln());
        let total = if nucleus && sampling.top_k == 0 { mass(&self.logits, maximum) } else { f32::INFINITY };

        // Most often the chosen few are near the maximum; the threshold sinks only as
        // long as something that can be kept may be below it.
        let mut depth = if nucleus || sampling.top_k > 0 { 6.0 } else { f32::INFINITY };
        loop {
            let threshold = (maximum - depth).max(floor);
            self.candidates.clear();
            self.candidates.extend(
                (0..)
                    .zip(&self.logits)
                    .filter(|(_, logit)| **logit >= threshold)
                    .map(|(token, logit)| Candidate { token, logit: *logit }),
            );
            if threshold <= floor
                || self.candidates.len() >= keep
                || candidate_mass(&self.candidates, maximum) >= sampling.top_p * total
            {
                break;
            }
            depth *= 2.0;
        }

        if self.candidates.len() > keep {
            self.candidates.select_nth_unstable_by(keep - 1, likelier_first);
            self.candidates.truncate(keep);
        }
        if sampling.top_k > 0 || nucleus {
            self.candidates.sort_unstable_by(likelier_first);
        }
        if nucleus {
            let total = if sampling.top_k == 0 { total } else { candidate_mass(&self.candidates, maximum) };
            let mut kept = 0.0;
            let end = self.candidates.iter().position(|candidate| {
                kept += (candidate.logit - maximum).exp();
                kept >= sampling.top_p * total
            });
            self.candidates.truncate(end.map_or(self.candidates.len(), |last| last + 1));
        }
    }

    fn draw(&self, maximum: f32, sampling: &Sampling, position: u64) -> Token {
        let weight = |candidate: &Candidate| f64::from((candidate.logit - maximum) / sampling.temperature).exp();
        let total: f64 = self.candidates.iter().map(weight).sum();
        let mut left = chance(sampling.seed, position) * total;
        let mut chosen = 0;
        for candidate in &self.candidates {
            let weight = weight(candidate);
            if weight > 0.0 {
                chosen = candidate.token;
                left -= weight;
                if left < 0.0 {
                    break;
                }
            }
        }
        chosen
    }
}

fn likelier_first(left: &Candidate, right: &Candidate) -> Ordering {
    right.logit.total_cmp(&left.logit).then(left.token.cmp(&right.token))
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

/// The sum of `e^(logit - maximum)`, to about five digits.
fn mass(logits: &[f32], maximum: f32) -> f32 {
    let mut lanes = [0.0f32; 16];
    let (chunks, rest) = logits.as_chunks::<16>();
    for chunk in chunks {
        for (lane, logit) in lanes.iter_mut().zip(chunk) {
            *lane += exponential(*logit - maximum);
        }
    }
    lanes.iter().sum::<f32>() + rest.iter().map(|logit| exponential(*logit - maximum)).sum::<f32>()
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
    candidates.iter().map(|candidate| (candidate.logit - maximum).exp()).sum()
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
