"""Structured output: the schemas of `schemas.json`, each with one prompt."""

import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import frozen
import judging


def run(server, model, options):
    chosen = [case for case in frozen.read("schemas.json") if not options.only or case["id"] in options.only]
    began = time.perf_counter()
    with ThreadPoolExecutor(options.concurrency) as pool:
        outcomes = list(pool.map(lambda case: answer(server, model, options, case), chosen))
    seconds = time.perf_counter() - began
    for outcome in outcomes:
        if outcome["why"]:
            print(f"level {outcome['level']}/{outcome['id']}: {outcome['ended']}: {outcome['why']}")
    columns = ("completed", "valid", "incomplete", "failed", "refused")
    print(f"\n{'level':<6}{'of':>4}" + "".join(f"{column:>11}" for column in columns) + f"{'tokens':>9}{'seconds':>9}")
    for level in [*sorted({outcome["level"] for outcome in outcomes}), "all"]:
        counted = [outcome for outcome in outcomes if level in (outcome["level"], "all")]
        ended = Counter(outcome["ended"] for outcome in counted)
        ended["valid"] = sum(outcome["ended"] == "completed" and not outcome["why"] for outcome in counted)
        print(
            f"{level:<6}{len(counted):>4}" + "".join(f"{ended[column]:>11}" for column in columns)
            + f"{sum(outcome['tokens'] for outcome in counted):>9}{sum(outcome['seconds'] for outcome in counted):>9.1f}"
        )  # fmt: skip
    completed = [outcome for outcome in outcomes if outcome["ended"] == "completed"]
    valid = sum(not outcome["why"] for outcome in completed)
    print(f"\ncompleted: {judging.share(len(completed), len(outcomes))}; of these valid: {judging.share(valid, len(completed))}")
    print(f"{seconds:.1f} s in all, {options.concurrency} at a time")
    broken = [f"{outcome['id']}: {outcome['why']}" for outcome in completed if outcome["why"]]
    return {"cases": outcomes, "broken": broken}


def answer(server, model, options, case):
    """How one case ended (`completed`, `incomplete`, `failed` or `refused`), and what is wrong with it."""
    schema = frozen.read(f"schemas/{case['schema']}")
    tagged = {"type": "text", "mime_type": "application/json", "schema": schema}
    outcome = {"id": case["id"], "level": case["level"], "why": None, "tokens": 0, "text": None}
    began = time.perf_counter()
    try:
        interaction = server.client.interactions.create(
            model=model,
            input=case["prompt"],
            response_format=schema if case.get("form") == "bare" else tagged,
            generation_config={"seed": options.seed, "max_output_tokens": options.max_output_tokens},
        )
    except Exception as error:
        status, why = judging.refusal(error)
        ended = "refused" if status is not None and 400 <= status < 500 else "failed"
        return outcome | {"ended": ended, "why": why, "seconds": round(time.perf_counter() - began, 2)}
    outcome["seconds"] = round(time.perf_counter() - began, 2)
    outcome["tokens"] = (interaction.usage and interaction.usage.total_output_tokens) or 0
    parts = judging.texts(interaction)
    outcome["text"] = "".join(parts)
    if interaction.status != "completed":
        ended = "incomplete" if interaction.status == "incomplete" else "failed"
        return outcome | {"ended": ended, "why": f"status `{interaction.status}` after {outcome['tokens']} tokens"}
    return outcome | {"ended": "completed", "why": invalid(parts, schema)}


def invalid(parts, schema):
    """Why a completed answer breaks the promise; `None` when it keeps it."""
    if len(parts) != 1:
        return f"{len(parts)} text parts"
    try:
        return judging.violation(judging.parsed(parts[0]), schema)
    except ValueError as error:
        return f"no JSON: {error}"
