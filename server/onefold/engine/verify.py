"""`onefold replay --verify`: the journal run again in memory must give the stored graph and ledger, ids included."""

from collections.abc import Iterator
from itertools import islice, zip_longest
from typing import Final

import msgspec

from onefold.core.identifiers import Identifier, unpack_profile_id
from onefold.core.ledger import Entry
from onefold.core.rules import Rules
from onefold.engine.history import Journal, Progress, Replay
from onefold.engine.memory import MemoryRun, long_run
from onefold.store.database import Database, Reader
from onefold.store.names import Names
from onefold.store.packing import unpack_text

_PAGE: Final = 5_000
_AHEAD: Final = 100_000
_Comparable = tuple[str, str, str]


class Verified(msgspec.Struct, frozen=True):
    """How many journal entries were run again, and where the store differs; an empty list means it is equal."""

    entries: int
    differences: list[str]


def verify(
    database: Database, rules: Rules, secret: bytes, most: int = 20, progress: Progress | None = None
) -> Verified:
    """Compare the store with its own journal. At most `most` differences are named, the first ones."""
    with database.snapshot() as reader, long_run():
        journal = Journal(reader)
        replay = Replay(journal, rules, secret)
        differences = list(islice(_ledger(replay, reader, journal.names, progress), most))
        differences += islice(_graph(replay.run, reader, journal.names), most - len(differences))
        return Verified(journal.length(), differences)


def _ledger(replay: Replay, reader: Reader, names: Names, progress: Progress | None) -> Iterator[str]:
    """Run the journal, comparing attributions and ledger entries as they come."""
    stored = _StoredLedger(reader, names)
    for written, advanced in replay.through(progress=progress):
        if advanced.decision.outcome != written.decision.outcome:
            yield f"journal {written.seq}: was {written.decision.outcome}, run again {advanced.decision.outcome}"
        if advanced.entries:
            again = [_comparable(entry) for entry in advanced.entries]
            for given, kept in zip_longest(again, stored.of(written.seq, len(again))):
                if given != kept:
                    yield f"ledger: the journal gives {given}, the store has {kept}"
    for kept in stored.rest():
        yield f"ledger: the store has {kept}, the journal does not give it"


def _comparable(entry: Entry) -> _Comparable:
    """Kind, event and body; the body as the text that is stored."""
    return entry.kind, entry.event_id, msgspec.json.encode(entry.body).decode()


class _StoredLedger:
    """The stored ledger entries by the journal entry that caused them.

    Batches that were written at the same time stand in the ledger in the order in which they committed, in the journal
    in that in which they began. So a little of the ledger is read ahead.
    """

    def __init__(self, reader: Reader, names: Names) -> None:
        self._entries = _stored_ledger(reader, names)
        self._ahead: dict[int, list[_Comparable]] = {}

    def of(self, seq: int, count: int) -> list[_Comparable]:
        """The entries that the journal entry at `seq` caused; it should be `count`."""
        while len(self._ahead.get(seq, ())) < count and len(self._ahead) < _AHEAD and self._read():
            pass
        return self._ahead.pop(seq, [])

    def rest(self) -> Iterator[_Comparable]:
        """Those that nobody asked for."""
        for entries in self._ahead.values():
            yield from entries
        for _, entry in self._entries:
            yield entry

    def _read(self) -> bool:
        for seq, entry in self._entries:
            self._ahead.setdefault(seq, []).append(entry)
            return True
        return False


def _stored_ledger(reader: Reader, names: Names) -> Iterator[tuple[int, _Comparable]]:
    after = 0
    while rows := reader.all("ledger_after", after, _PAGE):
        for _, _, kind, event_id, body, journal_seq in rows:
            yield journal_seq, (names.text(kind), unpack_text(event_id), body)
        after = rows[-1][0]


def _graph(run: MemoryRun, reader: Reader, names: Names) -> Iterator[str]:
    yield from _profiles(run, reader)
    yield from _identifiers(run, reader, names)
    yield from _shares(run, reader, names)


def _profiles(run: MemoryRun, reader: Reader) -> Iterator[str]:
    after = count = 0
    while rows := reader.all("all_profiles", after, _PAGE):
        for key, digest, created_at, merged_into, *_ in rows:
            count += 1
            profile = run.graph.profiles.get(key)
            stored = (digest, created_at, merged_into)
            if profile is None:
                yield f"profile {key}: the store has {unpack_profile_id(digest)}, the journal gives none"
            elif stored != (profile.digest, profile.created_at, profile.merged_into):
                kept = (unpack_profile_id(digest), created_at, merged_into)
                again = (profile.id, profile.created_at, profile.merged_into)
                yield f"profile {key}: the store has {kept}, the journal gives {again}"
        after = rows[-1][0]
    if count != len(run.graph.profiles):
        yield f"profiles: the store has {count}, the journal gives {len(run.graph.profiles)}"


def stored_identifiers(reader: Reader, names: Names) -> Iterator[tuple[Identifier, int | None, bool, int]]:
    """Every identifier of the store with its owner, whether it is shared, and how many profiles it founded."""
    at: tuple[int, bytes] = (-1, b"")
    while rows := reader.all("all_identifiers", *at, _PAGE):
        for kind, value, owner, shared, founded in rows:
            yield Identifier(names.text(kind), unpack_text(value)), owner, bool(shared), founded
        at = rows[-1][:2]


def _identifiers(run: MemoryRun, reader: Reader, names: Names) -> Iterator[str]:
    count = 0
    for identifier, owner, shared, founded in stored_identifiers(reader, names):
        count += 1
        node = run.graph.nodes.get(identifier)
        again = None if node is None else (node.owner, node.shared, node.founded)
        if again != (owner, shared, founded):
            yield f"{identifier}: the store has {(owner, shared, founded)}, the journal gives {again}"
    known = sum(node is not None for node in run.graph.nodes.values())
    if count != known:
        yield f"identifiers: the store has {count}, the journal gives {known}"


def _shares(run: MemoryRun, reader: Reader, names: Names) -> Iterator[str]:
    stored = ((Identifier(names.text(kind), unpack_text(value)), key) for kind, value, key in reader.all("all_shares"))
    again = ((identifier, key) for identifier, keys in run.sharers().items() for key in keys)
    for ours, theirs in zip_longest(sorted(stored), sorted(again)):
        if ours != theirs:
            yield f"shared links: the store has {ours}, the journal gives {theirs}"
            return
