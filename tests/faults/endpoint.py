"""An endpoint in a process of its own that things happen to, and the truth about it afterwards."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any, Final

from onefold.engine.spool import Waiting, survey
from onefold.store.database import Database
from support import pictures

ORIGIN: Final = "http://shop.example"
PATIENCE_SECONDS: Final = 60
_ONEFOLD: Final = str(Path(sys.executable).with_name("onefold"))


def until(condition: Callable[[], Any], what: str, seconds: float = PATIENCE_SECONDS) -> None:
    """Ask until the answer is true. Fails after a while, naming what it waited for."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"waited in vain for {what}"
        time.sleep(0.05)


class Endpoint:
    """`onefold serve` on a free port; everything it writes is below `folder` unless `more` says otherwise."""

    def __init__(self, folder: Path, url: str, processes: int = 1, **more: str) -> None:
        self.url = url
        self._processes = str(processes)
        self.folder = folder
        self.spool = Path(more.get("spool_path", folder / "spool"))
        self.log = folder / "log"
        self._config = folder / "onefold.toml"
        keys = {"url": url, "spool_path": str(self.spool), **more}
        lines = "".join(f"{key} = {json.dumps(value)}\n" for key, value in keys.items())
        sites = f'[[sites]]\nid = "shop"\norigins = ["{ORIGIN}"]\n'
        self._config.write_text(f"[store]\n{lines}{sites}", encoding="utf-8")
        with socket.create_server(("127.0.0.1", 0)) as probe:
            self.port = int(probe.getsockname()[1])
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, ready: str = "/readyz") -> None:
        """Start it, and wait until it answers there: `/healthz` where its store is away."""
        with self.log.open("ab") as log:
            arguments = [_ONEFOLD, "serve", "--config", str(self._config), "--port", str(self.port)]
            arguments += ["--processes", self._processes]
            self._process = subprocess.Popen(
                arguments, stdout=log, stderr=log, cwd=self.folder, env=_environment(), start_new_session=True
            )
        until(lambda: self.answers(ready) or self._ended(), "the endpoint to answer")

    def kill(self) -> None:
        """End it as a loss of power would end the process: no handler runs, in no process of it."""
        assert self._process is not None
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def workers(self) -> list[int]:
        """The processes that serve."""
        assert self._process is not None
        main = Path(f"/proc/{self._process.pid}/task/{self._process.pid}")
        return [int(child) for child in (main / "children").read_text().split()]

    def terminate(self, number: signal.Signals = signal.SIGTERM, group: bool = False) -> int:
        """Tell it to end, its first process or all of them; its exit code."""
        assert self._process is not None
        os.killpg(self._process.pid, number) if group else self._process.send_signal(number)
        return self._process.wait(PATIENCE_SECONDS)

    def close(self) -> None:
        """Whatever became of it, nothing of it goes on."""
        if self._process is not None and self._process.poll() is None:
            self.kill()

    def answers(self, path: str) -> bool:
        """Whether a request is answered with 200."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE_SECONDS)
        try:
            connection.request("GET", path)
            return connection.getresponse().status == 200
        except (OSError, HTTPException):
            return False
        finally:
            connection.close()

    def waiting(self) -> Waiting:
        """What is in the spool."""
        return survey(self.spool)

    def settle(self) -> None:
        """Wait until everything in the spool has come to the store."""
        until(lambda: not list(self.spool.glob("*.spool")), "the spool to be empty")

    def judge(self, acknowledged: Iterable[str]) -> None:
        """Every event that was answered for is in the journal exactly once, and the graph is what the journal gives."""
        database = Database(self.url)
        journal = [written.event.event_id for written in pictures.journal(database)]
        database.close()
        assert len(set(journal)) == len(journal)
        assert sorted(set(acknowledged) - set(journal)) == []
        verified = self.command("replay", "--verify")
        assert verified.returncode == 0, verified.stdout + verified.stderr

    def command(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        """Run a command about its database beside it."""
        line = [_ONEFOLD, *arguments, "--config", str(self._config)]
        return subprocess.run(line, capture_output=True, text=True, cwd=self.folder, env=_environment())

    def _ended(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, f"the endpoint ended: {self.log.read_text()[-2000:]}"
        return False


def _environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("ONEFOLD_")}
