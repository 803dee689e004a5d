"""(c) What the server adds to a model that answers at once, beside bare durable commits."""

import contextlib
import json
import re
import selectors
import shutil
import signal
import socket
import sqlite3
import statistics
import subprocess
import time

from serving import Antiphon
from setting import Limit, Report, percentile, progress

CLIENTS = (1, 8, 32)
STORED, UNSTORED, ALIVE = "create, `store: true`", "create, `store: false`", "GET /healthz"
COMMIT, TWO_COMMITS = "bare commit", "two bare commits"
# Beyond two commits, for everything that a create is.
ALLOWANCE_MS = 1.5

METHOD = """
Plain creates with a scripted model that answers at once, over connections that are kept; each client sends its next
request when it has its answer. {repeats} turns; in each, {count} of everything, in blocks one after the other; the p50
is the median of the turns, the p99 is that of all. Client and server share the machine: `GET /healthz` shows what
client, HTTP and the loopback cost without any work.

A *bare commit* is one row of 1 KB through Python's `sqlite3` into a table on the same disk, WAL, `synchronous=FULL`;
*two* are two in a row, timed together. Durable commits of a create are counted with `strace`: syncs of the write-ahead
log, less one for each sync of the database, which is a checkpoint and syncs both.
"""


def scripted(setting):
    """A server whose model has a slot for every client and answers at once."""
    script = setting.scratch / "script.toml"
    script.write_text(f'slots = {max(CLIENTS)}\n[[reply]]\nchunks = ["ok"]\n')
    return Antiphon(setting, f'[[models]]\nname = "scripted"\nbackend = "scripted"\nscript = "{script}"\n')


def measure(setting):
    count = 96 if setting.quick else 480
    with contextlib.closing(bare_database(setting.scratch / "commits.db")) as database, scripted(setting) as server:
        requests = {
            STORED: request(server, "POST", server.path, creation(store=True)),
            UNSTORED: request(server, "POST", server.path, creation(store=False)),
            ALIVE: request(server, "GET", "/healthz"),
        }
        # Of each kind and number of clients: the times of the requests of each turn, and what the turn took.
        turns = {}

        def took(kind, clients, times, elapsed):
            turns.setdefault((kind, clients), []).append((times, elapsed))

        for kind in requests:
            drive(server.address, requests[kind], max(CLIENTS), 64)
        for turn in range(setting.repeats):
            progress(f"(c) turn {turn + 1} of {setting.repeats}")
            for clients in CLIENTS:
                for kind in requests:
                    took(kind, clients, *drive(server.address, requests[kind], clients, count))
                    if (kind, clients) == (STORED, 1):
                        times = commit(database, count)
                        took(COMMIT, 1, times, sum(times))
                        pairs = [first + second for first, second in zip(times[::2], times[1::2])]
                        took(TWO_COMMITS, 1, pairs, sum(pairs))
        commits = commits_of_a_create(setting, server, requests[STORED])

    def p50(kind, clients=1):
        return statistics.median(1000 * statistics.median(times) for times, _ in turns[kind, clients])

    rows = [["what", "clients", "per second", "p50, ms", "p99, ms"]]
    for (kind, clients), measured in sorted(turns.items(), key=lambda item: (item[0][1], list(turns).index(item[0]))):
        rate = statistics.median(len(times) / elapsed for times, elapsed in measured)
        p99 = 1000 * percentile([time for times, _ in measured for time in times], 99)
        rows.append([kind, str(clients), f"{rate:.0f}", f"{p50(kind, clients):.2f}", f"{p99:.2f}"])
    beyond = [
        ["p50 of a stored create, 1 client", "ms"],
        ["beyond two bare commits", f"{p50(STORED) - p50(TWO_COMMITS):.2f}"],
        ["beyond one bare commit", f"{p50(STORED) - p50(COMMIT):.2f}"],
        ["of that, `GET /healthz`", f"{p50(ALIVE):.2f}"],
        ["durable commits of a create", commits if isinstance(commits, str) else f"{commits:.2f} (a count)"],
    ]
    limits = [Limit("p50 of a stored create, 1 client, ms", p50(STORED), most=p50(TWO_COMMITS) + ALLOWANCE_MS)]
    if not isinstance(commits, str):
        # The server also writes for itself now and then.
        limits.append(Limit("durable commits of a create", commits, most=2.02))
    method = METHOD.format(repeats=setting.repeats, count=count)
    return Report("Creates with a model that answers at once", method, [beyond, rows], limits)


def bare_database(path):
    database = sqlite3.connect(path, isolation_level=None)
    database.execute("PRAGMA journal_mode=WAL")
    database.execute("PRAGMA synchronous=FULL")
    database.execute("CREATE TABLE entry (id INTEGER PRIMARY KEY, content BLOB)")
    return database


def commit(database, count):
    """The times of so many durable commits, in seconds."""
    row, times = (b"x" * 1024,), []
    for _ in range(count):
        start = time.perf_counter()
        database.execute("INSERT INTO entry (content) VALUES (?)", row)
        times.append(time.perf_counter() - start)
    return times


def creation(store):
    return json.dumps({"model": "scripted", "input": "Say ok.", "store": store}).encode()


def request(server, method, path, body=b""):
    head = [f"{method} {path} HTTP/1.1", "host: antiphon", f"content-length: {len(body)}"]
    head += [f"{name}: {value}" for name, value in server.headers.items()]
    return "\r\n".join([*head, "", ""]).encode() + body


def drive(address, sent, clients, count):
    """Sends `count` equal requests over `clients` connections, each when its last one was answered.

    Returns the times of all of them and how long it took together, in seconds. One thread and bare
    sockets: a client that needs the CPU takes it from the server.
    """
    chosen = selectors.DefaultSelector()
    waiting = {}
    for _ in range(clients):
        connection = socket.create_connection(address)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        chosen.register(connection, selectors.EVENT_READ)
        waiting[connection] = [0.0, b""]

    times, started = [], 0
    begin = time.perf_counter()
    for connection, state in waiting.items():
        state[0] = time.perf_counter()
        connection.sendall(sent)
        started += 1
    while len(times) < started:
        for key, _ in chosen.select(timeout=60) or timed_out():
            state = waiting[key.fileobj]
            if not (piece := key.fileobj.recv(1 << 16)):
                raise RuntimeError(f"the server closed a connection after {state[1]!r}")
            state[1] += piece
            if not is_whole(state[1]):
                continue
            now = time.perf_counter()
            times.append(now - state[0])
            state[1] = b""
            if started < count:
                state[0] = time.perf_counter()
                key.fileobj.sendall(sent)
                started += 1
    elapsed = time.perf_counter() - begin
    chosen.close()
    for connection in waiting:
        connection.close()
    return times, elapsed


def timed_out():
    raise RuntimeError("no answer within 60 s")


def is_whole(answer):
    head, end, body = answer.partition(b"\r\n\r\n")
    if not end:
        return False
    if not head.startswith(b"HTTP/1.1 200 "):
        raise RuntimeError(f"the server answered {answer[:1000]!r}")
    length = re.search(rb"(?i)\r\ncontent-length: *(\d+)", head)
    return len(body) >= int(length[1])


def commits_of_a_create(setting, server, sent):
    """How often a create waits for the disk, or why that is not known."""
    if shutil.which("strace") is None:
        return "not counted: `strace` is not installed"
    trace, creates = setting.scratch / "trace", 200
    command = ["strace", "-f", "-y", "-e", "trace=fsync,fdatasync", "-o", str(trace), "-p", str(server.pid)]
    tracer = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    if "attached" not in (said := tracer.stderr.readline()):
        tracer.wait()
        return f"not counted: {said.strip()}"
    drive(server.address, sent, 1, creates)
    tracer.send_signal(signal.SIGINT)
    tracer.communicate()
    synced = re.findall(r"(?:fsync|fdatasync)\(\d+<([^>]+)>", trace.read_text())
    log = sum(path.endswith("-wal") for path in synced)
    checkpoints = sum(path.endswith(".db") for path in synced)
    return (log - checkpoints) / creates
