"""Runs the suites against one model after the other and prints what they scored. See `README.md`."""

import argparse
import json
import sys
from pathlib import Path

import calls
import drawing
import frozen
import guide
import guide05
import guide06
import guide08
import guide10
import providers
import schemas
import search
import sight
import tasks
from serving import ALIAS, Own, Running

SUITES = {
    "calls": calls, "schemas": schemas, "guide": guide, "search": search, "guide05": guide05, "guide06": guide06,
    "guide08": guide08, "guide10": guide10, "drawing": drawing, "sight": sight, "tasks": tasks,
}


def served(options):
    """The suites by the servers that they need: each place to search has one. A server that runs already is
    asked as it is."""
    chosen = options.suites or list(SUITES)
    if options.base_url:
        return [(None, chosen)]
    wanted = {suite: getattr(SUITES[suite], "PROVIDERS", (None,)) for suite in chosen}
    kinds = dict.fromkeys(kind for kinds in wanted.values() for kind in kinds)
    return [(kind and kind(options.corpus), [suite for suite in chosen if kind in wanted[suite]]) for kind in kinds]


def main():
    parser = argparse.ArgumentParser(prog="evals/run", description="Measures models; judges nothing.")
    parser.add_argument("suites", nargs="*", metavar="SUITE", help=f"{', '.join(SUITES)}; all by default")
    parser.add_argument("--model", action="append", metavar="NAME", help="an installed model; again for more of them")
    parser.add_argument("--only", nargs="+", metavar="ID", help="only these cases, paraphrases and programs")
    parser.add_argument("--concurrency", type=int, default=4, metavar="N", help="cases at a time; 4")
    parser.add_argument("--repeats", type=int, default=10, metavar="N", help="runs of each of the guide's programs; 10")
    parser.add_argument("--max-output-tokens", type=int, default=1024, metavar="N", help="of calls and schemas; 1024")
    parser.add_argument("--seed", type=int, default=1, metavar="N", help="of calls and schemas; 1")
    parser.add_argument(
        "--corpus", type=Path, default=providers.BUNDLED, metavar="FOLDER", help="documents to search; those of the cases"
    )
    parser.add_argument("--base-url", metavar="URL", help="a server that runs already, instead of one of its own")
    parser.add_argument("--key", help="its key")
    parser.add_argument("--data-dir", type=Path, metavar="FOLDER", help="its data folder, to look into its drawings")
    parser.add_argument("--sheet", type=Path, metavar="FILE", help="where the pictures go; drawing.html")
    parser.add_argument("--report", type=Path, metavar="FILE", help="everything as JSON")
    options = parser.parse_args()
    if unknown := set(options.suites) - set(SUITES):
        parser.error(f"no suite {', '.join(sorted(unknown))}; there are {', '.join(SUITES)}")
    if bool(options.base_url) != bool(options.key):
        parser.error("--base-url and --key belong together")

    if changed := frozen.changed():
        sys.exit("evals: these cases are not the frozen ones:\n  " + "\n  ".join(changed))

    report, broken = [], []
    for model in options.model or [None]:
        label = model or "the server's default model"
        print(f"# {label}", flush=True)
        scores = {}
        for provider, suites in served(options):
            running = Running(options.base_url, options.key, options.data_dir) if options.base_url else Own(model, provider)
            with running as server:
                # On a server of our own the alias is the model, and the guide's programs know no other name.
                name = model if options.base_url and model else ALIAS
                for suite in suites:
                    title = f"{suite}, {provider.name}" if provider else suite
                    print(f"\n## {title}", flush=True)
                    scores[title] = SUITES[suite].run(server, name, options)
                    broken += [f"{label}: {title}: {line}" for line in scores[title]["broken"]]
        report.append({"model": label, "seed": options.seed, "max_output_tokens": options.max_output_tokens, **scores})
        print(flush=True)
    if options.report:
        options.report.write_text(json.dumps(report, indent=2, ensure_ascii=False) + "\n")
    if broken:
        sys.exit(f"evals: {len(broken)} broken promises:\n  " + "\n  ".join(broken))


if __name__ == "__main__":
    main()
