"""Looks at every picture of this folder as the server would and holds what is seen against truth.json.

    check.py ANTIPHON

ANTIPHON is the executable; `ppocr-v6-small` and `efficientnet-lite0` are installed. The last line is the number of
checks that passed and failed. A check is the character error rate of one kind of picture in one language, over all of
its pictures, once runs of spaces and of leader dots are one space; or the name of a thing among those that are named.
"""

import json
import pathlib
import re
import subprocess
import sys

HERE = pathlib.Path(__file__).parent
MOST_ERRORS = 0.05


def plain(text):
    return re.sub(r"\s+", " ", re.sub(r"([.·…_])\1{2,}", " ", text)).strip()


def distance(expected, found):
    row = list(range(len(found) + 1))
    for number, left in enumerate(expected, 1):
        last, row = row, [number]
        for column, right in enumerate(found, 1):
            row.append(min(last[column] + 1, row[-1] + 1, last[column - 1] + (left != right)))
    return row[-1]


def text(seen):
    return " ".join(line["text"] for line in seen["lines"])


def main(antiphon):
    listed = subprocess.run([antiphon, "models", "list"], check=True, capture_output=True, text=True).stdout
    rows = [line.split("\t") for line in listed.splitlines()]
    folders = {row[0]: row[3] for row in rows if row[1] == "installed"}
    look = [antiphon, "look", "--reading", folders["ppocr-v6-small"], "--labels", folders["efficientnet-lite0"]]
    groups, passed, failed = {}, 0, 0
    for name, truth in json.loads((HERE / "truth.json").read_text()).items():
        with open(HERE / name, "rb") as picture:
            done = subprocess.run(look, stdin=picture, capture_output=True, timeout=120)
        if done.returncode != 0:
            print(f"{name}: exit code {done.returncode}: {done.stdout.decode(errors='replace')}")
            failed += 1
            continue
        seen = json.loads(done.stdout)
        if "thing" in truth:
            named = [label["name"] for label in seen["labels"]]
            good = truth["thing"] in named
            print(f"{name}: expected {truth['thing']} among {named}: {'passed' if good else 'FAILED'}")
            passed, failed = passed + good, failed + (not good)
            continue
        expected, found = plain(" ".join(truth["lines"])), plain(text(seen))
        errors = distance(expected, found)
        if errors:
            print(f"{name}: {errors} of {len(expected)}\n  expected {expected}\n  found    {found}")
        group = groups.setdefault((truth["group"], truth["language"]), [0, 0, 0, 0.0])
        for at, more in enumerate((1, errors, len(expected), seen["seconds"])):
            group[at] += more
    for (kind, language), (pictures, errors, letters, seconds) in sorted(groups.items()):
        good = errors <= MOST_ERRORS * letters and pictures >= 5
        rate, mean = errors / letters, seconds / pictures
        verdict = "passed" if good else "FAILED"
        print(f"{kind} {language}: {pictures} pictures, {errors} of {letters} letters: {rate:.4f}, {mean:.2f} s each: {verdict}")
        passed, failed = passed + good, failed + (not good)
    print(f"# {passed} passed, {failed} failed")
    return failed


sys.exit(main(sys.argv[1]) != 0)
