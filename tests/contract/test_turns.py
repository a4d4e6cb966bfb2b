"""Programs that write to one SQLite file take turns, and nobody is shut out by one that never pauses."""

import multiprocessing
import os
import signal
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, Final

import pytest

from onefold.store import turnstile
from onefold.store.database import Database
from onefold.store.turnstile import Turnstile

TURNS: Final = 20
PATIENCE_SECONDS: Final = 60
FOR_EVER: Final = 1e9
SPAWN: Final = multiprocessing.get_context("spawn")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A migrated database."""
    with closing(Database(f"sqlite:///{tmp_path}/onefold.db")) as database:
        database.migrate()
    return tmp_path / "onefold.db"


@pytest.fixture
def database(path: Path) -> Iterator[Database]:
    """The database, for a program that writes now and then."""
    with closing(Database(f"sqlite:///{path}")) as found:
        yield found


def write(database: Database, text: str) -> None:
    """One transaction."""
    with database.transaction() as tx:
        tx.run("meta_set", "written", text)


def write_without_pause(url: str, begun: Any) -> None:
    """What a busy endpoint does: the next transaction begins as soon as the last one has ended. Each is long."""
    with closing(Database(url)) as database:
        while True:
            with database.transaction() as tx:
                tx.run("meta_set", "busy", "")
                begun.set()
                time.sleep(0.03)


def stand_in_it(path: str, begun: Any) -> None:
    """A program that never comes out."""
    with Turnstile(path).held():
        begun.set()
        signal.pause()


@contextmanager
def meanwhile(does: Callable[[str, Any], None], where: str) -> Iterator[BaseProcess]:
    """Another program, which has begun and does it until the block ends."""
    begun = SPAWN.Event()
    process = SPAWN.Process(target=does, args=(where, begun))
    process.start()
    try:
        assert begun.wait(PATIENCE_SECONDS)
        yield process
    finally:
        process.kill()
        process.join()


@pytest.mark.parametrize("others", [1, 3])
def test_a_program_gets_its_turn_while_others_write_without_a_pause(database: Database, others: int) -> None:
    with ExitStack() as running:
        for _ in range(others):
            running.enter_context(meanwhile(write_without_pause, database.url))
        for turn in range(TURNS):
            write(database, str(turn))


def test_a_program_that_is_killed_in_the_turnstile_leaves_it_free(
    path: Path, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(turnstile, "_PATIENCE_SECONDS", FOR_EVER)
    with meanwhile(stand_in_it, str(path)) as other:
        other.kill()
        write(database, "1")


def test_a_program_that_hangs_in_the_turnstile_is_passed(
    path: Path, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(turnstile, "_PATIENCE_SECONDS", 0)
    with meanwhile(stand_in_it, str(path)):
        write(database, "1")


def test_who_only_reads_makes_no_turnstile(path: Path, database: Database) -> None:
    with database.snapshot() as reader:
        reader.one("ping")
    assert not turnstile_of(path).exists()


def test_where_the_turnstile_cannot_be_had_one_writes_without(path: Path, database: Database) -> None:
    turnstile_of(path).mkdir()
    write(database, "1")


@pytest.mark.parametrize("mode", [0o600, 0o660])
def test_the_turnstile_is_for_those_who_may_write_to_the_database(path: Path, database: Database, mode: int) -> None:
    os.chmod(path, mode)
    write(database, "1")
    assert stat.S_IMODE(turnstile_of(path).stat().st_mode) == mode
    assert turnstile_of(path).stat().st_size == 0


def test_a_database_has_one_turnstile_by_whatever_name_it_is_opened(path: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "link.db").symlink_to(path)
    with closing(Database(f"sqlite:///{tmp_path}/elsewhere/link.db")) as linked:
        write(linked, "1")
    assert turnstile_of(path).exists()


def turnstile_of(path: Path) -> Path:
    """The file beside a database."""
    return path.with_name("onefold.db-turn")
