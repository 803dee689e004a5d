"""Stability: the guide's programs as they are printed, many times, and paraphrases of them.

The paraphrases ask for other things with other functions and values, so that nothing can be tuned to
the guide's words. They run as `09_1` (stateful) and `09_2` (stateless) do, or as `07_1` does, stored or not.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import frozen
import judging

PROGRAMS = ("07_1", "09_1", "09_2")
SUFFIXES = (".py", ".mjs", ".sh")
VALUE = ["22"]
"""What the guide's function returns."""
PROGRAM_PATIENCE = 600
ROUNDS = 4
"""Requests of one paraphrase; a model that still calls after these is not going to answer."""


def run(server, model, options):
    def chosen(name):
        return not options.only or name in options.only

    jobs = []
    if guide := os.environ.get("ANTIPHON_GUIDE"):
        for file in (program + suffix for program in PROGRAMS for suffix in SUFFIXES):
            if chosen(file):
                jobs += [(file, str(at + 1), lambda file=file: program_run(server, Path(guide), file)) for at in range(options.repeats)]
    else:
        print("SKIPPED the guide's programs: ANTIPHON_GUIDE names no folder")
    paraphrases = frozen.read("paraphrases.json")
    for style, store in (("stateful", True), ("stateless", False)):
        for case in filter(lambda case: chosen(case["id"]), paraphrases["calls"]):
            jobs.append((f"calls, {style}", case["id"], lambda case=case, store=store: called(server, model, case, store)))
        for case in filter(lambda case: chosen(case["id"]), paraphrases["structured"]):
            jobs.append((f"schemas, {style}", case["id"], lambda case=case, store=store: structured(server, model, case, store)))

    def one(job):
        try:
            return {"group": job[0], "run": job[1]} | job[2]()
        except Exception as error:
            return {"group": job[0], "run": job[1], "well_formed": False, "why": judging.refusal(error)[1]}

    with ThreadPoolExecutor(options.concurrency) as pool:
        outcomes = list(pool.map(one, jobs))
    for outcome in outcomes:
        if outcome["why"]:
            print(f"{outcome['group']}/{outcome['run']}: {outcome['why']}")
    columns = ("well_formed", "one_call", "mentions")
    print(f"\n{'':<20}{'of':>4}{'well-formed':>13}{'one call':>10}{'mentions':>10}")
    for group in dict.fromkeys(outcome["group"] for outcome in outcomes):
        counted = [outcome for outcome in outcomes if outcome["group"] == group]
        plain = group.startswith(("07", "schemas"))
        counts = ["-" if plain and at else sum(o.get(column, False) for o in counted) for at, column in enumerate(columns)]
        print(f"{group:<20}{len(counted):>4}{counts[0]:>13}{counts[1]:>10}{counts[2]:>10}")
    broken = [f"{outcome['group']}/{outcome['run']}: {outcome['broken']}" for outcome in outcomes if outcome.get("broken")]
    return {"runs": outcomes, "broken": broken}


def program_run(server, guide, file):
    """Runs one program and reads what it printed."""
    output, why = printed(server, guide, file)
    if why:
        return {"well_formed": False, "why": why}
    return recipe_printed(file, output) if file.startswith("07") else answer_printed(file, output)


def printed(server, guide, file):
    """Runs one program with nothing but the variables that a user sets: its output, and why it failed."""
    output, _, why = ran(server, guide, file)
    return output, why


def ran(server, guide, file, made=None, given=()):
    """The same, with the bytes of the file `made` that it has written; `given` are files beside it, by their names."""
    modules = Path(os.environ["ANTIPHON_EVALS_NODE_MODULES"])
    with tempfile.TemporaryDirectory(prefix="evals-") as scratch:
        # Node resolves imports from where a file is.
        program = shutil.copy(guide / file, scratch)
        os.symlink(modules, Path(scratch) / "node_modules")
        for name, source in dict(given).items():
            shutil.copy(source, Path(scratch) / name)
        interpreter = {".py": sys.executable, ".mjs": modules / ".bin" / "node", ".sh": "bash"}[Path(file).suffix]
        try:
            ended = subprocess.run(
                [interpreter, program], env=os.environ | server.environment, cwd=scratch, timeout=PROGRAM_PATIENCE,
                capture_output=True, text=True,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            return None, None, f"it still ran after {PROGRAM_PATIENCE} s"
        written = Path(scratch) / made if made else None
        data = written.read_bytes() if written and written.is_file() else None
    if ended.returncode != 0:
        last = next(reversed(ended.stderr.strip().splitlines()), "")
        return None, None, f"exit code {ended.returncode}: {last[:200]}"
    return ended.stdout, data, None


def recipe_printed(file, output):
    """Python and JavaScript parse the recipe themselves and would have ended with an error."""
    if file.endswith(".sh"):
        interaction = json.loads(output)
        recipe = judging.parsed("".join(text_of(interaction)))
        well_formed = isinstance(recipe.get("recipe_name"), str) and isinstance(recipe.get("ingredients"), list)
    else:
        well_formed = "recipe_name" in output
    return {"well_formed": well_formed, "why": None if well_formed else f"no recipe: {output[:120]!r}"}


def answer_printed(file, output):
    """Programs print each call and then the answer; curl's print the calls' names and ids and then the answer's JSON."""
    if file.endswith(".sh"):
        head, brace, rest = output.partition("\n{")
        names = re.search(r"^Function: (.*), Call ID:", head, re.DOTALL)
        interaction = json.loads(brace + rest) if brace else {}
        answer = "".join(text_of(interaction)) if interaction.get("status") == "completed" else ""
        return judged(answer, len(names[1].split()) if names else 0, VALUE)
    calls, answer, within = 0, [], False
    for line in output.splitlines():
        if line.startswith("Called "):
            calls, answer = calls + 1, []
            # Node prints a longer result over several lines.
            within = line.endswith("{")
        elif within:
            within = line != "}"
        else:
            answer.append(line)
    return judged("\n".join(answer), calls, VALUE)


def text_of(interaction):
    """The text parts of an interaction in its JSON form."""
    return [
        part["text"]
        for step in interaction.get("steps", [])
        if step["type"] == "model_output"
        for part in step["content"]
        if part["type"] == "text"
    ]


def judged(answer, calls, alternatives):
    """The three counts of a run that calls a function."""
    leaked = judging.LEAKED.search(answer)
    well_formed = bool(answer.strip()) and not leaked and answer.strip() not in ("None", "undefined")
    mentioned = judging.mentions(answer, alternatives)
    if not well_formed:
        why = f"`{leaked[0]}` in the answer" if leaked else "no answer"
    elif calls != 1:
        why = f"{calls} calls"
    else:
        why = None if mentioned else f"none of {alternatives} in: {answer[:120]!r}"
    return {"well_formed": well_formed, "one_call": calls == 1, "mentions": mentioned, "why": why}


def called(server, model, case, store):
    """The loop of `09_1`, or of `09_2` when nothing is stored."""
    tool = case["tool"]
    history = [{"type": "user_input", "content": [{"type": "text", "text": case["user"]}]}]
    input, previous, made, wrong = case["user"], None, 0, None
    for _ in range(ROUNDS):
        if store:
            request = {"input": input, "previous_interaction_id": previous}
        else:
            request = {"input": history, "store": False}
        interaction = server.client.interactions.create(model=model, tools=[tool], **request)
        history += [step.model_dump() for step in interaction.steps]
        results = []
        for call in judging.calls_of(interaction):
            if violated := judging.violation(call.arguments, tool["parameters"]):
                broken = f"arguments of `{call.name}` do not conform: {violated}"
                return {"well_formed": False, "why": broken, "broken": broken}
            wrong = wrong or judging.wrong_call({"name": tool["name"], "arguments": case["arguments"]}, call)
            text = {"type": "text", "text": json.dumps(case["result"], ensure_ascii=False)}
            results.append({"type": "function_result", "name": call.name, "call_id": call.id, "result": [text]})
        if not results:
            break
        made += len(results)
        history += results
        input, previous = results, interaction.id
    if interaction.status != "completed":
        return {"well_formed": False, "one_call": made == 1, "why": f"status `{interaction.status}` after {made} calls"}
    outcome = judged(interaction.output_text or "", made, case["answer_mentions"])
    if wrong and outcome["one_call"]:
        # A call with wrong arguments is not the call that was asked for.
        outcome |= {"one_call": False, "why": wrong}
    return outcome


def structured(server, model, case, store):
    """The request of `07_1`."""
    schema = case["schema"]
    interaction = server.client.interactions.create(
        model=model,
        input=case["user"],
        store=store,
        response_format={"type": "text", "mime_type": "application/json", "schema": schema},
    )
    if interaction.status != "completed":
        return {"well_formed": False, "why": f"status `{interaction.status}`"}
    try:
        why = judging.violation(judging.parsed(interaction.output_text), schema)
    except ValueError as error:
        why = f"no JSON: {error}"
    return {"well_formed": not why, "why": why, "broken": why}
