"""An upload whose connection breaks goes on where it was, by the resumable protocol that the SDK speaks."""

import base64
import hashlib
import io
import os
import random
import re
import socket
import threading

import httpx2 as httpx
import pytest
from google import genai
from google.genai.errors import ClientError

SIZE = 50_000_000
PIECE = 8 << 20
"""Of the SDK, in bytes."""
CUT = 20_000_000
"""After so many bytes of requests the connection breaks: in the middle of the third piece."""


class BreakingProxy:
    """Passes bytes on between a client and the server until it has passed so many, then breaks for good."""

    def __init__(self, most):
        server = httpx.URL(os.environ["ANTIPHON_SCRIPTED_URL"])
        self.server, self.most, self.passed, self.upload = (server.host, server.port), most, 0, None
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        self.sockets = [self.listener]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        try:
            while True:
                client, _ = self.listener.accept()
                server = socket.create_connection(self.server)
                self.sockets += [client, server]
                threading.Thread(target=self.requests, args=(client, server), daemon=True).start()
                threading.Thread(target=self.answers, args=(server, client), daemon=True).start()
        except OSError:
            pass

    def requests(self, client, server):
        try:
            while content := client.recv(1 << 16):
                if found := re.search(rb"POST (/upload/\S+upload_id=\S+) HTTP", content):
                    self.upload = found[1].decode()
                self.passed += len(content)
                if self.passed > self.most:
                    return self.close()
                server.sendall(content)
        except OSError:
            pass

    def answers(self, server, client):
        try:
            while content := server.recv(1 << 16):
                client.sendall(content)
        except OSError:
            pass

    def close(self):
        for each in self.sockets:
            try:
                # Also wakes those who wait at it.
                each.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            each.close()


def piece(url, command, offset=None, content=b""):
    headers = {"X-Goog-Upload-Command": command}
    if offset is not None:
        headers["X-Goog-Upload-Offset"] = str(offset)
    answer = httpx.post(url, headers=headers, content=content, timeout=60)
    assert answer.status_code == 200, answer.text
    return answer


def test_an_upload_of_50_mb_that_is_cut_goes_on_where_it_was(scripted):
    whole = random.Random(1).randbytes(SIZE)
    proxy = BreakingProxy(CUT)
    config = {"mime_type": "application/octet-stream", "display_name": "large.bin"}
    options = {"base_url": proxy.url, "timeout": 60_000}
    with genai.Client(api_key=os.environ["ANTIPHON_SCRIPTED_KEY"], http_options=options) as cut:
        with pytest.raises(Exception) as broken:
            cut.files.upload(file=io.BytesIO(whole), config=config)
    assert not isinstance(broken.value, ClientError), "the server has refused something"
    assert proxy.passed > CUT and proxy.upload
    assert "large.bin" not in [file.display_name for file in scripted.files.list()]

    url = os.environ["ANTIPHON_SCRIPTED_URL"] + proxy.upload
    asked = piece(url, "query")
    assert asked.headers["x-goog-upload-status"] == "active"
    # What was acknowledged is there, and nothing else.
    offset = int(asked.headers["x-goog-upload-size-received"])
    assert offset == CUT // PIECE * PIECE
    while offset < SIZE:
        content = whole[offset : offset + PIECE]
        last = offset + len(content) == SIZE
        answer = piece(url, "upload, finalize" if last else "upload", offset, content)
        offset += len(content)
    assert answer.headers["x-goog-upload-status"] == "final"

    file = scripted.files.get(name=answer.json()["file"]["name"])
    assert (file.state.value, file.size_bytes, file.display_name) == ("ACTIVE", SIZE, "large.bin")
    assert base64.b64decode(file.sha256_hash) == hashlib.sha256(whole).digest()
    assert file.name in [other.name for other in scripted.files.list()]
    scripted.files.delete(name=file.name)
    with pytest.raises(ClientError) as gone:
        scripted.files.get(name=file.name)
    assert gone.value.code == 404
