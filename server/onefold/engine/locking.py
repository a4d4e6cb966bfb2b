"""What a batch locks before it changes anything, where several processes write to one database.

What is known of an identifier that somebody owns changes only under its owner's lock; of one that nobody owns, under
its own. So a batch reads what it names, locks the owners and whatever has no owner, all at once and in one order, and
only then takes its journal positions: of two batches that touch the same people, the one with the smaller positions has
committed before the other one has its locks. That is why a replay in the order of the journal decides alike, and why
the smaller key is the older profile. Most events only confirm what is known. They change nothing, so that their owner
may be locked by several batches at once, each of which only keeps it from changing.

What was read before the locks were there holds if nothing has been committed meanwhile, which the database can tell.
Otherwise it is read again.

What turns out to be needed later was not locked when the positions were taken. Then the batch is undone and begun
again, with that locked too.
"""

from collections.abc import Iterable, Sequence
from zlib import crc32

from onefold.core.graph import Graph, Node
from onefold.core.identifiers import Identifier
from onefold.store.database import Answer, Transaction


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
        self._held: dict[int, bool] = {}
        self._lacking = Needs()
        self._before: Answer = list
        self._after: Answer = list

    def look(self) -> None:
        """Note how things stand: from here on the batch reads."""
        if not self._tx.alone:
            self._before = self._tx.moment()

    def take(self, graph: Graph, named: Iterable[Sequence[Identifier]], needs: Needs) -> None:
        """Lock the owners of what each event names, as `graph` has them, and all that is needed; to be called once."""
        if not self._tx.alone:
            self._held = _keys(graph, named, needs)
            self._tx.lock(sorted(self._held.items()))
            self._after = self._tx.moment()

    def stand(self) -> bool:
        """Whether what the batch has read since it looked is still so, now that it has its locks."""
        return self._tx.alone or list(self._before()) == list(self._after())

    def check(self, graph: Graph, identifiers: Iterable[Identifier]) -> None:
        """Note which of these, read under the locks, are not locked."""
        if not self._tx.alone:
            lacking = (found for found in identifiers if _lock_of(found, graph.nodes[found]) not in self._held)
            self._lacking.identifiers.update(lacking)

    def check_profiles(self, keys: Iterable[int]) -> None:
        """Note which of these profiles, which may change, others may have locked as well."""
        if not self._tx.alone:
            self._lacking.profiles.update(key for key in keys if not self._held.get(key))

    def settle(self) -> None:
        """Raise Unlocked where something was not locked."""
        if self._lacking.identifiers or self._lacking.profiles:
            raise Unlocked(self._lacking)


def _keys(graph: Graph, named: Iterable[Sequence[Identifier]], needs: Needs) -> dict[int, bool]:
    """What to lock, each for this batch alone or not: an event changes nothing whose identifiers all have one owner."""
    needed = (_lock_of(identifier, graph.nodes[identifier]) for identifier in needs.identifiers)
    keys = dict.fromkeys([*needs.profiles, *needed], True)
    for identifiers in named:
        found = {_lock_of(identifier, graph.nodes[identifier]) for identifier in identifiers}
        alone = len(found) > 1 or any(key < 0 for key in found)
        for key in found:
            keys[key] = alone or keys.get(key, False)
    return keys


def _lock_of(identifier: Identifier, node: Node | None) -> int:
    """The lock under which what is known of an identifier changes: its owner's key, or its own."""
    return _own_lock(identifier) if node is None or node.owner is None else node.owner


def _own_lock(identifier: Identifier) -> int:
    """A number below all profiles' keys. Two identifiers that share one only wait for each other."""
    return -1 - crc32(str(identifier).encode())
