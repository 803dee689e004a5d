"""A server to measure: one of our own from its start to its end, or one that runs already."""

import os
import shutil
import signal
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

from google import genai

ALIAS = "gemini-3.5-flash"
"""The model's name in the guide, which a server maps to its default model."""
START_PATIENCE = 180
STOP_PATIENCE = 40
ANSWER_PATIENCE = 1200
"""Seconds that one answer may take."""


class Running:
    """A server that somebody else started. `client` is the SDK's, `environment` what programs are given."""

    is_own = False

    def __init__(self, url, key, data=None):
        self.url, self.key, self.data = url.rstrip("/"), key, data

    def __enter__(self):
        self.environment = {"GOOGLE_GEMINI_BASE_URL": self.url, "GEMINI_API_KEY": self.key, "BASE": self.url}
        self.client = genai.Client(
            api_key=self.key, http_options={"base_url": self.url, "timeout": ANSWER_PATIENCE * 1000}
        )
        return self

    def __exit__(self, kind, error, trace):
        self.client.close()

    def drawing(self, signature):
        """The SVG that is sealed in a signature; nothing where there is none, or no data folder to open it with."""
        if self.data is None:
            return None
        command = [executable(), "show-drawing", "--data-dir", self.data]
        shown = subprocess.run(command, input=signature, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        return shown.stdout if shown.returncode == 0 else None


class Own(Running):
    """`antiphon serve` with a fresh data folder and everything but the model and where it searches at its default."""

    is_own = True

    def __init__(self, model, provider=None):
        self.model, self.provider = model, provider

    def __enter__(self):
        antiphon = executable()
        self.folder = Path(tempfile.mkdtemp(prefix="evals-"))
        # The operator's own settings are not what is measured.
        kept = {k: v for k, v in os.environ.items() if not k.startswith("ANTIPHON_") or k == "ANTIPHON_MODELS_DIR"}
        data = ["--data-dir", self.folder / "data"]
        key = subprocess.run(
            [antiphon, "keys", "create", *data, "--name", "evals"], stdout=subprocess.PIPE, text=True, env=kept, check=True
        ).stdout.strip()
        command = [antiphon, "serve", "--listen", "127.0.0.1:0", *data, *(["--model", self.model] if self.model else [])]
        if self.provider:
            self.provider.prepare(antiphon, self.folder / "data", kept)
            (self.folder / "antiphon.toml").write_text(self.provider.config)
            command += ["--config", self.folder / "antiphon.toml"]
        with (self.folder / "log").open("wb") as log:
            self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True, env=kept)
        try:
            # It prints the address that it listens on first.
            line = self.process.stdout.readline().strip()
            super().__init__("http://" + line.rpartition("http://")[2], key, self.folder / "data")
            self.wait_until_ready()
        except BaseException:
            self.process.kill()
            self.process.wait()
            raise
        return super().__enter__()

    def wait_until_ready(self):
        deadline = time.monotonic() + START_PATIENCE
        while not answers(self.url + "/readyz"):
            if self.process.poll() is not None or time.monotonic() > deadline:
                tail = (self.folder / "log").read_text(errors="replace").splitlines()[-20:]
                raise SystemExit("evals: the server did not become ready:\n" + "\n".join(tail))
            time.sleep(0.1)

    def __exit__(self, kind, error, trace):
        super().__exit__(kind, error, trace)
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(STOP_PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()
        if self.provider:
            self.provider.close()
        shutil.rmtree(self.folder)


def executable():
    antiphon = Path(os.environ["ANTIPHON_BIN_DIR"]) / "antiphon"
    if not os.access(antiphon, os.X_OK):
        raise SystemExit(f"evals: no executable {antiphon}: `scripts/build release` builds it")
    return antiphon


def answers(url):
    """Whether a GET is answered by 200."""
    try:
        with urllib.request.urlopen(url, timeout=10) as response:
            return response.status == 200
    except (urllib.error.URLError, ValueError, OSError):
        return False
