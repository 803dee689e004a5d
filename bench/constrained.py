"""(e) What a schema costs while a model writes."""

import json
import subprocess

from setting import Limit, Report, progress

METHOD = """
The worker's scheduler writes {output} tokens per stream, first freely and then under the grammar of a JSON Schema (a list
of objects with strings, numbers and enumerations that does not end before the output does, with a budget of four times
as much), in one process and in turn; {repeats} turns (`antiphon-llama bench --constrained`). A mask is what a grammar allows at one place: computed for each
token of what was written, alone. *warm* is once per worker, in the background; *compile* once per request.
"""


def measure(setting):
    output = 32 if setting.quick else 128
    speeds = [["tokens/s", "streams", "free", "constrained", "constrained ÷ free"]]
    costs = [["model", "vocabulary", "mask, µs", "mask, 99 of 100 below, µs", "compile, ms", "warm, ms"]]
    limits = []
    for model in setting.models:
        weights = setting.weights(model)
        for streams in (1, 4):
            progress(f"(e) {model}, {streams} streams")
            found = bench(setting, weights, streams, output)
            [result] = found["results"]
            free, constrained = result["scheduler"]["decode"], result["constrained"]["decode"]
            ratio = result["constrained"]["ratio"]
            speeds.append([model, str(streams), f"{free:.1f}", f"{constrained:.1f}", f"{ratio:.3f}"])
            limits.append(Limit(f"{model}, {streams} streams: constrained ÷ free", ratio, least=0.9))
        grammar = found["grammar"]
        mask = grammar["mask_us"]
        row = [mask["mean"], mask["p99"], grammar["compile_ms"], grammar["warm_ms"]]
        costs.append([model, str(grammar["vocabulary"]), *(f"{value:.0f}" for value in row)])
        limits.append(Limit(f"{model}: mask, ms per token", mask["mean"] / 1000, most=0.5))
    return Report("Schemas", METHOD.format(output=output, repeats=setting.repeats), [speeds, costs], limits)


def bench(setting, weights, streams, output):
    command = [
        setting.binaries / "antiphon-llama", "bench", "--model", weights, "--threads", setting.threads,
        "--streams", streams, "--prompt", 32, "--output", output, "--repeats", setting.repeats, "--constrained",
    ]  # fmt: skip
    run = subprocess.run([str(part) for part in command], check=True, stdout=subprocess.PIPE)
    return json.loads(run.stdout)
