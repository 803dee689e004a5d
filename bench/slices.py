"""Two contenders that share a machine: one runs while the other is stopped, a fraction of a second at a time.

Machines get slower and faster by tenths within a minute, and by far less from one slice to the next.
"""

import os
import signal
import threading
import time
from pathlib import Path

# Seconds. Long against the 0.1 ms that it takes to stop and go on.
SLICE = 0.4


class Contender:
    """A process with its children, and some work that they do."""

    def __init__(self, pid, work):
        self.processes = family(pid)
        self.work = work
        self.slices = []
        self.done = threading.Event()
        self.error = None
        self.thread = threading.Thread(target=self.carry_out)

    def carry_out(self):
        try:
            self.result = self.work()
        except Exception as error:
            self.error = error
        finally:
            self.done.set()

    def signal(self, signal):
        for process in self.processes:
            os.kill(process, signal)

    def advance(self):
        """Runs for a slice, or to the end of its work."""
        self.signal(signal.SIGCONT)
        begin = time.perf_counter()
        if not self.slices:
            self.thread.start()
        self.done.wait(SLICE)
        self.slices.append((begin, time.perf_counter()))
        self.signal(signal.SIGSTOP)

    def until(self, moment):
        """Seconds for which it has run until a moment of `time.perf_counter`."""
        return sum(min(end, moment) - begin for begin, end in self.slices if begin < moment)


def in_slices(*contenders):
    """Carries out the work of all, slice by slice; each knows then what came of it and when it ran."""
    try:
        for contender in contenders:
            contender.signal(signal.SIGSTOP)
        while waiting := [contender for contender in contenders if not contender.done.is_set()]:
            for contender in waiting:
                contender.advance()
    finally:
        for contender in contenders:
            contender.signal(signal.SIGCONT)
    for contender in contenders:
        contender.thread.join()
        if contender.error:
            raise contender.error


def family(pid):
    """A process and all that descend from it."""
    parents = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            child, rest = int(stat.parent.name), stat.read_text().rpartition(")")[2]
        except OSError:
            continue
        parents.setdefault(int(rest.split()[1]), []).append(child)
    found = [pid]
    for process in found:
        found += parents.get(process, [])
    return found
