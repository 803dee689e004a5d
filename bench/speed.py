"""(a) Prompt and generation speed through HTTP, beside the bare decode loop and another server."""

import json
import random
import statistics
import subprocess
from statistics import harmonic_mean

from serving import Antiphon, Reference
from setting import Limit, Report, progress, ratio

CONTEXT = 32_768
# As in the worker, where it is not an option.
BATCH = 512

METHOD = """
Prompts that share no prefix, of about as many tokens as said beside each row, and then as many generated.
Temperature 0, {threads} threads, batches of {batch}, a cache of {context} cells, plain attention; {repeats} turns. In
each turn every contender runs alone and fresh from its start, after a short warm-up:

- *bare*: `llama_decode` in a loop over fixed tokens, nothing sampled, the same numbers of tokens and streams in each
  batch (`antiphon-llama bench --asked`). Measured right before and right after *HTTP*, fresh each time; its speed is
  that of both together, or of the one after it where answers became longer or shorter than they were before. How far
  those two are apart is what the machine does by itself within a minute.
- *scheduler*: the same tokens through the worker's scheduler and sampler, without pipe and server (same command).
- *HTTP*: `antiphon serve` with as many slots as streams; creates with `stream` and `store`, all sent at once.
- *xllamacpp*: an independent build of llama.cpp with its own HTTP server, the same messages.

Prompts are drawn anew, {draws} times at most, while an answer of one of them ends early; where one does after all,
that stream ends there in the bare loop too.

Prefill: tokens of all prompts that were not cached, by the time from the first request to the last stream's first
text, with one token of output. Decode: then the same prompts, now cached, with all their output; generated tokens by
the time from the first request to the last text. So both hold all that HTTP adds, and as many decode steps as the bare
loop has. *first to last* counts from the first text to the last instead, without the first token of each stream.
"""

# Words that both vocabularies have as one token each.
WORDS = (
    "time year people way day man thing woman life child world school state family student group country problem hand "
    "part place case week company system program question work government number night point home water room mother "
    "area money story fact month lot right study book eye job word business issue side kind head house service friend "
    "father power hour game line end member law car city community name president team minute idea body information "
    "back parent face others level office door health person art war history party result change morning reason "
    "research girl guy moment air teacher force education"
).split()

# How often prompts are drawn, to find those whose answers do not end early.
DRAWS = 4

SMALL = "smollm2-135m-instruct"

# What each model writes on for longer than is measured, with any of these words.
TASKS = {
    "smollm2-135m-instruct": "Now write a very long story with these words, with many chapters.",
    "qwen2.5-coder-1.5b-instruct": "Repeat all of these words in the same order, then start again.",
}


def measure(setting):
    who = ("bare", "scheduler", "HTTP", "xllamacpp", "HTTP, first to last")
    speeds = [["tokens/s", "streams", "tokens of each", *who]]
    pairs = (("HTTP", "bare"), ("scheduler", "bare"), ("HTTP", "scheduler"), ("HTTP", "xllamacpp"))
    spread = (("HTTP", "bare"), ("bare after", "bare before"))
    ratios = [["ratio", "streams", "tokens of each", *(f"{a} ÷ {b}" for a, b in pairs)]]
    ratios[0] += [f"{a} ÷ {b}, least to most" for a, b in spread]
    limits, short = [], 0
    for model in setting.models:
        weights = setting.weights(model)
        head = head_length(setting, model)
        for streams in (1, 4, 8):
            prompt, output = (128, 32) if setting.quick else lengths(model, streams)
            prompts, outputs = endless(setting, model, streams, prompt - head, output)
            turns = []
            for turn in range(setting.repeats):
                progress(f"(a) {model}, {streams} streams, turn {turn + 1} of {setting.repeats}")
                expected = outputs
                with Loop(setting, weights, streams) as loop:
                    before = loop.bare(prompt, expected)
                http, outputs = through(antiphon(setting, model, streams), prompts, output)
                with Loop(setting, weights, streams) as loop:
                    after = loop.bare(prompt, outputs)
                with Loop(setting, weights, streams) as loop:
                    found = {"HTTP": http, "scheduler": loop.scheduler(prompt, outputs)}
                found |= {"bare before": before, "bare after": after}
                counted = {"prefill": (before, after), "decode": (before, after) if outputs == expected else (after,)}
                found["bare"] = {kind: harmonic_mean([one[kind] for one in both]) for kind, both in counted.items()}
                short += sum(length < output for length in outputs)
                if setting.reference:
                    reference = Reference(setting, weights, streams, setting.threads, CONTEXT, BATCH)
                    found["xllamacpp"], _ = through(reference, prompts, output)
                turns.append(found)

            for kind in ("prefill", "decode"):
                of = {one: [turn[one][kind] for turn in turns] for one in turns[0]}
                later = [turn["HTTP"]["first to last"] for turn in turns] if kind == "decode" else []
                row = [f"{model}, {kind}", str(streams), str(prompt if kind == "prefill" else output)]
                median = [f"{statistics.median(of[one]):.1f}" if one in of else "not there" for one in who[:-1]]
                speeds.append([*row, *median, f"{statistics.median(later):.1f}" if later else ""])
                each = {(a, b): [ratio([x], [y]) for x, y in zip(of[a], of[b])] for a, b in spread}
                row += [f"{ratio(of[a], of[b]):.3f}" if b in of else "not there" for a, b in pairs]
                ratios.append([*row, *(f"{min(found):.2f}–{max(found):.2f}" for found in each.values())])
                progress(f"    {kind}: {[f'{ratio([a], [b]):.3f}' for a, b in zip(of['HTTP'], of['bare'])]}")
                name = f"{model}, {kind}, {streams} streams: HTTP ÷ bare"
                limits.append(Limit(name, ratio(of["HTTP"], of["bare"]), least=0.95))
    method = METHOD.format(
        threads=setting.threads, batch=BATCH, context=CONTEXT, repeats=setting.repeats, draws=DRAWS,
    )  # fmt: skip
    if short:
        method += f"\n{short} answers through HTTP ended early.\n"
    return Report("Speed of prompts and generation", method, [ratios, speeds], limits)


def lengths(model, streams):
    """How long each prompt and answer is, in tokens: seconds of either, minutes of all, and never more than 4,096
    together, for so many idle cells are kept by the worker."""
    if model == SMALL:
        return (400, 240) if streams < 8 else (240, 240)
    return (400, 96) if streams == 1 else (200, 48)


def antiphon(setting, model, slots):
    return Antiphon(
        setting,
        f'[[models]]\nname = "{model}"\nslots = {slots}\ncontext = {CONTEXT}\nthreads = {setting.threads}\n',
    )


def messages(model, stream, words, draw=0):
    """System instruction and prompt; streams differ from the first word on."""
    chosen = random.Random(stream + 8 * draw)
    system = f"{WORDS[stream].capitalize()} is the topic."
    listed = " ".join(chosen.choices(WORDS, k=words))
    return system, f"Here are words: {listed}. {TASKS[model]}"


def head_length(setting, model):
    """How many tokens a prompt has besides its listed words."""
    with antiphon(setting, model, 1) as server:
        [answer] = server.streams([server.ask(*messages(model, 0, 32), 1)])
    return answer.read + answer.cached - 32


def endless(setting, model, streams, words, output):
    """A prompt for each stream, drawn anew while its answer ends early, and how long the answers are."""
    draws = [0] * streams
    with antiphon(setting, model, streams) as server:
        for _ in range(DRAWS):
            prompts = [messages(model, stream, words, draw) for stream, draw in enumerate(draws)]
            answers = server.streams([server.ask(*prompt, output) for prompt in prompts])
            if all(answer.written >= output for answer in answers):
                break
            draws = [draw + (answer.written < output) for draw, answer in zip(draws, answers)]
    return prompts, [answer.written for answer in answers]


def through(started, prompts, output):
    """Speeds through a server, and how long the answers were."""
    streams = len(prompts)
    with started as server:
        server.streams([server.ask("Be brief.", "Hello", 4)])
        reading = server.streams([server.ask(*prompt, 1) for prompt in prompts])
        writing = server.streams([server.ask(*prompt, output) for prompt in prompts])
    if any(answer.read > 1 for answer in writing):
        raise RuntimeError(f"prompts were read again: {writing}")
    lengths = [answer.written for answer in writing]
    start, end = min(answer.sent for answer in reading), max(answer.first for answer in reading)
    found = {"prefill": sum(answer.read for answer in reading) / (end - start)}
    start, end = min(answer.sent for answer in writing), max(answer.last for answer in writing)
    found["decode"] = sum(lengths) / (end - start)
    found["first to last"] = (sum(lengths) - streams) / (end - min(answer.first for answer in writing))
    return found, lengths


class Loop:
    """A process with the bare loop and the scheduler, within `with`."""

    def __init__(self, setting, weights, streams):
        self.command = [
            setting.binaries / "antiphon-llama", "bench", "--asked", "--model", weights, "--context", CONTEXT,
            "--threads", setting.threads, "--streams", streams,
        ]  # fmt: skip

    def __enter__(self):
        command = [str(part) for part in self.command]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        # The first batches load the weights and are of no interest.
        self.ask(do="read", streams=1, cached=0, prompt=32)
        self.ask(do="write", outputs=[4])
        return self

    def __exit__(self, kind, error, trace):
        self.process.stdin.close()
        self.process.stdout.close()
        if self.process.wait() != 0 and error is None:
            raise RuntimeError(f"`{self.command[0]} bench` ended with {self.process.returncode}")

    def ask(self, **measurement):
        """Seconds by part."""
        self.process.stdin.write(json.dumps(measurement) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def bare(self, prompt, outputs):
        return per_second(prompt, outputs, {
            **self.ask(do="read", streams=len(outputs), cached=0, prompt=prompt),
            **self.ask(do="write", outputs=outputs),
        })  # fmt: skip

    def scheduler(self, prompt, outputs):
        return per_second(prompt, outputs, self.ask(do="schedule", prompt=prompt, outputs=outputs))


def per_second(prompt, outputs, took):
    return {"prefill": len(outputs) * prompt / took["read"], "decode": sum(outputs) / took["write"]}
