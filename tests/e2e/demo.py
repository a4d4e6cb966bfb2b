"""The product as people run it: an `onefold` server in a process of its own, and what can be asked of it from outside.

Nothing here imports the endpoint: every answer comes over HTTP or from the command line.
"""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any, TypeVar

from e2e.browser import PATIENCE_SECONDS

BRANDS = ("brand-a", "brand-b", "blog")
_ONEFOLD = str(Path(sys.executable).with_name("onefold"))
_T = TypeVar("_T")


def until(condition: Callable[[], _T], what: str) -> _T:
    """Ask until the answer is true, and return it. Fails after a while, naming what it waited for."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not (answer := condition()):
        assert time.monotonic() < deadline, f"waited in vain for {what}"
        time.sleep(0.03)
    return answer


@dataclass(frozen=True)
class Endpoint:
    """A running endpoint: `host` is the name browsers know it by, `database` its SQLite file, `output` what it says."""

    host: str
    port: int
    database: Path
    output: Path

    @property
    def origin(self) -> str:
        """Where browsers reach the endpoint."""
        return f"http://{self.host}:{self.port}"

    def site(self, brand: str) -> str:
        """The origin of one of the demonstration's sites."""
        return f"http://{brand}.localhost:{self.port}"

    def request(self, method: str, path: str, body: bytes = b"", **headers: str) -> tuple[int, bytes]:
        """Ask the endpoint over HTTP, without a browser: status and body."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE_SECONDS)
        try:
            connection.request(method, path, body, {"Host": f"{self.host}:{self.port}", **headers})
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def post(self, event: dict[str, Any], origin: str) -> tuple[int, Any]:
        """Send an event as a page of that origin would: status and parsed answer."""
        body = json.dumps(event).encode()
        status, answer = self.request("POST", "/v1/events", body, Origin=origin, **{"Content-Type": "text/plain"})
        return status, json.loads(answer)

    def live(self) -> Any:
        """What the live page draws."""
        status, answer = self.request("GET", "/live.json")
        assert status == 200, answer
        return json.loads(answer)

    def profile(self, what: str) -> Any:
        """What `onefold profile` says; None where there is none."""
        done = self._onefold("profile", what, "--json")
        assert done.returncode in (0, 1), done.stderr
        return json.loads(done.stdout) if done.returncode == 0 else None

    def ledger(self, about: str) -> list[dict[str, Any]]:
        """The entries of `onefold ledger` that mention this id or identifier, oldest first."""
        done = self._onefold("ledger", "--json")
        assert done.returncode == 0, done.stderr
        return [json.loads(line) for line in done.stdout.splitlines() if f'"{about}"' in line]

    def journal_entries(self) -> int:
        """How many entries the journal has; the graph must be what they give."""
        done = self._onefold("replay", "--verify", "--json")
        assert done.returncode == 0, done.stderr
        return int(json.loads(done.stdout)["entries"])

    def _onefold(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return run_onefold(self.database.parent, *arguments, "--db", f"sqlite:///{self.database}")


@contextmanager
def open_demo(folder: Path) -> Iterator[Endpoint]:
    """Run `onefold demo` on a free port; whatever it writes is below `folder`."""
    port = free_port()
    with run_server(["demo", "--port", str(port)], "id.localhost", port, folder) as output:
        printed = re.search(r"The database is (.+)\. Stop", output.read_text())
        assert printed, output.read_text()
        yield Endpoint("id.localhost", port, Path(printed[1]), output)


@contextmanager
def run_server(arguments: list[str], host: str, port: int, folder: Path) -> Iterator[Path]:
    """Run an `onefold` server until the block ends, and yield the file with its output.

    Prints that output where the server dies or does not answer, and fails where it died or raised anything.
    """
    output = folder / "output.txt"
    with output.open("wb") as file:
        process = subprocess.Popen(
            [_ONEFOLD, *arguments],
            stdout=file,
            stderr=subprocess.STDOUT,
            cwd=folder,
            env=_environment(folder),
            start_new_session=True,
        )
    try:
        until(lambda: process.poll() is not None or _answers(host, port), "the server to answer")
        assert process.poll() is None, "the server did not start"
        yield output
        assert process.poll() is None, "the server died"
        assert "Traceback" not in output.read_text(), "the server raised an exception"
    except BaseException:
        print(output.read_text(), file=sys.stderr)
        raise
    finally:
        _stop(process)


def run_onefold(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run an `onefold` command in a folder until it ends."""
    return subprocess.run([_ONEFOLD, *arguments], capture_output=True, text=True, cwd=folder, env=_environment(folder))


def free_port() -> int:
    """A port of this machine that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _environment(folder: Path) -> dict[str, str]:
    """This environment without what configures an endpoint; temporary files go below `folder`."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("ONEFOLD_")}
    return kept | {"TMPDIR": str(folder)}


def _answers(host: str, port: int) -> bool:
    connection = HTTPConnection("127.0.0.1", port, timeout=PATIENCE_SECONDS)
    try:
        connection.request("GET", "/readyz", headers={"Host": f"{host}:{port}"})
        return connection.getresponse().status == 200
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()


def _stop(process: subprocess.Popen[bytes]) -> None:
    """End the server and its workers, which are its process group."""
    if process.poll() is None:
        process.terminate()
    try:
        process.wait(PATIENCE_SECONDS)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
