"""What every part needs to know, and what every part reports."""

import dataclasses
import functools
import os
import subprocess
import sys
from pathlib import Path

MODELS = ("smollm2-135m-instruct", "qwen2.5-coder-1.5b-instruct")


@dataclasses.dataclass(frozen=True)
class Setting:
    binaries: Path
    """Folder of `antiphon` and `antiphon-llama`."""
    reference: str | None
    """A Python that has xllamacpp."""
    scratch: Path
    """A folder on the disk that a server's data would be on."""
    quick: bool
    models: tuple[str, ...]
    repeats: int
    """How often everything is measured; the medians are reported."""

    @property
    def threads(self):
        """What the server uses by default."""
        return len(os.sched_getaffinity(0))

    def pull(self, model):
        """Installs a model of the catalogue if it is not."""
        subprocess.run([self.binaries / "antiphon", "models", "pull", model], check=True, stdout=sys.stderr)

    @functools.cache
    def weights(self, model):
        """The file of a model of the catalogue, which is installed if it is not."""
        antiphon = self.binaries / "antiphon"
        self.pull(model)
        listing = subprocess.run([antiphon, "models", "list"], check=True, stdout=subprocess.PIPE, text=True).stdout
        for name, state, _, place in (line.split("\t") for line in listing.splitlines()):
            if (name, state) == (model, "installed"):
                return Path(place)
        raise RuntimeError(f"`{model}` is not installed after its pull")


@dataclasses.dataclass(frozen=True)
class Limit:
    """A figure, and what it must not fall below or rise above."""

    what: str
    value: float
    least: float | None = None
    most: float | None = None

    def holds(self):
        return (self.least is None or self.value >= self.least) and (self.most is None or self.value <= self.most)

    def row(self, judged):
        bound = f"≥ {self.least:g}" if self.least is not None else f"≤ {self.most:.4g}"
        verdict = ("pass" if self.holds() else "**fail**") if judged else "not judged"
        return [self.what, bound, f"{self.value:.4g}", verdict]


@dataclasses.dataclass
class Report:
    title: str
    method: str
    tables: list[list[list[str]]]
    """The first row of each is its head."""
    limits: list[Limit] = dataclasses.field(default_factory=list)

    def markdown(self, judged):
        limits = [["limit", "bound", "measured", ""], *(limit.row(judged) for limit in self.limits)]
        tables = [*self.tables, *([limits] if self.limits else [])]
        return "\n\n".join([self.method.strip(), *map(table, tables)])


def table(rows):
    head, *body = rows
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *body]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def percentile(values, percent):
    values = sorted(values)
    return values[min(len(values) - 1, len(values) * percent // 100)]


def progress(text):
    """For whoever waits; results go to standard output."""
    print(text, file=sys.stderr, flush=True)
