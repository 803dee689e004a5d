//! The laws: what a run says does not depend on what else happens, and nothing leaks
//! from one scope to another. The [`Toy`] refuses rows that do not continue its cache and
//! batches that exceed it, so every run here also proves the bookkeeping.

use std::collections::{BTreeMap, BTreeSet};

use pretty_assertions::assert_eq;
use proptest::prelude::*;

use super::*;
use crate::protocol::{Medium, ModelCard, Segment, Shape};
use crate::toy::Toy;
use crate::transcript::Impression;

/// A toy that can fail, forget how to rewind, and say the same token for ever.
struct Moody {
    toy: Toy,
    /// The batch, counted from 0, that fails, and how.
    fails: Option<(usize, DecodeError)>,
    rewinds: bool,
    parrots: Option<Vec<f32>>,
    /// Rows of each batch so far.
    batches: Vec<usize>,
}

impl Moody {
    fn new(toy: Toy) -> Self {
        Self { toy, fails: None, rewinds: true, parrots: None, batches: Vec::new() }
    }
}

impl Decoder for Moody {
    fn card(&self) -> &ModelCard {
        self.toy.card()
    }
    fn cells(&self) -> u32 {
        self.toy.cells()
    }
    fn sequences(&self) -> u32 {
        self.toy.sequences()
    }
    fn batch_size(&self) -> usize {
        self.toy.batch_size()
    }
    fn vocabulary(&self) -> &Arc<dyn Vocabulary> {
        self.toy.vocabulary()
    }
    fn decode(&mut self, batch: &[Row]) -> Result<(), DecodeError> {
        self.batches.push(batch.len());
        if let Some((at, error)) = &self.fails
            && *at == self.batches.len() - 1
        {
            return Err(error.clone());
        }
        self.toy.decode(batch)
    }
    fn decode_medium(&mut self, medium: &Impression, sequence: u32, position: u32) -> Result<(), DecodeError> {
        self.toy.decode_medium(medium, sequence, position)
    }
    fn logits(&self, row: usize) -> &[f32] {
        self.parrots.as_deref().unwrap_or_else(|| self.toy.logits(row))
    }
    fn forget(&mut self, sequence: u32, from: u32) -> bool {
        (self.rewinds || from == 0) && self.toy.forget(sequence, from)
    }
    fn copy(&mut self, from: u32, to: u32, up_to: u32) -> bool {
        self.rewinds && self.toy.copy(from, to, up_to)
    }
}

/// All that was said about one run.
#[derive(Clone, Debug, Default, PartialEq)]
struct Transcript {
    cached: Option<u32>,
    tokens: Vec<Token>,
    text: String,
    end: Option<Result<FinishReason, String>>,
}

type Transcripts = BTreeMap<u64, Transcript>;

/// Adds messages to the transcripts; every run is started once, before it says anything,
/// and says nothing after its end.
fn record(transcripts: &mut Transcripts, out: &mut Vec<Message>) {
    for message in out.drain(..) {
        match message {
            Message::Started { id, cached } => {
                let transcript = transcripts.entry(id).or_default();
                assert_eq!((transcript.cached, &transcript.end), (None, &None), "run {id} started twice");
                transcript.cached = Some(cached);
            }
            Message::Chunk { id, tokens, text } => {
                let transcript = transcripts.get_mut(&id).expect("a chunk of a run that has not started");
                assert_eq!(transcript.end, None, "a chunk after the end of run {id}");
                transcript.tokens.extend(tokens);
                transcript.text.push_str(&text);
            }
            Message::Finished { id, reason } => {
                let transcript = transcripts.get_mut(&id).expect("an end of a run that has not started");
                assert_eq!(transcript.end.replace(Ok(reason)), None, "run {id} ended twice");
            }
            Message::Failed { id, message } => {
                let transcript = transcripts.entry(id).or_default();
                assert_eq!(transcript.end.replace(Err(message)), None, "run {id} ended twice");
            }
            Message::Ready(_) | Message::Unservable { .. } | Message::Prepared { .. } | Message::Refused { .. } => {
                panic!("a scheduler does not say this")
            }
        }
    }
}

fn scheduler<D: Decoder>(decoder: D) -> Scheduler<D> {
    let settings = Settings::of(&decoder);
    Scheduler::new(decoder, settings)
}

fn run_all<D: Decoder>(scheduler: &mut Scheduler<D>) -> Transcripts {
    let (mut transcripts, mut out) = (Transcripts::new(), Vec::new());
    while scheduler.step(&mut out).unwrap() {}
    record(&mut transcripts, &mut out);
    transcripts
}

/// What the run says when nothing else ever happened.
fn alone(toy: &Toy, request: &Generate) -> Transcript {
    let mut scheduler = scheduler(toy.clone());
    scheduler.submit(request.clone(), None);
    run_all(&mut scheduler).remove(&request.id).unwrap()
}

/// `#` and `@` in the text are two pictures.
fn request(id: u64, text: &str) -> Generate {
    let mut prompt = Vec::new();
    let mut media = Vec::new();
    for byte in text.bytes() {
        match byte {
            b'#' | b'@' => {
                let shape = Shape::Image { width: 3, height: 2 };
                media.push(Medium { at: prompt.len(), shape, data: vec![byte; shape.bytes()] });
            }
            byte => prompt.push(Token::from(byte)),
        }
    }
    Generate {
        id,
        scope: "a".to_owned(),
        prompt,
        media,
        resume: Vec::new(),
        max_tokens: 40,
        sampling: Sampling::GREEDY,
        markers: Vec::new(),
        constraint: None,
    }
}

/// A request for the next turn: all that was said, and more.
fn follow_up(id: u64, request: &Generate, said: &[Token], text: &str) -> Generate {
    let more = self::request(id, text);
    let before = request.prompt.len() + said.len();
    let prompt = request.prompt.iter().chain(said).copied().chain(more.prompt).collect();
    let later = more.media.into_iter().map(|medium| Medium { at: before + medium.at, ..medium });
    let media = request.media.iter().cloned().chain(later).collect();
    Generate { id, prompt, media, ..request.clone() }
}

/// What is in the cells of a prompt and what was said after it, as far as a test can tell it apart.
fn cells(request: &Generate, said: &[Token]) -> Vec<Token> {
    let mut cells = Vec::new();
    let mut read = 0;
    for Medium { at, data, .. } in &request.media {
        cells.extend(&request.prompt[read..*at]);
        read = *at;
        cells.extend([1000 + Token::from(data[0]); 3 * 2 + 2]);
    }
    cells.extend(&request.prompt[read..]);
    cells.extend(said);
    cells
}

/// How many tokens two sequences begin with in common.
fn common(left: &[Token], right: &[Token]) -> usize {
    left.iter().zip(right).take_while(|(left, right)| left == right).count()
}

#[derive(Clone, Debug)]
enum Act {
    Submit { prompt: String, scope: bool, sampling: Sampling, max_tokens: u32, follows: Option<prop::sample::Index> },
    Step(usize),
    Cancel(prop::sample::Index),
}

fn sampling() -> impl Strategy<Value = Sampling> {
    prop_oneof![
        Just(Sampling::GREEDY),
        (any::<u64>(), 0.5..1.0f32, 0..20u32).prop_map(|(seed, top_p, top_k)| Sampling {
            temperature: 0.9,
            top_p,
            top_k,
            min_p: 0.01,
            repeat_penalty: 1.1,
            repeat_window: 16,
            seed,
        }),
    ]
}

fn act() -> impl Strategy<Value = Act> {
    // Prompts that often begin alike, some longer than a batch.
    let prompt =
        ("(system |sys)(one |two |# |@ |# one |one two )[ab]{0,3}", prop_oneof![3 => Just(1usize), 1 => 1..12usize])
            .prop_map(|(text, times)| text.repeat(times));
    prop_oneof![
        4 => (prompt, any::<bool>(), sampling(), 1..60u32, any::<Option<prop::sample::Index>>())
            .prop_map(|(prompt, scope, sampling, max_tokens, follows)| {
                Act::Submit { prompt, scope, sampling, max_tokens, follows }
            }),
        4 => (1..30usize).prop_map(Act::Step),
        1 => any::<prop::sample::Index>().prop_map(Act::Cancel),
    ]
}

fn toys() -> impl Strategy<Value = Toy> {
    (150..600u32, 1..5u32, 0..5u32, prop_oneof![8..40usize, Just(512)])
        .prop_map(|(cells, slots, spare, batch_size)| Toy::new(cells, slots, slots + spare, batch_size).seeing())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn a_run_says_what_it_says_alone_whatever_else_happens(
        toy in toys(),
        rewinds in prop::bool::weighted(0.8),
        acts in prop::collection::vec(act(), 1..30),
    ) {
        let mut scheduler = scheduler(Moody { rewinds, ..Moody::new(toy.clone()) });
        let (mut transcripts, mut out) = (Transcripts::new(), Vec::new());
        let mut requests: Vec<Generate> = Vec::new();
        let mut cancelled = BTreeSet::new();
        for act in acts {
            match act {
                Act::Submit { prompt, scope, sampling, max_tokens, follows } => {
                    let id = requests.len() as u64;
                    let base = Generate { sampling, max_tokens, ..request(id, &prompt) };
                    let next = match follows {
                        Some(index) if !requests.is_empty() => {
                            let previous = &requests[index.index(requests.len())];
                            let said = transcripts.get(&previous.id).map_or(&[][..], |said| &said.tokens);
                            Generate { sampling, max_tokens, ..follow_up(id, previous, said, &prompt) }
                        }
                        _ => Generate { scope: if scope { "a" } else { "b" }.to_owned(), ..base },
                    };
                    requests.push(next.clone());
                    scheduler.submit(next, None);
                }
                Act::Step(steps) => {
                    for _ in 0..steps {
                        scheduler.step(&mut out).unwrap();
                    }
                }
                Act::Cancel(index) if !requests.is_empty() => {
                    record(&mut transcripts, &mut out);
                    let id = requests[index.index(requests.len())].id;
                    scheduler.cancel(id);
                    if transcripts.get(&id).is_none_or(|transcript| transcript.end.is_none()) {
                        cancelled.insert(id);
                    }
                }
                Act::Cancel(_) => {}
            }
            prop_assert!(scheduler.runs.len() <= toy.card().slots as usize);
            record(&mut transcripts, &mut out);
        }
        while scheduler.step(&mut out).unwrap() {}
        record(&mut transcripts, &mut out);

        for (index, request) in requests.iter().enumerate() {
            let expected = alone(&toy, request);
            let Some(said) = transcripts.get(&request.id) else {
                prop_assert!(cancelled.contains(&request.id), "nothing was said about run {}", request.id);
                continue;
            };
            if cancelled.contains(&request.id) {
                prop_assert!(said.end.is_none() || matches!(said.end, Some(Err(_))));
                prop_assert!(expected.tokens.starts_with(&said.tokens));
                continue;
            }
            prop_assert_eq!(&said.tokens, &expected.tokens);
            prop_assert_eq!(&said.text, &expected.text);
            prop_assert_eq!(&said.end, &expected.end);

            // Nothing cached comes from another scope, or from what was never said.
            let best = requests
                .iter()
                .enumerate()
                .filter(|(other, earlier)| *other != index && earlier.scope == request.scope)
                .map(|(_, earlier)| common(&cells(earlier, &alone(&toy, earlier).tokens), &cells(request, &[])))
                .max();
            let most = cells(request, &[]).len() - 1;
            prop_assert!(said.cached.unwrap_or(0) as usize <= best.unwrap_or(0).min(most));
        }
    }

    #[test]
    fn a_resumed_run_goes_on_as_if_it_had_not_been_interrupted(
        prompt in "[a-c]{1,20}",
        sampling in sampling(),
        max_tokens in 1..60u32,
        cut in any::<prop::sample::Index>(),
    ) {
        let toy = Toy::new(200, 2, 4, 16);
        let request = Generate { sampling, max_tokens, markers: vec!["<think>".to_owned()], ..request(1, &prompt) };
        let whole = alone(&toy, &request);
        let resume = whole.tokens[..cut.index(whole.tokens.len() + 1)].to_vec();
        let resumed = alone(&toy, &Generate { resume: resume.clone(), ..request });
        prop_assert_eq!([resume, resumed.tokens].concat(), whole.tokens);
        prop_assert_eq!(resumed.text, whole.text);
        prop_assert_eq!(resumed.end, whole.end);
    }
}

#[test]
fn the_next_turn_computes_only_what_is_new() {
    let mut scheduler = scheduler(Toy::new(1000, 2, 4, 64));
    let first = request(1, "a question");
    scheduler.submit(first.clone(), None);
    let said = run_all(&mut scheduler).remove(&1).unwrap();
    assert_eq!((said.cached, &said.end), (Some(0), &Some(Ok(FinishReason::End))));

    scheduler.submit(follow_up(2, &first, &said.tokens, "another"), None);
    let cached = run_all(&mut scheduler)[&2].cached;
    assert_eq!(cached, Some((first.prompt.len() + said.tokens.len()) as u32));
}

#[test]
fn the_same_prompt_again_computes_its_last_token_only() {
    let mut scheduler = scheduler(Toy::new(1000, 2, 4, 64));
    for (id, cached) in [(1, 0), (2, 9)] {
        scheduler.submit(request(id, "a question"), None);
        assert_eq!(run_all(&mut scheduler)[&id].cached, Some(cached));
    }
}

#[test]
fn a_picture_is_a_part_of_what_is_read_and_another_one_is_another_prompt() {
    let toy = Toy::new(1000, 2, 4, 64).seeing();
    let said = |text: &str| alone(&toy, &request(1, text)).text;
    assert_eq!(said("what is #?"), said("what is #?"));
    let texts = ["what is #?", "what is @?", "what # is?", "what is <>?", "# @ ?", "@ # ?"].map(said);
    assert_eq!(texts.iter().collect::<BTreeSet<_>>().len(), texts.len(), "{texts:?}");
}

#[test]
fn a_cached_picture_is_not_computed_again_and_no_other_is_taken_for_it() {
    for (first, next, cached) in [
        ("a # b", "a # b?", 12),
        ("a # b", "a # c", 11),
        ("a # b", "a @ b", 2),
        ("a # @ b", "a # # b", 11),
        ("a # b", "a # @ b", 11),
        ("# a", "# b", 9),
    ] {
        let mut scheduler = scheduler(Toy::new(1000, 2, 4, 64).seeing());
        scheduler.submit(Generate { max_tokens: 1, ..request(1, first) }, None);
        run_all(&mut scheduler);
        let next = request(2, next);
        scheduler.submit(next.clone(), None);
        let said = run_all(&mut scheduler).remove(&2).unwrap();
        assert_eq!(said.cached, Some(cached), "{first} {next:?}");
        assert_eq!(said.text, alone(&Toy::new(1000, 2, 4, 64).seeing(), &next).text);
    }
}

#[test]
fn others_go_on_between_the_pictures_of_a_prompt() {
    let toy = Toy::new(1000, 2, 4, 64).seeing();
    let long = (0..).map(|number| request(1, &number.to_string())).find(|it| alone(&toy, it).tokens.len() > 9).unwrap();
    let mut scheduler = scheduler(toy);
    let mut out = Vec::new();
    scheduler.submit(long, None);
    scheduler.step(&mut out).unwrap();
    scheduler.submit(request(2, "# # # ?"), None);
    out.clear();
    let mut heard = 0;
    while !out.iter().any(|message| matches!(message, Message::Chunk { id: 2, .. })) {
        scheduler.step(&mut out).unwrap();
        heard += 1;
    }
    let chunks = out.iter().filter(|message| matches!(message, Message::Chunk { id: 1, .. })).count();
    assert_eq!((heard, chunks), (3, 3), "a word beside each picture");
}

#[test]
fn media_that_cannot_be_are_refused_by_name() {
    let image = |width, height| Shape::Image { width, height };
    let medium = |at, shape: Shape| Medium { at, shape, data: vec![0; shape.bytes().min(100)] };
    for (media, expected) in [
        (vec![medium(3, image(1, 1))], "`media[0]`: expected a token after it"),
        (vec![medium(4, image(1, 1))], "`media[0]`: expected media in order"),
        (vec![medium(2, image(1, 1)), medium(1, image(1, 1))], "`media[1]`: expected media in order"),
        (vec![medium(0, image(0, 1))], "`media[0]`: expected a picture with sides of 1 to 4096, got 0 by 1"),
        (vec![medium(0, image(u32::MAX, u32::MAX))], "`media[0]`: expected a picture with sides of 1 to 4096"),
        (vec![medium(0, image(10, 10))], "`media[0]`: expected 300 bytes, got 100"),
        (vec![medium(0, Shape::Audio { samples: 2 })], "`media[0]`: the model takes no sounds"),
        (vec![medium(0, Shape::Audio { samples: u32::MAX })], "`media[0]`: expected a sound of 1 to"),
        (vec![medium(0, image(3, 3)); 20], "`prompt` has 223 tokens and `resume` 0, the context 100"),
    ] {
        let mut scheduler = scheduler(Toy::new(100, 1, 2, 8).seeing());
        scheduler.submit(Generate { media, ..request(1, "abc") }, None);
        let end = run_all(&mut scheduler).remove(&1).unwrap().end.unwrap();
        let refused = end.unwrap_err();
        assert!(refused.starts_with(expected), "{refused}");
    }
    let mut blind = scheduler(Toy::new(100, 1, 2, 8));
    blind.submit(request(1, "# ?"), None);
    let end = run_all(&mut blind).remove(&1).unwrap().end;
    assert_eq!(end, Some(Err("`media[0]`: the model takes no pictures".to_owned())));
}

#[test]
fn another_scope_finds_nothing_cached() {
    let mut scheduler = scheduler(Toy::new(1000, 2, 4, 64));
    for (id, scope) in [(1, "a"), (2, "b")] {
        scheduler.submit(Generate { scope: scope.to_owned(), ..request(id, "a question") }, None);
        assert_eq!(run_all(&mut scheduler)[&id].cached, Some(0));
    }
}

#[test]
fn forks_of_a_conversation_share_it_while_it_runs_and_afterwards() {
    let base =
        "the beginning of a conversation, which is long enough to be kept, because nobody wants to read it again";
    let mut scheduler = scheduler(Toy::new(4000, 3, 8, 512));
    let mut out = Vec::new();
    scheduler.submit(request(1, base), None);
    scheduler.step(&mut out).unwrap();
    for id in 2..=3 {
        scheduler.submit(request(id, &format!("{base} {id}")), None);
    }
    scheduler.step(&mut out).unwrap();
    let mut transcripts = Transcripts::new();
    record(&mut transcripts, &mut out);
    let cached = Some(base.len() as u32);
    assert_eq!((transcripts[&2].cached, transcripts[&3].cached), (cached, cached));

    finish_all(&mut scheduler, &mut transcripts);
    for id in 4..=6 {
        scheduler.submit(request(id, &format!("{base} {id}")), None);
        assert!(run_all(&mut scheduler)[&id].cached >= cached);
    }
}

/// Finishes what runs, into transcripts that already know it.
fn finish_all<D: Decoder>(scheduler: &mut Scheduler<D>, transcripts: &mut Transcripts) {
    let mut out = Vec::new();
    while scheduler.step(&mut out).unwrap() {}
    record(transcripts, &mut out);
}

#[test]
fn a_long_conversation_survives_a_short_one_that_begins_alike() {
    let mut scheduler = scheduler(Toy::new(4000, 1, 4, 512));
    let long = request(1, &"system, then something long ".repeat(10));
    scheduler.submit(long.clone(), None);
    let said = run_all(&mut scheduler).remove(&1).unwrap();
    scheduler.submit(request(2, "system, hi"), None);
    assert_eq!(run_all(&mut scheduler)[&2].cached, Some("system, ".len() as u32));
    scheduler.submit(follow_up(3, &long, &said.tokens, "?"), None);
    assert_eq!(run_all(&mut scheduler)[&3].cached, Some((long.prompt.len() + said.tokens.len()) as u32));
}

#[test]
fn idle_sequences_stay_in_their_budget_but_the_latest_is_kept() {
    let mut scheduler = Scheduler::new(Toy::new(1000, 1, 16, 64), Settings { idle_cells: 100, prompt_rows: 64 });
    for id in 0..10 {
        scheduler.submit(Generate { max_tokens: 1, ..request(id, &format!("{id}").repeat(30)) }, None);
        run_all(&mut scheduler);
    }
    assert_eq!(scheduler.idle.len(), 3);
    scheduler.submit(Generate { max_tokens: 1, ..request(10, &"x".repeat(400)) }, None);
    run_all(&mut scheduler);
    assert_eq!(scheduler.idle.iter().map(|idle| idle.read.len()).collect::<Vec<_>>(), [400]);
}

#[test]
fn a_cancelled_run_frees_its_slot_within_one_step() {
    let mut scheduler = scheduler(Toy::new(1000, 1, 2, 16));
    let mut out = Vec::new();
    scheduler.submit(request(1, &"x".repeat(100)), None);
    scheduler.submit(request(2, "waits"), None);
    scheduler.step(&mut out).unwrap();
    assert_eq!(out, [Message::Started { id: 1, cached: 0 }]);
    out.clear();
    scheduler.cancel(1);
    scheduler.step(&mut out).unwrap();
    assert_eq!(out[0], Message::Started { id: 2, cached: 0 });
    assert!(matches!(out[1], Message::Chunk { id: 2, .. }));
}

#[test]
fn a_cancelled_waiting_run_is_never_started() {
    let mut scheduler = scheduler(Toy::new(1000, 1, 2, 16));
    scheduler.submit(request(1, "runs"), None);
    scheduler.submit(request(2, "waits"), None);
    scheduler.cancel(2);
    assert_eq!(run_all(&mut scheduler).keys().copied().collect::<Vec<_>>(), [1]);
}

#[test]
fn prompts_share_batches_with_generation_in_bounded_chunks() {
    let mut scheduler =
        Scheduler::new(Moody::new(Toy::new(1000, 2, 4, 64)), Settings { idle_cells: 100, prompt_rows: 10 });
    let mut out = Vec::new();
    scheduler.submit(Generate { max_tokens: 20, ..request(1, "x") }, None);
    scheduler.step(&mut out).unwrap();
    scheduler.submit(Generate { max_tokens: 1, ..request(2, &"y".repeat(35)) }, None);
    for _ in 0..5 {
        scheduler.step(&mut out).unwrap();
    }
    assert_eq!(scheduler.decoder.batches, [1, 11, 11, 11, 6, 1]);
}

#[test]
fn the_last_row_of_a_prompt_holds_no_other_prompt_back() {
    let mut scheduler =
        Scheduler::new(Moody::new(Toy::new(1000, 2, 4, 64)), Settings { idle_cells: 100, prompt_rows: 10 });
    for (id, length) in [(1, 65), (2, 100)] {
        scheduler.submit(Generate { max_tokens: 1, ..request(id, &"xy".repeat(100)[..length]) }, None);
    }
    run_all(&mut scheduler);
    assert_eq!(scheduler.decoder.batches, [64, 64, 37]);
}

#[test]
fn runs_wait_while_the_cells_they_may_need_are_reserved() {
    let mut scheduler = scheduler(Toy::new(100, 4, 8, 64));
    let mut out = Vec::new();
    for id in 1..=3 {
        scheduler.submit(request(id, "0123456789"), None);
    }
    scheduler.step(&mut out).unwrap();
    assert_eq!(scheduler.runs.len(), 2);
    let mut transcripts = Transcripts::new();
    record(&mut transcripts, &mut out);
    finish_all(&mut scheduler, &mut transcripts);
    assert!(transcripts.values().all(|transcript| matches!(transcript.end, Some(Ok(_)))));
    assert_eq!(transcripts.len(), 3);
}

#[test]
fn max_tokens_is_clipped_to_what_the_context_leaves() {
    let mut decoder = Moody::new(Toy::new(50, 1, 1, 64));
    decoder.parrots = Some((0..262).map(|token| if token == 65 { 1.0 } else { 0.0 }).collect());
    let mut scheduler = scheduler(decoder);
    scheduler.submit(Generate { max_tokens: u32::MAX, ..request(1, &"x".repeat(30)) }, None);
    let said = run_all(&mut scheduler).remove(&1).unwrap();
    assert_eq!((said.tokens.len(), said.end), (20, Some(Ok(FinishReason::Length))));
}

#[test]
fn a_run_that_repeats_itself_is_stopped() {
    let mut decoder = Moody::new(Toy::new(2000, 1, 1, 64));
    decoder.parrots = Some((0..262).map(|token| if token == 65 { 1.0 } else { 0.0 }).collect());
    let mut scheduler = scheduler(decoder);
    scheduler.submit(Generate { max_tokens: 1000, ..request(1, "x") }, None);
    let said = run_all(&mut scheduler).remove(&1).unwrap();
    assert_eq!((said.tokens.len(), said.end), (256, Some(Ok(FinishReason::Repetition))));

    let resume = vec![65; 256];
    scheduler.submit(Generate { max_tokens: 1000, resume, ..request(2, "x") }, None);
    let said = run_all(&mut scheduler).remove(&2).unwrap();
    assert_eq!((said.text.len(), said.end), (256, Some(Ok(FinishReason::Repetition))));
}

#[test]
fn only_markers_are_shown_of_special_tokens() {
    let mut decoder = Moody::new(Toy::new(100, 1, 2, 64));
    decoder.parrots = Some((0..262).map(|token| if token == 260 { 1.0 } else { 0.0 }).collect());
    let mut scheduler = scheduler(decoder);
    for (id, markers, text) in [(1, vec![], ""), (2, vec!["<think>".to_owned()], "<think><think>")] {
        scheduler.submit(Generate { max_tokens: 2, markers, ..request(id, "x") }, None);
        let said = run_all(&mut scheduler).remove(&id).unwrap();
        assert_eq!((said.tokens.len(), said.text.as_str()), (2, text));
    }
}

#[test]
fn a_refused_batch_fails_its_runs_and_no_others() {
    let mut decoder = Moody::new(Toy::new(1000, 2, 4, 64));
    decoder.fails = Some((2, DecodeError::Refused("no reason".to_owned())));
    let toy = decoder.toy.clone();
    let mut scheduler = scheduler(decoder);
    for id in 1..=3 {
        scheduler.submit(request(id, "same"), None);
    }
    let transcripts = run_all(&mut scheduler);
    for id in [1, 2] {
        assert_eq!(transcripts[&id].end, Some(Err("the model refused a batch: no reason".to_owned())));
    }
    assert_eq!(transcripts[&3], alone(&toy, &request(3, "same")));
}

#[test]
fn a_broken_model_fails_everything() {
    let mut decoder = Moody::new(Toy::new(1000, 1, 2, 64));
    decoder.fails = Some((0, DecodeError::Broken("gone".to_owned())));
    let mut scheduler = scheduler(decoder);
    for id in 1..=2 {
        scheduler.submit(request(id, "x"), None);
    }
    let mut out = Vec::new();
    assert!(scheduler.step(&mut out).is_err());
    let mut transcripts = Transcripts::new();
    record(&mut transcripts, &mut out);
    assert!(transcripts.values().all(|transcript| matches!(transcript.end, Some(Err(_)))));
    assert_eq!((transcripts.len(), scheduler.has_work()), (2, false));
}

#[test]
fn unusable_logits_fail_the_run() {
    let mut decoder = Moody::new(Toy::new(100, 1, 2, 64));
    decoder.parrots = Some(vec![f32::NAN; 262]);
    let mut scheduler = scheduler(decoder);
    scheduler.submit(request(1, "x"), None);
    assert!(matches!(run_all(&mut scheduler)[&1].end, Some(Err(_))));
}

#[test]
fn a_wrong_request_is_refused_by_the_name_of_its_field() {
    let good = request(1, "x");
    let sampling = Sampling::GREEDY;
    for (wrong, name) in [
        (Generate { prompt: vec![], ..good.clone() }, "`prompt`"),
        (Generate { prompt: vec![65; 100], ..good.clone() }, "the context 100"),
        (Generate { resume: vec![65; 100], ..good.clone() }, "`resume`"),
        (Generate { max_tokens: 0, ..good.clone() }, "`max_tokens`"),
        (Generate { prompt: vec![262], ..good.clone() }, "token 262"),
        (Generate { sampling: Sampling { temperature: -1.0, ..sampling }, ..good.clone() }, "`sampling.temperature`"),
        (Generate { sampling: Sampling { top_p: 0.0, ..sampling }, ..good.clone() }, "`sampling.top_p`"),
        (Generate { sampling: Sampling { min_p: f32::NAN, ..sampling }, ..good.clone() }, "`sampling.min_p`"),
        (Generate { sampling: Sampling { repeat_penalty: 0.0, ..sampling }, ..good }, "`sampling.repeat_penalty`"),
    ] {
        let mut scheduler = scheduler(Toy::new(100, 1, 1, 16));
        scheduler.submit(wrong, None);
        let end = run_all(&mut scheduler).remove(&1).unwrap().end;
        assert!(matches!(&end, Some(Err(message)) if message.contains(name)), "{end:?} does not name {name}");
    }
}

#[test]
fn special_tokens_come_out_of_control_segments_only() {
    let text = || "<think>".to_owned();
    let segments = [Segment::Control(text()), Segment::Data(text()), Segment::Tokens(vec![1, 2])];
    let (tokens, media) = Toy::new(100, 1, 1, 16).vocabulary().read(&segments).unwrap();
    assert_eq!(media, []);
    assert_eq!(tokens[0], 260);
    assert!(tokens[1..].iter().all(|token| *token < 256));
    assert_eq!(tokens.len(), 1 + 7 + 2);
}
