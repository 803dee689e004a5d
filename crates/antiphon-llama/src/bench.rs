//! How fast the model is, and how much of that the scheduler passes on.
//!
//! The reference is a bare loop over the same decoder: the same batches, threads and
//! cache, fixed tokens, nothing sampled. Both are measured alternately in one process, so
//! that a noisy machine disturbs both alike.

use std::io::Write;
use std::time::Instant;

use antiphon_worker::protocol::{Generate, Sampling, Token};
use antiphon_worker::{DecodeError, Decoder, Row, Scheduler, Settings};
use serde_json::{Value, json};

use crate::llama::{Llama, Options};

pub(crate) struct Workload {
    pub(crate) streams: Vec<u32>,
    /// Tokens of each stream.
    pub(crate) prompt: u32,
    /// Tokens of each stream.
    pub(crate) output: u32,
    pub(crate) repeats: u32,
}

/// In tokens per second over all streams.
#[derive(Clone, Copy)]
struct Speed {
    prefill: f64,
    decode: f64,
}

/// Measures and prints JSON.
pub(crate) fn run(options: &Options, workload: &Workload) -> Result<(), Box<dyn std::error::Error>> {
    let cells: u64 = u64::from(options.slots) * u64::from(workload.prompt + workload.output);
    if cells > u64::from(options.context) {
        return Err(format!("the streams need {cells} tokens, `--context` is {}", options.context).into());
    }
    let mut decoder = Llama::load(options)?;
    decoder.never_end();

    // The first batches load the weights and are of no interest.
    bare(&mut decoder, 1, 32.min(workload.prompt), 4)?;
    let mut results = Vec::new();
    for streams in &workload.streams {
        let (mut bare_speeds, mut scheduler_speeds) = (Vec::new(), Vec::new());
        for _ in 0..workload.repeats {
            bare_speeds.push(bare(&mut decoder, *streams, workload.prompt, workload.output)?);
            let speed;
            (decoder, speed) = scheduled(decoder, *streams, workload.prompt, workload.output)?;
            scheduler_speeds.push(speed);
        }
        let ratio = |part: fn(&Speed) -> f64| median(&scheduler_speeds, part) / median(&bare_speeds, part);
        results.push(json!({
            "streams": streams,
            "bare": report(&bare_speeds),
            "scheduler": report(&scheduler_speeds),
            "ratio": { "prefill": ratio(|speed| speed.prefill), "decode": ratio(|speed| speed.decode) },
        }));
    }
    let report = json!({
        "model": decoder.card().name,
        "threads": options.threads,
        "flash_attention": options.flash_attention,
        "prompt": workload.prompt,
        "output": workload.output,
        "unit": "tokens/s over all streams, medians",
        "results": results,
    });
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
    Ok(Speed { prefill, decode })
}

/// The same through the scheduler, with sampling and text. First the prompts with one
/// token each, then the same prompts, now cached, with all their output.
fn scheduled(
    decoder: Llama,
    streams: u32,
    prompt: u32,
    output: u32,
) -> Result<(Llama, Speed), Box<dyn std::error::Error>> {
    let settings = Settings { idle_cells: decoder.cells() as usize, ..Settings::of(&decoder) };
    let prompts: Vec<Vec<Token>> = (0..streams).map(|stream| tokens(&decoder, stream, prompt)).collect();
    let mut scheduler = Scheduler::new(decoder, settings);
    let mut seconds = |max_tokens: u32| -> Result<f64, DecodeError> {
        for (id, prompt) in (0..).zip(&prompts) {
            scheduler.submit(Generate {
                id,
                scope: String::new(),
                prompt: prompt.clone(),
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
            });
        }
        let start = Instant::now();
        let mut out = Vec::new();
        while scheduler.step(&mut out)? {
            out.clear();
        }
        Ok(start.elapsed().as_secs_f64())
    };
    let prefill = f64::from(streams * prompt) / seconds(1)?;
    let decode = f64::from(streams * output) / seconds(output)?;
    Ok((scheduler.into_decoder(), Speed { prefill, decode }))
}

/// Ordinary tokens that look random; streams differ from the first one on.
fn tokens(decoder: &Llama, stream: u32, count: u32) -> Vec<Token> {
    let ordinary = decoder.vocabulary() / 2;
    (0..count).map(|index| 100 + (stream * 7919 + index * 104_729 + index * index % 613) % (ordinary - 100)).collect()
}

fn report(speeds: &[Speed]) -> Value {
    json!({ "prefill": median(speeds, |speed| speed.prefill), "decode": median(speeds, |speed| speed.decode) })
}

fn median(speeds: &[Speed], part: fn(&Speed) -> f64) -> f64 {
    let mut values: Vec<f64> = speeds.iter().map(part).collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
