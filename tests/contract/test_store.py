"""What every store promises: it agrees with a run in memory, loses nothing, and works in batches."""

import re
import sqlite3
import threading
from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from importlib import resources
from itertools import count, islice, pairwise
from pathlib import Path
from random import Random
from typing import Any, Final

import msgspec
import psycopg
import pytest
from alembic import command
from alembic.config import Config as AlembicConfig
from hypothesis import given, settings
from hypothesis import strategies as st

import onefold.engine.advance
from onefold.core.consent import Permitted
from onefold.core.decision import Action, Decision, Step
from onefold.core.graph import Graph, Node
from onefold.core.identifiers import Identifier
from onefold.core.resolve import resolve
from onefold.core.rules import Rules, default_rules
from onefold.engine.ingest import Ingest, Taken
from onefold.store.database import Database, Reader
from onefold.store.graph_store import load_identifiers
from onefold.store.names import Names
from onefold.store.packing import (
    Packed,
    pack_identifiers,
    pack_text,
    pack_trace,
    unpack_identifiers,
    unpack_text,
    unpack_trace,
)
from onefold.store.postgres import WRITER_SETTINGS
from onefold.store.sql import QUERIES, with_arrays, with_rows
from support import pictures
from support.memory import Memory
from support.stores import NewDatabase, change, path_of
from support.streams import HOUR, SECRET, make_event, permitted, rules, streams

LOOSE: Final = Rules(types=default_rules().types, by_name=default_rules().by_name)


def batches(stream: Sequence[Permitted], sizes: Sequence[int]) -> list[list[Permitted]]:
    """The stream cut into batches of these sizes, again and again."""
    rest, cut, turn = iter(stream), [], 0
    while batch := list(islice(rest, sizes[turn % len(sizes)])):
        cut.append(batch)
        turn += 1
    return cut


def ingested(database: Database, under: Rules, cut: Sequence[Sequence[Permitted]]) -> list[Taken]:
    """Everything taken, batch after batch, each batch by another process."""
    return [taken for batch in cut for taken in Ingest(database, under, SECRET).take(batch)]


def outcome(decision: Decision | None) -> Any:
    """What must be equal about two decisions."""
    return decision and (decision.outcome, decision.profile, decision.merged, decision.trace, decision.code)


STREAMS: Final = streams(most=20)
SIZES: Final = st.lists(st.integers(1, 9), min_size=1, max_size=3)


@settings(max_examples=150)
@given(stream=STREAMS, under=rules(), sizes=SIZES)
def test_ingestion_equals_a_run_in_memory_whatever_the_batches(
    new_database: NewDatabase, stream: list[Permitted], under: Rules, sizes: list[int]
) -> None:
    with new_database() as database:
        found = ingested(database, under, batches(stream, sizes))
        memory = Memory(under, (written.seq for written in pictures.journal(database)))
        wanted = [memory.take(event) for event in stream]
        assert [outcome(taken.decision) for taken in found] == [outcome(decision) for decision in wanted]
        assert pictures.of_store(database) == pictures.of_memory(memory)


@settings(max_examples=60)
@given(stream=STREAMS, under=rules(), sizes=SIZES)
def test_the_journal_resolved_again_gives_the_same_graph(
    new_database: NewDatabase, stream: list[Permitted], under: Rules, sizes: list[int]
) -> None:
    with new_database() as database:
        ingested(database, under, batches(stream, sizes))
        assert pictures.of_memory(pictures.replayed(database, under)) == pictures.of_store(database)


@settings(max_examples=60)
@given(stream=STREAMS, under=rules(), sizes=SIZES)
def test_what_was_accepted_once_changes_nothing_when_it_comes_again(
    new_database: NewDatabase, stream: list[Permitted], under: Rules, sizes: list[int]
) -> None:
    with new_database() as database:
        first = ingested(database, under, batches(stream, sizes))
        accepted = [
            event
            for event, taken in zip(stream, first, strict=True)
            if taken.decision is not None and taken.decision.outcome != "refused"
        ]
        before = pictures.of_store(database), pictures.counts(database)
        again = ingested(database, under, [accepted]) if accepted else []
        assert all(taken.duplicate for taken in again)
        assert (pictures.of_store(database), pictures.counts(database)) == before


def test_an_event_id_twice_in_one_batch_is_taken_once(database: Database) -> None:
    event = permitted(make_event("1", "uid:1"))
    other = permitted(make_event("1", "uid:2"))
    assert [taken.duplicate for taken in Ingest(database, LOOSE, SECRET).take([event, other])] == [False, True]
    assert pictures.counts(database)["count_identifiers"] == 1


def test_a_refused_event_is_not_in_the_journal_and_may_come_again(database: Database) -> None:
    ingest = Ingest(database, LOOSE, SECRET)
    nothing = permitted(make_event("1", "customer_id:guest"))
    something = permitted(make_event("1", "customer_id:ann"))
    outcomes = [taken.decision and taken.decision.outcome for taken in ingest.take([nothing, something])]
    assert outcomes == ["refused", "created"]


def test_a_profile_that_absorbed_two_is_read_back_with_two(database: Database) -> None:
    """Asking for several rows at once must not read any of them twice."""
    under = LOOSE
    stream = [
        *(permitted(make_event(f"{n}", f"uid:{n}")) for n in range(1, 4)),
        permitted(make_event("4", "uid:1", "uid:2", "uid:3")),
        *(permitted(make_event(f"{n}", f"uid:{n}")) for n in range(5, 7)),
        permitted(make_event("7", "uid:5", "uid:1")),
    ]
    ingested(database, under, [[event] for event in stream])
    (profile,) = [found for found in pictures.of_store(database)["profiles"].values() if found["absorbed"]]
    assert len(profile["absorbed"]) == 3


THREADS: Final = 16
EVENTS: Final = 25


def random_event(chance: Random, event_id: str) -> Permitted:
    """An event about a few people and browsers, so that threads meet."""
    names = [f"{chance.choice(['customer_id', 'uid'])}:{chance.randint(1, 12)}" for _ in range(chance.randint(1, 3))]
    session_id = chance.choice([None, "s1", "s2"])
    return permitted(make_event(event_id, *dict.fromkeys(names), session_id=session_id))


def test_many_threads_lose_nothing_and_agree_on_one_order(database: Database) -> None:
    """16 threads at once: every accepted event is in the journal once, in one order that explains the graph."""
    ingest = Ingest(database, LOOSE, SECRET)
    found: dict[str, Taken] = {}
    errors: list[BaseException] = []

    def work(number: int) -> None:
        chance = Random(number)
        try:
            for n in range(EVENTS):
                event = random_event(chance, f"{number}-{n}")
                (found[event.event.event_id],) = ingest.take([event])
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    assert len(found) == THREADS * EVENTS
    assert not any(taken.failed or taken.duplicate for taken in found.values())
    journal = pictures.journal(database)
    assert all(earlier.seq < later.seq for earlier, later in pairwise(journal))
    accepted = {event_id for event_id, taken in found.items() if taken.decision and taken.decision.outcome != "refused"}
    assert sorted(written.event.event_id for written in journal) == sorted(accepted)
    assert pictures.of_memory(pictures.replayed(database, LOOSE)) == pictures.of_store(database)


def test_a_failing_event_in_a_batch_fails_alone(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(graph: Graph, event: Permitted, *others: Any) -> Decision:
        if event.event.event_id == "2":
            raise ZeroDivisionError("a defect")
        return resolve(graph, event, *others)

    monkeypatch.setattr(onefold.engine.advance, "resolve", failing)
    stream = [permitted(make_event(str(n), "uid:1", f"uid:{n}0")) for n in range(1, 5)]
    found = Ingest(database, LOOSE, SECRET).take(stream)
    assert [taken.failed for taken in found] == [False, True, False, False]
    assert [written.event.event_id for written in pictures.journal(database)] == ["1", "3", "4"]


@pytest.fixture
def statements(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The texts of the statements that any database runs from now on."""
    texts: list[str] = []
    connect, execute, executemany = sqlite3.connect, psycopg.Cursor.execute, psycopg.Cursor.executemany

    def traced(*args: Any, **kwargs: Any) -> sqlite3.Connection:
        connection: sqlite3.Connection = connect(*args, **kwargs)
        connection.set_trace_callback(texts.append)
        return connection

    def noted(run: Callable[..., Any]) -> Callable[..., Any]:
        def noting(cursor: psycopg.Cursor[Any], text: str, *args: Any, **kwargs: Any) -> Any:
            texts.append(text)
            return run(cursor, text, *args, **kwargs)

        return noting

    monkeypatch.setattr(sqlite3, "connect", traced)
    monkeypatch.setattr(psycopg.Cursor, "execute", noted(execute))
    monkeypatch.setattr(psycopg.Cursor, "executemany", noted(executemany))
    return texts


def page_views(count: int) -> list[Permitted]:
    """Views by browsers that are known already."""
    return [permitted(make_event(f"view-{n}", f"uid:{n % 50}", kind="page_view")) for n in range(count)]


def logins(count: int) -> list[Permitted]:
    """New people on known browsers."""
    return [permitted(make_event(f"login-{n}", f"customer_id:{n}", f"uid:{n}")) for n in range(count)]


def newcomers(count: int) -> list[Permitted]:
    """Browsers nobody has seen."""
    return [permitted(make_event(f"new-{n}", f"uid:new-{n}", kind="page_view")) for n in range(count)]


def mixed(count: int) -> list[Permitted]:
    """A third of each."""
    return [*page_views(count // 3), *logins(count // 3), *newcomers(count - 2 * (count // 3))]


@pytest.mark.parametrize("make", [page_views, logins, newcomers, mixed])
def test_a_batch_takes_a_number_of_statements_that_does_not_grow_with_it(
    new_database: NewDatabase, statements: list[str], make: Callable[[int], list[Permitted]]
) -> None:
    """One a question and a table, up to 256 rows; whether there are shared identifiers or merges decides how many."""
    reads, writes = {}, {}
    for size in (10, 200):
        with new_database() as database:
            Ingest(database, LOOSE, SECRET).take(
                [permitted(make_event(f"known-{n}", f"uid:{n}", kind="page_view")) for n in range(250)]
            )
            statements.clear()
            Ingest(database, LOOSE, SECRET).take(make(size))
            heads = [text.split()[0].lower() for text in statements]
            reads[size] = heads.count("select") + heads.count("with")
            writes[size] = heads.count("insert") + heads.count("delete") + heads.count("update")
    assert reads[200] <= reads[10] + 2
    assert writes[200] <= writes[10] + 1


def test_an_event_that_confirms_what_is_known_writes_its_journal_entry_and_nothing_else(
    database: Database, statements: list[str]
) -> None:
    ingest = Ingest(database, LOOSE, SECRET)
    ingest.take([permitted(make_event("1", "customer_id:ann", "uid:1"))])
    statements.clear()
    ingest.take([permitted(make_event("2", "customer_id:ann", "uid:1", ts=100 * HOUR))])
    written = [text.split("(")[0].strip() for text in statements if text.startswith(("insert", "update", "delete"))]
    assert written == ["insert into journal"]


TEXTS: Final = (
    st.text()
    | st.from_regex(r"[0-9a-fA-F]{64}", fullmatch=True)
    | st.uuids().map(str)
    | st.uuids().map(lambda value: str(value).upper())
    | st.builds("{}.{}".format, st.uuids(), st.from_regex(r"[0-9]{1,14}", fullmatch=True))
)


@given(TEXTS)
def test_packing_a_text_loses_nothing(text: str) -> None:
    assert unpack_text(pack_text(text)) == text


# A few of these in a list are mostly of one length, with now and then one that only looks like the others.
ALIKE: Final = [
    st.from_regex(r"[0-9a-f]{64}", fullmatch=True) | st.text(min_size=64, max_size=64),
    st.uuids().map(str) | st.text("0123456789abcdef-\n", min_size=36, max_size=36),
    st.builds("{}.{}".format, st.uuids(), st.from_regex(r"[0-9]{10}", fullmatch=True)) | st.just("\n".join("ab" * 12)),
]


@given(st.one_of(*map(st.lists, [TEXTS, *ALIKE])))
def test_packing_many_texts_at_once_is_packing_each(texts: list[str]) -> None:
    packed = Packed()
    packed.add(texts)
    assert [packed[text] for text in texts] == [pack_text(text) for text in texts]


@given(TEXTS, TEXTS)
def test_two_texts_never_pack_alike(one: str, other: str) -> None:
    assert (pack_text(one) == pack_text(other)) is (one == other)


@given(st.uuids().map(str), st.uuids().map(str))
def test_uuids_pack_in_their_order(one: str, other: str) -> None:
    """Those that begin with the time go to the end of an index."""
    assert (pack_text(one) < pack_text(other)) is (one < other)


@pytest.mark.parametrize(
    ("text", "size"),
    [
        pytest.param("ab" * 32, 33, id="a hash"),
        pytest.param("f81d4fae-7dec-11d0-a765-00a0c91e6bf6", 17, id="a UUID"),
        pytest.param("f81d4fae-7dec-11d0-a765-00a0c91e6bf6.1647291600", 22, id="a uid"),
        pytest.param("f81d4fae-7dec-11d0-a765-00a0c91e6bf6.01647291600", 49, id="seconds with a leading zero"),
        pytest.param("AB" * 32, 65, id="an upper-case hash is a text of its own"),
    ],
)
def test_what_recurs_is_packed_tightly(text: str, size: int) -> None:
    assert len(pack_text(text)) == size
    assert unpack_text(pack_text(text)) == text


class Interned:
    """Names and their numbers."""

    def __init__(self) -> None:
        self.names: list[str] = []

    def number(self, name: str) -> int:
        """The number of a name."""
        if name not in self.names:
            self.names.append(name)
        return self.names.index(name)


IDENTIFIERS: Final = st.builds(Identifier, st.text(min_size=1), TEXTS)
_ACTIONS: Final[tuple[Action, ...]] = (
    "drop", "found", "link", "merge", "keep", "share", "move", "release", "associate",
)  # fmt: skip
STEPS: Final = st.builds(
    Step,
    st.sampled_from(_ACTIONS),
    IDENTIFIERS,
    st.none() | st.just("conflict"),
    st.none() | st.just("customer_id.limit=1"),
    st.lists(st.integers(1, 2**53), max_size=3).map(tuple),
)


@given(st.lists(IDENTIFIERS).map(tuple))
def test_packing_identifiers_loses_nothing(identifiers: tuple[Identifier, ...]) -> None:
    interned = Interned()
    numbers = {identifier.type: interned.number(identifier.type) for identifier in identifiers}
    packed = pack_identifiers(identifiers, numbers, Packed())
    assert unpack_identifiers(packed, interned.names.__getitem__) == identifiers


@given(st.lists(STEPS).map(tuple))
def test_packing_a_trace_loses_nothing(trace: tuple[Step, ...]) -> None:
    interned = Interned()
    assert unpack_trace(pack_trace(trace, interned.number), interned.names.__getitem__) == trace


def plan_of(database: Database, name: str) -> list[str]:
    """What a database says it would do for a named query, to whoever writes."""
    if database.url.startswith("sqlite"):
        text = with_rows(name, 3)
        with closing(sqlite3.connect(path_of(database))) as connection:
            plan = connection.execute(f"explain query plan {text}", [None] * text.count("?")).fetchall()
            return [row[3] for row in plan]
    numbers = count(1)
    text = re.sub("%s", lambda _: f"${next(numbers)}", with_arrays(name))
    with psycopg.connect(database.url) as connection:
        connection.execute(WRITER_SETTINGS.encode())
        return [line for (line,) in connection.execute(f"explain (generic_plan) {text}".encode())]


def test_a_name_that_another_process_made_meanwhile_is_found(database: Database) -> None:
    """It may have written rows with it that this transaction reads."""
    with database.transaction(alone=False) as tx:
        early, late = Names(tx), Names(tx)
        number = late.id("made meanwhile")
        assert early.text(number) == "made meanwhile"


def test_a_name_whose_transaction_was_undone_is_not_remembered(database: Database) -> None:
    """Its number may be another name's by now."""
    with suppress(ZeroDivisionError), database.transaction() as tx:
        Names(tx).id("undone")
        Names(tx).id("undone as well")
        raise ZeroDivisionError
    with database.transaction() as tx:
        Names(tx).id("another")
    with database.transaction() as tx:
        number = Names(tx).id("undone")
        assert (number, "undone") in tx.all("names")


def test_names_that_were_read_are_not_read_again(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    with database.transaction() as tx:
        number = Names(tx).id("known")
    with database.snapshot() as reader:
        assert Names(reader).text(number) == "known"
    monkeypatch.delattr(Reader, "all")
    with database.snapshot() as reader:
        assert (Names(reader).id("known"), Names(reader).text(number)) == (number, "known")


COMMENTS: Final = dict(
    re.findall(r"^-- (\w+): (.*)$", resources.files("onefold.store").joinpath("queries.sql").read_text("utf-8"), re.M)
)
COLD: Final = tuple(name for name in QUERIES if name.startswith("newest_") or "a scan" in COMMENTS[name])
WALK: Final = re.compile(
    r"SCAN (j|i|p|s|l|journal|identifier|profile|ledger|shared_link)\b"
    r"|Seq Scan on (journal|identifier|profile|ledger|shared_link)"
)


@pytest.mark.parametrize("name", sorted(QUERIES))
def test_every_query_can_be_prepared_and_walks_through_a_table_only_if_its_comment_says_so(
    database: Database, name: str
) -> None:
    walks = [line for line in plan_of(database, name) if WALK.search(line)]
    assert name in COLD or not walks


def test_an_older_database_keeps_its_identifiers_when_it_is_migrated(tmp_path: Path) -> None:
    """Version 4 kept in each row when the identifier was last seen."""
    database = Database(f"sqlite:///{tmp_path / 'older.db'}")
    config = AlembicConfig()
    config.set_main_option("script_location", "onefold.store:migrations")
    with database.engine() as engine, engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0004")
    change(database, "insert into name values (1, 'uid'), (2, 'sensor')")
    change(database, "insert into identifier values (1, x'7431', 7, 0, 1, 7, 1000, 1000, 5000, 2, 0, 0)")
    database.migrate()
    with database.snapshot() as reader:
        names, graph = Names(reader), Graph(b"", complete=False)
        load_identifiers(reader, names, graph, [Identifier("uid", "1")])
    database.close()
    uid = Identifier("uid", "1")
    kept = Node(uid, 7, founded=1, linked_by=7, linked_at=1000, first_seen=1000, source="sensor")
    assert msgspec.structs.astuple(graph.nodes[uid] or Node(uid)) == msgspec.structs.astuple(kept)
