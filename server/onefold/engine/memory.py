"""Resolve events one after another into a complete graph in memory: for files now, and for whatever
replays a journal.
"""

from collections.abc import Iterator

from onefold.core.consent import Permitted
from onefold.core.decision import Decision
from onefold.core.graph import Graph
from onefold.core.ledger import Entry, entries
from onefold.core.resolve import resolve
from onefold.core.rules import Rules


class MemoryRun:
    """A graph under construction. `take` resolves the next event; the ledger grows with it."""

    def __init__(self, rules: Rules, secret: bytes) -> None:
        self.rules = rules
        self.graph = Graph(secret)
        self.ledger: list[Entry] = []
        self.seq = 0
        self._first: dict[str, Decision] = {}

    def take(self, permitted: Permitted) -> Decision:
        """Resolve one event and apply what was decided. An event id seen before changes nothing and gets its first
        decision again.
        """
        event = permitted.event
        if (first := self._first.get(event.event_id)) is not None:
            return first
        decision = resolve(self.graph, permitted, self.rules, self.seq + 1)
        if decision.outcome != "refused":
            self.seq += 1
            self.graph.apply(decision, event, self.seq)
            self.graph.saved()
            self.ledger += entries(self.graph, decision, event)
            self._first[event.event_id] = decision
        return decision

    def public_id(self, key: int | None) -> str | None:
        """The public id of a profile by key."""
        return None if key is None else self.graph.profiles[key].id

    def surviving(self) -> Iterator[int]:
        """The keys of the profiles that were not merged away, oldest first."""
        return (key for key, profile in sorted(self.graph.profiles.items()) if profile.merged_into is None)
