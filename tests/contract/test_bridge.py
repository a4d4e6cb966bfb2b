"""Flask behind the real server: what a request says reaches it, and its answer is sent as it is."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest

from support.echo import MOST

PATIENCE_SECONDS: Final = 60
_TESTS: Final = Path(__file__).parents[1]


class Served:
    """A server with one worker, asked in raw bytes."""

    def __init__(self, log: Path) -> None:
        self.log = log
        with socket.create_server(("127.0.0.1", 0)) as probe:
            self.port = int(probe.getsockname()[1])
        program = f"from onefold.web.serving import run; run('support.echo:application', '127.0.0.1', {self.port})"
        environment = os.environ | {"PYTHONPATH": str(_TESTS)}
        with log.open("wb") as file:
            command = [sys.executable, "-c", program]
            self._process = subprocess.Popen(command, env=environment, stdout=file, stderr=file, start_new_session=True)
        given_up = time.monotonic() + PATIENCE_SECONDS
        while not self._listens():
            assert time.monotonic() < given_up, log.read_text()
            time.sleep(0.05)

    def close(self) -> None:
        """End it."""
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def connect(self) -> socket.socket:
        """A connection to it."""
        return socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE_SECONDS)

    def ask(self, head: str, *pieces: bytes) -> tuple[int, str, bytes]:
        """Status, headers and body of the answer to a request; the connection is closed after it."""
        with self.connect() as connection:
            connection.sendall(f"{head}\r\nHost: echo.example\r\nConnection: close\r\n\r\n".encode())
            for piece in pieces:
                connection.sendall(piece)
            answer = b""
            while received := connection.recv(65_536):
                answer += received
        top, _, body = answer.partition(b"\r\n\r\n")
        return int(top[9:12]), top.decode(), body

    def _listens(self) -> bool:
        try:
            self.connect().close()
        except OSError:
            return False
        return True


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """The server."""
    running = Served(tmp_path_factory.mktemp("bridge") / "log")
    yield running
    running.close()


def echoed(answer: tuple[int, str, bytes]) -> dict[str, Any]:
    """What Flask was asked."""
    status, _, body = answer
    assert status == 200, body
    found: dict[str, Any] = msgspec.json.decode(body)
    return found


def chunked(*chunks: bytes) -> bytes:
    """A body in pieces, of a length that nobody says."""
    return b"".join(b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in (*chunks, b""))


CHUNKED: Final = "POST / HTTP/1.1\r\nTransfer-Encoding: chunked"


@pytest.mark.parametrize(
    ("head", "body", "told"),
    [
        ("GET /a%20b/%C3%A9?x=%20y&z HTTP/1.1", b"", {"path": "a b/é", "query": "x=%20y&z", "host": "echo.example"}),
        ("GET / HTTP/1.1\r\nX-A: 1\r\nx-a: 2", b"", {"headers": {"X-A": "1,2"}}),
        ("GET / HTTP/1.1\r\nCookie: a=1\r\nCookie: b=2", b"", {"headers": {"Cookie": "a=1; b=2"}}),
        ("GET / HTTP/1.1\r\nX_A: forged", b"", {"headers": {}}),
        ("GET / HTTP/1.1\r\nX_A: forged\r\nX-A: meant", b"", {"headers": {"X-A": "meant"}}),
        ("POST / HTTP/1.1\r\nContent-Length: 5", b"hello", {"method": "POST", "body": "hello"}),
        (CHUNKED, chunked(b"hel", b"lo"), {"body": "hello"}),
        (CHUNKED, chunked(b"x" * MOST), {"body": "x" * MOST}),
    ],
)
def test_flask_hears_what_was_asked(served: Served, head: str, body: bytes, told: dict[str, Any]) -> None:
    assert told.items() <= echoed(served.ask(head, body)).items()


@pytest.mark.parametrize(
    ("head", "body"),
    [
        (CHUNKED, chunked(b"x" * MOST, b"x")),
        (f"POST / HTTP/1.1\r\nContent-Length: {MOST + 1}", b"x" * (MOST + 1)),
        (f"POST / HTTP/1.1\r\nContent-Length: {2**40}", b""),
    ],
    ids=["in pieces", "declared", "declared, and never sent"],
)
def test_a_body_that_is_too_large_is_refused(served: Served, head: str, body: bytes) -> None:
    assert served.ask(head, body)[0] == 413


def test_a_head_is_answered_with_the_length_alone(served: Served) -> None:
    _, headers, body = served.ask("GET / HTTP/1.1")
    status, alone, nothing = served.ask("HEAD / HTTP/1.1")
    found = re.search(r"content-length: (\d+)", alone)
    assert found is not None
    assert (status, int(found[1]), nothing) == (200, len(body) + len("HEAD") - len("GET"), b"")
    assert headers.count("set-cookie") == 2


def test_an_answer_without_content_has_none(served: Served) -> None:
    status, headers, body = served.ask("GET /nothing HTTP/1.1")
    assert (status, body) == (204, b"")
    assert "content-length" not in headers


@pytest.mark.parametrize("head", [CHUNKED, "POST / HTTP/1.1\r\nContent-Length: 9"])
def test_a_sender_who_leaves_early_is_of_no_consequence(served: Served, head: str) -> None:
    with served.connect() as connection:
        connection.sendall(f"{head}\r\nHost: echo.example\r\n\r\n3\r\nhel\r\n".encode())
    assert echoed(served.ask("GET / HTTP/1.1"))["method"] == "GET"
    assert "Traceback" not in served.log.read_text()


def test_who_sends_slowly_holds_no_thread(served: Served) -> None:
    """Far more of them than there are threads."""
    slow = [served.connect() for _ in range(100)]
    for connection in slow:
        connection.sendall(b"POST / HTTP/1.1\r\nHost: echo.example\r\nContent-Length: 9\r\n\r\nhel")
    assert echoed(served.ask("GET / HTTP/1.1"))["method"] == "GET"
    for connection in slow:
        connection.close()
