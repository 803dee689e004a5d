"""Serves one small git repository by https, with `git` itself behind it.

    python3 repositories.py FOLDER

Makes `birds.git` below FOLDER with two commits, keys, and `authority.pem`, by which clients know the host
`git.test`. Prints the port that it listens at, on loopback alone, and ends on SIGTERM. A repository
whose name begins with `private-` is the same one, for whoever sends `Authorization: Bearer open`. Needs
`git` and `openssl` beside the standard library.
"""

import os
import ssl
import subprocess
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

HOST = "git.test"
OPEN = "Bearer open"
BODY_BYTES = 1 << 20


def git(folder, *arguments):
    names = {f"GIT_{who}_{what}": "heron" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    alone = {"GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_NOSYSTEM": "1"}
    subprocess.run(["git", "-C", folder, *arguments], check=True, env={**os.environ, **names, **alone})


def make(folder):
    repository = folder / "birds.git"
    repository.mkdir()
    git(repository, "init", "--quiet", "--initial-branch=main")
    (repository / "README.md").write_text("Older words.\n")
    git(repository, "add", ".")
    git(repository, "commit", "--quiet", "--message=first")
    (repository / "README.md").write_text("The heron waits by the water.\n")
    (repository / "tools").mkdir()
    (repository / "tools" / "count.sh").write_text("#!/bin/sh\necho 3 herons\n")
    (repository / "tools" / "count.sh").chmod(0o755)
    (repository / "passwd").symlink_to("/etc/passwd")
    git(repository, "add", ".")
    git(repository, "commit", "--quiet", "--message=second")
    (folder / "private-birds.git").symlink_to("birds.git")


def certify(folder):
    def certificate(name, *options):
        key, certificate = folder / f"{name}.key", folder / f"{name}.pem"
        made = ["-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", f"/CN={name}", *options]
        command = ["openssl", "req", *made, "-keyout", key, "-out", certificate]
        subprocess.run(command, check=True, stderr=subprocess.DEVNULL)
        return certificate, key

    authority, authority_key = certificate("authority")
    signed = ["-CA", authority, "-CAkey", authority_key]
    plain = ["-addext", "basicConstraints=critical,CA:FALSE", "-addext", f"subjectAltName=DNS:{HOST}"]
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate(HOST, *signed, *plain))
    return context


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    folder = None

    def do_GET(self):
        target = urlsplit(self.path)
        if target.path.startswith("/private-") and self.headers.get("Authorization") != OPEN:
            self.send_response(401)
            self.send_header("WWW-Authenticate", 'Basic realm="birds"')
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        body = self.rfile.read(min(int(self.headers.get("Content-Length") or 0), BODY_BYTES))
        asked = {
            "GIT_PROJECT_ROOT": str(self.folder),
            "GIT_HTTP_EXPORT_ALL": "1",
            "GIT_CONFIG_GLOBAL": "/dev/null",
            "REQUEST_METHOD": self.command,
            "PATH_INFO": target.path,
            "QUERY_STRING": target.query,
            "CONTENT_LENGTH": str(len(body)),
            "CONTENT_TYPE": self.headers.get("Content-Type", ""),
            "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
            "HTTP_GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
        }
        answer = subprocess.run(["git", "http-backend"], input=body, capture_output=True, env={**os.environ, **asked})
        head, _, content = answer.stdout.partition(b"\r\n\r\n")
        headers = dict(line.split(": ", 1) for line in head.decode().splitlines())
        self.send_response(int(headers.pop("Status", "200").split()[0]))
        for name, value in {**headers, "Content-Length": str(len(content))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    do_POST = do_GET


class Server(ThreadingHTTPServer):
    # What is behind a name of the test's is asked by programs that hide it, or give it up.
    def handle_error(self, request, client_address):
        pass


def main():
    folder = Path(sys.argv[1])
    make(folder)
    Handler.folder = folder
    server = Server(("127.0.0.1", 0), Handler)
    server.socket = certify(folder).wrap_socket(server.socket, server_side=True)
    print(server.server_port, flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
