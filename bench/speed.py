"""(a) Prompt and generation speed through HTTP, beside the bare decode loop and another server."""

import json
import random
import statistics
import subprocess
from statistics import harmonic_mean

from serving import Antiphon, Reference
from setting import Limit, Report, progress

CONTEXT = 32_768
# As in the worker, where it is not an option.
BATCH = 512

# How often bare loop and HTTP are measured, one after the other, where the others are measured once: it is their ratio
# that has a limit, and the machine's own speed changes by tenths within a minute.
ROUNDS = 3

METHOD = """
Prompts that share no prefix, of about as many tokens as said beside each row, and then as many generated.
Temperature 0, {threads} threads, batches of {batch}, a cache of {context} cells, plain attention. Every contender runs
alone and fresh from its start, for some seconds after a short warm-up:

- *bare*: `llama_decode` in a loop over fixed tokens, nothing sampled, the same numbers of tokens and streams in each
  batch (`antiphon-llama bench --asked`).
- *HTTP*: `antiphon serve` with as many slots as streams; creates with `stream` and `store`, all sent at once. This and
  the bare loop are measured in turn, {pairs} times, and each *HTTP* is held against the bare loops right before and
  right after it together, or the one after it where answers became longer or shorter. How far these two are apart is
  what the machine does by itself.
- *scheduler*: the tokens of the bare loop through the worker's scheduler and sampler, without pipe and server (same
  command), {repeats} times.
- *xllamacpp*: an independent build of llama.cpp with its own HTTP server, the same messages, as often.

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
    ratios[0] += [f"{a} ÷ {b}, middle half" for a, b in spread]
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
                before = alone(setting, weights, prompt, outputs)
                for _ in range(ROUNDS):
                    expected = outputs
                    http, outputs = through(antiphon(setting, model, streams), prompts, output)
                    after = alone(setting, weights, prompt, outputs)
                    beside = {"prefill": (before, after), "decode": (before, after)}
                    if outputs != expected:
                        beside["decode"] = (after,)
                    bare = {kind: harmonic_mean([loop[kind] for loop in loops]) for kind, loops in beside.items()}
                    turns.append({"HTTP": http, "bare": bare, "bare before": before, "bare after": after})
                    short += sum(length < output for length in outputs)
                    before = after
                with Loop(setting, weights, streams) as loop:
                    turns[-1]["scheduler"] = loop.scheduler(prompt, outputs)
                if setting.reference:
                    reference = Reference(setting, weights, streams, setting.threads, CONTEXT, BATCH)
                    turns[-1]["xllamacpp"], _ = through(reference, prompts, output)

            for kind in ("prefill", "decode"):
                row = [f"{model}, {kind}", str(streams), str(prompt if kind == "prefill" else output)]
                later = [turn["HTTP"]["first to last"] for turn in turns] if kind == "decode" else []
                medians = [median(turn[one][kind] for turn in turns if one in turn) for one in who[:-1]]
                speeds.append([*row, *medians, median(later) if later else ""])

                def each(a, b):
                    return [turn[a][kind] / turn[b][kind] for turn in turns if {a, b} <= turn.keys()]

                row += [median(each(a, b), 3) for a, b in pairs]
                ratios.append([*row, *(middle_half(each(a, b)) for a, b in spread)])
                progress(f"    {kind}: {[f'{found:.3f}' for found in each('HTTP', 'bare')]}")
                name = f"{model}, {kind}, {streams} streams: HTTP ÷ bare"
                limits.append(Limit(name, statistics.median(each("HTTP", "bare")), least=0.95))
    method = METHOD.format(
        threads=setting.threads, batch=BATCH, context=CONTEXT, repeats=setting.repeats, pairs=setting.repeats * ROUNDS,
        draws=DRAWS,
    )  # fmt: skip
    if short:
        method += f"\n{short} answers through HTTP ended early.\n"
    return Report("Speed of prompts and generation", method, [ratios, speeds], limits)


def alone(setting, weights, prompt, outputs):
    """Speeds of the bare loop."""
    with Loop(setting, weights, len(outputs)) as loop:
        return loop.bare(prompt, outputs)


def median(found, digits=1):
    found = list(found)
    return f"{statistics.median(found):.{digits}f}" if found else "not there"


def middle_half(found):
    found, rest = sorted(found), len(found) // 4
    return f"{found[rest]:.2f}–{found[-1 - rest]:.2f}"


def lengths(model, streams):
    """How long each prompt and answer is, in tokens: some seconds of either, and never more than 4,096 together, for so
    many idle cells are kept by the worker."""
    if model == SMALL:
        return {1: (400, 240), 4: (200, 96), 8: (120, 64)}[streams]
    return {1: (400, 96), 4: (200, 48), 8: (100, 32)}[streams]


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
