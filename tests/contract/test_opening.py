"""A store that is away when an endpoint starts is opened once it is there; one that will never do as it is configured
is refused at once.
"""

import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, Final

import msgspec
import psycopg
import pytest
from click.testing import CliRunner
from flask import Flask
from psycopg import errors

from onefold.cli import main
from onefold.config import Config, StoreConfig
from onefold.engine.opening import Opening, check_fits
from onefold.errors import ConfigError, OnefoldError
from onefold.store.database import Database, Unfit
from onefold.store.postgres import Postgres
from onefold.web.app import create_app
from onefold.web.state import State
from support import pictures
from support.postgres import Server, postgres_server
from support.stores import change
from support.web import post, problem, view

AWAY: Final = OnefoldError("unavailable", "away")
PATIENCE_SECONDS: Final = 60


class Attempts:
    """Attempts to open a store: each takes the next of what is to happen, once it is told to go on."""

    def __init__(self, *happen: Exception | None) -> None:
        self._happen = list(happen)
        self._goes_on = threading.Semaphore(0)
        self.opening = Opening(self._attempt)

    def go_on(self, times: int = 1) -> None:
        """Let so many attempts happen."""
        self._goes_on.release(times)

    def end(self) -> None:
        """Wait for the last one."""
        self.opening._thread.join(PATIENCE_SECONDS)

    def _attempt(self) -> None:
        assert self._goes_on.acquire(timeout=PATIENCE_SECONDS)
        if (error := self._happen.pop(0)) is not None:
            raise error


@pytest.mark.parametrize("trouble", [AWAY, ConfigError("of another secret"), ZeroDivisionError("a defect")])
def test_whatever_goes_wrong_later_the_store_is_tried_until_it_opens(trouble: Exception) -> None:
    attempts = Attempts(AWAY, trouble, None)
    attempts.go_on(3)
    attempts.opening.begin(PATIENCE_SECONDS)
    attempts.end()
    attempts.opening.check()
    assert attempts.opening.done


def test_each_reason_is_logged_once(capsys: pytest.CaptureFixture[str]) -> None:
    attempts = Attempts(AWAY, AWAY, AWAY, ConfigError("of another secret"), None)
    attempts.go_on(5)
    attempts.opening.begin(PATIENCE_SECONDS)
    attempts.end()
    said = "".join(capsys.readouterr())
    events = ("store_away_at_start", "store_not_opened", "store_opened")
    assert [said.count(event) for event in events] == [1, 1, 1]


@pytest.mark.parametrize("trouble", [ConfigError("of another secret"), Unfit("no such database."), ZeroDivisionError()])
def test_what_waiting_does_not_help_is_refused_at_once_and_not_said_to_go_on(
    trouble: Exception, capsys: pytest.CaptureFixture[str]
) -> None:
    attempts = Attempts(trouble)
    attempts.go_on()
    with pytest.raises(ConfigError if isinstance(trouble, Unfit) else type(trouble)):
        attempts.opening.begin(PATIENCE_SECONDS)
    attempts.end()
    assert not attempts.opening.done
    assert "meanwhile" not in "".join(capsys.readouterr())


def test_a_start_does_not_wait_for_an_attempt_that_hangs() -> None:
    attempts = Attempts(None)
    attempts.opening.begin(0)
    with pytest.raises(OnefoldError, match="does not answer"):
        attempts.opening.check()
    attempts.go_on()
    attempts.end()
    assert attempts.opening.done


# The application.


@pytest.fixture
def later(config: Config, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Flask, Callable[[], None]]]:
    """An endpoint whose store is away, and what brings the store."""
    with monkeypatch.context() as away:

        def refuse(_: Database) -> None:
            raise AWAY

        away.setattr(Database, "migrate", refuse)
        app = create_app(config)
        state: State = app.extensions["onefold"]

        def bring() -> None:
            away.undo()
            state.opening._thread.join(PATIENCE_SECONDS)

        yield app, bring
        state.close()


def test_events_that_come_before_the_store_are_in_the_journal_after_it(
    later: tuple[Flask, Callable[[], None]],
) -> None:
    app, bring = later
    state: State = app.extensions["onefold"]
    browser = app.test_client(use_cookies=False)
    sent = [view() for _ in range(3)]
    assert [post(browser, event).get_json()["accepted"] for event in sent] == [1, 1, 1]
    assert not state.reconciler.drain()
    bring()
    assert state.reconciler.drain()
    assert [written.event.event_id for written in pictures.journal(state.database)] == [e["event_id"] for e in sent]


def test_before_the_store_is_open_the_endpoint_is_healthy_and_not_ready(
    later: tuple[Flask, Callable[[], None]],
) -> None:
    app, bring = later
    browser = app.test_client(use_cookies=False)
    assert browser.get("/healthz").status_code == 200
    answer = browser.get("/readyz")
    assert problem(answer) == (503, "unavailable")
    assert "away" in answer.get_json()["detail"]
    bring()
    assert browser.get("/readyz").status_code == 200


def test_without_migration_an_endpoint_waits_for_the_schema(config: Config) -> None:
    app = create_app(config, migrate=False)
    state: State = app.extensions["onefold"]
    with pytest.raises(OnefoldError, match="onefold migrate"):
        state.opening.check()
    state.database.migrate()
    state.opening._thread.join(PATIENCE_SECONDS)
    state.opening.check()
    state.close()


def test_a_schema_of_a_newer_version_is_refused(config: Config) -> None:
    database = Database(config.store.url)
    database.migrate()
    change(database, "update schema_version set version_num = '9999'")
    database.close()
    with pytest.raises(ConfigError, match="newer Onefold"):
        create_app(config)


# What counts as away, and what does not.


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """A server with a database and a role whose password is asked for."""
    with postgres_server() as running:
        running.run("create database onefold")
        running.run("create role ann login password 'right'")
        running.run("create role bob login")
        running.ask_for_password("ann")
        yield running


UNFIT: Final[list[Any]] = [
    pytest.param("postgresql://nobody@/onefold", "role", id="no such user"),
    pytest.param("postgresql://postgres@/another", "does not exist", id="no such database"),
    pytest.param("postgresql://ann:wrong@/onefold", "authentication failed", id="a wrong password"),
    pytest.param("postgresql://ann@/onefold", "no password", id="no password"),
]


@pytest.mark.parametrize(("url", "said"), UNFIT)
def test_a_server_that_refuses_us_is_refused(server: Server, url: str, said: str) -> None:
    host = server.url().partition("?")[2]
    with pytest.raises(ConfigError, match=said):
        check_fits(Database(f"{url}?{host}"), b"secret")


def test_a_user_who_may_not_make_tables_is_refused(server: Server, config: Config) -> None:
    url = f"postgresql://bob@/onefold?{server.url().partition('?')[2]}"
    with pytest.raises(ConfigError, match="permission denied"):
        create_app(msgspec.structs.replace(config, store=StoreConfig(url)))


MESSAGES: Final[list[Any]] = [
    pytest.param('connection to server at "127.0.0.1", port 1 failed: Connection refused', False, id="refused"),
    pytest.param("FATAL:  the database system is starting up", False, id="starting"),
    pytest.param("FATAL:  the database system is shutting down", False, id="stopping"),
    pytest.param("FATAL:  sorry, too many clients already", False, id="full"),
    pytest.param("connection timeout expired", False, id="slow"),
    pytest.param("failed to resolve host 'db': [Errno -2] Name or service not known", False, id="no name"),
    pytest.param('FATAL:  no pg_hba.conf entry for host "::1", user "ann"', True, id="not let in"),
    pytest.param('FATAL:  role "ann" is not permitted to log in', True, id="no login"),
    pytest.param("FATAL:  no such database: people", True, id="a pooler's"),
    pytest.param('root certificate file "/etc/ca.pem" does not exist', True, id="no certificate"),
    pytest.param('invalid integer value "54321x" for connection option "port"', True, id="no port"),
]


@pytest.mark.parametrize(("message", "unfit"), MESSAGES)
def test_what_a_server_says_tells_whether_it_is_away(message: str, unfit: bool) -> None:
    trouble = Postgres("postgresql:///people").trouble(psycopg.OperationalError(message))
    assert isinstance(trouble, Unfit) is unfit


def test_what_a_query_fails_with_is_not_taken_for_a_refusal() -> None:
    failed = errors.UndefinedTable('relation "role "x" does not exist"')
    assert not isinstance(Postgres("postgresql:///people").trouble(failed), Unfit)


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / "onefold.db").write_bytes(b"x" * 4096)
    with pytest.raises(ConfigError, match="not a database"):
        check_fits(Database(f"sqlite:///{tmp_path}/onefold.db"), b"secret")


def test_a_file_that_somebody_has_locked_is_away(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path}/onefold.db")
    with closing(sqlite3.connect(tmp_path / "onefold.db", isolation_level=None)) as other:
        other.execute("begin exclusive")
        check_fits(database, b"secret")
        with pytest.raises(OnefoldError) as raised:
            database.migrate()
    assert not isinstance(raised.value, Unfit)


def test_a_database_that_is_not_there_yet_is_nothing_to_complain_of(tmp_path: Path) -> None:
    check_fits(Database(f"sqlite:///{tmp_path}/onefold.db"), b"secret")
    assert list(tmp_path.iterdir()) == []


def test_serve_says_in_one_line_what_is_wrong_and_exits_with_2(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("onefold.db").write_bytes(b"x" * 4096)
    result = CliRunner().invoke(main, ["serve", "--port", "0"])
    assert result.exit_code == 2
    assert result.stderr.startswith("onefold: The database onefold.db cannot be opened: file is not a database.")
    assert len(result.stderr.splitlines()) == 1
