//! How fast the model is, and how much of that the scheduler passes on.
//!
//! The reference is a bare loop over the same decoder: the same batches, threads and
//! cache, fixed tokens, nothing sampled. Both are measured alternately in one process, so
//! that a noisy machine disturbs both alike. On demand generation is measured once more under
//! a grammar, which costs a mask per token.

use std::error::Error;
use std::io::Write;
use std::sync::Arc;
use std::time::Instant;

use antiphon_worker::protocol::{Constraint, Generate, Message, Sampling, Token};
use antiphon_worker::{DecodeError, Decoder, Grammars, Row, Scheduler, Settings};
use serde_json::{Value, json};

use crate::llama::{Llama, Options};

pub(crate) struct Workload {
    pub(crate) streams: Vec<u32>,
    /// Tokens of each stream.
    pub(crate) prompt: u32,
    /// Tokens of each stream.
    pub(crate) output: u32,
    pub(crate) repeats: u32,
    /// Whether to generate once more under a grammar.
    pub(crate) constrained: bool,
}

/// In tokens per second over all streams.
#[derive(Clone, Copy)]
struct Speed {
    prefill: f64,
    decode: f64,
    /// Generation under a grammar; the bare loop has none.
    constrained: Option<f64>,
}

/// The generated tokens of each stream.
type Said = Vec<Vec<Token>>;

/// What a grammar costs, in microseconds.
#[derive(Default)]
struct Costs {
    compile: Vec<f64>,
    mask: Vec<f64>,
}

/// Measures and prints JSON.
pub(crate) fn run(options: &Options, workload: &Workload) -> Result<(), Box<dyn Error>> {
    let cells: u64 = u64::from(options.slots) * u64::from(workload.prompt + workload.output);
    if cells > u64::from(options.context) {
        return Err(format!("the streams need {cells} tokens, `--context` is {}", options.context).into());
    }
    let mut decoder = Llama::load(options)?;
    decoder.never_end();

    let grammars = workload.constrained.then(|| Grammars::new(Arc::clone(decoder.vocabulary())));
    let start = Instant::now();
    if let Some(grammars) = &grammars {
        grammars.warm();
    }
    let warm = start.elapsed().as_secs_f64() * 1e3;
    let mut costs = Costs::default();

    // The first batches load the weights and are of no interest.
    bare(&mut decoder, 1, 32.min(workload.prompt), 4)?;
    let mut results = Vec::new();
    for streams in &workload.streams {
        let (mut bare_speeds, mut scheduler_speeds) = (Vec::new(), Vec::new());
        for _ in 0..workload.repeats {
            bare_speeds.push(bare(&mut decoder, *streams, workload.prompt, workload.output)?);
            let speed;
            (decoder, speed) = scheduled(decoder, grammars.as_ref(), &mut costs, *streams, workload)?;
            scheduler_speeds.push(speed);
        }
        let ratio = |part: fn(&Speed) -> f64| median(&scheduler_speeds, part) / median(&bare_speeds, part);
        let mut result = json!({
            "streams": streams,
            "bare": report(&bare_speeds),
            "scheduler": report(&scheduler_speeds),
            "ratio": { "prefill": ratio(|speed| speed.prefill), "decode": ratio(|speed| speed.decode) },
        });
        if workload.constrained {
            result["constrained"] = json!({
                "decode": median(&scheduler_speeds, constrained),
                "ratio": median(&scheduler_speeds, |speed| constrained(speed) / speed.decode),
            });
        }
        results.push(result);
    }
    let mut report = json!({
        "model": decoder.card().name,
        "threads": options.threads,
        "flash_attention": options.flash_attention,
        "prompt": workload.prompt,
        "output": workload.output,
        "unit": "tokens/s over all streams, medians",
        "results": results,
    });
    if workload.constrained {
        report["grammar"] = json!({
            "vocabulary": decoder.vocabulary().size(),
            "warm_ms": warm,
            "compile_ms": mean(&costs.compile) / 1e3,
            "mask_us": { "mean": mean(&costs.mask), "p99": percentile(&mut costs.mask, 99) },
        });
    }
    writeln!(std::io::stdout(), "{report:#}")?;
    Ok(())
}

/// Prompts one after another, then one row per stream and batch.
fn bare(decoder: &mut Llama, streams: u32, prompt: u32, output: u32) -> Result<Speed, DecodeError> {
    let prompts: Vec<Vec<Token>> = (0..streams).map(|stream| tokens(decoder, stream, prompt + output)).collect();
    let row = |stream: u32, position: u32, logits: bool| Row {
        token: prompts[stream as usize][position as usize],
        position,
        sequence: stream,
        logits,
    };
    let start = Instant::now();
    let rows: Vec<Row> = (0..streams)
        .flat_map(|stream| (0..prompt).map(move |position| (stream, position)))
        .map(|(stream, position)| row(stream, position, position + 1 == prompt))
        .collect();
    for batch in rows.chunks(decoder.batch_size()) {
        decoder.decode(batch)?;
    }
    let prefill = f64::from(streams * prompt) / start.elapsed().as_secs_f64();

    let start = Instant::now();
    for position in prompt..prompt + output {
        let batch: Vec<Row> = (0..streams).map(|stream| row(stream, position, true)).collect();
        decoder.decode(&batch)?;
    }
    let decode = f64::from(streams * output) / start.elapsed().as_secs_f64();
    for stream in 0..streams {
        decoder.forget(stream, 0);
    }
    Ok(Speed { prefill, decode, constrained: None })
}

/// The same through the scheduler, with sampling and text. First the prompts with one
/// token each, then the same prompts, now cached, with all their output, and the same again
/// under a grammar.
fn scheduled(
    decoder: Llama,
    grammars: Option<&Grammars>,
    costs: &mut Costs,
    streams: u32,
    workload: &Workload,
) -> Result<(Llama, Speed), Box<dyn Error>> {
    let Workload { prompt, output, .. } = *workload;
    let settings = Settings { idle_cells: decoder.cells() as usize, ..Settings::of(&decoder) };
    let prompts: Vec<Vec<Token>> = (0..streams).map(|stream| tokens(&decoder, stream, prompt)).collect();
    let mut scheduler = Scheduler::new(decoder, settings);
    let (first, _) = generate(&mut scheduler, &prompts, 1, None)?;
    let prefill = f64::from(prompt) * first;
    let (decode, _) = generate(&mut scheduler, &prompts, output, None)?;
    let mut constrained = None;
    if let Some(grammars) = grammars {
        // From the same start: what was written so far would make attention slower.
        scheduler = Scheduler::new(scheduler.into_decoder(), settings);
        generate(&mut scheduler, &prompts, 1, None)?;
        let constraint = constraint(output);
        let (speed, said) = generate(&mut scheduler, &prompts, output, Some((grammars, &constraint)))?;
        constrained = Some(speed);
        for tokens in said {
            replay(grammars, &constraint, &tokens, costs)?;
        }
    }
    Ok((scheduler.into_decoder(), Speed { prefill, decode, constrained }))
}

/// Generates so many tokens for each prompt: tokens per second over all, and the tokens.
fn generate(
    scheduler: &mut Scheduler<Llama>,
    prompts: &[Vec<Token>],
    wanted: u32,
    constraint: Option<(&Grammars, &Constraint)>,
) -> Result<(f64, Said), Box<dyn Error>> {
    // Under a grammar no run is to be near its budget, where closing costs more.
    let max_tokens = if constraint.is_some() { 4 * wanted } else { wanted };
    for (id, prompt) in (0..).zip(prompts) {
        let guide = constraint.map(|(grammars, constraint)| grammars.compile(constraint)).transpose()?;
        let request = Generate {
            id,
            scope: String::new(),
            prompt: prompt.clone(),
            media: Vec::new(),
            resume: Vec::new(),
            max_tokens,
            sampling: Sampling {
                temperature: 0.7,
                top_p: 0.9,
                repeat_penalty: 1.1,
                repeat_window: 64,
                seed: id,
                ..Sampling::GREEDY
            },
            markers: Vec::new(),
            constraint: None,
        };
        scheduler.submit(request, guide);
    }
    let start = Instant::now();
    let mut out = Vec::new();
    let mut said = vec![Vec::new(); prompts.len()];
    let mut goes_on = true;
    while goes_on && said.iter().any(|tokens: &Vec<Token>| tokens.len() < wanted as usize) {
        goes_on = scheduler.step(&mut out)?;
        for message in out.drain(..) {
            match message {
                Message::Chunk { id, tokens, .. } => said[id as usize].extend(tokens),
                Message::Failed { message, .. } => return Err(message.into()),
                Message::Ready(_)
                | Message::Unservable { .. }
                | Message::Prepared { .. }
                | Message::Refused { .. }
                | Message::Started { .. }
                | Message::Finished { .. } => {}
            }
        }
    }
    let seconds = start.elapsed().as_secs_f64();
    for id in (0..).take(prompts.len()) {
        scheduler.cancel(id);
    }
    let count: usize = said.iter().map(Vec::len).sum();
    Ok((count as f64 / seconds, said))
}

/// Objects with strings, numbers and lists in a list that does not end before the output does: one takes at least 17
/// tokens.
fn constraint(output: u32) -> Constraint {
    let schema = json!({
        "type": "array",
        "minItems": output / 16,
        "items": {
            "type": "object",
            "properties": {
                "name": { "type": "string", "maxLength": 200 },
                "kind": { "enum": ["fruit", "vegetable", "spice"] },
                "amount": { "type": "number", "minimum": 0 },
                "tags": { "type": "array", "items": { "type": "string" } },
            },
            "required": ["name", "kind", "amount", "tags"],
            "additionalProperties": false,
        },
    });
    Constraint { grammar: format!("start: %json {schema}"), markers: Vec::new() }
}

/// Measures compiling and masks alone.
fn replay(
    grammars: &Grammars,
    constraint: &Constraint,
    tokens: &[Token],
    costs: &mut Costs,
) -> Result<(), Box<dyn Error>> {
    let start = Instant::now();
    let mut guide = grammars.compile(constraint)?;
    costs.compile.push(start.elapsed().as_secs_f64() * 1e6);
    for token in tokens {
        let start = Instant::now();
        guide.allowed()?;
        costs.mask.push(start.elapsed().as_secs_f64() * 1e6);
        guide.follow(*token, usize::MAX)?;
    }
    Ok(())
}

/// Ordinary tokens that look random; streams differ from the first one on.
fn tokens(decoder: &Llama, stream: u32, count: u32) -> Vec<Token> {
    let ordinary = decoder.vocabulary().size() / 2;
    (0..count).map(|index| 100 + (stream * 7919 + index * 104_729 + index * index % 613) % (ordinary - 100)).collect()
}

fn report(speeds: &[Speed]) -> Value {
    json!({ "prefill": median(speeds, |speed| speed.prefill), "decode": median(speeds, |speed| speed.decode) })
}

fn constrained(speed: &Speed) -> f64 {
    speed.constrained.unwrap_or(f64::NAN)
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// The value that so many of a hundred are below.
fn percentile(values: &mut [f64], hundredths: usize) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() * hundredths / 100]
}

fn median(speeds: &[Speed], part: fn(&Speed) -> f64) -> f64 {
    let mut values: Vec<f64> = speeds.iter().map(part).collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
