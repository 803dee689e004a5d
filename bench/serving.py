"""Servers, from their start to their end, and streamed answers timed as they arrive."""

import dataclasses
import http.client
import json
import os
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from pathlib import Path

START_PATIENCE = 180
STOP_PATIENCE = 40


@dataclasses.dataclass(frozen=True)
class Answer:
    """One streamed answer. Times are in seconds on one clock, counts in tokens."""

    sent: float
    first: float
    """When its first text arrived."""
    last: float
    """When its last text arrived."""
    read: int
    """Tokens of the prompt that were not cached."""
    cached: int
    written: int
    id: str | None = None


class Process:
    """A server of its own, up within `with`, stopped by SIGTERM at its end."""

    # How it may end then.
    ends = (0,)

    def __init__(self, setting, command, **options):
        self.folder = Path(tempfile.mkdtemp(dir=setting.scratch))
        self.log = self.folder / "log"
        self.command = [str(part) for part in command(self.folder)]
        self.options = options

    def __enter__(self):
        # The operator's own settings are not what is measured.
        kept = {k: v for k, v in os.environ.items() if not k.startswith("ANTIPHON_") or k == "ANTIPHON_MODELS_DIR"}
        self.started = time.perf_counter()
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                self.command, stdout=subprocess.PIPE, stderr=log, text=True, env=kept, **self.options
            )
        self.pid = self.process.pid
        try:
            # Both print the address that they listen on first.
            line = self.process.stdout.readline()
            if "http://" not in line:
                raise self.broken("did not say where it listens")
            host, _, port = line.strip().rpartition("http://")[2].partition(":")
            self.address = (host, int(port))
            self.opened()
        except BaseException:
            self.process.kill()
            self.process.wait()
            raise
        return self

    def opened(self):
        """What is waited for before it is used."""

    def __exit__(self, kind, error, trace):
        self.process.send_signal(signal.SIGTERM)
        try:
            code = self.process.wait(STOP_PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            code = self.process.wait()
        self.process.stdout.close()
        if error is None:
            if code not in self.ends:
                raise self.broken(f"ended with {code} after SIGTERM")
            shutil.rmtree(self.folder)

    def broken(self, what):
        tail = "\n".join(self.log.read_text(errors="replace").splitlines()[-20:])
        return RuntimeError(f"`{self.command[0]}` {what}:\n{tail}")

    def streams(self, bodies):
        """Posts all of them at the same moment and reads the answers to their ends."""
        barrier = threading.Barrier(len(bodies))
        arrivals, errors = [None] * len(bodies), []

        def one(at):
            try:
                arrivals[at] = self.arrival(bodies[at], barrier)
            except Exception as error:
                barrier.abort()
                errors.append(error)

        threads = [threading.Thread(target=one, args=(at,)) for at in range(len(bodies))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if errors:
            raise errors[0]
        # Read only now: parsing would compete with the model for the CPU.
        return [self.answer(sent, list(events(pieces)), pieces[-1][0]) for sent, pieces in arrivals]

    def arrival(self, body, barrier):
        """When it was sent, and the pieces of the answer with the moments when they came."""
        connection = http.client.HTTPConnection(*self.address, timeout=600)
        connection.connect()
        payload = json.dumps(body).encode()
        barrier.wait()
        sent = time.perf_counter()
        connection.request("POST", self.path, payload, self.headers)
        response = connection.getresponse()
        pieces = []
        while piece := response.read1(1 << 16):
            pieces.append((time.perf_counter(), piece))
        connection.close()
        if response.status != 200:
            raise RuntimeError(f"HTTP {response.status}: {b''.join(piece for _, piece in pieces)[:500]}")
        return sent, pieces


class Antiphon(Process):
    """`antiphon serve` with a fresh data folder, ready, with everything else at its default."""

    path = "/v1beta/interactions"

    def __init__(self, setting, config):
        def command(folder):
            (folder / "antiphon.toml").write_text(config)
            self.data = folder / "data"
            return [setting.binaries / "antiphon", "serve", "--listen", "127.0.0.1:0", "--data-dir", self.data,
                    "--config", folder / "antiphon.toml"]  # fmt: skip

        super().__init__(setting, command)

    def opened(self):
        deadline = time.monotonic() + START_PATIENCE
        while get(self.address, "/readyz") != 200:
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise self.broken("did not become ready")
            time.sleep(0.001)
        self.ready_after = time.perf_counter() - self.started
        self.key = (self.data / "bootstrap-key").read_text().strip()
        self.headers = {"x-goog-api-key": self.key, "content-type": "application/json"}

    def ask(self, system, prompt, tokens):
        return {
            "model": "gemini-3.5-flash",
            "system_instruction": system,
            "input": prompt,
            "stream": True,
            "store": True,
            "generation_config": {"temperature": 0, "max_output_tokens": tokens},
        }

    @staticmethod
    def answer(sent, events, end):
        texts = [when for when, event in events if event["event_type"] == "step.delta"]
        last = next((e["interaction"] for _, e in events if e["event_type"] == "interaction.completed"), None)
        if last is None or last["status"] not in ("completed", "incomplete"):
            raise RuntimeError(f"the answer ended {last and last['status']}: {events[-3:]}")
        usage = last["usage"]
        cached = usage["total_cached_tokens"]
        return Answer(
            sent=sent,
            first=min(texts, default=end),
            last=max(texts, default=end),
            read=usage["total_input_tokens"] - cached,
            cached=cached,
            written=usage["total_output_tokens"],
            id=last["id"],
        )


class Reference(Process):
    """The server inside xllamacpp, over HTTP as well."""

    path = "/v1/chat/completions"
    headers = {"content-type": "application/json"}

    def __init__(self, setting, weights, slots, threads, context, batch):
        script = Path(__file__).with_name("reference.py")
        arguments = [setting.reference, script, weights, slots, threads, context, batch]
        super().__init__(setting, lambda _: arguments)

    def ask(self, system, prompt, tokens):
        return {
            "messages": [{"role": "system", "content": system}, {"role": "user", "content": prompt}],
            "stream": True,
            "stream_options": {"include_usage": True},
            "temperature": 0,
            "max_tokens": tokens,
            "ignore_eos": True,
        }

    @staticmethod
    def answer(sent, events, end):
        def text(event):
            return any(choice["delta"].get("content") for choice in event.get("choices", []))

        texts = [when for when, event in events if text(event)]
        usage = next(event["usage"] for _, event in events if event.get("usage"))
        cached = usage["prompt_tokens_details"]["cached_tokens"]
        return Answer(
            sent=sent,
            first=min(texts, default=end),
            last=max(texts, default=end),
            read=usage["prompt_tokens"] - cached,
            cached=cached,
            written=usage["completion_tokens"],
        )


def events(pieces):
    """The JSON events of an event stream, each with the moment when its last byte came."""
    pending = b""
    for when, piece in pieces:
        *whole, pending = (pending + piece).split(b"\n\n")
        for event in whole:
            for line in event.splitlines():
                name, _, value = line.partition(b":")
                if name == b"data" and value.strip() != b"[DONE]":
                    yield when, json.loads(value)


def get(address, path):
    """The status of a GET; `None` without an answer."""
    try:
        connection = http.client.HTTPConnection(*address, timeout=10)
        connection.request("GET", path)
        return connection.getresponse().status
    except OSError:
        return None
    finally:
        connection.close()
