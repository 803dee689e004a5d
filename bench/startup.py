"""(d) What an idle server weighs, and how long a start takes."""

import re
import statistics
import time
from pathlib import Path

from creates import scripted
from serving import Antiphon
from setting import Report, progress

METHOD = """
From the start of the process to the first 200 of `GET /readyz`, with a new data folder: with a scripted model, which
has no worker, and with each model of the catalogue, whose weights were read shortly before. The memory is that of the
server's process alone (`VmRSS`, one second after it was ready); a model's worker has its own. {repeats} starts of each,
in turn.
"""


def measure(setting):
    found = {}
    for model in setting.models:
        with setting.weights(model).open("rb") as file:
            while file.read(1 << 24):
                pass
    for turn in range(setting.repeats):
        progress(f"(d) turn {turn + 1} of {setting.repeats}")
        for what, server in [
            ("scripted model", scripted(setting)),
            *((model, Antiphon(setting, f'[[models]]\nname = "{model}"\n')) for model in setting.models),
        ]:
            with server:
                time.sleep(1)
                found.setdefault(what, []).append((server.ready_after, resident(server.pid)))
    rows = [["default model", "ready after, ms", "slowest, ms", "resident, MiB"]]
    for what, starts in found.items():
        times, sizes = zip(*starts, strict=True)
        middle, most = statistics.median(times), max(times)
        rows.append([what, f"{1000 * middle:.0f}", f"{1000 * most:.0f}", f"{statistics.median(sizes):.1f}"])
    return Report("Start and memory", METHOD.format(repeats=setting.repeats), [rows])


def resident(pid):
    """In MiB."""
    return int(re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())[1]) / 1024
