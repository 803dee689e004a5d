"""(g) What a sandbox adds to a program."""

import json
import os
import subprocess

from setting import Limit, Report, progress

METHOD = """
`python3 -c "print(42)"`, and the same program in a sandbox with a fresh workspace and in one for a given workspace, in
turn; {rounds} turns for each tier (`crates/antiphon-sandbox/examples/latency.rs`). *adds* is the median of what each
turn's program took longer than that turn's bare one.
"""
TIERS = ("bwrap", "landlock")


def measure(setting):
    rounds = 5 if setting.quick else 20 * setting.repeats
    rows = [["tier", "bare, ms", "fresh, ms", "adds", "given, ms", "adds"]]
    limits = []
    for tier in TIERS:
        progress(f"(g) {tier}")
        command = [os.environ["ANTIPHON_BENCH_SANDBOX"], str(rounds), tier]
        found = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
        values = [found[key] for key in ("bare_ms", "fresh_ms", "fresh_adds_ms", "given_ms", "given_adds_ms")]
        rows.append([found["tier"], *(f"{value:.1f}" for value in values)])
        limits.append(Limit(f"{found['tier']}: a fresh `print(42)` adds, ms", found["fresh_adds_ms"], most=20))
    return Report("Programs in a sandbox", METHOD.format(rounds=rounds), [rows], limits)
