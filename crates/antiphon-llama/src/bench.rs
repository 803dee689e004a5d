//! How fast the model is, and how much of that the scheduler passes on.
//!
//! The reference is a bare loop over the same decoder: the same batches, threads and
//! cache, fixed tokens, nothing sampled. Both are measured alternately in one process, so
//! that a noisy machine disturbs both alike. If wanted, generation is measured once more under
//! a grammar, which costs a mask per token.
//!
//! For a benchmark that takes turns with other processes, each measurement can be asked for by a
//! line on stdin.

use std::error::Error;
use std::io::Write;
use std::ops::Range;
use std::sync::Arc;
use std::time::Instant;

use antiphon_worker::protocol::{Constraint, Generate, Message, Sampling, Token};
use antiphon_worker::{DecodeError, Decoder, Grammars, Row, Scheduler, Settings};
use serde::Deserialize;
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
            (decoder, speed) = beside_it(decoder, grammars.as_ref(), &mut costs, *streams, workload)?;
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
        "fused_attention": options.fused_attention,
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

/// The scheduler's part of a turn: its speeds, and that of generation under a grammar.
fn beside_it(
    decoder: Llama,
    grammars: Option<&Grammars>,
    costs: &mut Costs,
    streams: u32,
    workload: &Workload,
) -> Result<(Llama, Speed), Box<dyn Error>> {
    let Workload { prompt, output, .. } = *workload;
    let outputs = vec![output; streams as usize];
    let prompts: Vec<Vec<Token>> = (0..streams).map(|stream| tokens(&decoder, stream, prompt)).collect();
    let mut scheduler = scheduler(decoder);
    let (read, written) = scheduled(&mut scheduler, &prompts, &outputs)?;
    let mut constrained = None;
    if let Some(grammars) = grammars {
        // From the same start: what was written so far would make attention slower.
        scheduler = self::scheduler(scheduler.into_decoder());
        generate(&mut scheduler, &prompts, &vec![1; prompts.len()], None)?;
        let constraint = constraint(output);
        let (seconds, said) = generate(&mut scheduler, &prompts, &outputs, Some((grammars, &constraint)))?;
        // An item can come to its end with several tokens at once.
        constrained = Some(said.iter().map(Vec::len).sum::<usize>() as f64 / seconds);
        for tokens in said {
            replay(grammars, &constraint, &tokens, costs)?;
        }
    }
    let speed = Speed {
        prefill: f64::from(streams * prompt) / read,
        decode: f64::from(streams * output) / written,
        constrained,
    };
    Ok((scheduler.into_decoder(), speed))
}

/// A measurement that is asked for.
#[derive(Deserialize)]
#[serde(tag = "do", rename_all = "snake_case", deny_unknown_fields)]
enum Ask {
    /// The bare loop forgets everything and reads so many tokens of a conversation that nobody continues.
    Rest { idle: u32 },
    /// The bare loop forgets all streams, reads `cached` tokens of each and then, measured, more of them up to `prompt`.
    Read { streams: u32, cached: u32, prompt: u32 },
    /// The bare loop goes on after the prompts that it has read, with so many tokens for each stream.
    Write { outputs: Vec<u32> },
    /// The scheduler does both: with nothing cached at first.
    Schedule { prompt: u32, outputs: Vec<u32> },
}

/// Measures what each line of stdin asks for, and answers with a line of JSON: seconds.
pub(crate) fn answer(options: &Options) -> Result<(), Box<dyn Error>> {
    let mut decoder = Llama::load(options)?;
    decoder.never_end();
    let (slots, mut read) = (options.slots, 0);
    for line in std::io::stdin().lines() {
        let ask: Ask = serde_json::from_str(&line?)?;
        let answer = match ask {
            Ask::Rest { idle } => {
                forget_all(&mut decoder);
                json!({ "rest": bare_read(&mut decoder, slots..slots + 1, 0, idle)? })
            }
            Ask::Read { streams, cached, prompt } if streams <= slots && cached < prompt => {
                forget(&mut decoder, slots, 0);
                let streams = 0..streams;
                if cached > 0 {
                    bare_read(&mut decoder, streams.clone(), 0, cached)?;
                }
                read = prompt;
                json!({ "read": bare_read(&mut decoder, streams, cached, prompt)? })
            }
            Ask::Write { outputs } if outputs.len() <= slots as usize && read > 0 => {
                forget(&mut decoder, slots, read);
                json!({ "write": bare_write(&mut decoder, read, &outputs)? })
            }
            Ask::Schedule { prompt, outputs } if outputs.len() <= slots as usize => {
                forget_all(&mut decoder);
                read = 0;
                let prompts: Vec<Vec<Token>> =
                    (0..).zip(&outputs).map(|(stream, _)| tokens(&decoder, stream, prompt)).collect();
                let mut scheduler = scheduler(decoder);
                let (read, written) = scheduled(&mut scheduler, &prompts, &outputs)?;
                decoder = scheduler.into_decoder();
                json!({ "read": read, "write": written })
            }
            _ => return Err("more streams than slots, or nothing to read".into()),
        };
        writeln!(std::io::stdout(), "{answer}")?;
    }
    Ok(())
}

fn forget_all(decoder: &mut Llama) {
    forget(decoder, decoder.sequences(), 0);
}

fn forget(decoder: &mut Llama, sequences: u32, from: u32) {
    for sequence in 0..sequences {
        decoder.forget(sequence, from);
    }
}

/// Prompts one after another, then one row per stream and batch.
fn bare(decoder: &mut Llama, streams: u32, prompt: u32, output: u32) -> Result<Speed, DecodeError> {
    let outputs = vec![output; streams as usize];
    let prefill = f64::from(streams * prompt) / bare_read(decoder, 0..streams, 0, prompt)?;
    let decode = f64::from(streams * output) / bare_write(decoder, prompt, &outputs)?;
    forget_all(decoder);
    Ok(Speed { prefill, decode, constrained: None })
}

/// Reads the tokens of each stream from one position up to another: seconds.
fn bare_read(decoder: &mut Llama, streams: Range<u32>, from: u32, to: u32) -> Result<f64, DecodeError> {
    let prompts: Vec<Vec<Token>> = streams.clone().map(|stream| tokens(decoder, stream, to)).collect();
    let start = Instant::now();
    let rows: Vec<Row> = streams
        .zip(&prompts)
        .flat_map(|(sequence, prompt)| (from..to).map(move |position| (sequence, prompt, position)))
        .map(|(sequence, prompt, position)| Row {
            token: prompt[position as usize],
            position,
            sequence,
            logits: position + 1 == to,
        })
        .collect();
    for batch in rows.chunks(decoder.batch_size()) {
        decoder.decode(batch)?;
    }
    Ok(start.elapsed().as_secs_f64())
}

/// So many more tokens for each stream after its prompt, until the last has all of its own: seconds.
fn bare_write(decoder: &mut Llama, prompt: u32, outputs: &[u32]) -> Result<f64, DecodeError> {
    let longest = outputs.iter().copied().max().unwrap_or(0);
    let texts: Vec<Vec<Token>> =
        (0..).zip(outputs).map(|(stream, output)| tokens(decoder, stream, prompt + output)).collect();
    let start = Instant::now();
    for position in prompt..prompt + longest {
        let row = |(sequence, text): (u32, &Vec<Token>)| {
            text.get(position as usize).map(|token| Row { token: *token, position, sequence, logits: true })
        };
        let batch: Vec<Row> = (0..).zip(&texts).filter_map(row).collect();
        decoder.decode(&batch)?;
    }
    Ok(start.elapsed().as_secs_f64())
}

/// The same through the scheduler, with sampling and text: first the prompts with one token each, then the same
/// prompts, now cached, with all their output. Seconds of both.
fn scheduled(
    scheduler: &mut Scheduler<Llama>,
    prompts: &[Vec<Token>],
    outputs: &[u32],
) -> Result<(f64, f64), Box<dyn Error>> {
    let (read, _) = generate(scheduler, prompts, &vec![1; prompts.len()], None)?;
    let (written, _) = generate(scheduler, prompts, outputs, None)?;
    Ok((read, written))
}

/// A scheduler that keeps all it has read.
fn scheduler(decoder: Llama) -> Scheduler<Llama> {
    let settings = Settings { idle_cells: decoder.cells() as usize, ..Settings::of(&decoder) };
    Scheduler::new(decoder, settings)
}

/// Generates so many tokens for each prompt: seconds, and the tokens.
fn generate(
    scheduler: &mut Scheduler<Llama>,
    prompts: &[Vec<Token>],
    wanted: &[u32],
    constraint: Option<(&Grammars, &Constraint)>,
) -> Result<(f64, Said), Box<dyn Error>> {
    for (id, (prompt, wanted)) in (0..).zip(prompts.iter().zip(wanted)) {
        let guide = constraint.map(|(grammars, constraint)| grammars.compile(constraint)).transpose()?;
        let request = Generate {
            id,
            scope: String::new(),
            prompt: prompt.clone(),
            media: Vec::new(),
            resume: Vec::new(),
            // Under a grammar no run is to be near its budget, where closing costs more.
            max_tokens: if constraint.is_some() { 4 * wanted } else { *wanted },
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
    while goes_on && said.iter().zip(wanted).any(|(tokens, wanted): (&Vec<Token>, _)| tokens.len() < *wanted as usize) {
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
    Ok((seconds, said))
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
