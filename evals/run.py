"""Runs the suites against one model after the other and prints what they scored. See `README.md`."""

import argparse
import json
import sys
from pathlib import Path

import calls
import frozen
import guide
import schemas
from serving import ALIAS, Own, Running

SUITES = {"calls": calls, "schemas": schemas, "guide": guide}


def main():
    parser = argparse.ArgumentParser(prog="evals/run", description="Measures models; judges nothing.")
    parser.add_argument("suites", nargs="*", metavar="SUITE", help="calls, schemas, guide; all by default")
    parser.add_argument("--model", action="append", metavar="NAME", help="an installed model; again for more of them")
    parser.add_argument("--only", nargs="+", metavar="ID", help="only these cases, paraphrases and programs")
    parser.add_argument("--concurrency", type=int, default=4, metavar="N", help="cases at a time; 4")
    parser.add_argument("--repeats", type=int, default=10, metavar="N", help="runs of each of the guide's programs; 10")
    parser.add_argument("--max-output-tokens", type=int, default=1024, metavar="N", help="of calls and schemas; 1024")
    parser.add_argument("--seed", type=int, default=1, metavar="N", help="of calls and schemas; 1")
    parser.add_argument("--base-url", metavar="URL", help="a server that runs already, instead of one of its own")
    parser.add_argument("--key", help="its key")
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
        running = Running(options.base_url, options.key) if options.base_url else Own(model)
        scores = {}
        with running as server:
            # On a server of our own the alias is the model, and the guide's programs know no other name.
            name = model if options.base_url and model else ALIAS
            for suite in options.suites or SUITES:
                print(f"\n## {suite}", flush=True)
                scores[suite] = SUITES[suite].run(server, name, options)
                broken += [f"{label}: {suite}: {line}" for line in scores[suite]["broken"]]
        report.append({"model": label, "seed": options.seed, "max_output_tokens": options.max_output_tokens, **scores})
        print(flush=True)
    if options.report:
        options.report.write_text(json.dumps(report, indent=2, ensure_ascii=False) + "\n")
    if broken:
        sys.exit(f"evals: {len(broken)} broken promises:\n  " + "\n  ".join(broken))


if __name__ == "__main__":
    main()
