"""What a batch locks before it reads, where several processes write to one database.

What is known of an identifier that somebody owns changes only under its owner's lock; of one that nobody owns, under
its own. So a batch locks the owners of what it names and whatever of it has no owner, all at once and in one order,
and only then takes its journal positions: of two batches that touch the same people, the one with the smaller
positions has committed before the other one reads. That is why a replay in the order of the journal decides alike, and
why the smaller key is the older profile. Most events only confirm what is known. They change nothing, so that their
owner may be locked by several batches at once, each of which only keeps it from changing.

Who owns what is looked up by the statement that locks, and read again when the locks are there. Which of the
identifiers are shared is known only then: what stands in for those is locked where nobody else has it locked.

What turns out to be needed later was not locked when the positions were taken. Then the batch is undone and begun
again, with that locked too.
"""

from collections.abc import Iterable, Sequence
from zlib import crc32

from onefold.core.graph import Graph, Node
from onefold.core.identifiers import Identifier
from onefold.store.database import MAY_CHANGE, Answer, Transaction
from onefold.store.graph_store import lock_identifiers
from onefold.store.names import Names


class Needs:
    """Identifiers and profiles that a batch turned out to need."""

    def __init__(self) -> None:
        self.identifiers: set[Identifier] = set()
        self.profiles: set[int] = set()

    def add(self, more: "Needs") -> None:
        """Need these too."""
        self.identifiers |= more.identifiers
        self.profiles |= more.profiles


class Unlocked(Exception):
    """The batch needs what it has not locked: begin again with that."""

    def __init__(self, needs: Needs) -> None:
        super().__init__("not locked")
        self.needs = needs


class Locks:
    """The locks of one transaction. Who is alone holds everything.

    A batch that lacks one goes on, to learn what else it lacks, until it `settle`s: before it writes.
    """

    def __init__(self, tx: Transaction, names: Names) -> None:
        self._tx = tx
        self._names = names
        self._asked: list[Answer] = []
        self._held: set[int] = set()
        self._held_alone: set[int] = set()
        self._lacking = Needs()

    def take(self, named: Iterable[Sequence[Identifier]], needs: Needs) -> None:
        """Lock the owners of what events name, and all that is needed; to be called once."""
        if not self._tx.alone:
            events = [*enumerate(named), (MAY_CHANGE, needs.identifiers)]
            rows = [(number, identifier, _own_lock(identifier)) for number, event in events for identifier in event]
            self._asked.append(lock_identifiers(self._tx, self._names, rows, list(needs.profiles), wait=True))

    def add(self, identifiers: Sequence[Identifier]) -> None:
        """Lock the owners of these identifiers too, where nobody else does now."""
        if identifiers and not self._tx.alone:
            rows = [(MAY_CHANGE, identifier, _own_lock(identifier)) for identifier in identifiers]
            self._asked.append(lock_identifiers(self._tx, self._names, rows, [], wait=False))

    def check(self, graph: Graph, identifiers: Iterable[Identifier]) -> None:
        """Note which of these, just read, are not locked."""
        if not self._tx.alone:
            self._hear()
            lacking = (found for found in identifiers if _lock_of(found, graph.nodes[found]) not in self._held)
            self._lacking.identifiers.update(lacking)

    def check_profiles(self, keys: Iterable[int]) -> None:
        """Note which of these profiles, which may change, others may have locked as well."""
        if not self._tx.alone:
            self._hear()
            self._lacking.profiles.update(set(keys) - self._held_alone)

    def settle(self) -> None:
        """Raise Unlocked where something was not locked."""
        if self._lacking.identifiers or self._lacking.profiles:
            raise Unlocked(self._lacking)

    def _hear(self) -> None:
        while self._asked:
            for key, alone, *_ in self._asked.pop()():
                self._held.add(key)
                if alone:
                    self._held_alone.add(key)


def _lock_of(identifier: Identifier, node: Node | None) -> int:
    """The lock under which what is known of an identifier changes: its owner's key, or its own."""
    return _own_lock(identifier) if node is None or node.owner is None else node.owner


def _own_lock(identifier: Identifier) -> int:
    """A number below all profiles' keys. Two identifiers that share one only wait for each other."""
    return -1 - crc32(str(identifier).encode())
