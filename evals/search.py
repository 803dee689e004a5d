"""Grounded search: the questions of `search.json` about the documents of `corpus/`, and what the answers cite."""

import time
from concurrent.futures import ThreadPoolExecutor

import citing
import frozen
import judging
import providers

PROVIDERS = (providers.Corpus,)


def run(server, model, options):
    corpus = citing.Corpus.read(options.corpus)
    chosen = [case for case in frozen.read("search.json") if not options.only or case["id"] in options.only]
    with ThreadPoolExecutor(options.concurrency) as pool:
        outcomes = list(pool.map(lambda case: answer(server, model, options, corpus, case), chosen))
    for outcome in outcomes:
        for why in [outcome["why"], *(wrong for cited in outcome["citations"] if (wrong := miscited(cited)))]:
            if why:
                print(f"{outcome['language']}/{outcome['kind']}/{outcome['id']}: {why}")
    columns = ("searched", "right", "cited", "citations")
    print(f"\n{'':<9}{'of':>3}" + "".join(f"{column:>10}" for column in columns))
    for group in [*dict.fromkeys(o["language"] for o in outcomes), *dict.fromkeys(o["kind"] for o in outcomes), "all"]:
        counted = [outcome for outcome in outcomes if group in (outcome["language"], outcome["kind"], "all")]
        counts = [sum(len(o[c]) if c == "citations" else o[c] for o in counted) for c in columns]
        print(f"{group:<9}{len(counted):>3}" + "".join(f"{count:>10}" for count in counts))
    figures = counted_figures(outcomes)
    print()
    for name, (part, whole) in figures.items():
        print(f"{name}: {judging.share(part, whole)}")
    broken = [f"{o['id']}: {cited['broken']}" for o in outcomes for cited in o["citations"] if cited["broken"]]
    return {"cases": outcomes, "figures": figures, "broken": broken}


def answer(server, model, options, corpus, case):
    """What one question came to."""
    outcome = {
        "id": case["id"], "language": case["language"], "kind": case["kind"], "searched": False, "right": False,
        "cited": False, "citations": [], "queries": [], "text": None, "why": None,
    }  # fmt: skip
    began = time.perf_counter()
    try:
        interaction = server.client.interactions.create(
            model=model,
            input=case["question"],
            tools=[{"type": "google_search"}],
            generation_config={"seed": options.seed, "max_output_tokens": options.max_output_tokens},
        ).model_dump(mode="json")
    except Exception as error:
        outcome["why"] = judging.refusal(error)[1]
        return outcome | {"seconds": round(time.perf_counter() - began, 2)}
    outcome["seconds"] = round(time.perf_counter() - began, 2)
    return outcome | judged(case, interaction, corpus)


def judged(case, interaction, corpus):
    """An interaction in its JSON form against the gold."""
    text = "".join(part["text"] for part in citing.text_parts(interaction))
    searched, cited = citing.searched(interaction), citing.citations(interaction, corpus, case["facts"])
    completed = interaction["status"] == "completed"
    right = completed and not judging.LEAKED.search(text) and citing.right(case, text)
    if right:
        why = None if searched else "right, but it did not search"
    else:
        why = f"wrong: {text[:160]!r}" if completed else f"status `{interaction['status']}`"
    return {
        "searched": searched, "right": right, "cited": bool(cited), "citations": cited,
        "queries": citing.queries(interaction), "text": text, "why": why,
    }  # fmt: skip


def miscited(cited):
    """What is wrong with a citation; `None` when nothing is."""
    if cited["broken"]:
        return f"BROKEN: {cited['broken']}"
    if cited["on_fact"] and not cited["gold"]:
        return f"miscited: {cited['span'][:160]!r} to {cited['url']}"
    return None if cited["supported"] else f"not supported: {cited['span'][:160]!r} by {cited['url']}"


def counted_figures(outcomes):
    """Each figure as a part of a whole. What no document says needs no citation and counts as right only."""
    answerable = [outcome for outcome in outcomes if outcome["kind"] != "none"]
    right = [outcome for outcome in answerable if outcome["right"]]
    cited = [cited for outcome in answerable for cited in outcome["citations"]]
    on_fact = [one for one in cited if one["on_fact"]]
    every = [cited for outcome in outcomes for cited in outcome["citations"]]
    return {
        "searched": (sum(outcome["searched"] for outcome in outcomes), len(outcomes)),
        "right": (sum(outcome["right"] for outcome in outcomes), len(outcomes)),
        "with a citation, of the right": (sum(outcome["cited"] for outcome in right), len(right)),
        "with a citation of the fact and its source, of the right": (
            sum(any(one["gold"] for one in outcome["citations"]) for outcome in right), len(right),
        ),
        "the fact and its source, of citations on sentences with the fact": (sum(one["gold"] for one in on_fact), len(on_fact)),
        "the fact and its source, of all citations": (sum(one["gold"] for one in cited), len(cited)),
        "supported by the document, of all citations": (sum(one["supported"] for one in every), len(every)),
        "promises kept, of all citations": (sum(not one["broken"] for one in every), len(every)),
    }  # fmt: skip
