"""Managed agents as the guide has them: its programs `10_1` as they are printed, many times, and what is left behind in
the environment that each of them names. What was called is printed by `.sh` alone, which prints the whole interaction.
"""

import json
import os
import re
import time
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

import judging
from guide import SUFFIXES, printed, text_of
from tasks import is_named

PROGRAM, FILE = "10_1", "fibonacci.txt"
COUNT = 20
COLUMNS = ("completed", "file", "shown")


def run(server, model, options):
    guide = os.environ.get("ANTIPHON_GUIDE")
    if not guide:
        print("SKIPPED the guide's programs: ANTIPHON_GUIDE names no folder")
        return {"runs": [], "broken": []}
    files = [file for file in (PROGRAM + suffix for suffix in SUFFIXES) if not options.only or file in options.only]
    outcomes = []
    with ThreadPoolExecutor(options.concurrency) as pool:
        jobs = [pool.submit(timed_run, server, Path(guide), file) for file in files for _ in range(options.repeats)]
        for job in as_completed(jobs):
            outcomes.append(found := job.result())
            print(f"{found['group']}: {found['seconds']} s: {found['why'] or 'as it should be'}", flush=True)
    outcomes.sort(key=lambda found: files.index(found["group"]))
    print(f"\n{'':<9}{'of':>3}" + "".join(f"{column:>10}" for column in COLUMNS))
    for group in dict.fromkeys(found["group"] for found in outcomes):
        counted = [found for found in outcomes if found["group"] == group]
        print(f"{group:<9}{len(counted):>3}" + "".join(f"{sum(found[column] for found in counted):>10}" for column in COLUMNS))
    broken = [f"{found['group']}: {found['broken']}" for found in outcomes if found["broken"]]
    return {"runs": outcomes, "broken": broken}


def outcome(why, completed=False, file=False, shown=False, broken=None):
    return {"completed": completed, "file": file, "shown": shown, "why": why, "broken": broken}


def timed_run(server, guide, file):
    began = time.perf_counter()
    try:
        found = program_run(server, guide, file)
    except Exception as error:
        found = outcome(why=judging.refusal(error)[1])
    return {"group": file, "seconds": round(time.perf_counter() - began, 1)} | found


def program_run(server, guide, file):
    output, why = printed(server, guide, file)
    if why:
        return outcome(why)
    if file.endswith(".sh"):
        interaction = json.loads(output[output.index("{") :])
        environment, answer = interaction.get("environment_id"), "".join(text_of(interaction))
        completed, steps = interaction.get("status") == "completed", interaction.get("steps") or []
    else:
        head, _, answer = output.partition("\n")
        environment, completed, steps = head.removeprefix("Environment: "), bool(answer.strip()), None
    try:
        data = server.client.environments.files.download(environment=environment, path=FILE)
        written = bytes(data).decode(errors="replace")
    except Exception as error:
        return outcome(f"no {FILE}: {judging.refusal(error)[1]}; {answer[:160]!r}", completed=completed, shown=shows(answer))
    return judged(completed, written, answer, steps)


def judged(completed, written, answer, steps):
    """A run that has left a file; `steps` is `None` where the program does not print them."""
    right, shown = shows(written, alone=True), shows(answer)
    broken = right and steps is not None and not is_named(FILE, steps) and f"{FILE} is right, and no recorded call names it"
    faults = [
        not completed and "it did not complete",
        not right and f"the file holds {written[:120]!r}",
        broken,
        not shown and f"the answer is {answer[:160]!r}",
    ]
    why = "; ".join(fault for fault in faults if fault) or None
    return outcome(why, completed, right and not broken, shown, broken or None)


def fibonacci(first, second):
    numbers = [first, second]
    while len(numbers) < COUNT:
        numbers.append(numbers[-2] + numbers[-1])
    return numbers


def shows(text, alone=False):
    """Whether a text has the first 20 numbers in their order, from 0 or from 1, and if `alone` no others."""
    found = [int(number) for number in re.findall(r"\d+", text)]
    for wanted in (fibonacci(0, 1), fibonacci(1, 1)):
        starts = [0] if alone else range(max(0, len(found) - COUNT) + 1)
        if any(found[at : at + COUNT] == wanted for at in starts) and (not alone or len(found) == COUNT):
            return True
    return False
