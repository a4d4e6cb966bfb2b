"""What is PostgreSQL's own: how it is named, what it says where it is away, and that connections come back."""

import sys
from collections.abc import Iterator, Sequence
from contextlib import closing
from typing import Any, Final

import psycopg
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from onefold.cli import main
from onefold.core.rules import default_rules
from onefold.engine.ingest import Ingest
from onefold.errors import ConfigError, OnefoldError
from onefold.store.arrays import packed, register
from onefold.store.database import Contended, Database
from support import pictures
from support.postgres import QUICK, Server, postgres_server
from support.streams import SECRET, make_event, permitted


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """A server that may be stopped."""
    with postgres_server() as running:
        running.run("create database onefold")
        yield running


def migrated(server: Server) -> Database:
    """A database of ours on the server."""
    database = Database(server.url("onefold"))
    database.migrate()
    return database


NAMES: Final[list[Any]] = [
    ("postgresql://ann:secret@db.example:5433/people", "postgresql://ann@db.example:5433/people"),
    ("postgresql://db.example/people?user=ann&password=secret", "postgresql://ann@db.example/people"),
    ("postgres:///people", "postgresql:///people"),
]


@pytest.mark.parametrize(("url", "name"), NAMES)
def test_a_database_is_named_without_its_password(url: str, name: str) -> None:
    assert Database(url).name == name


def test_a_url_that_cannot_be_read_is_an_error_of_the_configuration() -> None:
    with pytest.raises(ConfigError, match=r"store\.url"):
        Database("postgresql://host/people?nonsense=1")


def test_without_its_library_the_configuration_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "onefold.store.postgres", raising=False)
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(ConfigError, match=r"onefold\[postgres\]"):
        Database("postgresql:///people")


def test_a_server_that_is_not_there_is_unavailable_and_no_password_is_told() -> None:
    with (
        pytest.raises(OnefoldError) as raised,
        Database("postgresql://ann:secret@127.0.0.1:1/people").snapshot(),
    ):
        pass
    assert raised.value.code == "unavailable"
    assert "secret" not in raised.value.detail


def test_asking_a_database_without_our_schema_exits_with_3_and_makes_none(server: Server) -> None:
    server.run("create database other")
    for arguments in (["ledger"], ["replay", "--verify"], ["doctor"]):
        assert CliRunner().invoke(main, [*arguments, "--db", server.url("other")]).exit_code == 3
    with psycopg.connect(server.url("other")) as connection:
        assert connection.execute("select count(*) from pg_tables where schemaname = 'public'").fetchone() == (0,)


def test_connections_come_back_with_the_server(server: Server) -> None:
    database = migrated(server)
    ingest = Ingest(database, default_rules(), SECRET)

    def take(name: str) -> None:
        ingest.take([permitted(make_event(name, "uid:1"))])

    take("1")
    assert len(pictures.journal(database)) == 1
    server.stop()
    for ask in (lambda: take("2"), lambda: pictures.journal(database)):
        with pytest.raises(OnefoldError, match="cannot be used right now"):
            ask()
    server.start()
    take("3")
    assert [written.event.event_id for written in pictures.journal(database)] == ["1", "3"]
    database.close()


def sessions(server: Server, what: str) -> list[Any]:
    """Something of each session that we have on the server."""
    with psycopg.connect(server.url()) as connection:
        asked = f"select {what} from pg_stat_activity where application_name = 'onefold' order by 1"
        return [found for (found,) in connection.execute(asked.encode())]


def test_a_session_that_the_server_ended_while_it_was_idle_is_not_used_again(server: Server) -> None:
    with closing(migrated(server)) as database:
        for name in "123":
            Ingest(database, default_rules(), SECRET).take([permitted(make_event(name, "uid:1"))])
            assert sessions(server, "pg_terminate_backend(pid, 5000)") == [True]


def test_while_we_have_the_answer_the_server_counts_the_time_that_a_transaction_is_idle(server: Server) -> None:
    with closing(migrated(server)) as database, database.transaction(alone=False) as tx:
        tx.one("ping")
        assert sessions(server, "state") == ["idle in transaction"]


def test_what_a_write_fails_with_is_raised_at_the_end_and_nothing_of_the_transaction_stays(server: Server) -> None:
    """Nobody waits for a write, and the statements behind it fail for another reason: that it failed."""

    def write(database: Database) -> None:
        with database.transaction(alone=False) as tx:
            tx.write("add_assertion", [(7,), (7,)])
            tx.run("meta_set", "a", "b")

    with closing(migrated(server)) as database:
        with pytest.raises(Contended):
            write(database)
        with database.snapshot() as reader:
            assert reader.one("in_force", "a") == (None, 0)


def test_a_batch_for_whose_locks_the_server_has_no_room_is_taken_alone() -> None:
    people = [permitted(make_event(f"e{n}", f"customer_id:c{n}", f"uid:u{n}")) for n in range(6_000)]
    with postgres_server(f"{QUICK}max_locks_per_transaction = 10\nmax_connections = 10\n") as small:
        database = Database(small.url())
        database.migrate()
        taken = Ingest(database, default_rules(), SECRET).take(people)
        assert "out of shared memory" in small.said()
        assert {one.decision and one.decision.outcome for one in taken} == {"created"}
        database.close()


# Rows of parameters, as arrays.

KINDS: Final = {
    "int": st.integers(-(2**63), 2**63 - 1),
    "bytes": st.binary(),
    "text": st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])),
}
TYPES: Final = {"int": "bigint[]", "bytes": "bytea[]", "text": "text[]"}
COLUMNS: Final = st.sampled_from(sorted(KINDS)).flatmap(
    lambda kind: st.tuples(st.just(kind), st.lists(st.none() | KINDS[kind], min_size=1))
)


@given(COLUMNS)
def test_the_server_reads_a_packed_array_as_the_values_it_was_made_of(
    server: Server, column: tuple[str, Sequence[Any]]
) -> None:
    kind, values = column
    with psycopg.connect(server.url()) as connection:
        register(connection.adapters)
        found = connection.execute(f"select %s::{TYPES[kind]}", [packed(kind, values)]).fetchone()
    assert found == (list(values),)
