"""Where questions are asked: the stored graph as it is, or the graph as it was at a time."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import Protocol

from onefold.core.assertions import Assertions
from onefold.core.graph import Graph, Node, NotLoaded, Profile
from onefold.core.heal import Plan, reresolve
from onefold.core.identifiers import Identifier, pack_profile_id
from onefold.core.rules import Rules
from onefold.engine.advance import assertion_of
from onefold.engine.history import Journal, Progress, Replay
from onefold.engine.memory import MemoryRun, long_run
from onefold.store.database import Database
from onefold.store.graph_store import (
    Sighting,
    Written,
    load_identifiers,
    load_owner,
    load_profiles,
    sharers,
    sightings_in,
    sightings_of,
    written_at,
    written_of,
)


class Situation(Protocol):
    """A graph and its past, at one moment."""

    @property
    def rules(self) -> Rules:
        """The rules that hold."""

    @property
    def assertions(self) -> Assertions:
        """The assertions in force."""

    def node(self, identifier: Identifier) -> Node | None:
        """What is known of an identifier."""

    def profile(self, key: int) -> Profile:
        """A profile, whole."""

    def written(self, keys: Iterable[int]) -> list[Written]:
        """The journal entries that belong to these profiles or to what they absorbed, in order."""

    def sightings(self, key: int) -> Iterable[Sighting]:
        """The identifiers that a profile's journal entries brought, where they were seen and when, in order."""

    def written_at(self, seq: int) -> Written | None:
        """The journal entry at a position."""

    def said(self) -> list[Written]:
        """The journaled assertions, in order."""

    def key_of(self, public_id: str) -> int | None:
        """The surviving profile that an id leads to."""

    def sharers(self, shared: Identifier) -> list[int]:
        """The profiles a shared identifier is linked to, oldest first."""

    def again(self, key: int, entries: Iterable[Written]) -> Plan:
        """A profile resolved again from some of its entries; the graph stays as it is."""


class Present:
    """The stored graph, read as it is asked for."""

    def __init__(self, journal: Journal, rules: Rules) -> None:
        self._rules = rules
        self._journal = journal
        self._graph = Graph(b"", complete=False)

    @property
    def rules(self) -> Rules:
        """The rules that hold."""
        return self._rules

    @cached_property
    def assertions(self) -> Assertions:
        """The assertions in force."""
        return Assertions(assertion_of(written.event) for written in self.said())

    def node(self, identifier: Identifier) -> Node | None:
        """What is known of an identifier. Its owner is read with it: whoever asks for one wants the other."""
        if identifier not in self._graph.nodes:
            load_owner(self._journal.reader, self._journal.names, self._graph, identifier)
        if identifier not in self._graph.nodes:
            load_identifiers(self._journal.reader, self._journal.names, self._graph, [identifier])
        return self._graph.node(identifier)

    def profile(self, key: int) -> Profile:
        """A profile, whole."""
        if key not in self._graph.profiles:
            load_profiles(self._journal.reader, self._journal.names, self._graph, [key])
        found = self._graph.profile(key)
        if found.shares:  # whoever shows it asks for each of them
            load_identifiers(self._journal.reader, self._journal.names, self._graph, found.shares)
        return found

    def survivor(self, key: int) -> int:
        """The profile that a key stands for."""
        self.profile(key)
        return self._graph.survivor(key)

    def written(self, keys: Iterable[int]) -> list[Written]:
        """The journal entries of these profiles."""
        wanted = {other for key in keys for other in (key, *self.profile(key).absorbed)}
        return written_of(self._journal.reader, self._journal.names, sorted(wanted))

    def sightings(self, key: int) -> list[Sighting]:
        """Where the identifiers of a profile were seen, and when last."""
        return sightings_of(self._journal.reader, self._journal.names, [key, *self.profile(key).absorbed])

    def written_at(self, seq: int) -> Written | None:
        """The journal entry at a position."""
        return next(iter(written_at(self._journal.reader, self._journal.names, [seq])), None)

    def said(self) -> list[Written]:
        """The journaled assertions."""
        return self._journal.assertions()

    def key_of(self, public_id: str) -> int | None:
        """The surviving profile that an id leads to."""
        row = self._journal.reader.one("profile_by_id", pack_profile_id(public_id))
        if row is None:
            return None
        return int(row[0] if row[1] is None else row[1])

    def sharers(self, shared: Identifier) -> list[int]:
        """The profiles a shared identifier is linked to."""
        return sharers(self._journal.reader, self._journal.names, shared)

    def again(self, key: int, entries: Iterable[Written]) -> Plan:
        """A profile resolved again from some of its entries."""
        past = [(written.seq, written.event) for written in entries]
        self._graph.assertions = self.assertions
        while True:
            try:
                return reresolve(self._graph, [key], past, self._rules)
            except NotLoaded as missing:
                load_identifiers(self._journal.reader, self._journal.names, self._graph, missing.identifiers)
                load_profiles(self._journal.reader, self._journal.names, self._graph, missing.profiles)


class Past:
    """The graph as it was when everything up to a time had arrived, made by running the journal again."""

    def __init__(self, journal: Journal, rules: Rules, secret: bytes, at_ms: int, progress: Progress | None) -> None:
        replay = Replay(journal, rules, secret)
        self._last = 0
        with long_run():
            for written, _ in replay.through(at_ms, progress):
                self._last = written.seq
        self._journal = journal
        self._run: MemoryRun = replay.run

    @property
    def rules(self) -> Rules:
        """The rules that held."""
        return self._run.rules

    @property
    def assertions(self) -> Assertions:
        """The assertions that were in force."""
        return self._run.graph.assertions

    def node(self, identifier: Identifier) -> Node | None:
        """What was known of an identifier."""
        return self._run.graph.node(identifier)

    def profile(self, key: int) -> Profile:
        """A profile as it was."""
        return self._run.graph.profile(key)

    def written(self, keys: Iterable[int]) -> list[Written]:
        """The journal entries of these profiles then."""
        return written_at(self._journal.reader, self._journal.names, self._run.positions(keys))

    def sightings(self, key: int) -> Iterator[Sighting]:
        """Where the identifiers of a profile had been seen, and when."""
        return sightings_in(self.written([key]))

    def written_at(self, seq: int) -> Written | None:
        """The journal entry at a position."""
        return next(iter(written_at(self._journal.reader, self._journal.names, [seq])), None)

    def said(self) -> list[Written]:
        """The assertions journaled by then."""
        return [written for written in self._journal.assertions() if written.seq <= self._last]

    def key_of(self, public_id: str) -> int | None:
        """The surviving profile that an id led to."""
        profiles = self._run.graph.profiles
        found = next((key for key, profile in profiles.items() if profile.id == public_id), None)
        return None if found is None else self._run.graph.survivor(found)

    def sharers(self, shared: Identifier) -> list[int]:
        """The profiles a shared identifier was linked to."""
        return self._run.sharers().get(shared, [])

    def again(self, key: int, entries: Iterable[Written]) -> Plan:
        """A profile resolved again from some of its entries."""
        return reresolve(self._run.graph, [key], [(written.seq, written.event) for written in entries], self.rules)


@contextmanager
def situation(
    database: Database, rules: Rules, secret: bytes = b"", as_of_ms: int | None = None, progress: Progress | None = None
) -> Iterator[Situation]:
    """The situation now, or as of a time in ms; one consistent view for as long as it is open."""
    with database.snapshot() as reader:
        journal = Journal(reader)
        if as_of_ms is None:
            yield Present(journal, rules)
        else:
            yield Past(journal, rules, secret, as_of_ms, progress)
