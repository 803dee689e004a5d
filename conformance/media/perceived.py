"""What a model is told of real media by the real server, with the real networks.

    perceived.py ANTIPHON [reading|hearing|seeing|hostile…]

Prints a line for each check; the last line is how many passed and failed.
"""

import sys
import time

import hearing
import hostile
import reading
import seeing
from server import Server

PARTS = {"reading": reading, "hearing": hearing, "seeing": seeing, "hostile": hostile}


def main(antiphon, *parts):
    passed = failed = 0
    with Server(antiphon) as server:
        for part in parts or PARTS:
            begun = time.monotonic()
            for said, is_so in PARTS[part].check(server):
                print(said if is_so else f"FAILED {said}", flush=True)
                passed, failed = passed + is_so, failed + (not is_so)
            print(f"{part}: {time.monotonic() - begun:.0f} s", flush=True)
    print(f"the server and what it started: {server.peak >> 10} MiB at most in one process")
    if server.process.returncode != 0:
        print(f"FAILED the server ended with {server.process.returncode}")
        failed += 1
    print(f"# {passed} passed, {failed} failed")
    return failed


sys.exit(main(*sys.argv[1:]) != 0)
