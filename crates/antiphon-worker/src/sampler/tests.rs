use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

fn sampling() -> impl Strategy<Value = Sampling> {
    (0.05..2.0f32, 0.05..1.0f32, 0..12u32, prop_oneof![Just(0.0), 0.0..0.5f32], any::<u64>()).prop_map(
        |(temperature, top_p, top_k, min_p, seed)| Sampling {
            temperature,
            top_p,
            top_k,
            min_p,
            seed,
            ..Sampling::GREEDY
        },
    )
}

/// The tokens that the filters leave, read off their definitions with full sorts.
fn allowed(logits: &[f32], sampling: &Sampling) -> Vec<Token> {
    let mut order: Vec<usize> = (0..logits.len()).collect();
    order.sort_by(|left, right| logits[*right].total_cmp(&logits[*left]).then(left.cmp(right)));
    if sampling.top_k > 0 {
        order.truncate(sampling.top_k as usize);
    }
    let maximum = f64::from(logits[order[0]]);
    let weight = |token: usize| (f64::from(logits[token]) - maximum).exp();
    let total: f64 = order.iter().map(|token| weight(*token)).sum();
    let mut kept = 0.0;
    let mut tokens = Vec::new();
    for token in order {
        // The margins are the precision that the fast passes promise.
        if kept >= f64::from(sampling.top_p) * total * (1.0 + 1e-4) || weight(token) < f64::from(sampling.min_p) * 0.999
        {
            break;
        }
        kept += weight(token);
        tokens.push(Token::try_from(token).unwrap());
    }
    tokens
}

proptest! {
    #[test]
    fn only_tokens_that_the_filters_leave_are_chosen(
        logits in prop::collection::vec(-30.0..30.0f32, 1..200),
        sampling in sampling(),
        position in any::<u64>(),
    ) {
        let token = Sampler::default().pick(&logits, None, std::iter::empty(), &sampling, position).unwrap();
        prop_assert!(allowed(&logits, &sampling).contains(&token));
    }

    #[test]
    fn equal_seeds_draw_equally_whatever_was_drawn_before(
        logits in prop::collection::vec(-5.0..5.0f32, 1..100),
        sampling in sampling(),
        position in any::<u64>(),
    ) {
        let mut used = Sampler::default();
        used.pick(&[1.0, 2.0], None, [0].into_iter(), &Sampling { repeat_penalty: 1.3, ..sampling }, 3);
        prop_assert_eq!(
            used.pick(&logits, None, std::iter::empty(), &sampling, position),
            Sampler::default().pick(&logits, None, std::iter::empty(), &sampling, position)
        );
    }

    #[test]
    fn greedy_takes_the_first_of_the_likeliest(logits in prop::collection::vec(-3..3i8, 1..300)) {
        let logits: Vec<f32> = logits.into_iter().map(f32::from).collect();
        let token = Sampler::default().pick(&logits, None, std::iter::empty(), &Sampling::GREEDY, 0).unwrap();
        let expected = allowed(&logits, &Sampling { top_k: 1, ..Sampling::GREEDY });
        prop_assert_eq!(vec![token], expected);
    }

    #[test]
    fn only_allowed_tokens_are_chosen_and_as_if_there_were_no_others(
        logits in prop::collection::vec(-30.0..30.0f32, 1..200),
        words in prop::collection::vec(prop_oneof![Just(0), Just(u32::MAX), any::<u32>()], 0..8),
        sampling in sampling(),
        position in any::<u64>(),
    ) {
        let is_allowed = |token: usize| words.get(token / 32).is_some_and(|word| word >> (token % 32) & 1 == 1);
        let rest: Vec<f32> = (0..logits.len())
            .map(|token| if is_allowed(token) { logits[token] } else { f32::NEG_INFINITY })
            .collect();
        let token = Sampler::default().pick(&logits, Some(&words), std::iter::empty(), &sampling, position);
        prop_assert!(token.is_none_or(|token| is_allowed(token as usize)));
        prop_assert_eq!(token, Sampler::default().pick(&rest, None, std::iter::empty(), &sampling, position));
    }

    #[test]
    fn the_fast_exponential_is_close(x in -80.0..0.0f32) {
        prop_assert!((exponential(x) / x.exp() - 1.0).abs() < 1e-5);
    }
}

#[test]
fn draws_are_as_frequent_as_their_probabilities() {
    let logits = [0.0, 1.0, 2.0, f32::NEG_INFINITY];
    let sampling = Sampling { temperature: 0.5, seed: 11, ..Sampling::GREEDY };
    let mut sampler = Sampler::default();
    let mut counts = BTreeMap::new();
    for position in 0..20_000 {
        let token = sampler.pick(&logits, None, std::iter::empty(), &sampling, position).unwrap();
        *counts.entry(token).or_insert(0u32) += 1;
    }
    let total: f64 = [0.0f64, 2.0, 4.0].iter().map(|logit| logit.exp()).sum();
    for (token, logit) in [(0, 0.0f64), (1, 2.0), (2, 4.0)] {
        let expected = logit.exp() / total;
        assert!((f64::from(counts[&token]) / 20_000.0 - expected).abs() < 0.01);
    }
    assert!(!counts.contains_key(&3));
}

#[test]
fn the_penalty_weakens_each_recent_token_once() {
    let logits = [2.0, 1.9, -1.0];
    let sampling = Sampling { repeat_penalty: 1.1, ..Sampling::GREEDY };
    let pick = |recent: &[Token]| Sampler::default().pick(&logits, None, recent.iter().copied(), &sampling, 0);
    assert_eq!(pick(&[]), Some(0));
    assert_eq!(pick(&[0]), Some(1));
    assert_eq!(pick(&[0, 1, 1, 1]), Some(0));
    assert_eq!(pick(&[9]), Some(0));
}

#[test]
fn logits_without_a_finite_maximum_choose_nothing() {
    for logits in [vec![], vec![f32::NAN; 3], vec![f32::NEG_INFINITY; 20], vec![f32::INFINITY, 0.0]] {
        let sampling = Sampling { temperature: 1.0, ..Sampling::GREEDY };
        assert_eq!(Sampler::default().pick(&logits, None, std::iter::empty(), &sampling, 0), None);
    }
}

#[test]
fn not_a_number_is_never_chosen() {
    let logits = [f32::NAN, 1.0, f32::NAN];
    for sampling in [Sampling::GREEDY, Sampling { temperature: 1.0, top_p: 0.9, ..Sampling::GREEDY }] {
        assert_eq!(Sampler::default().pick(&logits, None, std::iter::empty(), &sampling, 0), Some(1));
    }
}
