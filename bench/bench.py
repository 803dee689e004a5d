"""Runs the parts of the benchmark and writes what they found.

Contenders are measured in turn, in one run, and compared by the ratios of each turn: machines get
slower and faster by the minute, ratios much less. Figures are medians. See `bench/run`.
"""

import argparse
import datetime
import os
import platform
import re
import shutil
import sys
import tempfile
from pathlib import Path

import constrained
import creates
import gateway
import hearing
import programs
import speed
import startup
import turns
from setting import MODELS, Setting

ROOT = Path(__file__).resolve().parent.parent
DOCUMENT = ROOT / "docs" / "benchmarks.md"
PARTS = {"a": speed, "b": turns, "c": creates, "d": startup, "e": constrained, "f": gateway, "g": programs, "h": hearing}

HEAD = """# Benchmarks

Written by `just bench`; each section by its last run, with that run's machine and moment.
Contenders are measured in turn within one run. Figures are medians; a ratio is the median of the
ratios of each turn, so it may differ a little from the ratio of the medians beside it.
"""


def main():
    parser = argparse.ArgumentParser(prog="bench/run", description="Measures antiphon on this machine.")
    parser.add_argument("parts", nargs="*", metavar="PART", help="a, b, c, d, e, f, g, h; all by default")
    parser.add_argument("--quick", action="store_true", help="once and small; judges and writes nothing")
    parser.add_argument("--repeats", type=int, default=5, metavar="N", help="how often everything is measured; 5")
    parser.add_argument("--model", action="append", choices=MODELS, help="only this one; writes nothing")
    arguments = parser.parse_args()
    if unknown := set(arguments.parts) - set(PARTS):
        parser.error(f"no part {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}")
    whole = not arguments.quick and not arguments.model

    cache = Path(os.environ["ANTIPHON_CACHE"])
    cache.mkdir(parents=True, exist_ok=True)
    # Not in /tmp, which may lie in memory: a commit there costs nothing.
    scratch = Path(tempfile.mkdtemp(prefix="bench-run-", dir=cache))
    setting = Setting(
        binaries=Path(os.environ["ANTIPHON_BIN_DIR"]),
        reference=os.environ.get("ANTIPHON_BENCH_REFERENCE"),
        scratch=scratch,
        quick=arguments.quick,
        models=tuple(arguments.model or MODELS),
        repeats=1 if arguments.quick else arguments.repeats,
    )
    missed = []
    try:
        for letter in sorted(set(arguments.parts)) or PARTS:
            command = f"bench/run {letter}" + (" --quick" if arguments.quick else f" --repeats {arguments.repeats}")
            started = f"`{command}` on {machine()}"
            report = PARTS[letter].measure(setting)
            section = f"## ({letter}) {report.title}\n\n{started}\n\n{report.markdown(judged=not arguments.quick)}"
            print("\n" + section, flush=True)
            missed += [limit for limit in report.limits if not limit.holds()]
            if whole:
                write(letter, section)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    if missed and not arguments.quick:
        sys.exit(f"{len(missed)} limits are not held")


def machine():
    """Where and when: absolute figures mean nothing without, and a busy machine shows here."""
    cpus = Path("/proc/cpuinfo").read_text()
    memory = int(re.search(r"MemTotal:\s+(\d+)", Path("/proc/meminfo").read_text())[1]) / (1 << 20)
    cpu = re.search(r"model name\s*:\s*(.+)", cpus)
    now = datetime.datetime.now(datetime.UTC)
    return (
        f"{cpu[1] if cpu else platform.machine()}, {len(os.sched_getaffinity(0))} cores, {memory:.0f} GiB, "
        f"Linux {platform.release()}, {now:%Y-%m-%d %H:%M} UTC, load {os.getloadavg()[0]:.1f} at the start."
    )


def write(letter, section):
    """Replaces one section of the document."""
    known = DOCUMENT.read_text() if DOCUMENT.exists() else ""
    pieces = re.split(r"^(?=## \()", known, flags=re.MULTILINE)[1:]
    sections = {piece[len("## (")]: piece.strip() for piece in pieces}
    sections[letter] = section.strip()
    text = "\n\n".join([HEAD.strip(), *(sections[key] for key in sorted(sections))])
    DOCUMENT.write_text(text + "\n")


if __name__ == "__main__":
    main()
