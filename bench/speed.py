"""(a) Prompt and generation speed through HTTP, beside the bare decode loop and another server."""

import json
import math
import random
import statistics
import subprocess
import time

from serving import Antiphon, Reference
from setting import Limit, Report, progress
from slices import SLICE, Contender, in_slices

CONTEXT = 32_768
# As in the worker, where it is not an option.
BATCH = 512

# How often the bare loop and HTTP are measured where the others are measured once: it is their ratio that has a limit.
ROUNDS = 3

METHOD = """
Prompts that share no prefix, of about as many tokens as said beside each row, and then as many generated.
Temperature 0, {threads} threads, batches of {batch}, a cache of {context} cells, plain attention. Every contender is
fresh from its start and a short warm-up, and works for some seconds:

- *bare*: `llama_decode` in a loop over fixed tokens, nothing sampled, the same numbers of tokens and streams in each
  batch, and as many tokens cached beside them as the server keeps of its warm-up (`antiphon-llama bench --asked`).
- *HTTP*: `antiphon serve` with as many slots as streams; creates with `stream` and `store`, all sent at once. It works
  while the bare loop is stopped and the other way round, {slice} s at a time: what the machine does by itself, it does
  to both. A process's time is that in which it was not stopped. {pairs} times, each with processes of its own.
- *bare ÷ bare* is as much of two bare loops, {repeats} times: what this way of measuring cannot tell apart.
- *scheduler*: the tokens of the bare loop through the worker's scheduler and sampler, without pipe and server (same
  command), alone on the machine, {repeats} times.
- *xllamacpp*: an independent build of llama.cpp with its own HTTP server, the same messages, alone, as often.

Prompts are drawn anew, {draws} times at most, while an answer of one of them ends early in one of {trials} trials;
where one does after all, that stream is asked for no more than it gave then. Pairs in which an answer through HTTP
still ends early do not count for decode.

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

# How often prompts are drawn, and each tried, to find those whose answers do not end early.
DRAWS = 4
TRIALS = 4

SMALL = "smollm2-135m-instruct"

# What each model writes on for longer than is measured, with any of these words.
TASKS = {
    "smollm2-135m-instruct": "Now write a very long story with these words, with many chapters.",
    "qwen2.5-coder-1.5b-instruct": "Repeat all of these words in the same order, then start again.",
}


def measure(setting):
    who = ("bare", "scheduler", "HTTP", "xllamacpp", "HTTP, first to last")
    speeds = [["tokens/s", "streams", "tokens of each", *who]]
    pairs = (("HTTP", "bare"), ("bare again", "bare beside it"), ("scheduler", "bare"), ("HTTP", "xllamacpp"))
    named = [name for pair in ("HTTP ÷ bare", "bare ÷ bare") for name in (pair, "middle half")]
    ratios = [["ratio", "streams", "tokens of each", *named, "scheduler ÷ bare", "HTTP ÷ xllamacpp"]]
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
                for _ in range(ROUNDS):
                    with antiphon(setting, model, streams) as server, Loop(setting, weights, streams) as loop:
                        through = Through(server, prompts, outputs)
                        idle = through.idle
                        http, bare = beside((server.pid, through), loop.side(prompt, outputs, idle))
                    if http.pop("outputs") != outputs:
                        short += 1
                        del http["decode"], http["first to last"]
                    turns.append({"HTTP": http, "bare": bare})
                with Loop(setting, weights, streams) as loop, Loop(setting, weights, streams) as again:
                    found = beside(again.side(prompt, outputs, idle), loop.side(prompt, outputs, idle))
                    turns[-1] |= zip(("bare again", "bare beside it"), found)
                with Loop(setting, weights, streams) as loop:
                    turns[-1]["scheduler"] = loop.scheduler(prompt, outputs)
                if setting.reference:
                    reference = Reference(setting, weights, streams, setting.threads, CONTEXT, BATCH)
                    with reference as server:
                        through = Through(server, prompts, outputs)
                        turns[-1]["xllamacpp"] = through.speeds(through.read(), through.write())

            for kind in ("prefill", "decode"):
                row = [f"{model}, {kind}", str(streams), str(prompt if kind == "prefill" else output)]
                later = [t["HTTP"]["first to last"] for t in turns if kind == "decode" and "decode" in t["HTTP"]]
                medians = [median(t[one][kind] for t in turns if kind in t.get(one, {})) for one in who[:-1]]
                speeds.append([*row, *medians, median(later) if later else ""])

                each = [
                    [t[a][kind] / t[b][kind] for t in turns if kind in t.get(a, {}) and kind in t.get(b, {})]
                    for a, b in pairs
                ]
                spread = [cell for found in each[:2] for cell in (median(found, 3), middle_half(found))]
                ratios.append([*row, *spread, *(median(found, 3) for found in each[2:])])
                progress(f"    {kind}: {[f'{ratio:.3f}' for ratio in each[0]]}")
                name = f"{model}, {kind}, {streams} streams: HTTP ÷ bare"
                # What could not be measured does not hold.
                limits.append(Limit(name, statistics.median(each[0] or [math.nan]), least=0.95))
    method = METHOD.format(
        threads=setting.threads, batch=BATCH, context=CONTEXT, repeats=setting.repeats, pairs=setting.repeats * ROUNDS,
        draws=DRAWS, trials=TRIALS, slice=SLICE,
    )  # fmt: skip
    if short:
        method += f"\nThere were {short} such pairs.\n"
    return Report("Speed of prompts and generation", method, [ratios, speeds], limits)


def beside(*sides):
    """Speeds of two contenders, each a process and what it does, that run while the other is stopped."""
    timed = []
    for part in ("read", "write"):
        contenders = [Contender(pid, getattr(work, part)) for pid, work in sides]
        in_slices(*contenders)
        timed.append(contenders)
    return [
        work.speeds(read.result, write.result, read.until, write.until)
        for (_, work), read, write in zip(sides, *timed)
    ]


def median(found, digits=1):
    found = list(found)
    return f"{statistics.median(found):.{digits}f}" if found else "not there"


def middle_half(found):
    found, rest = sorted(found), len(found) // 4
    return f"{found[rest]:.3f}–{found[-1 - rest]:.3f}" if found else "not there"


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
            tried = [server.streams([server.ask(*prompt, output) for prompt in prompts]) for _ in range(TRIALS)]
            outputs = [min(answer.written for answer in answers) for answers in zip(*tried)]
            if min(outputs) >= output:
                break
            draws = [draw + (length < output) for draw, length in zip(draws, outputs)]
    return prompts, outputs


def as_it_is(moment):
    """The clock of a contender that is never stopped."""
    return moment


def warm_up(server):
    """Loads the weights by a conversation; so many tokens of it stay in the cache."""
    [answer] = server.streams([server.ask("Be brief.", "Hello", 4)])
    # The last one that was written was not read.
    return answer.read + answer.cached + answer.written - 1


class Through:
    """What a server does: reads prompts, then writes answers to them."""

    def __init__(self, server, prompts, outputs):
        self.server, self.prompts, self.outputs = server, prompts, outputs
        self.idle = warm_up(server)

    def read(self):
        return self.server.streams([self.server.ask(*prompt, 1) for prompt in self.prompts])

    def write(self):
        return self.server.streams(
            [self.server.ask(*prompt, output) for prompt, output in zip(self.prompts, self.outputs)]
        )

    def speeds(self, reading, writing, read_clock=as_it_is, write_clock=as_it_is):
        if any(answer.read > 1 for answer in writing):
            raise RuntimeError(f"prompts were read again: {writing}")
        outputs = [answer.written for answer in writing]
        start, end = min(answer.sent for answer in reading), max(answer.first for answer in reading)
        prefill = sum(answer.read for answer in reading) / (read_clock(end) - read_clock(start))
        start, first = min(answer.sent for answer in writing), min(answer.first for answer in writing)
        end = write_clock(max(answer.last for answer in writing))
        return {
            "prefill": prefill,
            "decode": sum(outputs) / (end - write_clock(start)),
            "first to last": (sum(outputs) - len(outputs)) / (end - write_clock(first)),
            "outputs": outputs,
        }


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

    def side(self, prompt, outputs, idle):
        return self.process.pid, Bare(self, prompt, outputs, idle)

    def scheduler(self, prompt, outputs):
        took = self.ask(do="schedule", prompt=prompt, outputs=outputs)
        return per_second(prompt, outputs, took["read"], took["write"])


class Bare:
    """What the bare loop does: reads prompts, then goes on after them."""

    def __init__(self, loop, prompt, outputs, idle):
        self.loop, self.prompt, self.outputs = loop, prompt, outputs
        loop.ask(do="rest", idle=idle)

    def read(self):
        return self.timed(do="read", streams=len(self.outputs), cached=0, prompt=self.prompt)

    def write(self):
        return self.timed(do="write", outputs=self.outputs)

    def timed(self, **measurement):
        """When it was asked and when it was done."""
        start = time.perf_counter()
        self.loop.ask(**measurement)
        return start, time.perf_counter()

    def speeds(self, reading, writing, read_clock, write_clock):
        read, write = (
            clock(end) - clock(start) for clock, (start, end) in ((read_clock, reading), (write_clock, writing))
        )
        return per_second(self.prompt, self.outputs, read, write)


def per_second(prompt, outputs, read, write):
    return {"prefill": len(outputs) * prompt / read, "decode": sum(outputs) / write}
