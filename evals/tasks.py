"""Five tasks about files, put to the agent: `tasks.json`, and whether the files are as they were asked for."""

import json
import time
from concurrent.futures import ThreadPoolExecutor

import frozen
import judging
from guide import text_of

AGENT = "antigravity-preview-05-2026"
ACTS = ("code_execution_call", "function_call")
"""Steps by which the agent does something in its environment."""
WRITERS = ("write_file", "edit_file")
"""Functions that make a file or change it, as programs can."""


def run(server, model, options):
    chosen = [case for case in frozen.read("tasks.json") if not options.only or case["id"] in options.only]
    with ThreadPoolExecutor(options.concurrency) as pool:
        outcomes = list(pool.map(lambda case: timed(server, case), chosen))
    for outcome in outcomes:
        print(f"{outcome['id']}: {outcome['seconds']} s, {outcome['acts']} acts: {outcome['why'] or 'as it should be'}")
        print(f"    {outcome['answer'][:300]!r}")
    done = sum(outcome["why"] is None for outcome in outcomes)
    print(f"\ndone {done} of {len(outcomes)}")
    broken = [f"{o['id']}: {o['broken']}" for o in outcomes if o.get("broken")]
    return {"cases": outcomes, "figures": {"done": (done, len(outcomes))}, "broken": broken}


def timed(server, case):
    began = time.perf_counter()
    try:
        found = done(server, case)
    except Exception as error:
        found = {"why": judging.refusal(error)[1], "answer": "", "acts": 0}
    return {"id": case["id"], "seconds": round(time.perf_counter() - began, 1)} | found


def done(server, case):
    sources = [{"type": "inline", "target": given["path"], "content": given["content"]} for given in case["given"]]
    interaction = server.client.interactions.create(
        agent=AGENT, input=case["input"], environment={"type": "remote", "sources": sources}
    ).model_dump(exclude_none=True)
    answer = "".join(text_of(interaction))
    steps = interaction.get("steps") or []
    faults = [] if interaction["status"] == "completed" else [f"`{interaction['status']}`: {interaction.get('error')}"]
    broken = []
    for path, wanted in case["expected"].items():
        try:
            data = server.client.environments.files.download(environment=interaction["environment_id"], path=path)
            wrong = fault(path, wanted, bytes(data).decode(errors="replace"))
        except Exception as error:
            wrong = f"no {path}: {judging.refusal(error)[1]}"
        if wrong:
            faults.append(wrong)
        elif not is_named(path, steps):
            broken.append(f"{path} is right, and no recorded call names it")
    if "said" in case and case["said"] not in answer:
        faults.append(f"the answer does not say {case['said']}")
    acts = sum(step.get("type") in ACTS for step in steps)
    return {"why": "; ".join(faults + broken) or None, "broken": "; ".join(broken) or None, "answer": answer, "acts": acts}


def is_named(path, steps):
    """Whether a program that was run, or a call that writes, names the file anywhere in its arguments.

    Of a file in a folder a part is enough, since programs make up names as `days/{month}.txt`.
    """
    *folders, name = path.split("/")
    parts = [*folders, name.rpartition(".")[0]] if folders else [name]
    told = [
        json.dumps(step.get("arguments"), ensure_ascii=False)
        for step in steps
        if step.get("type") == "code_execution_call" or step.get("type") == "function_call" and step.get("name") in WRITERS
    ]
    return any(part in arguments for part in parts for arguments in told)


def fault(path, wanted, written):
    """What is wrong with a file: `text` is all of it, `lines` its lines without the spaces around them, `json` its value."""
    ((kind, expected),) = wanted.items()
    match kind:
        case "text":
            right = written.rstrip("\n") == expected.rstrip("\n")
        case "lines":
            right = [line.strip() for line in written.strip().splitlines()] == expected
        case "json":
            try:
                right = judging.parsed(written) == expected
            except ValueError:
                right = False
    return None if right else f"{path} holds {written[:160]!r}"
