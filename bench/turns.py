"""(b) Time to the first text in a conversation that grows."""

import random
import statistics

from serving import Antiphon
from setting import Limit, Report, progress
from speed import WORDS, Loop, warm_up

SHOWN = (1, 2, 5, 20)
# Words by the user and tokens by the model in each turn: of a chat, and of a longer exchange. The
# longer the past, the more attention over it costs each new token, cached or not.
LENGTHS = ((10, 16), (41, 32))

METHOD = """
A conversation of {last} turns of equal length, chained by `previous_interaction_id`, streamed and stored, temperature
0; {repeats} conversations, each with a server of its own in its default configuration, after a short warm-up. Time from
the request to its first text, in ms. *read* are the tokens of the prompt that were not cached, *output* those that the
model may say in each turn. *bare* is the same reading in a loop over `llama_decode`, so many tokens after so many cached
ones (`antiphon-llama bench --asked`), measured after each conversation: what is not the server's.

In each layer of SmolLM2 a token is multiplied with 3.5 million weights, and with 1,152 numbers for each token before it:
at turn 20 of the longer conversation with 2.2 million, at turn 2 with 0.15 million. Were attention as fast as the
products with weights, of which it has less than half the speed here, turn 20 would still take 1.54 times as long.
"""


def measure(setting):
    times = [["time to first text, ms", "output", *(f"turn {turn}" for turn in SHOWN), "turn 20 ÷ turn 2"]]
    alone = [["bare, ms", "output", *(f"turn {turn}" for turn in SHOWN), "turn 20 ÷ turn 2", "HTTP ÷ bare, turn 20"]]
    counts = [["tokens", "output", *(f"turn {turn}: read, cached" for turn in SHOWN), "least output of a turn"]]
    limits = []
    for model in setting.models:
        weights = setting.weights(model)
        for words, output in LENGTHS:
            runs, bare = [], []
            for at in range(setting.repeats):
                progress(f"(b) {model}, {output} tokens of output, conversation {at + 1} of {setting.repeats}")
                with Antiphon(setting, f'[[models]]\nname = "{model}"\n') as server:
                    idle = warm_up(server)
                    runs.append(converse(server, random.Random(at), words, output))
                with Loop(setting, weights, 1) as loop:
                    loop.ask(do="rest", idle=idle)
                    bare.append([bare_first(loop, runs[-1][turn - 1]) for turn in SHOWN])

            growth = statistics.median(first(run[19]) / first(run[1]) for run in runs)
            medians = [statistics.median(first(run[turn - 1]) for run in runs) for turn in SHOWN]
            times.append([model, str(output), *(f"{median:.0f}" for median in medians), f"{growth:.2f}"])
            alone.append([model, str(output), *bare_row(runs, bare)])
            shown = [f"{runs[0][turn - 1].read}, {runs[0][turn - 1].cached}" for turn in SHOWN]
            counts.append([model, str(output), *shown, str(min(answer.written for run in runs for answer in run))])
            limits.append(Limit(f"{model}, {output} tokens of output: turn 20 ÷ turn 2", growth, most=1.5))
    method = METHOD.format(last=max(SHOWN), repeats=setting.repeats)
    return Report("Time to the first text, turn by turn", method, [times, alone, counts], limits)


def first(answer):
    return 1000 * (answer.first - answer.sent)


def bare_first(loop, answer):
    prompt = answer.cached + answer.read
    took = [loop.ask(do="read", streams=1, cached=answer.cached, prompt=prompt)["read"] for _ in range(3)]
    return 1000 * statistics.median(took)


def bare_row(runs, bare):
    second, last = SHOWN.index(2), SHOWN.index(20)
    growth = statistics.median(times[last] / times[second] for times in bare)
    beside = statistics.median(first(run[19]) / times[last] for run, times in zip(runs, bare))
    medians = [statistics.median(times) for times in zip(*bare)]
    return [*(f"{median:.0f}" for median in medians), f"{growth:.2f}", f"{beside:.2f}"]


def converse(server, chance, words, output):
    answers = []
    for _ in range(max(SHOWN)):
        chosen = " ".join(chance.choices(WORDS, k=words))
        body = server.ask("Do what is asked.", f"Here are words: {chosen}. Write a story with them.", output)
        if answers:
            body["previous_interaction_id"] = answers[-1].id
        answers += server.streams([body])
    return answers
