"""Grounded search as the guide has it: its programs `08_1` as they are printed, many times, once with the
documents in the server's own search and once behind a wiki; and their question through the SDK.
"""

import json
import os
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import citing
import judging
import providers
from guide import SUFFIXES, printed

PROVIDERS = (providers.Corpus, providers.MediaWiki)
PROGRAM = "08_1"
QUESTION = "Who won the euro 2024?"
WINNER = ["Spain"]
SDK = "the SDK"
COLUMNS = ("searched", "named", "cited", "supported")


def run(server, model, options):
    corpus = citing.Corpus.read(options.corpus)
    jobs = []
    if guide := os.environ.get("ANTIPHON_GUIDE"):
        for file in (PROGRAM + suffix for suffix in SUFFIXES):
            jobs += [(file, lambda file=file: program_run(server, Path(guide), file, corpus))] * options.repeats
    else:
        print("SKIPPED the guide's programs: ANTIPHON_GUIDE names no folder")
    jobs += [(SDK, lambda: asked(server, model, corpus))] * options.repeats
    jobs = [job for job in jobs if not options.only or job[0] in options.only]

    def one(job):
        try:
            return {"group": job[0]} | job[1]()
        except Exception as error:
            return {"group": job[0]} | outcome(why=judging.refusal(error)[1])

    with ThreadPoolExecutor(options.concurrency) as pool:
        outcomes = list(pool.map(one, jobs))
    for found in outcomes:
        if found["why"]:
            print(f"{found['group']}: {found['why']}")
    print(f"\n{'':<9}{'of':>3}" + "".join(f"{column:>10}" for column in COLUMNS))
    for group in dict.fromkeys(found["group"] for found in outcomes):
        counted = [found for found in outcomes if found["group"] == group]
        print(f"{group:<9}{len(counted):>3}" + "".join(f"{counts(counted, column):>10}" for column in COLUMNS))
    return {"runs": outcomes, "broken": [f"{found['group']}: {found['broken']}" for found in outcomes if found["broken"]]}


def counts(outcomes, column):
    """In how many runs something holds; what a run does not show is not counted as missing."""
    shown = [found[column] for found in outcomes if found[column] is not None]
    return sum(shown) if shown else "-"


def outcome(searched=False, named=False, cited=False, supported=False, why=None, broken=None):
    return {"searched": searched, "named": named, "cited": cited, "supported": supported, "why": why, "broken": broken}


def program_run(server, guide, file, corpus):
    output, why = printed(server, guide, file)
    if why:
        return outcome(why=why)
    return of_interaction(json.loads(output), corpus) if file.endswith(".sh") else of_output(output, corpus)


LINK = re.compile(r"^  \[(.*)\]\((.*)\)$", re.MULTILINE)
"""A citation as the programs print it."""


def of_output(output, corpus):
    """Python and JavaScript print the answer and then the citations, which only a search can have brought."""
    answer, _, rest = output.partition("\nCitations:\n")
    links = LINK.findall(rest)
    broken = next((f"a citation that no document has: [{title}]({url})" for title, url in links if not corpus.find(url)), None)
    broken = broken or next((f"no title for {url}" for title, url in links if title.strip() in ("", "None", "undefined")), None)
    return with_reason(
        outcome(searched=bool(links), named=named(answer), cited=bool(links), supported=None, broken=broken), answer
    )


def of_interaction(interaction, corpus):
    """An interaction in its JSON form shows its steps and where the citations point."""
    cited = citing.citations(interaction, corpus)
    answer = "".join(part["text"] for part in citing.text_parts(interaction))
    return with_reason(
        outcome(
            searched=citing.searched(interaction),
            named=interaction.get("status") == "completed" and named(answer),
            cited=bool(cited),
            supported=bool(cited) and all(one["supported"] for one in cited),
            broken=next((one["broken"] for one in cited if one["broken"]), None),
        ),
        answer,
        next((one for one in cited if not one["supported"]), None),
    )


def named(answer):
    return citing.holds(answer, WINNER) and not judging.LEAKED.search(answer)


def with_reason(found, answer, unsupported=None):
    if found["broken"]:
        why = f"BROKEN: {found['broken']}"
    elif missing := [column for column in ("searched", "named", "cited") if not found[column]]:
        why = f"not {', '.join(missing)}: {answer[:160]!r}"
    else:
        why = unsupported and f"not supported: {unsupported['span'][:160]!r} by {unsupported['url']}"
    return found | {"why": why}


def asked(server, model, corpus):
    """The programs' question through the SDK. What is stored must be what was answered."""
    tools = [{"type": "google_search"}]
    created = server.client.interactions.create(model=model, input=QUESTION, tools=tools)
    answered, stored = (one.model_dump(mode="json") for one in (created, server.client.interactions.get(created.id)))
    found = of_interaction(answered, corpus)
    if citing.text_parts(stored) != citing.text_parts(answered):
        found["broken"] = found["broken"] or "the stored text or its annotations differ from the answer's"
        found["why"] = f"BROKEN: {found['broken']}"
    return found
