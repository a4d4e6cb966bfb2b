"""Many clients at once, in several processes where the store can: nothing is lost, and one order explains everything.

`ONEFOLD_CROWD` is the number of events; `make crowd` takes 20,000.
"""

import os
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from itertools import chain
from random import Random
from typing import Any, Final

import pytest

import onefold.engine.ingest
import onefold.engine.locking
from onefold.core.assertions import Assertion, AssertionKind
from onefold.core.graph import Graph
from onefold.core.rules import default_rules
from onefold.engine import ask
from onefold.engine.ingest import Ingest, Taken
from onefold.engine.locking import Locks, Needs, Unlocked
from onefold.engine.verify import verify
from onefold.errors import OnefoldError
from onefold.store.database import Database, Reader, Transaction
from onefold.store.graph_store import ask_known_events, load_identifiers
from onefold.store.names import Names
from support import pictures
from support.brain import Document, named
from support.crowd import PEOPLE, SHARED_DEVICES, events, send, send_from_processes
from support.stores import change
from support.streams import SECRET, make_event, permitted

EVENTS: Final = int(os.environ.get("ONEFOLD_CROWD", "2000"))
CLIENTS: Final = 32
PROCESSES: Final = 4
_PAUSE_SECONDS: Final = 0.2


def sent(database: Database, count: int, seed: int = 1) -> Counter[str]:
    """What became of a crowd's events, sent at once by all clients, from as many processes as the store lets write."""
    if not database.many_writers:
        return send(database, CLIENTS, events(count, seed))
    return send_from_processes(database.url, PROCESSES, CLIENTS // PROCESSES, events(count, seed))


@contextmanager
def meanwhile(work: Callable[[], None]) -> Iterator[None]:
    """Something done over and over in another thread; what it raises is raised in the end."""
    over = threading.Event()
    errors: list[BaseException] = []

    def repeat() -> None:
        try:
            while not over.wait(_PAUSE_SECONDS):
                work()
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=repeat)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
    assert not errors, errors


class Follower:
    """Follows the ledger by its positions, as downstream systems do."""

    def __init__(self, database: Database) -> None:
        self.found: list[dict[str, Any]] = []
        self._database = database

    def follow(self) -> None:
        """Read what has been appended."""
        after = self.found[-1]["seq"] if self.found else 0
        self.found += ask.ledger(self._database, after, 500)


class Operator:
    """Says random things about the crowd: who are two people, which device is shared."""

    def __init__(self, database: Database) -> None:
        self._ingest = Ingest(database, default_rules(), SECRET)
        self._chance = Random(7)

    def speak(self) -> None:
        """Say one thing; the graph may speak against it."""
        kind: AssertionKind = self._chance.choice(["separate", "share", "unshare"])
        device = named(f"uid:shared{self._chance.randrange(SHARED_DEVICES)}")
        one, other = (named(f"customer_id:c{number}") for number in self._chance.sample(range(PEOPLE), 2))
        said = Assertion(kind, one, other) if kind == "separate" else Assertion(kind, device)
        with suppress(OnefoldError):
            self._ingest.say(said, now=0)


def check_picture(database: Database) -> None:
    """An identifier belongs to one person or is shared; no person holds more than the rules allow."""
    profiles = pictures.of_store(database)["profiles"].values()
    owned = Counter(identifier for profile in profiles for identifier in profile["members"])
    shared = {identifier for profile in profiles for identifier in profile["shares"]}
    assert owned.most_common(1)[0][1] == 1
    assert not owned.keys() & shared
    for profile in profiles:
        kinds = Counter(identifier.partition(":")[0] for identifier in profile["members"])
        assert kinds["customer_id"] <= 1
        assert kinds["email_hash"] <= 5


def test_a_crowd_loses_nothing_and_one_order_explains_everything(database: Database) -> None:
    """Also while operators speak, somebody follows the ledger, and somebody else checks the graph."""
    follower, operator = Follower(database), Operator(database)
    with meanwhile(follower.follow), meanwhile(operator.speak), meanwhile(lambda: check_replay(database)):
        became = sent(database, EVENTS)
    assert set(became) <= {"created", "attached", "merged", "duplicate"}
    assert sum(became.values()) - became["duplicate"] == EVENTS
    entries = [written.event.event_id for written in pictures.journal(database)]
    assert len(set(entries)) == len(entries)
    assert {f"e{number}" for number in range(EVENTS)} <= set(entries)
    check_replay(database)
    check_picture(database)
    follower.follow()
    assert follower.found == list(ask.ledger_entries(database))


def check_replay(database: Database) -> None:
    """The store is what its journal gives."""
    assert verify(database, default_rules(), SECRET).differences == []


def test_other_rules_hold_for_every_process_from_one_place_in_the_journal_on(database: Database) -> None:
    """Also for those that were started under the rules before."""
    documents: list[Document] = [{"identifiers": {"email_hash": {"limit": limit}}} for limit in (1, 2, 5)]
    ingest = Ingest(database, default_rules(), SECRET)
    ingest.adopt({}, 0)
    chance = Random(3)
    with meanwhile(lambda: ingest.adopt(chance.choice(documents), 0)):
        became = sent(database, 600)
    assert set(became) <= {"created", "attached", "merged", "duplicate"}
    check_replay(database)


SEVERAL_WRITE = pytest.mark.parametrize("new_database", ["postgres"], indirect=True, scope="session")


def taken_alone(database: Database, *identifiers: str) -> Taken:
    """What becomes of one event."""
    event = make_event("1", *identifiers)
    return Ingest(database, default_rules(), SECRET).take([permitted(event)])[0]


def locked(tx: Transaction, *events: str) -> Locks:
    """The locks of a batch with events that name these identifiers, each with blanks between."""
    graph, locks, names = Graph(SECRET, complete=False), Locks(tx), Names(tx)
    identifiers = [list(map(named, event.split())) for event in events]
    names.id("uid"), names.id("customer_id")  # what is interned is committed at once
    locks.look()
    load_identifiers(tx, names, graph, chain.from_iterable(identifiers))
    locks.take(graph, identifiers, Needs())
    assert locks.stand()
    return locks


@SEVERAL_WRITE
def test_batches_about_different_people_do_not_wait_for_each_other(database: Database) -> None:
    """Waiting would end in an error here: the other transaction ends after this one."""
    with database.transaction(alone=False) as other:
        locked(other, "uid:1")
        assert taken_alone(database, "uid:2").decision is not None


KNOWN: Final = ("customer_id:ann", "uid:1")


@SEVERAL_WRITE
def test_batches_that_only_confirm_what_is_known_do_not_wait_for_each_other(database: Database) -> None:
    """Waiting would end in an error here: the other transaction ends after this one."""
    taken_alone(database, *KNOWN)
    with database.transaction(alone=False) as other:
        locked(other, " ".join(KNOWN))
        event = permitted(make_event("2", *KNOWN))
        assert Ingest(database, default_rules(), SECRET).take([event])[0].decision is not None


MAY_CHANGE: Final[list[Any]] = [
    pytest.param(["customer_id:ann uid:1"], False, id="an event that confirms what is known"),
    pytest.param(["uid:1", "uid:bob"], False, id="two events about two people"),
    pytest.param(["uid:1 uid:2"], True, id="an event that may link an unseen identifier"),
    pytest.param(["uid:1 uid:bob"], True, id="an event that names two people"),
    pytest.param(["uid:1", "uid:1 uid:2"], True, id="an event that changes nothing, and one that may"),
]


@SEVERAL_WRITE
@pytest.mark.parametrize(("events", "alone"), MAY_CHANGE)
def test_a_person_is_locked_for_one_batch_alone_where_an_event_may_change_something(
    database: Database, events: Sequence[str], alone: bool
) -> None:
    people = [permitted(make_event("1", *KNOWN)), permitted(make_event("2", "customer_id:bob", "uid:bob"))]
    (ann, _) = (taken.decision for taken in Ingest(database, default_rules(), SECRET).take(people))
    assert ann is not None
    assert ann.profile is not None
    with database.transaction(alone=False) as tx:
        locks = locked(tx, *events)
        locks.check_profiles([ann.profile])
        with nullcontext() if alone else pytest.raises(Unlocked):
            locks.settle()


@SEVERAL_WRITE
def test_a_batch_that_never_finds_locked_what_it_needs_is_taken_alone(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    chance = Random(1)
    tries: list[bool] = []
    original = Locks.stand

    def others_came_first(locks: Locks) -> bool:
        tries.append(locks._tx.alone)
        return original(locks) and False

    monkeypatch.setattr(onefold.engine.locking, "_lock_of", lambda *_: chance.randrange(2**60))
    monkeypatch.setattr(Locks, "stand", others_came_first)
    assert taken_alone(database, "uid:1").decision is not None
    assert tries == [False] * 5 + [True]
    check_replay(database)


@SEVERAL_WRITE
def test_what_others_committed_before_a_batch_had_its_locks_is_read_again(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other one links the browser to somebody between this one's first look and its locks."""
    original = Locks.take

    def late(locks: Locks, *arguments: Any) -> None:
        monkeypatch.undo()
        taken_alone(database, *KNOWN)
        original(locks, *arguments)

    monkeypatch.setattr(Locks, "take", late)
    found = Ingest(database, default_rules(), SECRET).take([permitted(make_event("2", "uid:1"))])
    assert [taken.decision.outcome for taken in found if taken.decision] == ["attached"]
    check_replay(database)


@SEVERAL_WRITE
def test_an_event_that_another_process_took_a_moment_ago_is_a_duplicate(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also when it was not there yet as this process looked, and is about somebody else."""
    assert taken_alone(database, "uid:1").decision is not None
    looked: list[int] = []

    def too_early(reader: Reader, names: Names, event_ids: Sequence[str]) -> Callable[[], set[str]]:
        looked.append(len(event_ids))
        return set if len(looked) == 1 else ask_known_events(reader, names, event_ids)

    monkeypatch.setattr(onefold.engine.ingest, "ask_known_events", too_early)
    assert taken_alone(database, "uid:2").duplicate
    assert len(looked) == 2
    assert len(pictures.journal(database)) == 1


ISOLATION: Final = """
do $$ begin
  execute format('alter database %I {} default_transaction_isolation {}', current_database());
end $$
"""


@SEVERAL_WRITE
def test_the_isolation_that_a_server_takes_for_granted_does_not_matter(database: Database) -> None:
    change(database, ISOLATION.format("set", "= serializable"))
    try:
        became = sent(database, 400)
        assert set(became) <= {"created", "attached", "merged", "duplicate"}
        check_replay(database)
    finally:
        change(database, ISOLATION.format("reset", ""))
