"""What is told of every picture of `pictures`, held against its `truth.json`.

A check is the character error rate of one kind of picture in one language, over all of its pictures, once runs of
spaces and of leader dots are one space; or the name of a thing among those that are named.
"""

import json
import pathlib
import re

from server import Wrong, distance

PICTURES = pathlib.Path(__file__).parent / "pictures"
MOST_ERRORS = 0.05
FEWEST_PICTURES = {"real": 1}

WRITING = re.compile(r"^The writing in it, as far as it could be read:\n(.*)\n(What it shows|A small classifier)", re.M | re.S)


def plain(text):
    return re.sub(r"\s+", " ", re.sub(r"([.·…_])\1{2,}", " ", text)).strip()


def check(server):
    """Yields what was checked, and whether it is so."""
    groups = {}
    for name, truth in json.loads((PICTURES / "truth.json").read_text()).items():
        mime_type = "image/jpeg" if name.endswith("jpg") else "image/png"
        try:
            told = server.told("image", mime_type, (PICTURES / name).read_bytes())
        except Wrong as wrong:
            yield f"{name}: {wrong}", False
            continue
        if "thing" in truth:
            yield f"{name}: {truth['thing']} in: {told.text.splitlines()[-1]}", truth["thing"] in told.text
            continue
        writing = WRITING.search(told.text)
        expected, found = plain(" ".join(truth["lines"])), plain(writing[1] if writing else "")
        errors = distance(expected, found)
        if errors:
            print(f"{name}: {errors} of {len(expected)}\n  expected {expected}\n  found    {found}")
        group = groups.setdefault((truth["group"], truth["language"]), [0, 0, 0, 0.0])
        for at, more in enumerate((1, errors, len(expected), told.seconds)):
            group[at] += more
    for (kind, language), (pictures, errors, letters, seconds) in sorted(groups.items()):
        rate, mean = errors / letters, seconds / pictures
        said = f"{kind} {language}: {pictures} pictures, {errors} of {letters} letters wrong ({rate:.4f}), {mean:.2f} s each"
        yield said, rate <= MOST_ERRORS and pictures >= FEWEST_PICTURES.get(kind, 5)
