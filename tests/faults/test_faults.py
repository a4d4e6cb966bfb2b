"""Whatever happens, every event that was answered for is in the journal exactly once, and the graph is what the journal
gives.

Each test is short here; `make faults` runs it more often and for longer.
"""

import os
import random
import shutil
import signal
import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import Final

import psycopg
import pytest
from flask import Flask
from flask.testing import FlaskClient

from faults.endpoint import Endpoint, until
from faults.load import Load
from onefold.engine.verify import verify
from onefold.store.database import Database
from onefold.web.state import State
from support import pictures
from support.postgres import Server, postgres_server
from support.stores import rows
from support.web import link, post

FULL: Final = os.environ.get("ONEFOLD_FAULTS") == "full"
KILLS: Final = 20 if FULL else 1
TERMINATIONS: Final = 10 if FULL else 1
OUTAGES: Final = 5 if FULL else 1
WORDS: Final = 30 if FULL else 3
ENOUGH: Final = 100
"""Events to be answered before the next thing happens."""

DURABLE: Final = "fsync = on\nsynchronous_commit = on\n"


Start = Callable[..., Endpoint]


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """A PostgreSQL server that syncs what it commits."""
    with postgres_server(DURABLE) as running:
        yield running


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database of each kind."""
    return f"sqlite:///{tmp_path}/onefold.db" if request.param == "sqlite" else fresh(request.getfixturevalue("server"))


def fresh(server: Server) -> str:
    """A new PostgreSQL database."""
    name = f"faults{random.getrandbits(40)}"
    server.run(f"create database {name}")
    return server.url(name)


@pytest.fixture
def started(tmp_path: Path) -> Iterator[Start]:
    """Starts an endpoint on a database; nothing of it is left in the end."""
    found: list[Endpoint] = []

    def start(url: str, processes: int = 1, ready: str = "/readyz", **more: str) -> Endpoint:
        found.append(Endpoint(tmp_path, url, processes, **more))
        found[-1].start(ready)
        return found[-1]

    yield start
    for endpoint in found:
        endpoint.close()


@pytest.fixture
def endpoint(url: str, started: Start) -> Endpoint:
    """A running endpoint."""
    return started(url)


def more(load: Load, events: int = ENOUGH) -> None:
    """Wait for further events to be acknowledged."""
    wanted = load.answered() + events
    until(lambda: load.answered() >= wanted, "events to be answered")


def test_killed_at_random_moments_under_load(endpoint: Endpoint) -> None:
    with Load(endpoint.port) as load:
        for _ in range(KILLS):
            more(load)
            time.sleep(random.random())
            endpoint.kill()
            endpoint.start()
        more(load)
    endpoint.settle()
    endpoint.judge(load.acknowledged)
    assert set(load.statuses) == {202}


@pytest.mark.parametrize("url", ["sqlite", "postgres"] if FULL else ["sqlite"], indirect=True)
def test_told_to_end_under_load_it_finishes_and_exits_in_order(endpoint: Endpoint) -> None:
    with Load(endpoint.port) as load:
        for _ in range(TERMINATIONS):
            more(load)
            assert endpoint.terminate() == 0
            endpoint.judge(load.acknowledged)
            endpoint.start()
        more(load)
    assert endpoint.terminate() == 0
    endpoint.judge(load.acknowledged)
    assert list(endpoint.spool.glob("*")) == []
    assert set(load.statuses) == {202}
    assert list(endpoint.folder.glob("onefold.db-wal")) == []


def started_again(endpoint: Endpoint, gone: int) -> bool:
    """Whether there are four processes, and this is none of them."""
    now = endpoint.workers()
    return gone not in now and len(now) == 4


def test_four_processes_take_what_comes_while_one_after_another_is_killed(server: Server, started: Start) -> None:
    """They begin at once on a database without a schema, and one that is killed is started again."""
    endpoint = started(fresh(server), processes=4)
    with Load(endpoint.port, clients=16) as load:
        for _ in range(KILLS):
            more(load)
            oldest = min(endpoint.workers())  # one that ends again soon after its start would be given up
            os.kill(oldest, signal.SIGKILL)
            until(partial(started_again, endpoint, oldest), "a fourth process")
        more(load)
    endpoint.settle()
    endpoint.judge(load.acknowledged)
    assert set(load.statuses) == {202}


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_to_the_whole_group_ends_it_in_order(endpoint: Endpoint, number: signal.Signals) -> None:
    """What Ctrl-C does, and a service manager that knows no better."""
    for _ in range(TERMINATIONS):
        assert endpoint.terminate(number, group=True) == 0
        assert list(endpoint.folder.glob("onefold.db-wal")) == []
        endpoint.start()


def test_postgres_stopped_and_started_under_load(server: Server, started: Start) -> None:
    endpoint = started(fresh(server))
    with Load(endpoint.port) as load:
        for turn in range(OUTAGES):
            more(load)
            server.crash() if turn % 2 else server.stop()
            more(load)
            assert endpoint.waiting().events > 0
            server.start()
            endpoint.settle()
        more(load)
    endpoint.settle()
    endpoint.judge(load.acknowledged)
    assert set(load.statuses) == {202}


def test_a_store_that_hangs_keeps_nobody_waiting(url: str, endpoint: Endpoint) -> None:
    with Load(endpoint.port) as load:
        more(load)
        with holding(url):
            until(lambda: endpoint.waiting().events > ENOUGH, "events to be spooled")
        more(load)
    endpoint.settle()
    endpoint.judge(load.acknowledged)
    assert set(load.statuses) == {202}


@contextmanager
def holding(url: str) -> Iterator[None]:
    """Nobody else can write to the database until the block ends."""
    if url.startswith("sqlite"):
        with closing(sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None)) as other:
            other.execute("begin immediate")
            yield
    else:
        with psycopg.connect(url) as other:
            other.execute("lock table journal in access exclusive mode")
            yield


def test_killed_while_the_store_is_away_the_next_process_brings_the_spool(server: Server, started: Start) -> None:
    endpoint = started(fresh(server))
    with Load(endpoint.port) as load:
        more(load)
        server.stop()
        more(load, 3 * ENOUGH)
        endpoint.kill()
        server.start()
        endpoint.start()
        more(load)
    endpoint.settle()
    endpoint.judge(load.acknowledged)


@pytest.mark.parametrize("processes", [1, 4])
def test_started_while_the_store_is_away_it_takes_events_and_brings_them_once_it_is_there(
    server: Server, started: Start, processes: int
) -> None:
    """The database has no schema yet, and each process would make it."""
    url = fresh(server)
    server.stop()
    endpoint = started(url, processes, ready="/healthz")
    with Load(endpoint.port) as load:
        more(load)
        assert not endpoint.answers("/readyz")
        assert endpoint.waiting().events >= ENOUGH
        server.start()
        until(lambda: endpoint.answers("/readyz"), "the store to be opened")
        more(load)
    endpoint.settle()
    endpoint.judge(load.acknowledged)
    assert set(load.statuses) == {202}
    said = endpoint.log.read_text()
    assert (said.count("store_away_at_start"), said.count("store_opened")) == (processes, processes)


def test_killed_and_started_again_while_the_store_is_away_it_loses_nothing(server: Server, started: Start) -> None:
    endpoint = started(fresh(server))
    with Load(endpoint.port) as load:
        more(load)
        server.stop()
        for _ in range(KILLS):
            more(load)
            endpoint.kill()
            endpoint.start("/healthz")
        more(load)
        server.start()
    endpoint.settle()
    endpoint.judge(load.acknowledged)
    assert set(load.statuses) == {202}


def test_a_store_that_turns_out_not_to_be_ours_gets_nothing_and_what_was_answered_for_waits(
    server: Server, started: Start
) -> None:
    """The secrets were lost, and the store that knows is away when the endpoint starts with others."""
    endpoint = started(fresh(server))
    assert endpoint.terminate() == 0
    secrets, kept = endpoint.folder / "onefold.secrets", endpoint.folder / "kept"
    secrets.rename(kept)
    server.stop()
    endpoint.start("/healthz")
    with Load(endpoint.port) as load:
        more(load)
        server.start()
        until(lambda: "store_not_opened" in endpoint.log.read_text(), "the store to be found another's")
        more(load)
        assert not endpoint.answers("/readyz")
    assert endpoint.terminate() == 0
    assert endpoint.waiting().events == len(load.acknowledged)
    kept.rename(secrets)
    endpoint.start()
    endpoint.settle()
    endpoint.judge(load.acknowledged)


@pytest.mark.parametrize("kind", ["a SQLite file that is locked", "a PostgreSQL server that is frozen"])
def test_a_store_that_hangs_at_the_start_keeps_nobody_waiting(
    server: Server, started: Start, tmp_path: Path, kind: str
) -> None:
    url = f"sqlite:///{tmp_path}/onefold.db" if "SQLite" in kind else fresh(server)
    endpoint = started(url)
    endpoint.terminate()
    with holding(url) if "SQLite" in kind else server.frozen(), Load(endpoint.port) as load:
        endpoint.start("/healthz")
        more(load)
        assert not endpoint.answers("/readyz")
    until(lambda: endpoint.answers("/readyz"), "the store to be opened")
    endpoint.settle()
    endpoint.judge(load.acknowledged)
    assert set(load.statuses) == {202}


def test_an_assertion_to_a_server_that_is_frozen_ends_with_a_message_and_changes_nothing(
    server: Server, started: Start
) -> None:
    endpoint = started(fresh(server))
    assert endpoint.command("assert", "join", "uid:1", "uid:2", "--reason", "x").returncode == 0
    with server.frozen():
        said = endpoint.command("assert", "separate", "uid:1", "uid:2", "--reason", "x", "--patience", "2")
    assert (said.returncode, said.stderr[:8]) == (3, "onefold:")
    with closing(Database(endpoint.url)) as database:
        assert len(rows(database)["assertion"]) == 1
    endpoint.judge([])


def test_an_operator_is_heard_while_the_endpoint_ingests_without_a_pause(endpoint: Endpoint) -> None:
    with Load(endpoint.port, clients=32) as load:
        more(load)
        said = [endpoint.command("assert", "join", "uid:1", f"uid:{n}", "--reason", "x") for n in range(2, 2 + WORDS)]
    assert [(one.returncode, one.stderr) for one in said] == [(0, "")] * WORDS
    endpoint.settle()
    endpoint.judge(load.acknowledged)
    assert set(load.statuses) == {202}


def test_a_torn_end_of_the_spool_is_cut_and_kept_and_reported(server: Server, started: Start) -> None:
    endpoint = started(fresh(server))
    with Load(endpoint.port) as load:
        more(load)
        server.stop()
        more(load)
    endpoint.kill()
    (file,) = endpoint.spool.glob("*.spool")
    with file.open("ab") as torn:
        torn.write(os.urandom(300))
    server.start()
    endpoint.start()
    endpoint.settle()
    endpoint.judge(load.acknowledged)
    (aside,) = endpoint.spool.glob("*.torn")
    assert aside.stat().st_size == 300
    assert "spool_tail_cut" in endpoint.log.read_text()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 4 MiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(folder)]
    if shutil.which("mount") is None or subprocess.run(mount, capture_output=True).returncode != 0:
        pytest.skip("this user cannot mount a small file system, so the full disk was not tried")
    yield folder
    until(lambda: subprocess.run(["umount", str(folder)]).returncode == 0, "the disk to be left alone")


def test_a_full_disk_refuses_and_loses_nothing(small_disk: Path, started: Start) -> None:
    """Database and spool on the same disk: first the database cannot grow, then the spool."""
    endpoint = started(f"sqlite:///{small_disk}/onefold.db", spool_path=str(small_disk / "spool"))
    ballast = small_disk / "ballast"
    with Load(endpoint.port) as load:
        more(load)
        with ballast.open("wb", buffering=0) as file:
            fill(file.fileno())
            until(lambda: load.statuses[503] > 20, "the disk to be full")
        ballast.unlink()
        more(load)
    endpoint.settle()
    endpoint.judge(load.acknowledged)
    assert set(load.statuses) == {202, 503}


def test_a_clock_set_back_changes_no_order(app: Flask, browser: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """Arrival is kept as the clock said it; what follows what is a matter of positions, in the spool too."""
    state: State = app.extensions["onefold"]
    clock = time.time_ns()
    sent = []
    for turn, away in enumerate([False, True, True, False]):
        monkeypatch.setattr(time, "time_ns", lambda now=clock - turn * 3_600_000_000_000: now)
        state.ingest.store_away = away
        events = [link(identifiers={"customer_id": f"C{turn}"}) for _ in range(3)]
        assert post(browser, events).get_json()["accepted"] == 3
        sent += [event["event_id"] for event in events]
        assert turn != 2 or state.reconciler.drain()
    journal = pictures.journal(state.database)
    assert [written.event.event_id for written in journal] == sent
    arrivals = [written.event.received_at for written in journal]
    assert arrivals == sorted(arrivals, reverse=True)
    assert verify(state.database, state.rules, state.secrets.id_secret).differences == []


def fill(descriptor: int) -> None:
    """Write until nothing more goes."""
    for size in (65_536, 4_096, 1):
        try:
            while os.write(descriptor, bytes(size)):
                pass
        except OSError:
            continue
