"""A store moves into another database as it is, or not at all."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import pytest
from click.testing import CliRunner, Result

import onefold.store.transfer
from onefold.cli import main
from onefold.core.rules import default_rules
from onefold.engine.ingest import Ingest
from onefold.engine.verify import verify
from onefold.errors import OnefoldError
from onefold.store.database import Database
from onefold.store.transfer import transfer
from support.brain import Brain, strangers
from support.stores import STORES, NewDatabase, change, rows
from support.streams import SECRET, make_event, permitted


@pytest.fixture(scope="module", params=STORES)
def new_target(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[NewDatabase]:
    """Makes databases of each kind to copy into."""
    with STORES[request.param](tmp_path_factory.mktemp("targets")) as new:
        yield new


@pytest.fixture
def target(new_target: NewDatabase) -> Iterator[Database]:
    """An empty database to copy into."""
    with new_target() as database:
        yield database


@pytest.fixture
def source(database: Database) -> Database:
    """A database in which everything has happened: merges, splits, shared identifiers, assertions, other rules."""
    brain = Brain(database)
    strangers(brain, *range(1, 7))
    brain.tell("7", "customer_id:ann")
    brain.tell("8", "customer_id:ann", "email_hash:e1")
    brain.say("join", "email_hash:e2", "customer_id:bob")
    brain.adopt({"unsigned": "merge"})
    brain.tell("9", "uid:früh", "email_hash:e7")
    return database


def test_every_row_is_copied_and_the_copy_goes_on_as_the_original_would(source: Database, target: Database) -> None:
    before = rows(source)
    copied = transfer(source, target)
    assert rows(target) == before == rows(source)
    assert copied["journal"] == len(before["journal"])
    assert taken(target) == taken(source)
    assert verify(target, default_rules(), SECRET).differences == []


def taken(database: Database) -> tuple[str, int]:
    """What becomes of a further event, and how many entries there are then."""
    (found,) = Ingest(database, default_rules(), SECRET).take([permitted(make_event("10", "customer_id:ann"))])
    assert found.decision is not None
    return found.decision.outcome, len(rows(database)["journal"])


def test_a_database_that_is_not_empty_is_refused(source: Database, target: Database) -> None:
    taken(target)
    before = rows(target)
    with pytest.raises(OnefoldError, match="not empty"):
        transfer(source, target)
    assert rows(target) == before


def test_an_original_of_another_version_is_refused(source: Database, target: Database) -> None:
    version = "(select version_num from schema_version)"
    assert change(source, f"update schema_version set version_num = '1' || {version}") == 1
    try:
        with pytest.raises(OnefoldError, match="onefold migrate"):
            transfer(source, target)
    finally:
        change(source, f"update schema_version set version_num = substr({version}, 2)")


@pytest.mark.parametrize("fault", ["an interruption", "a row that changed on the way"])
def test_a_copy_that_does_not_succeed_leaves_nothing(
    source: Database, target: Database, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    def interrupted(_: int) -> None:
        if fault == "an interruption":
            raise KeyboardInterrupt

    if fault != "an interruption":
        monkeypatch.setattr(onefold.store.transfer, "_digest", lambda *_: (0, 0))
    empty = rows(target)
    with pytest.raises((KeyboardInterrupt, OnefoldError)):
        transfer(source, target, interrupted)
    assert rows(target) == empty


# The command.


@pytest.fixture
def migrate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """Runs `onefold migrate` in an empty folder."""
    monkeypatch.setenv("ONEFOLD_ID_SECRET", SECRET.decode())
    monkeypatch.chdir(tmp_path)
    return lambda *arguments: CliRunner().invoke(main, ["migrate", *arguments], catch_exceptions=False)


def test_migrate_copies_and_runs_the_copied_journal_again(
    source: Database, target: Database, migrate: Callable[..., Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ONEFOLD_STORE_URL", "set by the command")
    result = migrate("--from", source.url, "--to", target.url)
    assert result.exit_code == 0, result.output
    assert f"{source.name} is in {target.name}" in result.stdout
    assert "11 journal entries give exactly the stored graph and ledger" in result.stdout
    assert rows(target) == rows(source)


WRONG: Final = [["--from", "sqlite:///a.db"], ["--to", "sqlite:///b.db"], ["--from", "sqlite:///a.db", "--db", "x"]]


@pytest.mark.parametrize("arguments", WRONG)
def test_one_database_alone_is_wrong_usage(migrate: Callable[..., Result], arguments: list[str]) -> None:
    assert migrate(*arguments).exit_code == 2


def test_what_is_not_there_is_not_copied(migrate: Callable[..., Result], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ONEFOLD_STORE_URL", "set by the command")
    assert migrate("--from", "sqlite:///not-there.db", "--to", "sqlite:///new.db").exit_code == 3
    assert not Path("not-there.db").exists()
    assert not Path("new.db").exists()
