"""The cases as they were when they were written: numbers of two days compare only over the same cases."""

import hashlib
import json
from pathlib import Path

FOLDER = Path(__file__).resolve().parent
LIST = FOLDER / "frozen.sha256"
"""Lines of `sha256sum`, one for each file of cases."""


def changed():
    """Names of the case files that differ from the list, are missing, or are not in it."""
    listed = dict(reversed(line.split("  ", 1)) for line in LIST.read_text().splitlines())
    found = {
        str(path.relative_to(FOLDER)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in (*FOLDER.glob("*.json"), *FOLDER.glob("schemas/*"), *FOLDER.glob("corpus/*"))
    }
    return sorted(name for name in listed.keys() | found.keys() if listed.get(name) != found.get(name))


def read(name):
    """The cases of a file, by its path inside this folder."""
    return json.loads((FOLDER / name).read_text())
