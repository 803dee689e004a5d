"""Where a server of our own searches: the only file that knows the commands and keys of that."""

import subprocess
import sys
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
