"""A server of which the model knows one sentence, and what it is told of media."""

import base64
import json
import os
import pathlib
import re
import signal
import subprocess
import tempfile
import time
import urllib.error
import urllib.request

CONFIG = """
[limits]
tool_result_tokens = 20000

[[models]]
name = "scripted"
backend = "scripted"
script = "script.toml"
"""
SCRIPT = '[[reply]]\nchunks = ["I was told."]\n'

FENCED = re.compile(r"\A.*\n<media index=1 kind=(\w+)(?: words)?>\n(.*)\n</media>\Z", re.DOTALL)


class Wrong(Exception):
    """What is wrong with an answer."""


class Told:
    """What the model was told of a medium, and how that is said."""

    def __init__(self, interaction, seconds):
        steps = interaction["steps"]
        kinds = [step["type"] for step in steps]
        if kinds != ["processing_call", "processing_result", "thought", "model_output"]:
            raise Wrong(f"its steps are {kinds}")
        told = FENCED.match(steps[2]["summary"][0]["text"])
        self.media = steps[1]["x_media"]
        if not told or told[1] != self.media["kind"] or self.media["block"] != "input[0].content[1]":
            raise Wrong(f"it is told as {steps[2]['summary']}, of {self.media}")
        self.text = told[2]
        # From the request to the answer.
        self.seconds = seconds


class Server:
    """Started with a data folder of its own; used in a `with`, at the end of which it has to end by itself."""

    def __init__(self, antiphon):
        self.antiphon = antiphon
        self.folder = tempfile.TemporaryDirectory()
        # A server that is root runs programs as other users, who have to pass.
        os.chmod(self.folder.name, 0o711)

    def __enter__(self):
        place = pathlib.Path(self.folder.name)
        (place / "antiphon.toml").write_text(CONFIG)
        (place / "script.toml").write_text(SCRIPT)
        kept = {name: value for name, value in os.environ.items() if not name.startswith("ANTIPHON_")}
        environment = {**kept, "ANTIPHON__ENVIRONMENTS__FOLDER": str(place / "workspaces")}
        data = ["--data-dir", str(place / "data")]
        make = [self.antiphon, "keys", "create", "--name", "perception", *data]
        self.key = subprocess.run(make, env=environment, check=True, stdout=subprocess.PIPE, text=True).stdout.strip()
        serve = [self.antiphon, "serve", "--listen", "127.0.0.1:0", "--config", str(place / "antiphon.toml"), *data]
        self.log = open(place / "log", "w+")
        self.process = subprocess.Popen(serve, env=environment, stdout=subprocess.PIPE, stderr=self.log, text=True)
        line = self.process.stdout.readline()
        if "http://" not in line:
            self.log.seek(0)
            raise SystemExit(f"the server did not start: {line}{self.log.read()}")
        self.url = "http://" + line.strip().rsplit("http://", 1)[1]
        return self

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGTERM)
        _, status, used = os.wait4(self.process.pid, 0)
        self.process.returncode = os.waitstatus_to_exitcode(status)
        # Of the server and of all that it has started: whichever had most.
        self.peak = used.ru_maxrss
        self.log.close()
        self.folder.cleanup()

    def computed(self):
        """Seconds that the server has computed, and what it started and has ended."""
        status = pathlib.Path(f"/proc/{self.process.pid}/stat").read_text()
        # Behind the name, which may hold anything.
        figures = status.rpartition(")")[2].split()[11:15]
        return sum(map(int, figures)) / os.sysconf("SC_CLK_TCK")

    def ask(self, part):
        """The status of the answer to a message with this part, and the answer."""
        content = [{"type": "text", "text": "What is it?"}, part]
        body = {"model": "scripted", "input": [{"type": "user_input", "content": content}]}
        request = urllib.request.Request(
            f"{self.url}/v1beta/interactions",
            data=json.dumps(body).encode(),
            headers={"x-goog-api-key": self.key, "content-type": "application/json"},
        )
        try:
            with urllib.request.urlopen(request, timeout=600) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            return error.code, json.load(error)

    def told(self, kind, mime_type, data, **more):
        """What the model is told of these bytes.

        Raises `Wrong` when it is told nothing, or not as it should be.
        """
        part = {"type": kind, "data": base64.b64encode(data).decode(), **more}
        if mime_type:
            part["mime_type"] = mime_type
        begun = time.monotonic()
        status, answer = self.ask(part)
        if status != 200 or answer["status"] != "completed":
            raise Wrong(f"{status}: {json.dumps(answer)[:500]}")
        return Told(answer, time.monotonic() - begun)


def distance(expected, got):
    """Items replaced, left out or put in, at least."""
    row = list(range(len(got) + 1))
    for index, item in enumerate(expected, 1):
        before, row[0] = row[0], index
        for at, other in enumerate(got, 1):
            before, row[at] = row[at], min(row[at] + 1, row[at - 1] + 1, before + (item != other))
    return row[-1]
