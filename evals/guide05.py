"""A picture and a sound as the guide has them: its programs `05_1` as they are printed, many times, with one pair of files
and with another.
"""

import json
import os
import re
import time
import tomllib
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

import citing
import judging
import providers
from guide import SUFFIXES, ran, text_of

PROGRAM = "05_1"
MEDIA = Path(__file__).resolve().parent.parent / "conformance" / "media"
PAIRS = (("real-page.jpg", "kennedy.mp3"), ("photo-en-3.jpg", "weather.mp3"))
LEAST_WORDS, LEAST_LETTERS = 3, 4
PROVIDERS = (providers.Sounds,)
COLUMNS = ("answered", "picture", "sound", "apart")


def run(server, model, options):
    guide = os.environ.get("ANTIPHON_GUIDE")
    if not guide:
        print("SKIPPED the guide's programs: ANTIPHON_GUIDE names no folder")
        return {"runs": [], "broken": []}
    files = [file for file in (PROGRAM + suffix for suffix in SUFFIXES) if not options.only or file in options.only]
    outcomes = []
    for at, pair in enumerate(PAIRS):
        # All programs fetch the sound from one address, so that those of one pair run before those of the other.
        server.provider.serve("sample.mp3", MEDIA / "audio" / pair[1])
        turns = range(at, options.repeats, len(PAIRS))
        with ThreadPoolExecutor(options.concurrency) as pool:
            jobs = [pool.submit(program_run, server, Path(guide), file, at) for file in files for _ in turns]
            for job in as_completed(jobs):
                outcomes.append(found := job.result())
                print(f"{found['group']}: {found['seconds']} s: {found['why'] or 'as it should be'}", flush=True)
    outcomes.sort(key=lambda found: files.index(found["group"]))
    print(f"\n{'':<9}{'of':>3}" + "".join(f"{column:>10}" for column in COLUMNS))
    for group in dict.fromkeys(found["group"] for found in outcomes):
        counted = [found for found in outcomes if found["group"] == group]
        print(f"{group:<9}{len(counted):>3}" + "".join(f"{sum(found[column] for found in counted):>10}" for column in COLUMNS))
    return {"runs": outcomes, "broken": []}


def program_run(server, guide, file, at):
    """One run with one pair."""
    pair, other = PAIRS[at], PAIRS[1 - at]
    began = time.perf_counter()
    output, _, why = ran(server, guide, file, given={"sample.jpg": MEDIA / "pictures" / pair[0]})
    return {"group": file, "seconds": round(time.perf_counter() - began, 1)} | judged(file, output, why, pair, other)


def judged(file, output, why, pair, other):
    """Whether an answer holds words of both files, and fewer of the files that another run is given."""
    if why:
        return dict.fromkeys(COLUMNS, False) | {"why": why}
    if file.endswith(".sh"):
        interaction = json.loads(output[output.index("{") :])
        answer = "".join(text_of(interaction)) if interaction.get("status") == "completed" else ""
    else:
        answer = output
    own, others = (tuple(words_of(one)) for one in (pair, other))
    kept = [[word for word in sorted(words) if citing.holds(answer, [word])] for words in own]
    strange = [[word for word in sorted(theirs - mine) if citing.holds(answer, [word])] for mine, theirs in zip(own, others)]
    found = {
        "answered": bool(answer.strip()) and not judging.LEAKED.search(answer),
        "picture": len(kept[0]) >= LEAST_WORDS,
        "sound": len(kept[1]) >= LEAST_WORDS,
        "apart": all(len(few) < LEAST_WORDS for few in strange),
    }
    missing = ", ".join(column for column in COLUMNS if not found[column])
    return found | {"why": f"not {missing}: {answer[:300]!r}" if missing else None, "kept": kept}


def words_of(pair):
    """The words that are written on the picture, and those that are said in the sound."""
    lines = json.loads((MEDIA / "pictures" / "truth.json").read_text())[pair[0]]["lines"]
    sounds = tomllib.loads((MEDIA / "audio" / "sounds.toml").read_text())["sound"]
    said = next(sound["text"] for sound in sounds if sound["file"] == pair[1])
    for text in (" ".join(lines), said):
        yield {word for word in re.findall(r"\w+", citing.folded(text)) if len(word) >= LEAST_LETTERS or word.isdigit()}
