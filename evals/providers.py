"""Where a server of our own searches and fetches: the only file that knows the commands and keys of that."""

import functools
import http.server
import shutil
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

HERE = Path(__file__).resolve().parent
BUNDLED = HERE / "corpus"
LOOKALIKE = HERE.parent / "conformance" / "lookalike" / "mediawiki.py"


class Corpus:
    """The folder of documents, as the server's own search has taken it in."""

    name = "corpus"
    config = '[search]\nproviders = ["corpus"]\n'

    def __init__(self, folder):
        self.folder = folder

    def prepare(self, antiphon, data, environment):
        """Before the server starts on this data folder."""
        subprocess.run(
            [antiphon, "corpus", "add", self.folder, "--data-dir", data], stdout=sys.stderr, env=environment, check=True
        )

    def close(self):
        pass


class MediaWiki:
    """The same folder behind what looks like the action API of a wiki."""

    name = "mediawiki"

    def __init__(self, folder):
        self.folder = folder

    def prepare(self, antiphon, data, environment):
        self.process = subprocess.Popen(
            [sys.executable, LOOKALIKE, self.folder], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        # It prints the address that it listens on first.
        url = self.process.stdout.readline().strip()
        if not url:
            raise SystemExit(f"evals: {LOOKALIKE} did not start")
        self.config = f'[search]\nproviders = ["mediawiki"]\n\n[search.mediawiki]\nurl = "{url}/w/api.php"\n'

    def close(self):
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()


REMOTE = "https://storage.googleapis.com/generativeai-downloads/data/"
"""Where the guide's programs have their sounds from."""


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *arguments):
        pass


class Sounds:
    """A folder on loopback in place of the guide's remote one."""

    name = "media"

    def __init__(self, folder):
        pass

    def prepare(self, antiphon, data, environment):
        for bundle in ("whisper-base", "ppocr-v6-small", "efficientnet-lite0"):
            subprocess.run([antiphon, "models", "pull", bundle], stdout=sys.stderr, env=environment, check=True)
        self.folder = tempfile.mkdtemp(prefix="evals-")
        self.server = http.server.ThreadingHTTPServer(
            ("127.0.0.1", 0), functools.partial(Quiet, directory=self.folder)
        )
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        port = self.server.server_address[1]
        self.config = (
            f'[fetch]\nmedia = {{ networks = ["127.0.0.0/8"], ports = [{port}] }}\n'
            f'rewrite = {{ "{REMOTE}" = "http://127.0.0.1:{port}/" }}\n'
        )

    def serve(self, name, file):
        shutil.copy(file, Path(self.folder) / name)

    def close(self):
        self.server.shutdown()
        self.server.server_close()
        shutil.rmtree(self.folder)
