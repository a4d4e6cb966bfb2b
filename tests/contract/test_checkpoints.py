"""What SQLite's log holds back comes to the database beside the commits, and nothing is lost on the way."""

import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, Final

import pytest

from onefold.errors import OnefoldError
from onefold.store import checkpoint
from onefold.store.checkpoint import _Log
from onefold.store.database import Database
from onefold.store.sqlite import Sqlite
from support.stores import path_of, sqlite_databases

LONG: Final = 50
PAGE: Final = 4_096 + 24
PATIENCE_SECONDS: Final = 60


@pytest.fixture(autouse=True)
def soon_long(monkeypatch: pytest.MonkeyPatch) -> None:
    """A log is long with few pages, and nobody pauses for long."""
    monkeypatch.setattr(checkpoint, "LONG", LONG)
    monkeypatch.setattr(checkpoint, "_LITTLE", 5)
    monkeypatch.setattr(checkpoint, "_PAUSE_SECONDS", 0.01)


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    """A database."""
    with sqlite_databases(tmp_path) as new, new() as made:
        yield made


@pytest.fixture
def path(database: Database) -> Path:
    """Its file."""
    return path_of(database)


def write(database: Database, number: int) -> None:
    """One transaction, of two pages and a few."""
    with database.transaction() as tx:
        tx.run("meta_set", f"{number}", "x" * 8_000)


def read(database: Database) -> int:
    """How many of them there are."""
    with database.snapshot() as reader:
        return sum(reader.one("meta_get", f"{number}") is not None for number in range(2_000))


def working() -> list[threading.Thread]:
    """The threads that copy."""
    return [thread for thread in threading.enumerate() if thread.name == "checkpoints"]


def log_of(path: Path) -> int:
    """The size of the log in pages, at its longest."""
    return path.with_name(f"{path.name}-wal").stat().st_size // PAGE


def until(holds: Callable[[], Any]) -> None:
    """Ask until it holds."""
    given_up = time.monotonic() + PATIENCE_SECONDS
    while not holds():
        assert time.monotonic() < given_up
        time.sleep(0.01)


def test_the_log_begins_anew_under_a_writer_without_pauses(database: Database, path: Path) -> None:
    for number in range(2_000):
        write(database, number)
    assert log_of(path) < 2_000  # of some 8,000 pages that were written
    assert read(database) == 2_000
    with closing(sqlite3.connect(path)) as raw:
        assert raw.execute("pragma integrity_check").fetchall() == [("ok",)]


def test_what_an_older_view_needs_stays_and_is_copied_later(database: Database, path: Path) -> None:
    write(database, 0)
    with database.snapshot() as reader:
        assert reader.one("meta_get", "1") is None
        for number in range(1, 200):
            write(database, number)
        assert reader.one("meta_get", "1") is None
        assert log_of(path) > 400
    before = log_of(path)
    for number in range(200, 2_000):
        write(database, number)
    assert log_of(path) < before + 2_000
    assert read(database) == 2_000


def test_who_writes_little_has_no_thread(database: Database) -> None:
    write(database, 0)
    assert working() == []


def test_closing_ends_the_thread_and_leaves_no_log(database: Database, path: Path) -> None:
    for number in range(200):
        write(database, number)
    assert len(working()) == 1
    database.close()
    assert working() == []
    assert not path.with_name(f"{path.name}-wal").exists()
    write(database, 200)  # it opens again
    assert read(database) == 201


@pytest.mark.parametrize("trouble", [OnefoldError("unavailable", "no"), sqlite3.OperationalError("disk I/O error")])
def test_commits_stand_where_nothing_can_be_copied(
    database: Database, monkeypatch: pytest.MonkeyPatch, trouble: Exception
) -> None:
    refused = threading.Semaphore(0)

    def refuse() -> sqlite3.Connection:
        refused.release()
        raise trouble

    driver = database._driver
    assert isinstance(driver, Sqlite)
    with monkeypatch.context() as patched:
        patched.setattr(driver._checkpoints, "_connect", refuse)
        for number in range(100):
            write(database, number)
        assert refused.acquire(timeout=PATIENCE_SECONDS)
        assert read(database) == 100
    until(lambda: not driver._checkpoints._wanted.is_set())
    write(database, 100)
    assert read(database) == 101


def test_a_log_that_cannot_be_looked_at_is_of_no_consequence(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: str) -> None:
        raise PermissionError

    monkeypatch.setattr(checkpoint, "_Log", fail)
    for number in range(100):
        write(database, number)
    assert (read(database), working()) == (100, [])


def test_pages_from_before_the_log_began_anew_do_not_count(path: Path) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as raw:
        raw.execute("pragma wal_autocheckpoint = 0")
        raw.execute("insert into meta values ('first', 'x')")
        log = _Log(str(path))
        assert log.has(1)
        assert not log.has(10)
        for number in range(100):
            raw.execute("insert into meta values (?, ?)", [f"{number}", "x" * 8_000])
        assert log.has(200)
        assert not log.has(10_000)
        raw.execute("pragma wal_checkpoint(restart)")
        raw.execute("insert into meta values ('again', 'x')")
        assert log.has(1)
        assert not log.has(200)
        log.close()
