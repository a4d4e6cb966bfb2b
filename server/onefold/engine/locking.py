"""What a batch locks before it reads, where several processes write to one database.

What is known of an identifier that somebody owns changes only under its owner's lock; of one that nobody owns, under
its own. So a batch locks the owners of what it names and whatever of it has no owner, all at once and in one order,
and only then takes its journal positions: of two batches that touch the same people, the one with the smaller
positions has committed before the other one reads. That is why a replay in the order of the journal decides alike, and
why the smaller key is the older profile.

What turns out to be needed later was not locked when the positions were taken. Then the batch is undone and begun
again, with that locked too.
"""

from collections.abc import Iterable
from hashlib import blake2b
from typing import Final

from onefold.core.graph import Graph, Node
from onefold.core.identifiers import Identifier
from onefold.store.database import Transaction

_SIZE: Final = 8


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

    def __init__(self, tx: Transaction) -> None:
        self._tx = tx
        self._held: set[int] = set()
        self._lacking = Needs()

    def take(self, seen: Graph, profiles: Iterable[int]) -> None:
        """Lock what a look without locks has shown, and these profiles; to be called once."""
        self._held = {_lock_of(identifier, node) for identifier, node in seen.nodes.items()}
        self._held.update(_profile_lock(key) for key in profiles)
        self._tx.lock(sorted(self._held))

    def check(self, graph: Graph, identifiers: Iterable[Identifier]) -> None:
        """Note which of these, just read, are not locked."""
        if not self._tx.alone:
            lacking = (found for found in identifiers if _lock_of(found, graph.nodes[found]) not in self._held)
            self._lacking.identifiers.update(lacking)

    def check_profiles(self, keys: Iterable[int]) -> None:
        """Note which of these profiles are not locked."""
        if not self._tx.alone:
            self._lacking.profiles.update(key for key in keys if _profile_lock(key) not in self._held)

    def settle(self) -> None:
        """Raise Unlocked where something was not locked."""
        if self._lacking.identifiers or self._lacking.profiles:
            raise Unlocked(self._lacking)


def _lock_of(identifier: Identifier, node: Node | None) -> int:
    """The lock under which what is known of an identifier changes."""
    if node is not None and node.owner is not None:
        return _profile_lock(node.owner)
    return _number(f"i{identifier}".encode())


def _profile_lock(key: int) -> int:
    return _number(b"p%d" % key)


def _number(name: bytes) -> int:
    """A lock's number. Two names that share one, which is next to impossible, only wait for each other."""
    return int.from_bytes(blake2b(name, digest_size=_SIZE).digest(), "big", signed=True)
