"""How many durable events a second the endpoint answers over HTTP, beside a Flask application that stores nothing.

Servers stand side by side under granian and are loaded in turn by 32 clients: the endpoint, the endpoint with a batch
size of one, and a Flask application that reads the body and answers 202, once with a thread for each client and once
with the few threads that suit it best. The clients share the machine's cores with the server.
"""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from statistics import median
from typing import Final

from flask import Flask, request
from granian import Granian
from granian.constants import Interfaces
from granian.log import LogLevels

from bench.load import ORIGIN, PEOPLE
from bench.population import IDENTIFIERS_A_PERSON
from bench.stored import copy_of, populated
from onefold.config import CONFIG_VARIABLE
from onefold.web import serving
from onefold.web.app import create_app
from onefold.web.front import Front

CLIENTS: Final = 32
_CONFIG: Final = """\
[store]
url = "{url}"
commit_budget_ms = 60000
[[sites]]
id = "brand-a"
origins = ["{origin}"]
"""


def null() -> Flask:
    """Reads the body and answers 202."""
    app = Flask("null")

    @app.post("/v1/events")
    def take() -> tuple[str, int]:
        request.get_data()
        return "", 202

    return app


def one_by_one() -> Front:
    """The endpoint, every event in a transaction of its own."""
    app = create_app(serving.configured())
    app.extensions["onefold"].ingest._group._most = 1
    return Front(app)


def serve_null(port: int, threads: int) -> None:
    """Serve the null application as the endpoint is served, but as the WSGI application that it is."""
    Granian(
        "bench.http:null",
        address="127.0.0.1",
        port=port,
        interface=Interfaces.WSGI,
        factory=True,
        blocking_threads=threads,
        backlog=2048,
        log_level=LogLevels.error,
        websockets=False,
    ).serve()


SLOW: Final = "batches of one"
NULL: Final = "null Flask app"
_OURS: Final = "from onefold.web.serving import run; run('{}', '127.0.0.1', {{}})"
_NULL: Final = "from bench.http import serve_null; serve_null({{}}, {})"
SERVERS: Final[dict[str, str]] = {
    "endpoint": _OURS.format("onefold.web.serving:endpoint"),
    SLOW: _OURS.format("bench.http:one_by_one"),
    NULL: _NULL.format(CLIENTS),
    "with 4 threads": _NULL.format(4),
}


def measure(folder: Path, count: int, rounds: int) -> dict[str, dict[str, float]]:
    """For each server, medians: requests a second, latencies in ms, the server's processor time a request in us, and
    the ratios of speed and processor time to the null app's.
    """
    base = populated(folder, PEOPLE * IDENTIFIERS_A_PERSON)
    with ExitStack() as stack:
        servers = {name: stack.enter_context(_serving(name, server, base)) for name, server in SERVERS.items()}
        first = PEOPLE
        found: dict[str, list[dict[str, float]]] = {name: [] for name in servers}
        for _ in range(rounds + 1):  # the first one warms up
            for name, (port, pid) in servers.items():
                sent = count // 4 if name == SLOW else count
                found[name].append(_round(port, pid, first, sent))
                first += sent
    return {name: _medians(told[1:], found[NULL][1:]) for name, told in found.items()}


def _round(port: int, pid: int, first: int, count: int) -> dict[str, float]:
    before = cpu_seconds(pid)
    command = [sys.executable, "-m", "bench.load", *map(str, (port, CLIENTS, first, count))]
    told = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    assert told["statuses"] == {"202": count}, told
    cpu = (cpu_seconds(pid) - before) / count
    return {"requests/s": count / told["seconds"], "p50": told["p50"], "p99": told["p99"], "cpu us": cpu * 1e6}


def _medians(rounds: list[dict[str, float]], null: list[dict[str, float]]) -> dict[str, float]:
    found = {name: median(told[name] for told in rounds) for name in rounds[0]}
    pairs = list(zip(rounds, null, strict=True))
    return found | {
        "ratio": median(told["requests/s"] / other["requests/s"] for told, other in pairs),
        "cpu ratio": median(other["cpu us"] / told["cpu us"] for told, other in pairs),
    }


@contextmanager
def _serving(name: str, program: str, base: Path) -> Iterator[tuple[int, int]]:
    """A server on a free port and a database of its own, as its port and process group."""
    with closing(copy_of(base, f"{name}.db")) as database:
        config = base.with_name(f"{name}.toml")
        config.write_text(_CONFIG.format(url=database.url, origin=ORIGIN), encoding="utf-8")
    port = _free_port()
    environment = os.environ | {CONFIG_VARIABLE: str(config)}
    command = [sys.executable, "-c", program.format(port)]
    process = subprocess.Popen(command, env=environment, start_new_session=True)
    try:
        _until(lambda: _answers(port))
        yield port, process.pid
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def _answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port)).close()
    except OSError:
        return False
    return True


def _until(holds: Callable[[], bool], patience_seconds: float = 30) -> None:
    given_up = time.monotonic() + patience_seconds
    while not holds():
        if time.monotonic() > given_up:
            raise TimeoutError("the server did not start")
        time.sleep(0.05)


def cpu_seconds(group: int) -> float:
    """User and system time of all processes of a process group so far."""
    ticks = 0
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:  # it has ended meanwhile
            continue
        if int(fields[2]) == group:
            ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")
