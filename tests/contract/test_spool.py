"""While the store is slow or away, what was accepted waits on disk, is brought to the store once, and changes nothing
but the time.
"""

import errno
import os
import re
import stat
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import pytest

from onefold.config import Config, Site, StoreConfig
from onefold.core.assertions import Assertion
from onefold.core.consent import Permitted
from onefold.core.decision import Decision
from onefold.core.event import Event
from onefold.core.graph import Graph
from onefold.core.identifiers import Identifier, profile_id
from onefold.core.resolve import resolve
from onefold.core.rules import default_rules, parse_rules
from onefold.engine import ask
from onefold.engine.doctor import examine
from onefold.engine.ingest import Ingest, Taken
from onefold.engine.reconcile import Reconciler
from onefold.engine.spool import Spool, Spooled, survey, unpack
from onefold.engine.verify import verify
from onefold.errors import OnefoldError
from onefold.store.database import Database, Transaction
from support import pictures
from support.outcome import hashed
from support.streams import SECRET, make_event, permitted
from support.web import PATIENCE_MS


def server_event(event_id: str, *identifiers: str, **more: Any) -> Permitted:
    """An event of a back end, which is told ids."""
    return permitted(make_event(event_id, *identifiers, source="server", verified=True, **more))


class Outage:
    """A store that can be away (every transaction fails) or hang (every transaction waits)."""

    def __init__(self, database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
        self.away = False
        self.goes_on = threading.Event()
        self.goes_on.set()
        self.hanging = threading.Event()
        self.tried = 0
        self._transaction = database.transaction
        monkeypatch.setattr(database, "transaction", self._troubled)

    @contextmanager
    def _troubled(self, alone: bool = True) -> Iterator[Transaction]:
        self.tried += 1
        if not self.goes_on.is_set():
            self.hanging.set()
            self.goes_on.wait()
        if self.away:
            raise OnefoldError("unavailable", "away")
        with self._transaction(alone) as tx:
            yield tx


class Endpoint:
    """An engine with its spool, and the store behind it."""

    def __init__(self, database: Database, folder: Path, budget_ms: int = PATIENCE_MS, **under: Any) -> None:
        self.database = database
        self.folder = folder
        self.rules = parse_rules(under)
        self.spool = Spool(folder)
        self.ingest = Ingest(database, self.rules, SECRET, spool=self.spool, budget_ms=budget_ms)
        self.ingest.adopt(under, 0)
        self.reconciler = Reconciler(self.ingest, self.spool)

    def take(self, *events: Permitted) -> list[Taken]:
        """Take events in one call."""
        return self.ingest.take(events)

    def journal(self) -> list[str]:
        """The ids of the journal's events, in order."""
        return [written.event.event_id for written in pictures.journal(self.database) if written.event.body == {}]

    def close(self) -> None:
        """End it as a process does that is told to."""
        self.reconciler.stop()
        self.ingest.close()
        self.spool.close()


@pytest.fixture
def outage(database: Database, monkeypatch: pytest.MonkeyPatch) -> Outage:
    """The store's trouble, none at first."""
    return Outage(database, monkeypatch)


@pytest.fixture
def endpoint(outage: Outage, database: Database, tmp_path: Path) -> Iterator[Endpoint]:
    """An endpoint on a store that can be in trouble; in the end the graph must be what its journal gives."""
    found = Endpoint(database, tmp_path / "spool")
    yield found
    found.close()
    assert verify(database, found.rules, SECRET).differences == []


def test_events_taken_while_the_store_is_away_are_in_the_journal_in_order_when_it_is_back(
    outage: Outage, endpoint: Endpoint
) -> None:
    outage.away = True
    taken = [endpoint.take(permitted(make_event(str(n), f"uid:{n}", "customer_id:ann"))) for n in range(5)]
    assert all(item.spooled and not item.failed for (item,) in taken)
    assert not endpoint.reconciler.drain()
    outage.away = False
    assert endpoint.reconciler.drain()
    assert endpoint.journal() == ["0", "1", "2", "3", "4"]
    assert survey(endpoint.folder).events == 0


def test_an_event_that_waits_behind_a_hanging_commit_is_taken_back_and_spooled(
    outage: Outage, database: Database, tmp_path: Path
) -> None:
    endpoint = Endpoint(database, tmp_path / "spool", budget_ms=50)
    outage.goes_on.clear()
    (first,) = endpoint.take(permitted(make_event("in the commit", "uid:1")))
    outage.hanging.wait()
    endpoint.ingest.store_away = False
    (second,) = endpoint.take(permitted(make_event("in the queue", "uid:2")))
    assert (first.spooled, second.spooled) == (True, True)
    outage.goes_on.set()
    assert endpoint.reconciler.drain()
    assert sorted(endpoint.journal()) == ["in the commit", "in the queue"]
    endpoint.close()


def test_an_event_that_was_spooled_and_committed_late_as_well_counts_once(
    outage: Outage, database: Database, tmp_path: Path
) -> None:
    endpoint = Endpoint(database, tmp_path / "spool", budget_ms=50)
    endpoint.ingest.take([permitted(make_event("ann", "customer_id:ann", "uid:1"))])
    outage.goes_on.clear()
    (taken,) = endpoint.take(server_event("1", "uid:1"))
    outage.goes_on.set()
    endpoint.ingest.close()  # the late commit is through
    assert endpoint.journal() == ["ann", "1"]
    assert endpoint.reconciler.drain()
    assert endpoint.journal() == ["ann", "1"]
    assert [entry["fallback"] for entry in ledger(database, "reconciled")] == [taken.fallback]
    endpoint.close()
    assert verify(database, endpoint.rules, SECRET).differences == []


def test_nobody_waits_for_a_store_that_is_known_to_be_away(outage: Outage, endpoint: Endpoint) -> None:
    outage.away = True
    endpoint.take(permitted(make_event("1", "uid:1")))
    tried = outage.tried
    endpoint.take(permitted(make_event("2", "uid:1")))
    assert outage.tried == tried
    outage.away = False
    endpoint.reconciler.drain()
    assert not endpoint.take(permitted(make_event("3", "uid:1")))[0].spooled


def test_the_store_counts_as_back_as_soon_as_it_commits(outage: Outage, endpoint: Endpoint) -> None:
    """Without anything in the spool: a probe is enough."""
    endpoint.ingest.store_away = True
    assert endpoint.reconciler.drain()
    assert not endpoint.ingest.store_away


def ledger(database: Database, kind: str) -> list[dict[str, Any]]:
    """The ledger's entries of one kind."""
    return [entry for entry in ask.ledger_entries(database) if entry["kind"] == kind]


FALLBACKS: Final = [
    pytest.param([], ["customer_id:ann", "uid:1"], None, id="nobody was known: the fallback id is the profile's"),
    pytest.param(["uid:1"], ["customer_id:ann", "uid:1"], "uid:1", id="a browser was known: its profile goes on"),
    pytest.param(["email_hash:e", "uid:1"], ["uid:1"], "email_hash:e", id="the browser belongs to somebody"),
    pytest.param(["customer_id:ann"], ["customer_id:ann", "uid:2"], None, id="the person founded the profile"),
]


@pytest.mark.parametrize(("known", "sent", "founder"), FALLBACKS)
def test_a_back_end_is_told_a_fallback_id_and_the_ledger_says_whose_it_is(
    outage: Outage, endpoint: Endpoint, known: list[str], sent: list[str], founder: str | None
) -> None:
    if known:
        endpoint.take(permitted(make_event("known", *map(hashed, known))))
    outage.away = True
    (taken,) = endpoint.take(server_event("asked", *sent))
    assert taken.fallback == profile_id(SECRET, Identifier.parse(sent[0]))
    outage.away = False
    endpoint.reconciler.drain()
    wanted = [] if founder is None else [profile_id(SECRET, Identifier.parse(hashed(founder)))]
    found = ledger(endpoint.database, "reconciled")
    assert [entry["profile"] for entry in found] == wanted
    assert all((e["fallback"], e["answered_event_id"]) == (taken.fallback, "asked") for e in found)


def test_a_file_that_is_brought_twice_is_reconciled_once(outage: Outage, endpoint: Endpoint) -> None:
    """A process may die after the store has everything and before the file is gone."""
    endpoint.take(permitted(make_event("known", "uid:1")))
    outage.away = True
    (taken,) = endpoint.take(server_event("asked", "customer_id:ann", "uid:1"))
    outage.away = False
    endpoint.reconciler.drain()
    endpoint.spool.append([Spooled(server_event("asked", "customer_id:ann", "uid:1").event, taken.fallback)])
    endpoint.reconciler.drain()
    assert endpoint.journal() == ["known", "asked"]
    assert len(ledger(endpoint.database, "reconciled")) == 1


@pytest.mark.parametrize("source", ["sensor", "cross_domain"])
def test_a_page_has_no_fallback_id(outage: Outage, endpoint: Endpoint, source: str) -> None:
    outage.away = True
    (taken,) = endpoint.take(permitted(make_event("1", "uid:1", source=source)))
    assert (taken.spooled, taken.fallback) == (True, None)
    outage.away = False
    endpoint.reconciler.drain()
    assert ledger(endpoint.database, "reconciled") == []


def test_what_is_refused_whatever_the_graph_holds_is_refused_at_once(outage: Outage, endpoint: Endpoint) -> None:
    outage.away = True
    nothing, two, fine = endpoint.take(
        permitted(make_event("1", "uid:null")),
        permitted(make_event("2", "customer_id:ann", "customer_id:bob")),
        permitted(make_event("3", "uid:1", "uid:null")),
    )
    codes = [taken.decision and taken.decision.code for taken in (nothing, two, fine)]
    assert codes == ["no_identifiers", "contradictory_identifiers", None]
    assert fine.decision is not None
    assert [step.code for step in fine.decision.trace] == ["blocked_identifier"]
    assert survey(endpoint.folder).events == 1


def test_what_the_rules_refuse_when_its_turn_comes_is_left_out(
    outage: Outage, database: Database, tmp_path: Path
) -> None:
    before = Endpoint(database, tmp_path / "spool", identifiers={"uid": {}, "badge": {}})
    outage.away = True
    before.take(permitted(make_event("1", "badge:1")), permitted(make_event("2", "uid:1")))
    before.close()
    outage.away = False
    after = Endpoint(database, tmp_path / "spool", identifiers={"uid": {}})
    after.spool.adopt()
    assert after.reconciler.drain()
    assert after.journal() == ["2"]
    after.close()


def test_what_an_operator_may_have_allowed_is_not_refused_before_the_assertions_are_heard(
    outage: Outage, endpoint: Endpoint, database: Database, tmp_path: Path
) -> None:
    ann, bob = Identifier("customer_id", "ann"), Identifier("customer_id", "bob")
    endpoint.ingest.say(Assertion("join", ann, bob, "op", "one person"), 0)
    started = Ingest(database, endpoint.rules, SECRET, spool=Spool(tmp_path / "another"), budget_ms=PATIENCE_MS)

    def became(event_id: str, *identifiers: str) -> bool:
        started.store_away = True
        (taken,) = started.take([permitted(make_event(event_id, *identifiers))])
        return taken.spooled

    assert became("1", "customer_id:ann", "customer_id:bob")
    assert became("2", "customer_id:ann", "customer_id:cid")
    started.adopt({}, 0)
    assert became("3", "customer_id:ann", "customer_id:bob")
    assert not became("4", "customer_id:ann", "customer_id:cid")
    started.close()


def test_the_spool_holds_no_value_that_the_journal_would_not_hold(outage: Outage, endpoint: Endpoint) -> None:
    outage.away = True
    endpoint.take(permitted(make_event("1", "uid:1", "email_hash:in-the-clear", "shoe_size:forty-two")))
    kept = b"".join(path.read_bytes() for path in endpoint.folder.iterdir())
    assert [word for word in (b"in-the-clear", b"shoe_size", b"forty-two") if word in kept] == []
    outage.away = False
    endpoint.reconciler.drain()
    assert endpoint.journal() == ["1"]


def test_a_withdrawal_of_consent_waits_like_everything_else(outage: Outage, endpoint: Endpoint) -> None:
    outage.away = True
    event = make_event("1", "uid:1", kind="consent_update", tier="T4")
    (taken,) = endpoint.take(permitted(event))
    assert taken.spooled
    outage.away = False
    endpoint.reconciler.drain()
    assert len(pictures.journal(endpoint.database)) == 1


def test_an_event_on_which_the_endpoint_fails_is_kept_aside_and_can_be_tried_again(
    outage: Outage, endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    outage.away = True
    endpoint.take(permitted(make_event("1", "uid:1")), permitted(make_event("2", "uid:2")))
    outage.away = False

    def failing(graph: Graph, event: Permitted, *others: Any) -> Decision:
        if event.event.event_id == "1":
            raise ZeroDivisionError("a defect")
        return resolve(graph, event, *others)

    monkeypatch.setattr("onefold.engine.advance.resolve", failing)
    endpoint.reconciler.drain()
    assert survey(endpoint.folder).aside == 1
    assert endpoint.journal() == ["2"]
    (failed,) = endpoint.folder.glob("*.failed")
    failed.rename(failed.with_suffix(""))
    monkeypatch.undo()
    endpoint.spool.adopt()
    assert endpoint.reconciler.drain()
    assert endpoint.journal() == ["2", "1"]


# The files.


def spooled(event_id: str) -> Spooled:
    """One event as the spool holds it."""
    return Spooled(make_event(event_id, f"uid:{event_id}", body={"page_url": "https://brand-a.example/"}))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where a spool may be."""
    return tmp_path / "spool"


def held(spool: Spool) -> list[str]:
    """The ids of everything in a spool, oldest first; empties it."""
    found: list[Event] = []
    while (segment := spool.oldest()) is not None:
        found += [unpack(record).event for record in segment.records()]
        spool.remove(segment)
    return [event.event_id for event in found]


def left_behind(folder: Path, *event_ids: str) -> Path:
    """The file of a process that is gone."""
    spool = Spool(folder)
    for event_id in event_ids:
        spool.append([spooled(event_id)])
    spool.close()
    (path,) = folder.glob("*.spool")
    return path


def test_what_is_read_is_what_was_written(folder: Path) -> None:
    spool = Spool(folder)
    spool.append([spooled("1"), Spooled(server_event("2", "customer_id:ann").event, "of_x")])
    segment = spool.oldest()
    assert segment is not None
    plain, told = map(unpack, segment.records())
    assert (plain, told.fallback, told.event.verified) == (spooled("1"), "of_x", True)
    spool.close()


def test_files_can_be_read_by_their_owner_alone(folder: Path) -> None:
    path = left_behind(folder, "1")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_full_files_follow_one_another(folder: Path) -> None:
    spool = Spool(folder, segment_bytes=1)
    for number in range(12):
        spool.append([spooled(str(number))])
    assert spool.waiting().files == 12
    assert held(spool) == [str(number) for number in range(12)]
    spool.close()
    assert list(folder.iterdir()) == []


def test_the_file_of_a_living_process_is_left_alone_and_that_of_a_dead_one_adopted(folder: Path) -> None:
    living, other = Spool(folder), Spool(folder)
    living.append([spooled("1")])
    other.adopt()
    assert other.oldest() is None
    living.close()
    other.adopt()
    other.adopt()
    assert held(other) == ["1"]


def test_a_file_that_was_begun_and_left_is_swept_up(folder: Path) -> None:
    folder.mkdir()
    for name in ("long ago", "just now"):
        (folder / f"{name}.new").write_bytes(b"onef")
    os.utime(folder / "long ago.new", (0, 0))
    Spool(folder).adopt()
    assert [path.name for path in folder.iterdir()] == ["just now.new"]


def test_a_disk_that_fails_under_a_living_process_is_reported_too(endpoint: Endpoint) -> None:
    for event_id in ("1", "2", "3"):
        endpoint.spool.append([Spooled(make_event(event_id, "uid:1"))])
    (path,) = endpoint.folder.glob("*.spool")
    content = path.read_bytes()
    path.write_bytes(flipped(3)(content))
    assert endpoint.reconciler.drain()
    assert endpoint.journal() == ["1", "2"]
    (aside,) = endpoint.folder.glob("*.torn")
    assert flipped(3)(content).endswith(aside.read_bytes())


def cut(count: int) -> Callable[[bytes], bytes]:
    """Without the last bytes."""
    return lambda content: content[:-count]


def flipped(at: int) -> Callable[[bytes], bytes]:
    """With one byte wrong, counted from the end."""
    return lambda content: content[:-at] + bytes([content[-at] ^ 1]) + content[len(content) - at + 1 :]


DAMAGE: Final = [
    pytest.param(cut(1), ["1", "2"], id="the last byte is missing"),
    pytest.param(cut(60), ["1", "2"], id="half of the last record is missing"),
    pytest.param(flipped(1), ["1", "2"], id="a byte of the last record is wrong"),
    pytest.param(lambda content: content + b"\x00", ["1", "2", "3"], id="a byte too many"),
    pytest.param(lambda content: content + bytes(4096), ["1", "2", "3"], id="a block of zeros behind the end"),
    pytest.param(lambda content: content + b"\xff" * 64, ["1", "2", "3"], id="noise behind the end"),
    pytest.param(lambda content: b"X" + content[1:], [], id="the beginning is not ours"),
    pytest.param(lambda content: content[:10], [], id="not even the beginning is whole"),
    pytest.param(lambda content: b"", [], id="an empty file"),
]


@pytest.mark.parametrize(("damage", "kept"), DAMAGE)
def test_a_damaged_file_gives_what_is_whole_and_the_rest_is_kept_aside(
    folder: Path, damage: Callable[[bytes], bytes], kept: list[str]
) -> None:
    path = left_behind(folder, "1", "2", "3")
    content = path.read_bytes()
    path.write_bytes(damage(content))
    spool = Spool(folder)
    spool.adopt()
    assert held(spool) == kept
    aside = b"".join(found.read_bytes() for found in folder.glob("*.torn"))
    damaged = damage(content)
    assert damaged.endswith(aside)
    assert survey(folder).aside == (1 if aside else 0)
    assert bool(aside) is (damaged != b"")


def test_any_wrong_byte_of_a_record_is_noticed(folder: Path) -> None:
    path = left_behind(folder, "1")
    content = path.read_bytes()
    for at in range(16, len(content)):
        path.write_bytes(flipped(len(content) - at)(content))
        spool = Spool(folder)
        spool.adopt()
        assert held(spool) == []
        for found in folder.iterdir():
            found.unlink()


def test_a_record_that_this_version_cannot_read_is_kept_aside(endpoint: Endpoint) -> None:
    endpoint.spool.append([spooled("1")])
    segment = endpoint.spool.oldest()
    assert segment is not None
    segment.append([b"of another version"])
    assert endpoint.reconciler.drain()
    assert endpoint.journal() == []
    assert len(pictures.journal(endpoint.database)) == 1
    assert survey(endpoint.folder).aside == 1


def test_a_file_of_which_nothing_can_be_read_holds_nothing_up(outage: Outage, endpoint: Endpoint) -> None:
    endpoint.spool.append([spooled("1")])
    segment = endpoint.spool.oldest()
    assert segment is not None
    segment.append([b"of another version"] * 150)
    outage.away = True
    endpoint.ingest.store_away = True
    endpoint.take(permitted(make_event("2", "uid:2")))
    outage.away = False
    assert endpoint.reconciler.drain()
    assert endpoint.journal() == ["2"]


def test_what_is_refused_begins_no_file(outage: Outage, endpoint: Endpoint) -> None:
    outage.away = True
    endpoint.take(permitted(make_event("1", "uid:null")))
    assert not endpoint.folder.exists()


def test_a_full_disk_is_unavailable_and_takes_nothing_back(
    outage: Outage, endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    outage.away = True
    endpoint.take(permitted(make_event("before", "uid:1")))
    write = os.write

    def half(descriptor: int, data: bytes) -> int:
        if len(data) > 40:
            return write(descriptor, data[:40])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as full:
        full.setattr(os, "write", half)
        with pytest.raises(OnefoldError, match="No space left") as refused:
            endpoint.take(permitted(make_event("during", "uid:1")))
    assert refused.value.code == "unavailable"
    endpoint.take(permitted(make_event("after", "uid:1")))
    outage.away = False
    assert endpoint.reconciler.drain()
    assert endpoint.journal() == ["before", "after"]
    assert survey(endpoint.folder).aside == 0


def test_threads_that_come_together_share_syncs(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first sync takes until everybody is there."""
    spool = Spool(folder)
    everybody, syncs = threading.Barrier(20), []
    came = threading.Event()
    sync = os.fdatasync

    def slow(descriptor: int) -> None:
        came.wait()
        syncs.append(descriptor)
        sync(descriptor)

    def append(number: int) -> None:
        if everybody.wait() == 0:
            came.set()
        spool.append([spooled(str(number))])

    monkeypatch.setattr(os, "fdatasync", slow)
    threads = [threading.Thread(target=append, args=(number,)) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(syncs) < 20
    assert sorted(held(spool), key=int) == [str(n) for n in range(20)]
    spool.close()


def test_the_default_rules_need_no_spool(database: Database) -> None:
    """An engine without one says so when the store is away."""
    ingest = Ingest(database, default_rules(), SECRET)
    assert not ingest.take([permitted(make_event("1", "uid:1"))])[0].spooled


def test_a_last_attempt_is_made_when_the_process_ends(outage: Outage, database: Database, folder: Path) -> None:
    endpoint = Endpoint(database, folder)
    endpoint.reconciler.start()
    outage.away = True
    endpoint.take(permitted(make_event("1", "uid:1")))
    outage.away = False
    endpoint.close()
    assert endpoint.journal() == ["1"]
    assert list(folder.iterdir()) == []


def test_what_a_store_that_is_away_does_not_take_is_left_to_the_next_process(
    outage: Outage, database: Database, folder: Path
) -> None:
    endpoint = Endpoint(database, folder)
    endpoint.reconciler.start()
    outage.away = True
    endpoint.take(permitted(make_event("1", "uid:1")))
    endpoint.close()
    assert survey(folder).events == 1


# What the doctor says.


def findings(endpoint: Endpoint) -> dict[str, tuple[str, str]]:
    """Verdict and detail of each check."""
    config = Config(
        sites=(Site("shop", ("https://shop.example",)),), store=StoreConfig(spool_path=str(endpoint.folder))
    )
    found = examine(config, endpoint.rules, SECRET, endpoint.database, replay=True)
    return {finding.check: (finding.verdict, finding.detail) for finding in found}


def test_the_doctor_tells_what_waits_and_for_how_long(
    outage: Outage, endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert findings(endpoint)["spool"] == ("ok", "nothing waits")
    outage.away = True
    endpoint.take(permitted(make_event("1", "uid:1")), permitted(make_event("2", "uid:2")))
    assert findings(endpoint)["spool"][0] == "ok"
    with monkeypatch.context() as later:
        now = time.time()
        later.setattr(time, "time", lambda: now + 90)
        verdict, detail = findings(endpoint)["spool"]
    assert verdict == "look"
    assert re.fullmatch(r"2 events wait in .*, the oldest file for (89|90|91) seconds", detail)


def test_the_doctor_tells_what_was_kept_aside(endpoint: Endpoint) -> None:
    path = left_behind(endpoint.folder, "1", "2")
    path.write_bytes(path.read_bytes()[:-1])
    endpoint.spool.adopt()
    assert findings(endpoint)["spool kept aside"][0] == "bad"


def test_the_doctor_says_that_the_database_is_away_and_what_it_can_besides(
    endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away() -> Iterator[None]:
        raise OnefoldError("unavailable", "away")

    monkeypatch.setattr(endpoint.database, "snapshot", away)
    found = findings(endpoint)
    assert found["database"] == ("bad", "away")
    assert found["spool"][0] == "ok"
    monkeypatch.undo()
